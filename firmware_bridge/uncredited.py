"""What a host sends without credit: the link channel's messages, and the budget that they must stay within.

A frame that is busy with its flash does not look at its receive ring for `STALL_MS`. Beside what credit allows, the
ring has room for `UNCREDITED_BYTES` in that time, so no more than that may be sent in any such span. Sans-I/O: time
comes in as an argument. Knows the sizes and the urgency of the messages; must not know sessions or what they are for.
"""

from __future__ import annotations

import math
from collections import deque

from .codec import payload_of
from .frame import CRC, HEADER
from .messages import (
    STALL_MS,
    UNCREDITED_BYTES,
    Close,
    Confirm,
    Credit,
    EventAck,
    HighestSent,
    Message,
    Ping,
    Pong,
    SetRate,
)

# A quarter longer than the frame's stall: what an operating system held back arrives closer together than it was sent.
SPAN_S = STALL_MS / 1000 * 1.25

# On the wire a frame of up to 254 octets has one octet of COBS, its delimiter, and perhaps one more in front.
OVERHEAD_BYTES = HEADER.size + CRC.size + 3

# Most urgent first: a session lives by the first ones. Credit and HighestSent come last, since they repeat themselves.
_URGENCY = (Close, Confirm, SetRate, Ping, Pong, EventAck, Credit, HighestSent)

# Always left for Close, which must not wait: behind it the port is closed.
_CLOSE_BYTES = OVERHEAD_BYTES + 2

# Left by Credit and HighestSent for what is more urgent: four pings, four pongs and a few acknowledgements.
_URGENT_BYTES = 192


def wire_bytes(message: Message) -> int:
    """What a link message costs at most, in octets on the wire."""
    return len(payload_of(message)) + OVERHEAD_BYTES


class Budget:
    """Octets sent without credit in the last `SPAN_S`. One for all sessions: the frame's ring is one, too."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()
        self._sum = 0

    def room(self, now_s: float) -> int:
        """Octets that may be sent now."""
        while self._spent and now_s >= self._spent[0][0] + SPAN_S:
            self._sum -= self._spent.popleft()[1]
        return UNCREDITED_BYTES - self._sum

    def spend(self, octets: int, now_s: float) -> None:
        self._spent.append((now_s, octets))
        self._sum += octets

    def room_s(self, octets: int) -> float:
        """When there will be room for so many; the past when there is already."""
        room, at_s = UNCREDITED_BYTES - self._sum, -math.inf
        for spent_s, size in self._spent:
            if room >= octets:
                break
            room += size
            at_s = spent_s + SPAN_S
        return at_s


class LinkQueue:
    """Link messages that wait to be sent, at most one of a kind: a newer one says all that the older one did."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], Message] = {}

    def put(self, message: Message) -> None:
        channel = message.channel if isinstance(message, Credit | HighestSent) else 0
        self._waiting[_URGENCY.index(type(message)), channel] = message

    def pop(self, room: int) -> Message | None:
        """The most urgent one, if it fits into `room` octets; None when none waits or may go."""
        if not self._waiting:
            return None
        first = min(self._waiting)
        return self._waiting.pop(first) if _needed(self._waiting[first]) <= room else None

    def needed(self) -> int | None:
        """The room that the most urgent one needs; None when none waits."""
        return _needed(self._waiting[min(self._waiting)]) if self._waiting else None

    def clear(self) -> None:
        self._waiting.clear()


def _needed(message: Message) -> int:
    """Its octets and those that it must leave to others."""
    if isinstance(message, Close):
        return wire_bytes(message)
    spare = _URGENT_BYTES if isinstance(message, Credit | HighestSent) else _CLOSE_BYTES
    return wire_bytes(message) + spare
