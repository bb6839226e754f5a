"""sim:// addresses: what they describe, and what is said about those that are wrong."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from lorgnette.firmware_bridge.errors import DeviceNotFound
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.messages import Capability
from lorgnette.firmware_bridge.simulator import ScriptedMicrophone, parse_sim_url
from lorgnette.firmware_bridge.simulator.camera import CAMERA_FAULTS, FaultyCamera
from lorgnette.firmware_bridge.simulator.picture import built_in_picture
from lorgnette.firmware_bridge.simulator.url import sim_faults


def write_wav(path: Path, pcm: bytes, rate: int = 16_000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(channels)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(pcm)
    return path


@pytest.mark.parametrize("url", ["sim://", "sim:///", "sim://?"])
def test_the_plain_frame(url: str) -> None:
    parts = parse_sim_url(url)
    assert not parts.microphone.busy
    assert not parts.microphone.ended
    assert parts.camera.take() == built_in_picture()
    assert (parts.battery_percent, parts.seed, parts.max_baud) == (80, 0, 0)


def test_every_option(tmp_path: Path) -> None:
    heard = write_wav(tmp_path / "a question.wav", b"\1\2" * 4)
    (tmp_path / "x.jpg").write_bytes(b"jpeg")
    out = tmp_path / "out.wav"
    url = f"sim://?mic=file:{heard}&camera={tmp_path / 'x.jpg'}&speaker=file:{out}&battery=7&seed=12"
    parts = parse_sim_url(url.replace(" ", "%20"))
    assert parts.microphone.read(6) == b"\1\2" * 4 + bytes(4)
    assert parts.microphone.ended
    assert parts.camera.take() == b"jpeg"
    assert (parts.battery_percent, parts.seed) == (7, 12)
    parts.close()
    assert out.exists()


def test_a_bare_board() -> None:
    parts = parse_sim_url("sim://?mic=none&camera=none&speaker=none&battery=none")
    assert parts.capabilities == Capability.BUTTON
    with_some = parse_sim_url("sim://?speaker=none").capabilities
    assert with_some == Capability.MICROPHONE | Capability.CAMERA | Capability.BUTTON | Capability.BATTERY


@pytest.mark.parametrize("fault", CAMERA_FAULTS)
def test_the_faults_of_a_camera(fault: str) -> None:
    camera = parse_sim_url(f"sim://?camera=fault:{fault}").camera
    assert isinstance(camera, FaultyCamera)
    assert camera.start() == (7000 if fault == "late" else 100)


def test_what_runs_for_hours_is_not_kept() -> None:
    parts = parse_sim_url("sim://")
    parts.microphone.read(320, 0)
    parts.speaker.write(bytes(640), 48_000)
    assert not (parts.microphone.recorded or parts.microphone.recorded_at or parts.speaker.recorded)
    assert parts.speaker.samples == 48_320


@pytest.mark.parametrize(("line", "max_baud"), [("usb", 0), ("uart", 2_000_000)])
def test_the_kinds_of_line(line: str, max_baud: int) -> None:
    assert parse_sim_url(f"sim://?line={line}").max_baud == max_baud


def test_no_gauge() -> None:
    assert parse_sim_url("sim://?battery=none").battery_percent is None


def test_a_microphone_of_the_callers_own() -> None:
    own = ScriptedMicrophone()
    assert parse_sim_url("sim://?mic=text:hello", microphone=own).microphone is own


@pytest.mark.parametrize(
    ("url", "message", "remedy"),
    [
        ("sim://?camra=x.jpg", "no option 'camra'", "did you mean 'camera'"),
        ("sim://?zzz=1", "no option 'zzz'", "mic, camera, speaker, battery, seed, line"),
        ("sim://?drpo=0.1", "no option 'drpo'", "did you mean 'drop'"),
        ("sim://?drop=2", "drop=2: not a chance from 0 to 1; write it like drop=0.01", "sim://?drop=0.01&flip=1e-5"),
        ("sim://?seed=1&seed=2", "given twice", "sim://"),
        ("sim://kitchen", "no address of a simulated frame", "sim://"),
        ("serial://x", "no address of a simulated frame", "sim://"),
        ("sim://?battery=101", "not a number from 0 to 100", "or none"),
        ("sim://?battery=-1", "not a number from 0 to 100", "or none"),
        ("sim://?seed=x", "not a number", "seed=0"),
        ("sim://?line=rs485", "not a line that a frame has", "line=usb or line=uart"),
        ("sim://?mic=text:hello", "not something that a frame can hear here", "mic=file:"),
        ("sim://?mic=file:", "not something that a frame can hear here", "mic=file:"),
        ("sim://?mic=file:/no/such.wav", "No such file", "16 kHz"),
        ("sim://?camera=/no/such.jpg", "no such file or folder", "JPEG"),
        ("sim://?camera=fault:rain", "not a fault that a camera has", "no-eoi, null, late"),
        ("sim://?camera=/dev/null", "no such file or folder", "JPEG"),
        ("sim://?speaker=host", "not something that a frame can play to", "speaker=file:"),
        ("sim://?speaker=file:/no/such/out.wav", "No such file", "folder that exists"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(url: str, message: str, remedy: str) -> None:
    with pytest.raises(DeviceNotFound) as caught:
        parse_sim_url(url)
    assert message in str(caught.value)
    assert remedy in caught.value.remedy


def test_the_faults_of_the_cable() -> None:
    url = "sim://?seed=3&drop=0.01&flip=1e-6&delay=20&rate=921600"
    assert sim_faults(url) == Faults(drop=0.01, flip=1e-6, delay_ms=20, rate_baud=921_600)
    assert parse_sim_url(url).seed == 3
    assert sim_faults("sim://") == Faults()


def test_a_folder_without_a_picture(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"hello")
    with pytest.raises(DeviceNotFound, match="no JPEG in this folder") as caught:
        parse_sim_url(f"sim://?camera={tmp_path}")
    assert "name a JPEG file or a folder of JPEG files" in caught.value.remedy
    (tmp_path / "one.jpg").write_bytes(b"jpeg")
    assert parse_sim_url(f"sim://?camera={tmp_path}").camera.take() == b"jpeg"


def test_a_recording_of_another_format(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "cd.wav", bytes(400), rate=44_100, channels=2)
    with pytest.raises(DeviceNotFound, match="44100 Hz, 2 channels, 16 bits") as caught:
        parse_sim_url(f"sim://?mic=file:{path}")
    assert "sox" in caught.value.remedy


def test_a_file_that_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_bytes(b"hello")
    with pytest.raises(DeviceNotFound, match="is no WAV file"):
        parse_sim_url(f"sim://?mic=file:{tmp_path / 'text.wav'}")
