"""`lorgnette frame monitor`: on a frame that crashes, a mute one, a stranger, a pulled cable, and at a terminal."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.program import COMMAND, assert_one_sentence, invoke
from tests.support.served_ports import FrameServer, StrangerServer

from lorgnette.cli.commands.monitor_lines import TEXT_PAUSE_S, Line, MonitorLines, OctetLines
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge import discovery, messages
from lorgnette.firmware_bridge.discovery import PortInfo
from lorgnette.firmware_bridge.errors import DeviceLost, DeviceNotFound
from lorgnette.firmware_bridge.link_events import ConsoleText, Crashed, Disconnected, FrameMessage, FrameReported

PATIENCE_S = 60.0  # only a failing test waits this long
BOOT = "ESP-ROM:esp32s3-20210327\r\nrst:0xc (RTC_SW_CPU_RST),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n"
PANIC = "\x1b[0;31mabort() was called at PC 0x42 on core 0\x1b[0m\r\nBacktrace: 0x42:0x3fc9\r\n"


class Monitor:
    """The command as a process, standard input at its end; its lines as they come."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "frame", "monitor", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.shown = ""  # of what was waited for, all lines
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self) -> str:
        """The next line."""
        line = self.lines.get(timeout=PATIENCE_S)
        assert line is not None, f"it ended after {self.shown}"
        self.shown += line
        return line

    def until(self, event: str, **wanted: object) -> dict[str, Any]:
        """The next JSON line of this event with these values."""
        while True:
            told: dict[str, Any] = json.loads(self.line())
            if told["event"] == event and all(told[name] == value for name, value in wanted.items()):
                return told

    @property
    def told(self) -> list[dict[str, Any]]:
        """Every JSON line that was waited for."""
        return [json.loads(line) for line in self.shown.splitlines()]

    def close(self) -> None:
        self.process.kill()
        self._reader.join()
        self.process.communicate()


@contextmanager
def monitoring(*args: str) -> Iterator[Monitor]:
    running = Monitor(*args)
    try:
        yield running
    finally:
        running.close()


# ---- frames
def test_a_frame_s_button_and_a_crash_and_what_it_printed() -> None:
    with FrameServer() as server, monitoring("-p", server.url, "--json") as monitor:
        connected = monitor.until("connected", booted=True, reset_reason="power_on")
        assert connected["schema"] == 1
        assert datetime.fromisoformat(connected["time"]).tzinfo is not None
        server.peripherals.button.press()
        assert monitor.until("button")["text"] == "tap"
        server.crash(PANIC + BOOT + "\0")
        assert monitor.until("prints")["text"] == "abort() was called at PC 0x42 on core 0"
        crashed = monitor.until("crashed")
        assert crashed["reason"] == "abort() was called at PC 0x42 on core 0" and "Backtrace" in crashed["text"]
        assert "what it printed is in" in monitor.until("lost")["message"]
        assert monitor.until("connected", booted=True)["boot_id"] != connected["boot_id"]
        assert monitor.process.poll() is None


def test_every_frame_on_the_wire_and_the_counters() -> None:
    with monitoring("-p", "sim://?line=uart", "--json", "--frames", "--stats", "0.2") as monitor:
        counted = [monitor.until("stats")["rx_frames"] for _ in range(3)]
        told = monitor.told
    assert counted == sorted(set(counted)), "each request is a frame, too"
    frames = [line for line in told if line["event"] == "frame"]
    assert [(line["direction"], line["summary"]) for line in frames[:2]] == [("tx", "Hello"), ("rx", "HelloAck")]
    assert {line["channel"] for line in frames} >= {"link", "rpc"}
    assert any(re.fullmatch(r"Credit rpc \d+", line["summary"]) for line in frames)
    assert {line["event"] for line in told} == {"frame", "connected", "stats"}


def test_the_times_never_go_back() -> None:
    """Also where a printed line without an end waited for it while frames came."""
    with monitoring("-p", "sim://?splice=0.4&bootlog=1&seed=4", "--json", "--frames", "--seconds", "4") as monitor:
        monitor.process.wait(PATIENCE_S)
        told = []
        while (line := monitor.lines.get(timeout=PATIENCE_S)) is not None:
            told.append(json.loads(line))
    assert {"frame", "prints"} <= {line["event"] for line in told}
    times = [line["time"] for line in told]
    assert times == sorted(times)


def test_the_lines_for_people() -> None:
    with monitoring("-p", "sim://?bootlog=1") as monitor:
        while "connected" not in (last := monitor.line()):
            pass
    assert all(line[2:9:3] == "::." for line in monitor.shown.splitlines()), monitor.shown
    assert "prints     ESP-ROM:esp32s3" in monitor.shown
    assert "  connected  simulated frame, firmware" in last and "reset reason: power_on" in last
    assert "\x1b" not in monitor.shown, "the boot log has colours"


def test_it_ends_by_itself_when_asked() -> None:
    result = invoke("frame", "monitor", "-p", "sim://", "--seconds", "0.2", "--json")
    assert (result.exit_code, result.stderr) == (0, "")


# ---- no frame
def test_a_mute_board_is_said_once() -> None:
    heard = bytearray()

    def answer(data: bytes) -> bytes:
        heard.extend(data)
        return b""

    with (
        StrangerServer(answer=answer) as stranger,
        monitoring("-p", stranger.url, "--timeout", "0.1", "--json") as monitor,
    ):
        line = json.loads(monitor.line())
        assert line["event"] == "no_frame"
        assert "Nothing answers" in line["message"] and line["remedy"]
        already = len(heard)
        while len(heard) < already + 80:  # several handshakes more
            threading.Event().wait(0.01)
        assert monitor.lines.empty()


@pytest.mark.parametrize(
    ("greeting", "event", "shown"),
    [
        (b"login: \x1b[2J\x1b]0;you\x07 now\r\n", "prints", "login:  now"),
        (b"\xf8\x00\x81\xff\x9b2J", "noise", "bytes that are neither frame nor text"),
    ],
)
def test_a_stranger_is_shown_and_the_terminal_unharmed(greeting: bytes, event: str, shown: str) -> None:
    with (
        StrangerServer(greeting=greeting) as stranger,
        monitoring("-p", stranger.url, "--timeout", "0.3") as monitor,
    ):
        while not ("no frame" in monitor.shown and f"  {event}" in monitor.shown and shown in monitor.shown):
            monitor.line()
    assert all(character == "\n" or character.isprintable() for character in monitor.shown)


def test_only_listening_sends_nothing() -> None:
    heard = bytearray()

    def answer(data: bytes) -> bytes:
        heard.extend(data)
        return b""

    with (
        StrangerServer(greeting=b"ready\r\n\x1b[31m\xff\r\n", answer=answer) as stranger,
        monitoring("-p", stranger.url, "--raw", "--json") as monitor,
    ):
        assert monitor.until("octets")["text"] == "ready"
        line = monitor.until("octets")
        assert line["text"] == "\\x1b[31m\\xff"
        assert bytes.fromhex(line["hex"]) == b"\x1b[31m\xff\r\n"
        monitor.process.terminate()
        monitor.process.wait(PATIENCE_S)
    assert not heard


def test_a_port_that_nobody_named_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "list_ports", lambda: [PortInfo("/dev/ttyUSB0", "UART", "10C4:EA60", "", False)])
    for mode in ([], ["--raw"]):
        result = invoke("frame", "monitor", "--seconds", "1", *mode)
        assert result.exit_code == ExitCode.DEVICE_NOT_FOUND
        assert_one_sentence(result.stderr)
        assert result.stdout == ""


@pytest.mark.parametrize("mode", [[], ["--raw"]])
def test_a_port_that_is_not_there(mode: list[str]) -> None:
    result = invoke("frame", "monitor", "-p", "/dev/there-is-no-such-port", *mode)
    assert result.exit_code == ExitCode.DEVICE_NOT_FOUND
    assert_one_sentence(result.stderr)


@pytest.mark.parametrize("option", [["--frames"], ["--stats", "1"]])
def test_what_contradicts_itself(option: list[str]) -> None:
    result = invoke("frame", "monitor", "-p", "sim://", "--raw", *option)
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)


# ---- signals, cables and terminals
@pytest.mark.skipif(os.name != "posix", reason="Windows has no signals for another process")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_a_signal_ends_it_and_the_end_of_input_does_not(number: signal.Signals, code: ExitCode) -> None:
    with monitoring("-p", "sim://", "--json", "--stats", "0.1") as monitor:
        for _ in range(5):
            monitor.until("stats")
        monitor.process.send_signal(number)
        assert monitor.process.wait(PATIENCE_S) == code


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo terminals")
@pytest.mark.parametrize("mode", ["link", "raw"])
def test_a_cable_that_is_pulled_and_plugged_in_again(mode: str, tmp_path: Path) -> None:
    from tests.support.pty_frame import PtyPort, Stranger, frame_behind_pty

    from lorgnette.firmware_bridge.simulator import Peripherals

    frame = mode == "link"
    port = frame_behind_pty(tmp_path, Peripherals()) if frame else PtyPort(tmp_path, Stranger(b"tick\r\n"))
    here = "connected" if frame else "octets"
    with port, monitoring("-p", str(port.path), "--json", *([] if frame else ["--raw"])) as monitor:
        monitor.until(here)
        port.unplug()
        assert monitor.until("lost")["remedy"]
        port.plug()
        if frame:
            assert monitor.until("connected")["booted"] is False, "it has run on without the cable"
        else:
            monitor.until("back")
            monitor.until("octets")


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo terminals")
def test_ctrl_bracket_leaves_and_gives_the_terminal_back(tmp_path: Path) -> None:
    from tests.support.terminal import Terminal

    with Terminal(*COMMAND, "frame", "monitor", "-p", "sim://") as terminal:
        assert "Ctrl-] leaves" in terminal.until("connected  simulated frame")
        while terminal.echoes:
            threading.Event().wait(0.005)
        terminal.type(b"hello\x1d")
        assert terminal.news() == f"ended {ExitCode.OK}"
        assert terminal.mode == terminal.before
        assert "hello" not in terminal.shown


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo terminals")
def test_ctrl_c_leaves_and_gives_the_terminal_back() -> None:
    from tests.support.terminal import Terminal

    with StrangerServer() as stranger, Terminal(*COMMAND, "frame", "monitor", "-p", stranger.url) as terminal:
        terminal.until("Ctrl-] leaves")
        while terminal.echoes:
            threading.Event().wait(0.005)
        terminal.type(b"\x03")
        assert terminal.news() == f"ended {ExitCode.INTERRUPTED}"
        assert terminal.mode == terminal.before


# ---- what is said of what
@pytest.mark.parametrize(
    ("message", "event", "text"),
    [
        (messages.ButtonEvent(messages.Button.LONG_PRESS, 1), "button", "long press"),
        (messages.ButtonEvent(99, 1), "button", "99"),
        (messages.LedEvent(messages.Led.DIM, 1), "led", "dim"),
        (messages.CaptureEvent(1, 0, 1), "capture", "on"),
        (messages.CaptureEvent(0, messages.CaptureStop.HOST_GONE, 1), "capture", "off: host gone"),
        (messages.PlaybackStarted(3, 1, 1), "playback", "stream 3 begins"),
        (
            messages.PlaybackEnded(3, messages.PlaybackEnd.FLUSHED, 1, 8000),
            "playback",
            "stream 3 ends: flushed, 0.50 s",
        ),
        (messages.Underrun(3, 1, 1, 320), "underrun", "stream 3: 20 ms of silence"),
        (messages.PhotoEvent(1, messages.PhotoStatus.OK, 12345, 0), "photo", "ok, 12345 bytes"),
    ],
)
def test_what_the_frame_reports(message: FrameMessage, event: str, text: str) -> None:
    [line] = MonitorLines().of_event(7.0, FrameReported(message))
    assert (line.at_s, line.event, line.text) == (7.0, event, text)
    assert line.fields["text"] == text
    json.dumps(line.fields)


def texts(lines: Iterator[Line]) -> list[str]:
    return [line.text for line in lines]


def test_text_cut_anywhere_is_one_line_and_one_without_an_end_is_shown() -> None:
    monitor = MonitorLines()
    assert texts(monitor.of_event(1.0, ConsoleText("I (3) bo"))) == []
    assert texts(monitor.of_event(1.1, ConsoleText("ot: hello\nlog"))) == ["I (3) boot: hello"]
    assert texts(monitor.settle(1.1 + TEXT_PAUSE_S / 2)) == []
    assert texts(monitor.settle(1.1 + TEXT_PAUSE_S)) == ["log"]
    assert texts(monitor.settle()) == []
    assert texts(monitor.of_event(2.0, ConsoleText("in: "))) == []
    [line, _] = monitor.of_event(2.1, FrameReported(messages.LedEvent(1, 0)))
    assert (line.text, line.at_s) == ("in:", 2.0)


def test_a_crash_is_told_behind_its_own_text() -> None:
    monitor = MonitorLines()
    assert texts(monitor.of_event(1.0, Crashed("abort()", "abort()\n"))) == []
    assert texts(monitor.of_event(1.0, ConsoleText("abort()\nreboot\n"))) == ["abort()", "reboot", "abort()"]
    assert texts(monitor.of_event(1.0, Crashed("again", ""))) == []
    assert texts(monitor.of_event(1.0, Disconnected(DeviceLost("It went away.")))) == ["again", "It went away."]


def test_each_kind_of_absence_is_told_once() -> None:
    monitor = MonitorLines()
    mute, lost = Disconnected(DeviceNotFound("Nothing answers.")), Disconnected(DeviceLost("Unplugged."))
    told = [len(texts(monitor.of_event(1.0, event))) for event in (mute, mute, lost, lost, mute, mute)]
    assert told == [1, 0, 1, 0, 1, 0]


def test_octets_become_lines_of_bounded_length() -> None:
    octets = OctetLines()
    assert texts(octets.of_octets(1.0, b"a\tb\\x41\r")) == []
    assert texts(octets.of_octets(1.0, b"\n" + bytes(64))) == ["a\\x09b\\x41", "\\x00" * 64]
    assert texts(octets.of_octets(2.0, b"$ ")) == []
    assert texts(octets.settle(2.0)) == []
    assert texts(octets.settle(2.0 + TEXT_PAUSE_S)) == ["$ "]
