"""Numbers that come round: nothing stalls, and nothing is taken for old, when a counter of the wire starts over."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.support.raw_host import MS, RawHost, all_of, encode, one, payload_of

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import Peripherals, SpeakerRecorder

SECOND = 1000 * MS
STEP = 1800 * MS
"""As much as a step can say of the microphone, and well within the silence that a session survives."""
U16 = 0x1_0000
U32 = 0x1_0000_0000


def test_more_microphone_frames_than_their_number_can_count(host: RawHost) -> None:
    """22 minutes of audio: every frame once, in order, under a number that wraps."""
    host.connect()
    host.start_capture()
    heard = 0
    while heard <= U16 + 200:
        host.log.clear()
        host.now_us += STEP
        host.send(m.Ping(token=1))
        for received in host.log:
            if received.chan != m.Channel.MIC:
                continue
            heard += 1
            sample = int.from_bytes(received.payload[:4], "little")
            assert (received.seq, sample) == (heard % U16, (heard - 1) * m.FRAME_SAMPLES)
    assert host.state().mic_dropped_frames == 0
    assert host.stats().rx_duplicate_frames == 0


def test_more_calls_than_their_number_can_count(host: RawHost) -> None:
    """Sequence numbers and credit wrap, and so do the calls' own numbers."""
    host.connect()
    get_state = m.Method.GET_STATE
    for first in range(0, U16 + 5 * m.Window.RPC, m.Window.RPC):
        ids = [(first + i) % U16 for i in range(m.Window.RPC)]
        host.log.clear()
        replies = all_of(host.send(*(m.Call(call_id=i, method=get_state) for i in ids)), m.Reply)
        assert [reply.call_id for reply in replies] == ids
        granted = [c.allowed for c in all_of(host.log, m.Credit) if c.channel == m.Channel.RPC]
        assert 0 < (granted[-1] - first - m.Window.RPC) % U16 <= m.Window.RPC
    assert host.seq[m.Channel.RPC] == (U16 + 5 * m.Window.RPC) % U16
    stats = host.stats()
    assert (stats.rx_lost_frames, stats.rx_duplicate_frames, stats.rx_refused_frames) == (0, 0, 0)


def test_more_speaker_frames_than_their_number_can_count(host: RawHost) -> None:
    """Frames of a stream that was flushed are dropped at once, but their numbers count."""
    host.connect()
    host.send(m.SpeakerAudio(sample=0, stream=1, pcm=bytes(640)))
    assert host.call(m.Method.FLUSH_SPEAKER, m.FlushSpeakerArgs(1)).status == m.RpcStatus.OK
    late = payload_of(m.SpeakerAudio(sample=320, stream=1))
    seq = host.seq[m.Channel.SPEAKER]
    for _ in range(U16 // m.Window.SPEAKER + 1):
        wires = []
        for _ in range(m.Window.SPEAKER):
            seq = (seq + 1) % U16
            wires.append(encode(m.Channel.SPEAKER, late, seq=seq, session=host.session))
        host.log.clear()
        host.step(b"".join(wires))
        granted = [c.allowed for c in all_of(host.log, m.Credit) if c.channel == m.Channel.SPEAKER]
        assert granted[-1] == (seq + m.Window.SPEAKER) % U16
    host.seq[m.Channel.SPEAKER] = seq
    for i in range(4):
        host.send(m.SpeakerAudio(sample=320 * i, stream=2, pcm=bytes(640)), flags=m.Flag.LAST * (i == 3))
    assert one(host.advance(200 * MS), m.PlaybackEnded).played_samples == 4 * 320
    assert host.stats().rx_lost_frames == 0


def test_more_chunks_of_objects_than_their_number_can_count(host: RawHost) -> None:
    """One object, read again and again from near its end."""
    host.connect(bulk_window=255)
    host.call(m.Method.TAKE_PHOTO)
    photo = one(host.advance(100 * MS), m.PhotoEvent)
    seq = 0
    while seq <= U16 + 1000:
        host.log.clear()
        allowed = (seq + 255) % U16
        host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=allowed))
        for _ in range(20):
            host.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0))
        for received in host.log:
            if received.chan == m.Channel.BULK_UP:
                seq += 1
                assert received.seq == seq % U16
        assert all_of(host.log, m.HighestSent) == []
    assert host.state().capturing == 0


BLOCKS = U32 // m.FRAME_SAMPLES - 10
"""Blocks of 20 ms until the sample clock is about to start over, which it does after 74.6 hours, amid a block."""


class Loudspeaker(SpeakerRecorder):
    """Keeps what was played and not the silence of three days before it."""

    def fill(self, sample: int) -> None: ...


@pytest.fixture
def peripherals() -> Peripherals:
    return Peripherals(speaker=Loudspeaker())


@pytest.fixture
def before_the_wrap(host: RawHost) -> RawHost:
    """A connected host, ten blocks before the sample clock starts over. Nobody was there until then."""
    host.now_us = BLOCKS * 20 * MS
    host.connect()
    assert host.state().mic_sample == BLOCKS * m.FRAME_SAMPLES
    return host


def test_the_microphone_over_the_wrap_of_the_sample_clock(before_the_wrap: RawHost) -> None:
    host = before_the_wrap
    host.start_capture()
    frames = all_of(host.advance(SECOND), m.MicAudio)
    assert len(frames) == 50
    assert frames[0].sample == BLOCKS * m.FRAME_SAMPLES
    for last, frame in pairwise(frames):
        assert frame.sample == (last.sample + m.FRAME_SAMPLES) % U32
    now = ((BLOCKS + 50) * m.FRAME_SAMPLES) % U32
    assert now < m.SAMPLE_RATE_HZ
    assert host.state().mic_sample == now
    assert one(host.send(m.Ping(token=1)), m.Pong).mic_sample == now


def test_the_speaker_over_the_wrap_of_the_sample_clock(before_the_wrap: RawHost) -> None:
    host = before_the_wrap
    host.call(m.Method.SET_VOLUME, m.SetVolumeArgs(100))
    pcm = bytes(range(1, 161)) * 4
    for i in range(20):  # 400 ms
        host.send(m.SpeakerAudio(sample=320 * i, stream=1, pcm=pcm), flags=m.Flag.LAST * (i == 19))
        host.advance(20 * MS if i > 3 else 0)
    host.advance(200 * MS)
    started, ended = one(host.log, m.PlaybackStarted), one(host.log, m.PlaybackEnded)
    assert started.mic_sample > U32 // 2
    assert (ended.played_samples, ended.reason) == (6400, m.PlaybackEnd.PLAYED)
    assert (ended.mic_sample - started.mic_sample) % U32 == 6400
    assert all_of(host.log, m.Underrun) == []
    assert pcm * 20 in bytes(host.frame.peripherals.speaker.recorded)


def test_uptime_outlives_the_wrap(before_the_wrap: RawHost) -> None:
    before_the_wrap.advance(SECOND)
    uptime_ms = 20 * (BLOCKS + 50)
    assert before_the_wrap.stats().uptime_ms == uptime_ms == before_the_wrap.state().uptime_ms
    assert before_the_wrap.stats().loop_worst_us == 0  # nothing was due in all these hours
