"""`lorgnette frame speedtest` on the simulated frame, on a line with a rate, and when the frame goes in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from tests.support.program import COMMAND, assert_one_sentence, invoke
from tests.support.served_ports import FrameServer

from lorgnette.cli.commands.frame_speedtest import DEFAULT_BYTES, DIRECTIONS, Ear, Moved, usual_size_bytes
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge.link_events import AudioReceived, ConsoleText
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.simulator import Peripherals
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame

PATIENCE_S = 60.0  # only a failing test waits this long


def measured(*args: str) -> dict[str, Any]:
    result = invoke("frame", "speedtest", "--json", *args)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def test_both_directions_and_the_round_trip() -> None:
    found = measured("-p", "sim://", "--size", "50000")
    assert found["line"] == {"baud": None, "codec": "pcm16"}
    assert found["idle_round_trip_ms"]["count"] == 20
    for direction in DIRECTIONS:
        moved = found[direction]
        assert (moved["bytes"], moved["objects"], moved["share_of_rate"]) == (50_000, 1, None)
        assert moved["kB_per_s"] == pytest.approx(50 / moved["seconds"], rel=0.2, abs=1000)
        assert moved["rx_bad_frames"] == moved["rx_lost_frames"] == 0
        assert "audio" not in moved


def test_for_some_seconds_with_the_microphone() -> None:
    peripherals = Peripherals()
    with FrameServer(peripherals) as server:
        found = measured("-p", server.url, "--seconds", "0.5", "--audio", "--size", "30000")
        for direction in DIRECTIONS:
            moved = found[direction]
            assert moved["seconds"] >= 0.5
            assert moved["bytes"] == 30_000 * moved["objects"]
            audio = moved["audio"]
            assert audio["frames"] > 0 and audio["missing_frames"] == 0
            assert audio["late_frames"] <= audio["frames"]
    assert not peripherals.microphone.on


def test_a_line_with_a_rate_is_used_to_the_full() -> None:
    """Virtual or not, the line is the limit here: it takes the time of a UART, whatever else this computer does."""
    found = measured("-p", "sim://?line=uart&rate=460800", "-b", "460800", "--size", "40000", "--audio")
    assert found["line"] == {"baud": 460_800, "codec": "ima_adpcm"}
    for direction in DIRECTIONS:
        moved = found[direction]
        assert 0 < moved["share_of_rate"] < moved["line_in_use"] <= 1.05
        assert moved["audio"]["missing_frames"] == 0
    sound_share = 180 * 50 * 10 / 460_800  # 180 octets for each AudioFrame
    up = found["from_frame"]
    assert up["line_in_use"] - up["share_of_rate"] >= 0.9 * sound_share


def test_the_lines_for_people() -> None:
    result = invoke("frame", "speedtest", "-p", "sim://", "--size", "1", "--audio")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert [line.split("  ")[0] for line in lines[2:5]] == ["idle", *DIRECTIONS.values()]
    assert "1 x 1 bytes" in lines[5] and "CRC right" in lines[5]
    assert "AudioFrames" in lines[6]
    assert result.stderr == "", "no bar where nobody looks at one"


@pytest.mark.parametrize(
    ("baud", "size_bytes"), [(None, DEFAULT_BYTES), (115_200, 34_560), (2_000_000, DEFAULT_BYTES), (1, 1)]
)
def test_the_usual_size_suits_the_line(baud: int | None, size_bytes: int) -> None:
    assert usual_size_bytes(baud) == size_bytes


@pytest.mark.parametrize("arguments", [["--size", "0"], ["--size", "2000000"], ["--seconds", "nan"]])
def test_a_size_that_no_frame_takes(arguments: list[str]) -> None:
    result = invoke("frame", "speedtest", "-p", "sim://", *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)


def test_each_object_is_another_one() -> None:
    """What the frame has already it does not take again, which would look like a very fast line."""
    with LockstepDevice(SimulatedFrame(Peripherals())) as device:
        moved = Moved(20_000)
        for _ in range(3):
            moved.one(device, "to_frame")  # type: ignore[arg-type]  # the same calls, in virtual time
        assert moved.bytes == 60_000
        assert device.stats().tx_bytes > 60_000


def test_late_audio_is_counted_against_the_least_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    with LockstepDevice(SimulatedFrame(Peripherals())) as device:
        ear = Ear(device)  # type: ignore[arg-type]
        now_s = 100.0
        monkeypatch.setattr("lorgnette.cli.commands.frame_speedtest.time.monotonic", lambda: now_s)
        ear.begin()
        for sample, at_s in ((0, 100.010), (320, 100.031), (640, 100.060), (960, 100.071), (1280, 100.190)):
            now_s = at_s
            ear.on_event(AudioReceived(sample, b"", 0))
            ear.on_event(ConsoleText("x"))
        assert ear.end() == {"frames": 5, "late_frames": 1, "latest_ms": 100.0, "missing_frames": 0}
        ear.begin()
        assert ear.end() == {"frames": 0, "late_frames": 0, "latest_ms": 0.0, "missing_frames": 0}


def test_a_frame_that_goes_in_the_middle() -> None:
    server = FrameServer()
    with server:
        threading.Timer(1.0, server.unplug).start()
        result = invoke("frame", "speedtest", "-p", server.url, "--seconds", "600")
    assert result.exit_code == ExitCode.DEVICE_LOST
    assert_one_sentence(result.stderr)
    assert result.stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_it_and_the_microphone() -> None:
    peripherals = Peripherals()
    with FrameServer(peripherals) as server:
        with subprocess.Popen(
            [*COMMAND, "frame", "speedtest", "-p", server.url, "--seconds", "600", "--audio"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            waited = threading.Event()
            while not peripherals.microphone.on:
                assert process.poll() is None
                waited.wait(0.02)
            waited.wait(0.5)  # into the transfer
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == ExitCode.INTERRUPTED
        assert_one_sentence(stderr)
    assert not peripherals.microphone.on
