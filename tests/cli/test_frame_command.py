"""`lorgnette frame` and `devices` on the simulated frame, and on ports that are none."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.support.program import assert_one_sentence, invoke, run
from tests.support.served_ports import FrameServer, StrangerServer

from lorgnette.cli.exit_codes import ExitCode
from lorgnette.cli.jpeg import jpeg_size
from lorgnette.firmware_bridge import discovery
from lorgnette.firmware_bridge.discovery import PortInfo
from lorgnette.firmware_bridge.messages import Capability
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

SIM = "sim://?seed=7&battery=42"


def test_info_prints_what_the_frame_says() -> None:
    shown = json.loads(invoke("frame", "info", "-p", SIM, "--json").stdout)
    assert shown["schema"] == 1
    assert shown["parts"] == ["microphone", "speaker", "camera", "battery", "button"]
    assert shown["abilities"] == ["test_channel", "adpcm"]
    assert (shown["battery_percent"], shown["led"], shown["capturing"]) == (42, "off", False)
    lines = dict(line.split(maxsplit=1) for line in invoke("frame", "info", "-p", SIM).stdout.splitlines())
    assert lines["battery_percent"] == "42"
    assert lines["device_id"] == shown["device_id"]
    assert invoke("frame", "info", "-p", "sim://?battery=none").stdout.count("none") == 1


def test_the_port_may_come_from_the_environment_or_the_file(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_file.write_text("port = 'sim://?battery=11'", encoding="utf-8")
    assert json.loads(invoke("frame", "info", "--json").stdout)["battery_percent"] == 11
    monkeypatch.setenv("LORGNETTE_PORT", "sim://?battery=12")
    assert json.loads(invoke("frame", "info", "--json").stdout)["battery_percent"] == 12


def test_the_volume_is_read_back_from_the_frame() -> None:
    with FrameServer() as server:

        def volume(*change: str) -> dict[str, object]:
            return dict(json.loads(invoke("frame", "volume", *change, "-p", server.url, "--json").stdout))

        first = int(str(volume()["volume_percent"]))
        assert volume("35") == {"schema": 1, "volume_percent": 35, "muted": False}
        assert volume("up")["volume_percent"] == 45
        assert volume("down")["volume_percent"] == 35
        assert volume("100%")["volume_percent"] == 100
        assert volume("up")["volume_percent"] == 100
        assert volume("mute")["muted"] is True
        assert invoke("frame", "volume", "-p", server.url).stdout == "100 %, muted\n"
        assert volume("unmute")["muted"] is False
        assert first != 35


@pytest.mark.parametrize("change", ["101", "-1", "loud", "4.5", "\N{SUPERSCRIPT TWO}", "\x1b[2J"])
def test_a_volume_that_is_none(change: str) -> None:
    result = invoke("frame", "volume", "-p", "sim://", "--", change)
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)
    assert "\x1b" not in result.stderr


def test_a_photo_is_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    result = invoke("frame", "photo", "-p", "sim://", "-o", str(file), "--json")
    shown = json.loads(result.stdout)
    assert jpeg_size(file.read_bytes()) == (shown["width"], shown["height"])
    assert shown["size_bytes"] == file.stat().st_size
    piped = run("frame", "photo", "-p", "sim://", "-o", "-")
    assert piped.returncode == 0
    assert jpeg_size(piped.stdout) == (shown["width"], shown["height"])
    assert piped.stderr == b""


def test_a_photo_needs_a_place() -> None:
    assert invoke("frame", "photo", "-p", "sim://").exit_code == ExitCode.USAGE
    result = invoke("frame", "photo", "-p", "sim://", "-o", "/nowhere/at/all.jpg")
    assert result.exit_code == ExitCode.FAILURE
    assert_one_sentence(result.stderr)


def test_a_frame_without_a_camera_says_so(tmp_path: Path) -> None:
    with FrameServer(Peripherals(without=Capability.CAMERA)) as server:
        result = invoke("frame", "photo", "-p", server.url, "-o", str(tmp_path / "x.jpg"))
    assert result.exit_code == ExitCode.FRAME_REFUSED
    assert_one_sentence(result.stderr)
    assert not (tmp_path / "x.jpg").exists()


@pytest.mark.parametrize(
    ("port", "code"),
    [
        ("/dev/there-is-no-such-port", ExitCode.DEVICE_NOT_FOUND),
        ("socket://127.0.0.1:1", ExitCode.DEVICE_NOT_FOUND),
        ("socket://nothing", ExitCode.DEVICE_NOT_FOUND),
        ("sim://?colour=red", ExitCode.DEVICE_NOT_FOUND),
        ("sim://?mic=file:/nowhere.wav", ExitCode.DEVICE_NOT_FOUND),
        ("telnet://there", ExitCode.DEVICE_NOT_FOUND),
    ],
)
def test_a_port_that_is_not_there(port: str, code: ExitCode) -> None:
    result = invoke("frame", "info", "-p", port)
    assert result.exit_code == code
    assert_one_sentence(result.stderr)


def test_without_any_frame_the_simulated_one_is_named_and_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "list_ports", list)
    result = invoke("frame", "info")
    assert result.exit_code == ExitCode.DEVICE_NOT_FOUND
    assert_one_sentence(result.stderr)
    assert "sim://" in result.stderr


NOISE = random.Random(5).randbytes(2000)


@pytest.mark.parametrize(
    ("stranger", "code"),
    [
        (StrangerServer(), ExitCode.DEVICE_NOT_FOUND),
        (StrangerServer(greeting=NOISE), ExitCode.NOT_A_FRAME),
        (StrangerServer(greeting=b"login: \x1b[2J\r\n"), ExitCode.NOT_A_FRAME),
        (StrangerServer(answer=lambda heard: heard), ExitCode.NOT_A_FRAME),
        (StrangerServer(answer=lambda heard: b"ERROR\r\n\x00"), ExitCode.NOT_A_FRAME),
    ],
    ids=["silent", "noise", "text", "echo", "modem"],
)
def test_what_is_no_frame_is_called_so(stranger: StrangerServer, code: ExitCode) -> None:
    with stranger:
        result = invoke("frame", "info", "-p", stranger.url, "--timeout", "0.7")
    assert result.exit_code == code
    assert_one_sentence(result.stderr)
    assert "\x1b" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_garbage_from_a_serial_port() -> None:
    import pty

    master, slave = pty.openpty()
    stop = threading.Event()

    def babble() -> None:
        while not stop.wait(0.02):
            os.write(master, NOISE[:64])

    thread = threading.Thread(target=babble)
    thread.start()
    try:
        result = invoke("frame", "info", "-p", os.ttyname(slave), "--timeout", "0.7")
    finally:
        stop.set()
        thread.join()
        os.close(master)
        os.close(slave)
    assert result.exit_code == ExitCode.NOT_A_FRAME
    assert_one_sentence(result.stderr)


def test_devices_lists_and_marks(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [
        PortInfo("/dev/ttyACM0", "USB JTAG\x1b[2J", "303A:1001", "AA:BB", True),
        PortInfo("/dev/ttyUSB0", "UART", "10C4:EA60", "", False),
    ]
    monkeypatch.setattr(discovery, "list_ports", lambda: ports)
    config_file.write_text("[remembered]\nserial_number = 'AA:BB'", encoding="utf-8")
    result = invoke("devices")
    assert [line[0] for line in result.stdout.splitlines()] == ["*", " "]
    assert "the remembered frame" in result.stdout
    assert "\x1b" not in result.stdout
    rows = json.loads(invoke("devices", "--json").stdout)["ports"]
    assert [row["is_remembered"] for row in rows] == [True, False]
    assert rows[0]["device"] == "/dev/ttyACM0"


def test_no_devices_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "list_ports", list)
    result = invoke("devices")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "sim://" in result.stderr


CORE_MISSING = """
import sys
sys.modules["lorgnette.firmware_bridge._core"] = None
from lorgnette.cli.main import cli
cli.main(sys.argv[1:])
"""


@pytest.mark.parametrize("arguments", [["frame", "info"], ["speak", "hello"], ["ask", "take a photo"]])
def test_an_install_without_a_compiler(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CORE_MISSING, *arguments, "-p", "sim://"], capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.NO_SIMULATOR
    assert_one_sentence(done.stderr)
    assert "compiler" in done.stderr
