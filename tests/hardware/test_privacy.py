"""No path lets a sensor run in the dark: the frame's own core, under watch, through everything that can be done to it.

At every call of its drivers: microphone on means that the LED is lit, camera on that it is solid; between the steps the
LED says no more than that either. On the line, the LED's event precedes the first octet of sound or of a picture. When
the host has been silent for three seconds, nothing is on but an exposure that runs out.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.frame_builds import (
    BUILDS,
    PIPE_PROGRAM,
    POSIX,
    SANITIZER_ENV,
    TEST_CHANNEL,
    FrameFactory,
    compile_c,
    need_program,
)
from tests.support.pictures import GivenCamera, plain_jpeg
from tests.support.privacy import Indiscreet, Provocation
from tests.support.raw_host import MS, RawHost, all_of, one

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import Peripherals, PipeFrame, SimulatedFrame, SteppedFrame


@pytest.mark.parametrize("seed", range(20))
def test_no_sensor_runs_in_secret(native: object, seed: int) -> None:
    provocation = Provocation(SimulatedFrame, seed)
    provocation.run(500)
    switched = [change.part for change in provocation.parts.changes]
    assert min(switched.count(part) for part in ("microphone", "camera")) > 20, "much has happened"
    assert provocation.frame.sensor_bytes > 100_000
    assert provocation.frame.led_events > 50


@pytest.mark.cross
def test_nor_under_the_sanitizers(tmp_path: Path) -> None:
    argv = BUILDS["asan"].compile(PIPE_PROGRAM, tmp_path / "frame", TEST_CHANNEL)
    frames: list[PipeFrame] = []

    def make(parts: Peripherals) -> SteppedFrame:
        frames.append(PipeFrame(argv, parts, SANITIZER_ENV))
        return frames[-1]

    provocation = Provocation(make, 1)
    provocation.run(500)
    assert provocation.frame.sensor_bytes > 100_000
    for frame in frames:
        frame.close()  # a sanitizer's report would be raised here


# ---- an event that had to go for newer ones


@pytest.fixture
def deaf(host: RawHost) -> RawHost:
    """A host that acknowledges no event, and already has one to acknowledge."""
    host.frame.peripherals.camera = GivenCamera(plain_jpeg(1000))
    host.connect()
    host.acks_events = False
    host.frame.peripherals.button.press(700)
    host.advance(800 * MS)
    return host


def crowd(host: RawHost) -> None:
    """Thirty-two events in one step: the queue holds sixteen."""
    toggles = [m.Method.CAPTURE_START, m.Method.CAPTURE_STOP] * 4
    for first in (0x100, 0x200):
        host.send(*(m.Call(call_id=first + i, method=method) for i, method in enumerate(toggles)))


def test_a_lost_event_of_the_led_is_told_again_before_any_sound(deaf: RawHost) -> None:
    deaf.frame.peripherals.camera.exposure_ms = 10  # type: ignore[attr-defined]
    deaf.start_capture()
    start = len(deaf.log)
    for _ in range(14):  # each has three events
        deaf.call(m.Method.TAKE_PHOTO)
        deaf.advance(15 * MS)
    assert all_of(deaf.log[start:], m.MicAudio) == []
    deaf.advance(12_000 * MS)
    kinds = [
        type(r.message) for r in deaf.log[start:] if isinstance(r.message, m.LedEvent | m.CaptureEvent | m.MicAudio)
    ]
    assert kinds.index(m.LedEvent) < kinds.index(m.CaptureEvent) < kinds.index(m.MicAudio)


def test_of_a_picture_without_an_event_of_the_led_nothing_may_be_read(deaf: RawHost) -> None:
    photo = m.TakePhotoResult.unpack(deaf.call(m.Method.TAKE_PHOTO).result)
    deaf.advance(100 * MS)
    assert all_of(deaf.log, m.LedEvent) == []
    assert deaf.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0)).status == m.RpcStatus.BUSY
    crowd(deaf)
    deaf.advance(20 * MS)
    assert deaf.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0)).status == m.RpcStatus.NOT_FOUND
    assert all_of(deaf.log, m.BulkData) == []


def test_a_picture_that_is_coming_without_an_event_of_the_led_fails(deaf: RawHost) -> None:
    deaf.call(m.Method.TAKE_PHOTO)
    crowd(deaf)
    deaf.acks_events = True
    assert one(deaf.advance(1000 * MS), m.PhotoEvent).status == m.PhotoStatus.CAPTURE_FAILED
    assert deaf.call(m.Method.TAKE_PHOTO).status == m.RpcStatus.ACCEPTED


# ---- the watch sees

MUTANTS = {
    "the microphone before its LED": (
        "frame_app/capture.c",
        "    frame_led_mic(c->led, true);\n    c->on = true;\n    c->hal->mic_enable(c->hal->ctx, 1u);",
        "    c->hal->mic_enable(c->hal->ctx, 1u);\n    c->on = true;\n    frame_led_mic(c->led, true);",
    ),
    "dark before the microphone is off": (
        "frame_app/capture.c",
        "    c->hal->mic_enable(c->hal->ctx, 0u);\n    c->on = false;",
        "    frame_led_mic(c->led, false);\n    c->hal->mic_enable(c->hal->ctx, 0u);\n    c->on = false;",
    ),
    "sound before the LED's event": (
        "frame_app/capture.c",
        "if (!c->on || !announced(c) || c->count == 0u)",
        "if (!c->on || (!announced(c) && c->count < 3u) || c->count == 0u)",
    ),
    "no light for the camera": (
        "frame_app/led.c",
        "if (led->camera) level = GLINK_LED_SOLID;",
        "if (led->camera) level = GLINK_LED_DIM;",
    ),
    "dark while the sensor runs on": (
        "frame_app/photo.c",
        "    if (off) frame_led_camera(p->led, false);",
        "    frame_led_camera(p->led, false);",
    ),
    "a photo within the exposure of another": (
        "frame_app/photo.c",
        "if (p->state == FRAME_PHOTO_STOPPING) return GLINK_RPC_STATUS_BUSY;",
        "",
    ),
    "a new session is not told of a light that is lit": (
        "frame_app/led.c",
        "if (level == led->level && !on) return;",
        "if (level == led->level) return;",
    ),
    "a picture before the LED's event": (
        "frame_app/frame_app.c",
        "if (!frame_photo_announced(&app->photo)) return GLINK_RPC_STATUS_BUSY;",
        "",
    ),
    "the microphone outlives its session": (
        "frame_app/frame_app.c",
        "    frame_capture_stop(&app->capture, reason);",
        "    if (reason != GLINK_CAPTURE_STOP_HOST_GONE) frame_capture_stop(&app->capture, reason);",
    ),
    "what the line repeats counts as heard": (
        "glink/receive.c",
        "        g->stats.rx_duplicates++;\n        return;",
        "        g->stats.rx_duplicates++;\n        g->heard_us = g->now_us;\n        return;",
    ),
    "half a second too late": (
        "glink/session.c",
        "if (now_us - g->heard_us >= DEAD_AFTER_US) {",
        "if (now_us - g->heard_us >= DEAD_AFTER_US + 500000u) {",
    ),
}


@pytest.fixture(scope="module")
def plain_objects(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """The object of each source of the frame's program."""
    folder, compiler = tmp_path_factory.mktemp("objects"), need_program("cc", "gcc")
    made = {source: folder / f"{source.parent.name}-{source.stem}.o" for source in PIPE_PROGRAM}
    for source, out in made.items():
        compile_c(compiler, ["-O1", *POSIX, TEST_CHANNEL], [source], "-c", "-o", str(out))
    return made


@pytest.fixture
def mutant(name: str, plain_objects: dict[Path, Path], tmp_path: Path) -> Iterator[FrameFactory]:
    """Makes frames of the firmware with one line changed."""
    file, line, changed = MUTANTS[name]
    (source,) = (source for source in PIPE_PROGRAM if source.match(f"components/{file}"))
    text = source.read_text(encoding="utf-8")
    assert text.count(line) == 1, "the firmware has changed: change its mutant too"
    shutil.copytree(source.parent, tmp_path / "component")
    copy = tmp_path / "component" / source.name
    copy.write_text(text.replace(line, changed), encoding="utf-8")
    compiler = need_program("cc", "gcc")
    flags = ["-O1", "-Wno-error", *POSIX, TEST_CHANNEL]
    objects = [copy, *(made for other, made in plain_objects.items() if other != source)]
    compile_c(compiler, flags, objects, "-o", str(tmp_path / "frame"))
    frames: list[PipeFrame] = []

    def make(parts: Peripherals) -> SteppedFrame:
        frames.append(PipeFrame([str(tmp_path / "frame")], parts))
        return frames[-1]

    yield make
    for frame in frames:
        frame.close()


@pytest.mark.parametrize("name", MUTANTS)
def test_one_changed_line_is_seen(mutant: FrameFactory) -> None:
    with pytest.raises(Indiscreet):
        for seed in range(20):
            Provocation(mutant, seed).run(300)
