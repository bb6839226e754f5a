"""Media cases: objects that are no photos. Test objects from the frame, and objects to it."""

from __future__ import annotations

import zlib

from ..messages import (
    MAX_TEST_OBJECT_BYTES,
    OBJECT_STALL_MS,
    BulkData,
    BulkWrite,
    Capability,
    CaptureStartArgs,
    Channel,
    Credit,
    DropObjectArgs,
    Flag,
    HighestSent,
    MakeTestObjectArgs,
    MakeTestObjectResult,
    Method,
    ObjectEvent,
    ObjectStatus,
    ReadObjectArgs,
    RpcStatus,
    Window,
    WriteObjectArgs,
    WriteObjectResult,
)
from .cases import case
from .media_microphone import fitting_codec
from .objects import BULK_WINDOW, chunk_bytes, read_object, write_object
from .priorities import read_beside_audio
from .rates import faster
from .trial import QUIET_MS, Trial

SIZE_BYTES = 20_000
BESIDE_BYTES = 60_000
HOST_WINDOW = 16
"""Not the default of 8, so that a frame that does not listen to Confirm shows."""
NUMBER = 7


def make(t: Trial, size: int) -> int:
    """A test object; returns its number."""
    result = MakeTestObjectResult.unpack(t.ok(Method.MAKE_TEST_OBJECT, MakeTestObjectArgs(size)))
    t.check(result.object != 0, "the test object has the number 0")
    return result.object


@case("M-50", "a test object can be read", 11)
def test_object(t: Trial) -> None:
    """MakeTestObject makes octets that ReadObject reads from any offset, under the CRC-32 that it answered, until
    DropObject."""
    t.need_minor(1)
    t.connect(bulk_window=BULK_WINDOW)
    with faster(t):
        for size in (1, 63, 1016, 1017, SIZE_BYTES):
            made = MakeTestObjectResult.unpack(t.ok(Method.MAKE_TEST_OBJECT, MakeTestObjectArgs(size)))
            whole = read_object(t, made.object, 0).data
            t.check(len(whole) == size, f"a test object of {size} octets was read as {len(whole)}")
            t.check(zlib.crc32(whole) == made.crc32, "its CRC-32 is not the one that MakeTestObject answered")
            rest = read_object(t, made.object, size // 2).data
            t.check(rest == whole[size // 2 :], f"read from octet {size // 2} it holds other octets than read from 0")
        t.ok(Method.DROP_OBJECT, DropObjectArgs(made.object))
        t.refused(RpcStatus.NOT_FOUND, Method.READ_OBJECT, ReadObjectArgs(made.object, 0))


@case("M-51", "a test object has a largest size", 11)
def test_object_size(t: Trial) -> None:
    """MakeTestObject above the largest size, and WriteObject of such a one, answer BAD_ARGUMENT."""
    t.need_minor(1)
    t.connect()
    for size in (MAX_TEST_OBJECT_BYTES + 1, 0xFFFFFFFF):
        t.refused(RpcStatus.BAD_ARGUMENT, Method.MAKE_TEST_OBJECT, MakeTestObjectArgs(size))
        t.refused(RpcStatus.BAD_ARGUMENT, Method.WRITE_OBJECT, WriteObjectArgs(NUMBER, 0, size, 1))
    make(t, MAX_TEST_OBJECT_BYTES)


@case("M-52", "BulkData wait for credit", 6)
def credit_up(t: Trial) -> None:
    """The frame sends no more BulkData than it was granted, says HighestSent every 50 ms when it is stuck, and goes on
    with a grant; an older grant takes nothing back."""
    t.need_minor(1)
    t.connect()
    number = make(t, SIZE_BYTES * 2)
    mark = len(t.host.log)
    t.ok(Method.READ_OBJECT, ReadObjectArgs(number, 0))
    t.host.idle(320)
    sent = [r.frame.seq for r, _ in t.host.since(mark, BulkData)]
    t.check(sent == list(range(1, Window.BULK_UP + 1)), f"with a credit of 8 it sent the numbers {sent}")
    told = [h for _, h in t.host.since(mark, HighestSent) if h.channel == Channel.BULK_UP]
    t.check(len(told) >= 2, f"stuck for 300 ms, it said HighestSent {len(told)} times")
    t.check({h.seq for h in told} == {Window.BULK_UP}, "HighestSent names another number than was sent last")
    for allowed, expected in ((Window.BULK_UP + 2, 2), (Window.BULK_UP + 1, 0), (Window.BULK_UP + 3, 1), (0x8000, 0)):
        mark = t.host.send(Credit(Channel.BULK_UP, allowed))
        t.host.idle(QUIET_MS)
        came = len(t.host.since(mark, BulkData))
        t.check(came == expected, f"a grant of {allowed} let {came} BulkData go instead of {expected}")


@case("M-53", "the host names its window", 6)
def confirm_window(t: Trial) -> None:
    """Confirm's bulk_window is what the frame may send before the first grant."""
    t.need_minor(1)
    t.connect(bulk_window=HOST_WINDOW)
    number = make(t, SIZE_BYTES * 2)
    mark = len(t.host.log)
    t.ok(Method.READ_OBJECT, ReadObjectArgs(number, 0))
    t.host.idle(300 + t.line_us(HOST_WINDOW * chunk_bytes(t)) / 1000)
    came = len(t.host.since(mark, BulkData))
    t.check(came == HOST_WINDOW, f"with a window of {HOST_WINDOW} it sent {came} BulkData before the first grant")


@case("M-54", "BulkData fit the line", 7)
def chunks(t: Trial) -> None:
    """Every BulkData but the last holds 8 ms of the line at its present rate, or 1,016 octets where it has none."""
    t.need_minor(1)
    t.connect()
    number = make(t, SIZE_BYTES)
    mark = len(t.host.log)
    read_object(t, number, 0)
    expected = chunk_bytes(t)
    sizes = {len(chunk.data) for _, chunk in t.host.since(mark, BulkData)[:-1]}
    t.check(max(sizes) <= max(expected, 64), f"BulkData hold up to {max(sizes)} octets instead of {expected}")
    t.should(sizes == {expected}, f"BulkData hold {sorted(sizes)} octets instead of {expected}")


@case("M-55", "an object to the frame arrives", 11)
def write(t: Trial) -> None:
    """WriteObject and BulkWrite under credit; at the end ObjectEvent(ok) with all octets."""
    t.need_minor(1)
    t.connect()
    with faster(t):
        for size in (1, 100, chunk_bytes(t), SIZE_BYTES):
            writing = write_object(t, NUMBER, t.rng.randbytes(size))
            t.check(writing.status == ObjectStatus.OK, f"an object of {size} octets ended with status {writing.status}")
            t.check(writing.holes == 0, f"it said that something is missing of {size} octets, and nothing was")


@case("M-56", "a hole is said once, and filled", 11)
def hole(t: Trial) -> None:
    """At a hole the frame drops, says ObjectEvent(missing) once with what it has, and goes on from there."""
    t.need_minor(1)
    t.connect()
    size = chunk_bytes(t)
    data = t.rng.randbytes(4 * size)
    mark = len(t.host.log)
    t.ok(Method.WRITE_OBJECT, WriteObjectArgs(NUMBER, 0, len(data), zlib.crc32(data)))
    for at in (0, 2 * size, 3 * size):
        t.host.send(BulkWrite(NUMBER, at, data[at : at + size]))
    t.host.idle(QUIET_MS)
    events = [event for _, event in t.host.since(mark, ObjectEvent)]
    t.check(len(events) == 1, f"one hole was said {len(events)} times")
    seen = f"ObjectEvent says status {events[0].status}, {events[0].received_bytes} octets received"
    t.check((events[0].status, events[0].received_bytes) == (ObjectStatus.MISSING, size), seen)
    mark = len(t.host.log)
    for at in (size, 2 * size, 3 * size):
        t.host.send(BulkWrite(NUMBER, at, data[at : at + size]), flags=Flag.LAST * (at == 3 * size))
    end = t.expect(ObjectEvent, mark, "after the hole was filled the end was not reported")
    t.check((end.status, end.received_bytes) == (ObjectStatus.OK, len(data)), f"it ended with status {end.status}")


@case("M-57", "a damaged object is refused", 11)
def bad_crc(t: Trial) -> None:
    """Octets that have another CRC-32 than WriteObject said end with ObjectEvent(bad_crc)."""
    t.need_minor(1)
    t.connect()
    data = t.rng.randbytes(500)
    writing = write_object(t, NUMBER, data, crc32=zlib.crc32(data) ^ 1)
    t.check(writing.status == ObjectStatus.BAD_CRC, f"it ended with status {writing.status}, not bad_crc")
    again = write_object(t, NUMBER, data)
    t.check(again.status == ObjectStatus.OK, f"the same octets with their CRC-32 ended with status {again.status}")


@case("M-58", "a transfer goes on where it was", 11)
def write_resumes(t: Trial) -> None:
    """WriteObject of exactly the object that is under way answers how much is there, also in the next session; of
    anything else 0."""
    t.need_minor(1)
    t.connect()
    size = chunk_bytes(t)
    data = t.rng.randbytes(4 * size)
    args = WriteObjectArgs(NUMBER, 0, len(data), zlib.crc32(data))
    t.ok(Method.WRITE_OBJECT, args)
    for at in (0, size):
        t.host.send(BulkWrite(NUMBER, at, data[at : at + size]))
    t.state()
    for session in ("session", "next session"):
        offset = WriteObjectResult.unpack(t.ok(Method.WRITE_OBJECT, args)).offset
        t.check(offset == 2 * size, f"{2 * size} octets were written, and in the {session} it has {offset}")
        t.connect()
    writing = write_object(t, NUMBER, data)
    t.check(writing.status == ObjectStatus.OK, f"the rest of it ended with status {writing.status}")
    other = WriteObjectArgs(NUMBER, 0, len(data), zlib.crc32(data) ^ 5)
    offset = WriteObjectResult.unpack(t.ok(Method.WRITE_OBJECT, other)).offset
    t.check(offset == 0, f"of another object it says to have {offset} octets")


@case("M-59", "what it does not take it refuses", 11)
def unknown_kind(t: Trial) -> None:
    """WriteObject of a kind that the frame does not take answers UNSUPPORTED; BulkWrite of no object is dropped."""
    t.need_minor(1)
    t.connect()
    t.refused(RpcStatus.UNSUPPORTED, Method.WRITE_OBJECT, WriteObjectArgs(NUMBER, 250, 100, 1))
    mark = t.host.send(BulkWrite(0xBEEF, 0, b"of an object that was never announced"))
    t.silent(mark, [ObjectEvent], "a BulkWrite of an unknown object", quiet_ms=OBJECT_STALL_MS)
    t.alive("a BulkWrite of an unknown object")


@case("M-48", "audio comes before an object", 7)
def priorities(t: Trial) -> None:
    """While an object is being read no AudioFrame is lost, or comes more than 20 ms later than the first one by its
    own clock."""
    t.need(Capability.MICROPHONE)
    t.need_minor(1)
    t.connect(bulk_window=BULK_WINDOW)
    with faster(t):
        number = make(t, BESIDE_BYTES)
        t.ok(Method.CAPTURE_START, CaptureStartArgs(fitting_codec(t)))
        t.host.idle(300)
        read_beside_audio(t, number)
