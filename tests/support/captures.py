"""Captures for tests: a reader of pcapng that owes nothing to ours, and captures made otherwise than they were."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorgnette.firmware_bridge.capture.pcapng import INBOUND, OUTBOUND, packet
from lorgnette.firmware_bridge.capture.reader import CaptureReader, Note, Octets, Record
from lorgnette.firmware_bridge.capture.writer import LINE, NOTES, CaptureWriter


@dataclass(frozen=True)
class Block:
    """A block as the specification has it. `options` by their code; `fixed` is what stands before them."""

    kind: int
    fixed: bytes
    data: bytes
    options: dict[int, bytes]


def blocks_of(raw: bytes) -> list[Block]:
    """Read a little-endian pcapng file as a stranger would; asserts whatever its specification demands."""
    found, at = [], 0
    while at < len(raw):
        kind, size = struct.unpack_from("<II", raw, at)
        assert size % 4 == 0 and size >= 12
        assert struct.unpack_from("<I", raw, at + size - 4)[0] == size
        body = raw[at + 8 : at + size - 4]
        at += size
        fixed_bytes = {0x0A0D0D0A: 16, 1: 8, 6: 20}[kind]
        captured = struct.unpack_from("<I", body, 12)[0] if kind == 6 else 0
        data, rest = body[fixed_bytes : fixed_bytes + captured], body[fixed_bytes + (captured + 3) // 4 * 4 :]
        options = {}
        while rest:
            code, length = struct.unpack_from("<HH", rest)
            if code == 0:
                assert length == 0
                break
            options[code] = rest[4 : 4 + length]
            rest = rest[4 + (length + 3) // 4 * 4 :]
        found.append(Block(kind, body[:fixed_bytes], data, options))
    return found


def records_of(path: Path) -> list[Record]:
    """Everything in a capture that is whole."""
    with path.open("rb") as file:
        reader = CaptureReader(file)
        records = list(reader)
    assert reader.ended and not reader.damage
    return records


def write_records(path: Path, records: list[Record]) -> None:
    """A capture of these records, with checksums that are right."""
    CaptureWriter(path, "test", offset_ns=0).close()
    blocks = blocks_of(path.read_bytes())
    head = sum(12 + len(b.fixed) + _options_bytes(b) for b in blocks if b.kind != 6)
    with path.open("r+b") as file:
        file.truncate(head)
        file.seek(0, 2)
        for record in records:
            at_ns = round(record.at_s * 1e9)
            if isinstance(record, Octets):
                file.write(packet(LINE, at_ns, record.data, INBOUND if record.inbound else OUTBOUND))
            else:
                file.write(packet(NOTES, at_ns, json.dumps(record.value).encode()))


def _options_bytes(block: Block) -> int:
    return sum(4 + (len(value) + 3) // 4 * 4 for value in block.options.values()) + 4


def doctored(source: Path, target: Path, wanted: Callable[[Record], bool], change: Callable[[Any], Record]) -> None:
    """Copy a capture and change the first record that is wanted; there must be one."""
    records = records_of(source)
    number = next(number for number, record in enumerate(records) if wanted(record))
    records[number] = change(records[number])
    write_records(target, records)


def is_note(kind: str, **values: Any) -> Callable[[Record], bool]:
    """A note of this kind with these values."""

    def wanted(record: Record) -> bool:
        return (
            isinstance(record, Note)
            and record.kind == kind
            and all(record.value.get(name) == value for name, value in values.items())
        )

    return wanted
