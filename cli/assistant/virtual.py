"""The virtual driver: the same pipeline and effects on one thread and a virtual clock; nothing sleeps, runs are equal.

Each engine call takes a constant of virtual time, declared in EngineCosts; what it really took is kept beside, in
`measured`, and orders nothing.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .driver import Observer
from .engine_calls import STAGES, EngineEffect, call_engine
from .events import Cancel, Effect, Event, Notify, Stage, StopRequested, Tick
from .pipeline import Pipeline
from .world import Engines, VirtualWorld

MAX_SESSION_S = 24 * 3600.0
MAX_STEPS_AT_A_MOMENT = 10_000
_STREAMING: frozenset[Stage] = frozenset(("llm", "tts"))  # these stop between two pieces when they are cancelled


class Stalled(RuntimeError):
    """The session is not over, and nothing is left that could happen, or time stands still."""


@dataclass(frozen=True, slots=True)
class EngineCosts:
    """Virtual seconds that each call takes. One engine does one call after another, as its worker thread does.

    Attributes:
        stt_s, understanding_s: until the result.
        tts_s: until a sentence's first audio; the rest of the sentence comes at the same moment.
        llm_first_s: until the first piece of text; `llm_piece_s` for each further piece.
    """

    stt_s: float = 0.2
    understanding_s: float = 0.005
    tts_s: float = 0.1
    llm_first_s: float = 0.4
    llm_piece_s: float = 0.02

    def of(self, stage: Stage, piece: int) -> float:
        """The cost of piece number `piece` (from 0) of one call."""
        if stage == "llm":
            return self.llm_first_s if piece == 0 else self.llm_piece_s
        if piece:
            return 0.0
        cost: float = getattr(self, f"{stage}_s")
        return cost


@dataclass(frozen=True, slots=True)
class MeasuredCall:
    """One engine call: what it was declared to take and what it took on this computer."""

    turn_id: int
    stage: Stage
    declared_s: float
    measured_s: float


class VirtualDriver:
    """Runs one session in virtual time.

    Args:
        pipeline: fresh; the driver starts it.
        world: started, advanced and closed by the driver.
        engines: called on this thread.
        costs: virtual time of their calls.
        observers: called on this thread, at the virtual moment of the notice; they may act on the world's scripts.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        world: VirtualWorld,
        engines: Engines,
        costs: EngineCosts | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._pipeline = pipeline
        self._world = world
        self._engines = engines
        self._costs = costs or EngineCosts()
        self._observers = observers
        self._now_s = 0.0
        self._steps_at_moment = 0
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Event, EngineEffect | None]] = []  # heap: due, order, event, its job
        self._busy_until_s: dict[Stage, float] = {}
        self._cancelled: dict[Stage, int] = {}
        self.measured: list[MeasuredCall] = []

    @property
    def now_s(self) -> float:
        return self._now_s

    def post(self, event: Event) -> None:
        """The event happens now, after what is on the agenda for now."""
        self.post_at(self._now_s, event)

    def post_at(self, when_s: float, event: Event) -> None:
        """The event happens at a virtual time (a script's button press, a lost frame)."""
        self._put(max(when_s, self._now_s), event, None)

    def stop(self) -> None:
        self.post(StopRequested())

    def run(self, until_s: float = MAX_SESSION_S) -> None:
        """Run until the pipeline has finished, or stop it when the clock reads `until_s`. Raises Stalled."""
        try:
            self._world.start(self.post)
            try:
                self._world.advance(self._now_s)
                self._carry_out(self._pipeline.start(self._now_s))
                while not self._pipeline.finished:
                    self._run_next(until_s)
            finally:
                if not self._pipeline.finished:
                    self._carry_out(self._pipeline.step(StopRequested(), self._now_s))
        finally:
            self._world.close()

    def _run_next(self, until_s: float) -> None:
        """Everything of the next moment at which something happens: the world, what it posted, then deadlines."""
        due_s = (
            self._world.next_deadline(),
            self._pipeline.next_deadline(),
            self._agenda[0][0] if self._agenda else None,
        )
        moment = min((due for due in due_s if due is not None), default=None)
        if moment is None:
            raise Stalled(f"in state {self._pipeline.state.value} at {self._now_s:.3f} s nothing is left to happen")
        self._steps_at_moment = self._steps_at_moment + 1 if moment <= self._now_s else 0
        if self._steps_at_moment > MAX_STEPS_AT_A_MOMENT:
            raise Stalled(f"in state {self._pipeline.state.value} the clock stays at {self._now_s:.3f} s")
        if moment > until_s:
            self._now_s = max(self._now_s, until_s)
            self._world.advance(self._now_s)
            self._step(StopRequested())
            return
        self._now_s = max(self._now_s, moment)
        self._world.advance(self._now_s)
        while self._agenda and self._agenda[0][0] <= self._now_s:
            _, _, event, job = heapq.heappop(self._agenda)
            if job is None or not self._dropped(job):
                self._step(event)
        deadline = self._pipeline.next_deadline()
        if deadline is not None and deadline <= self._now_s:
            self._step(Tick())

    def _step(self, event: Event) -> None:
        self._carry_out(self._pipeline.step(event, self._now_s))

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Notify):
                for observer in self._observers:
                    observer(effect.notice)
            elif isinstance(effect, Cancel):
                for stage in STAGES.values():
                    if effect.stage in (None, stage):
                        self._cancelled[stage] = max(self._cancelled.get(stage, 0), effect.turn_id)
                        if stage in _STREAMING:
                            self._busy_until_s[stage] = self._now_s
            elif type(effect) in STAGES:
                self._call(effect)  # type: ignore[arg-type]  # STAGES has these only
            else:
                self._world.execute(effect)  # type: ignore[arg-type]  # all that is left belongs to the world

    def _call(self, job: EngineEffect) -> None:
        """Do the work now, in zero virtual time, and put its events where their costs say."""
        stage = STAGES[type(job)]
        begins_s = max(self._now_s, self._busy_until_s.get(stage, 0.0))
        due_s = begins_s
        measured_s = 0.0
        events = call_engine(self._engines, job)
        for piece in itertools.count():
            began = time.perf_counter()
            event = next(events, None)
            measured_s += time.perf_counter() - began
            if event is None:
                break
            due_s += self._costs.of(stage, piece)
            self._put(due_s, event, job)
        self._busy_until_s[stage] = due_s
        self.measured.append(MeasuredCall(job.turn_id, stage, due_s - begins_s, measured_s))

    def _dropped(self, job: EngineEffect) -> bool:
        return job.turn_id <= self._cancelled.get(STAGES[type(job)], 0)

    def _put(self, due_s: float, event: Event, job: EngineEffect | None) -> None:
        heapq.heappush(self._agenda, (due_s, next(self._order), event, job))
