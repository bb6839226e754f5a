"""PCM as the whole assistant handles it: signed 16-bit little-endian, mono, 16 kHz."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE_HZ = 16_000
SAMPLE_BYTES = 2
FRAME_SAMPLES = 320  # 20 ms


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """10 to 32 ms of PCM.

    Attributes:
        sample: index of the first sample on the source's own sample clock, which is the turn's clock.
        pcm: s16le mono 16 kHz.
        dropped_frames: AudioFrames that the source lost right before this one.
    """

    sample: int
    pcm: bytes
    dropped_frames: int = 0

    @property
    def samples(self) -> int:
        return len(self.pcm) // SAMPLE_BYTES

    @property
    def end_sample(self) -> int:
        return self.sample + self.samples
