"""What waits for the frame's speaker, cut into AudioFrames. Knows streams and samples; no credit, no time."""

from __future__ import annotations

from collections import deque

from .credit import seq_diff
from .errors import LocalProtocolError
from .messages import FRAME_SAMPLES, Flag, SpeakerAudio

FRAME_BYTES = FRAME_SAMPLES * 2

# Ten minutes of speech, 19 MB: more is a caller that never waits for its playback to end.
MAX_QUEUED_FRAMES = 10 * 60 * 50


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

    def append(self, stream: int, pcm: bytes, last: bool) -> None:
        """Queue audio of `stream`; `last` ends it. Audio of a flushed stream is dropped.

        Raises:
            LocalProtocolError: the stream is over or older than the newest one, or the queue is full.
        """
        if self._flushed is not None and seq_diff(stream, self._flushed) <= 0:
            return
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

    def pop(self) -> tuple[SpeakerAudio, Flag]:
        """The next AudioFrame and its flags. Only while there is one."""
        return self._frames.popleft()

    def flush(self, stream: int) -> None:
        """Drop what is queued of `stream` and of older ones, now and in future."""
        if self._flushed is None or seq_diff(stream, self._flushed) > 0:
            self._flushed = stream & 0xFFFF
        self._frames = deque(f for f in self._frames if seq_diff(f[0].stream, self._flushed) > 0)
        if self._stream is not None and seq_diff(self._stream, self._flushed) <= 0:
            self._rest.clear()
            self._open = False

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
