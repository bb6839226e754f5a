"""What a session leaves behind when the user asked for it: transcript, sound and photos, whole at every moment."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from .assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFrame, WavWriter
from .assistant.events import Notice, Problem, StateChanged
from .records import record

TRANSCRIPT = "transcript.jsonl"
HEARD = "heard.wav"
QUEUE_FRAMES = 3000  # one minute of sound that a slow disk may be behind
MAX_GAP_S = 60  # a longer hole in the sample clock is a frame that booted anew: it is not written as silence


class Keeper:
    """Writes each notice as one line of JSON as soon as it comes, what was heard, and each photo to its own file.

    An earlier session in the same folder is kept: its transcript is continued, its files are not overwritten. Sound is
    written by a thread of its own, because it comes on the thread that must never wait.

    Args:
        folder: None keeps nothing.
        on_problem: told once when the sound can no longer be written.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path | None, on_problem: Callable[[Problem], None] = lambda _problem: None) -> None:
        self._folder = folder
        self._on_problem = on_problem
        self._transcript: IO[str] | None = None
        self._frames: queue.Queue[AudioFrame | None] = queue.Queue(QUEUE_FRAMES)
        self._writer: threading.Thread | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._transcript = (folder / TRANSCRIPT).open("a", encoding="utf-8")
            self._writer = threading.Thread(
                target=self._write_heard, args=(folder / HEARD,), name="keeper", daemon=True
            )
            self._writer.start()

    def on_notice(self, notice: Notice) -> None:
        """Append to the transcript; changes of state are left out."""
        if self._transcript is not None and not isinstance(notice, StateChanged):
            self._transcript.write(json.dumps(record(notice), ensure_ascii=False) + "\n")
            self._transcript.flush()

    def photo(self, jpeg: bytes) -> Mapping[str, Any]:
        """Keep one JPEG; returns its path for the act's result, or nothing when nothing is kept."""
        if self._folder is None:
            return {}
        path = _free_path(self._folder / "photo.jpg")
        path.write_bytes(jpeg)
        return {"path": str(path)}

    def heard(self, frame: AudioFrame) -> None:
        """Append what the microphone delivered. Never waits: what a slow disk cannot take becomes a gap."""
        if self._writer is not None:
            with contextlib.suppress(queue.Full):
                self._frames.put_nowait(frame)

    def close(self) -> None:
        """Write what is queued and finish the files."""
        if self._writer is not None:
            self._frames.put(None)
            self._writer.join()
            self._writer = None
        if self._transcript is not None:
            self._transcript.close()
            self._transcript = None

    def _write_heard(self, path: Path) -> None:
        """The thread: one WAV file, begun with the first frame; a hole in the sample clock becomes silence."""
        wav: WavWriter | None = None
        next_sample, failed = 0, False
        while (frame := self._frames.get()) is not None:
            if failed:
                continue  # keep taking, so that nobody waits for us
            try:
                if wav is None:
                    wav, next_sample = WavWriter(_free_path(path)), frame.sample
                gap = frame.sample - next_sample
                if 0 < gap < MAX_GAP_S * SAMPLE_RATE_HZ:
                    wav.write(bytes(gap * SAMPLE_BYTES))
                wav.write(frame.pcm)
                next_sample = frame.end_sample
            except OSError as error:
                failed = True
                reason = (error.strerror or "error").lower()
                self._on_problem(Problem("keeping", f"What is heard can no longer be written to {path}: {reason}."))
        if wav is not None:
            with contextlib.suppress(OSError):
                wav.close()


def _free_path(path: Path) -> Path:
    """`path`, or with a number behind its stem when it exists already."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
