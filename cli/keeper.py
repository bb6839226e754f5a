"""What a session leaves behind when the user asked for it: transcript, sound and photos, whole at every moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from .assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFrame, WavWriter
from .assistant.events import Notice, StateChanged
from .records import record

TRANSCRIPT = "transcript.jsonl"
HEARD = "heard.wav"
MAX_GAP_S = 60  # a longer hole in the sample clock is a frame that booted anew: it is not written as silence


class Keeper:
    """Writes each notice as one line of JSON as soon as it comes, what was heard, and each photo to its own file.

    An earlier session in the same folder is kept: its transcript is continued, its files are not overwritten.

    Args:
        folder: None keeps nothing.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._transcript: IO[str] | None = None
        self._heard: WavWriter | None = None
        self._next_sample = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._transcript = (folder / TRANSCRIPT).open("a", encoding="utf-8")

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
        """Append what the microphone delivered; a hole in the sample clock becomes silence."""
        if self._folder is None:
            return
        if self._heard is None:
            self._heard, self._next_sample = WavWriter(_free_path(self._folder / HEARD)), frame.sample
        gap = frame.sample - self._next_sample
        if 0 < gap < MAX_GAP_S * SAMPLE_RATE_HZ:
            self._heard.write(bytes(gap * SAMPLE_BYTES))
        self._heard.write(frame.pcm)
        self._next_sample = frame.end_sample

    def close(self) -> None:
        if self._transcript is not None:
            self._transcript.close()
            self._transcript = None
        if self._heard is not None:
            self._heard.close()
            self._heard = None


def _free_path(path: Path) -> Path:
    """`path`, or with a number behind its stem when it exists already."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
