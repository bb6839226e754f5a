"""What a host sends without credit stays within what the frame's receive ring has room for, whatever happens."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.wire import Hand

from lorgnette.firmware_bridge.link import Link, WireRecord
from lorgnette.firmware_bridge.messages import (
    STALL_MS,
    UNCREDITED_BYTES,
    BulkData,
    ButtonEvent,
    Call,
    Capability,
    Channel,
    Close,
    CloseReason,
    Confirm,
    Credit,
    EventAck,
    Flag,
    HighestSent,
    Message,
    Method,
    Ping,
    Pong,
    ReadObjectResult,
    Reply,
    RpcStatus,
    SetRate,
)
from lorgnette.firmware_bridge.uncredited import SPAN_S, Budget, LinkQueue, wire_bytes

STALL_S = STALL_MS / 1000


class Meter:
    """The most that was sent on the link channel in any stall, the delimiter in front of each frame included."""

    def __init__(self, link: Link) -> None:
        self.worst = 0
        self.total = 0
        self._sent: list[tuple[float, int]] = []
        link.on_frame = self.on_frame

    def on_frame(self, record: WireRecord) -> None:
        if record.direction != "tx" or record.channel != Channel.LINK:
            return
        self.total += 1
        self._sent.append((record.host_time_s, record.size_bytes + 1))
        self._sent = [(at_s, size) for at_s, size in self._sent if at_s >= record.host_time_s - STALL_S]
        self.worst = max(self.worst, sum(size for _, size in self._sent))


# ---- the budget
@given(st.lists(st.tuples(st.floats(0, 0.2), st.integers(1, 300)), max_size=60))
def test_no_span_holds_more_than_the_budget(wishes: list[tuple[float, int]]) -> None:
    budget, now_s, spent = Budget(), 0.0, []
    for pause_s, octets in wishes:
        now_s += pause_s
        if octets <= budget.room(now_s):
            budget.spend(octets, now_s)
            spent.append((now_s, octets))
        else:
            freed_s = budget.room_s(octets)
            assert freed_s > now_s
            assert budget.room(freed_s) >= octets, "there is room when it says so"
            now_s = freed_s
    for at_s, _ in spent:
        assert sum(octets for s, octets in spent if at_s <= s <= at_s + STALL_S) <= UNCREDITED_BYTES


def test_room_that_is_there_needs_no_waiting() -> None:
    budget = Budget()
    assert budget.room_s(UNCREDITED_BYTES) < 0
    budget.spend(UNCREDITED_BYTES, 1.0)
    assert budget.room(1.0) == 0
    assert budget.room_s(1) == 1.0 + SPAN_S
    assert budget.room(1.0 + SPAN_S) == UNCREDITED_BYTES


# ---- the queue
def drained(queue: LinkQueue, room: int = UNCREDITED_BYTES) -> list[Message]:
    out = []
    while (message := queue.pop(room)) is not None:
        out.append(message)
    return out


def test_what_a_session_lives_by_goes_first() -> None:
    queue = LinkQueue()
    order = [Confirm(1, 64), SetRate(921_600), Ping(1), Pong(2, 0), EventAck(3), Credit(5, 9), HighestSent(4, 8)]
    for message in reversed(order):
        queue.put(message)
    assert queue.needed() is not None
    assert drained(queue) == order
    assert queue.needed() is None


def test_a_newer_message_says_all_that_an_older_one_of_its_kind_did() -> None:
    queue = LinkQueue()
    for number in range(1000):
        queue.put(Pong(number, 0))
        queue.put(Credit(Channel.BULK_UP, number))
        queue.put(HighestSent(Channel.RPC + number % 2 * 3, number))
    assert drained(queue) == [
        Pong(999, 0),
        Credit(Channel.BULK_UP, 999),
        HighestSent(Channel.RPC, 998),
        HighestSent(Channel.SPEAKER, 999),
    ]


def test_grants_leave_room_for_what_is_more_urgent_and_everything_for_close() -> None:
    queue = LinkQueue()
    queue.put(Credit(Channel.BULK_UP, 1))
    needed = queue.needed()
    assert needed is not None
    assert queue.pop(needed - 1) is None
    queue.put(Ping(1))
    assert queue.pop(needed - 1) == Ping(1)
    assert queue.pop(needed) == Credit(Channel.BULK_UP, 1)
    queue.put(Ping(2))
    assert queue.pop(wire_bytes(Ping(2))) is None, "or Close would have to wait"
    queue.put(Close(0))
    assert queue.pop(wire_bytes(Close(0))) == Close(0)


def test_the_cost_of_a_message_is_what_it_takes_on_the_wire() -> None:
    hand = Hand(Link())
    for message in (Ping(0xFFFFFFFF), Pong(0, 0), EventAck(1), Credit(5, 0xFFFF), Confirm(0, 64), Close(0)):
        assert wire_bytes(message) == len(hand.encode(message)) + 1, "and a delimiter in front"


# ---- the link
class FastFrame:
    """A frame's end of a fast line that loses frames: it sends an object and events as fast as it may, and pings."""

    def __init__(self, hand: Hand, lost: Iterable[bool]) -> None:
        self.hand = hand
        self._lost = iter(lost)
        self._data = bytes(600_000)
        self._at = 0
        self._allowed, self._seq = 0, 0
        self.granted = 0

    def turn(self, sent: list[Message | None]) -> None:
        for message in sent:
            if isinstance(message, Call) and message.method == Method.READ_OBJECT:
                self._at = int.from_bytes(message.args[2:6], "little")
                result = ReadObjectResult(len(self._data), zlib.crc32(self._data))
                self.hand.send(Reply(message.call_id, message.method, RpcStatus.OK, result.pack()))
            elif isinstance(message, Call):
                self.hand.send(Reply(message.call_id, message.method, RpcStatus.OK, b""))
            elif isinstance(message, Credit) and message.channel == Channel.BULK_UP:
                self._allowed = message.allowed
                self.granted += 1
        while self._at < len(self._data) and 0 < ((self._allowed - self._seq) & 0xFFFF) < 0x8000:
            piece = BulkData(1, self._at, self._data[self._at : self._at + 1016])
            self._at += len(piece.data)
            self._seq = (self._seq + 1) & 0xFFFF
            data = self.hand.encode(piece, seq=self._seq)
            if not next(self._lost, False):
                self.hand.link.receive_data(data, self.hand.now_s)
            if self._seq % 16 == 0:  # 0.1 ms a frame is faster than any USB
                break
        if 0 < self._at < len(self._data) and self._allowed == self._seq:
            self.hand.send(HighestSent(Channel.BULK_UP, self._seq))


@pytest.mark.parametrize("loss", [0, 7, 3])
def test_a_fast_line_that_loses_frames_cannot_make_the_host_say_too_much(loss: int) -> None:
    hand = Hand(Link())
    meter = Meter(hand.link)
    hand.connect(capabilities=int(Capability.CAMERA))
    lost = ((number * 2_654_435_761 >> 7) % loss == 0 if loss else False for number in range(1_000_000))
    frame = FastFrame(hand, lost)
    for round_ in range(4000):
        now_s = round_ * 0.001
        if round_ % 700 == 0:
            hand.link.abandon_read()
            hand.link.read_object(1)
        frame.turn(hand.at(now_s))
        if round_ % 250 == 0:
            hand.send(Ping(round_))
        if round_ % 40 == 0:
            hand.send(ButtonEvent(1, round_), flags=Flag.ACK_REQ)
    assert meter.worst <= UNCREDITED_BYTES
    assert meter.worst > UNCREDITED_BYTES // 2, "or this line was none that hurries"
    assert frame.granted > 20, "and it did not starve"


def test_what_had_to_wait_goes_as_soon_as_there_is_room() -> None:
    hand = Hand(Link())
    hand.connect()
    hand.pull()
    sent = []
    for round_ in range(200):
        hand.send(Ping(round_))
        sent += hand.at(round_ * 0.001)
    assert 5 < len(sent) < 40
    deadline_s = hand.link.next_deadline()
    assert deadline_s is not None
    assert deadline_s <= SPAN_S
    assert Pong(199, 0) in hand.at(deadline_s), "the latest ping is answered"


def test_close_never_waits() -> None:
    hand = Hand(Link())
    meter = Meter(hand.link)
    hand.connect()
    for round_ in range(400):
        hand.send(Ping(round_))
        hand.at(round_ * 0.001)
    hand.link.close(CloseReason.DONE)
    assert hand.pull() == [Close(CloseReason.DONE)]
    assert meter.worst <= UNCREDITED_BYTES


def test_a_handshake_after_much_talk_stays_within_the_budget_too() -> None:
    hand = Hand(Link())
    meter = Meter(hand.link)
    hand.connect()
    for round_ in range(100):
        hand.send(Ping(round_))
        hand.at(round_ * 0.001)
    for attempt in range(20):
        hand.link.start(attempt + 7, hand.now_s)
        for _ in range(20):
            hand.at(hand.now_s + 0.001)
    assert meter.worst <= UNCREDITED_BYTES
    for _ in range(100):
        hand.at(hand.now_s + 0.01)
    assert meter.total > 20, "Hello goes on when there is room"
