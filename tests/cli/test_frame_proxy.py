"""`lorgnette frame proxy`: what it prints, who may use it, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
from tests.support.program import COMMAND, invoke, run

from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge.faults import FAULTS
from lorgnette.firmware_bridge.proxy import ONLY_SIMULATED

PATIENCE_S = 60.0  # only a failing test waits this long


@contextmanager
def proxy(
    *args: str, port: str = "sim://", environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[subprocess.Popen[str]]:
    command = [*COMMAND, "frame", "proxy", "-p", port, *args]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def first_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("to", ["pty", "socket://127.0.0.1:0"])
def test_it_prints_where_to_connect_and_ends_with_what_it_did(to: str) -> None:
    with proxy("--to", to, "--faults", "duplicate=0.2&delay=1", "--seed", "3") as child:
        address = first_line(child)
        done = run("frame", "info", "-p", address, "--json", timeout_s=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["name"] == "simulated frame"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == ExitCode.INTERRUPTED
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "lorgnette: sim:// is behind this address; Ctrl-C ends it"
    assert lines[1] == "a client has come"
    assert lines[-3].startswith("to the frame ") and " octets, " in lines[-3]
    assert lines[-2].startswith("to the host ") and "duplicate " in lines[-2]
    assert lines[-1] == "lorgnette: interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_for_a_program() -> None:
    with proxy("--to", "socket://127.0.0.1:0", "--json") as child:
        ready = json.loads(first_line(child))
        assert (ready["schema"], ready["event"]) == (1, "ready")
        assert run("frame", "info", "-p", ready["address"], timeout_s=PATIENCE_S).returncode == 0
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == ExitCode.TERMINATED
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["client", "ended"]
    assert events[-1]["counts"]["clients"] == 1
    assert events[-1]["to_host"]["octets"] > events[-1]["to_frame"]["octets"] > 0
    assert err == "lorgnette: stopped by a signal\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_it_goes_on_when_the_port_goes_away() -> None:
    with proxy("--to", "socket://127.0.0.1:0", "--json", port="sim://?unplug=0.5:0.5,1.5:0.5") as child:
        address = json.loads(first_line(child))["address"]
        events = [json.loads(first_line(child))["event"] for _ in range(4)]
        assert events == ["gone", "back", "gone", "back"]
        assert run("frame", "info", "-p", address, timeout_s=PATIENCE_S).returncode == 0
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == ExitCode.INTERRUPTED
    assert json.loads(out.splitlines()[-1])["counts"] == {"gone": 2, "clients": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_for_people_a_port_is_told_of_once_and_counted() -> None:
    with proxy("--to", "socket://127.0.0.1:0", port="sim://?unplug=0.3:1") as child:
        assert child.stderr is not None
        told = [child.stderr.readline() for _ in range(3)]
        assert told[1:] == ["the port went away; it is waited for\n", "the port is back\n"]
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=PATIENCE_S)
    assert err.splitlines()[0] == "the port      went away once"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT] * 3, [signal.SIGTERM] * 2])
def test_nothing_is_left_behind_however_it_ends(signals: list[signal.Signals], tmp_path: Path) -> None:
    with proxy(port="sim://?unplug=0.2:60", environment={"TMPDIR": str(tmp_path)}) as child:
        link = Path(first_line(child))
        assert link.is_symlink()
        assert link.parent.parent == tmp_path
        for number in signals:
            child.send_signal(number)
        child.communicate(timeout=PATIENCE_S)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals")
def test_nothing_is_left_behind_by_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert invoke("frame", "proxy", "-p", str(tmp_path / "none")).exit_code == ExitCode.DEVICE_NOT_FOUND
    assert invoke("frame", "proxy", "-p", "sim://?mic=x").exit_code == ExitCode.DEVICE_NOT_FOUND
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_who_listens_to_everybody_is_told_so() -> None:
    with proxy("--to", "socket://0.0.0.0:0") as child:
        address = first_line(child)
        assert "0.0.0.0" not in address
        assert run("frame", "info", "-p", address, timeout_s=PATIENCE_S).returncode == 0
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=PATIENCE_S)
    assert err.splitlines()[0] == f"lorgnette: whoever reaches {address} hears the frame's microphone"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--faults", "drpo=0.1"], "there is no fault 'drpo'; did you mean 'drop'?"),
        (["--faults", "drop=7"], "drop=7: not a chance from 0 to 1; write it like drop=0.01"),
        (["--faults", "reset=5"], "reset befalls a simulated frame only: -p 'sim://?reset=10'"),
        (["--seed", "4294967296"], "4294967296 is not in the range 0<=x<=4294967295"),
        (["--to", "tcp://x:1"], "--to is pty or socket://HOST:PORT, not 'tcp://x:1'"),
        (["--to", "socket://x"], "--to is pty or socket://HOST:PORT"),
        (["--to", "socket://x:99999"], "--to is pty or socket://HOST:PORT"),
    ],
)
def test_a_mistake_is_told(args: list[str], sentence: str) -> None:
    result = invoke("frame", "proxy", "-p", "sim://", *args)
    assert result.exit_code == ExitCode.USAGE
    assert sentence in result.output


def test_a_port_that_is_not_there() -> None:
    result = invoke("frame", "proxy", "-p", "socket://127.0.0.1:1", "--to", "socket://127.0.0.1:0")
    assert result.exit_code == ExitCode.DEVICE_NOT_FOUND


def test_the_help_has_every_fault() -> None:
    shown = invoke("frame", "proxy", "--help").output
    for word in FAULTS.keys() - set(ONLY_SIMULATED):
        assert f"  {word}=" in shown
    for word in ONLY_SIMULATED:
        assert f"  {word}=" not in shown
