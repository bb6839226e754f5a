"""What goes to the frame's speaker: the queue of AudioFrames, and the watch over what was sent.

Knows streams and samples; must not know credit, frames on the wire or sessions. Time comes in as an argument.
"""

from __future__ import annotations

from collections import deque

from .credit import seq_diff
from .errors import LocalProtocolError
from .messages import (
    DEAD_AFTER_MS,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    Flag,
    PlaybackEnd,
    PlaybackEnded,
    SpeakerAudio,
    Window,
)

FRAME_BYTES = FRAME_SAMPLES * 2

# Ten minutes of speech, 19 MB: more is a caller that never waits for its playback to end.
MAX_QUEUED_FRAMES = 10 * 60 * 50

# The frame ends a stream at the latest 3 s after the last of it came (then it has starved). Has it not reported that a
# second later, the report is lost.
REPORT_LOST_S = DEAD_AFTER_MS / 1000 + 1.0

# The last of a stream leaves when the frame's slots have room, so at most they are still to be played. Has the end not
# been reported half a second later, the mark of the end may be lost, and the frame waits for it.
END_LOST_S = 0.5 + Window.SPEAKER * FRAME_SAMPLES / SAMPLE_RATE_HZ

# How many ended streams we remember, so that each end is told once: not again when the frame's report comes late.
ENDS_KEPT = 16


class SpeakerQueue:
    """Streams play one after another, in the order of their numbers (modulo 2**16)."""

    def __init__(self) -> None:
        self._frames: deque[tuple[SpeakerAudio, Flag]] = deque()
        self._rest = bytearray()  # of the open stream, less than one AudioFrame
        self._sample = 0  # position within the open stream of what is cut next
        self._stream: int | None = None  # the newest stream
        self._open = False
        self._flushed: int | None = None  # this stream and older ones are dropped

    def __len__(self) -> int:
        return len(self._frames)

    def append(self, stream: int, pcm: bytes, last: bool) -> bool:
        """Queue audio of `stream`; `last` ends it. Audio of a flushed stream is dropped: False.

        Raises:
            LocalProtocolError: the stream is no u16, is over or older than the newest one, or the queue is full.
        """
        _check(stream)
        if self._flushed is not None and seq_diff(stream, self._flushed) <= 0:
            return False
        if len(self._frames) * FRAME_BYTES + len(pcm) > MAX_QUEUED_FRAMES * FRAME_BYTES:
            raise LocalProtocolError("more than ten minutes of audio wait for the speaker")
        if len(pcm) % 2:
            raise LocalProtocolError("the audio is cut within a sample")
        if stream != self._stream:
            if self._stream is not None and seq_diff(stream, self._stream) < 0:
                raise LocalProtocolError(f"stream {stream} is older than stream {self._stream}")
            if self._open:  # its owner forgot to end it; the frame must still see the end
                self._cut(last=True)
            self._stream, self._sample, self._open = stream, 0, True
        elif not self._open:
            raise LocalProtocolError(f"stream {stream} has ended")
        self._rest += pcm
        self._cut(last)
        return True

    def repeat_end(self, end: SpeakerAudio) -> None:
        """Say once more that a stream is over. Only while nothing waits: what is newer says it, too."""
        self._frames.append((end, Flag.LAST))

    def pop(self) -> tuple[SpeakerAudio, Flag]:
        """The next AudioFrame and its flags. Only while there is one."""
        return self._frames.popleft()

    def flush(self, stream: int) -> set[int]:
        """Drop what is queued of `stream` and of older ones, now and in future.

        Returns:
            The streams that had something here, or had begun and not ended.

        Raises:
            LocalProtocolError: the stream is no u16.
        """
        _check(stream)
        if self._flushed is None or seq_diff(stream, self._flushed) > 0:
            self._flushed = stream
        dropped = {audio.stream for audio, _ in self._frames if seq_diff(audio.stream, self._flushed) <= 0}
        self._frames = deque(f for f in self._frames if f[0].stream not in dropped)
        if self._open and self._stream is not None and seq_diff(self._stream, self._flushed) <= 0:
            dropped.add(self._stream)
            self._rest.clear()
            self._open = False
        return dropped

    def _cut(self, last: bool) -> None:
        assert self._stream is not None
        whole = len(self._rest) if last else len(self._rest) // FRAME_BYTES * FRAME_BYTES
        first = Flag.FIRST if self._sample == 0 else Flag(0)
        pieces = [bytes(self._rest[at : at + FRAME_BYTES]) for at in range(0, whole, FRAME_BYTES)]
        if last and not pieces:
            pieces = [b""]
        for piece in pieces:
            self._frames.append((SpeakerAudio(self._sample & 0xFFFFFFFF, self._stream, piece), first))
            self._sample += len(piece) // 2
            first = Flag(0)
        del self._rest[:whole]
        if last:
            audio, flags = self._frames.pop()
            self._frames.append((audio, flags | Flag.LAST))
            self._open = False


def _check(stream: int) -> None:
    if not 0 <= stream <= 0xFFFF:
        raise LocalProtocolError(f"stream {stream} is outside 0 to 65535")


class PlaybackWatch:
    """Streams that were sent and whose end was not reported yet. A turn must not wait for a report that got lost."""

    def __init__(self) -> None:
        self._samples: dict[int, int] = {}  # stream -> samples sent
        self._ended: int | None = None  # the newest stream that is over
        self._told: deque[int] = deque(maxlen=ENDS_KEPT)
        self._lost: dict[int, tuple[float, PlaybackEnd]] = {}  # stream -> until when to wait, its end
        self._end: tuple[int, float] | None = None  # the newest stream whose end was sent, and when to say so again

    def sent(self, audio: SpeakerAudio, flags: Flag, now_s: float) -> None:
        if self._over(audio.stream):
            return
        self._samples[audio.stream] = audio.sample + len(audio.pcm) // 2
        self._end = None  # what is newer shows the end of what is older
        if flags & Flag.LAST:
            self._lost.setdefault(audio.stream, (now_s + REPORT_LOST_S, PlaybackEnd.PLAYED))
            self._end = audio.stream, now_s + END_LOST_S

    def dropped(self, stream: int, now_s: float) -> None:
        """Audio of a flushed stream came too late: if the frame never heard of it, we must report its end."""
        if stream not in self._told and stream not in self._samples and stream not in self._lost:
            self._lost[stream] = (now_s, PlaybackEnd.FLUSHED)

    def flushed(self, stream: int, dropped: set[int], now_s: float) -> None:
        """`stream` and older ones are flushed; `dropped` are those that the queue dropped something of."""
        for sent in self._samples:
            if seq_diff(sent, stream) <= 0:
                self._lost[sent] = (now_s + REPORT_LOST_S, PlaybackEnd.FLUSHED)
        for unsent in dropped - self._samples.keys():  # the frame never heard of it and will not report it
            if not self._over(unsent):
                self._lost[unsent] = (now_s, PlaybackEnd.FLUSHED)
        if self._end is not None and seq_diff(self._end[0], stream) <= 0:
            self._end = None

    def ended(self, stream: int) -> bool:
        """The end of `stream` is known; False when it was told before."""
        self._lost.pop(stream, None)
        self._samples.pop(stream, None)
        if self._end is not None and self._end[0] == stream:
            self._end = None
        if not self._over(stream):
            self._ended = stream
        if stream in self._told:
            return False
        self._told.append(stream)
        return True

    def _over(self, stream: int) -> bool:
        return self._ended is not None and seq_diff(stream, self._ended) <= 0

    def tick(self, now_s: float, mic_sample: int) -> list[PlaybackEnded]:
        """The reports that are lost, made up for as well as we can tell."""
        reports = []
        for stream, (due_s, reason) in list(self._lost.items()):
            if now_s >= due_s:
                reports.append(PlaybackEnded(stream, reason, mic_sample, self._samples.get(stream, 0)))
                self.ended(stream)
        return reports

    def end_to_repeat(self, now_s: float) -> SpeakerAudio | None:
        """The end of a stream, to be said again now: an AudioFrame without samples, at the stream's end."""
        if self._end is None or now_s < self._end[1]:
            return None
        stream = self._end[0]
        self._end = stream, now_s + END_LOST_S
        return SpeakerAudio(self._samples.get(stream, 0) & 0xFFFFFFFF, stream, b"")

    def next_deadline(self) -> float | None:
        times = [due_s for due_s, _ in self._lost.values()]
        times += [self._end[1]] if self._end is not None else []
        return min(times, default=None)
