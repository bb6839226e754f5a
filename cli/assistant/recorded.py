"""A pipeline that tells of every step what went in and what came out, and one that takes its steps from such a record.

A step depends on nothing but its event, its time, what the voice activity model said meanwhile and what the wall clock
showed: with these four the same effects come again, without any model. Knows no file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from .engines.protocols import EngineInfo, VoiceActivity
from .events import Effect, Event
from .pipeline import Pipeline, PipelineSettings


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a pipeline.

    Attributes:
        now_s: the driver's clock.
        event: None for the start.
        probabilities: of speech, as the model gave them during this step.
        moments: what the wall clock showed, each time that it was looked at.
        effects: what came of it.
        raised: the class of the error that ended it instead.
        interrupted: the error came from outside (Ctrl-C), at a place that no record names.
    """

    now_s: float
    event: Event | None
    probabilities: tuple[float, ...] = ()
    moments: tuple[datetime, ...] = ()
    effects: tuple[Effect, ...] = ()
    raised: str = ""
    interrupted: bool = False


class RecordedPipeline(Pipeline):
    """A pipeline whose steps are told to `on_step`, before anybody carries out their effects."""

    def __init__(
        self,
        settings: PipelineSettings,
        vad: VoiceActivity | None,
        on_step: Callable[[Step], None],
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._on_step = on_step
        self._wall_clock = clock
        self._probabilities: list[float] = []
        self._moments: list[datetime] = []
        listening = _RecordedVoiceActivity(vad, self._probabilities) if vad is not None else None
        super().__init__(settings, listening, self._look_at_the_clock)

    def start(self, now: float) -> list[Effect]:
        return self._told(None, now, lambda: super(RecordedPipeline, self).start(now))

    def step(self, event: Event, now: float) -> list[Effect]:
        return self._told(event, now, lambda: super(RecordedPipeline, self).step(event, now))

    def _told(self, event: Event | None, now: float, act: Callable[[], list[Effect]]) -> list[Effect]:
        self._probabilities.clear()
        self._moments.clear()
        try:
            effects = act()
        except BaseException as error:  # what a step could not bear is what one wants to see again
            outside = not isinstance(error, Exception)
            self._on_step(replace(self._taken(event, now), raised=type(error).__name__, interrupted=outside))
            raise
        self._on_step(replace(self._taken(event, now), effects=tuple(effects)))
        return effects

    def _taken(self, event: Event | None, now: float) -> Step:
        return Step(now, event, tuple(self._probabilities), tuple(self._moments))

    def _look_at_the_clock(self) -> datetime:
        moment = self._wall_clock()
        self._moments.append(moment)
        return moment


class _RecordedVoiceActivity:
    def __init__(self, vad: VoiceActivity, into: list[float]) -> None:
        self._vad = vad
        self._into = into

    @property
    def info(self) -> EngineInfo:
        return self._vad.info

    def speech_probability(self, pcm: bytes) -> float:
        probability = float(self._vad.speech_probability(pcm))
        self._into.append(probability)
        return probability

    def reset(self) -> None:
        self._vad.reset()


class Unscripted(Exception):
    """The pipeline asked for something that it did not ask for when it was recorded, or not for all of it."""


class ReplayedPipeline:
    """A fresh pipeline that takes recorded steps."""

    def __init__(self, settings: PipelineSettings) -> None:
        self._vad = _ScriptedVoiceActivity()
        self._moments: deque[datetime] = deque()
        self._pipeline = Pipeline(settings, self._vad if settings.listen else None, self._next_moment)

    def take(self, step: Step) -> list[Effect]:
        """Do it again; returns what came of it now. Raises Unscripted."""
        self._vad.script(step.probabilities)
        self._moments = deque(step.moments)
        pipeline = self._pipeline
        effects = pipeline.start(step.now_s) if step.event is None else pipeline.step(step.event, step.now_s)
        if self._vad.left or self._moments:
            raise Unscripted("it did not look at all that it looked at before")
        return effects

    def _next_moment(self) -> datetime:
        if not self._moments:
            raise Unscripted("it looked at the clock, which it did not do before")
        return self._moments.popleft()


class _ScriptedVoiceActivity:
    def __init__(self) -> None:
        self._script: deque[float] = deque()

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("vad", "recorded", "")

    @property
    def left(self) -> int:
        return len(self._script)

    def script(self, probabilities: Iterable[float]) -> None:
        self._script = deque(probabilities)

    def speech_probability(self, pcm: bytes) -> float:
        if not self._script:
            raise Unscripted("it listened to sound that it did not listen to before")
        return self._script.popleft()

    def reset(self) -> None:
        """What is scripted was said after every reset already."""
