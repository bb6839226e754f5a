"""A capture done again on this computer: the link, and the turns that were recorded beside it.

Knows the bridge's replay and the assistant's; prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ...firmware_bridge.capture.reader import CaptureReader, Note
from ...firmware_bridge.capture.replay import Difference, LinkReplay
from ...firmware_bridge.errors import CaptureError
from ..assistant.engine_calls import STAGES, call_engine
from ..assistant.events import (
    Effect,
    EngineFailed,
    Event,
    Intent,
    Notify,
    ReplyText,
    Synthesize,
    Transcribed,
    TurnFinished,
    Understood,
)
from ..assistant.recorded import ReplayedPipeline
from ..assistant.world import Engines
from .turn_notes import SESSION, STEP, VALUES, Heard, read_session, read_step

NO_TEMPLATE = "no template fits"


@dataclass(slots=True)
class Replayed:
    """How far it was the same."""

    events: int = 0
    octets: int = 0
    steps: int = 0
    turns: int = 0

    @property
    def nothing(self) -> bool:
        """There was nothing to do again."""
        return not (self.events or self.octets or self.steps)


@dataclass(frozen=True, slots=True)
class TextRow:
    """One engine's text of one turn, as it was captured and as it is now. `stage` is one of events.Stage."""

    turn_id: int
    stage: str
    captured: str
    live: str

    @property
    def same(self) -> bool:
        return self.captured == self.live


def replay(
    reader: CaptureReader,
    on_turn: Callable[[TurnFinished], None] = lambda _turn: None,
    on_text: Callable[[TextRow], None] = lambda _row: None,
    engines: Engines | None = None,
) -> Replayed:
    """Do everything before the first damage again; returns how much of it there was.

    Args:
        on_turn: told of each turn's end.
        on_text: told what each engine of `engines` makes now of what the captured one was given.

    Raises:
        Difference: the first thing that did not come out as it was captured.
        CaptureError: the capture holds what this version does not know.
    """
    link = LinkReplay()
    turns = TurnReplay(link.heard.at, on_turn, LiveTexts(engines, on_text) if engines is not None else None)
    for record in reader.before_damage():
        link.take(record)
        if isinstance(record, Note):
            turns.take(record)
    if reader.ended and not reader.early_end:
        link.finish()
    return Replayed(link.events, link.octets, turns.steps, turns.turns)


class TurnReplay:
    """Fresh pipelines that take the captured steps. Give it every note in order."""

    def __init__(self, heard: Heard, on_turn: Callable[[TurnFinished], None], live: LiveTexts | None) -> None:
        self.steps = self.turns = 0
        self._heard = heard
        self._on_turn = on_turn
        self._live = live
        self._pipeline: ReplayedPipeline | None = None
        self._over = False  # an error ended the session: what was still tidied up then is not compared

    def take(self, note: Note) -> None:
        """Raises Difference or CaptureError."""
        if note.kind == SESSION:
            settings = read_session(note.value)
            self._over = False
            self._pipeline = _meant(note, "a session", lambda: ReplayedPipeline(settings))
        elif note.kind == STEP:
            self._step(note)

    def _step(self, note: Note) -> None:
        pipeline = self._pipeline
        if pipeline is None:
            raise CaptureError("The capture holds a step of a session that it did not begin.")
        if self._over:
            return
        if note.value.get("interrupted"):
            self._over = True  # how much of this step was done nobody knows
            return
        step = read_step(note.value, self._heard)
        name = "the start" if step.event is None else type(step.event).__name__
        if raised := note.value.get("raised"):
            self._over = True
            _must_fail(note, name, str(raised), lambda: pipeline.take(step))
            return
        effects: list[Effect] = _meant(note, f"the step for {name}", lambda: pipeline.take(step))
        _compare(note.at_s, name, note.value.get("effects", []), VALUES.encode(effects, whole=False))
        self.steps += 1
        for effect in effects:
            if isinstance(effect, Notify) and isinstance(effect.notice, TurnFinished):
                self.turns += 1
                self._on_turn(effect.notice)
        if self._live is not None:
            self._live.step(step.event, effects)


class LiveTexts:
    """Gives engines what the captured ones were given, and lays their texts side by side."""

    def __init__(self, engines: Engines, on_text: Callable[[TextRow], None]) -> None:
        self._engines = engines
        self._on_text = on_text
        self._made: dict[tuple[int, str], str] = {}  # (turn, stage) -> what the engine says now
        self._reply = ""  # the captured one, as far as it has come

    def step(self, event: Event | None, effects: Iterable[Effect]) -> None:
        self._compare(event)
        for effect in effects:
            if type(effect) in STAGES and not isinstance(effect, Synthesize):
                job: Any = effect
                self._reply = ""
                said = [text_of(event) for event in call_engine(self._engines, job)]
                self._made[job.turn_id, STAGES[type(job)]] = "".join(said)

    def _compare(self, event: Event | None) -> None:
        match event:
            case Transcribed(turn_id):
                self._row(turn_id, "stt", text_of(event))
            case Understood(turn_id):
                self._row(turn_id, "understanding", text_of(event))
            case ReplyText(turn_id, text, last):
                self._reply += text
                if last:
                    self._row(turn_id, "llm", self._reply)
            case EngineFailed(turn_id, error) if error.stage != "tts":
                self._row(turn_id, error.stage, self._reply + text_of(event))

    def _row(self, turn_id: int, stage: str, captured: str) -> None:
        if (live := self._made.pop((turn_id, stage), None)) is not None:
            self._on_text(TextRow(turn_id, stage, captured, live))


def text_of(event: Event) -> str:
    """What an engine said, in one line."""
    match event:
        case Transcribed(_, transcript):
            return (
                transcript.text if transcript.accepted else f"(refused: {transcript.reason}) {transcript.text}".strip()
            )
        case Understood(_, intent):
            return intent_text(intent)
        case ReplyText(_, text):
            return text
        case EngineFailed(_, error):
            return f"(failed: {error})"
    return ""


def intent_text(intent: Intent | None) -> str:
    """`SetVolume percent=40`."""
    if intent is None:
        return NO_TEMPLATE
    return " ".join([intent.name, *(f"{name}={value}" for name, value in intent.slots.items())])


def _meant(note: Note, what: str, act: Callable[[], Any]) -> Any:
    """A capture may hold what no program writes, and a later version may refuse what this one took."""
    try:
        return act()
    except Exception as error:
        raise Difference(note.at_s, what, "what was captured", f"{type(error).__name__}: {error}") from error


def _must_fail(note: Note, name: str, raised: str, act: Callable[[], object]) -> None:
    """The model's own error comes again as its answer that is missing: which error it is does not matter."""
    try:
        act()
    except Exception:
        return
    raise Difference(note.at_s, f"the step for {name}", raised, "no error")


def _compare(at_s: float, name: str, expected: Any, got: list[Any]) -> None:
    if expected == got:
        return
    if not isinstance(expected, list):
        raise CaptureError("The capture holds effects that are no list.")
    for number in range(max(len(expected), len(got))):
        pair = [repr(side[number]) if number < len(side) else "nothing" for side in (expected, got)]
        if pair[0] != pair[1]:
            raise Difference(at_s, f"effect {number + 1} of the step for {name}", *pair)
    raise Difference(at_s, f"effects of the step for {name}", repr(expected), repr(got))
