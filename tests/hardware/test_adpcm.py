"""ADPCM on the wire: the microphone's blocks, the speaker's, changes of the codec, and blocks that are none."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from tests.support.raw_host import MS, RawHost, Received, all_of, one

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.adpcm import AdpcmState, decode, encode

SOUND = random.Random(3).randbytes(2 * 16_000)  # one second; ADPCM follows it badly, but in every bit the same
PCM, ADPCM = m.CaptureStartArgs(m.Codec.PCM16), m.CaptureStartArgs(m.Codec.IMA_ADPCM)


def mic_frames(received: list[Received]) -> list[tuple[bool, m.MicAudio]]:
    """The AudioFrames, each with whether it says that it is ADPCM."""
    frames = []
    for r in received:
        if isinstance(r.message, m.MicAudio):
            assert r.flags in (0, m.Flag.ADPCM)
            frames.append((r.flags == m.Flag.ADPCM, r.message))
    return frames


def start(host: RawHost, args: m.CaptureStartArgs) -> None:
    assert host.call(m.Method.CAPTURE_START, args).status == m.RpcStatus.OK


def encoded(pcm: bytes) -> list[bytes]:
    """The blocks of a stream."""
    blocks, state = [], AdpcmState()
    for at in range(0, len(pcm), 640):
        block, state = encode(pcm[at : at + 640], state)
        blocks.append(block)
    return blocks


# The microphone.


def test_the_frame_says_that_it_can(host: RawHost) -> None:
    assert host.connect().capabilities & m.Capability.ADPCM


def test_the_microphone_in_adpcm(host: RawHost) -> None:
    host.frame.peripherals.microphone.say(SOUND)
    host.connect()
    start(host, ADPCM)
    frames = mic_frames(host.advance(1000 * MS))
    assert [audio.sample for _, audio in frames] == list(range(0, 16_000, 320))
    assert all(is_adpcm for is_adpcm, _ in frames)
    recorded = host.frame.peripherals.microphone.recorded
    assert recorded == SOUND
    assert [audio.pcm for _, audio in frames] == encoded(recorded)


def test_an_adpcm_audio_frame_is_180_octets_on_the_wire(host: RawHost) -> None:
    host.frame.peripherals.microphone.say(b"\x7f" * 640)
    host.connect()
    start(host, ADPCM)
    host.now_us = 20 * MS
    tx, _ = host.frame.step(host.now_us)
    assert len(tx) <= 1 + 184  # and the zero that leads after a pause


def test_the_codec_changes_with_the_next_audio_frame(host: RawHost) -> None:
    host.frame.peripherals.microphone.say(SOUND)
    host.connect()
    start(host, PCM)
    for args in (ADPCM, PCM, ADPCM, ADPCM):
        host.advance(100 * MS)
        start(host, args)
    host.advance(100 * MS)
    frames = mic_frames(host.log)
    assert [is_adpcm for is_adpcm, _ in frames] == [False] * 5 + [True] * 5 + [False] * 5 + [True] * 10
    for (_, before), (_, audio) in pairwise(frames):
        assert audio.sample == before.sample + 320
        assert audio.dropped_frames == 0
    assert len(all_of(host.log, m.CaptureEvent)) == 1, "the microphone stayed on"

    recorded = host.frame.peripherals.microphone.recorded
    state = AdpcmState()
    for is_adpcm, audio in frames:
        pcm = recorded[2 * audio.sample : 2 * audio.sample + 640]
        if is_adpcm:
            block, state = encode(pcm, state)
            assert audio.pcm == block
        else:
            assert audio.pcm == pcm


def test_each_capture_begins_with_an_encoder_at_rest(host: RawHost) -> None:
    host.frame.peripherals.microphone.say(SOUND)
    host.connect()
    for _ in range(2):
        start(host, ADPCM)
        first = mic_frames(host.advance(60 * MS))[0][1]
        assert first.pcm[:4] == bytes(4)
        host.call(m.Method.CAPTURE_STOP)


@pytest.mark.parametrize("codec", [2, 255])
def test_a_codec_that_nobody_knows_changes_nothing(host: RawHost, codec: int) -> None:
    host.connect()
    start(host, ADPCM)
    assert host.call(m.Method.CAPTURE_START, m.CaptureStartArgs(codec)).status == m.RpcStatus.BAD_ARGUMENT
    assert [is_adpcm for is_adpcm, _ in mic_frames(host.advance(60 * MS))] == [True] * 3


# The speaker.


@pytest.fixture
def loud(host: RawHost) -> RawHost:
    """A connected host whose frame plays what it gets, sample by sample."""
    host.connect()
    host.call(m.Method.SET_VOLUME, b"\x64")
    return host


def play(host: RawHost, *blocks: bytes, flags: int = m.Flag.ADPCM) -> m.PlaybackEnded:
    """Send up to six blocks as one stream and let it end."""
    sample = 0
    for i, block in enumerate(blocks):
        last = m.Flag.LAST if i == len(blocks) - 1 else 0
        host.send(m.SpeakerAudio(sample=sample, stream=1, pcm=block), flags=flags | last)
        sample += 2 * max(0, len(block) - 4)
    return one(host.advance(300 * MS), m.PlaybackEnded)


def played(host: RawHost) -> bytes:
    """What the speaker got once playback had started."""
    started = one(host.log, m.PlaybackStarted)
    return bytes(host.frame.peripherals.speaker.recorded[2 * started.mic_sample :])


def test_the_speaker_plays_exactly_the_decoded_samples(loud: RawHost) -> None:
    blocks = encoded(SOUND[: 6 * 640])
    ended = play(loud, *blocks)
    assert ended.played_samples == 6 * 320
    want = b"".join(map(decode, blocks))
    assert played(loud)[: len(want)] == want
    assert not any(played(loud)[len(want) :])
    assert all_of(loud.log, m.Underrun) == []


def test_blocks_and_pcm_may_follow_each_other(loud: RawHost) -> None:
    """A host changes its codec when the line changes its rate."""
    blocks = encoded(SOUND[:1280])
    for i, (pcm, flags) in enumerate([(blocks[0], m.Flag.ADPCM), (SOUND[640:1280], 0), (blocks[1], m.Flag.ADPCM)]):
        loud.send(m.SpeakerAudio(sample=320 * i, stream=1, pcm=pcm), flags=flags | m.Flag.LAST * (i == 2))
    assert one(loud.advance(200 * MS), m.PlaybackEnded).played_samples == 960
    want = decode(blocks[0]) + SOUND[640:1280] + decode(blocks[1])
    assert played(loud)[: len(want)] == want


@pytest.mark.parametrize("samples", [1, 2, 3, 101, 319])
def test_a_short_last_block(loud: RawHost, samples: int) -> None:
    blocks = encoded(SOUND[: 640 + 2 * samples])
    even = samples + samples % 2
    assert len(blocks[-1]) == 4 + even // 2
    assert play(loud, *blocks).played_samples == 320 + even
    want = b"".join(map(decode, blocks))
    assert played(loud)[: len(want)] == want


@pytest.mark.parametrize("end", [b"", bytes(4), b"\xff\xff\x58\xff"], ids=["empty", "a head", "the fullest head"])
def test_the_end_may_come_without_samples(loud: RawHost, end: bytes) -> None:
    block = encoded(SOUND[:640])[0]
    loud.send(m.SpeakerAudio(sample=0, stream=1, pcm=block), flags=m.Flag.ADPCM)
    loud.send(m.SpeakerAudio(sample=320, stream=1, pcm=end), flags=m.Flag.ADPCM | m.Flag.LAST)
    assert one(loud.advance(100 * MS), m.PlaybackEnded).played_samples == 320


@pytest.mark.parametrize("size", [1, 2, 3, 165, 166, 640, 1018])
def test_a_block_of_the_wrong_size_is_dropped(loud: RawHost, size: int) -> None:
    loud.send(m.SpeakerAudio(sample=0, stream=1, pcm=bytes(size)), flags=m.Flag.ADPCM)
    assert loud.state().speaker_queued_samples == 0


@pytest.mark.parametrize("index", [89, 127, 128, 255])
def test_an_index_beyond_the_table_is_dropped(loud: RawHost, index: int) -> None:
    loud.send(m.SpeakerAudio(sample=0, stream=1, pcm=bytes((0, 0, index, 0)) + bytes(160)), flags=m.Flag.ADPCM)
    assert loud.state().speaker_queued_samples == 0


@pytest.mark.parametrize("seed", range(6))
def test_blocks_of_any_content_are_dropped_or_played_as_decoded(loud: RawHost, seed: int) -> None:
    rng = random.Random(seed)
    sample, want = 0, b""
    for _ in range(200):
        size = rng.choice([0, 1, 3, 4, 5, 163, 164, 165, rng.randrange(300)])
        block = rng.randbytes(size)
        if size > 3 and rng.random() < 0.8:
            block = block[:2] + bytes((rng.randrange(89),)) + block[3:]
        queued = loud.state().speaker_queued_samples
        loud.send(m.SpeakerAudio(sample=sample, stream=1, pcm=block), flags=m.Flag.ADPCM)
        try:
            pcm = decode(block)
        except ValueError:
            pcm = b""
        assert loud.state().speaker_queued_samples == queued + len(pcm) // 2
        sample, want = sample + len(pcm) // 2, want + pcm
        if loud.state().speaker_queued_samples > 640:
            loud.advance(20 * MS)
        loud.advance(20 * MS * (rng.random() < 0.5))
    loud.advance(200 * MS)
    assert played(loud).replace(b"\0\0", b"") == want.replace(b"\0\0", b"")  # between them, silence as long as it takes
