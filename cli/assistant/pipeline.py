"""Moves events between the ear (VAD, endpointing), the turn and the host's own acts: `step(event, now) -> effects`.

Sans-I/O: the VAD's inference is the only work done inside. Knows when to listen; what a turn is, turn.py knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from .audio import AudioFrame
from .conversation import Conversation, ConversationSettings
from .endpointing import (
    SAMPLES_PER_MS,
    Endpointing,
    EndpointingSettings,
    UtteranceCut,
    UtteranceEnded,
    UtteranceStarted,
)
from .engines.protocols import VoiceActivity
from .events import (
    Act,
    ActDone,
    Effect,
    Event,
    FrameBack,
    FrameLost,
    MicrophoneEnded,
    MicrophoneHeard,
    Notify,
    Problem,
    SpeechStarted,
    StartCapture,
    StateChanged,
    StopCapture,
    StopRequested,
    Tick,
    TimerDue,
)
from .timers import Timers
from .tools.builtin import HostActs
from .turn import TurnMachine, TurnState
from .turn_settings import TurnSettings

SAY_IT_AGAIN = "say it again after a short pause"


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """All settings of the pipeline.

    Attributes:
        listen: use the microphone; without it only entered text begins a turn.
        guard_ms: after a reply the microphone is not listened to for this long, or it would hear the reply's end.
        microphone_stall_s: an utterance whose sound stops coming for this long is cut off: it is not acted on.
        microphone_silent_s: a capture that brings no AudioFrame at all for this long is reported, once.
    """

    endpointing: EndpointingSettings = field(default_factory=EndpointingSettings)
    turn: TurnSettings = field(default_factory=TurnSettings)
    conversation: ConversationSettings = field(default_factory=ConversationSettings)
    listen: bool = True
    guard_ms: int = 200
    microphone_stall_s: float = 1.0
    microphone_silent_s: float = 5.0


class Pipeline:
    """One session of the assistant.

    Args:
        settings: fixed for the session.
        vad: may be None where `settings.listen` is False.
        clock: the wall clock, for "what time is it"; tests inject their own.
    """

    def __init__(
        self, settings: PipelineSettings, vad: VoiceActivity | None, clock: Callable[[], datetime] = datetime.now
    ) -> None:
        if settings.listen and vad is None:
            raise ValueError("a pipeline that listens needs a voice activity model")
        self._settings = settings
        self._vad = vad
        self._endpointing = Endpointing(settings.endpointing)
        self._timers = Timers()
        self._host_acts = HostActs(self._timers)
        self._turns = TurnMachine(settings.turn, Conversation(settings.conversation), clock)
        self.input_ended = False  # a finite microphone has delivered everything
        self._listen_from_sample = 0
        self._last_frame_s = 0.0
        self._silence_reported = False
        self._finished = False
        self.dropped_frames = 0  # AudioFrames that the source itself counted as lost

    @property
    def finished(self) -> bool:
        """Nothing more will happen: stopped, or the input has ended and its last turn too. Running timers are lost."""
        return self._finished

    @property
    def state(self) -> TurnState:
        return self._turns.state

    def start(self, now: float) -> list[Effect]:
        """The effects that open a session; call once, before the first step."""
        self._last_frame_s = now
        capture: list[Effect] = [StartCapture()] if self._settings.listen else []
        return [*capture, Notify(StateChanged(self.state.value))]

    def next_deadline(self) -> float | None:
        """When the next Tick is due, in host seconds."""
        if self._finished:
            return None
        deadlines = (
            self._turns.next_deadline(),
            self._timers.next_deadline(),
            self._stall_deadline(),
            self._silence_deadline(),
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def step(self, event: Event, now: float) -> list[Effect]:
        """Take one event. `now` must not go backwards."""
        if self._finished:
            return []
        effects: list[Effect] = []
        if isinstance(event, MicrophoneHeard):
            effects += self._hear(event.frame, now)
        elif isinstance(event, MicrophoneEnded):
            self.input_ended = True
            if ended := self._endpointing.flush():
                effects += self._utterance(ended, now)
        elif isinstance(event, FrameLost):
            effects += self._turn_step(event, now)
            effects += self._cut("The frame went away")  # and the newest sound is no pre-roll of what comes next
        elif isinstance(event, FrameBack):
            self._listen_from_sample = self._turns.mic_sample = 0  # one that has booted counts its samples anew
            if self._vad is not None:
                self._vad.reset()
            if self._settings.listen and not self.input_ended:
                self._last_frame_s, self._silence_reported = now, False
                effects.append(StartCapture())
            effects += self._turn_step(event, now)
        elif isinstance(event, Tick):
            effects += self._tick(now)
        else:
            effects += self._turn_step(event, now)
        if isinstance(event, StopRequested) or (self.input_ended and self._turns.idle):
            self._finished = True
            if self._settings.listen:
                effects.append(StopCapture())
        return effects

    # ------------------------------------------------------------ the ear
    def _hear(self, frame: AudioFrame, now: float) -> list[Effect]:
        self.dropped_frames += frame.dropped_frames
        self._last_frame_s, self._silence_reported = now, False
        self._turns.mic_sample = frame.end_sample
        listening = self.state is TurnState.LISTENING and self._turns.frame_present and not self.input_ended
        if not listening or self._vad is None or frame.sample < self._listen_from_sample:
            return []
        effects: list[Effect] = []
        for found in self._endpointing.push(frame, self._vad.speech_probability(frame.pcm)):
            if isinstance(found, UtteranceStarted):
                self._turns.user_speaks = True
                effects.append(Notify(SpeechStarted(found.speech_start_sample)))
            elif isinstance(found, UtteranceCut):
                effects += self._tell_cut("Sound was lost")
            else:
                effects += self._utterance(found, now)
                break  # a turn has begun: whatever else this frame began is not listened to
        return effects

    def _cut(self, why: str) -> list[Effect]:
        """No sound comes any more: a sentence whose end was not heard is dropped, and the user is told."""
        return self._tell_cut(why) if self._endpointing.cut() else []

    def _tell_cut(self, why: str) -> list[Effect]:
        self._turns.user_speaks = False
        return [Notify(Problem("link", f"{why} while you spoke: what you said was dropped.", SAY_IT_AGAIN))]

    def _utterance(self, ended: UtteranceEnded, now: float) -> list[Effect]:
        self._turns.user_speaks = False
        return self._turn_step(ended, now)

    def _stall_deadline(self) -> float | None:
        return self._last_frame_s + self._settings.microphone_stall_s if self._endpointing.speaking else None

    def _silence_deadline(self) -> float | None:
        capturing = self._settings.listen and self._turns.frame_present and not self.input_ended
        if not capturing or self._silence_reported:
            return None
        return self._last_frame_s + self._settings.microphone_silent_s

    def _stop_hearing(self) -> None:
        self._endpointing.reset()
        self._turns.user_speaks = False
        if self._vad is not None:
            self._vad.reset()

    # ------------------------------------------------------------ the turn and the host's acts
    def _tick(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        stall, silence = self._stall_deadline(), self._silence_deadline()
        if stall is not None and now >= stall:
            effects += self._cut("Sound stopped coming")
        effects += self._turn_step(Tick(), now)  # what waited for the user's silence may begin
        for timer in self._timers.take_due(now):
            effects += self._turn_step(TimerDue(timer.label, timer.seconds), now)
        if silence is not None and now >= silence:
            self._silence_reported = True
            effects.append(Notify(Problem("link", "No sound comes from the microphone.", "lorgnette doctor")))
        return effects

    def _turn_step(self, event: Event | UtteranceEnded, now: float) -> list[Effect]:
        """Hand an event to the turn, do the host's own acts at once, and stop or resume hearing as the state asks."""
        before = self.state
        effects: list[Effect] = []
        for effect in self._turns.handle(event, now):
            if isinstance(effect, Act) and self._host_acts.owns(effect.name):
                result, error = self._host_acts.do(effect.name, effect.args, now)
                effects += self._turn_step(ActDone(effect.turn_id, result, error), now)
            else:
                effects.append(effect)
        if self.state is not before:
            self._stop_hearing()
            if self.state is TurnState.LISTENING:
                self._listen_from_sample = self._turns.mic_sample + self._settings.guard_ms * SAMPLES_PER_MS
        return effects
