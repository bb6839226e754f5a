"""The live driver: runs a pipeline against the real clock, a world and engines on threads of their own.

Threads: the caller of `run` is the turn thread; one worker per engine; one per observer; the world has its own. They
talk by queues only, each bounded:

| queue | bound | when full |
|---|---|---|
| microphone frames | MICROPHONE_FRAMES (5 s) | the newest is dropped and counted; endpointing sees a hole |
| other events of the world | WORLD_EVENTS | dropped and counted; deadlines end what waited for them |
| results of the engines | ENGINE_RESULTS | the worker waits |
| jobs of one engine | ENGINE_JOBS | the turn fails with a sentence |
| notices to one observer | OBSERVER_NOTICES | dropped and counted |

Knows no frame, no terminal and no engine by name.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from .engine_calls import STAGES, EngineEffect, call_engine
from .engines.protocols import EngineError, ReplyStream
from .events import (
    Cancel,
    Effect,
    EngineFailed,
    Event,
    MicrophoneHeard,
    Notice,
    Notify,
    Problem,
    Stage,
    StopRequested,
    Tick,
)
from .pipeline import Pipeline
from .world import Engines, World

MICROPHONE_FRAMES = 250
WORLD_EVENTS = 256
ENGINE_RESULTS = 64
ENGINE_JOBS = 256
OBSERVER_NOTICES = 1024
RESULT_WAIT_S = 0.1  # how soon a waiting worker notices that its turn was cancelled
WAKE_S = 0.25  # Windows lets no signal handler run while a thread waits for a queue without end
JOIN_TIMEOUT_S = 3.0  # for all engines together, and for all observers; an engine deep in a computation is left behind

Observer = Callable[[Notice], None]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DriverStats:
    """What was lost because this computer was too slow, and threads that did not end in time."""

    microphone_frames_dropped: int = 0
    world_events_dropped: int = 0
    notices_dropped: int = 0
    stragglers: tuple[str, ...] = ()


class LiveDriver:
    """Runs one session.

    Args:
        pipeline: fresh; the driver starts it.
        world: started and closed by the driver. Its `execute` is called on the turn thread.
        engines: each called on a worker thread of its own.
        observers: each called on a thread of its own, in order; a slow or raising one disturbs nobody.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        world: World,
        engines: Engines,
        observers: Sequence[Observer] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pipeline = pipeline
        self._world = world
        self._engines = engines
        self._clock = clock
        self._inbox: queue.SimpleQueue[tuple[Event, threading.Semaphore | None]] = queue.SimpleQueue()
        self._microphone_slots = threading.Semaphore(MICROPHONE_FRAMES)
        self._world_slots = threading.Semaphore(WORLD_EVENTS)
        self._microphone_dropped = 0
        self._drops_reported = 0
        self._world_dropped = 0
        self._stop_asked = False
        self._before_tick: int | None = None  # events that still go before an overdue Tick
        self._stragglers: tuple[str, ...] = ()
        result_slots = threading.Semaphore(ENGINE_RESULTS)
        self._workers: dict[Stage, _EngineWorker] = {
            stage: _EngineWorker(stage, engines, self._inbox, result_slots) for stage in STAGES.values()
        }
        self._observers = [_ObserverThread(observer) for observer in observers]

    @property
    def stats(self) -> DriverStats:
        return DriverStats(
            self._microphone_dropped,
            self._world_dropped,
            sum(observer.dropped for observer in self._observers),
            self._stragglers,
        )

    def stop(self) -> None:
        """End the session: `run` stops the capture, finishes the turn's records and returns. Takes no lock, so it may
        be called from a signal handler, from any thread, and more than once."""
        self._stop_asked = True
        self._inbox.put((StopRequested(), None))

    def post(self, event: Event) -> None:
        """What the world calls. Never blocks; what exceeds the queue is dropped and counted."""
        if isinstance(event, MicrophoneHeard):
            if self._microphone_slots.acquire(blocking=False):
                self._inbox.put((event, self._microphone_slots))
            else:
                self._microphone_dropped += 1
        elif self._world_slots.acquire(blocking=False):
            self._inbox.put((event, self._world_slots))
        else:
            self._world_dropped += 1

    def run(self) -> None:
        """Run until the pipeline has finished or `stop` was called. The world is closed and all threads have ended
        (or are named in `stats.stragglers`) when it returns, also when it raises."""
        for thread in (*self._workers.values(), *self._observers):
            thread.start()
        try:
            self._world.start(self.post)
            self._run_pipeline()
        finally:
            self._shut_down()

    # ------------------------------------------------------------ the turn thread
    def _run_pipeline(self) -> None:
        try:
            self._carry_out(self._pipeline.start(self._clock()))
            while not self._pipeline.finished:
                self._carry_out(self._pipeline.step(self._next_event(), self._clock()))
                self._report_drops()
        finally:
            if not self._pipeline.finished:  # an error on its way out: the capture must not stay on
                self._carry_out(self._pipeline.step(StopRequested(), self._clock()))

    def _next_event(self) -> Event:
        """The next event, or a Tick when the deadline has come: then what waits already goes first, and no more."""
        if self._stop_asked:
            return StopRequested()
        deadline = self._pipeline.next_deadline()
        timeout_s = WAKE_S if deadline is None else min(WAKE_S, deadline - self._clock())
        if timeout_s > 0:
            self._before_tick = None
        else:
            if self._before_tick is None:
                self._before_tick = self._inbox.qsize()
            if self._before_tick == 0:
                self._before_tick = None
                return Tick()
            self._before_tick -= 1
            timeout_s = 0.0
        try:
            event, slots = self._inbox.get(timeout=timeout_s)
        except queue.Empty:
            return Tick()
        if slots is not None:
            slots.release()
        return event

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Notify):
                self._notify(effect.notice)
            elif isinstance(effect, Cancel):
                for stage, worker in self._workers.items():
                    if effect.stage in (None, stage):
                        worker.cancel(effect.turn_id)
            elif type(effect) in STAGES:
                self._workers[STAGES[type(effect)]].submit(effect)  # type: ignore[arg-type]  # STAGES has these only
            else:
                self._world.execute(effect)  # type: ignore[arg-type]  # all that is left belongs to the world

    def _notify(self, notice: Notice) -> None:
        for observer in self._observers:
            observer.observe(notice)

    def _report_drops(self) -> None:
        """One sentence for the first lost frame, then one for each MICROPHONE_FRAMES more."""
        if self._microphone_dropped <= self._drops_reported:
            return
        self._drops_reported = self._microphone_dropped + MICROPHONE_FRAMES
        message = f"This computer is too slow: {self._microphone_dropped} AudioFrames of the microphone were dropped."
        self._notify(Problem("endpointing", message, "lorgnette setup, and choose a smaller speech model"))

    def _shut_down(self) -> None:
        try:
            self._world.close()
        finally:
            self._end(list(self._workers.values()))
            self._report_losses()
            self._end(self._observers)
            logger.info("session ended: %s", self.stats)
            if self._stragglers:
                logger.warning("still busy at the end: %s", ", ".join(self._stragglers))
            close = getattr(self._engines.llm, "close", None)  # a model on a server keeps connections
            if close is not None:
                close()

    def _end(self, threads: Sequence[_QueueThread]) -> None:
        for thread in threads:
            thread.ask_to_end()
        ends_s = time.monotonic() + JOIN_TIMEOUT_S
        left = [thread.name for thread in threads if not thread.join(max(0.0, ends_s - time.monotonic()))]
        self._stragglers += tuple(left)

    def _report_losses(self) -> None:
        """The last notice of a session that was not whole: what is missing from its records."""
        stats = self.stats
        counted = (
            (self._pipeline.dropped_frames, "AudioFrames on the way here"),
            (stats.microphone_frames_dropped, "AudioFrames that nobody had time for"),
            (stats.world_events_dropped, "events of the frame"),
            (stats.notices_dropped, "notices to whoever shows or records them"),
        )
        lost = ", ".join(f"{count} {what}" for count, what in counted if count)
        said = [f"Lost in this session: {lost}."] if lost else []
        if stats.stragglers:
            said.append(f"Still busy at its end: {', '.join(stats.stragglers)}.")
        if said:
            self._notify(Problem("link", " ".join(said), "lorgnette doctor"))


class _QueueThread(ABC):
    """A daemon thread that takes items from a bounded queue until it is asked to end."""

    def __init__(self, name: str, bound: int) -> None:
        self.name = name
        self._bound = bound
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()  # bounded by `_put`; the end always fits
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_end(self) -> None:
        """After what is queued already."""
        self._items.put(None)

    def join(self, timeout_s: float) -> bool:
        """True when the thread has ended, or never began."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _put(self, item: EngineEffect | Notice) -> bool:
        if self._items.qsize() >= self._bound:
            return False
        self._items.put(item)
        return True

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            self._take(item)

    @abstractmethod
    def _take(self, item: Any) -> None: ...


class _EngineWorker(_QueueThread):
    """One engine's thread. Jobs of a cancelled turn are skipped, and their results are no longer delivered."""

    def __init__(
        self,
        stage: Stage,
        engines: Engines,
        inbox: queue.SimpleQueue[tuple[Event, threading.Semaphore | None]],
        result_slots: threading.Semaphore,
    ) -> None:
        super().__init__(f"{stage} engine", ENGINE_JOBS)
        self._stage = stage
        self._engines = engines
        self._inbox = inbox
        self._result_slots = result_slots
        self._cancelled_turn_id = 0  # this one and all before it; written by the turn thread only
        self._ending = False
        self._lock = threading.Lock()
        self._reply: tuple[int, ReplyStream] | None = None  # under way, and its turn

    def submit(self, effect: EngineEffect) -> None:
        if not self._put(effect):
            error = EngineError(self._stage, f"The {self.name} has too much to do.")
            self._inbox.put((EngineFailed(effect.turn_id, error), None))

    def cancel(self, turn_id: int) -> None:
        self._cancelled_turn_id = max(self._cancelled_turn_id, turn_id)
        self._close_unwanted_reply()

    def ask_to_end(self) -> None:
        self._ending = True
        self._close_unwanted_reply()
        super().ask_to_end()

    def _take(self, item: EngineEffect) -> None:
        if self._dropped(item.turn_id):
            return
        try:
            with closing(call_engine(self._engines, item, lambda reply: self._begin_reply(item, reply))) as events:
                for event in events:
                    if not self._deliver(event, item):
                        break
        finally:
            with self._lock:
                self._reply = None

    def _begin_reply(self, job: EngineEffect, reply: ReplyStream) -> None:
        with self._lock:
            self._reply = (job.turn_id, reply)
        self._close_unwanted_reply()  # it may have been cancelled just before

    def _close_unwanted_reply(self) -> None:
        """Wake this thread out of waiting for a model whose answer nobody wants: the next question is not to wait."""
        with self._lock:
            reply = self._reply[1] if self._reply is not None and self._dropped(self._reply[0]) else None
        if reply is not None:
            with suppress(ValueError):  # a generator at work cannot be closed from outside; its next piece is its last
                reply.close()

    def _dropped(self, turn_id: int) -> bool:
        return self._ending or turn_id <= self._cancelled_turn_id

    def _deliver(self, event: Event, job: EngineEffect) -> bool:
        """False once the job is not wanted any more."""
        while not self._dropped(job.turn_id):
            if self._result_slots.acquire(timeout=RESULT_WAIT_S):
                self._inbox.put((event, self._result_slots))
                return True
        return False


class _ObserverThread(_QueueThread):
    """One observer's thread and its queue. What is queued at the end is still observed: records are whole."""

    def __init__(self, observer: Observer) -> None:
        super().__init__(f"observer {getattr(observer, '__qualname__', type(observer).__name__)}", OBSERVER_NOTICES)
        self.dropped = 0
        self._observer = observer

    def observe(self, notice: Notice) -> None:
        if not self._put(notice):
            self.dropped += 1

    def _take(self, item: Notice) -> None:
        try:
            self._observer(item)
        except Exception:
            logger.exception("%s raised", self.name)
