"""`lorgnette conformance` as a user runs it: as a process, against sim://, a pty and a socket."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.broken_frames import BROKEN
from tests.support.program import COMMAND, assert_one_sentence, invoke, run
from tests.support.served_ports import FrameServer, StrangerServer

from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge.conformance.cases import Level, cases_of, every_case
from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
QUICK = "HelloAck"
"""Cases that take no time of their own: they are about greetings."""


def report_of(text: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(text)
    assert report["schema"] == 1
    assert set(report) == {
        *("schema", "complete", "level", "port", "clock", "seed", "frame", "summary", "cases"),
    }
    assert sum(report["summary"].values()) == len(report["cases"])
    return report


def test_the_simulated_frame_passes_everything_in_virtual_time(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    done = run("conformance", "-p", "sim://", "--level", "robust", "--json", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    report = report_of(out.read_text(encoding="utf-8"))
    assert (report["complete"], report["clock"], report["port"]) == (True, "virtual", "sim://")
    assert report["summary"]["FAILED"] == report["summary"]["NON-STRICT"] == 0
    assert [case["number"] for case in report["cases"]] == [case.number for case in every_case()]
    ping = next(case for case in report["cases"] if case["number"] == "C-11")
    assert ping["figures"].keys() == {"round_trip_p50_ms", "round_trip_p99_ms"}
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 1 + len(report["cases"]) + 1
    assert lines[0].split()[0] == "frame"
    assert re.match(r" +C-01  OK +a Hello is answered \(hello 0 ms\)$", lines[1])
    assert " 0 FAILED" in lines[-1] and "virtual time" in lines[-1]


def test_a_simulated_uart_switches_its_rate() -> None:
    done = run("conformance", "-p", "sim://?line=uart", "--level", "media", "-k", "rate", "--json", "-", "-b", "921600")
    assert done.returncode == 0, done.stderr
    cases = {case["number"]: case for case in report_of(done.stdout.decode())["cases"]}
    assert cases["M-60"]["verdict"] == "OK"
    assert cases["M-60"]["figures"]["baud"] == 921_600


def test_the_report_on_standard_output_stands_alone() -> None:
    done = run("conformance", "-p", "sim://", "-k", QUICK, "--json", "-")
    assert done.returncode == 0
    report = report_of(done.stdout.decode())
    assert len(report["cases"]) >= 3
    assert b"C-01  OK" in done.stderr


def test_under_the_wall_clock() -> None:
    done = run("conformance", "-p", "sim://", "--real-time", "-k", QUICK, "--json", "-")
    assert done.returncode == 0, done.stderr
    report = report_of(done.stdout.decode())
    assert report["clock"] == "wall"


def test_over_a_socket() -> None:
    with FrameServer() as server:
        done = run("conformance", "-p", server.url, "-k", QUICK, "--json", "-")
        assert done.returncode == 0, done.stderr
        assert report_of(done.stdout.decode())["port"] == server.url


@posix
def test_over_a_pty(tmp_path: Path) -> None:
    from tests.support.pty_frame import frame_behind_pty

    peripherals = Peripherals()
    with frame_behind_pty(tmp_path, peripherals) as port:
        done = run("conformance", "-p", str(port.path), "--level", "media", "-k", "CaptureEvent", "--json", "-")
    assert done.returncode == 0, done.stderr
    verdicts = {case["number"]: case["verdict"] for case in report_of(done.stdout.decode())["cases"]}
    assert verdicts["M-01"] == "OK"
    assert not peripherals.microphone.on


@posix
def test_a_broken_frame_ends_with_1(tmp_path: Path) -> None:
    from tests.support.pty_frame import PtyPort

    broken = BROKEN["TakesEveryVolume"](SimulatedFrame(Peripherals()))
    with PtyPort(tmp_path, SimTransport(broken)) as port:
        done = run("conformance", "-p", str(port.path), "--level", "media", "-k", "volume", "--json", "-")
    assert done.returncode == ExitCode.FAILURE
    report = report_of(done.stdout.decode())
    assert report["complete"]
    failed = {case["number"]: case["detail"] for case in report["cases"] if case["verdict"] == "FAILED"}
    assert failed == {"M-28": "a volume of 101 % was answered by OK"}
    assert "lorgnette: 1 of 1 cases failed: M-28" in done.stderr.decode().replace("\r", "")


@posix
def test_ctrl_c_leaves_the_microphone_off(tmp_path: Path) -> None:
    from tests.support.pty_frame import frame_behind_pty

    peripherals, out = Peripherals(), tmp_path / "report.json"
    with frame_behind_pty(tmp_path, peripherals) as port:
        command = [*COMMAND, "conformance", "-p", str(port.path), "--level", "media", "-k", "AudioFrame"]
        process = subprocess.Popen([*command, "--json", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        for line in process.stdout:
            if b"M-03" in line:  # M-04 listens for more than a second
                break
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == ExitCode.INTERRUPTED, stderr
        assert not peripherals.microphone.on
        assert peripherals.led[-1][1] == 0
    report = report_of(out.read_text(encoding="utf-8"))
    assert not report["complete"]
    assert {"M-01", "M-02", "M-03"} <= {case["number"] for case in report["cases"]}


def test_the_frame_goes_away_in_the_middle(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    with FrameServer() as server:
        command = [*COMMAND, "conformance", "-p", server.url, "--json", str(out)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        for line in process.stdout:
            if b"C-03" in line:
                break
        server.unplug()
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == ExitCode.DEVICE_LOST
    assert_one_sentence(stderr.decode())
    report = report_of(out.read_text(encoding="utf-8"))
    assert not report["complete"]
    assert report["cases"][-1]["verdict"] == "FAILED"


def test_something_else_answers() -> None:
    with StrangerServer(b"$GPGGA,123519\r\n") as server:
        done = run("conformance", "-p", server.url, "--timeout", "0.5")
    assert done.returncode == ExitCode.NOT_A_FRAME
    assert b"GPGGA" in done.stderr
    assert_one_sentence(done.stderr.decode())


def test_a_stranger_is_quoted_without_what_it_would_do_to_the_terminal() -> None:
    with StrangerServer(b"\x1b]0;a title\x07\x1b[1mlogin:\x1b[0m\x1b(B\r\n") as server:
        done = run("conformance", "-p", server.url, "--timeout", "0.5")
    assert b'("login: login: ' in done.stderr


def test_no_port(tmp_path: Path) -> None:
    result = invoke("conformance", "-p", str(tmp_path / "ttyGONE"))
    assert result.exit_code == ExitCode.DEVICE_NOT_FOUND
    assert_one_sentence(result.stderr)


def test_a_word_that_no_case_has() -> None:
    result = invoke("conformance", "-p", "sim://", "-k", "no such word")
    assert result.exit_code == ExitCode.NOTHING_COLLECTED
    assert_one_sentence(result.stderr)


def test_the_report_needs_a_folder_before_the_run(tmp_path: Path) -> None:
    result = invoke("conformance", "-p", "sim://", "--json", str(tmp_path / "none/report.json"))
    assert result.exit_code == ExitCode.FAILURE
    assert "C-01" not in result.stdout
    assert_one_sentence(result.stderr)


def test_the_list() -> None:
    everything = invoke("conformance", "--list")
    assert everything.exit_code == 0
    for case in every_case():
        assert f"{case.number}  {case.title} (PROTOCOL.md {case.section})\n      {case.must}\n" in everything.stdout
    some = invoke("conformance", "--list", "--level", "core", "-k", "credit")
    assert re.findall(r"^[CMR]-\d\d", some.stdout, re.MULTILINE) == [c.number for c in cases_of(Level.CORE, "credit")]


def test_a_run_is_captured(tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    assert invoke("conformance", "-p", "sim://", "-k", "C-31", "--capture", str(file)).exit_code == 0
    shown = invoke("capture", "show", str(file))
    assert shown.exit_code == 0, shown.stderr
    assert "HelloAck" in shown.stdout and "GetState" in shown.stdout.replace("get_state", "GetState")
