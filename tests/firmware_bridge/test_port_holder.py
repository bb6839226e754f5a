"""Who has a port open: found in /proc or by lsof, and called by the name that people know."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lorgnette.firmware_bridge import port_holder
from lorgnette.firmware_bridge.port_holder import Holder, holder_of, lorgnette_command

posix = pytest.mark.skipif(os.name != "posix", reason="needs pseudo terminals")

HOLD = "import os, sys; os.open(sys.argv[-1], os.O_RDWR | os.O_NOCTTY); print(flush=True); sys.stdin.read()"


@contextmanager
def holding(port: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A process with `words` in its command line that has `port` open."""
    argv = [sys.executable, "-c", HOLD, *words, port]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        yield process
        process.stdin.close()


@pytest.fixture
def port() -> Iterator[str]:
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/usr/bin/python3", "/home/u/.local/bin/lorgnette", "run", "-p", "COM5"], "lorgnette run"),
        (["/usr/bin/python3.12", "-m", "lorgnette.cli", "frame", "photo", "-o", "x"], "lorgnette frame photo"),
        (["python", "-W", "error", "-m", "lorgnette.cli", "frame", "stats", "--watch"], "lorgnette frame stats"),
        (["C:\\\\x\\\\lorgnette.exe".replace("\\\\", "/"), "speak", "hello"], "lorgnette speak"),
        (["python3", "/bin/lorgnette", "ask", "what", "is", "this"], "lorgnette ask"),
        (["python3", "/bin/lorgnette", "ask", "Where", "is"], "lorgnette ask"),
        (["python3", "/bin/lorgnette"], "lorgnette"),
        (["vim", "lorgnette"], ""),
        (["python3", "idf_monitor.py", "-p", "/dev/ttyACM0"], ""),
        (["python3", "-m", "serial.tools.miniterm"], ""),
        ([], ""),
        ([""], ""),
    ],
)
def test_a_command_is_named_and_never_what_it_was_given(argv: list[str], command: str) -> None:
    assert lorgnette_command(argv) == command


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/usr/bin/python3", "/opt/idf/tools/idf_monitor.py", "-p", "x"], "idf_monitor.py"),
        (["python3", "-u", "-m", "esp_idf_monitor"], "esp_idf_monitor"),
        (["python3"], "comm"),
        (["python3", "-c", "import serial"], "comm"),
        (["minicom", "-D", "/dev/ttyACM0"], "comm"),
        ([], "comm"),
    ],
)
def test_a_python_program_has_its_own_name(argv: list[str], name: str) -> None:
    assert port_holder._program(argv, "comm") == name


def test_a_holder_in_words() -> None:
    now_s = time.time()
    clock = time.strftime("%H:%M", time.localtime(now_s))
    assert str(Holder(42, "python3", "lorgnette run", now_s)) == f"'lorgnette run' (process 42, since {clock})"
    assert str(Holder(42, "minicom", "", None)) == "minicom (process 42)"
    assert str(Holder(42, "", "", None)) == "a program (process 42)"
    old = time.mktime((2020, 3, 4, 5, 6, 7, 0, 0, -1))
    assert str(Holder(42, "minicom", "", old)) == "minicom (process 42, since 2020-03-04 05:06)"


@posix
@pytest.mark.parametrize("way", ["proc", "lsof"])
def test_the_process_that_has_a_port_open_is_found(way: str, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "lsof":
        if subprocess.run(["which", "lsof", "ps"], capture_output=True, check=False).returncode:
            pytest.skip("needs lsof and ps")
        monkeypatch.setattr(port_holder, "PROC", Path("/nowhere"))
    elif not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    assert holder_of(port) is None, "this process alone has it"
    before_s = time.time()
    with holding(port) as process:
        holder = holder_of(port)
        assert holder is not None
        assert (holder.pid, holder.command) == (process.pid, "")
        assert holder.since_s is not None
        assert abs(holder.since_s - before_s) < 3600, "the same clock and time zone; boot times are rounded"
    assert holder_of(port) is None


@posix
def test_another_lorgnette_is_named_before_others_and_a_proxy_last(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*commands: str) -> str:
        holders = [Holder(number, "x", command, None) for number, command in enumerate(commands)]
        monkeypatch.setattr(port_holder, "_on_linux", lambda port: iter(holders))
        monkeypatch.setattr(port_holder, "_by_lsof", lambda port: iter(holders))
        holder = holder_of(port)
        return "nobody" if holder is None else holder.command

    assert found() == "nobody"
    assert found("", "lorgnette run") == "lorgnette run"
    assert found(port_holder.PROXY, "") == ""
    assert found(port_holder.PROXY, "lorgnette run") == "lorgnette run"
    assert found(port_holder.PROXY) == port_holder.PROXY


@posix
def test_tools_that_are_missing_hang_or_babble_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_holder, "PROC", Path("/nowhere"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert holder_of("/dev/ttyACM0") is None
    tool = tmp_path / "lsof"
    tool.write_text("#!/bin/sh\necho 'lsof: WARNING: x'; echo not-a-number\n")
    tool.chmod(0o755)
    assert holder_of("/dev/ttyACM0") is None
    tool.write_text("#!/bin/sh\necho 4242\n")
    (tmp_path / "ps").write_text("#!/bin/sh\necho nonsense\n")
    (tmp_path / "ps").chmod(0o755)
    assert holder_of("/dev/ttyACM0") == Holder(4242, "nonsense", "", None)
    tool.write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    monkeypatch.setattr(port_holder, "TOOL_TIMEOUT_S", 0.1)
    assert holder_of("/dev/ttyACM0") is None


@pytest.mark.parametrize("name", ["/dev/ttyNOPE", "/", __file__, "a\0b"])
def test_nobody_holds_what_is_no_port(name: str) -> None:
    assert holder_of(name) is None
