"""Media cases: the speaker. What is played is reported, what is missing is silence, what is flushed is gone."""

from __future__ import annotations

from ..messages import (
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    Capability,
    Channel,
    Credit,
    Flag,
    FlushSpeakerArgs,
    FlushSpeakerResult,
    Method,
    PlaybackEnd,
    PlaybackEnded,
    PlaybackStarted,
    SetMuteArgs,
    SetMuteResult,
    SetVolumeArgs,
    SetVolumeResult,
    SpeakerAudio,
    Underrun,
)
from .cases import case
from .trial import ANSWER_MS, QUIET_MS, Trial, grant_beyond, grant_of

# Silence, and as ADPCM: nobody who wears the frame hears the test. What counts is how many samples.
SILENCE = bytes(2 * FRAME_SAMPLES)
SILENT_BLOCK = bytes(4 + FRAME_SAMPLES // 2)
START_SLOTS = 4
PLAY_SLACK_MS = 500
FLUSH_MS = 100


class Playback:
    """Sends one stream of silence as fast as credit allows, in the codec that fits the line."""

    def __init__(self, t: Trial, stream: int) -> None:
        self._t = t
        self.stream = stream
        self.adpcm = t.declared.max_baud > 0 and t.host.baud < 921_600 and t.has(Capability.ADPCM)
        self.mark = len(t.host.log)
        self.sent = 0

    def send(self, frames: int = 1, *, last: bool = False) -> None:
        """Send AudioFrames whatever the credit says."""
        for at in range(frames):
            message = SpeakerAudio(FRAME_SAMPLES * self.sent, self.stream, SILENT_BLOCK if self.adpcm else SILENCE)
            flags = Flag.FIRST * (self.sent == 0) | Flag.LAST * (last and at == frames - 1)
            self._t.host.send(message, flags=flags | Flag.ADPCM * self.adpcm)
            self.sent += 1

    def end(self) -> None:
        """The end mark without samples."""
        self._t.host.send(SpeakerAudio(FRAME_SAMPLES * self.sent, self.stream, b""), flags=Flag.LAST)

    def skip(self, frames: int = 1) -> None:
        """AudioFrames that get lost on the way."""
        for _ in range(frames):
            self._t.host.next_seq(Channel.SPEAKER)
            self.sent += 1

    def send_credited(self, frames: int) -> None:
        """Send as the frame grants it."""
        t = self._t
        allowed = t.host.last_seq(Channel.SPEAKER) + t.declared.speaker_window
        looked = self.mark
        for at in range(frames):
            while t.host.last_seq(Channel.SPEAKER) >= allowed:
                missing = f"playback got no more credit after {self.sent} AudioFrames"
                allowed = t.expect(Credit, looked, missing, where=grant_beyond(Channel.SPEAKER, allowed)).allowed
            looked = max(looked, len(t.host.log) - 50)
            self.send(last=at == frames - 1)

    def ended(self, timeout_ms: float = ANSWER_MS) -> PlaybackEnded:
        missing = f"the end of stream {self.stream} was not reported within {timeout_ms:g} ms"
        return self._t.expect(
            PlaybackEnded, self.mark, missing, timeout_ms=timeout_ms, where=lambda e: e.stream == self.stream
        )


def begin(t: Trial) -> None:
    t.need(Capability.SPEAKER)
    t.connect()


@case("M-20", "a stream is played and reported", 10)
def played(t: Trial) -> None:
    """PlaybackStarted ties the clocks at the first sample; PlaybackEnded(played) counts all, behind the last one."""
    begin(t)
    playback = Playback(t, 1)
    playback.send_credited(50)
    ended = playback.ended(1000 + PLAY_SLACK_MS)
    started = t.expect(PlaybackStarted, playback.mark, "the first sample was not reported")
    t.check((started.stream, started.speaker_sample) == (1, 0), f"it began at sample {started.speaker_sample}")
    t.check(ended.reason == PlaybackEnd.PLAYED, f"it ended for the reason {ended.reason}")
    samples = 50 * FRAME_SAMPLES
    t.check(ended.played_samples == samples, f"{ended.played_samples} samples were played of {samples}")
    silent = sum(u.missing_samples for _, u in t.host.since(playback.mark, Underrun))
    took = (ended.mic_sample - started.mic_sample) & 0xFFFFFFFF
    t.figures["underrun_samples"] = silent
    t.check(abs(took - samples - silent) <= FRAME_SAMPLES, f"by its clock {samples} samples were played in {took}")
    t.should(silent == 0, f"{silent} samples of silence were played in between")


@case("M-21", "playback waits for four slots", 10)
def four_slots(t: Trial) -> None:
    """Playback starts when four AudioFrames wait, not before; or with LAST, however short the stream is."""
    begin(t)
    playback = Playback(t, 1)
    playback.send(START_SLOTS - 1)
    t.silent(playback.mark, [PlaybackStarted], "three AudioFrames")
    playback.send(last=True)
    t.expect(PlaybackStarted, playback.mark, "playback did not start with four AudioFrames")
    playback.ended()
    short = Playback(t, 2)
    short.send(last=True)
    t.expect(PlaybackStarted, short.mark, "a stream of one AudioFrame with LAST did not start")
    t.check(short.ended().played_samples == FRAME_SAMPLES, "a stream of one AudioFrame was not played whole")


@case("M-22", "a flush is heard at once", 10)
def flush(t: Trial) -> None:
    """FlushSpeaker drops what is queued of the stream, reports PlaybackEnded(flushed) with what was played, frees the
    window, and what still comes of the stream is not taken."""
    begin(t)
    window = t.declared.speaker_window
    playback = Playback(t, 1)
    playback.send(window)
    t.expect(PlaybackStarted, playback.mark, "playback did not start")
    asked_us = t.host.port.now_us
    result = FlushSpeakerResult.unpack(t.ok(Method.FLUSH_SPEAKER, FlushSpeakerArgs(1)))
    ended = playback.ended(QUIET_MS + FLUSH_MS)
    t.figures["flush_ms"] = (t.host.port.now_us - asked_us) / 1000
    t.check(ended.reason == PlaybackEnd.FLUSHED, f"the stream ended for the reason {ended.reason}, not flushed")
    t.check(ended.played_samples == result.played_samples, "answer and report count the played samples differently")
    t.check(ended.played_samples < window * FRAME_SAMPLES, "everything was played in spite of the flush")
    t.check(t.state().speaker_queued_samples == 0, "samples are queued after a flush")
    allowed = t.host.last_seq(Channel.SPEAKER) + window
    t.expect(Credit, playback.mark, "a flush did not free the window", where=grant_of(Channel.SPEAKER, allowed))
    playback.send()
    t.check(t.state().speaker_queued_samples == 0, "an AudioFrame of a flushed stream was taken")


@case("M-23", "a flush spares newer streams", 10)
def flush_older(t: Trial) -> None:
    """FlushSpeaker ends the stream and older ones; a newer one is played."""
    begin(t)
    streams = [Playback(t, number) for number in (1, 2, 3)]
    for playback in streams:
        playback.send()
    t.ok(Method.FLUSH_SPEAKER, FlushSpeakerArgs(2))
    t.check(streams[0].ended().reason == PlaybackEnd.FLUSHED, "an older stream was not flushed")
    streams[2].end()
    ended = streams[2].ended()
    t.check(ended.reason == PlaybackEnd.PLAYED, f"the newer stream ended for the reason {ended.reason}")
    t.check(ended.played_samples == FRAME_SAMPLES, f"{ended.played_samples} samples of the newer stream were played")


@case("M-24", "what is missing is silence, and reported", 10)
def underrun(t: Trial) -> None:
    """A lost AudioFrame is played as silence of its length and reported by Underrun when audio comes again."""
    begin(t)
    playback = Playback(t, 1)
    playback.send(2)
    playback.skip()
    playback.send(2, last=True)
    ended = playback.ended()
    t.check(ended.played_samples == 4 * FRAME_SAMPLES, f"{ended.played_samples} samples were counted as played")
    found = t.host.since(playback.mark, Underrun)
    t.check(len(found) == 1, f"one lost AudioFrame was reported {len(found)} times")
    event = found[0][1]
    seen = f"{event.missing_samples} samples are said to be missing before sample {event.speaker_sample}"
    t.check((event.missing_samples, event.speaker_sample) == (FRAME_SAMPLES, 3 * FRAME_SAMPLES), seen)


@case("M-25", "a stream that is never ended starves", 10)
def starved(t: Trial) -> None:
    """After 3 s of silence the stream ends with PlaybackEnded(starved)."""
    begin(t)
    playback = Playback(t, 1)
    playback.send(START_SLOTS)
    ended = playback.ended(4500)
    t.check(ended.reason == PlaybackEnd.STARVED, f"it ended for the reason {ended.reason}")
    t.check(ended.played_samples == START_SLOTS * FRAME_SAMPLES, f"{ended.played_samples} samples were played")


@case("M-26", "streams follow each other", 10)
def streams(t: Trial) -> None:
    """Streams play in the order of their numbers, modulo 65536; an older one is not taken any more."""
    begin(t)
    numbers = (0xFFFE, 0xFFFF, 0, 1)
    mark = len(t.host.log)
    for number in numbers:
        playback = Playback(t, number)
        playback.send(last=True)
    playback.ended()
    ended = tuple(e.stream for _, e in t.host.since(mark, PlaybackEnded))
    t.check(ended == numbers, f"the streams {numbers} ended as {ended}")
    Playback(t, 0xFFFF).send()
    t.check(t.state().speaker_queued_samples == 0, "an AudioFrame of an older stream was taken")


@case("M-27", "sound that was sent twice is played once", 10)
def repeated(t: Trial) -> None:
    """Samples at a position that was played already, and positions that no host means, are dropped."""
    begin(t)
    playback = Playback(t, 1)
    playback.send()
    playback.sent = 0
    playback.send(2)
    playback.sent = 0x70_0000
    playback.send()
    playback.sent = 2
    playback.send(last=True)
    ended = playback.ended()
    t.check(ended.played_samples == 3 * FRAME_SAMPLES, f"{ended.played_samples} samples were played instead of 960")


@case("M-28", "the volume has bounds", 10)
def volume(t: Trial) -> None:
    """SetVolume takes 0 to 100 and reads back what is set; above, BAD_ARGUMENT and no change. Mute keeps the volume."""
    begin(t)
    before = t.state()
    try:
        for percent in (0, 1, 50, 100):
            result = SetVolumeResult.unpack(t.ok(Method.SET_VOLUME, SetVolumeArgs(percent)))
            t.check(result.percent == percent, f"volume {percent} was asked for, {result.percent} answered")
            t.check(t.state().volume_percent == percent, f"volume {percent} is not read back")
        reply = t.call(Method.SET_VOLUME, SetVolumeArgs(101))
        t.check(t.state().volume_percent <= 100, "a volume of 101 % was set")
        t.check(reply.status != 0, "a volume of 101 % was answered by OK")
        for muted in (1, 0):
            state = SetMuteResult.unpack(t.ok(Method.SET_MUTE, SetMuteArgs(muted)))
            t.check((state.percent, state.muted) == (100, muted), "mute is not what was asked for, or moved the volume")
            t.check(t.state().muted == muted, "mute is not read back")
    finally:
        t.call(Method.SET_VOLUME, SetVolumeArgs(before.volume_percent))
        t.call(Method.SET_MUTE, SetMuteArgs(before.muted))


@case("M-29", "the window is the jitter buffer", 6)
def window(t: Trial) -> None:
    """As many AudioFrames as the window holds wait; more are dropped, and the credit says so."""
    begin(t)
    slots = t.declared.speaker_window
    t.check(slots >= START_SLOTS, f"a window of {slots} slots cannot hold the four with which playback starts")
    playback = Playback(t, 1)
    playback.send(START_SLOTS - 1)
    queued = t.state().speaker_queued_samples
    t.check(queued == (START_SLOTS - 1) * FRAME_SAMPLES, f"three AudioFrames are queued as {queued} samples")
    playback.send(slots + 4)
    most = t.state().speaker_queued_samples
    t.check(most <= slots * FRAME_SAMPLES, f"{most} samples are queued in {slots} slots")


@case("M-30", "the session's end is the stream's", 4)
def session_end(t: Trial) -> None:
    """A new session has nothing queued, and its streams may begin with any number."""
    begin(t)
    Playback(t, 900).send(t.declared.speaker_window)
    t.connect()
    t.check(t.state().speaker_queued_samples == 0, "samples of the last session are queued in the next one")
    playback = Playback(t, 1)
    playback.send(last=True)
    t.check(playback.ended().played_samples == FRAME_SAMPLES, "a new session's first stream was not played")


@case("M-31", "ADPCM is played sample by sample", 10)
def adpcm(t: Trial) -> None:
    """A SpeakerAudio under the flag ADPCM counts as many samples as its block has, also a short last one."""
    begin(t)
    t.need(Capability.ADPCM)
    playback = Playback(t, 1)
    playback.adpcm = True
    playback.send(4)
    short = SpeakerAudio(4 * FRAME_SAMPLES, 1, SILENT_BLOCK[: 4 + 20])
    t.host.send(short, flags=Flag.LAST | Flag.ADPCM)
    ended = playback.ended()
    expected = 4 * FRAME_SAMPLES + 40
    t.check(ended.played_samples == expected, f"{ended.played_samples} samples were played instead of {expected}")
    t.figures["played_ms"] = ended.played_samples * 1000 / SAMPLE_RATE_HZ
