"""The simulated frame's microphone: what it hears is a script. Knows samples, and nothing of frames or links.

PCM is signed 16-bit little-endian, mono, 16 kHz throughout.
"""

from __future__ import annotations

import sys
import threading
from array import array

from ..messages import SAMPLE_RATE_HZ

SAMPLE_BYTES = 2
_MIN, _MAX = -32768, 32767


def _samples(pcm: bytes) -> array[int]:
    out = array("h", pcm)
    if sys.byteorder == "big":
        out.byteswap()
    return out


def _pcm(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples = array("h", samples)
        samples.byteswap()
    return samples.tobytes()


def mix(a: bytes, b: bytes) -> bytes:
    """Add two equally long pieces of PCM; what leaves the range of a sample is clipped."""
    mixed = (x + y for x, y in zip(_samples(a), _samples(b), strict=True))
    return _pcm(array("h", (_MIN if s < _MIN else _MAX if s > _MAX else s for s in mixed)))


class ScriptedMicrophone:
    """Speech in the order in which it was scripted, over background noise, silence otherwise.

    The script moves on only while the frame listens: what is scripted while capture is off is heard once it is on.
    `say()` may be called from any thread; everything else belongs to whoever steps the frame.

    Args:
        pcm: the first thing to be heard.
        noise: looped under everything that is heard.
        finite: a recording that ends: `ended` turns true after the last scripted sample.
        keep: keep what is delivered; False for a frame that listens for hours.
    """

    def __init__(self, pcm: bytes = b"", *, noise: bytes = b"", finite: bool = False, keep: bool = True) -> None:
        self.noise = noise[: len(noise) // SAMPLE_BYTES * SAMPLE_BYTES]
        self.on = False
        self.recorded = bytearray()
        """Everything that was delivered, without the gaps in which capture was off."""
        self.recorded_at: list[tuple[int, int]] = []
        """For each stretch without a gap: (sample clock of its first sample, its offset in `recorded`, in samples)."""
        self.said_at: list[tuple[int, int]] = []
        """(start, end) on the sample clock of each finished `say()`, its leading silence excluded."""
        self._finite = finite
        self._keep = keep
        self._lock = threading.Lock()
        self._queue: list[tuple[bytes, bool]] = []  # (pcm, is it speech)
        self._at = 0  # octets of the first piece that were heard
        self._said_from = 0
        self._noise_at = 0
        self._next_sample = -1
        if pcm:
            self.say(pcm)

    def say(self, pcm: bytes, *, silence_before_s: float = 0.0) -> None:
        """Queue speech after whatever is queued, after a pause of `silence_before_s`."""
        if len(pcm) % SAMPLE_BYTES:
            raise ValueError("pcm holds half a sample")
        silence = bytes(round(silence_before_s * SAMPLE_RATE_HZ) * SAMPLE_BYTES)
        with self._lock:
            self._queue += [(piece, speech) for piece, speech in ((silence, False), (pcm, True)) if piece]

    @property
    def busy(self) -> bool:
        """Whether scripted audio is still to be heard."""
        with self._lock:
            return bool(self._queue)

    @property
    def ended(self) -> bool:
        """Whether a finite recording has been heard to its end; never true of an endless one."""
        return self._finite and not self.busy

    def enable(self, on: bool) -> None:
        """The frame switches the microphone."""
        self.on = on
        self._next_sample = -1

    def read(self, n_samples: int, sample: int = 0) -> bytes:
        """What is heard in the `n_samples` from `sample` on the frame's sample clock."""
        heard = self._script(n_samples * SAMPLE_BYTES, sample)
        if self.noise:
            noise = self._next_noise(n_samples * SAMPLE_BYTES)
            heard = mix(heard, noise) if any(heard) else noise
        if self._keep:
            self._record(heard, sample)
        return heard

    def _record(self, heard: bytes, sample: int) -> None:
        if sample != self._next_sample:
            self.recorded_at.append((sample, len(self.recorded) // SAMPLE_BYTES))
        self._next_sample = sample + len(heard) // SAMPLE_BYTES
        self.recorded += heard

    def _script(self, size: int, sample: int) -> bytes:
        out = bytearray()
        with self._lock:
            while self._queue and len(out) < size:
                pcm, speech = self._queue[0]
                if speech and self._at == 0:
                    self._said_from = sample + len(out) // SAMPLE_BYTES
                piece = pcm[self._at : self._at + size - len(out)]
                out += piece
                self._at += len(piece)
                if self._at == len(pcm):
                    self._at = 0
                    self._queue.pop(0)
                    if speech:
                        self.said_at.append((self._said_from, sample + len(out) // SAMPLE_BYTES))
        return bytes(out.ljust(size, b"\0"))

    def _next_noise(self, size: int) -> bytes:
        out = bytearray()
        while len(out) < size:
            piece = self.noise[self._noise_at : self._noise_at + size - len(out)]
            out += piece
            self._noise_at = (self._noise_at + len(piece)) % len(self.noise)
        return bytes(out)
