"""Objects: what the host sends arrives whole or is asked for again; what only tests the line is the same each time."""

from __future__ import annotations

import random
import zlib

import pytest
from tests.support.pictures import GivenCamera, plain_jpeg
from tests.support.raw_host import MS, RawHost, all_of, one, read_object

from lorgnette.firmware_bridge import messages as m

STATUS = m.RpcStatus
DATA = random.Random(6).randbytes(20_000)
CHUNK = m.MAX_CHUNK_BYTES


@pytest.fixture
def frame(host: RawHost) -> RawHost:
    """A connected host."""
    host.frame.peripherals.camera = GivenCamera(plain_jpeg(5000))
    host.connect()
    return host


# To the frame.


def wanted(data: bytes = DATA, number: int = 1, kind: int = m.ObjectKind.TEST) -> m.WriteObjectArgs:
    return m.WriteObjectArgs(object=number, kind=kind, size_bytes=len(data), crc32=zlib.crc32(data))


def announce(host: RawHost, args: m.WriteObjectArgs) -> int:
    """WriteObject; returns how much the frame has."""
    reply = host.call(m.Method.WRITE_OBJECT, args)
    assert reply.status == STATUS.OK
    return m.WriteObjectResult.unpack(reply.result).offset


def chunk(at: int, number: int = 1, size: int = CHUNK) -> m.BulkWrite:
    return m.BulkWrite(object=number, offset=at, data=DATA[at : at + size])


def write(host: RawHost, start: int = 0, end: int = len(DATA), size: int = CHUNK) -> list[m.ObjectEvent]:
    """Send DATA from `start` to `end`, eight frames at a time; returns what the frame reported."""
    seen = len(host.log)
    for at in range(start, end, 8 * size):
        host.send(*(chunk(i, size=min(size, end - i)) for i in range(at, min(at + 8 * size, end), size)))
    return all_of(host.log[seen:], m.ObjectEvent)


def event(status: m.ObjectStatus, received_bytes: int, number: int = 1) -> m.ObjectEvent:
    return m.ObjectEvent(object=number, status=status, received_bytes=received_bytes)


def test_an_object_arrives(frame: RawHost) -> None:
    assert announce(frame, wanted()) == 0
    assert write(frame) == [event(m.ObjectStatus.OK, len(DATA))]


@pytest.mark.parametrize("size", [1, 64, 1015])
def test_in_pieces_of_any_size(frame: RawHost, size: int) -> None:
    announce(frame, wanted(DATA[:2000]))
    assert write(frame, 0, 2000, size) == [event(m.ObjectStatus.OK, 2000)]


def test_an_object_without_octets_is_there_at_once(frame: RawHost) -> None:
    assert announce(frame, wanted(b"")) == 0
    assert one(frame.log, m.ObjectEvent) == event(m.ObjectStatus.OK, 0)
    assert announce(frame, m.WriteObjectArgs(object=1, size_bytes=0, crc32=1)) == 0
    assert all_of(frame.log, m.ObjectEvent)[1:] == [event(m.ObjectStatus.BAD_CRC, 0)]


def test_the_largest_object(frame: RawHost) -> None:
    """A megabyte of nothing: the checksum runs, nothing is stored."""
    whole = bytes(m.MAX_TEST_OBJECT_BYTES)
    assert announce(frame, wanted(whole)) == 0
    for at in range(0, len(whole), 8 * 1000):
        pieces = ((i, min(1000, len(whole) - i)) for i in range(at, min(at + 8000, len(whole)), 1000))
        frame.send(*(m.BulkWrite(object=1, offset=i, data=bytes(n)) for i, n in pieces))
    assert one(frame.log, m.ObjectEvent) == event(m.ObjectStatus.OK, len(whole))


def test_a_hole_is_reported_once_and_filled(frame: RawHost) -> None:
    announce(frame, wanted())
    write(frame, 0, 2 * CHUNK)
    frame.pack(chunk(2 * CHUNK))
    assert write(frame, 3 * CHUNK, 10 * CHUNK) == [event(m.ObjectStatus.MISSING, 2 * CHUNK)]
    assert write(frame, 2 * CHUNK, 5 * CHUNK) == []
    assert write(frame, 6 * CHUNK, 8 * CHUNK) == [event(m.ObjectStatus.MISSING, 5 * CHUNK)]  # another one
    assert write(frame, 5 * CHUNK) == [event(m.ObjectStatus.OK, len(DATA))]


def test_asked_again_it_says_how_far_it_is_and_speaks_of_the_next_hole(frame: RawHost) -> None:
    announce(frame, wanted())
    write(frame, 0, CHUNK)
    for _ in range(2):  # what filled the hole got lost as well
        assert write(frame, 2 * CHUNK, 4 * CHUNK) == [event(m.ObjectStatus.MISSING, CHUNK)]
        assert announce(frame, wanted()) == CHUNK
    assert write(frame, CHUNK) == [event(m.ObjectStatus.OK, len(DATA))]


def test_octets_that_come_twice_count_once(frame: RawHost) -> None:
    announce(frame, wanted())
    assert write(frame, 0, 4 * CHUNK) + write(frame, 0, 4 * CHUNK) + write(frame, CHUNK, 2 * CHUNK) == []
    assert write(frame, 3 * CHUNK + 7) == [event(m.ObjectStatus.OK, len(DATA))]  # cut elsewhere: half of it is new
    assert write(frame) == []


def test_a_repeated_frame_counts_once(frame: RawHost) -> None:
    announce(frame, wanted())
    first, second = frame.pack(chunk(0)), frame.pack(chunk(CHUNK))
    frame.step(first + first + second + first)
    assert announce(frame, wanted()) == 2 * CHUNK


def test_a_damaged_object_begins_anew(frame: RawHost) -> None:
    damaged = m.WriteObjectArgs(object=1, size_bytes=len(DATA), crc32=zlib.crc32(DATA) ^ 1)
    announce(frame, damaged)
    assert write(frame) == [event(m.ObjectStatus.BAD_CRC, len(DATA))]
    assert announce(frame, damaged) == 0
    announce(frame, wanted())
    assert write(frame) == [event(m.ObjectStatus.OK, len(DATA))]


def test_a_verdict_is_given_again(frame: RawHost) -> None:
    """The event may have got lost with its session."""
    announce(frame, wanted())
    write(frame)
    frame.connect(2)
    assert announce(frame, wanted()) == len(DATA)
    assert all_of(frame.log, m.ObjectEvent) == [event(m.ObjectStatus.OK, len(DATA))] * 2


@pytest.mark.parametrize(
    "other",
    [
        m.WriteObjectArgs(object=2, size_bytes=len(DATA), crc32=zlib.crc32(DATA)),
        m.WriteObjectArgs(object=1, size_bytes=len(DATA) - 1, crc32=zlib.crc32(DATA)),
        m.WriteObjectArgs(object=1, size_bytes=len(DATA), crc32=0),
    ],
    ids=["number", "size", "crc32"],
)
def test_another_object_begins_anew(frame: RawHost, other: m.WriteObjectArgs) -> None:
    announce(frame, wanted())
    write(frame, 0, CHUNK)
    assert announce(frame, wanted()) == CHUNK
    assert announce(frame, other) == 0
    assert announce(frame, wanted()) == 0, "there is one at a time"


def test_what_is_not_taken_changes_nothing(frame: RawHost) -> None:
    announce(frame, wanted())
    write(frame, 0, CHUNK)
    refused = [
        (m.WriteObjectArgs(object=1, size_bytes=m.MAX_TEST_OBJECT_BYTES + 1), STATUS.BAD_ARGUMENT),
        (m.WriteObjectArgs(object=1, size_bytes=0xFFFF_FFFF), STATUS.BAD_ARGUMENT),
        (wanted(kind=1), STATUS.UNSUPPORTED),
        (wanted(kind=255), STATUS.UNSUPPORTED),
    ]
    for args, status in refused:
        reply = frame.call(m.Method.WRITE_OBJECT, args)
        assert (reply.status, reply.result) == (status, b"")
    assert announce(frame, wanted()) == CHUNK


def test_octets_of_no_object_or_beyond_its_end_are_dropped(frame: RawHost) -> None:
    assert write(frame, 0, CHUNK) == []
    announce(frame, wanted(DATA[:100]))
    frame.send(
        m.BulkWrite(object=2, offset=0, data=DATA[:100]),
        m.BulkWrite(object=1, offset=0, data=DATA[:101]),
        m.BulkWrite(object=1, offset=100, data=b"\0"),
        m.BulkWrite(object=1, offset=101),
        m.BulkWrite(object=1, offset=0xFFFF_FFFF, data=b"\0"),
        m.BulkWrite(object=1, offset=0xFFFF_FFFF, data=DATA[:1000]),
        m.BulkWrite(object=1, offset=0),
        m.BulkWrite(object=1, offset=100),
    )
    assert all_of(frame.log, m.ObjectEvent) == [event(m.ObjectStatus.MISSING, 0)]  # the last one: nothing, and too late
    assert announce(frame, wanted(DATA[:100])) == 0
    assert write(frame, 0, 100) == [event(m.ObjectStatus.OK, 100)]


def test_the_next_session_goes_on(frame: RawHost) -> None:
    announce(frame, wanted())
    write(frame, 0, 5 * CHUNK)
    frame.connect(2)
    assert announce(frame, wanted()) == 5 * CHUNK
    write(frame, 5 * CHUNK, 9 * CHUNK)
    frame.advance(4_000 * MS, keep_alive=False)  # unplugged: the frame gives the session up
    frame.connect(3)
    assert announce(frame, wanted()) == 9 * CHUNK
    assert write(frame, 9 * CHUNK) == [event(m.ObjectStatus.OK, len(DATA))]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_lost_or_repeated_it_arrives(frame: RawHost, seed: int) -> None:
    """A host that goes on where the frame is, over a line that loses a third of its frames and repeats some."""
    rng = random.Random(seed)
    events: list[m.ObjectEvent] = []
    for _ in range(100):
        start = announce(frame, wanted())
        if start == len(DATA):
            break
        starts = range(start, len(DATA), 500)[:8]
        wires = [frame.pack(chunk(at, size=rng.choice([500, 700, CHUNK]))) for at in starts]  # some overlap
        wires += rng.choices(wires, k=2)
        events += all_of(frame.step(b"".join(w for w in wires if rng.random() > 0.3)), m.ObjectEvent)
    assert events[-1] == event(m.ObjectStatus.OK, len(DATA))
    assert {e.status for e in events[:-1]} <= {m.ObjectStatus.MISSING}


# Their credit.


def grants(received: list[m.Credit]) -> list[int]:
    return [credit.allowed for credit in received if credit.channel == m.Channel.BULK_DOWN]


def test_a_window_that_is_used_up_is_granted_again_at_once(frame: RawHost) -> None:
    announce(frame, wanted())
    for i in range(2):
        at = 8 * i * CHUNK
        got = frame.send(*(chunk(at + k * CHUNK) for k in range(8)))
        assert grants(all_of(got, m.Credit)) == [8 * (i + 1) + 8]


def test_the_loss_of_a_window_is_made_good(frame: RawHost) -> None:
    announce(frame, wanted())
    for k in range(8):
        frame.pack(chunk(k * CHUNK))
    got = frame.send(m.HighestSent(channel=m.Channel.BULK_DOWN, seq=8))
    assert grants(all_of(got, m.Credit)) == [16]


def test_a_grant_is_repeated_while_objects_come(frame: RawHost) -> None:
    announce(frame, wanted())
    frame.send(chunk(0))
    assert grants(all_of(frame.advance(3_000 * MS), m.Credit)) == [9] * 9


# To test the line.


def make(host: RawHost, size_bytes: int) -> m.MakeTestObjectResult:
    """MakeTestObject; a large one takes the frame a while."""
    call_id = 0x4000 + host.seq.get(m.Channel.RPC, 0)
    seen = len(host.log)
    host.send(m.Call(call_id=call_id, method=m.Method.MAKE_TEST_OBJECT, args=m.MakeTestObjectArgs(size_bytes).pack()))
    while not (replies := [r for r in all_of(host.log[seen:], m.Reply) if r.call_id == call_id]):
        host.advance(20 * MS)
    (reply,) = replies
    assert reply.status == STATUS.OK
    return m.MakeTestObjectResult.unpack(reply.result)


@pytest.mark.parametrize("size", [0, 1, 3, 1015, 1016, 1017, 4096, 4097, 8128, 65_537])
def test_octets_of_any_size(frame: RawHost, size: int) -> None:
    made = make(frame, size)
    assert made.object != 0
    octets = read_object(frame, made.object, size, made.crc32)
    assert (len(octets), zlib.crc32(octets)) == (size, made.crc32)


def test_the_largest_test_object(frame: RawHost) -> None:
    before_us = frame.now_us
    made = make(frame, m.MAX_TEST_OBJECT_BYTES)
    assert frame.now_us - before_us >= 255 * MS, "4 KB in a millisecond: nothing waits for long"
    octets = read_object(frame, made.object, m.MAX_TEST_OBJECT_BYTES, made.crc32)
    assert (len(octets), zlib.crc32(octets)) == (m.MAX_TEST_OBJECT_BYTES, made.crc32)
    assert len({octets[i : i + 8] for i in range(0, len(octets), 8)}) == len(octets) // 8, "no octets twice"


def test_sound_goes_on_while_it_is_made(frame: RawHost) -> None:
    frame.start_capture()
    seen = len(frame.log)
    make(frame, m.MAX_TEST_OBJECT_BYTES)
    frames = all_of(frame.log[seen:], m.MicAudio)
    assert [audio.sample for audio in frames] == list(range(0, 320 * len(frames), 320))
    assert len(frames) >= 12


def test_reading_begins_anywhere_and_gives_the_same_octets(frame: RawHost) -> None:
    size = 3000
    made = make(frame, size)
    whole = read_object(frame, made.object, size, made.crc32)
    for offset in (1, 2, 3, 4, 5, 255, 256, 257, 1015, 1016, 1017, 2998, 2999, 3000):
        assert read_object(frame, made.object, size, made.crc32, offset) == whole[offset:]
    beyond = m.ReadObjectArgs(made.object, size + 1)
    assert frame.call(m.Method.READ_OBJECT, beyond).status == STATUS.BAD_ARGUMENT


def test_each_one_is_another(frame: RawHost) -> None:
    first = make(frame, 2000)
    octets = read_object(frame, first.object, 2000, first.crc32)
    second = make(frame, 2000)
    assert (second.object, second.crc32) != (first.object, first.crc32)
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(first.object, 0)).status == STATUS.NOT_FOUND
    assert read_object(frame, second.object, 2000, second.crc32) != octets


def test_too_large_is_refused(frame: RawHost) -> None:
    for size in (m.MAX_TEST_OBJECT_BYTES + 1, 0xFFFF_FFFF):
        reply = frame.call(m.Method.MAKE_TEST_OBJECT, m.MakeTestObjectArgs(size))
        assert (reply.status, reply.result) == (STATUS.BAD_ARGUMENT, b"")
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(1, 0)).status == STATUS.NOT_FOUND


def test_a_test_object_is_dropped_like_a_photo(frame: RawHost) -> None:
    made = make(frame, 40_000)
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(made.object, 0)).status == STATUS.OK
    assert frame.call(m.Method.DROP_OBJECT, m.DropObjectArgs(made.object)).status == STATUS.OK
    got = frame.send(m.Credit(channel=m.Channel.BULK_UP, allowed=100)) + frame.advance(200 * MS)
    assert all_of(got, m.BulkData) == []
    assert frame.call(m.Method.DROP_OBJECT, m.DropObjectArgs(made.object)).status == STATUS.NOT_FOUND


def test_one_object_at_a_time(frame: RawHost) -> None:
    photo = frame.call(m.Method.TAKE_PHOTO)
    assert frame.call(m.Method.MAKE_TEST_OBJECT, m.MakeTestObjectArgs(10)).status == STATUS.BUSY
    number = m.TakePhotoResult.unpack(photo.result).object
    assert one(frame.advance(100 * MS), m.PhotoEvent).object == number

    made = make(frame, 10)  # in place of the photo
    assert made.object == number + 1
    assert not frame.frame.peripherals.camera_on
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(number, 0)).status == STATUS.NOT_FOUND
    assert frame.call(m.Method.TAKE_PHOTO).status == STATUS.ACCEPTED  # in place of the octets
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(made.object, 0)).status == STATUS.NOT_FOUND
    assert one(frame.advance(100 * MS), m.PhotoEvent).object == number + 2


def test_nothing_else_comes_while_a_large_one_is_made(frame: RawHost) -> None:
    call = m.Call(call_id=9, method=m.Method.MAKE_TEST_OBJECT, args=m.MakeTestObjectArgs(100_000).pack())
    assert all_of(frame.send(call), m.Reply) == []
    assert one(frame.send(call), m.Reply).status == STATUS.PENDING
    assert frame.call(m.Method.MAKE_TEST_OBJECT, m.MakeTestObjectArgs(1)).status == STATUS.BUSY
    assert frame.call(m.Method.TAKE_PHOTO).status == STATUS.BUSY
    assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(1, 0)).status == STATUS.BUSY
    assert frame.frame.peripherals.camera.taken == 0
    assert one(frame.advance(100 * MS), m.Reply).status == STATUS.OK


def test_the_end_of_the_session_forgets_test_objects(frame: RawHost) -> None:
    made = make(frame, 100)
    frame.send(m.Call(call_id=9, method=m.Method.MAKE_TEST_OBJECT, args=m.MakeTestObjectArgs(100_000).pack()))
    frame.connect(2)
    assert all_of(frame.advance(300 * MS), m.Reply) == []
    for number in (made.object, made.object + 1):
        assert frame.call(m.Method.READ_OBJECT, m.ReadObjectArgs(number, 0)).status == STATUS.NOT_FOUND
    assert make(frame, 5).object == made.object + 2
