"""Whole sessions in virtual time: exact moments, equal runs."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from tests.support.voice import ListedEar, ListedModel, MarkedVad, PhraseMatcher, ScriptedWorld, ToneVoice

from lorgnette.cli.assistant.endpointing import EndpointingSettings
from lorgnette.cli.assistant.engines.protocols import ChatMessage, EngineError, EngineInfo, Transcript
from lorgnette.cli.assistant.events import (
    ActFinished,
    ButtonPressed,
    FlushSpeaker,
    FrameLost,
    Intent,
    Notice,
    Play,
    Problem,
    ReplySpoken,
    SpeechStarted,
    StartCapture,
    StateChanged,
    StopCapture,
    TextEntered,
    TranscriptReady,
    TurnFinished,
)
from lorgnette.cli.assistant.pipeline import Pipeline, PipelineSettings
from lorgnette.cli.assistant.turn import TurnSettings
from lorgnette.cli.assistant.virtual import EngineCosts, Stalled, VirtualDriver
from lorgnette.cli.assistant.world import Engines

PHRASES = {
    "take a photo": Intent("TakePhoto"),
    "what time is it": Intent("GetTime"),
    "set a timer": Intent("SetTimer", {"seconds": 10}),
}
COSTS = EngineCosts(stt_s=0.25, understanding_s=0.0, tts_s=0.125, llm_first_s=0.5, llm_piece_s=0.25)
PHOTO = {"take_photo": {"size_bytes": 1234}}


class Session:
    """One run, and everything it told."""

    def __init__(
        self,
        world: ScriptedWorld,
        ear: ListedEar | None = None,
        model: ListedModel | None = None,
        settings: PipelineSettings | None = None,
        engines: Engines | None = None,
        costs: EngineCosts = COSTS,
    ) -> None:
        self.world = world
        self.told: list[tuple[float, Notice]] = []
        settings = settings or PipelineSettings(turn=TurnSettings(language_model=model is not None))
        pipeline = Pipeline(settings, MarkedVad(), lambda: datetime(2026, 3, 3, 15, 5))
        engines = engines or Engines(PhraseMatcher(PHRASES), ear or ListedEar(), ToneVoice(), model)
        self.driver = VirtualDriver(pipeline, world, engines, costs, [self.take])

    def take(self, notice: Notice) -> None:
        self.told.append((round(self.driver.now_s, 6), notice))

    def run(self, until_s: float = 3600.0) -> Session:
        self.driver.run(until_s)
        return self

    def of(self, kind: type) -> list[Any]:
        return [notice for _, notice in self.told if type(notice) is kind]

    def states(self) -> list[tuple[float, str]]:
        return [(when, notice.state) for when, notice in self.told if isinstance(notice, StateChanged)]


def test_one_turn_to_the_millisecond() -> None:
    world = ScriptedWorld([(1000, 2000)], ends_ms=5000, results=PHOTO)
    session = Session(world, ListedEar("take a photo")).run()
    # Speech ends at 2.0; silence of 0.6; the ear 0.25; the photo 0.05; the voice 0.125; the way to the speaker 0.08;
    # "I took a photo." is fifteen characters of 10 ms.
    assert session.states() == [
        (0.0, "listening"),
        (2.6, "transcribing"),
        (2.85, "thinking"),
        (2.9, "speaking"),
        (3.255, "listening"),
    ]
    (finished,) = session.of(TurnFinished)
    assert finished.stages_ms == {
        "endpointing": 600,
        "stt": 250,
        "understanding": 0,
        "act": 50,
        "tts": 125,
        "link": 80,
        "total": 1105,
    }
    assert finished.reply_start_sample == round(3.105 * 16_000)
    assert finished.reply_samples == 15 * 160
    assert session.of(SpeechStarted) == [SpeechStarted(16_000)]
    assert (world.effects(StartCapture), world.effects(StopCapture)) == ([StartCapture()], [StopCapture()])
    assert world.closed


def full_session() -> Session:
    world = ScriptedWorld([(1000, 2000), (5000, 5600), (9000, 9700)], ends_ms=25_000, results=PHOTO)
    ear = ListedEar("take a photo", Transcript("mumble", False), "set a timer")
    session = Session(world, ear, ListedModel("Yes, it is so. ", "I think."))
    session.driver.post_at(13.0, TextEntered("is it so"))
    session.driver.post_at(14.2, ButtonPressed("tap"))
    return session


def test_two_runs_tell_exactly_the_same() -> None:
    first, second = full_session().run(), full_session().run()
    assert first.told == second.told
    assert [repr(notice) for notice in first.told] == [repr(notice) for notice in second.told]
    assert first.world.executed == second.world.executed
    outcomes = [finished.outcome for finished in first.of(TurnFinished)]
    assert outcomes == ["answered", "rejected", "answered", "interrupted", "announced"]


def test_what_was_measured_is_beside_what_was_declared() -> None:
    session = full_session().run()
    calls = session.driver.measured
    assert [call.stage for call in calls].count("stt") == 3
    assert all(call.declared_s == pytest.approx(0.25) for call in calls if call.stage == "stt")
    (model,) = [call for call in calls if call.stage == "llm"]
    assert model.declared_s == pytest.approx(0.5 + 2 * 0.25)  # two pieces of text and the end
    assert all(call.measured_s > 0 for call in calls)


def test_the_voice_begins_before_the_model_ends() -> None:
    world = ScriptedWorld()
    session = Session(world, model=ListedModel("One. ", "Two. ", "Three."))
    session.driver.post_at(1.0, TextEntered("count"))
    session.run(until_s=10.0)
    spoken = [(when, notice.text) for when, notice in session.told if isinstance(notice, ReplySpoken)]
    assert spoken == [(1.5, "One."), (1.75, "Two."), (2.25, "Three.")]  # the last one only by the end of the text
    first_play = next(when for when, effect in world.executed if isinstance(effect, Play))
    assert first_play == 1.5 + 0.125


def test_a_tap_while_the_model_thinks_drops_what_it_would_have_said() -> None:
    session = Session(ScriptedWorld(), model=ListedModel("One. ", "Two."))
    session.driver.post_at(1.0, TextEntered("count"))
    session.driver.post_at(1.25, ButtonPressed("tap"))
    session.run(until_s=10.0)
    assert session.of(ReplySpoken) == []
    assert [finished.outcome for finished in session.of(TurnFinished)] == ["interrupted"]


def test_a_tap_while_speaking_flushes_the_speaker() -> None:
    world = ScriptedWorld(speech_ms=[(1000, 2000)], ends_ms=9000)
    session = Session(world, ListedEar("what time is it"))
    session.driver.post_at(3.2, ButtonPressed("tap", mic_sample=51_200))
    session.run()
    (finished,) = session.of(TurnFinished)
    assert finished.outcome == "interrupted"
    # It began at 2.6 + 0.25 + 0.125 + 0.08 = 3.055 s and was cut at 3.2 s.
    assert finished.reply_samples == round(0.145 * 16_000)
    assert world.effects(FlushSpeaker) == [FlushSpeaker(1)]


def test_a_recogniser_cannot_be_cancelled_and_keeps_the_next_utterance_waiting() -> None:
    world = ScriptedWorld(speech_ms=[(1000, 2000), (2860, 2960)], ends_ms=9000)
    settings = PipelineSettings(
        endpointing=EndpointingSettings(min_speech_ms=20, trailing_silence_ms=40, pre_roll_ms=0), guard_ms=0
    )
    session = Session(
        world, ListedEar("never wanted", "what time is it"), settings=settings, costs=EngineCosts(stt_s=2.0)
    )
    session.driver.post_at(2.5, ButtonPressed("tap"))
    session.run()
    # The first call runs from 2.04 to 4.04 although nobody wants it; the second begins only then.
    assert [(when, notice.transcript.text) for when, notice in session.told if isinstance(notice, TranscriptReady)] == [
        (6.04, "what time is it")
    ]


def test_a_timer_runs_out_in_virtual_time() -> None:
    session = Session(ScriptedWorld(), settings=PipelineSettings(turn=TurnSettings()))
    session.driver.post_at(1.0, TextEntered("set a timer"))
    session.run(until_s=20.0)
    spoken = [(when, notice.text) for when, notice in session.told if isinstance(notice, ReplySpoken)]
    assert spoken == [(1.0, "I set a timer for ten seconds."), (11.0, "Your timer for ten seconds is done.")]
    assert session.of(ActFinished)[0].name == "set_timer"


def test_a_lost_frame_ends_the_turn_and_the_session_goes_on() -> None:
    session = Session(ScriptedWorld([(1000, 2000)], ends_ms=5000), ListedEar("take a photo"))
    session.driver.post_at(2.7, FrameLost("The frame does not answer."))
    session.run()
    assert [(f.outcome, f.heard) for f in session.of(TurnFinished)] == [("failed", "take a photo")]


def test_the_end_of_the_allowed_time_stops_the_session() -> None:
    world = ScriptedWorld([(1000, 100_000)])
    session = Session(world).run(until_s=1.5)
    assert session.driver.now_s == 1.5
    assert isinstance(world.executed[-1][1], StopCapture)
    assert world.closed


class DeafWorld(ScriptedWorld):
    """Nothing ever happens here."""

    def next_deadline(self) -> float | None:  # type: ignore[override]
        return None

    def advance(self, now_s: float) -> None:
        pass


def test_a_session_in_which_nothing_can_happen_is_an_error_and_not_a_hang() -> None:
    world = DeafWorld()
    settings = PipelineSettings(microphone_silent_s=0.5)
    with pytest.raises(Stalled, match=r"in state listening at 0\.500 s"):
        Session(world, settings=settings).run()
    assert world.closed
    assert isinstance(world.executed[-1][1], StopCapture)


class FrozenWorld(DeafWorld):
    """Always says that something is due now."""

    def next_deadline(self) -> float | None:  # type: ignore[override]
        return 0.0


def test_a_clock_that_stands_still_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(Stalled, match=r"the clock stays at 0\.000 s"):
        Session(FrozenWorld()).run()


class BrokenModel:
    """Fails in the way that is asked for."""

    info = EngineInfo("llm", "broken", "-")

    def __init__(self, error: Exception) -> None:
        self._error = error

    def reply(self, messages: Sequence[ChatMessage]) -> Generator[str, None, None]:
        yield "It begins. "
        raise self._error


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (EngineError("chat", "The server said 500.", "try later"), Problem("llm", "The server said 500.", "try later")),
        (KeyError("choices"), Problem("llm", "KeyError: 'choices'", "lorgnette doctor")),
    ],
)
def test_an_engine_that_raises_fails_one_turn(error: Exception, problem: Problem) -> None:
    settings = PipelineSettings(turn=TurnSettings(language_model=True))
    engines = Engines(PhraseMatcher(), tts=ToneVoice(), llm=BrokenModel(error))
    session = Session(ScriptedWorld(), settings=settings, engines=engines)
    session.driver.post_at(1.0, TextEntered("x"))
    session.run(until_s=10.0)
    assert session.of(Problem) == [problem]
    assert [f.reply for f in session.of(TurnFinished)] == ["It begins. The language model failed."]


def test_an_engine_that_is_missing_is_named() -> None:
    world = ScriptedWorld([(1000, 2000)], ends_ms=5000)
    session = Session(world, engines=Engines(PhraseMatcher(), tts=ToneVoice())).run()
    assert session.of(Problem) == [Problem("stt", "No speech recognition is set up.", "lorgnette setup")]


def test_costs_of_every_stage() -> None:
    costs: Mapping[str, list[float]] = {
        stage: [COSTS.of(stage, piece) for piece in range(3)]  # type: ignore[arg-type]
        for stage in ("stt", "understanding", "tts", "llm")
    }
    assert costs == {
        "stt": [0.25, 0.0, 0.0],
        "understanding": [0.0, 0.0, 0.0],
        "tts": [0.125, 0.0, 0.0],
        "llm": [0.5, 0.25, 0.25],
    }
