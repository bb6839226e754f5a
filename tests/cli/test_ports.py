"""Which frame is opened, and which is remembered: with pseudo terminals in place of boards."""

from __future__ import annotations

import logging
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.program import invoke

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo terminals", allow_module_level=True)
from tests.support.pty_frame import PtyPort, frame_behind_pty
from tests.support.served_ports import FrameServer

from lorgnette.cli.config import load
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.cli.glasses.ports import open_frame
from lorgnette.firmware_bridge import discovery
from lorgnette.firmware_bridge.discovery import PortInfo
from lorgnette.firmware_bridge.messages import CaptureStartArgs, Codec, Method
from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals


@pytest.fixture
def frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PtyPort]:
    """A frame behind a serial port, which is the only one, and whose USB serial number is AA:BB."""
    with frame_behind_pty(tmp_path, Peripherals()) as port:
        found = PortInfo(str(port.path.resolve()), "USB JTAG", "303A:1001", "AA:BB", True)
        monkeypatch.setattr(discovery, "list_ports", lambda: [found])
        yield port


def test_a_frame_that_was_opened_is_remembered(frame: PtyPort, config_file: Path) -> None:
    config_file.write_text("# mine\nbaud = 9600\n", encoding="utf-8")
    result = invoke("frame", "info", "-p", str(frame.path))  # a link to the port
    assert result.exit_code == 0, result.stderr
    text = config_file.read_text(encoding="utf-8")
    assert text.startswith("# mine\nbaud = 9600\n")
    assert tomllib.loads(text)["remembered"] == {"serial_number": "AA:BB"}


def test_a_frame_that_replaces_the_remembered_one_is_remembered(
    frame: PtyPort, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file.write_text("[remembered]\nserial_number = 'CC:DD'\n", encoding="utf-8")
    [only] = discovery.list_ports()
    monkeypatch.setattr(discovery, "find_port", lambda serial: {"CC:DD": only}[serial])  # looks at this list only
    assert invoke("frame", "volume").exit_code == 0
    assert tomllib.loads(config_file.read_text(encoding="utf-8"))["remembered"] == {"serial_number": "AA:BB"}


def test_doctor_changes_nothing(frame: PtyPort, config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorgnette.cli.commands.doctor.host_checks", lambda settings, offline: iter(()))
    result = invoke("doctor", "-p", str(frame.path))
    assert "ok     handshake" in result.stdout
    assert not config_file.exists()


def test_a_port_without_a_serial_number_and_a_frame_that_did_not_answer_are_not(
    frame: PtyPort, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame.go_deaf()
    assert invoke("frame", "info", "-p", str(frame.path), "--timeout", "0.3").exit_code == ExitCode.DEVICE_NOT_FOUND
    assert not config_file.exists()
    monkeypatch.setattr(discovery, "list_ports", list)
    assert invoke("frame", "info", "-p", "sim://").exit_code == 0
    with FrameServer() as server:
        assert invoke("frame", "info", "-p", server.url).exit_code == 0
    assert not config_file.exists()


def test_a_file_that_cannot_be_written_costs_only_the_memory(
    frame: PtyPort, config_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config_file.write_text("stt = {engine = 'auto'}\nremembered = {serial_number = 'CC:DD'}\n", encoding="utf-8")
    before = config_file.read_bytes()
    with caplog.at_level(logging.INFO):
        result = invoke("frame", "info", "-p", str(frame.path))
    assert result.exit_code == 0, result.stderr
    assert config_file.read_bytes() == before
    assert "cannot be remembered" in caplog.text


def test_a_line_that_cannot_have_the_wished_rate_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that takes every rate and passes nothing above 115200: the session goes on there, and the user hears."""

    class OldCable(SimTransport):
        def set_baud(self, baud: int) -> None:
            super().set_baud(min(baud, 115_200))

    monkeypatch.setattr("lorgnette.firmware_bridge.sim_transport.SimTransport", OldCable)
    device, _ = open_frame(load({"port": "sim://?line=uart"}).settings)
    with device:
        assert device.baud == 115_200
        assert "921600" in device.rate_trouble
    told = capsys.readouterr().err
    assert told == f"lorgnette: {device.rate_trouble}\n"


def test_a_line_that_loses_sound_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    device, _ = open_frame(load({"port": "sim://?rate=115200"}).settings)
    compressed = threading.Event()
    with device:
        assert (device.baud, device.codec) == (0, Codec.PCM16)
        device.subscribe(lambda _event: compressed.set() if device.codec is Codec.IMA_ADPCM else None)
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        assert compressed.wait(30.0)
        device.request(Method.CAPTURE_STOP, timeout_s=10.0)
        assert "compressed" in device.rate_trouble
    assert capsys.readouterr().err == f"lorgnette: {device.rate_trouble}\n"
