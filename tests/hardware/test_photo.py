"""Photos: the LED before the camera, only whole JPEGs, and octets that arrive as they were."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from tests.support.pictures import GivenCamera, plain_jpeg
from tests.support.raw_host import MS, RawHost, all_of, one, read_object

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import CameraFailed, ImageCamera, PartChange, Peripherals
from lorgnette.firmware_bridge.simulator.camera import EXPOSURE_MS
from lorgnette.firmware_bridge.simulator.picture import built_in_picture

STATUS = m.RpcStatus
PICTURE = plain_jpeg(5000)


class BrokenCamera(ImageCamera):
    """Gives no picture."""

    def take(self) -> bytes:
        raise CameraFailed("no frame buffer")


def take(host: RawHost) -> m.PhotoEvent:
    reply = host.call(m.Method.TAKE_PHOTO)
    assert reply.status == STATUS.ACCEPTED
    event = one(host.advance(100 * MS), m.PhotoEvent)
    assert event.object == m.TakePhotoResult.unpack(reply.result).object
    return event


def read(host: RawHost, photo: m.PhotoEvent, offset: int = 0) -> bytes:
    return read_object(host, photo.object, photo.size_bytes, photo.crc32, offset)


@pytest.fixture
def frame(host: RawHost) -> RawHost:
    """A connected host on a frame whose camera takes PICTURE."""
    host.frame.peripherals.camera = GivenCamera(PICTURE)
    host.connect()
    return host


def test_the_led_is_solid_before_the_camera_runs(frame: RawHost) -> None:
    got = frame.send(m.Call(call_id=1, method=m.Method.TAKE_PHOTO))
    assert frame.frame.peripherals.changes[1:] == [PartChange(0, "led", m.Led.SOLID), PartChange(0, "camera", 1)]
    assert frame.frame.peripherals.camera_on
    assert [type(r.message) for r in got] == [m.LedEvent, m.Reply]
    got = [r for r in frame.advance(100 * MS) if r.chan == m.Channel.EVENT]
    assert [type(r.message) for r in got] == [m.PhotoEvent, m.LedEvent]
    assert one(got, m.LedEvent).level == m.Led.OFF
    assert frame.frame.peripherals.changes[3:] == [PartChange(1600, "camera", 0), PartChange(1600, "led", m.Led.OFF)]


def test_the_led_returns_to_the_microphones_level(frame: RawHost) -> None:
    frame.start_capture()
    take(frame)
    assert [level for _, level in frame.frame.peripherals.led] == [m.Led.OFF, m.Led.DIM, m.Led.SOLID, m.Led.DIM]
    frame.call(m.Method.TAKE_PHOTO)
    frame.call(m.Method.CAPTURE_STOP)
    assert frame.frame.peripherals.led[-1][1] == m.Led.SOLID  # the camera still runs
    frame.advance(100 * MS)
    assert frame.frame.peripherals.led[-1][1] == m.Led.OFF


def test_a_photo_arrives_as_it_was(frame: RawHost) -> None:
    photo = take(frame)
    assert photo == m.PhotoEvent(object=1, status=0, size_bytes=len(PICTURE), crc32=zlib.crc32(PICTURE))
    assert read(frame, photo) == PICTURE


def test_the_built_in_picture(frame: RawHost) -> None:
    frame.frame.peripherals.camera = ImageCamera()
    assert read(frame, take(frame)) == built_in_picture()


def test_a_large_photo_wraps_no_counter_and_loses_nothing(frame: RawHost) -> None:
    large = plain_jpeg(300_000)
    frame.frame.peripherals.camera = GivenCamera(large)
    assert read(frame, take(frame)) == large


def test_reading_resumes_anywhere(frame: RawHost) -> None:
    photo = take(frame)
    for offset in (0, 1, 1015, 1016, 1017, len(PICTURE) - 1, len(PICTURE)):
        assert read(frame, photo, offset) == PICTURE[offset:]


def test_asked_again_it_starts_anew(frame: RawHost) -> None:
    frame.frame.peripherals.camera = GivenCamera(plain_jpeg(40_000))
    photo = take(frame)
    frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0))  # eight chunks, then it waits
    assert read(frame, photo, 3000) == plain_jpeg(40_000)[3000:]
    assert read(frame, photo) == plain_jpeg(40_000)


def test_objects_that_are_not_there(frame: RawHost) -> None:
    for method, args in (
        (m.Method.READ_OBJECT, m.ReadObjectArgs(1, 0)),
        (m.Method.DROP_OBJECT, m.DropObjectArgs(1)),
        (m.Method.READ_OBJECT, m.ReadObjectArgs(0, 0)),
    ):
        assert frame.call(method, args).status == STATUS.NOT_FOUND
    photo = take(frame)
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object + 1, 0)).status == STATUS.NOT_FOUND
    beyond = m.ReadObjectArgs(photo.object, len(PICTURE) + 1)
    assert frame.call(m.Method.READ_OBJECT, beyond).status == STATUS.BAD_ARGUMENT


def test_a_dropped_object_is_gone(frame: RawHost) -> None:
    photo = take(frame)
    assert frame.call(m.Method.DROP_OBJECT, m.DropObjectArgs(photo.object)).status == STATUS.OK
    assert frame.call(m.Method.DROP_OBJECT, m.DropObjectArgs(photo.object)).status == STATUS.NOT_FOUND
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0)).status == STATUS.NOT_FOUND


def test_dropping_ends_what_is_being_sent(frame: RawHost) -> None:
    frame.frame.peripherals.camera = GivenCamera(plain_jpeg(40_000))
    photo = take(frame)
    frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0))
    frame.call(m.Method.DROP_OBJECT, m.DropObjectArgs(photo.object))
    got = frame.send(m.Credit(channel=m.Channel.BULK_UP, allowed=100)) + frame.advance(200 * MS)
    assert all_of(got, m.BulkData) + all_of(got, m.HighestSent) == []


def test_one_photo_at_a_time(frame: RawHost) -> None:
    first = frame.call(m.Method.TAKE_PHOTO)
    assert frame.call(m.Method.TAKE_PHOTO).status == STATUS.BUSY
    wanted = m.TakePhotoResult.unpack(first.result).object
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(wanted, 0)).status == STATUS.BUSY
    assert len(all_of(frame.advance(300 * MS), m.PhotoEvent)) == 1


def test_a_new_photo_replaces_the_old_one(frame: RawHost) -> None:
    first = take(frame)
    frame.frame.peripherals.camera = GivenCamera(plain_jpeg(77))
    second = take(frame)
    assert second.object != first.object
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(first.object, 0)).status == STATUS.NOT_FOUND
    assert read(frame, second) == plain_jpeg(77)
    assert frame.state().photos_taken == 2


# What a camera's buffer may hold: only the first whole picture is a picture.


def test_concatenated_pictures_are_cut_at_the_first_end(frame: RawHost) -> None:
    frame.frame.peripherals.camera = GivenCamera(PICTURE + plain_jpeg(99) + PICTURE[:100])
    photo = take(frame)
    assert (photo.size_bytes, photo.crc32) == (len(PICTURE), zlib.crc32(PICTURE))
    assert read(frame, photo) == PICTURE


@pytest.mark.parametrize(
    "octets",
    [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", PICTURE[:-2], PICTURE[1:], b"\0" + PICTURE, b"garbage" * 99],
    ids=["empty", "one octet", "SOI", "no scan", "no EOI", "no SOI", "shifted", "garbage"],
)
def test_what_is_no_whole_picture_is_refused(frame: RawHost, octets: bytes) -> None:
    frame.frame.peripherals.camera = GivenCamera(octets)
    photo = take(frame)
    assert photo == m.PhotoEvent(object=1, status=m.PhotoStatus.NOT_JPEG, size_bytes=0, crc32=0)
    assert frame.frame.peripherals.led[-1][1] == m.Led.OFF
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(1, 0)).status == STATUS.NOT_FOUND
    frame.frame.peripherals.camera = GivenCamera(PICTURE)
    assert read(frame, take(frame)) == PICTURE  # the next one is fine
    assert frame.state().photos_taken == 1


def test_a_camera_that_gives_nothing(frame: RawHost) -> None:
    frame.frame.peripherals.camera = BrokenCamera()
    assert take(frame).status == m.PhotoStatus.CAPTURE_FAILED
    assert frame.frame.peripherals.led[-1][1] == m.Led.OFF


def test_a_missing_file_is_a_failed_capture(frame: RawHost, tmp_path: Path) -> None:
    frame.frame.peripherals.camera = ImageCamera(tmp_path / "gone.jpg")
    assert take(frame).status == m.PhotoStatus.CAPTURE_FAILED


def test_a_picture_larger_than_the_buffer(frame: RawHost) -> None:
    frame.frame.peripherals.camera = GivenCamera(plain_jpeg(m.MAX_OBJECT_BYTES))
    assert take(frame).status == m.PhotoStatus.TOO_LARGE


def exposing(frame: RawHost, exposure_ms: int) -> Peripherals:
    """The frame's parts while a picture is being taken that takes so long."""
    frame.frame.peripherals.camera = camera = GivenCamera(PICTURE)
    camera.exposure_ms = exposure_ms
    assert frame.call(m.Method.TAKE_PHOTO).status == STATUS.ACCEPTED
    camera.exposure_ms = EXPOSURE_MS
    return frame.frame.peripherals


def lit(parts: Peripherals) -> bool:
    """Whether the camera is on; the LED must say the same."""
    assert parts.led[-1][1] == (m.Led.SOLID if parts.camera_on else m.Led.OFF)
    return parts.camera_on


def test_a_closed_session_wants_no_picture_and_the_led_stays_until_the_sensor_is_off(frame: RawHost) -> None:
    """A sensor cannot be stopped within its exposure."""
    parts = exposing(frame, 500)
    frame.send(m.Close(reason=m.CloseReason.DONE))
    frame.session = 0
    frame.advance(499 * MS)
    assert lit(parts)
    frame.advance(1 * MS)
    assert not lit(parts)
    frame.connect(2)
    assert all_of(frame.advance(300 * MS), m.PhotoEvent) == []
    assert frame.state().photos_taken == 0
    assert read(frame, take(frame)) == PICTURE


def test_a_new_session_waits_for_the_sensor_of_the_old_one(frame: RawHost) -> None:
    parts = exposing(frame, 500)
    frame.connect(2)
    assert (frame.state().led, lit(parts)) == (m.Led.SOLID, True)
    start = len(frame.log)
    for _ in range(5):
        assert frame.call(m.Method.TAKE_PHOTO).status == STATUS.BUSY
        frame.advance(99 * MS)
    assert lit(parts)
    frame.advance(5 * MS)
    assert not lit(parts)
    assert one(frame.log[start:], m.LedEvent).level == m.Led.OFF
    assert all_of(frame.log[start:], m.PhotoEvent) == []
    assert read(frame, take(frame)) == PICTURE
    assert [change.value for change in parts.changes if change.part == "camera"] == [1, 0, 1, 0]


def test_a_new_session_may_use_everything_else_meanwhile(frame: RawHost) -> None:
    exposing(frame, 500)
    frame.connect(2)
    reply = frame.call(m.Method.MAKE_TEST_OBJECT, m.MakeTestObjectArgs(1000))
    made = m.MakeTestObjectResult.unpack(reply.result)
    assert frame.call(m.Method.TAKE_PHOTO).status == STATUS.BUSY
    frame.start_capture()
    frame.advance(600 * MS)
    assert len(read_object(frame, made.object, 1000, made.crc32)) == 1000, "the late picture took nobody's place"
    assert [level for _, level in frame.frame.peripherals.led] == [m.Led.OFF, m.Led.SOLID, m.Led.DIM]


def test_a_host_that_falls_silent_within_an_exposure(frame: RawHost) -> None:
    frame.advance(2500 * MS, keep_alive=False)
    parts = exposing(frame, 4000)
    frame.session = 0
    frame.advance(3000 * MS)
    assert lit(parts), "the session is over, the exposure is not"
    frame.advance(1000 * MS)
    assert not lit(parts)
    frame.connect(2)
    assert read(frame, take(frame)) == PICTURE


def test_a_camera_that_comes_too_late(frame: RawHost) -> None:
    """After five seconds the host hears that there is no picture; the sensor may be on for longer."""
    parts = exposing(frame, 7000)
    assert all_of(frame.advance(4999 * MS), m.PhotoEvent) == []
    assert one(frame.advance(1 * MS), m.PhotoEvent).status == m.PhotoStatus.CAPTURE_FAILED
    assert lit(parts)
    assert frame.call(m.Method.TAKE_PHOTO).status == STATUS.BUSY
    frame.advance(1000 * MS)
    frame.send(m.Close(reason=m.CloseReason.DONE))  # while it is being stopped already
    frame.connect(3)
    assert lit(parts)
    assert all_of(frame.advance(1000 * MS), m.PhotoEvent) == []
    assert not lit(parts)
    assert read(frame, take(frame)) == PICTURE


def test_the_end_of_the_session_forgets_the_photo(frame: RawHost) -> None:
    photo = take(frame)
    frame.connect(2)
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0)).status == STATUS.NOT_FOUND
