"""Speaker, camera, button, and the picture that needs no imaging library."""

from __future__ import annotations

import io
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from lorgnette.firmware_bridge.messages import Capability, PhotoStatus
from lorgnette.firmware_bridge.simulator import (
    NEVER,
    CameraFailed,
    ImageCamera,
    Peripherals,
    ScriptedButton,
    SpeakerRecorder,
)
from lorgnette.firmware_bridge.simulator.picture import built_in_picture


def test_the_speaker_keeps_time() -> None:
    speaker = SpeakerRecorder()
    speaker.write(b"\1\1", 3)
    speaker.write(b"\2\2", 4)
    speaker.write(b"\3\3", 7)
    speaker.fill(9)
    speaker.fill(5)
    assert speaker.recorded == bytes(6) + b"\1\1\2\2" + bytes(4) + b"\3\3" + bytes(2)
    assert speaker.samples == 9


def test_the_speaker_writes_a_file(tmp_path: Path) -> None:
    speaker = SpeakerRecorder(tmp_path / "out.wav")
    speaker.write(b"\1\1" * 320, 320)
    assert speaker.recorded == b""
    speaker.close()
    speaker.close()
    with wave.open(str(tmp_path / "out.wav"), "rb") as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (16_000, 1, 2)
        assert wav.readframes(1000) == bytes(640) + b"\1\1" * 320


def test_the_camera_takes_a_folder_in_turn(tmp_path: Path) -> None:
    for name, octets in (("b.JPG", b"second"), ("a.jpeg", b"first"), ("notes.txt", b"no")):
        (tmp_path / name).write_bytes(octets)
    camera = ImageCamera(tmp_path)
    assert [camera.take() for _ in range(3)] == [b"first", b"second", b"first"]


def test_the_camera_takes_a_file_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"one")
    camera = ImageCamera(path)
    assert camera.take() == b"one"
    path.write_bytes(b"two")
    assert camera.take() == b"two"


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CameraFailed, match="no JPEG"):
        ImageCamera(tmp_path).take()
    with pytest.raises(CameraFailed, match="No such file"):
        ImageCamera(tmp_path / "gone.jpg").take()


def test_the_built_in_picture_shows_what_was_drawn() -> None:
    image = pytest.importorskip("PIL.Image")
    picture = built_in_picture()
    with image.open(io.BytesIO(picture)) as opened:
        assert (opened.format, opened.size) == ("JPEG", (256, 192))
        colours = {opened.convert("RGB").getpixel((x, 188)) for x in (4, 68, 132, 196)}
    assert len(colours) == 4


def test_the_built_in_picture_is_small_and_whole() -> None:
    picture = built_in_picture()
    assert len(picture) < 4096
    assert picture.startswith(b"\xff\xd8\xff\xe0")
    assert picture.endswith(b"\xff\xd9")
    scan = picture[picture.index(b"\xff\xda") + 14 : -2]
    assert all(after == 0 for octet, after in pairwise(scan) if octet == 0xFF)


def test_a_press_begins_with_the_next_step() -> None:
    button = ScriptedButton()
    button.press(80)
    button.press(50, after_ms=100)
    assert button.changes(1_000_000) == [(1_000_000, True)]
    assert button.down
    assert button.next_us == 1_080_000
    assert button.changes(1_079_999) == []
    assert button.changes(1_230_000) == [(1_080_000, False), (1_180_000, True), (1_230_000, False)]
    assert not button.down
    assert button.next_us == NEVER


def test_a_press_after_a_press_waits_for_its_end() -> None:
    button = ScriptedButton()
    button.press(80)
    button.changes(0)
    button.press(10)
    assert button.changes(1_000_000) == [(80_000, False), (80_000, True), (90_000, False)]


def test_what_a_frame_has() -> None:
    everything = Peripherals().capabilities
    assert everything == (
        Capability.MICROPHONE | Capability.SPEAKER | Capability.CAMERA | Capability.BATTERY | Capability.BUTTON
    )
    bare = Peripherals(battery_percent=None, without=Capability.CAMERA | Capability.SPEAKER).capabilities
    assert bare == Capability.MICROPHONE | Capability.BUTTON


def test_a_picture_larger_than_the_frames_buffer() -> None:
    parts = Peripherals()
    assert parts.on_camera_read(0, 10) == -PhotoStatus.TOO_LARGE
    assert parts.on_camera_read(0, 100_000) == built_in_picture()
