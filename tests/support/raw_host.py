"""A host without a policy of its own: it packs frames and takes them apart, and the test decides the rest.

It shares `messages.py` with the product's Link and nothing else: a mistake in Link must not hide one in the frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from cobs import cobs  # type: ignore[import-untyped]

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import NEVER, SteppedFrame

M = TypeVar("M", bound=m.Message)
MS = 1000
"""Microseconds in a millisecond."""
STEP_US = 20_000
"""The pace at which `advance` visits the frame when nothing is due."""


@dataclass(frozen=True)
class Received:
    """One valid frame from the simulated frame."""

    at_us: int
    chan: int
    flags: int
    seq: int
    session: int
    payload: bytes

    @property
    def asks_for_ack(self) -> bool:
        return bool(self.flags & m.Flag.ACK_REQ)

    @property
    def message(self) -> m.Message:
        if self.chan in m.UNTYPED:
            return m.UNTYPED[self.chan].unpack(self.payload)
        return m.TYPED[self.chan, self.payload[0]].unpack(self.payload[1:])


def encode(chan: int, payload: bytes, *, flags: int = 0, seq: int = 1, session: int = 0) -> bytes:
    """One frame with its leading and its closing zero."""
    header = bytes((chan, flags)) + seq.to_bytes(2, "little") + session.to_bytes(2, "little")
    raw = header + payload
    return b"\0" + bytes(cobs.encode(raw + zlib.crc32(raw).to_bytes(4, "little"))) + b"\0"


def payload_of(message: m.Message) -> bytes:
    """The message with its type octet, if it has one."""
    return (b"" if message.TYPE is None else bytes((message.TYPE,))) + message.pack()


class RawHost:
    """Drives one simulated frame in virtual time.

    Attributes:
        log: everything valid that the frame sent, in order.
        junk: octets between two zeros that were no frame.
        acks_events: whether it acknowledges the events that ask for it, in the step that brings them.
    """

    def __init__(self, frame: SteppedFrame) -> None:
        self.frame = frame
        self.acks_events = True
        self.now_us = 0
        self.next_us = NEVER
        self.session = 0
        self.seq: dict[int, int] = {}
        self.log: list[Received] = []
        self.junk: list[bytes] = []
        self._rx = b""
        self._call_id = 0
        self.step()

    # Octets.

    def step(self, data: bytes = b"") -> list[Received]:
        """Hand `data` to the frame now; returns what it sent, and what that led to."""
        start = len(self.log)
        while True:
            tx, self.next_us = self.frame.step(self.now_us, data)
            *pieces, self._rx = (self._rx + tx).split(b"\0")
            fresh = [received for piece in pieces if piece and (received := self._open(piece))]
            self.log += fresh
            data = b"".join(self.pack(m.EventAck(seq=r.seq)) for r in fresh if self.acks_events and r.asks_for_ack)
            if not data:
                return self.log[start:]

    def _open(self, piece: bytes) -> Received | None:
        try:
            raw = cobs.decode(piece)
        except cobs.DecodeError:
            raw = b""
        if len(raw) < 10 or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
            self.junk.append(piece)
            return None
        seq, session = int.from_bytes(raw[2:4], "little"), int.from_bytes(raw[4:6], "little")
        return Received(self.now_us, raw[0], raw[1], seq, session, raw[6:-4])

    def pack(self, message: m.Message, *, flags: int = 0, seq: int | None = None, session: int | None = None) -> bytes:
        """The next frame of the message's channel."""
        chan = message.CHANNEL
        assert chan is not None
        if seq is None:
            seq = self.seq[chan] = (self.seq.get(chan, 0) + 1) & 0xFFFF
        return encode(
            chan, payload_of(message), flags=flags, seq=seq, session=self.session if session is None else session
        )

    def send(self, *messages: m.Message, flags: int = 0) -> list[Received]:
        """Send in one step; returns what the frame sent in it."""
        return self.step(b"".join(self.pack(message, flags=flags) for message in messages))

    # Time.

    def advance(self, duration_us: int, *, keep_alive: bool = True) -> list[Received]:
        """Let time pass, visiting the frame whenever it wants to be; returns what it sent.

        With `keep_alive` a Ping goes out every second.
        """
        start, end = len(self.log), self.now_us + duration_us
        ping_us = self.now_us + 1_000_000
        standing = 0
        while self.now_us < end:
            due_us = max(self.now_us, min(self.next_us, self.now_us + STEP_US, end))
            standing = standing + 1 if due_us == self.now_us else 0
            assert standing < 100, "the frame wants to be visited again and again without time passing"
            self.now_us = due_us
            data = b""
            if keep_alive and self.session and self.now_us >= ping_us:
                data, ping_us = self.pack(m.Ping(token=0)), self.now_us + 1_000_000
            self.step(data)
        return self.log[start:]

    # The ordinary course of things.

    def hello(self, nonce: int, *, major: int = m.MAJOR, minor: int = m.MINOR) -> list[Received]:
        hello = m.Hello(major=major, minor=minor, nonce=nonce, schema_hash=m.SCHEMA_HASH)
        return self.step(encode(m.Channel.LINK, payload_of(hello)))

    def connect(self, nonce: int = 0x1234, *, minor: int = m.MINOR, bulk_window: int = 0) -> m.HelloAck:
        """HELLO, HELLO_ACK, CONFIRM."""
        ack = one(self.hello(nonce, minor=minor), m.HelloAck)
        self.session = ack.session
        self.seq.clear()
        self.send(m.Confirm(nonce=nonce, bulk_window=bulk_window))
        return ack

    def call(self, method: m.Method, args: m.Message | bytes = b"") -> m.Reply:
        """Call and return the reply, which comes in the same step."""
        self._call_id += 1
        packed = args if isinstance(args, bytes) else args.pack()
        fresh = self.send(m.Call(call_id=self._call_id, method=method, args=packed))
        return one((r for r in fresh if r.chan == m.Channel.RPC), m.Reply)

    def state(self) -> m.GetStateResult:
        """What the frame says of itself."""
        return m.GetStateResult.unpack(self.call(m.Method.GET_STATE).result)

    def stats(self) -> m.GetStatsResult:
        """What the frame has counted since it booted."""
        return m.GetStatsResult.unpack(self.call(m.Method.GET_STATS).result)

    def set_rate(self, baud: int) -> m.RateSet:
        """Ask for a rate, follow the frame to what it answers, and be heard there."""
        answer = one(self.send(m.SetRate(baud=baud)), m.RateSet)
        self.frame.set_baud(answer.baud)
        self.send(m.Ping(token=0))
        return answer

    def start_capture(self) -> None:
        assert self.call(m.Method.CAPTURE_START).status == m.RpcStatus.OK


def all_of(received: Iterable[Received], kind: type[M]) -> list[M]:
    """The messages of one kind, in order."""
    return [message for r in received if isinstance(message := r.message, kind)]


def one(received: Iterable[Received], kind: type[M]) -> M:
    """The one message of this kind that must be there."""
    found = all_of(received, kind)
    assert len(found) == 1, f"{len(found)} of {kind.__name__}"
    return found[0]


def read_object(host: RawHost, number: int, size_bytes: int, crc32: int, offset: int = 0) -> bytes:
    """Read an object from `offset` to its end, granting credit as a host would."""
    reply = host.call(m.Method.READ_OBJECT, m.ReadObjectArgs(number, offset))
    assert m.ReadObjectResult.unpack(reply.result) == m.ReadObjectResult(size_bytes, crc32)
    data, seen = b"", next(i for i, r in enumerate(host.log) if r.message == reply)
    for _ in range(1 + size_bytes // 100):
        fresh, seen = host.log[seen:], len(host.log)
        for received in (r for r in fresh if r.chan == m.Channel.BULK_UP):
            chunk = received.message
            assert isinstance(chunk, m.BulkData)
            assert (chunk.object, chunk.offset) == (number, offset + len(data))
            data += chunk.data
            if received.flags & m.Flag.LAST:
                return data
        highest = max((r.seq for r in host.log if r.chan == m.Channel.BULK_UP), default=0)
        host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=highest + m.Window.BULK_UP))
    raise AssertionError("the object has no end")
