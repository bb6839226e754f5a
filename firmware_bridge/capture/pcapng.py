"""The blocks of a pcapng file: building them, and reading them from a file that nobody vouches for.

Knows sections, interfaces, packets and their options, as far as a capture of ours needs them; must not know what a
packet holds. https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

from ..errors import CaptureError

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
BYTE_ORDER = 0x1A2B3C4D
MAJOR = 1

COMMENT = 1  # an option of every block
APPLICATION = 4  # of a section
IF_NAME, IF_DESCRIPTION, IF_TSRESOL = 2, 3, 9
EPB_FLAGS, EPB_HASH = 2, 3
INBOUND, OUTBOUND = 1, 2  # the two lowest bits of EPB_FLAGS
HASH_CRC32 = 2  # the first octet of EPB_HASH

NANOSECONDS = 9  # IF_TSRESOL: 10**-9
MAX_BLOCK_BYTES = 48 << 20  # ten minutes of speech in one call (speaker.MAX_QUEUED_FRAMES), as base64, fit
MAX_INTERFACES = 64  # of one section; we have two
MAX_NS = (1 << 64) - 1

SEARCH_BYTES = 1 << 20  # read at once behind damage
MAX_CANDIDATE_BYTES = 4 * MAX_BLOCK_BYTES  # of what looks like a packet there; a hostile file may be full of it

_HEAD = struct.Struct("<II")
_PACKET_KIND = re.compile(rb"(?=\x06\0\0\0|\0\0\0\x06)", re.DOTALL)  # of either byte order
_PACKET = struct.Struct("<IIIII")  # interface, time (high, low), octets kept, octets there were


# ------------------------------------------------------------------------------------------------ building
def section(options: Iterable[tuple[int, bytes]]) -> bytes:
    """The block that begins a file. Its length stays open (-1): the file is written as it comes."""
    return _block(SECTION, struct.pack("<IHHq", BYTE_ORDER, MAJOR, 0, -1) + _options(options))


def interface(link_type: int, name: str, description: str) -> bytes:
    """What a packet's interface number stands for; times are in nanoseconds."""
    options = (
        (IF_NAME, name.encode()),
        (IF_DESCRIPTION, description.encode()),
        (IF_TSRESOL, bytes((NANOSECONDS,))),
    )
    return _block(INTERFACE, struct.pack("<HHI", link_type, 0, 0) + _options(options))


def packet(number: int, time_ns: int, data: bytes, direction: int = 0) -> bytes:
    """One packet of interface `number`, with the CRC-32 of its octets; `direction` is INBOUND, OUTBOUND or 0."""
    time_ns = min(max(time_ns, 0), MAX_NS)
    head = _PACKET.pack(number, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), len(data))
    options = [(EPB_HASH, struct.pack("<BI", HASH_CRC32, zlib.crc32(data)))]
    if direction:
        options.insert(0, (EPB_FLAGS, struct.pack("<I", direction)))
    return _block(PACKET, head + _padded(data) + _options(options))


def _block(kind: int, body: bytes) -> bytes:
    size = len(body) + 12
    return _HEAD.pack(kind, size) + body + struct.pack("<I", size)


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    made = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    return made + bytes(4) if made else b""


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


# ------------------------------------------------------------------------------------------------- reading
@dataclass(frozen=True, slots=True)
class Section:
    """A section begins. `options` are (code, value) in their order."""

    options: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Packet:
    """One enhanced packet.

    Attributes:
        link_type: of its interface.
        time_ns: since 1970.
        direction: INBOUND, OUTBOUND or 0.
        sound: False when the octets are not those that the packet's CRC-32 was made of; True where it has none.
    """

    link_type: int
    time_ns: int
    direction: int
    data: bytes
    sound: bool


class Cut(Exception):
    """The file ends within a block: whoever wrote it was ended."""


class Broken(Exception):
    """What stands here is no block. The message says why."""


@dataclass(slots=True)
class _Interfaces:
    order: str = "<"
    kinds: list[tuple[int, int, int]] = field(default_factory=list)  # link type, time's base and exponent


def read_blocks(file: IO[bytes]) -> Iterator[Section | Packet]:
    """Sections and packets as they come; other blocks are skipped.

    Raises:
        CaptureError: it is no pcapng file at all.
        Cut, Broken: behind what was read so far.
    """
    state = _Interfaces()
    first = True
    while head := file.read(8):
        if len(head) == 8 and head[:4] == _HEAD.pack(SECTION, 0)[:4]:
            mark = file.read(4)
            if mark not in (struct.pack("<I", BYTE_ORDER), struct.pack(">I", BYTE_ORDER)):
                raise CaptureError("This is no pcapng file.") if first else Broken("a section has no byte order")
            state = _Interfaces("<" if mark == struct.pack("<I", BYTE_ORDER) else ">")
            head += mark
        elif first:
            raise CaptureError("This is no pcapng file.")
        first = False
        if len(head) < 8:
            raise Cut
        kind, body = _rest_of_block(file, head, state.order)
        if kind == SECTION:
            yield _section(body, state.order)
        elif kind == INTERFACE:
            _add_interface(body, state)
        elif kind == PACKET:
            yield _packet(body, state)


def has_packet_behind(file: IO[bytes], start: int) -> bool:
    """A whole packet whose CRC-32 is right stands at or behind `start`, wherever it begins. Moves the file's position.

    True, too, of a file with more of what looks like packets than anybody would want to check.
    """
    at, held, left_bytes = start, b"", MAX_CANDIDATE_BYTES
    file.seek(start)
    while chunk := file.read(SEARCH_BYTES):
        window = held + chunk
        for found in _PACKET_KIND.finditer(window):
            order = "<" if window[found.start()] else ">"
            body = _whole_body(file, at - len(held) + found.start(), order)
            left_bytes -= len(body)
            if left_bytes < 0 or _is_sound(body, order):
                return True
        at += len(chunk)
        held = window[-3:]
        file.seek(at)
    return False


def _whole_body(file: IO[bytes], at: int, order: str) -> bytes:
    """What the block at `at` holds; nothing when its two lengths are not the same."""
    file.seek(at)
    head = file.read(8)
    if len(head) < 8:
        return b""
    _, size = struct.unpack(f"{order}II", head)
    if size < 12 + _PACKET.size or size % 4 or size > MAX_BLOCK_BYTES:
        return b""
    file.seek(at + size - 4)
    if file.read(4) != head[4:]:
        return b""
    file.seek(at + 8)
    return file.read(size - 12)


def _is_sound(body: bytes, order: str) -> bool:
    try:
        return _packet(body, _Interfaces(order, [(0, 10, NANOSECONDS)] * MAX_INTERFACES)).sound
    except Broken:
        return False


def _rest_of_block(file: IO[bytes], head: bytes, order: str) -> tuple[int, bytes]:
    kind, size = struct.unpack_from(f"{order}II", head)
    if size < 12 or size % 4 or size > MAX_BLOCK_BYTES or size - 4 < len(head):
        raise Broken(f"a block of {size} bytes")
    rest = file.read(size - len(head))
    if len(rest) < size - len(head):
        raise Cut
    if struct.unpack(f"{order}I", rest[-4:])[0] != size:
        raise Broken("a block whose two lengths differ")
    return kind, head[8:] + rest[:-4]


def _section(body: bytes, order: str) -> Section:
    if len(body) < 16:
        raise Broken("a section that is too short")
    if struct.unpack_from(f"{order}H", body, 4)[0] != MAJOR:
        raise CaptureError("This pcapng file is of a later version than this program reads.")
    return Section(_read_options(body, 16, order))


def _add_interface(body: bytes, state: _Interfaces) -> None:
    if len(body) < 8 or len(state.kinds) >= MAX_INTERFACES:
        raise Broken("an interface that is too short, or one too many")
    (link_type,) = struct.unpack_from(f"{state.order}H", body)
    base, exponent = 10, 6
    for code, value in _read_options(body, 8, state.order):
        if code == IF_TSRESOL and value:
            base, exponent = (2 if value[0] & 0x80 else 10), value[0] & 0x7F
    state.kinds.append((link_type, base, exponent))


def _packet(body: bytes, state: _Interfaces) -> Packet:
    if len(body) < _PACKET.size:
        raise Broken("a packet that is too short")
    number, high, low, size, _ = struct.unpack_from(f"{state.order}IIIII", body)
    if number >= len(state.kinds):
        raise Broken(f"a packet of interface {number}, which the file does not have")
    if size > len(body) - _PACKET.size:
        raise Broken("a packet that is longer than its block")
    link_type, base, exponent = state.kinds[number]
    data = body[_PACKET.size : _PACKET.size + size]
    direction, sound = 0, True
    for code, value in _read_options(body, _PACKET.size + size + -size % 4, state.order):
        if code == EPB_FLAGS and len(value) == 4:
            direction = struct.unpack(f"{state.order}I", value)[0] & 3
        elif code == EPB_HASH and len(value) == 5 and value[0] == HASH_CRC32:
            sound = struct.unpack_from(f"{state.order}I", value, 1)[0] == zlib.crc32(data)
    time_ns = min((high << 32 | low) * 10**9 // base**exponent, MAX_NS)
    return Packet(link_type, time_ns, direction, data, sound)


def _read_options(body: bytes, at: int, order: str) -> tuple[tuple[int, bytes], ...]:
    found = []
    while at + 4 <= len(body):
        code, size = struct.unpack_from(f"{order}HH", body, at)
        if code == 0:
            break
        if at + 4 + size > len(body):
            raise Broken("an option that is longer than its block")
        found.append((code, body[at + 4 : at + 4 + size]))
        at += 4 + size + -size % 4
    return tuple(found)
