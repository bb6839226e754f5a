"""What the demo's wearer says: real synthesised speech with pauses, in a room that is not silent.

Each line names what must come of it, and a check that reads the frame, not the reply. Knows no pipeline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...firmware_bridge.messages import GetStateResult
from ..assistant.audio import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NOISE_DBFS = -52.0
SPEECH_DBFS = -23.0
NOISE_S = 7
SEED = 1


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance of the script.

    Attributes:
        parts: what is said, with `pause_ms` of silence between the parts.
        voice: an espeak-ng voice; the assistant's own is another.
        heard: the transcript that must come of it.
        intent: what must be understood; "" when the line must be refused.
        holds: does the frame, read back afterwards, show that it was done?
    """

    parts: tuple[str, ...]
    voice: str
    heard: str
    intent: str
    holds: Callable[[GetStateResult], bool]
    words_per_minute: int = 150
    pause_ms: int = 250

    @property
    def said(self) -> str:
        return " ".join(self.parts)


SCRIPT: tuple[Line, ...] = (
    Line(("What time is it?",), "en-us+f2", "What time is it?", "GetTime", lambda state: True),
    Line(("Take a photo.",), "en+m2", "Take a photo.", "TakePhoto", lambda state: state.photos_taken == 1),
    Line(
        ("Set the volume to 40 percent.",),
        "en-us",
        "Set the volume to 40 percent.",
        "SetVolume",
        lambda state: state.volume_percent == 40,
    ),
    Line(
        ("The captain sold his old piano", "to a baker in the village."),
        "en+f3",
        "",
        "",
        lambda state: state.photos_taken == 1 and state.volume_percent == 40,
    ),
    Line(
        ("Set a timer", "for five minutes."),
        "en-us+m3",
        "Set a timer for five minutes.",
        "SetTimer",
        lambda state: True,
        pause_ms=180,
    ),
    Line(
        ("How much battery is left?",),
        "en",
        "How much battery is left?",
        "GetBattery",
        lambda state: state.battery_percent == BATTERY_PERCENT,
    ),
    Line(("Volume up.",), "en-us+f5", "Volume up.", "VolumeUp", lambda state: state.volume_percent == 50),
)
BATTERY_PERCENT = 83  # of the simulated frame


def utterance(line: Line) -> bytes:
    """The line's sound: s16le mono 16 kHz at SPEECH_DBFS. Raises EngineError when no voice can be had."""
    import numpy as np

    from ..assistant.engines.espeak_engine import EspeakVoice

    voice = EspeakVoice(line.voice, line.words_per_minute)
    pause = np.zeros(line.pause_ms * SAMPLE_RATE_HZ // 1000)
    pieces: list[NDArray[np.float64]] = []
    for part in line.parts:
        if pieces:
            pieces.append(pause)
        pieces.append(np.frombuffer(b"".join(voice.synthesize(part)), "<i2").astype(np.float64))
    speech = np.concatenate(pieces)
    speech *= 10 ** (SPEECH_DBFS / 20) * 32768 / np.sqrt(np.mean(speech**2))
    pcm: bytes = np.clip(speech, -32768, 32767).astype("<i2").tobytes()
    return pcm


def room_noise(seconds: int = NOISE_S, seed: int = SEED) -> bytes:
    """Pink noise of a quiet room that loops without a click: s16le mono 16 kHz at NOISE_DBFS."""
    import numpy as np

    count = seconds * SAMPLE_RATE_HZ
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    frequency_hz = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ), 30)
    noise = np.fft.irfft(spectrum / np.sqrt(frequency_hz))
    noise *= 10 ** (NOISE_DBFS / 20) * 32768 / np.sqrt(np.mean(noise**2))
    pcm: bytes = noise.astype("<i2").tobytes()
    return pcm
