"""Media cases: photos. The LED before the camera, only whole JPEGs, and octets that arrive as they were."""

from __future__ import annotations

import zlib

from ..messages import (
    MAX_OBJECT_BYTES,
    Capability,
    Close,
    CloseReason,
    DropObjectArgs,
    Led,
    LedEvent,
    LedKind,
    Method,
    PhotoEvent,
    PhotoStatus,
    ReadObjectArgs,
    RpcStatus,
    TakePhotoResult,
)
from .cases import case
from .objects import BULK_WINDOW, read_object
from .rates import faster
from .trial import QUIET_MS, Trial

PHOTO_MS = 10_000
"""A camera may have to be started, to focus and to expose."""
SOI, EOI = b"\xff\xd8", b"\xff\xd9"


def take(t: Trial) -> PhotoEvent:
    """Take a photo, which must succeed."""
    mark = len(t.host.log)
    reply = t.call(Method.TAKE_PHOTO)
    t.check(reply.status == RpcStatus.ACCEPTED, f"TakePhoto was answered by status {reply.status}, not ACCEPTED")
    number = TakePhotoResult.unpack(reply.result).object
    t.check(number != 0, "the photo has the number 0")
    event = t.expect(PhotoEvent, mark, "the end of TakePhoto was not reported", timeout_ms=PHOTO_MS)
    t.check(event.object == number, f"object {number} was announced, {event.object} reported")
    t.check(event.status == PhotoStatus.OK, f"the photo failed with status {event.status}")
    t.check(0 < event.size_bytes <= MAX_OBJECT_BYTES, f"the photo has {event.size_bytes} octets")
    return event


def begin(t: Trial) -> None:
    t.need(Capability.CAMERA)
    t.connect(bulk_window=BULK_WINDOW)


@case("M-40", "the LED is solid while the camera runs", 12)
def led(t: Trial) -> None:
    """LedEvent(solid) comes before PhotoEvent, LedEvent(as before) after it; GetState reads solid meanwhile."""
    begin(t)
    mark = len(t.host.log)
    before = t.state().led
    reply = t.call(Method.TAKE_PHOTO)
    t.check(reply.status == RpcStatus.ACCEPTED, f"TakePhoto was answered by status {reply.status}, not ACCEPTED")
    t.expect(PhotoEvent, mark, "the end of TakePhoto was not reported", timeout_ms=PHOTO_MS)
    if t.declared.led_kind == LedKind.NONE:
        t.should(False, "it has no privacy LED")
        return
    t.expect(LedEvent, mark, "the LED was not put back", where=lambda event: event.level == before)
    order = [r.message for r in t.host.log[mark:] if isinstance(r.message, LedEvent | PhotoEvent) and not r.again]
    shown = [f"LED {m.level}" if isinstance(m, LedEvent) else "photo" for m in order]
    t.check(shown == [f"LED {int(Led.SOLID)}", "photo", f"LED {before}"], f"the reports came as {', '.join(shown)}")


@case("M-41", "a photo arrives as it was", 11)
def photo(t: Trial) -> None:
    """BulkData come in order, LAST on the last one; size and CRC-32 are those of PhotoEvent; it is a whole JPEG."""
    begin(t)
    with faster(t):
        event = take(t)
        reading = read_object(t, event.object, 0)
    data = reading.data
    t.check(len(data) == event.size_bytes, f"{event.size_bytes} octets were announced and {len(data)} came")
    t.check(zlib.crc32(data) == event.crc32, "the octets have another CRC-32 than PhotoEvent says")
    t.check(data[:2] == SOI and data[-2:] == EOI, "it is no whole JPEG")
    t.figures["photo_bytes"] = len(data)
    t.figures["photo_ms"] = reading.took_ms
    t.should(reading.repeats == 0, f"the photo had to be asked for {reading.repeats} times more")


@case("M-42", "reading resumes anywhere", 11)
def resume(t: Trial) -> None:
    """ReadObject sends from its offset on, also from the last octet and from the end, again and again."""
    begin(t)
    with faster(t):
        event = take(t)
        whole = read_object(t, event.object, 0).data
        size = len(whole)
        for offset in sorted({0, 1, min(1015, size), min(1017, size), size // 2, size - 1, size}):
            rest = read_object(t, event.object, offset).data
            t.check(rest == whole[offset:], f"read from octet {offset} it holds other octets than read from 0")
        beyond = ReadObjectArgs(event.object, size + 1)
        t.refused(RpcStatus.BAD_ARGUMENT, Method.READ_OBJECT, beyond)


@case("M-43", "asked again it starts anew", 11)
def anew(t: Trial) -> None:
    """A second ReadObject takes the place of the one that is being sent."""
    begin(t)
    with faster(t):
        event = take(t)
        t.ok(Method.READ_OBJECT, ReadObjectArgs(event.object, 0))
        half = event.size_bytes // 2
        data = read_object(t, event.object, half).data
        t.check(len(data) == event.size_bytes - half, f"{len(data)} octets came of {event.size_bytes - half}")
        t.check(zlib.crc32(read_object(t, event.object, 0).data) == event.crc32, "the photo has changed")


@case("M-44", "one photo at a time", 11)
def one_at_a_time(t: Trial) -> None:
    """TakePhoto while one is being taken is BUSY, and so is reading it; a new photo takes the old one's place."""
    begin(t)
    first = take(t)
    mark = len(t.host.log)
    calls = [t.host.next_call(Method.TAKE_PHOTO) for _ in range(2)]
    t.host.send(*calls)
    accepted, busy = (t.reply(call, mark) for call in calls)
    t.check(accepted.status == RpcStatus.ACCEPTED, f"TakePhoto was answered by status {accepted.status}")
    t.check(busy.status == RpcStatus.BUSY, f"a second TakePhoto was answered by status {busy.status}, not BUSY")
    number = TakePhotoResult.unpack(accepted.result).object
    t.check(number != first.object, "the second photo has the number of the first one")
    t.expect(PhotoEvent, mark, "the end of TakePhoto was not reported", timeout_ms=PHOTO_MS)
    t.silent(len(t.host.log), [PhotoEvent], "the only photo that was accepted")
    t.refused(RpcStatus.NOT_FOUND, Method.READ_OBJECT, ReadObjectArgs(first.object, 0))
    t.ok(Method.READ_OBJECT, ReadObjectArgs(number, 0))


@case("M-45", "a dropped object is gone", 11)
def dropped(t: Trial) -> None:
    """After DropObject the object is not found, and what was being sent of it ends."""
    begin(t)
    event = take(t)
    t.ok(Method.READ_OBJECT, ReadObjectArgs(event.object, 0))
    t.ok(Method.DROP_OBJECT, DropObjectArgs(event.object))
    t.refused(RpcStatus.NOT_FOUND, Method.DROP_OBJECT, DropObjectArgs(event.object))
    t.refused(RpcStatus.NOT_FOUND, Method.READ_OBJECT, ReadObjectArgs(event.object, 0))


@case("M-46", "a retry takes no second photo", 8)
def retried(t: Trial) -> None:
    """TakePhoto is ACCEPTED once; its retries, before and after PhotoEvent, get the same reply and take no photo."""
    begin(t)
    before = t.state().photos_taken
    call, mark = t.host.call(Method.TAKE_PHOTO)
    first = t.reply(call, mark)
    t.check(first.status == RpcStatus.ACCEPTED, f"TakePhoto was answered by status {first.status}, not ACCEPTED")
    t.check(t.reply(call, t.host.send(call, flags=8)) == first, "the retry got another reply")
    t.expect(PhotoEvent, mark, "the end of TakePhoto was not reported", timeout_ms=PHOTO_MS)
    t.check(t.reply(call, t.host.send(call, flags=8)) == first, "the retry got another reply after the photo")
    t.silent(len(t.host.log), [PhotoEvent], "the retry of a TakePhoto")
    taken = t.state().photos_taken - before
    t.check(taken == 1, f"{taken} photos were taken")


@case("M-47", "the session's end is the camera's", 4)
def session_end(t: Trial) -> None:
    """A session that ends while a photo is being taken switches the camera off: no PhotoEvent in the next one."""
    begin(t)
    reply = t.call(Method.TAKE_PHOTO)
    t.check(reply.status == RpcStatus.ACCEPTED, f"TakePhoto was answered by status {reply.status}, not ACCEPTED")
    t.host.send(Close(CloseReason.DONE))
    t.connect()
    t.silent(0, [PhotoEvent], "the session in which it was taken", quiet_ms=3 * QUIET_MS)
    t.check(t.state().led == Led.OFF, "the LED is lit in the next session")
    take(t)
