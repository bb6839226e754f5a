"""A frame that wishes the host ill: whatever it says, in whatever state, the host stays whole, small and polite.

`test_link.py` has single octets and single frames; here hypothesis writes whole conversations. The hostile frame knows
the protocol well: its CRCs, sessions and numbers are right, it answers the calls that were made, and it floods.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, ModuleType

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.wire import events

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.codec import message_of, payload_of
from lorgnette.firmware_bridge.errors import DeviceLost, LocalProtocolError
from lorgnette.firmware_bridge.frame import Frame, FrameReader
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import AudioReceived, ConsoleText, Event, ObjectReceived
from lorgnette.firmware_bridge.link_states import State

SESSION = 7
NONCE = 0x1234
FLOOD = 300
MAX_HELD_BYTES = 400_000
"""Of a Link whose events are taken: what its own caller wants to send, and what it reads of an object."""
MAX_TURN_BYTES = 255 * 300 + 255 * 700 + 4096
"""What may leave at once: every request and AudioFrame that the frame can grant, and the link channel."""

u8, u16, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)
tails = st.one_of(st.binary(max_size=60), st.sampled_from([b"", b"\0" * 640, b"\xff" * 1000, b"\x1b[2J\x07" * 40]))
steps_s = st.sampled_from([0.0, 0.0, 0.001, 0.05, 0.1, 0.3, 1.0, 3.5])


def of_kind(kind: type[m.Message]) -> st.SearchStrategy[m.Message]:
    """Messages of one kind with any octets in it."""
    return st.binary(max_size=90).map(kind.unpack)


def hello_ack(max_baud: int = 0) -> m.HelloAck:
    windows = {"rpc_window": 8, "speaker_window": 6, "bulk_window": 8}
    return m.HelloAck(m.MAJOR, m.MINOR, NONCE, 1, SESSION, capabilities=0x7F, max_baud=max_baud, **windows)


FROM_FRAME = [kind for kind in (*m.TYPED.values(), *m.UNTYPED.values()) if kind not in (m.Close, m.HelloAck, m.Refuse)]


def held_bytes(root: object) -> int:
    """The memory that `root` keeps, without code."""
    seen: set[int] = set()
    waiting, total = [root], 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType | BuiltinFunctionType):
            continue
        seen.add(id(thing))
        total += sys.getsizeof(thing)
        waiting += gc.get_referents(thing)
    return total


class HostileFrame(RuleBasedStateMachine):
    """The frame's side decides; the host's caller asks for things in between."""

    def __init__(self) -> None:
        super().__init__()
        self.link = Link(baud=921_600)
        self.now_s = 0.0
        self.max_baud = 0  # of the line; 0 has no rate
        self.seq: dict[int, int] = {}
        self.sent: list[Frame] = []
        self.reader = FrameReader()
        self.uncredited: deque[tuple[float, int]] = deque()
        self.events: list[Event] = []

    # ---- the host's caller
    @initialize(max_baud=st.sampled_from([0, 0, 2_000_000, 0xFFFF_FFFF]), connected=st.booleans())
    def begin(self, max_baud: int, connected: bool) -> None:
        self.max_baud = max_baud
        if connected:
            self.connect()

    def connect(self) -> None:
        self.link.start(NONCE, self.now_s)
        self.seq.clear()
        self.work()
        self.say(m.Channel.LINK, payload_of(hello_ack(self.max_baud)))
        self.say(m.Channel.LINK, payload_of(m.Pong(1)))
        assert self.link.state is (State.SETTLING if self.max_baud else State.OPEN)

    def ask(self, act: Callable[[], object]) -> None:
        """Misuse is refused by one error and nothing else."""
        try:
            act()
        except LocalProtocolError:
            return

    @rule(method=st.sampled_from(m.Method))
    def call(self, method: m.Method) -> None:
        self.ask(lambda: self.link.call(method, timeout_s=1.0))

    @rule(stream=st.integers(0, 3), last=st.booleans())
    def speak(self, stream: int, last: bool) -> None:
        self.ask(lambda: self.link.send_audio(stream, bytes(3200), last))

    @rule(object_id=st.integers(0, 2))
    def read(self, object_id: int) -> None:
        self.ask(lambda: self.link.read_object(object_id))

    @rule(size=st.sampled_from([0, 1, 20_000]))
    def write(self, size: int) -> None:
        self.ask(lambda: self.link.write_object(m.ObjectKind.TEST, bytes(size)))

    @rule()
    def abandon(self) -> None:
        self.link.abandon_read()
        self.link.abandon_write()

    @precondition(lambda self: self.link.state in (State.IDLE, State.GREETING))
    @rule()
    def start(self) -> None:
        self.connect()

    @rule()
    def lose_port(self) -> None:
        self.link.port_lost(DeviceLost("gone", "plug it in"))

    # ---- the frame
    def say(self, channel: int, payload: bytes, *, flags: int = 0, leap: int = 1, session: int = SESSION) -> None:
        self.seq[channel] = (self.seq.get(channel, 0) + leap) & 0xFFFF
        wire = b"\0" + Frame(channel, flags, self.seq[channel], session, payload[: m.MAX_PAYLOAD_BYTES]).encode()
        self.link.receive_data(wire, self.now_s)

    def calls(self) -> list[m.Call]:
        return [call for frame in self.sent if isinstance(call := message_of(frame), m.Call)]

    @rule(data=st.one_of(st.binary(max_size=300), st.binary(min_size=1, max_size=9).map(lambda b: b * 400)))
    def octets(self, data: bytes) -> None:
        self.link.receive_data(data, self.now_s)

    @rule(
        channel=st.one_of(st.integers(0, 9), u8),
        kind=st.integers(0, 13),
        rest=tails,
        flags=u8,
        leap=st.sampled_from([1, 1, 1, 0, 2, 40_000]),
        session=st.sampled_from([SESSION] * 6 + [0, 8]),
    )
    def frame(self, channel: int, kind: int, rest: bytes, flags: int, leap: int, session: int) -> None:
        self.say(channel, bytes((kind,)) + rest, flags=flags, leap=leap, session=session)

    @rule(message=st.sampled_from(FROM_FRAME).flatmap(of_kind), flags=u8)
    def message(self, message: m.Message, flags: int) -> None:
        assert message.CHANNEL is not None
        self.say(message.CHANNEL, payload_of(message), flags=flags)

    @rule(text=tails)
    def log(self, text: bytes) -> None:
        self.say(m.Channel.LOG, m.LogText(0, text).pack())

    @rule(status=st.sampled_from([*m.RpcStatus, 99]), result=tails)
    def answer(self, status: int, result: bytes) -> None:
        """The last call, with whatever result."""
        if calls := self.calls():
            reply = m.Reply(calls[-1].call_id, calls[-1].method, status, result)
            self.say(m.Channel.RPC, payload_of(reply))

    @rule(size=st.sampled_from([0, 1, 500, m.MAX_OBJECT_BYTES, m.MAX_OBJECT_BYTES + 1, 0xFFFF_FFFF]), crc=u32)
    def announce(self, size: int, crc: int) -> None:
        """The object that is being read has this size, it says."""
        for call in self.calls()[-2:]:
            if call.method == m.Method.READ_OBJECT:
                result = m.ReadObjectResult(size, crc).pack()
                self.say(m.Channel.RPC, payload_of(m.Reply(call.call_id, call.method, m.RpcStatus.OK, result)))

    @rule(object_id=st.integers(0, 2), offset=st.one_of(st.sampled_from([0, 500, 0xFFFF_FFFF]), u32), data=tails)
    def bulk(self, object_id: int, offset: int, data: bytes) -> None:
        self.say(m.Channel.BULK_UP, m.BulkData(object_id, offset, data).pack())

    @rule(
        status=st.sampled_from([*m.ObjectStatus, 99]),
        received=st.one_of(st.sampled_from([0, 1, 20_000, 0xFFFF_FFFF]), u32),
    )
    def report(self, status: int, received: int) -> None:
        """What became of the object that the host sends, it says."""
        for number in {m.BulkWrite.unpack(f.payload).object for f in self.sent if f.channel == m.Channel.BULK_DOWN}:
            self.say(m.Channel.EVENT, payload_of(m.ObjectEvent(number, status, received)), flags=m.Flag.ACK_REQ)

    @rule(offset=st.one_of(st.sampled_from([0, 1, 20_000, 0xFFFF_FFFF]), u32))
    def take(self, offset: int) -> None:
        """It has so much of that object already, it says."""
        for call in self.calls()[-2:]:
            if call.method == m.Method.WRITE_OBJECT:
                reply = m.Reply(call.call_id, call.method, m.RpcStatus.OK, m.WriteObjectResult(offset).pack())
                self.say(m.Channel.RPC, payload_of(reply))

    @rule(baud=st.one_of(st.sampled_from([0, 115_200, 921_600, 2_000_000]), u32))
    def set_rate(self, baud: int) -> None:
        self.say(m.Channel.LINK, payload_of(m.RateSet(baud)))

    @rule(channel=st.integers(0, 9), allowed=st.one_of(st.integers(0, 300), u16))
    def grant(self, channel: int, allowed: int) -> None:
        self.say(m.Channel.LINK, payload_of(m.Credit(channel, allowed)))

    @rule(message=st.sampled_from(FROM_FRAME).flatmap(of_kind), flags=u8)
    def flood(self, message: m.Message, flags: int) -> None:
        """The same again and again, in no time."""
        assert message.CHANNEL is not None
        for turn in range(FLOOD):
            self.say(message.CHANNEL, payload_of(message), flags=flags)
            if turn % 4 == 0:
                self.work()
                self.the_frame_s_ring_never_overflows()
        self.work()
        self.check_memory()

    @rule(octets=st.binary(min_size=1, max_size=9))
    def flood_of_noise(self, octets: bytes) -> None:
        for _ in range(FLOOD):
            self.link.receive_data(octets * 200 + b"\0", self.now_s)
            self.work()
        self.check_memory()

    # ---- time
    @rule(step_s=steps_s)
    def wait(self, step_s: float) -> None:
        self.now_s += step_s

    @invariant()
    def work(self) -> None:
        """What a driver does in each turn; then the host must be at rest."""
        self.link.tick(self.now_s)
        data = self.link.data_to_send()
        assert len(data) <= MAX_TURN_BYTES
        assert self.link.data_to_send() == b""
        deadline = self.link.next_deadline()
        assert deadline is None or deadline > self.now_s, "what was due has been done"
        assert 0 < self.link.baud <= max(115_200, self.max_baud), "no rate that the line does not have"
        for frame, raw in self.reader.receive(data):
            assert frame is not None, "all that the host says is frames"
            self.sent.append(frame)
            if frame.channel == m.Channel.LINK:
                self.uncredited.append((self.now_s, len(raw) + 1))
        del self.sent[:-100]
        for event in events(self.link):
            match event:
                case AudioReceived():
                    assert len(event.pcm) % 2 == 0
                case ConsoleText():
                    assert all(c == "\n" or c.isprintable() for c in event.text), "nothing that a terminal obeys"
                case ObjectReceived():
                    assert len(event.data) <= m.MAX_OBJECT_BYTES

    @invariant()
    def the_frame_s_ring_never_overflows(self) -> None:
        while self.uncredited and self.uncredited[0][0] <= self.now_s - m.STALL_MS / 1000:
            self.uncredited.popleft()
        assert sum(size for _, size in self.uncredited) <= m.UNCREDITED_BYTES

    def check_memory(self) -> None:
        assert held_bytes(self.link) <= MAX_HELD_BYTES

    def teardown(self) -> None:
        self.check_memory()
        self.now_s += 10.0
        if self.link.state not in (State.IDLE, State.GREETING):
            self.work()
        if self.link.state in (State.IDLE, State.GREETING):
            self.connect()  # an honest frame is served


TestHostileFrame = HostileFrame.TestCase
TestHostileFrame.settings = settings(max_examples=100, stateful_step_count=30)


def test_the_memory_that_is_measured_is_the_link_s() -> None:
    link = Link()
    small = held_bytes(link)
    link.start(1, 0.0)
    link.receive_data(b"\1" * 1000, 0.0)
    assert 900 < held_bytes(link) - small < 10_000


def link_in(state: State) -> Link:
    """A link that has got as far as this state."""
    link = Link(baud=921_600)
    if state is State.CLOSED:
        link.close()
    elif state is not State.IDLE:
        link.start(NONCE, 0.0)
        ack = hello_ack(2_000_000 if state is State.SETTLING else 0)
        if state is not State.GREETING:
            link.receive_data(Frame(0, 0, 1, SESSION, payload_of(ack)).encode(), 0.0)
        if state in (State.SETTLING, State.OPEN):
            link.receive_data(Frame(0, 0, 2, SESSION, payload_of(m.Pong(1))).encode(), 0.0)
    assert link.state is state
    return link


@pytest.mark.parametrize("state", State)
def test_a_megabyte_of_one_octet(state: State) -> None:
    link = link_in(state)
    small = held_bytes(link)
    for octet in (b"\0", b"\1", b"\xff", b"A"):
        for _ in range(64):
            link.receive_data(octet * 4096, 0.0)
            events(link)
    assert held_bytes(link) - small < 20_000
