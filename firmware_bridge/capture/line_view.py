"""The captured octets as a table: one row per frame, per piece of text and per piece of damage.

Knows framing and the messages' names; must not know who reads the table. What it says is printable ASCII.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..codec import message_of, summary_of
from ..console import text_in
from ..frame import Frame, FrameReader, channel_name
from ..messages import HelloAck
from .reader import Octets

CONSOLE = "console"  # what stands in a row in place of a channel
DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        at_s: when its last octet was read or written.
        inbound: from the frame.
        channel: its name; `CONSOLE` for text and `DAMAGED` for what is neither frame nor text.
        seq: None without a frame.
        size_bytes: as on the wire, delimiter included.
    """

    at_s: float
    inbound: bool
    channel: str
    seq: int | None
    size_bytes: int
    what: str


class LineView:
    """Give it the octets in order.

    Attributes:
        frames: how many came (`True`) and went (`False`).
        damaged_bytes: octets, both ways, that were neither frame nor text.
        sessions: how often the frame allotted another one.
        device: its name and firmware, as it said; "" while it has said nothing.
    """

    def __init__(self) -> None:
        self.frames = {True: 0, False: 0}
        self.damaged_bytes = self.sessions = 0
        self.device = ""
        self._session: tuple[int, int] | None = None
        self._at_s = 0.0
        self.begin()

    def begin(self) -> None:
        """Another link follows: its octets do not go on where the last one's ended."""
        self._readers = {True: FrameReader(), False: FrameReader()}

    def take(self, octets: Octets) -> list[Row]:
        self._at_s = octets.at_s
        found = self._readers[octets.inbound].receive(octets.data)
        return [self._row(octets.inbound, frame, raw) for frame, raw in found]

    def finish(self) -> list[Row]:
        """What never got its end."""
        left = ((inbound, reader.take_held()) for inbound, reader in self._readers.items())
        return [self._row(inbound, None, raw) for inbound, raw in left if raw]

    def _row(self, inbound: bool, frame: Frame | None, raw: bytes) -> Row:
        size = len(raw) + 1
        if frame is None:
            if text := text_in(raw):
                return Row(self._at_s, inbound, CONSOLE, None, size, " ".join(text.split()))
            self.damaged_bytes += len(raw)
            return Row(self._at_s, inbound, DAMAGED, None, size, raw[:16].hex(" ") + ("..." if len(raw) > 16 else ""))
        self.frames[inbound] += 1
        message = message_of(frame)
        if inbound and isinstance(message, HelloAck) and (message.boot_id, message.session) != self._session:
            self._session = message.boot_id, message.session
            self.sessions += 1
            self.device = f"{message.name} {message.device_id.hex()}, firmware {message.firmware_version}"
        return Row(self._at_s, inbound, channel_name(frame.channel), frame.seq, size, summary_of(frame))
