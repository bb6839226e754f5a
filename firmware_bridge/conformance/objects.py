"""How a host reads an object from the frame and writes one to it: in order, under credit, and again after a hole."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from ..messages import (
    MAX_CHUNK_BYTES,
    MIN_CHUNK_BYTES,
    OBJECT_STALL_MS,
    BulkData,
    BulkWrite,
    Channel,
    Credit,
    Flag,
    HighestSent,
    Method,
    ObjectEvent,
    ObjectStatus,
    ReadObjectArgs,
    ReadObjectResult,
    Reply,
    WriteObjectArgs,
    WriteObjectResult,
)
from .trial import Trial, Violated

BULK_WINDOW = 64
"""What a host names in Confirm so that few grants keep the fastest line busy."""
MAX_REPEATS = 20
"""A line may lose something now and then; more than this is no line."""


@dataclass
class Reading:
    """What came of one object.

    Attributes:
        repeats: how often it had to be asked for again.
        took_ms: from the request to the last octet.
    """

    data: bytes
    repeats: int
    took_ms: float


def read_object(t: Trial, number: int, offset: int) -> Reading:
    """Read from `offset` to the end, and check size and order on the way. The CRC is checked when offset is 0."""
    began_us = t.host.port.now_us
    data, repeats = bytearray(), 0
    t.host.grants_bulk = True
    try:
        while True:
            mark = len(t.host.log)
            facts = ReadObjectResult.unpack(t.ok(Method.READ_OBJECT, ReadObjectArgs(number, offset + len(data))))
            t.check(offset <= facts.size_bytes, "the object is smaller than what was read of it")
            # What was on its way of an earlier read came before the answer: the line keeps its order.
            answered = next(i for i, r in enumerate(t.host.log[mark:], mark) if isinstance(r.message, Reply))
            if _take(t, answered, number, offset, data, facts.size_bytes):
                break
            repeats += 1
            t.check(repeats <= MAX_REPEATS, f"the object stops at octet {offset + len(data)} of {facts.size_bytes}")
    finally:
        t.host.grants_bulk = False
    took_ms = (t.host.port.now_us - began_us) / 1000
    if offset == 0:
        t.check(zlib.crc32(data) == facts.crc32, "the object's CRC-32 is not the one that was announced")
    return Reading(bytes(data), repeats, took_ms)


def _take(t: Trial, mark: int, number: int, offset: int, data: bytearray, size: int) -> bool:
    """Take what comes in order. True when all of it is there, False at a hole or a stall."""
    looked = mark
    while True:
        fresh = t.host.since(looked, BulkData)
        looked = len(t.host.log)
        for received, chunk in fresh:
            if chunk.object != number:
                raise Violated(f"BulkData of object {chunk.object} came while {number} was read")
            at = offset + len(data)
            t.check(chunk.offset >= at, f"octet {chunk.offset} came where {at} was asked for")
            if chunk.offset > at:
                return False
            t.check(len(chunk.data) <= MAX_CHUNK_BYTES, f"BulkData holds {len(chunk.data)} octets")
            data += chunk.data
            last = bool(received.frame.flags & Flag.LAST)
            t.check(last == (offset + len(data) == size), f"LAST is {last} at octet {offset + len(data)} of {size}")
            if last:
                return True
        if t.host.wait(looked, BulkData, OBJECT_STALL_MS) is None:
            return offset + len(data) == size


@dataclass
class Writing:
    """How one object was written.

    Attributes:
        status: of the ObjectEvent that ended it.
        holes: how often the frame said that something is missing.
        took_ms: from the request to that event.
    """

    status: int
    holes: int
    took_ms: float


def chunk_bytes(t: Trial) -> int:
    """Octets of one BulkWrite at the line's present rate."""
    if not t.declared.max_baud:
        return MAX_CHUNK_BYTES
    return max(MIN_CHUNK_BYTES, min(MAX_CHUNK_BYTES, t.host.baud // 10 * 8 // 1000))


def write_object(
    t: Trial, number: int, data: bytes, *, crc32: int | None = None, lose: frozenset[int] = frozenset()
) -> Writing:
    """Write a test object; the BulkWrites whose count is in `lose` never arrive."""
    began_us, holes, count = t.host.port.now_us, 0, 0
    args = WriteObjectArgs(number, 0, len(data), zlib.crc32(data) if crc32 is None else crc32)
    size, window = chunk_bytes(t), t.declared.bulk_window
    looked = len(t.host.log)
    at = WriteObjectResult.unpack(t.ok(Method.WRITE_OBJECT, args)).offset
    allowed = t.host.last_seq(Channel.BULK_DOWN) + window
    heard_us, stuck_us, repeats = t.host.port.now_us, 0, 0
    while True:
        while at < len(data) and t.host.last_seq(Channel.BULK_DOWN) < allowed:
            piece = data[at : at + size]
            message = BulkWrite(number, at, piece)
            at += len(piece)
            wire = t.host.pack(message, flags=Flag.LAST * (at == len(data)))
            count += 1
            if count not in lose:
                t.host.write(b"\0" + wire)
        t.host.pump(t.host.port.now_us + 50_000, lambda: len(t.host.log) > looked)  # noqa: B023 - called at once
        now_us = t.host.port.now_us
        for _, grant in t.host.since(looked, Credit):
            if grant.channel == Channel.BULK_DOWN and grant.allowed > allowed:
                allowed, heard_us = grant.allowed, now_us
        for _, event in t.host.since(looked, ObjectEvent):
            if event.object != number:
                continue
            if event.status != ObjectStatus.MISSING:
                return Writing(event.status, holes, (now_us - began_us) / 1000)
            holes += 1
            at, heard_us = event.received_bytes, now_us
        looked = len(t.host.log)
        if now_us - heard_us > OBJECT_STALL_MS * 1000:
            repeats += 1
            t.check(repeats <= MAX_REPEATS, f"the frame takes no more of the object at octet {at} of {len(data)}")
            at = WriteObjectResult.unpack(t.ok(Method.WRITE_OBJECT, args)).offset
            heard_us = now_us
        elif t.host.last_seq(Channel.BULK_DOWN) >= allowed and now_us - stuck_us >= 50_000 and at < len(data):
            stuck_us = now_us
            t.host.send(HighestSent(Channel.BULK_DOWN, t.host.last_seq(Channel.BULK_DOWN)))
