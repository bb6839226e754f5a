"""Where the assistant's sound and pictures come from and go to when it is not the frame: the host's sound card, files.

Each route is independent of the port, so that a bare board without amplifier, or no board at all, can talk. A
microphone route owns a sample clock that starts at 0; a speaker route reports when its first sample leaves. Knows
nothing of the wire or of turns beyond their number.
"""

from __future__ import annotations

import errno
import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ..assistant.audio import FRAME_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFrame, WavWriter
from ..assistant.engines.protocols import EngineError
from ..assistant.events import Event, MicrophoneEnded, MicrophoneHeard, PlaybackBegan, PlaybackFinished
from ..errors import Failure
from ..jpeg import jpeg_size

Post = Callable[[Event], None]
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
# Silence that follows a file before MicrophoneEnded, so that endpointing can decide.
TAIL_S = 2.0
_AUDIO_EXTRA = 'pip install "lorgnette[audio]" (on Debian also: apt install libportaudio2)'


class MicrophoneRoute(Protocol):
    def start(self, post: Post) -> None:
        """Begin to deliver MicrophoneHeard; idempotent."""

    def stop(self) -> None:
        """Deliver nothing more until started again; idempotent."""

    def now_sample(self) -> int:
        """The sample clock, now."""
        ...


class SpeakerRoute(Protocol):
    def play(self, turn_id: int, pcm: bytes, last: bool) -> None: ...
    def flush(self, turn_id: int) -> None: ...
    def close(self) -> None: ...


class CameraRoute(Protocol):
    def take(self) -> bytes:
        """One JPEG. Raises OSError or ValueError."""
        ...


class FileMicrophone:
    """PCM played into the assistant at the pace of a real microphone, then silence."""

    def __init__(self, pcm: bytes) -> None:
        self._pcm = pcm
        self._sample = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, post: Post) -> None:
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, args=(post,), name="file-microphone", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None

    def now_sample(self) -> int:
        return self._sample

    def _run(self, post: Post) -> None:
        ended_at = len(self._pcm) // SAMPLE_BYTES + int(TAIL_S * SAMPLE_RATE_HZ)
        start, first = time.monotonic(), self._sample
        while True:
            at = self._sample * SAMPLE_BYTES
            frame = self._pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
            due = start + (self._sample - first) / SAMPLE_RATE_HZ + FRAME_S
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            self._sample += FRAME_SAMPLES
            post(MicrophoneHeard(AudioFrame(self._sample - FRAME_SAMPLES, frame)))
            if self._sample - FRAME_SAMPLES < ended_at <= self._sample:
                post(MicrophoneEnded())


class FileSpeaker:
    """Replies appended to a WAV file; it plays as fast as it is written, so playback ends with the last sample."""

    def __init__(self, path: Path, clock: Callable[[], int], post: Post) -> None:
        self._writer, self._clock, self._post = WavWriter(path), clock, post
        self._turn, self._played = -1, 0
        self._total = 0

    def play(self, turn_id: int, pcm: bytes, last: bool) -> None:
        if turn_id != self._turn and pcm:
            self._turn, self._played = turn_id, 0
            self._post(PlaybackBegan(turn_id, self._clock(), self._total))
        if pcm:
            self._writer.write(pcm)
            self._played += len(pcm) // SAMPLE_BYTES
            self._total += len(pcm) // SAMPLE_BYTES
        if last:
            self._post(PlaybackFinished(turn_id, self._played if turn_id == self._turn else 0))

    def flush(self, turn_id: int) -> None:
        self._post(PlaybackFinished(turn_id, self._played if turn_id == self._turn else 0, "flushed"))

    def close(self) -> None:
        self._writer.close()


def _sounddevice() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as exc:  # OSError: the wheel is there, PortAudio is not
        raise EngineError("audio", f"the host's sound card cannot be used: {exc}", _AUDIO_EXTRA) from exc
    return sounddevice


class HostMicrophone:
    """The host's default input. The card's own sample count is the clock."""

    def __init__(self) -> None:
        self._sd = _sounddevice()
        self._stream: Any = None
        self._sample = 0

    def start(self, post: Post) -> None:
        if self._stream is not None:
            return

        def on_audio(data: Any, _frames: int, _time: Any, status: Any) -> None:
            frame = AudioFrame(self._sample, bytes(data), dropped_frames=1 if status.input_overflow else 0)
            self._sample = frame.end_sample
            post(MicrophoneHeard(frame))

        try:
            self._stream = self._sd.RawInputStream(
                samplerate=SAMPLE_RATE_HZ, blocksize=FRAME_SAMPLES, channels=1, dtype="int16", callback=on_audio
            )
            self._stream.start()
        except self._sd.PortAudioError as exc:
            raise EngineError("audio", f"the host's microphone cannot be opened: {exc}", "lorgnette doctor") from exc

    def stop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def now_sample(self) -> int:
        return self._sample


class HostSpeaker:
    """The host's default output, fed by the card's callback from one queue."""

    def __init__(self, clock: Callable[[], int], post: Post) -> None:
        sd = _sounddevice()
        self._clock, self._post = clock, post
        self._lock = threading.Lock()
        self._queue = bytearray()
        self._turn, self._played, self._last = -1, 0, False
        self._began = False
        self._position = itertools.count(0, FRAME_SAMPLES)
        try:
            self._stream = sd.RawOutputStream(
                samplerate=SAMPLE_RATE_HZ, blocksize=FRAME_SAMPLES, channels=1, dtype="int16", callback=self._fill
            )
            self._stream.start()
        except sd.PortAudioError as exc:
            raise EngineError("audio", f"the host's speaker cannot be opened: {exc}", "lorgnette doctor") from exc

    def _fill(self, out: Any, _frames: int, _time: Any, _status: Any) -> None:
        position = next(self._position)
        events: list[Event] = []
        with self._lock:
            block = bytes(self._queue[: len(out)])
            del self._queue[: len(out)]
            if block and not self._began:
                self._began = True
                events.append(PlaybackBegan(self._turn, self._clock(), position))
            self._played += len(block) // SAMPLE_BYTES
            if self._last and not self._queue and self._turn >= 0:
                events.append(PlaybackFinished(self._turn, self._played))
                self._turn, self._last = -1, False
        out[:] = block.ljust(len(out), b"\0")
        for event in events:
            self._post(event)

    def play(self, turn_id: int, pcm: bytes, last: bool) -> None:
        with self._lock:
            if turn_id != self._turn:
                self._turn, self._played, self._began = turn_id, 0, False
                self._queue.clear()
            self._queue += pcm
            self._last = last

    def flush(self, turn_id: int) -> None:
        with self._lock:
            self._queue.clear()
            played, self._turn, self._last = self._played, -1, False
        self._post(PlaybackFinished(turn_id, played, "flushed"))

    def close(self) -> None:
        self._stream.close()


class FileCamera:
    """A JPEG file, or a folder of them taken in turn.

    Raises:
        OSError: a file cannot be read, or the folder has none.
        Failure: a file is no JPEG.
    """

    def __init__(self, path: Path) -> None:
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in (".jpg", ".jpeg")) if path.is_dir() else [path]
        if not files:
            raise FileNotFoundError(errno.ENOENT, "no JPEG in this folder", str(path))
        for file in files:  # what cannot be used is said now, not at the first photo
            try:
                jpeg_size(file.read_bytes())
            except ValueError as error:
                raise Failure(f"{file} {error}", "name a JPEG file, or a folder of them") from error
        self._files = itertools.cycle(files)

    def take(self) -> bytes:
        """The next picture. Raises OSError, or ValueError when the file is no JPEG any more."""
        jpeg = next(self._files).read_bytes()
        jpeg_size(jpeg)
        return jpeg
