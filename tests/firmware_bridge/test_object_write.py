"""Writing an object to a frame that loses, repeats, stalls and refuses."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.wire import Hand, events, of

from lorgnette.firmware_bridge.errors import (
    BridgeError,
    DeviceLost,
    LocalProtocolError,
    RemoteProtocolError,
    RequestRefused,
    RequestTimeout,
)
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import (
    CallFinished,
    Disconnected,
    ObjectFailed,
    ObjectProgress,
    ObjectReceived,
    ObjectWritten,
)
from lorgnette.firmware_bridge.messages import (
    MAX_OBJECT_BYTES,
    BulkData,
    BulkWrite,
    Call,
    Channel,
    Credit,
    Flag,
    HighestSent,
    Method,
    ObjectEvent,
    ObjectKind,
    ObjectStatus,
    Ping,
    Pong,
    ReadObjectArgs,
    ReadObjectResult,
    Reply,
    RpcStatus,
    WriteObjectArgs,
    WriteObjectResult,
)
from lorgnette.firmware_bridge.object_write import ObjectWrite, object_number
from lorgnette.firmware_bridge.transfer import MAX_FRUITLESS, STALL_S

DATA = bytes(range(256)) * 20
CRC = zlib.crc32(DATA)
NUMBER = object_number(DATA)


def writing(offset: int = 0) -> ObjectWrite:
    write = ObjectWrite(ObjectKind.TEST, DATA)
    assert ask(write, 10)
    answer(write, 10, offset)
    return write


def ask(write: ObjectWrite, call_id: int) -> bool:
    question = write.question()
    if question is None:
        return False
    assert question == WriteObjectArgs(NUMBER, ObjectKind.TEST, len(DATA), CRC)
    write.asked(call_id)
    return True


def answer(write: ObjectWrite, call_id: int, offset: int, now_s: float = 0.0, error: BridgeError | None = None) -> None:
    result = None if error else WriteObjectResult(offset)
    write.receive_reply(CallFinished(call_id, Method.WRITE_OBJECT, RpcStatus.OK, result, error), now_s)


def report(write: ObjectWrite, status: ObjectStatus, received: int, now_s: float = 0.0) -> None:
    write.receive_report(ObjectEvent(NUMBER, status, received), now_s)


def pieces(write: ObjectWrite, chunk: int, most: int = 1000) -> list[BulkWrite]:
    out = []
    while write.wants_to_send and len(out) < most:
        out.append(write.next_piece(chunk, 0.0))
    return out


def error_of(write: ObjectWrite) -> BridgeError:
    assert isinstance(write.outcome, ObjectFailed)
    return write.outcome.error


class Taker:
    """A frame's side of a write: in order only, one report for each hole."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._told = False

    def take(self, piece: BulkWrite) -> ObjectEvent | None:
        if piece.offset > len(self.data):
            told, self._told = self._told, True
            return None if told else ObjectEvent(piece.object, ObjectStatus.MISSING, len(self.data))
        fresh = piece.data[len(self.data) - piece.offset :]
        if not fresh:
            return None
        self.data += fresh
        self._told = False
        if len(self.data) < len(DATA):
            return None
        return ObjectEvent(piece.object, ObjectStatus.OK, len(self.data))


# ---- the state machine alone
@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 20)), st.integers(64, 1016))
def test_whatever_is_lost_the_object_arrives(lost: set[int], lost_reports: set[int], chunk: int) -> None:
    write, taker, now_s, sent, reports, call_id = ObjectWrite(ObjectKind.TEST, DATA), Taker(), 0.0, 0, 0, 0
    while write.outcome is None:
        call_id += 1
        if ask(write, call_id):
            answer(write, call_id, len(taker.data), now_s)
        elif write.wants_to_send:
            piece = write.next_piece(chunk, now_s)
            sent += 1
            said = None if sent in lost else taker.take(piece)
            if said is not None:
                reports += 1
                if said.status == ObjectStatus.OK or reports not in lost_reports:
                    write.receive_report(said, now_s)
        else:
            now_s += STALL_S
            write.tick(now_s)
    assert write.outcome == ObjectWritten(NUMBER)
    assert taker.data == DATA


def test_it_goes_on_where_the_frame_says() -> None:
    write = writing(offset=4096)
    assert b"".join(p.data for p in pieces(write, 1000)) == DATA[4096:]


def test_a_hole_is_filled_from_its_first_octet() -> None:
    write = writing()
    pieces(write, 512, most=5)
    report(write, ObjectStatus.MISSING, 512)
    assert write.next_piece(512, 0.0) == BulkWrite(NUMBER, 512, DATA[512:1024])
    assert write.restarts == 1


def test_silence_is_answered_by_asking_how_much_is_there() -> None:
    write = writing()
    pieces(write, 1016)
    assert write.next_deadline() == STALL_S
    write.tick(STALL_S)
    assert not write.wants_to_send, "until the frame has said"
    assert ask(write, 11)
    answer(write, 11, 5000, STALL_S)
    assert [p.offset for p in pieces(write, 1016)] == [5000]


def test_it_gives_up_when_nothing_helps() -> None:
    write, now_s = writing(), 0.0
    for call_id in range(11, 11 + MAX_FRUITLESS):
        now_s += STALL_S
        write.tick(now_s)
        assert ask(write, call_id)
        answer(write, call_id, 0, now_s)
    write.tick(now_s + STALL_S)
    assert isinstance(error_of(write), RequestTimeout)
    assert "at byte 0" in str(error_of(write))
    assert write.next_deadline() is None


def test_progress_makes_good_for_earlier_stalls() -> None:
    write, now_s = writing(), 0.0
    for call_id in range(11, 11 + 4 * MAX_FRUITLESS):
        now_s += STALL_S
        write.tick(now_s)
        assert ask(write, call_id)
        answer(write, call_id, (call_id - 10) * 10, now_s)
    assert write.outcome is None


def test_a_wrong_checksum_is_sent_once_more_and_then_reported() -> None:
    write = writing()
    for call_id in (11, 12):
        pieces(write, 1016)
        report(write, ObjectStatus.BAD_CRC, len(DATA))
        if call_id == 11:
            assert ask(write, call_id)
            answer(write, call_id, 0)
    assert isinstance(error_of(write), RemoteProtocolError)


@pytest.mark.parametrize(
    ("status", "received", "kind"),
    [(ObjectStatus.REFUSED, 100, RequestRefused), (ObjectStatus.OK, 17, RequestRefused)],
)
def test_what_a_frame_says_that_helps_nothing(status: ObjectStatus, received: int, kind: type) -> None:
    write = writing()
    report(write, status, received)
    assert isinstance(error_of(write), kind)


def test_a_frame_that_has_more_than_there_is() -> None:
    write = ObjectWrite(ObjectKind.TEST, DATA)
    ask(write, 10)
    answer(write, 10, len(DATA) + 1)
    assert isinstance(error_of(write), RemoteProtocolError)


def test_a_refusal_ends_it_and_a_timeout_does_not() -> None:
    write = ObjectWrite(ObjectKind.TEST, DATA)
    ask(write, 10)
    answer(write, 10, 0, error=RequestTimeout("late"))
    assert ask(write, 11)
    answer(write, 11, 0, error=RequestRefused("no", RpcStatus.UNSUPPORTED))
    assert isinstance(error_of(write), RequestRefused)


def test_reports_of_other_objects_are_none_of_ours() -> None:
    write = writing()
    write.receive_report(ObjectEvent(NUMBER ^ 1, ObjectStatus.OK, len(DATA)), 0.0)
    assert write.outcome is None


def test_the_number_follows_from_the_octets_and_is_never_0() -> None:
    assert object_number(DATA) == object_number(bytes(DATA))
    assert object_number(b"\xff\xff\xff\xff") == (0xFFFFFFFF & 0xFFFF)
    zero = next(n for n in range(1_000_000) if zlib.crc32(n.to_bytes(4, "little")) & 0xFFFF == 0)
    assert object_number(zero.to_bytes(4, "little")) == 1


# ---- over a link
@pytest.fixture
def hand() -> Hand:
    hand = Hand(Link())
    hand.connect(bulk_window=8)
    hand.pull()
    hand.frames.clear()
    return hand


def begin(hand: Hand, offset: int = 0) -> None:
    (call,) = of(Call, hand.pull())
    assert call.method == Method.WRITE_OBJECT
    hand.send(Reply(call.call_id, call.method, RpcStatus.OK, WriteObjectResult(offset).pack()))


def test_an_object_goes_down_under_credit(hand: Hand) -> None:
    data = bytes(20_000)
    number = hand.link.write_object(ObjectKind.TEST, data)
    begin(hand)
    sent = of(BulkWrite, hand.pull())
    assert [p.offset for p in sent] == [1016 * n for n in range(8)]
    assert not of(BulkWrite, hand.at(0.01))
    assert HighestSent(Channel.BULK_DOWN, 8) in hand.at(0.07)
    hand.send(Credit(Channel.BULK_DOWN, 30))
    sent += of(BulkWrite, hand.pull())
    assert b"".join(p.data for p in sent) == data
    assert [f.seq for f in hand.frames if f.channel == Channel.BULK_DOWN] == list(range(1, 21))
    hand.send(ObjectEvent(number, ObjectStatus.OK, len(data)), flags=Flag.ACK_REQ)
    assert [e for e in events(hand.link) if not isinstance(e, ObjectProgress)] == [ObjectWritten(number)]


def test_requests_and_audio_go_before_it(hand: Hand) -> None:
    hand.link.write_object(ObjectKind.TEST, bytes(20_000))
    begin(hand)
    hand.link.call(Method.GET_STATE)
    hand.link.send_audio(1, bytes(640), last=True)
    hand.pull()
    channels = [f.channel for f in hand.frames if f.channel != Channel.LINK]
    assert channels[:4] == [Channel.RPC, Channel.SPEAKER, Channel.RPC, Channel.BULK_DOWN]


def test_on_a_slow_line_little_waits_behind_the_port() -> None:
    """A flush must not wait behind a picture: what is written ahead takes 37 ms at most."""
    hand = Hand(Link("/dev/ttyUSB0", 115_200))
    hand.connect(bulk_window=8, max_baud=921_600)
    hand.pull()
    hand.link.write_object(ObjectKind.TEST, bytes(4000))
    (call,) = of(Call, hand.pull())
    hand.send(Reply(call.call_id, call.method, RpcStatus.OK, bytes(4)))
    sent: list[int] = []
    free_s = 0.0
    while sum(sent) < 4000:
        deadline_s = hand.link.next_deadline()
        assert deadline_s is not None
        hand.send(Credit(Channel.BULK_DOWN, len(sent) + 8))
        before = hand.link.stats.tx_bytes
        sent += [len(piece.data) for piece in of(BulkWrite, hand.at(max(deadline_s, hand.now_s)))]
        assert set(sent) <= {92, 4000 % 92}
        free_s = max(free_s, hand.now_s) + (hand.link.stats.tx_bytes - before) * 10 / 115_200
        assert free_s - hand.now_s < 0.037
    assert hand.now_s > 0.3, "4000 octets take 350 ms at 115200"
    assert hand.now_s < 0.45, "and no longer than they must"


def test_two_objects_at_once_and_none_at_all_are_our_callers_bugs(hand: Hand) -> None:
    with pytest.raises(LocalProtocolError, match="0 bytes"):
        hand.link.write_object(ObjectKind.TEST, b"")
    with pytest.raises(LocalProtocolError, match="outside"):
        hand.link.write_object(ObjectKind.TEST, bytes(MAX_OBJECT_BYTES + 1))
    hand.link.write_object(ObjectKind.TEST, DATA)
    with pytest.raises(LocalProtocolError, match="being written already"):
        hand.link.write_object(ObjectKind.TEST, DATA)


def test_a_frame_that_takes_no_objects_says_so(hand: Hand) -> None:
    hand.link.write_object(ObjectKind.TEST, DATA)
    (call,) = of(Call, hand.pull())
    hand.send(Reply(call.call_id, call.method, RpcStatus.UNKNOWN_METHOD, b""))
    (failed,) = events(hand.link)
    assert isinstance(failed, ObjectFailed)
    assert isinstance(failed.error, RequestRefused)
    hand.link.write_object(ObjectKind.TEST, DATA)


def test_an_object_that_is_no_longer_wanted(hand: Hand) -> None:
    hand.link.write_object(ObjectKind.TEST, bytes(20_000))
    begin(hand)
    hand.link.abandon_write()
    assert not of(BulkWrite, hand.pull())
    hand.link.write_object(ObjectKind.TEST, DATA)
    hand.link.abandon_write()
    hand.link.close()
    assert events(hand.link) == [], "no word about our own calls"


def test_an_unplug_in_the_middle_and_the_rest_afterwards(hand: Hand) -> None:
    number = hand.link.write_object(ObjectKind.TEST, DATA)
    begin(hand)
    hand.pull()
    hand.link.port_lost(DeviceLost("gone"))
    kinds = [type(e) for e in events(hand.link) if not isinstance(e, ObjectProgress)]
    assert kinds == [ObjectFailed, Disconnected]
    hand._seq.clear()
    hand.connect(nonce=99, bulk_window=8)
    assert hand.link.write_object(ObjectKind.TEST, DATA) == number
    begin(hand, offset=3000)
    assert b"".join(p.data for p in of(BulkWrite, hand.pull())) == DATA[3000:]


def test_an_object_that_is_read_goes_on_with_what_it_has(hand: Hand) -> None:
    hand.link.read_object(3)
    (call,) = of(Call, hand.pull())
    hand.send(Reply(call.call_id, call.method, RpcStatus.OK, ReadObjectResult(len(DATA), CRC).pack()))
    hand.send(BulkData(3, 0, DATA[:1000]))
    hand.link.port_lost(DeviceLost("gone"))
    (failed,) = [e for e in events(hand.link) if isinstance(e, ObjectFailed)]
    assert failed.received == DATA[:1000]
    hand._seq.clear()
    hand.connect(nonce=99)
    hand.link.read_object(3, failed.received)
    (call,) = of(Call, hand.pull())
    assert call.args == ReadObjectArgs(3, 1000).pack()
    hand.send(Reply(call.call_id, call.method, RpcStatus.OK, ReadObjectResult(len(DATA), CRC).pack()))
    hand.send(*(BulkData(3, at, DATA[at : at + 1000]) for at in range(1000, len(DATA), 1000)))
    assert [e for e in events(hand.link) if isinstance(e, ObjectReceived)] == [ObjectReceived(3, DATA)]


def test_progress_is_told_once_per_tick(hand: Hand) -> None:
    number = hand.link.write_object(ObjectKind.TEST, bytes(20_000))
    begin(hand)
    hand.pull()
    hand.at(0.001)
    hand.at(0.002)
    hand.send(Pong(0, 0), Ping(1))
    told = [e for e in events(hand.link) if isinstance(e, ObjectProgress)]
    assert told == [ObjectProgress(number, 8 * 1016, 20_000)]
