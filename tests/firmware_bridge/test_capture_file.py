"""The file of a capture: what a stranger's reader sees, what is left of a cut one, and what hostile ones cannot do."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.captures import blocks_of

from lorgnette.firmware_bridge.capture import writer as writer_module
from lorgnette.firmware_bridge.capture.pcapng import interface, packet, section
from lorgnette.firmware_bridge.capture.reader import CaptureReader, Note, Octets, Record
from lorgnette.firmware_bridge.capture.writer import TOO_SLOW, CaptureWriter
from lorgnette.firmware_bridge.errors import CaptureError

OFFSET_NS = 1_700_000_000_000_000_000
PATIENCE_S = 30.0


def small(path: Path) -> Path:
    """Two reads, a write and a note."""
    writer = CaptureWriter(path, "lorgnette 9.9", {"command": "test"}, offset_ns=OFFSET_NS)
    writer.octets(b"\0hello\0", 1.5, inbound=True)
    writer.note({"kind": "odd", "words": "Grüße"}, 1.75)
    writer.octets(b"\1\2\3", 2.000000001, inbound=False)
    writer.octets(b"", 2.5, inbound=True)
    writer.close()
    return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return small(tmp_path / "small.pcapng")


def read(raw: bytes) -> tuple[list[Record], CaptureReader]:
    reader = CaptureReader(io.BytesIO(raw))
    return list(reader), reader


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---- what is in it
def test_a_stranger_reads_it(capture: Path) -> None:
    head, line, notes, *packets = blocks_of(capture.read_bytes())
    assert (head.kind, head.fixed[:8]) == (0x0A0D0D0A, struct.pack("<IHH", 0x1A2B3C4D, 1, 0))
    assert head.options[4] == b"lorgnette 9.9"
    about = json.loads(head.options[1])
    assert about["lorgnette_capture"] == 1 and about["command"] == "test"
    assert [struct.unpack_from("<H", block.fixed)[0] for block in (line, notes)] == [147, 148]
    assert (line.options[2], notes.options[2]) == (b"line", b"notes")
    assert line.options[9] == notes.options[9] == b"\x09"  # nanoseconds
    assert [struct.unpack_from("<I", block.fixed)[0] for block in packets] == [0, 1, 0, 0, 1]
    assert [block.data for block in packets[:3:2]] == [b"\0hello\0", b"\1\2\3"]
    assert [struct.unpack("<I", block.options[2])[0] for block in packets if 2 in block.options] == [1, 2, 1]
    for block in packets:
        assert block.options[3] == b"\2" + struct.pack("<I", zlib.crc32(block.data))
    high, low = struct.unpack_from("<II", packets[2].fixed, 4)
    assert high << 32 | low == OFFSET_NS + 2_000_000_001
    if (tshark := shutil.which("tshark")) is not None:
        command = [tshark, "-r", str(capture), "-T", "fields", "-e", "frame.interface_id"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert done.stdout.split() == ["0", "1", "0", "0", "1"]


def test_it_comes_back_as_it_was(capture: Path) -> None:
    records, reader = read(capture.read_bytes())
    assert records[:4] == [
        Octets(1.5, True, b"\0hello\0"),
        Note(1.75, {"kind": "odd", "words": "Grüße"}),
        Octets(2.000000001, False, b"\1\2\3"),
        Octets(2.5, True, b""),
    ]
    assert records[4].kind == "end" and len(records) == 5  # type: ignore[union-attr]
    assert (reader.ended, reader.cut, reader.damage, reader.early_end) == (True, False, "", "")
    assert (reader.application, reader.facts["command"], reader.first_s) == ("lorgnette 9.9", "test", 1.5)


def test_a_file_that_another_tool_has_turned_over_is_read() -> None:
    comment = json.dumps({"lorgnette_capture": 1, "offset_ns": 0}).encode()
    comment += bytes(-len(comment) % 4)
    body = struct.pack(">IHHq", 0x1A2B3C4D, 1, 0, -1) + struct.pack(">HH", 1, len(comment)) + comment + bytes(4)
    turned = _big_block(0x0A0D0D0A, body) + _big_block(1, struct.pack(">HHI", 147, 0, 0))  # microseconds, by default
    turned += _big_block(6, struct.pack(">IIIII", 0, 0, 2_000_000, 3, 3) + b"abc\0")
    records, reader = read(turned)
    assert records == [Octets(2.0, True, b"abc")]
    assert not reader.damage


def _big_block(kind: int, body: bytes) -> bytes:
    size = struct.pack(">I", len(body) + 12)
    return struct.pack(">I", kind) + size + body + size


def test_blocks_of_other_tools_are_skipped(capture: Path) -> None:
    raw = capture.read_bytes()
    foreign = struct.pack("<II", 5, 16) + b"stat" + struct.pack("<I", 16)  # interface statistics
    assert read(raw + foreign)[0] == read(raw)[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    new, old = tmp_path / "new.pcapng", tmp_path / "old.pcapng"
    old.write_bytes(b"x" * 100_000)
    old.chmod(0o644)
    for path in (new, old):
        small(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(read(path.read_bytes())[0]) == 5


def test_a_file_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CaptureWriter(tmp_path / "none" / "x.pcapng", "test")


def test_only_a_packet_that_is_sound_shows_that_a_file_goes_on(capture: Path) -> None:
    raw = capture.read_bytes()
    cut = raw[: raw.rindex(b"\1\2\3")]
    sound = packet(0, 0, b"abc")
    for behind, goes_on in ((sound, True), (b"!" + sound, True), (sound.replace(b"abc", b"abd"), False), (b"", False)):
        assert read(cut + behind)[1].damaged_within is goes_on, behind
        assert read(raw + bytes(99) + behind)[1].damaged_within is goes_on, behind
    assert not read(raw)[1].damaged_within


def test_a_file_full_of_what_might_be_packets_is_not_looked_through_for_long(capture: Path) -> None:
    size = 1 << 20
    fake = struct.pack("<II", 6, size)
    pattern = (fake * (2 * size // 8))[: 2 * size]
    records, reader = read(capture.read_bytes() + bytes(8) + pattern * 2)
    assert len(records) == 5 and reader.damage and reader.damaged_within


# ---- while it is written
def test_it_is_on_the_disk_before_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "open.pcapng"
    writer = CaptureWriter(path, "test")
    writer.note({"kind": "early"}, 1.0)
    wait_until(lambda: path.stat().st_size > 0 and any(map(_is_early, read(path.read_bytes())[0])))
    assert not read(path.read_bytes())[1].ended
    writer.close()
    writer.close()  # idempotent
    writer.note({"kind": "late"}, 2.0)
    assert [note.kind for note in read(path.read_bytes())[0] if isinstance(note, Note)] == ["early", "end"]


def _is_early(record: Record) -> bool:
    return isinstance(record, Note) and record.kind == "early"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_ends_the_capture_and_nothing_else() -> None:
    reasons: list[str] = []
    writer = CaptureWriter(Path("/dev/full"), "test", on_failure=reasons.append)
    wait_until(lambda: bool(reasons))
    for number in range(1000):
        writer.octets(bytes(1000), float(number), inbound=True)
    writer.close()
    assert reasons == ["no space left on device"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_disk_that_is_too_slow_ends_the_capture_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_QUEUED_BYTES", 400_000)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    reasons: list[str] = []
    try:
        writer = CaptureWriter(path, "test", on_failure=reasons.append)
        for number in range(1000):  # a pipe holds 64 KB, the queue 400 KB
            writer.octets(bytes([number % 256]) * 1000, float(number), inbound=True)
        os.set_blocking(reader, True)
        kept = bytearray()

        def drain() -> None:
            while piece := os.read(reader, 65536):
                kept.extend(piece)

        draining = threading.Thread(target=drain, daemon=True)
        draining.start()
        writer.close()
        draining.join(PATIENCE_S)
        assert not draining.is_alive()
    finally:
        os.close(reader)
    records, seen = read(bytes(kept))
    octets = [record for record in records if isinstance(record, Octets)]
    assert 300 < len(octets) < 1000
    assert [record.at_s for record in octets] == [float(number) for number in range(len(octets))]  # no hole in it
    assert (seen.ended, seen.early_end, reasons) == (True, TOO_SLOW, [TOO_SLOW])


# ---- damage
def test_a_cut_tail_costs_the_tail_alone(capture: Path) -> None:
    raw = capture.read_bytes()
    whole, _ = read(raw)
    begins = {len(raw)}
    at = 0
    while at < len(raw):
        begins.add(at)
        at += struct.unpack_from("<I", raw, at + 4)[0]
    head = blocks_of(raw)[0]
    shortest = 12 + len(head.fixed) + sum(4 + (len(v) + 3) // 4 * 4 for v in head.options.values()) + 4
    for end in range(len(raw) + 1):
        if end < shortest:
            with pytest.raises(CaptureError):
                read(raw[:end])
            continue
        records, reader = read(raw[:end])
        assert records == whole[: len(records)]
        assert reader.cut == (end not in begins)
        assert reader.ended == (end == len(raw))
        assert not reader.damage
        behind = sum(1 for begin in begins if begin <= end) - 4  # section and two interfaces; `begins` holds the end
        assert len(records) == max(0, behind)


def test_no_octet_of_a_record_is_changed_in_silence(capture: Path) -> None:
    raw = capture.read_bytes()
    for block in blocks_of(raw)[3:]:
        begin = raw.index(block.data)
        for at in range(begin, begin + len(block.data)):
            _, reader = read(raw[:at] + bytes((raw[at] ^ 0x40,)) + raw[at + 1 :])
            assert reader.damage


def test_no_changed_octet_crashes_the_reader(capture: Path) -> None:
    raw = capture.read_bytes()
    for at in range(len(raw)):
        for changed in (raw[at] ^ 0x40, raw[at] ^ 0x01, 0, 255):
            with contextlib.suppress(CaptureError):
                read(raw[:at] + bytes((changed,)) + raw[at + 1 :])


def test_what_is_no_capture_is_said_in_a_sentence(tmp_path: Path) -> None:
    for raw in (b"", b"RIFF....WAVE", section([(4, b"dumpcap")]), interface(147, "a", "b")):
        with pytest.raises(CaptureError, match=r"no pcapng file|not written by lorgnette"):
            read(raw)
    later = json.dumps({"lorgnette_capture": 2, "offset_ns": 0}).encode()
    with pytest.raises(CaptureError, match="format 2"):
        read(section([(1, later)]))


HEAD = (
    section([(1, json.dumps({"lorgnette_capture": 1, "offset_ns": 0}).encode())])
    + interface(147, "line", "")
    + interface(148, "notes", "")
)


def test_a_note_that_is_no_object_is_damage() -> None:
    for text in (b"", b"[]", b"{", b"\xff", b"7", b"[" * 100_000, b'{"a":' * 100 + b"1" + b"}" * 100):
        records, reader = read(HEAD + packet(1, 0, text) + packet(0, 0, b"on", 1))
        assert records == [Octets(0.0, True, b"on")]
        assert "note" in reader.damage


def test_a_length_is_believed_only_as_far_as_it_goes() -> None:
    for size in (0, 11, 13, 1 << 31, 0xFFFFFFFC):
        _, reader = read(HEAD + struct.pack("<II", 6, size) + bytes(64))
        assert "block" in reader.damage
    for number, length in ((2, 0), (0, 400)):
        body = struct.pack("<IIIII", number, 0, 0, length, length) + bytes(16)
        _, reader = read(HEAD + struct.pack("<II", 6, len(body) + 12) + body + struct.pack("<I", len(body) + 12))
        assert "packet" in reader.damage


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_hostile_octets_crash_nothing(tail: bytes) -> None:
    read(HEAD + tail)
    with contextlib.suppress(CaptureError):
        read(tail)


@st.composite
def broken_files(draw: st.DrawFn) -> bytes:
    """A sound file with some octets changed, left out or repeated."""
    raw = bytearray(HEAD + packet(0, 5, b"octets", 1) + packet(1, 6, b'{"kind":"a"}') + packet(0, 7, b"more", 2))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw) - 1))
        raw[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(raw)


@settings(max_examples=500, deadline=None)
@given(broken_files())
def test_broken_files_crash_nothing(raw: bytes) -> None:
    with contextlib.suppress(CaptureError):
        records, _ = read(raw)
        assert len(records) <= len(raw) / 32  # each was a block of its own
