"""The turn: LISTENING, TRANSCRIBING, THINKING, SPEAKING, as one table from state and event to a handler.

Sans-I/O: events and host seconds in, effects out. Knows what an exchange is; knows neither sound nor how anything is
carried out. Whatever happens, a turn ends: each thing it waits for has a deadline, and the failed stage is named.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from .audio import SAMPLE_RATE_HZ
from .conversation import Conversation
from .endpointing import SAMPLES_PER_MS, UtteranceEnded
from .events import (
    Act,
    ActDone,
    ButtonPressed,
    Cancel,
    Effect,
    EngineFailed,
    Event,
    FlushSpeaker,
    FrameBack,
    FrameLost,
    Intent,
    Notice,
    Notify,
    Outcome,
    PlaybackBegan,
    PlaybackFinished,
    Problem,
    ReplyText,
    SpeechMade,
    Stage,
    StateChanged,
    StopRequested,
    TextEntered,
    Think,
    Tick,
    TimerDue,
    Transcribe,
    Transcribed,
    TranscriptReady,
    Understand,
    Understood,
)
from .reply import Reply
from .sentences import SentenceSplitter, split_sentences, without_controls
from .tools.builtin import NO_ANSWER, PlannedAct, act_reply, plan, timer_reply
from .turn_record import Turn
from .turn_settings import TurnSettings

__all__ = ["TABLE", "TurnMachine", "TurnSettings", "TurnState"]

NOT_CAUGHT = "I did not catch that."
NOTHING_TO_REPEAT = "I have not said anything yet."
STOPPED = "Okay."
NOT_DONE = "The frame went away before anything was done."
_NAMES: Mapping[str, str] = {
    "stt": "Speech recognition",
    "understanding": "The understanding of commands",
    "act": "The frame",
    "llm": "The language model",
    "tts": "The voice",
    "link": "The playback on the frame",
}
_SAYABLE = frozenset(("stt", "understanding", "act", "llm"))  # stages whose failure the voice can still tell


class TurnState(StrEnum):
    """What the assistant is doing. LISTENING is also where it waits."""

    LISTENING = "listening"
    TRANSCRIBING = "transcribing"
    THINKING = "thinking"
    SPEAKING = "speaking"


class TurnMachine:
    """Runs one turn after another. `handle` is the only way in; `state`, `idle` and `next_deadline` are for reading."""

    def __init__(self, settings: TurnSettings, conversation: Conversation, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._conversation = conversation
        self._clock = clock
        self._state = TurnState.LISTENING
        self._turn: Turn | None = None
        self._turns_begun = 0
        self._last_reply = ""
        self._waiting: deque[TextEntered | TimerDue] = deque()
        self._out: list[Effect] = []
        self.frame_present = True
        self.mic_sample = 0  # where the microphone's clock is, kept up by the pipeline
        self.user_speaks = False  # an utterance is under way, kept up by the pipeline: nothing is announced into it
        self.ignored: Counter[str] = Counter()  # stale or unexpected events by name

    @property
    def state(self) -> TurnState:
        return self._state

    @property
    def idle(self) -> bool:
        """No turn runs and none can begin by itself."""
        return self._turn is None and not (self._waiting and self.frame_present)

    def next_deadline(self) -> float | None:
        return self._turn.deadline_s if self._turn else None

    def handle(self, event: Event | UtteranceEnded, now: float) -> list[Effect]:
        """Take one event; returns what is to be done, in order."""
        turn_id = getattr(event, "turn_id", None)
        handler = TABLE[self._state].get(type(event))
        if handler is None or (turn_id is not None and (self._turn is None or turn_id != self._turn.turn_id)):
            self.ignored[type(event).__name__] += 1
        else:
            handler(self, event, now)
            self._begin_waiting(now)
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------ how a turn begins
    def _begin(self, state: TurnState, now: float) -> Turn:
        self._turns_begun += 1
        settings = self._settings
        pause_samples = settings.sentence_pause_ms * SAMPLES_PER_MS
        reply = Reply(self._turns_begun, voice=settings.voice, pause_samples=pause_samples)
        self._turn = Turn(self._turns_begun, now, reply, frame_lost=not self.frame_present)
        self._enter(state)
        return self._turn

    def _on_utterance(self, event: UtteranceEnded, now: float) -> None:
        turn = self._begin(TurnState.TRANSCRIBING, now)
        turn.note_utterance(event)
        self._wait_for(turn, "stt", now)
        self._out.append(Transcribe(turn.turn_id, event.pcm))

    def _on_text_or_timer(self, event: TextEntered | TimerDue, now: float) -> None:
        if len(self._waiting) >= self._settings.max_waiting:
            self._notify(Problem("understanding", "Too much is waiting already; the newest was dropped."))
            return
        self._waiting.append(event)

    def _begin_waiting(self, now: float) -> None:
        while self._turn is None and self._waiting and self.frame_present and not self.user_speaks:
            event = self._waiting.popleft()
            if isinstance(event, TimerDue):
                turn = self._begin(TurnState.THINKING, now)
                turn.outcome = "announced"
                self._say(turn, timer_reply(event.seconds, event.label), now)
            else:
                turn = self._begin(TurnState.THINKING, now)
                text = without_controls(event.text)
                if text:
                    self._understand(turn, text, now)
                else:  # whoever entered it waits for the end of a turn
                    self._finish("rejected")

    # ------------------------------------------------------------ TRANSCRIBING
    def _on_transcribed(self, event: Transcribed, now: float) -> None:
        turn, transcript = self._current(), event.transcript
        turn.end("stt", now)
        turn.transcript = transcript
        turn.heard = without_controls(transcript.text)
        self._notify(TranscriptReady(turn.turn_id, transcript))
        if turn.frame_lost:  # what was heard is kept; a frame that came back is not to act on it unasked
            self._finish("failed")
        elif transcript.accepted and turn.heard:
            self._understand(turn, turn.heard, now)
        elif self._settings.reply_to_rejected:
            turn.outcome = "rejected"
            self._say(turn, NOT_CAUGHT, now)
        else:
            self._finish("rejected")

    # ------------------------------------------------------------ THINKING
    def _understand(self, turn: Turn, text: str, now: float) -> None:
        turn.heard = text
        self._enter(TurnState.THINKING)
        self._wait_for(turn, "understanding", now)
        self._out.append(Understand(turn.turn_id, text))

    def _on_understood(self, event: Understood, now: float) -> None:
        turn = self._current()
        turn.end("understanding", now)
        turn.intent = event.intent
        planned = self._plan(event.intent) if event.intent else None
        if isinstance(planned, str):
            self._say(turn, planned, now)
        elif planned is not None:
            turn.pending_act = Act(turn.turn_id, planned.name, planned.args)
            self._wait_for(turn, "act", now)
            self._out.append(turn.pending_act)
        elif self._settings.language_model:
            turn.splitter = SentenceSplitter(first_clause=True)
            self._wait_for(turn, "llm", now)
            self._out.append(Think(turn.turn_id, self._conversation.messages(turn.heard)))
        else:
            self._say(turn, NO_ANSWER, now)

    def _plan(self, intent: Intent) -> str | PlannedAct | None:
        if intent.name == "Stop":
            return STOPPED
        if intent.name == "Repeat":
            return self._last_reply or NOTHING_TO_REPEAT
        return plan(intent, self._clock())

    def _on_act_done(self, event: ActDone, now: float) -> None:
        turn = self._current()
        act = turn.end_act(event.result, event.error)
        if act is None:
            self.ignored["ActDone"] += 1
            return
        turn.end("act", now)
        self._notify(act)
        self._say(turn, act_reply(act.name, event.result, event.error), now)

    def _on_reply_text(self, event: ReplyText, now: float) -> None:
        turn = self._current()
        if turn.reply.text_complete:
            return  # cut off before: what still comes of it is not said
        sentences = turn.splitter.push(event.text)
        if event.last:
            sentences += turn.splitter.finish()
        room = self._room(turn)
        if event.last and not sentences and not turn.reply.sentence_count:
            self._fail(turn, "llm", "The language model gave an empty answer.", now)
            return
        if len(sentences) >= room and not event.last:
            self._out.append(Cancel(turn.turn_id, "llm"))
        turn.reply.text_complete = event.last or len(sentences) >= room
        self._speak(turn, sentences[:room], now)

    def _room(self, turn: Turn) -> int:
        """How many sentences more the reply may have."""
        return self._settings.max_reply_sentences - turn.reply.sentence_count

    # ------------------------------------------------------------ SPEAKING
    def _say(self, turn: Turn, text: str, now: float) -> None:
        """A whole reply, known at once. In a reply that has begun it becomes its end."""
        turn.reply.text_complete = True
        self._speak(turn, split_sentences(text), now)

    def _speak(self, turn: Turn, sentences: list[str], now: float) -> None:
        if sentences:
            turn.end("llm", now)
            turn.begin("tts", now)
            self._enter(TurnState.SPEAKING)
            self._out += turn.reply.add(sentences)
        self._go_on(turn, now)

    def _on_speech_made(self, event: SpeechMade, now: float) -> None:
        turn = self._current()
        if not turn.reply.voice_works:
            self.ignored["SpeechMade"] += 1
            return
        if event.pcm:
            turn.end("tts", now)
        self._out += turn.reply.made(event.pcm, last=event.last)
        self._go_on(turn, now)

    def _go_on(self, turn: Turn, now: float) -> None:
        """Close the reply's audio once all of it is made, and set what is waited for next."""
        reply = turn.reply
        if not reply.all_made:
            self._wait_for(turn, "tts" if reply.voice_works else "llm", now)
        elif not self._settings.voice:
            turn.note_silent_reply(now)
            self._finish(turn.outcome)
        elif reply.sent_samples == 0:
            self._notify(Problem("tts", "The voice made no sound of the reply."))
            self._finish("failed")
        else:
            self._out += reply.close()
            self._wait_for_playback(turn, now)

    def _wait_for_playback(self, turn: Turn, now: float) -> None:
        self._wait_for(turn, "link", now)
        if turn.playback_began_s is not None:
            ends_s = turn.playback_began_s + turn.reply.sent_samples / SAMPLE_RATE_HZ
            turn.deadline_s = max(now, ends_s) + self._settings.link_timeout_s

    def _on_playback_began(self, event: PlaybackBegan, now: float) -> None:
        turn = self._current()
        if turn.playback_began_s is not None:
            return  # a reply that ran dry begins again; its beginning was the first time
        turn.note_playback(event.mic_sample, event.speaker_sample, now)
        if turn.reply.closed:
            self._wait_for_playback(turn, now)

    def _on_playback_finished(self, event: PlaybackFinished, now: float) -> None:
        turn = self._current()
        turn.played_samples = event.played_samples
        if event.reason == "played" and turn.reply.closed:
            self._finish(turn.outcome)
        elif event.reason == "flushed":
            self._drop_rest(turn)
            self._finish("interrupted")
        else:
            self._drop_rest(turn)
            self._notify(Problem("link", "The reply was cut off before its end.", "lorgnette doctor"))
            self._finish("failed")

    # ------------------------------------------------------------ what may come at any time
    def _on_button(self, event: ButtonPressed, now: float) -> None:
        """Barge-in: silence at once. Any kind of press will do, an impatient user's double tap too."""
        turn = self._current()
        if turn.playback_began_s is not None:
            played = (event.mic_sample or self.mic_sample) - turn.reply_start_sample
            turn.played_samples = min(max(played, 0), turn.reply.sent_samples)
        self._drop_rest(turn)
        self._finish("interrupted")

    def _on_engine_failed(self, event: EngineFailed, now: float) -> None:
        turn, error = self._current(), event.error
        if error.stage == "llm" and turn.reply.text_complete:
            self.ignored["EngineFailed"] += 1  # the reply was cut off and is being said
            return
        self._fail(turn, error.stage, str(error), now, error.remedy)

    def _on_tick(self, event: Tick, now: float) -> None:
        turn = self._turn
        if turn is None or turn.deadline_s is None or now < turn.deadline_s:
            return
        stage = turn.waiting_for
        waited = f"{_NAMES[stage]} took too long."
        if stage in _SAYABLE:
            self._out.append(Cancel(turn.turn_id, stage))
        self._fail(turn, stage, waited, now, spoken=waited)

    def _fail(self, turn: Turn, stage: str, message: str, now: float, remedy: str = "", spoken: str = "") -> None:
        """Report, and say which stage failed unless it is the one that would say it."""
        self._notify(Problem(stage, without_controls(message), without_controls(remedy)))
        if act := turn.end_act({}, message):
            self._notify(act)
        if stage not in _SAYABLE or turn.frame_lost:
            self._drop_rest(turn)
            self._finish("failed")
            return
        turn.outcome = "failed"
        # A sentence that was cut in the middle is said as far as it came.
        if stage == "llm" and (rest := turn.splitter.finish()[: self._room(turn)]):
            self._speak(turn, rest, now)
        self._say(turn, spoken or f"{_NAMES[stage]} failed.", now)

    def _on_frame_lost(self, event: FrameLost, now: float) -> None:
        self.frame_present = False
        self._notify(Problem("link", without_controls(event.message), "lorgnette doctor"))
        turn = self._turn
        if turn is None or turn.frame_lost:
            return
        turn.frame_lost = True
        if act := turn.end_act({}, event.message):
            self._notify(act)
        if turn.act is None and self._state is not TurnState.SPEAKING:
            self._notify(Problem("act", NOT_DONE, "say it again"))
        if self._state is not TurnState.TRANSCRIBING:  # a transcript under way is still worth having
            self._drop_rest(turn)
            self._finish("failed")

    def _on_frame_back(self, event: FrameBack, now: float) -> None:
        self.frame_present = True

    def _on_stop(self, event: StopRequested, now: float) -> None:
        self._waiting.clear()
        if self._turn is not None:
            self._drop_rest(self._turn)
            self._finish("interrupted")

    # ------------------------------------------------------------ small things
    def _current(self) -> Turn:
        assert self._turn is not None, "the table lets no turn's event into LISTENING"
        return self._turn

    def _enter(self, state: TurnState) -> None:
        if state is not self._state:
            self._state = state
            self._notify(StateChanged(state.value))

    def _wait_for(self, turn: Turn, stage: Stage, now: float) -> None:
        turn.begin(stage, now)
        turn.waiting_for = stage
        turn.deadline_s = now + self._settings.timeout_s(stage)

    def _drop_rest(self, turn: Turn) -> None:
        self._out.append(Cancel(turn.turn_id))
        if turn.reply.sent_samples:
            self._out.append(FlushSpeaker(turn.turn_id))

    def _finish(self, outcome: Outcome) -> None:
        turn = self._current()
        whole = outcome != "interrupted" or not self._settings.voice
        reply = turn.reply.text() if whole else turn.reply.text_begun_before(turn.played_samples)
        if outcome in ("answered", "interrupted", "announced"):
            self._last_reply = turn.reply.text() or self._last_reply
            self._conversation.add(turn.heard, reply)
        self._turn = None
        self._notify(turn.finished(outcome, reply))
        self._enter(TurnState.LISTENING)

    def _notify(self, notice: Notice) -> None:
        self._out.append(Notify(notice))


Handler = Callable[[TurnMachine, Any, float], None]

_ANYTIME: dict[type, Handler] = {
    TextEntered: TurnMachine._on_text_or_timer,
    TimerDue: TurnMachine._on_text_or_timer,
    FrameLost: TurnMachine._on_frame_lost,
    FrameBack: TurnMachine._on_frame_back,
    StopRequested: TurnMachine._on_stop,
    Tick: TurnMachine._on_tick,
}
_IN_A_TURN: dict[type, Handler] = {
    **_ANYTIME,
    ButtonPressed: TurnMachine._on_button,
    EngineFailed: TurnMachine._on_engine_failed,
}
# What is missing here is ignored and counted: a late answer of a stage that was given up, a tap while nothing plays.
TABLE: dict[TurnState, dict[type, Handler]] = {
    TurnState.LISTENING: {
        **_ANYTIME,
        UtteranceEnded: TurnMachine._on_utterance,
    },
    TurnState.TRANSCRIBING: {
        **_IN_A_TURN,
        Transcribed: TurnMachine._on_transcribed,
    },
    TurnState.THINKING: {
        **_IN_A_TURN,
        Understood: TurnMachine._on_understood,
        ActDone: TurnMachine._on_act_done,
        ReplyText: TurnMachine._on_reply_text,
    },
    TurnState.SPEAKING: {
        **_IN_A_TURN,
        ReplyText: TurnMachine._on_reply_text,
        SpeechMade: TurnMachine._on_speech_made,
        PlaybackBegan: TurnMachine._on_playback_began,
        PlaybackFinished: TurnMachine._on_playback_finished,
    },
}
