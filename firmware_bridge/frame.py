"""The framing: octets on the wire <-> Frames.

Knows COBS, the CRC and the six-octet header. Must not know what a payload means, which session is ours or what time it
is. A stream is cut at its zeros with `find`, never octet by octet, so that audio costs next to nothing.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from cobs import cobs  # type: ignore[import-untyped]

from .messages import MAX_PAYLOAD_BYTES, MAX_WIRE_BYTES, Channel

HEADER = struct.Struct("<BBHH")  # channel, flags, seq, session
CRC = struct.Struct("<I")
MIN_BODY_BYTES = HEADER.size + CRC.size
MAX_BODY_BYTES = HEADER.size + MAX_PAYLOAD_BYTES + CRC.size
DELIMITER = b"\0"

# What one call to `FrameReader.receive` may hold back: less than one frame. What grows past it without a delimiter is
# a boot log, a panic text or a wrong baud rate, and goes to the console.
MAX_HELD_BYTES = MAX_WIRE_BYTES


@dataclass(frozen=True, slots=True)
class Frame:
    """One unit on the wire.

    Attributes:
        channel: a `messages.Channel`, or a number that this version does not know.
        flags: `messages.Flag` bits.
        seq: per channel and direction, modulo 2**16; a session's first frame carries 1.
        session: 0 in Hello and Refuse, else the session that the frame allotted.
        payload: at most `MAX_PAYLOAD_BYTES`.
    """

    channel: int
    flags: int
    seq: int
    session: int
    payload: bytes

    def encode(self) -> bytes:
        """The octets on the wire, closing delimiter included, leading one excluded."""
        if len(self.payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"a payload of {len(self.payload)} bytes exceeds {MAX_PAYLOAD_BYTES}")
        body = HEADER.pack(self.channel, self.flags, self.seq, self.session) + self.payload
        return bytes(cobs.encode(body + CRC.pack(zlib.crc32(body)))) + DELIMITER

    @classmethod
    def decode(cls, segment: bytes) -> Frame | None:
        """Read what stood between two delimiters; None when it is no valid frame."""
        if len(segment) >= MAX_WIRE_BYTES:
            return None
        try:
            body = bytes(cobs.decode(segment))
        except cobs.DecodeError:
            return None
        if not MIN_BODY_BYTES <= len(body) <= MAX_BODY_BYTES:
            return None
        end = len(body) - CRC.size
        (crc,) = CRC.unpack_from(body, end)
        if crc != zlib.crc32(body[:end]):
            return None
        channel, flags, seq, session = HEADER.unpack_from(body)
        return cls(channel, flags, seq, session, body[HEADER.size : end])


_CHANNELS = frozenset(int(c) for c in Channel)


def channel_name(channel: int) -> str:
    """For logs and reports; the number itself when there is no such channel."""
    return Channel(channel).name.lower() if channel in _CHANNELS else str(channel)


class FrameReader:
    """Cuts a stream into Frames. What is no valid frame comes out as the bytes it was, for the console."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def held_bytes(self) -> int:
        """Octets of an unfinished frame."""
        return len(self._held)

    def receive(self, data: bytes) -> list[tuple[Frame | None, bytes]]:
        """Take octets as they came; returns (frame, its octets) or (None, octets that are no frame), in order.

        The octets come without their delimiter. Never raises, whatever `data` is.
        """
        held = self._held
        scanned = len(held)  # what was held has no delimiter in it
        held += data
        found: list[tuple[Frame | None, bytes]] = []
        start = 0
        while (end := held.find(0, max(start, scanned))) >= 0:
            if end > start:
                segment = bytes(held[start:end])
                found.append((Frame.decode(segment), segment))
            start = end + 1
        del held[:start]
        if len(held) > MAX_HELD_BYTES:
            found.append((None, self.take_held()))
        return found

    def take_held(self) -> bytes:
        """Give up on the unfinished frame and return what there is of it."""
        held = bytes(self._held)
        self._held.clear()
        return held
