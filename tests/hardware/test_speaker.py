"""The speaker: when playback starts and ends, what becomes of holes, flush, volume and mute."""

from __future__ import annotations

import random
from array import array

import pytest
from tests.support.raw_host import MS, RawHost, all_of, one

from lorgnette.firmware_bridge import messages as m

SOUND = random.Random(2).randbytes(2 * 16_000)  # one second
BLOCK = 640
END = m.PlaybackEnd


def audio(i: int, stream: int = 1, pcm: bytes | None = None) -> m.SpeakerAudio:
    """The `i`-th AudioFrame of a stream of SOUND."""
    return m.SpeakerAudio(sample=320 * i, stream=stream, pcm=SOUND[BLOCK * i : BLOCK * (i + 1)] if pcm is None else pcm)


def end_of(frames: int, stream: int = 1) -> m.SpeakerAudio:
    return m.SpeakerAudio(sample=320 * frames, stream=stream)


def played(host: RawHost) -> bytes:
    return bytes(host.frame.peripherals.speaker.recorded)


@pytest.fixture
def loud(host: RawHost) -> RawHost:
    """A connected host whose frame plays what it gets, sample by sample."""
    host.connect()
    host.call(m.Method.SET_VOLUME, b"\x64")
    return host


def stream_out(host: RawHost, frames: int, stream: int = 1) -> None:
    """Send as much of SOUND as credit allows, until it is played."""
    allowed, sent = host.seq.get(m.Channel.SPEAKER, 0) + m.Window.SPEAKER, 0
    first_seq = host.seq.get(m.Channel.SPEAKER, 0)
    while sent < frames:
        while sent < frames and first_seq + sent < allowed:
            flags = m.Flag.FIRST * (sent == 0) | m.Flag.LAST * (sent == frames - 1)
            host.send(audio(sent, stream), flags=flags)
            sent += 1
        credits = all_of(host.advance(10 * MS), m.Credit)
        allowed = max([allowed, *(c.allowed for c in credits if c.channel == m.Channel.SPEAKER)])
    host.advance(160 * MS)


def test_a_second_of_sound(loud: RawHost) -> None:
    stream_out(loud, 50)
    started, ended = one(loud.log, m.PlaybackStarted), one(loud.log, m.PlaybackEnded)
    assert started == m.PlaybackStarted(stream=1, mic_sample=started.mic_sample, speaker_sample=0)
    assert ended == m.PlaybackEnded(
        stream=1, reason=END.PLAYED, mic_sample=started.mic_sample + 16_000, played_samples=16_000
    )
    assert all_of(loud.log, m.Underrun) == []
    start = 2 * started.mic_sample
    assert played(loud)[start : start + len(SOUND)] == SOUND  # the recording keeps the frame's own time
    assert not any(played(loud)[:start])


def test_playback_starts_with_four_slots_in_hand(loud: RawHost) -> None:
    for i in range(3):
        loud.send(audio(i))
    assert {r.chan for r in loud.advance(500 * MS)} == {m.Channel.LINK}
    assert loud.frame.peripherals.speaker.on is False
    loud.send(audio(3))
    assert one(loud.advance(20 * MS), m.PlaybackStarted).mic_sample == 8320


def test_a_short_stream_starts_with_its_last_frame(loud: RawHost) -> None:
    loud.send(audio(0))
    loud.advance(200 * MS)
    loud.send(audio(1), flags=m.Flag.LAST)
    assert one(loud.advance(60 * MS), m.PlaybackEnded).played_samples == 640
    assert played(loud).endswith(SOUND[: 2 * BLOCK])


def test_the_end_may_come_without_sound(loud: RawHost) -> None:
    loud.send(audio(0), audio(1))
    loud.send(end_of(2), flags=m.Flag.LAST)
    got = loud.advance(100 * MS)
    assert one(got, m.PlaybackEnded).played_samples == 640
    assert all_of(got, m.Underrun) == []


def test_a_stream_without_sound_ends_without_starting(loud: RawHost) -> None:
    loud.send(end_of(0), flags=m.Flag.FIRST | m.Flag.LAST)
    got = loud.advance(100 * MS)
    assert one(got, m.PlaybackEnded) == m.PlaybackEnded(stream=1, reason=END.PLAYED, mic_sample=320, played_samples=0)
    assert all_of(got, m.PlaybackStarted) == []


def test_a_lost_frame_is_silence_of_its_length(loud: RawHost) -> None:
    loud.send(audio(0), audio(1))
    loud.pack(audio(2))
    loud.send(audio(3))
    loud.send(audio(4), flags=m.Flag.LAST)
    got = loud.advance(200 * MS)
    assert played(loud).endswith(SOUND[: 2 * BLOCK] + bytes(BLOCK) + SOUND[3 * BLOCK : 5 * BLOCK])
    assert one(got, m.Underrun) == m.Underrun(stream=1, mic_sample=4 * 320, speaker_sample=3 * 320, missing_samples=320)
    assert one(got, m.PlaybackEnded).played_samples == 4 * 320


def test_the_first_frame_may_be_lost(loud: RawHost) -> None:
    loud.pack(audio(0))
    loud.send(audio(1))
    loud.send(audio(2), flags=m.Flag.LAST)
    got = loud.advance(200 * MS)
    assert played(loud).endswith(bytes(BLOCK) + SOUND[BLOCK : 3 * BLOCK])
    assert one(got, m.PlaybackStarted).speaker_sample == 320
    assert one(got, m.Underrun).missing_samples == 320


def test_late_sound_is_played_late_and_complete(loud: RawHost) -> None:
    for i in range(4):
        loud.send(audio(i))
    loud.advance(180 * MS)  # four frames and five of silence
    for i in range(4, 6):
        loud.send(audio(i), flags=m.Flag.LAST * (i == 5))
    got = loud.advance(100 * MS)
    assert played(loud).endswith(SOUND[: 4 * BLOCK] + bytes(5 * BLOCK) + SOUND[4 * BLOCK : 6 * BLOCK])
    assert one(got, m.Underrun).missing_samples == 5 * 320


def test_silence_already_played_counts_for_what_was_lost(loud: RawHost) -> None:
    for i in range(4):
        loud.send(audio(i))
    loud.advance(120 * MS)  # four frames and two of silence
    loud.pack(audio(4))
    loud.pack(audio(5))
    loud.pack(audio(6))
    loud.send(audio(7), flags=m.Flag.LAST)
    got = loud.advance(100 * MS)
    assert played(loud).endswith(SOUND[: 4 * BLOCK] + bytes(3 * BLOCK) + SOUND[7 * BLOCK : 8 * BLOCK])
    assert one(got, m.Underrun).missing_samples == 3 * 320


def test_a_late_end_mark_is_no_underrun(loud: RawHost) -> None:
    for i in range(4):
        loud.send(audio(i))
    loud.advance(200 * MS)
    loud.send(end_of(4), flags=m.Flag.LAST)
    got = loud.advance(40 * MS)
    assert all_of(got, m.Underrun) == []
    assert one(got, m.PlaybackEnded).reason == END.PLAYED


def test_a_stream_that_is_never_ended_starves(loud: RawHost) -> None:
    for i in range(4):
        loud.send(audio(i))
    got = loud.advance(4000 * MS)
    ended = one(got, m.PlaybackEnded)
    assert ended == m.PlaybackEnded(
        stream=1, reason=END.STARVED, mic_sample=320 + 4 * 320 + 48_000, played_samples=4 * 320
    )
    assert loud.frame.peripherals.speaker.on is False
    loud.send(audio(4))
    assert loud.state().speaker_queued_samples == 0  # it is over


def test_a_stream_too_short_to_start_starves(loud: RawHost) -> None:
    loud.send(audio(0))
    assert all_of(loud.advance(2990 * MS), m.PlaybackEnded) == []
    ended = one(loud.advance(20 * MS), m.PlaybackEnded)
    assert (ended.reason, ended.played_samples) == (END.STARVED, 0)
    assert loud.state().speaker_queued_samples == 0


def test_sound_sent_twice_is_played_once(loud: RawHost) -> None:
    loud.send(audio(0), audio(0), audio(1), audio(0))
    loud.send(m.SpeakerAudio(sample=480, stream=1, pcm=SOUND[960 : 960 + BLOCK]), flags=m.Flag.LAST)  # half of it new
    ended = one(loud.advance(200 * MS), m.PlaybackEnded)
    assert ended.played_samples == 800
    assert played(loud)[BLOCK : BLOCK + 2 * 800] == SOUND[: 2 * 800]


def test_a_position_that_no_host_means_is_dropped(loud: RawHost) -> None:
    loud.send(audio(0), m.SpeakerAudio(sample=0x7000_0000, stream=1, pcm=bytes(640)), audio(1))
    loud.send(audio(2), flags=m.Flag.LAST)
    got = loud.advance(200 * MS)
    assert one(got, m.PlaybackEnded).played_samples == 3 * 320
    assert played(loud).endswith(SOUND[: 3 * BLOCK])


@pytest.mark.parametrize("size", [1, 639, 641, 642, 1018])
def test_sound_of_the_wrong_size_is_dropped(loud: RawHost, size: int) -> None:
    loud.send(m.SpeakerAudio(sample=0, stream=1, pcm=bytes(size)))
    assert loud.state().speaker_queued_samples == 0


def test_frames_may_be_short(loud: RawHost) -> None:
    for at in range(0, 600, 100):
        loud.send(m.SpeakerAudio(sample=at, stream=1, pcm=SOUND[2 * at : 2 * at + 200]))
    loud.advance(20 * MS)
    loud.send(m.SpeakerAudio(sample=600, stream=1), flags=m.Flag.LAST)
    assert one(loud.advance(100 * MS), m.PlaybackEnded).played_samples == 600
    assert played(loud).rstrip(b"\0").endswith(SOUND[:1200].rstrip(b"\0"))


def test_streams_follow_each_other_without_a_gap(loud: RawHost) -> None:
    loud.send(audio(0), audio(1))
    loud.send(audio(2), flags=m.Flag.LAST)
    loud.send(audio(0, stream=2))
    loud.send(audio(1, stream=2), flags=m.Flag.LAST)
    got = loud.advance(200 * MS)
    assert [(e.stream, e.reason, e.played_samples) for e in all_of(got, m.PlaybackEnded)] == [(1, 0, 960), (2, 0, 640)]
    assert played(loud).endswith(SOUND[: 3 * BLOCK] + SOUND[: 2 * BLOCK])
    amplifier = [c.value for c in loud.frame.peripherals.changes if c.part == "speaker"]
    assert amplifier == [1, 0]  # not switched in between


def test_a_newer_stream_ends_one_whose_end_was_lost(loud: RawHost) -> None:
    loud.send(audio(0), audio(1))
    loud.send(audio(0, 2), flags=m.Flag.LAST)
    got = loud.advance(200 * MS)
    assert [(e.stream, e.reason) for e in all_of(got, m.PlaybackEnded)] == [(1, END.PLAYED), (2, END.PLAYED)]


def test_an_older_stream_is_not_taken(loud: RawHost) -> None:
    loud.send(audio(0, 5), audio(0, 4))
    assert loud.state().speaker_queued_samples == 320


def test_flush_is_heard_at_once(loud: RawHost) -> None:
    for i in range(6):
        loud.send(audio(i))
    loud.advance(50 * MS)  # two and a half blocks
    reply = loud.call(m.Method.FLUSH_SPEAKER, m.FlushSpeakerArgs(1))
    assert m.FlushSpeakerResult.unpack(reply.result).played_samples == 640
    ended = one(loud.log, m.PlaybackEnded)
    assert (ended.stream, ended.reason, ended.played_samples) == (1, END.FLUSHED, 640)
    assert loud.frame.peripherals.speaker.on is False
    assert loud.state().speaker_queued_samples == 0
    loud.advance(200 * MS)
    assert len(played(loud)) == 2 * BLOCK + 2 * 320  # nothing after it (the clock began before the first block)


def test_a_flushed_stream_stays_flushed(loud: RawHost) -> None:
    loud.send(audio(0))
    loud.call(m.Method.FLUSH_SPEAKER, m.FlushSpeakerArgs(3))
    got = loud.send(audio(1), audio(0, 2), audio(0, 3))
    assert all_of(got, m.PlaybackEnded) == []
    assert loud.state().speaker_queued_samples == 0
    loud.send(audio(0, 4), flags=m.Flag.LAST)
    assert one(loud.advance(100 * MS), m.PlaybackStarted).stream == 4


def test_flush_frees_the_whole_window_at_once(loud: RawHost) -> None:
    for i in range(6):
        loud.send(audio(i))
    got = loud.send(m.Call(call_id=500, method=m.Method.FLUSH_SPEAKER, args=m.FlushSpeakerArgs(1).pack()))
    assert m.Credit(channel=m.Channel.SPEAKER, allowed=12) in all_of(got, m.Credit)


def test_flush_spares_newer_streams(loud: RawHost) -> None:
    loud.send(audio(0), audio(1))
    loud.send(audio(0, 2))
    loud.send(audio(0, 3), flags=m.Flag.LAST)
    loud.call(m.Method.FLUSH_SPEAKER, m.FlushSpeakerArgs(2))
    flushed = [(e.stream, e.reason) for e in all_of(loud.log, m.PlaybackEnded)]
    assert flushed == [(1, END.FLUSHED), (2, END.FLUSHED)]
    assert one(loud.advance(100 * MS), m.PlaybackStarted).stream == 3


def test_flush_of_nothing(loud: RawHost) -> None:
    reply = loud.call(m.Method.FLUSH_SPEAKER, m.FlushSpeakerArgs(9))
    assert m.FlushSpeakerResult.unpack(reply.result).played_samples == 0
    assert all_of(loud.log, m.PlaybackEnded) == []


def test_an_older_flush_changes_nothing(loud: RawHost) -> None:
    loud.call(m.Method.FLUSH_SPEAKER, m.FlushSpeakerArgs(9))
    loud.call(m.Method.FLUSH_SPEAKER, m.FlushSpeakerArgs(3))
    loud.send(audio(0, 9))
    assert loud.state().speaker_queued_samples == 0


def test_stream_numbers_wrap(loud: RawHost) -> None:
    for stream in (0xFFFE, 0xFFFF, 0, 1):
        loud.send(audio(0, stream), flags=m.Flag.LAST)
        assert one(loud.advance(60 * MS), m.PlaybackEnded).stream == stream
    loud.send(audio(0, 0xFFFF))
    assert loud.state().speaker_queued_samples == 0


def gain(percent: int) -> int:
    return round(percent * percent * 3.2768)


@pytest.mark.parametrize("percent", [0, 1, 10, 33, 50, 70, 99, 100])
def test_volume_is_the_square_of_the_knob(host: RawHost, percent: int) -> None:
    host.connect()
    host.call(m.Method.SET_VOLUME, bytes([percent]))
    samples = array("h", [-32768, -32767, -12345, -1, 0, 1, 2, 12345, 32766, 32767] * 32)
    host.send(audio(0, pcm=samples.tobytes()), flags=m.Flag.LAST)
    host.advance(40 * MS)
    start = 2 * one(host.log, m.PlaybackStarted).mic_sample
    got = array("h", played(host)[start : start + BLOCK])
    assert list(got) == [(s * gain(percent) + 16384) >> 15 for s in samples]


def test_full_volume_changes_no_sample() -> None:
    assert gain(100) == 32768
    assert all((s * 32768 + 16384) >> 15 == s for s in range(-32768, 32768))


def test_every_volume_has_its_gain() -> None:
    """The frame multiplies by an integer instead of dividing: no step of the knob may be off by a rounding."""
    assert [3 * p * p + ((p * p * 290246 + (1 << 19)) >> 20) for p in range(101)] == [gain(p) for p in range(101)]


def test_mute_lets_playback_go_on(loud: RawHost) -> None:
    for i in range(6):
        loud.send(audio(i), flags=m.Flag.LAST * (i == 5))
    loud.advance(40 * MS)
    loud.call(m.Method.SET_MUTE, b"\1")
    loud.advance(40 * MS)
    loud.call(m.Method.SET_MUTE, b"\0")
    got = loud.advance(100 * MS)
    assert one(got, m.PlaybackEnded).played_samples == 6 * 320
    assert played(loud).endswith(SOUND[: 2 * BLOCK] + bytes(2 * BLOCK) + SOUND[4 * BLOCK : 6 * BLOCK])


def test_the_end_of_the_session_is_the_end_of_playback(loud: RawHost) -> None:
    for i in range(6):
        loud.send(audio(i))
    loud.advance(40 * MS)
    loud.send(m.Close(reason=m.CloseReason.DONE))
    assert loud.frame.peripherals.speaker.on is False
    loud.connect(2)
    loud.send(audio(0), flags=m.Flag.LAST)  # streams of a new session start anywhere
    assert one(loud.advance(40 * MS), m.PlaybackEnded).stream == 1
