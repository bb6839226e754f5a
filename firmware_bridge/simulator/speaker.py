"""The simulated frame's speaker: keeps what it was given, in step with the sample clock."""

from __future__ import annotations

import wave
from pathlib import Path

from ..messages import SAMPLE_RATE_HZ

SAMPLE_BYTES = 2


class SpeakerRecorder:
    """Everything that came out of the frame, after volume and mute, silence included.

    Sample `n` of the recording is sample `n` of the frame's sample clock. A frame that boots again is recorded behind
    what there is: its sample 0 is `origin`.

    Args:
        path: a WAV file to write as the sound comes; nothing is kept in memory then.
        keep: without a file, keep the sound in memory; False for a frame that runs for hours.
    """

    def __init__(self, path: Path | None = None, *, keep: bool = True) -> None:
        self.on = False
        self.recorded = bytearray()
        self.samples = 0
        """Length of the recording so far."""
        self.origin = 0
        self._keep = keep and path is None
        self._wav: wave.Wave_write | None = None
        if path is not None:
            self._file = path.open("wb")  # first by itself: a Wave_write that cannot open its file fails again later
            self._wav = wave.open(self._file, "wb")  # noqa: SIM115 - closed by close()
            self._wav.setnchannels(1)
            self._wav.setsampwidth(SAMPLE_BYTES)
            self._wav.setframerate(SAMPLE_RATE_HZ)

    def enable(self, on: bool) -> None:
        """The frame switches the amplifier."""
        self.on = on

    def restart(self) -> None:
        """The frame boots: its sample clock begins anew."""
        self.origin = self.samples

    def write(self, pcm: bytes, sample: int) -> None:
        """Keep `pcm`, whose first sample was heard at `sample` on the frame's sample clock."""
        self.fill(sample)
        self._append(pcm)

    def fill(self, sample: int) -> None:
        """Lengthen the recording with silence up to `sample`."""
        while (missing := self.origin + sample - self.samples) > 0:
            self._append(bytes(min(missing, SAMPLE_RATE_HZ) * SAMPLE_BYTES))

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self._wav is not None:
            self._wav.close()
            self._file.close()
            self._wav = None

    def _append(self, pcm: bytes) -> None:
        self.samples += len(pcm) // SAMPLE_BYTES
        if self._wav is not None:
            self._wav.writeframesraw(pcm)
        if self._keep:
            self.recorded += pcm
