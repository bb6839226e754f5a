"""Everything that enters and leaves the pipeline.

The pipeline is `step(event, now) -> effects`: an `Event` is what happened, an `Effect` is what a driver must do about
it, and a `Notice` is what an observer (terminal, transcript, hook, report) may want to know. Nothing here acts.
`now` is monotonic host seconds; `*_sample` are on the microphone's sample clock, 16 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .audio import AudioFrame
from .engines.protocols import ChatMessage, EngineError, Transcript

Stage = Literal["endpointing", "stt", "understanding", "llm", "act", "tts", "link"]
Outcome = Literal["answered", "rejected", "interrupted", "failed", "announced"]


# ---------------------------------------------------------------- events: what happened
@dataclass(frozen=True, slots=True)
class MicrophoneHeard:
    frame: AudioFrame


@dataclass(frozen=True, slots=True)
class MicrophoneEnded:
    """A finite source (a file, a scripted text) has no more audio."""


@dataclass(frozen=True, slots=True)
class TextEntered:
    """The user's words, given as text: the ear is skipped."""

    text: str


@dataclass(frozen=True, slots=True)
class ButtonPressed:
    kind: Literal["tap", "double_tap", "long_press"]
    mic_sample: int = 0


@dataclass(frozen=True, slots=True)
class Transcribed:
    turn_id: int
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Understood:
    """The templates' verdict: an intent, or None when no template fits."""

    turn_id: int
    intent: Intent | None


@dataclass(frozen=True, slots=True)
class ActDone:
    """An act came back. `result` is what was read back from whoever did it; `error` a sentence when it failed."""

    turn_id: int
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A piece of the language model's reply; `last` comes once, possibly empty."""

    turn_id: int
    text: str
    last: bool = False


@dataclass(frozen=True, slots=True)
class SpeechMade:
    """Synthesised audio of one sentence; `last` ends that sentence."""

    turn_id: int
    pcm: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class EngineFailed:
    turn_id: int
    error: EngineError


@dataclass(frozen=True, slots=True)
class PlaybackBegan:
    """The first sample of this turn's reply left the speaker at `mic_sample` (the clock that ties both tracks)."""

    turn_id: int
    mic_sample: int
    speaker_sample: int


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    turn_id: int
    played_samples: int
    reason: Literal["played", "flushed", "starved", "session"] = "played"


@dataclass(frozen=True, slots=True)
class TimerDue:
    label: str
    seconds: int


@dataclass(frozen=True, slots=True)
class FrameLost:
    """The frame is gone; the message is one sentence."""

    message: str


@dataclass(frozen=True, slots=True)
class FrameBack:
    """The same frame is there again; its capture is off until asked."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The user ends the session (Ctrl-C, a signal): stop the capture, end the running turn, finish."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline that `next_deadline` named has come."""


Event = (
    MicrophoneHeard
    | MicrophoneEnded
    | TextEntered
    | ButtonPressed
    | Transcribed
    | Understood
    | ActDone
    | ReplyText
    | SpeechMade
    | EngineFailed
    | PlaybackBegan
    | PlaybackFinished
    | TimerDue
    | FrameLost
    | FrameBack
    | StopRequested
    | Tick
)


# ---------------------------------------------------------------- effects: what a driver must do
@dataclass(frozen=True, slots=True)
class Intent:
    """What a template made of a sentence."""

    name: str
    slots: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartCapture:
    pass


@dataclass(frozen=True, slots=True)
class StopCapture:
    pass


@dataclass(frozen=True, slots=True)
class Transcribe:
    turn_id: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Understand:
    turn_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Act:
    """Do something in the world: on the frame (photo, volume, mute, battery) or on the host (timer)."""

    turn_id: int
    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Think:
    turn_id: int
    messages: Sequence[ChatMessage]


@dataclass(frozen=True, slots=True)
class Synthesize:
    turn_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Play:
    """Append PCM to this turn's reply; `last` ends the reply and may carry no audio."""

    turn_id: int
    pcm: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class FlushSpeaker:
    """Silence this turn's reply now (barge-in)."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Drop whatever still runs for this turn: in every engine, or only in the one of `stage`."""

    turn_id: int
    stage: Stage | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    notice: Notice


Effect = (
    StartCapture
    | StopCapture
    | Transcribe
    | Understand
    | Act
    | Think
    | Synthesize
    | Play
    | FlushSpeaker
    | Cancel
    | Notify
)


# ---------------------------------------------------------------- notices: what an observer may want to know
@dataclass(frozen=True, slots=True)
class StateChanged:
    state: str  # a turn.TurnState value


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    mic_sample: int


@dataclass(frozen=True, slots=True)
class TranscriptReady:
    turn_id: int
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class ActFinished:
    turn_id: int
    name: str
    args: Mapping[str, Any]
    result: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True, slots=True)
class ReplySpoken:
    """One sentence of the reply, as sent to the voice."""

    turn_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something failed; the assistant goes on. `stage` names what."""

    stage: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """One exchange, whole. `stages_ms` has the keys of Stage that ran, and "total".

    `total` is the frame's own clock: last speech sample heard to first reply sample played. `link` is what remains of
    it after the other stages: wire, queues and the frame's speaker buffer.
    """

    turn_id: int
    outcome: Outcome
    heard: str
    transcript: Transcript | None
    intent: Intent | None
    act: ActFinished | None
    reply: str
    stages_ms: Mapping[str, float]
    speech_start_sample: int = 0
    speech_end_sample: int = 0
    reply_start_sample: int = 0  # microphone clock
    reply_speaker_sample: int = 0  # the same moment on the speaker's clock
    reply_samples: int = 0


Notice = StateChanged | SpeechStarted | TranscriptReady | ActFinished | ReplySpoken | Problem | TurnFinished
