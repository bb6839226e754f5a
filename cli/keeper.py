"""What a session leaves behind when the user asked for it: transcript, sound and photos, whole at every moment."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from .assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFrame, WavWriter
from .assistant.events import Notice, Problem, StateChanged
from .records import record

TRANSCRIPT = "transcript.jsonl"
HEARD = "heard.wav"
SPOKEN = "spoken.wav"
QUEUE_FRAMES = 3000  # one minute of sound that a slow disk may be behind
MAX_GAP_S = 60  # a longer hole in the sample clock is a frame that booted anew: it is not written as silence


class Keeper:
    """Writes each notice as one line of JSON as soon as it comes, what was heard and said, and each photo.

    An earlier session in the same folder is kept: its transcript is continued, each line with the session's start and
    its own time, and its files are not overwritten. Sound is written by a thread of its own, because it comes on
    threads that must never wait.

    Args:
        folder: None keeps nothing.
        on_problem: told once when sound can no longer be written.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path | None, on_problem: Callable[[Problem], None] = lambda _problem: None) -> None:
        self._folder = folder
        self._on_problem = on_problem
        self._session = _now()
        self._transcript: IO[str] | None = None
        self._sound: _SoundWriter | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._transcript = (folder / TRANSCRIPT).open("a", encoding="utf-8")
            self._sound = _SoundWriter(folder, on_problem)

    def on_notice(self, notice: Notice) -> None:
        """Append to the transcript; changes of state are left out."""
        if self._transcript is None or isinstance(notice, StateChanged):
            return
        line = {"session": self._session, "time": _now(), **record(notice)}
        try:
            self._transcript.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._transcript.flush()
        except OSError as error:
            self._end_transcript()
            reason = (error.strerror or "error").lower()
            self._on_problem(Problem("keeping", f"The transcript can no longer be written to {TRANSCRIPT}: {reason}."))

    def photo(self, jpeg: bytes) -> Mapping[str, Any]:
        """Keep one JPEG; returns its path for the act's result, or nothing when nothing is kept. Raises OSError."""
        if self._folder is None:
            return {}
        path = _free_path(self._folder / "photo.jpg")
        path.write_bytes(jpeg)
        return {"path": str(path)}

    def heard(self, frame: AudioFrame) -> None:
        """Append what the microphone delivered. Never waits: what a slow disk cannot take becomes a gap."""
        if self._sound is not None:
            self._sound.put(HEARD, frame)

    def spoken(self, pcm: bytes) -> None:
        """Append what was sent to the speaker, one reply after the other. Never waits."""
        if self._sound is not None:
            self._sound.put(SPOKEN, AudioFrame(-1, pcm))

    def close(self) -> None:
        """Write what is queued and finish the files."""
        if self._sound is not None:
            self._sound.close()
            self._sound = None
        self._end_transcript()

    def _end_transcript(self) -> None:
        if self._transcript is not None:
            with contextlib.suppress(OSError):  # what did not fit was told when it was written
                self._transcript.close()
            self._transcript = None


class _SoundWriter:
    """A thread that appends to one WAV file per name, each begun with its first sound."""

    def __init__(self, folder: Path, on_problem: Callable[[Problem], None]) -> None:
        self._folder, self._on_problem = folder, on_problem
        self._queue: queue.Queue[tuple[str, AudioFrame] | None] = queue.Queue(QUEUE_FRAMES)
        self._files: dict[str, WavWriter] = {}
        self._next_sample: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def put(self, name: str, frame: AudioFrame) -> None:
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait((name, frame))

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        failed = False
        while (item := self._queue.get()) is not None:
            if failed:
                continue  # keep taking, so that nobody waits for us
            try:
                self._write(*item)
            except OSError as error:
                failed = True
                reason = (error.strerror or "error").lower()
                path = self._folder / item[0]
                self._on_problem(Problem("keeping", f"Sound can no longer be written to {path}: {reason}."))
        for wav in self._files.values():
            with contextlib.suppress(OSError):
                wav.close()

    def _write(self, name: str, frame: AudioFrame) -> None:
        """A hole in the sample clock becomes silence; a frame at sample -1 has no clock and is appended."""
        if name not in self._files:
            self._files[name] = WavWriter(_free_path(self._folder / name))
            self._next_sample[name] = frame.sample
        gap = frame.sample - self._next_sample[name]
        if 0 < gap < MAX_GAP_S * SAMPLE_RATE_HZ:
            self._files[name].write(bytes(gap * SAMPLE_BYTES))
        self._files[name].write(frame.pcm)
        self._next_sample[name] = frame.end_sample if frame.sample >= 0 else -1


def _now() -> str:
    """Local time with its offset, to the millisecond."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def _free_path(path: Path) -> Path:
    """`path`, or with a number behind its stem when it exists already."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
