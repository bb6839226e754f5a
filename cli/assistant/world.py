"""What a driver needs around the pipeline: the world (frame, microphone, speaker, camera) and the engines.

Protocols and one plain record; nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .engines.protocols import EngineInfo, LanguageModel, SpeechToText, TextToSpeech, VoiceActivity
from .events import Act, Event, FlushSpeaker, Intent, Play, StartCapture, StopCapture

WorldEffect = StartCapture | StopCapture | Act | Play | FlushSpeaker


class World(Protocol):
    """Where sound comes from and goes to, and who does the acts that belong to the frame."""

    def start(self, post: Callable[[Event], None]) -> None:
        """Begin. `post` may be called from any thread, never blocks, and is the only way to tell the pipeline."""
        ...

    def execute(self, effect: WorldEffect) -> None:
        """Begin to carry out one effect and return at once; what comes of it is posted.

        Every Act is answered by one ActDone (an error is a sentence in it). Audio of a turn, once its last Play came,
        is answered by PlaybackBegan and PlaybackFinished. A lost frame is FrameLost, never an exception.
        """
        ...

    def close(self) -> None:
        """Stop the capture, close everything, in bounded time. After it nothing is posted."""
        ...


class VirtualWorld(World, Protocol):
    """A world whose time is passed in. It has no thread: it posts only inside `start`, `execute` and `advance`."""

    def advance(self, now_s: float) -> None:
        """Let everything happen that is due up to `now_s`."""
        ...

    def next_deadline(self) -> float | None:
        """When the next thing happens, or None when nothing will without an effect."""
        ...


class IntentMatcher(Protocol):
    """Understanding by templates."""

    @property
    def info(self) -> EngineInfo: ...

    def match(self, text: str) -> Intent | None:
        """The intent of a sentence, or None when no template fits."""
        ...


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one session. A missing one fails the turn that needs it, in words."""

    understanding: IntentMatcher
    stt: SpeechToText | None = None
    tts: TextToSpeech | None = None
    llm: LanguageModel | None = None
    vad: VoiceActivity | None = None

    def infos(self) -> list[EngineInfo]:
        """Of every engine that is there, in the order of the pipeline."""
        engines = (self.vad, self.stt, self.understanding, self.llm, self.tts)
        return [engine.info for engine in engines if engine is not None]
