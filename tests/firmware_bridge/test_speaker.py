"""Cutting streams into AudioFrames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.firmware_bridge.errors import LocalProtocolError
from lorgnette.firmware_bridge.messages import Flag, SpeakerAudio
from lorgnette.firmware_bridge.speaker import FRAME_BYTES, MAX_QUEUED_FRAMES, SpeakerQueue


def drain(queue: SpeakerQueue) -> list[tuple[SpeakerAudio, Flag]]:
    return [queue.pop() for _ in range(len(queue))]


@given(st.lists(st.integers(0, 1500).map(lambda n: bytes([n & 0xFF, n >> 8]) * n), max_size=8))
def test_pieces_of_any_length_make_whole_frames(pieces: list[bytes]) -> None:
    queue = SpeakerQueue()
    for piece in pieces:
        queue.append(1, piece, last=False)
    queue.append(1, b"", last=True)
    frames = drain(queue)
    assert b"".join(audio.pcm for audio, _ in frames) == b"".join(pieces)
    assert [audio.sample for audio, _ in frames] == [320 * n for n in range(len(frames) - 1)] + [
        sum(len(audio.pcm) for audio, _ in frames[:-1]) // 2
    ]
    assert all(len(audio.pcm) == FRAME_BYTES for audio, _ in frames[:-1])
    flags = [flags for _, flags in frames]
    assert [bool(f & Flag.FIRST) for f in flags] == [True] + [False] * (len(flags) - 1)
    assert [bool(f & Flag.LAST) for f in flags] == [False] * (len(flags) - 1) + [True]


def test_a_part_of_a_frame_waits_for_more() -> None:
    queue = SpeakerQueue()
    queue.append(1, bytes(FRAME_BYTES - 2), last=False)
    assert len(queue) == 0
    queue.append(1, bytes(2), last=False)
    assert len(queue) == 1


def test_a_new_stream_ends_the_one_before() -> None:
    queue = SpeakerQueue()
    queue.append(1, bytes(100), last=False)
    queue.append(2, bytes(200), last=True)
    assert [(audio.stream, len(audio.pcm), flags) for audio, flags in drain(queue)] == [
        (1, 100, Flag.FIRST | Flag.LAST),
        (2, 200, Flag.FIRST | Flag.LAST),
    ]


def test_a_flush_drops_older_streams_and_what_comes_late() -> None:
    queue = SpeakerQueue()
    for stream in (0xFFFE, 0xFFFF, 0, 1):  # the numbers wrap
        queue.append(stream, bytes(1000), last=stream != 1)
    queue.flush(0)
    queue.append(0, bytes(1000), last=False)
    queue.append(1, bytes(280), last=True)
    assert [(audio.stream, len(audio.pcm)) for audio, _ in drain(queue)] == [(1, 640), (1, 640)]


def test_a_flushed_open_stream_leaves_no_rest_behind() -> None:
    queue = SpeakerQueue()
    queue.append(1, bytes(100), last=False)
    queue.flush(1)
    queue.append(2, bytes(10), last=True)
    assert [(audio.stream, audio.sample, len(audio.pcm)) for audio, _ in drain(queue)] == [(2, 0, 10)]


def test_an_older_flush_takes_nothing_back() -> None:
    queue = SpeakerQueue()
    queue.flush(5)
    queue.flush(3)
    queue.append(4, bytes(640), last=True)
    assert len(queue) == 0


@pytest.mark.parametrize(("stream", "message"), [(1, "has ended"), (0, "older")])
def test_streams_cannot_go_back(stream: int, message: str) -> None:
    queue = SpeakerQueue()
    queue.append(1, b"", last=True)
    with pytest.raises(LocalProtocolError, match=message):
        queue.append(stream, bytes(2), last=False)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="within a sample"):
        SpeakerQueue().append(1, b"\1", last=False)


@pytest.mark.parametrize("stream", [-1, 65_536, 70_000])
def test_a_stream_number_that_does_not_fit_is_refused(stream: int) -> None:
    queue = SpeakerQueue()
    with pytest.raises(LocalProtocolError, match="outside 0 to 65535"):
        queue.append(stream, bytes(2), last=True)
    with pytest.raises(LocalProtocolError, match="outside 0 to 65535"):
        queue.flush(stream)
    assert len(queue) == 0


def test_the_queue_has_an_end() -> None:
    queue = SpeakerQueue()
    queue.append(1, bytes(FRAME_BYTES * MAX_QUEUED_FRAMES), last=False)
    with pytest.raises(LocalProtocolError, match="ten minutes"):
        queue.append(1, bytes(2), last=False)
