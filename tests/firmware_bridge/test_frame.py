"""The framing: every stream is cut the same way, however it arrives, and nothing that arrives can break it."""

from __future__ import annotations

import zlib

import pytest
from cobs import cobs  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.firmware_bridge.frame import CRC, HEADER, MAX_HELD_BYTES, Frame, FrameReader
from lorgnette.firmware_bridge.messages import MAX_PAYLOAD_BYTES, MAX_WIRE_BYTES

u8, u16 = st.integers(0, 0xFF), st.integers(0, 0xFFFF)
payloads = st.one_of(
    st.binary(max_size=80), st.sampled_from([0, 1, 253, 254, 255, 508, MAX_PAYLOAD_BYTES]).map(lambda n: b"\1" * n)
)
frames = st.builds(Frame, u8, u8, u16, u16, payloads)


def read(*pieces: bytes) -> tuple[list[Frame], bytes]:
    """All frames in what arrives in `pieces`, and everything else."""
    reader = FrameReader()
    found = [item for piece in pieces for item in reader.receive(piece)]
    other = b"".join(raw for frame, raw in found if frame is None) + reader.take_held()
    return [frame for frame, _ in found if frame is not None], other


@given(frames)
def test_a_frame_survives_the_wire(frame: Frame) -> None:
    wire = frame.encode()
    assert len(wire) <= MAX_WIRE_BYTES
    assert wire.index(0) == len(wire) - 1
    assert Frame.decode(wire[:-1]) == frame


def test_a_payload_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="1025 bytes exceeds 1024"):
        Frame(0, 0, 0, 0, bytes(MAX_PAYLOAD_BYTES + 1)).encode()


@given(st.lists(frames, max_size=4), st.integers(1, 7))
def test_whole_or_in_pieces_is_the_same(sent: list[Frame], size: int) -> None:
    wire = b"\0".join(frame.encode() for frame in sent)
    assert read(wire) == (sent, b"")
    assert read(*(wire[at : at + 1] for at in range(len(wire)))) == (sent, b"")
    assert read(*(wire[at : at + size] for at in range(0, len(wire), size))) == (sent, b"")


@given(st.binary(max_size=60), frames)
def test_noise_in_front_costs_nothing_behind_a_delimiter(noise: bytes, frame: Frame) -> None:
    found, _ = read(noise + b"\0" + frame.encode())
    assert found[-1:] == [frame]


@given(frames, frames, st.data())
def test_a_truncated_frame_costs_only_itself(first: Frame, second: Frame, data: st.DataObject) -> None:
    wire = first.encode()
    cut = data.draw(st.integers(0, len(wire) - 2))
    found, other = read(wire[:cut] + b"\0" + second.encode())
    assert found == [second]
    assert other == wire[:cut]


@given(frames, frames, st.data())
def test_lost_octets_never_merge_two_frames(first: Frame, second: Frame, data: st.DataObject) -> None:
    """Octets lost across the boundary take at most both frames; what is left of them is never taken for a third."""
    wire = first.encode() + second.encode()
    start = data.draw(st.integers(0, len(wire)))
    end = data.draw(st.integers(start, min(len(wire), start + 128)))
    found, _ = read(wire[:start] + wire[end:] + b"\0")
    assert all(frame in (first, second) for frame in found)


@given(frames, st.text(alphabet="EI (512) boot: wifi\r\n", max_size=50))
def test_text_spliced_between_frames_goes_to_the_console(frame: Frame, text: str) -> None:
    noise = text.encode()
    found, other = read(frame.encode() + noise + b"\0" + frame.encode())
    assert found == [frame, frame]
    assert other == noise


@given(frames, st.data())
def test_a_flipped_bit_is_noticed(frame: Frame, data: st.DataObject) -> None:
    wire = bytearray(frame.encode())
    bit = data.draw(st.integers(0, 8 * len(wire) - 1))
    wire[bit // 8] ^= 1 << bit % 8
    found, _ = read(bytes(wire) + b"\0")
    assert found in ([], [frame])  # the closing delimiter's own flip leaves the frame whole only if one follows


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_random_octets_never_raise_and_never_fill_the_memory(pieces: list[bytes]) -> None:
    reader = FrameReader()
    out = 0
    for piece in pieces:
        out += sum(len(raw) for _, raw in reader.receive(piece))
        assert reader.held_bytes <= MAX_HELD_BYTES
    zeros = sum(piece.count(0) for piece in pieces)
    assert out + reader.held_bytes + zeros == sum(map(len, pieces))


def test_a_stream_without_delimiter_is_given_up_in_time() -> None:
    reader = FrameReader()
    found = [item for _ in range(3 * MAX_HELD_BYTES) for item in reader.receive(b"\x55")]
    assert [frame for frame, _ in found] == [None, None]
    assert all(len(raw) == MAX_HELD_BYTES + 1 for _, raw in found)


@pytest.mark.parametrize(
    "body",
    [b"", b"\1" * 9, b"\1" * 10, HEADER.pack(0, 0, 1, 0) + bytes(MAX_PAYLOAD_BYTES + 1)],
    ids=["empty", "shorter than header and CRC", "wrong CRC", "too long, right CRC"],
)
def test_what_is_no_frame(body: bytes) -> None:
    if len(body) > 1000:
        body += CRC.pack(zlib.crc32(body))
    assert Frame.decode(cobs.encode(body)) is None


def test_the_longest_frame_is_as_long_as_the_protocol_says() -> None:
    longest = Frame(255, 255, 0xFFFF, 0xFFFF, b"\xff" * MAX_PAYLOAD_BYTES).encode()
    assert len(longest) <= MAX_WIRE_BYTES
    assert read(longest)[1] == b""
