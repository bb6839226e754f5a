"""What the pipeline asks of an engine. Every protocol has several real implementations, chosen by the config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


class EngineError(Exception):
    """An engine could not do its work. The message is one sentence for the user; `remedy` is the next command."""

    def __init__(self, stage: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.stage = stage
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which engine ran; printed wherever a figure or a transcript is logged.

    Attributes:
        role: "stt", "tts", "llm", "vad" or "understanding".
        engine: for example "whisper", "faster-whisper", "piper", "espeak".
        model: for example "embedded", "base.en", a voice or a model name.
        detail: further facts: {"sentences": 1234, "compute_type": "int8", "version": "..."}.
    """

    role: str
    engine: str
    model: str
    detail: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the ear made of one utterance.

    Attributes:
        text: the words, "" when nothing was recognised.
        accepted: False when the recogniser's own confidence says that these words were not heard.
        avg_logprob, no_speech_prob, compression_ratio: Whisper's three confidence figures.
        reason: why it was not accepted, in a few words; "" otherwise.
    """

    text: str
    accepted: bool
    avg_logprob: float = 0.0
    no_speech_prob: float = 0.0
    compression_ratio: float = 1.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: Literal["system", "user", "assistant"]
    text: str


class SpeechToText(Protocol):
    @property
    def info(self) -> EngineInfo: ...

    def transcribe(self, pcm: bytes) -> Transcript:
        """Recognise one utterance (s16le mono 16 kHz). Blocking; raises EngineError."""
        ...


class TextToSpeech(Protocol):
    @property
    def info(self) -> EngineInfo: ...

    def synthesize(self, text: str) -> Iterator[bytes]:
        """Yield s16le mono 16 kHz of one sentence as it is made. Blocking; raises EngineError."""
        ...


class ReplyStream(Iterator[str], Protocol):
    """A reply that arrives in pieces. Iterating blocks and raises EngineError."""

    def close(self) -> None:
        """End the reply. May be called from any thread: one that waits for the next piece is woken where it can be."""
        ...


class LanguageModel(Protocol):
    @property
    def info(self) -> EngineInfo: ...

    def reply(self, messages: Sequence[ChatMessage]) -> ReplyStream:
        """Begin a reply. Whoever stops before its end closes it, or the model goes on for nobody."""
        ...


class VoiceActivity(Protocol):
    @property
    def info(self) -> EngineInfo: ...

    def speech_probability(self, pcm: bytes) -> float:
        """Probability (0 to 1) that the newest audio is speech. Stateful; any length of whole samples."""
        ...

    def reset(self) -> None:
        """Forget what was heard."""
        ...
