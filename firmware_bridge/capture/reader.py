"""CaptureReader: the records of a capture, in order, from a file that may be cut, damaged or hostile.

Knows the file's two interfaces; must not know what a note says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from ..errors import CaptureError
from .pcapng import APPLICATION, COMMENT, MAX_NS, OUTBOUND, Broken, Cut, Packet, Section, has_packet_behind, read_blocks
from .writer import FORMAT_VERSION, LINE_TYPE, NOTE_TYPE

MAX_DEPTH = 24  # of a note's objects and lists; ours have about ten


@dataclass(frozen=True, slots=True)
class Octets:
    """What one read brought (`inbound`: from the frame) or one write took. `at_s` is on the host's monotonic clock."""

    at_s: float
    inbound: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """One JSON object beside the octets; its "kind" says what it is. `at_s` is on the host's monotonic clock."""

    at_s: float
    value: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.value.get("kind", ""))


Record = Octets | Note


class CaptureReader:
    """Iterate over it once for the records. It never raises for what is in the file behind a valid beginning.

    Attributes:
        application: what wrote the file.
        facts: what the file says of itself.
        first_s: the time of the first record; 0 before it.
        offset_ns: wall clock less the host's monotonic clock.
        ended: its last note says that it is the end.
        early_end: why it ended before its writer was done, "" when it did not.
        cut: it ends within a block: what wrote it was ended. What stands before is whole.
        damage: the first thing that is wrong in it otherwise, "" for nothing.
        damaged_within: whole packets stand behind what is cut or damaged. Otherwise nothing but the end is lost.
        last_s: the time of the last record before the damage.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Reads the beginning. Raises CaptureError when this is no capture of ours."""
        self.application = ""
        self.facts: dict[str, Any] = {}
        self.offset_ns = 0
        self.first_s = self.last_s = 0.0
        self._empty = True
        self.ended = self.cut = self.damaged_within = False
        self.damage = self.early_end = ""
        self._file = file
        self._at = 0  # where what was not looked at yet begins
        self._blocks = read_blocks(file)
        try:
            self._begin(next(self._blocks, None))
        except (Cut, Broken) as error:
            raise CaptureError("This capture has no whole beginning.") from error

    def before_damage(self) -> Iterator[Record]:
        """The records up to the first thing that is wrong. What `ended` says is of them."""
        for record in self:
            if self.damage:
                break
            yield record

    def __iter__(self) -> Iterator[Record]:
        try:
            for block in self._blocks:
                self._at = self._position()
                if isinstance(block, Section):
                    self._begin(block)
                elif (record := self._record(block)) is not None:
                    self._mark(record)
                    yield record
        except Cut:
            self.cut = True
            self.damaged_within = self.damaged_within or self._goes_on()
        except (Broken, CaptureError) as error:
            self._damaged(str(error))

    def _mark(self, record: Record) -> None:
        if self._empty:
            self.first_s = self.last_s = record.at_s
            self._empty = False
        if self.damage:
            return
        self.last_s = record.at_s
        self.ended = isinstance(record, Note) and record.kind == "end"
        self.early_end = str(record.value.get("reason", "")) if isinstance(record, Note) and self.ended else ""

    def _begin(self, block: Section | Packet | None) -> None:
        if not isinstance(block, Section):
            raise CaptureError("This is no pcapng file.")
        for code, value in block.options:
            if code == APPLICATION:
                self.application = value.decode("utf-8", "replace")
            elif code == COMMENT and isinstance(facts := _json(value), dict) and "lorgnette_capture" in facts:
                self.facts = facts
        version, offset_ns = self.facts.get("lorgnette_capture"), self.facts.get("offset_ns")
        if version is None:
            raise CaptureError("This pcapng file was not written by lorgnette.")
        if version != FORMAT_VERSION or not isinstance(offset_ns, int) or abs(offset_ns) > MAX_NS:
            raise CaptureError(f"This capture has format {str(version)[:20]}, this program reads {FORMAT_VERSION}.")
        self.offset_ns = offset_ns

    def _record(self, packet: Packet) -> Record | None:
        at_s = (packet.time_ns - self.offset_ns) / 1e9
        if not packet.sound:
            self._damaged("octets that are not those that were written")
        if packet.link_type == LINE_TYPE:
            return Octets(at_s, packet.direction != OUTBOUND, packet.data)
        if packet.link_type != NOTE_TYPE:
            return None
        value = _json(packet.data)
        if isinstance(value, dict):
            return Note(at_s, value)
        self._damaged("a note that is no JSON object")
        return None

    def _damaged(self, what: str) -> None:
        if not self.damage:
            self.damage = what if self._position() == 0 else f"{what}, before byte {self._position()}"
            self.damaged_within = self._goes_on()

    def _position(self) -> int:
        """0 in a pipe."""
        return self._file.tell() if self._file.seekable() else 0

    def _goes_on(self) -> bool:
        """Whole packets stand behind what was read. Of a pipe nobody can tell: it is taken for one that does."""
        if not self._file.seekable():
            return True
        here = self._file.tell()
        try:
            return has_packet_behind(self._file, self._at)
        finally:
            self._file.seek(here)


def _json(text: bytes) -> Any:
    """None for whatever is no JSON, or is nested deeper than whoever walks through it should have to go."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if _is_flat(value, MAX_DEPTH) else None


def _is_flat(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    return depth > 0 and all(
        _is_flat(item, depth - 1) for item in (value.values() if isinstance(value, dict) else value)
    )
