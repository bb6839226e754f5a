"""A host that decides nothing by itself: it packs frames, takes them apart and notes when they came.

Shares the messages and the framing with the product's Link, and none of its logic: a mistake there must not hide one in
the frame. What it does unasked, each to be switched on and off: it pings while a case waits, acknowledges events, and
grants BulkData their window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

from ..codec import message_of, payload_of
from ..frame import DELIMITER, Frame, FrameReader
from ..messages import (
    MAJOR,
    MINOR,
    SCHEMA_HASH,
    START_BAUD,
    Call,
    Channel,
    Close,
    CloseReason,
    Credit,
    EventAck,
    Flag,
    Hello,
    HelloAck,
    HighestSent,
    Message,
    Method,
    Ping,
    Window,
)
from .port import Port

M = TypeVar("M", bound=Message)
MS = 1000
"""Microseconds in a millisecond."""
KEEP_ALIVE_US = 800 * MS
"""A Ping after so much of our own silence: well before the frame's 3 s, and before 1 s at which a host must."""
LIVELY_US = 200 * MS
"""The same at a rate other than the start baud."""


@dataclass(frozen=True, slots=True)
class Received:
    """One valid frame that came.

    Attributes:
        at_us: the port's clock when its last octet was read.
        message: what it says; None when this program does not know its type.
        again: an event that had come before, under the same number.
    """

    at_us: int
    frame: Frame
    message: Message | None
    again: bool


class Host:
    """Attributes:
    log: everything valid that came, oldest first.
    junk: pieces between two zeros that were no frame.
    session: what `pack` puts into the header.
    sent_octets: everything that was written, frame by frame, for who wants to replay it.
    has_rate: the line takes time for each octet, and waiting takes it into account.
    bulk_window: how many BulkData may be on their way, while `grants_bulk`.
    """

    def __init__(self, port: Port) -> None:
        self.port = port
        self.log: list[Received] = []
        self.junk: list[bytes] = []
        self.session = 0
        self.keep_alive = True
        self.acks_events = True
        self.grants_bulk = False
        self.bulk_window = int(Window.BULK_UP)
        self.sent_octets: list[bytes] = []
        self.baud = START_BAUD
        self.has_rate = False
        self._seq: dict[int, int] = {}
        self._reader = FrameReader()
        self._events: set[tuple[int, int]] = set()
        self._call_id = 0
        self._bulk_granted = 0
        self._sent_us = port.now_us
        self._line_free_us = 0.0

    # Octets out.

    def begin_session(self, session: int) -> None:
        """From now on frames belong to `session`, and are counted anew."""
        self.session = session
        self._seq.clear()
        self._bulk_granted = 0

    def next_seq(self, channel: int) -> int:
        self._seq[channel] = (self._seq.get(channel, 0) + 1) & 0xFFFF
        return self._seq[channel]

    def skip_to(self, channel: int, seq: int) -> None:
        """The next frame of `channel` is counted behind `seq`."""
        self._seq[channel] = seq & 0xFFFF

    def last_seq(self, channel: int) -> int:
        return self._seq.get(channel, 0)

    def pack(self, message: Message, *, flags: int = 0, seq: int | None = None, session: int | None = None) -> bytes:
        """One frame with its closing zero; numbered as the next of its channel, unless `seq` says otherwise."""
        channel = cast(int, message.CHANNEL)
        return self.pack_payload(channel, payload_of(message), flags=flags, seq=seq, session=session)

    def pack_payload(
        self, channel: int, payload: bytes, *, flags: int = 0, seq: int | None = None, session: int | None = None
    ) -> bytes:
        number = self.next_seq(channel) if seq is None else seq
        return Frame(channel, flags, number, self.session if session is None else session, payload).encode()

    def write(self, data: bytes) -> int:
        """Send octets as they are; returns the mark behind which the answers stand in the log."""
        mark = len(self.log)
        self.sent_octets.append(data)
        self._sent_us = self.port.now_us
        if self.has_rate:
            self._line_free_us = max(self._sent_us, self._line_free_us) + len(data) * 10e6 / self.baud
        self.port.write(data)
        return mark

    def send(self, *messages: Message, flags: int = 0) -> int:
        """Send in one piece, a zero in front; returns the mark."""
        return self.write(DELIMITER + b"".join(self.pack(message, flags=flags) for message in messages))

    def hello(self, nonce: int, *, major: int = MAJOR, minor: int = MINOR) -> int:
        """Belongs to no session; returns the mark."""
        hello = Hello(major, minor, nonce, SCHEMA_HASH)
        return self.write(DELIMITER + self.pack(hello, seq=1, session=0))

    def next_call(self, method: int, args: Message | bytes = b"") -> Call:
        """A call under the next id."""
        self._call_id = self._call_id % 0xFFFF + 1
        return Call(self._call_id, method, args if isinstance(args, bytes) else args.pack())

    def call(self, method: Method | int, args: Message | bytes = b"") -> tuple[Call, int]:
        """Send a call; returns it and the mark."""
        call = self.next_call(method, args)
        return call, self.send(call)

    def set_baud(self, baud: int) -> None:
        """The rate of our side from now on, once what was sent has left."""
        if baud != self.baud:
            self.pump(round(self._line_free_us) + MS)
            self.baud = baud
            self.port.set_baud(baud)

    def end_session(self) -> None:
        """Say Close, if there is a session; the line is at its start baud again."""
        if self.session:
            self.send(Close(CloseReason.INTERRUPTED))
            self.session = 0
        self.set_baud(START_BAUD)

    # Octets in.

    def receive(self, until_us: int) -> bytes:
        """Read once: at least one octet, or b"" once the clock reads `until_us`."""
        data = self.port.read(until_us)
        for frame, octets in self._reader.receive(data):
            if frame is None:
                self.junk.append(octets)
                continue
            again = frame.channel == Channel.EVENT and (frame.session, frame.seq) in self._events
            self.log.append(Received(self.port.now_us, frame, message_of(frame), again))
            if frame.channel == Channel.EVENT:
                self._events.add((frame.session, frame.seq))
            if frame.session == self.session:
                self._react(self.log[-1])
        return data

    def _react(self, received: Received) -> None:
        frame, message = received.frame, received.message
        if self.acks_events and frame.channel == Channel.EVENT and frame.flags & Flag.ACK_REQ:
            self.send(EventAck(frame.seq))
        if not self.grants_bulk:
            return
        if isinstance(message, HighestSent) and message.channel == Channel.BULK_UP:
            self._grant_bulk(message.seq)
        elif frame.channel == Channel.BULK_UP:
            left = (self._bulk_granted - frame.seq) & 0xFFFF
            # Half a window at a time: what a host sends without credit has to stay below 512 octets in 400 ms.
            if left > self.bulk_window or left < self.bulk_window // 2:
                self._grant_bulk(frame.seq)

    def _grant_bulk(self, seq: int) -> None:
        self._bulk_granted = (seq + self.bulk_window) & 0xFFFF
        self.send(Credit(Channel.BULK_UP, self._bulk_granted))

    def pump(self, until_us: int, done: Callable[[], bool] = lambda: False) -> None:
        """Read until the clock reads `until_us` or `done`, and keep the session alive meanwhile."""
        while not done() and self.port.now_us < until_us:
            ping_us = until_us
            if self.keep_alive and self.session:
                ping_us = self._sent_us + (KEEP_ALIVE_US if self.baud == START_BAUD else LIVELY_US)
                if ping_us <= self.port.now_us:
                    self.send(Ping(0))
                    continue
            self.receive(min(until_us, ping_us))

    def idle(self, duration_ms: float) -> None:
        """Read for so long."""
        self.pump(self.port.now_us + round(duration_ms * MS))

    def drain(self, quiet_ms: float, at_most_ms: float) -> None:
        """Read until nothing has come for `quiet_ms`."""
        end_us = self.port.now_us + round(at_most_ms * MS)
        while self.port.now_us < end_us and self.receive(self.port.now_us + round(quiet_ms * MS)):
            pass

    def evidence(self) -> bytes:
        """What came that was no frame, its unfinished end included."""
        return b"\n".join([*self.junk, self._reader.take_held()])

    # What came.

    def since(self, mark: int, kind: type[M]) -> list[tuple[Received, M]]:
        """What came of one kind behind the mark, in this session or in none; a HelloAck in any. Each event once."""
        return list(self._matching(mark, kind))

    def wait(
        self, mark: int, kind: type[M], timeout_ms: float, where: Callable[[M], bool] = lambda _: True
    ) -> tuple[Received, M] | None:
        """The first of a kind behind the mark, as soon as it is there; None when none came.

        Args:
            timeout_ms: counts from when our last octet has left.
        """
        found: list[tuple[Received, M]] = []
        at = mark

        def looked() -> bool:
            nonlocal at
            fresh, at = at, len(self.log)
            found.extend(pair for pair in self._matching(fresh, kind) if where(pair[1]))
            return bool(found)

        sent_us = max(self.port.now_us, round(self._line_free_us))
        self.pump(sent_us + round(timeout_ms * MS), looked)
        return found[0] if looked() or found else None

    def _matching(self, mark: int, kind: type[M]) -> Iterator[tuple[Received, M]]:
        for received in self.log[mark:]:
            ours = received.frame.session in (0, self.session) or isinstance(received.message, HelloAck)
            if isinstance(received.message, kind) and ours and not received.again:
                yield received, received.message
