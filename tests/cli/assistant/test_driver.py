"""The live driver with real threads. Nothing sleeps: tests wait for what happens, with a generous limit."""

from __future__ import annotations

import gc
import json
import os
import queue
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from typing import Any

import pytest
from tests.support.http import Handler, serving
from tests.support.voice import SPEECH, ListedEar, ListedModel, MarkedVad, PhraseMatcher, PromptWorld, ToneVoice

from lorgnette.cli.assistant import driver as driver_module
from lorgnette.cli.assistant.audio import FRAME_SAMPLES, AudioFrame
from lorgnette.cli.assistant.driver import MICROPHONE_FRAMES, OBSERVER_NOTICES, WORLD_EVENTS, LiveDriver, Observer
from lorgnette.cli.assistant.endpointing import EndpointingSettings
from lorgnette.cli.assistant.engines.chat_engine import ChatEngine
from lorgnette.cli.assistant.engines.protocols import ChatMessage, EngineInfo, Transcript
from lorgnette.cli.assistant.events import (
    ActFinished,
    ButtonPressed,
    Effect,
    Event,
    FlushSpeaker,
    Intent,
    MicrophoneEnded,
    MicrophoneHeard,
    Notice,
    Play,
    Problem,
    ReplySpoken,
    StartCapture,
    StateChanged,
    StopCapture,
    TextEntered,
    Tick,
    TurnFinished,
)
from lorgnette.cli.assistant.pipeline import Pipeline, PipelineSettings
from lorgnette.cli.assistant.turn import TurnSettings
from lorgnette.cli.assistant.world import Engines, WorldEffect

LIMIT_S = 30.0  # how long a test waits for what must come; reached only when it fails
PHRASES = {"take a photo": Intent("TakePhoto"), "what time is it": Intent("GetTime")}


class Notices:
    """An observer that lets the test wait for a notice."""

    def __init__(self) -> None:
        self.all: list[Notice] = []
        self._queue: queue.Queue[Notice] = queue.Queue()

    def __call__(self, notice: Notice) -> None:
        self.all.append(notice)
        self._queue.put(notice)

    def wait_for(self, kind: type, matches: Callable[[Any], bool] = lambda notice: True) -> Any:
        """The next notice of this kind, in the order in which they came."""
        while True:
            notice = self._queue.get(timeout=LIMIT_S)
            if type(notice) is kind and matches(notice):
                return notice

    def of(self, kind: type) -> list[Any]:
        return [notice for notice in self.all if type(notice) is kind]


class Session:
    """A driver that runs on a thread of its own."""

    def __init__(self, world: PromptWorld, engines: Engines, *observers: Observer) -> None:
        settings = PipelineSettings(
            endpointing=EndpointingSettings(min_speech_ms=60, trailing_silence_ms=100, pre_roll_ms=40),
            turn=TurnSettings(language_model=engines.llm is not None),
            guard_ms=0,
        )
        self.world = world
        self.notices = Notices()
        pipeline = Pipeline(settings, MarkedVad(), lambda: datetime(2026, 3, 3, 15, 5))
        self.driver = LiveDriver(pipeline, world, engines, [self.notices, *observers])
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.driver.run()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Session:
        self._thread.start()
        assert self.world.started.wait(LIMIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.stop()
        self.join()

    def join(self) -> None:
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()


def test_spoken_turns_from_end_to_end() -> None:
    world = PromptWorld({"take_photo": {"size_bytes": 7}})
    engines = Engines(PhraseMatcher(PHRASES), ListedEar("take a photo", "what time is it"), ToneVoice())
    with Session(world, engines) as session:
        number = world.say(10, 10)
        first = session.notices.wait_for(TurnFinished)
        session.notices.wait_for(StateChanged, lambda notice: notice.state == "listening")
        world.say(10, 10, from_frame=number)
        second = session.notices.wait_for(TurnFinished)
        session.notices.wait_for(StateChanged, lambda notice: notice.state == "listening")
        world.post(MicrophoneEnded())
        session.join()
    assert session.error is None
    assert (first.heard, first.reply, first.outcome) == ("take a photo", "I took a photo.", "answered")
    assert (second.heard, second.reply) == ("what time is it", "It is three oh five PM.")
    assert set(second.stages_ms) == {"endpointing", "stt", "understanding", "tts", "link", "total"}
    assert session.notices.of(ActFinished)[0].result == {"size_bytes": 7}
    assert world.executed[0] == StartCapture()
    assert world.executed[-1] == StopCapture()
    assert world.closed
    assert session.driver.stats.stragglers == ()


def played(world: PromptWorld, turn_id: int) -> bytes:
    return b"".join(effect.pcm for effect in world.executed if isinstance(effect, Play) and effect.turn_id == turn_id)


class GatedEngine:
    """Recogniser and model in one that say when they were called, and go on when they are let."""

    info = EngineInfo("stt", "gated", "-")

    def __init__(self) -> None:
        self.called = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.closed = threading.Event()

    def _wait(self) -> None:
        self.called.release()
        assert self.gate.acquire(timeout=LIMIT_S)

    def transcribe(self, pcm: bytes) -> Transcript:
        self._wait()
        return Transcript("what time is it", True)

    def reply(self, messages: Sequence[ChatMessage]) -> Generator[str, None, None]:
        try:
            while True:
                self._wait()
                yield "Word. "
        finally:
            self.closed.set()


def test_the_result_of_a_cancelled_call_is_never_delivered() -> None:
    engine, world = GatedEngine(), PromptWorld()
    with Session(world, Engines(PhraseMatcher(PHRASES), engine, ToneVoice())) as session:
        number = world.say(10, 10)
        assert engine.called.acquire(timeout=LIMIT_S)
        world.post(ButtonPressed("tap"))
        assert session.notices.wait_for(TurnFinished).outcome == "interrupted"
        engine.gate.release()  # the first call comes back now, and nobody wants it
        world.say(10, 10, from_frame=number)
        assert engine.called.acquire(timeout=LIMIT_S)
        engine.gate.release()
        finished = session.notices.wait_for(TurnFinished)
        assert (finished.turn_id, finished.outcome) == (2, "answered")


def test_a_stream_of_a_cancelled_turn_is_closed() -> None:
    engine, world = GatedEngine(), PromptWorld()
    with Session(world, Engines(PhraseMatcher(), None, ToneVoice(), engine)) as session:
        world.post(TextEntered("tell me a story"))
        for _ in range(3):
            assert engine.called.acquire(timeout=LIMIT_S)
            engine.gate.release()
        session.notices.wait_for(ReplySpoken)
        world.post(ButtonPressed("tap"))
        session.notices.wait_for(TurnFinished)
        engine.gate.release(10)
        assert engine.closed.wait(LIMIT_S)
    assert FlushSpeaker(1) in world.executed or not played(world, 1)


def chat_event(content: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": content}}]}).encode() + b"\n\n"


class TalkingServer:
    """A model server: to a question with "story" in it, it talks until its client goes; to the others, one sentence."""

    def __init__(self, first: bytes) -> None:
        self._first = first  # said at once to who asked for a story
        self.asked = threading.Semaphore(0)

    def __call__(self, handler: Handler) -> None:
        story = "story" in json.loads(handler.server.asked[-1].body)["messages"][-1]["content"]
        handler.begin_stream()
        handler.chunk(self._first if story else chat_event("Here I am.") + b"data: [DONE]\n\n")
        self.asked.release()
        if not story:
            handler.chunk(b"")
        elif handler.rfile.read(1) == b"":  # waits, silent, until the client has gone
            raise ConnectionResetError


@pytest.mark.parametrize(
    "first", [b": thinking\n\n", chat_event("Once upon a time. There was")], ids=["silent", "begun"]
)
def test_barge_in_reaches_a_model_that_is_waited_for(first: bytes) -> None:
    answer, world = TalkingServer(first), PromptWorld()
    with serving(answer) as server:
        model = ChatEngine(server.url, "m")
        with Session(world, Engines(PhraseMatcher(), None, ToneVoice(), model)) as session:
            world.post(TextEntered("tell me a story"))
            assert answer.asked.acquire(timeout=LIMIT_S)
            if b"Once" in first:
                session.notices.wait_for(ReplySpoken)
            world.post(ButtonPressed("tap"))
            assert session.notices.wait_for(TurnFinished).outcome == "interrupted"
            world.post(TextEntered("are you there"))
            assert session.notices.wait_for(TurnFinished).reply == "Here I am."
            assert server.hung_up.wait(LIMIT_S)


def test_the_end_of_a_session_reaches_a_model_that_is_waited_for() -> None:
    answer, world = TalkingServer(b": thinking\n\n"), PromptWorld()
    with serving(answer) as server:
        model = ChatEngine(server.url, "m")
        with Session(world, Engines(PhraseMatcher(), None, ToneVoice(), model)) as session:
            world.post(TextEntered("tell me a story"))
            assert answer.asked.acquire(timeout=LIMIT_S)
        assert server.hung_up.wait(LIMIT_S)
    assert session.driver.stats.stragglers == ()


def test_a_reply_that_is_cut_off_is_closed_and_not_left_to_the_garbage_collector() -> None:
    """The server of a reply that was long enough talks on to nobody until the connection is closed."""
    answer, world = TalkingServer(chat_event("Word. " * 60)), PromptWorld()
    gc.disable()
    try:
        with serving(answer) as server:
            model = ChatEngine(server.url, "m")
            with Session(world, Engines(PhraseMatcher(), None, ToneVoice(), model)) as session:
                world.post(TextEntered("tell me a story"))
                assert session.notices.wait_for(TurnFinished).outcome == "answered"
                assert server.hung_up.wait(LIMIT_S)
    finally:
        gc.enable()


def test_the_model_s_connections_are_closed_at_the_end() -> None:
    closed = threading.Event()

    class ClosableModel(ListedModel):
        def close(self) -> None:
            closed.set()

    world = PromptWorld()
    with Session(world, Engines(PhraseMatcher(), None, ToneVoice(), ClosableModel("Yes."))):
        assert not closed.is_set()
    assert closed.is_set()


def test_sound_that_nobody_has_time_for_is_dropped_and_counted_and_never_blocks() -> None:
    engine, world = GatedEngine(), PromptWorld()

    class BusyVad(MarkedVad):
        """Holds the turn thread at the first frame."""

        def __init__(self) -> None:
            super().__init__()
            self.entered, self.leave = threading.Event(), threading.Event()

        def speech_probability(self, pcm: bytes) -> float:
            self.entered.set()
            assert self.leave.wait(LIMIT_S)
            return super().speech_probability(pcm)

    vad = BusyVad()
    notices = Notices()
    driver = LiveDriver(
        Pipeline(PipelineSettings(), vad), world, Engines(PhraseMatcher(), engine, ToneVoice()), [notices]
    )
    thread = threading.Thread(target=driver.run)
    thread.start()
    assert world.started.wait(LIMIT_S)
    world.post(MicrophoneHeard(AudioFrame(0, SPEECH)))
    assert vad.entered.wait(LIMIT_S)  # the turn thread is busy, its queue is empty
    for number in range(1, MICROPHONE_FRAMES + 11):
        world.post(MicrophoneHeard(AudioFrame(number * FRAME_SAMPLES, SPEECH)))
    for _ in range(WORLD_EVENTS + 5):
        world.post(ButtonPressed("tap"))
    assert driver.stats.microphone_frames_dropped == 10
    assert driver.stats.world_events_dropped == 5
    vad.leave.set()
    assert "10 AudioFrames of the microphone were dropped" in notices.wait_for(Problem).message
    driver.stop()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    engine.gate.release()
    last = notices.of(Problem)[-1].message
    assert last == "Lost in this session: 10 AudioFrames that nobody had time for, 5 events of the frame."
    assert notices.all[-1] == notices.of(Problem)[-1]


@pytest.mark.parametrize(("lost", "said"), [(0, []), (3, ["Lost in this session: 3 AudioFrames on the way here."])])
def test_what_the_frame_lost_is_told_once_at_the_end(lost: int, said: list[str]) -> None:
    world = PromptWorld()
    with Session(world, Engines(PhraseMatcher(), ListedEar(), ToneVoice())) as session:
        world.post(MicrophoneHeard(AudioFrame(0, bytes(640))))
        world.post(MicrophoneHeard(AudioFrame((1 + lost) * FRAME_SAMPLES, bytes(640), dropped_frames=lost)))
        world.post(MicrophoneEnded())
        session.join()
    assert [problem.message for problem in session.notices.of(Problem)] == said


def test_an_observer_that_hangs_or_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hold = threading.Event()

    def hangs(notice: Notice) -> None:
        hold.wait(LIMIT_S)

    def raises(notice: Notice) -> None:
        raise RuntimeError("a bug of the observer")

    world = PromptWorld()
    with Session(world, Engines(PhraseMatcher(PHRASES), None, ToneVoice()), hangs, raises) as session:
        for _ in range(20):
            world.post(TextEntered("what time is it"))
        for _ in range(20):
            assert session.notices.wait_for(TurnFinished).outcome == "answered"
        hold.set()
    assert "a bug of the observer" in caplog.text
    assert session.driver.stats.notices_dropped == 0
    assert session.driver.stats.stragglers == ()


def test_an_observer_that_is_too_slow_loses_notices_and_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OBSERVER_NOTICES > 100
    monkeypatch.setattr(driver_module, "OBSERVER_NOTICES", 3)
    hold = threading.Event()

    def hangs(notice: Notice) -> None:
        hold.wait(LIMIT_S)

    pipeline = Pipeline(PipelineSettings(listen=False), None)
    world = PromptWorld()
    driver = LiveDriver(pipeline, world, Engines(PhraseMatcher(PHRASES), None, ToneVoice()), [hangs])
    monkeypatch.setattr(driver_module, "JOIN_TIMEOUT_S", 0.0)
    thread = threading.Thread(target=driver.run)
    thread.start()
    assert world.started.wait(LIMIT_S)
    world.post(TextEntered("what time is it"))
    world.post(MicrophoneEnded())
    thread.join(LIMIT_S)
    assert driver.stats.notices_dropped > 0
    assert any(name.startswith("observer ") and "hangs" in name for name in driver.stats.stragglers)
    hold.set()


def test_every_notice_before_the_end_is_observed_before_run_returns() -> None:
    seen: list[Notice] = []
    pipeline = Pipeline(PipelineSettings(listen=False), None)
    world = PromptWorld()
    driver = LiveDriver(pipeline, world, Engines(PhraseMatcher(PHRASES), None, ToneVoice()), [seen.append])
    thread = threading.Thread(target=driver.run)
    thread.start()
    assert world.started.wait(LIMIT_S)
    world.post(TextEntered("what time is it"))
    world.post(MicrophoneEnded())
    thread.join(LIMIT_S)
    assert isinstance(seen[-1], StateChanged)
    assert isinstance(seen[-2], TurnFinished)


def test_stop_in_the_middle_of_a_turn_stops_the_capture_and_keeps_what_was_heard() -> None:
    engine, world = GatedEngine(), PromptWorld()
    with Session(world, Engines(PhraseMatcher(), ListedEar("who is there"), ToneVoice(), engine)) as session:
        world.say(10, 10)
        assert engine.called.acquire(timeout=LIMIT_S)
        session.driver.stop()
        session.driver.stop()
        session.notices.wait_for(TurnFinished)
        engine.gate.release()
        session.join()
    (finished,) = session.notices.of(TurnFinished)
    assert (finished.outcome, finished.heard) == ("interrupted", "who is there")
    assert world.executed[-1] == StopCapture()
    assert world.closed
    assert session.driver.stats.stragglers == ()


def test_an_engine_that_does_not_come_back_does_not_keep_the_session_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "JOIN_TIMEOUT_S", 1.0)
    engine, world = GatedEngine(), PromptWorld()
    with Session(world, Engines(PhraseMatcher(), engine, ToneVoice())) as session:
        world.say(10, 10)
        assert engine.called.acquire(timeout=LIMIT_S)
    assert session.driver.stats.stragglers == ("stt engine",)
    assert [problem.message for problem in session.notices.of(Problem)] == ["Still busy at its end: stt engine."]
    engine.gate.release()


@pytest.mark.skipif(os.name != "posix", reason="sends itself a POSIX signal")
def test_stop_from_a_signal_handler() -> None:
    world = PromptWorld()
    pipeline = Pipeline(PipelineSettings(), MarkedVad())
    driver = LiveDriver(pipeline, world, Engines(PhraseMatcher(), ListedEar(), ToneVoice()))

    def send_when_started() -> None:
        assert world.started.wait(LIMIT_S)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: driver.stop())
    try:
        sender = threading.Thread(target=send_when_started)
        sender.start()
        driver.run()  # on the main thread, where handlers run
        sender.join(LIMIT_S)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert world.executed == [StartCapture(), StopCapture()]
    assert world.closed


def test_a_keyboard_interrupt_still_stops_the_capture() -> None:
    class InterruptedWorld(PromptWorld):
        def execute(self, effect: WorldEffect) -> None:
            super().execute(effect)
            if isinstance(effect, StartCapture):
                raise KeyboardInterrupt

    world = InterruptedWorld()
    driver = LiveDriver(
        Pipeline(PipelineSettings(), MarkedVad()), world, Engines(PhraseMatcher(), ListedEar(), ToneVoice())
    )
    with pytest.raises(KeyboardInterrupt):
        driver.run()
    assert world.executed == [StartCapture(), StopCapture()]
    assert world.closed


def test_a_world_that_does_not_start_leaves_no_thread() -> None:
    class BrokenWorld(PromptWorld):
        def start(self, post: Callable[[Any], None]) -> None:
            raise OSError("no such port")

    before = set(threading.enumerate())
    driver = LiveDriver(
        Pipeline(PipelineSettings(), MarkedVad()), BrokenWorld(), Engines(PhraseMatcher(), ListedEar(), ToneVoice())
    )
    with pytest.raises(OSError, match="no such port"):
        driver.run()
    assert set(threading.enumerate()) <= before


def test_what_waits_already_goes_before_an_overdue_tick_and_what_comes_later_does_not() -> None:
    """A computer that stood still for a while must not take the sound that it slept over for an end of the sound."""
    now = [0.0]
    taken: list[str] = []

    class RecordingPipeline(Pipeline):
        def step(self, event: Event, now: float) -> list[Effect]:
            taken.append(type(event).__name__)
            if isinstance(event, MicrophoneHeard):
                driver.post(ButtonPressed("tap"))  # each frame brings another event
            elif isinstance(event, Tick):
                driver.stop()
            return super().step(event, now)

        def next_deadline(self) -> float | None:
            return None if "Tick" in taken else 1.0

    world = PromptWorld()
    pipeline = RecordingPipeline(PipelineSettings(), MarkedVad())
    driver = LiveDriver(pipeline, world, Engines(PhraseMatcher()), clock=lambda: now[0])
    now[0] = 10.0
    for number in range(3):
        driver.post(MicrophoneHeard(AudioFrame(number * FRAME_SAMPLES, SPEECH)))
    driver.run()
    assert taken == ["MicrophoneHeard"] * 3 + ["Tick", "StopRequested"]


def test_a_long_reply_waits_for_the_turn_and_not_the_turn_for_it() -> None:
    text = "".join(f"Sentence number {number} is said. " for number in range(39))
    world = PromptWorld()
    with Session(world, Engines(PhraseMatcher(), None, ToneVoice(), ListedModel(*text))) as session:
        world.post(TextEntered("go on"))
        finished = session.notices.wait_for(TurnFinished)
    assert finished.outcome == "answered"
    assert finished.reply == text.strip()
    assert len(played(world, 1)) == finished.reply_samples * 2
