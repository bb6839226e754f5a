"""The pipeline: when it listens, what it does on the host itself, and how a session ends."""

from __future__ import annotations

from datetime import datetime

import pytest
from tests.support.voice import FRAME_MS, SILENCE, SPEECH, MarkedVad

from lorgnette.cli.assistant.audio import FRAME_SAMPLES, AudioFrame
from lorgnette.cli.assistant.endpointing import EndpointingSettings
from lorgnette.cli.assistant.engines.protocols import Transcript
from lorgnette.cli.assistant.events import (
    Act,
    ActDone,
    ActFinished,
    ButtonPressed,
    Effect,
    Event,
    FrameBack,
    FrameLost,
    Intent,
    MicrophoneEnded,
    MicrophoneHeard,
    Notice,
    Notify,
    PlaybackBegan,
    PlaybackFinished,
    Problem,
    SpeechMade,
    SpeechStarted,
    StartCapture,
    StateChanged,
    StopCapture,
    StopRequested,
    Synthesize,
    TextEntered,
    Tick,
    Transcribe,
    Transcribed,
    TurnFinished,
    Understood,
)
from lorgnette.cli.assistant.pipeline import SAY_IT_AGAIN, Pipeline, PipelineSettings
from lorgnette.cli.assistant.turn import TurnState

SETTINGS = PipelineSettings(
    endpointing=EndpointingSettings(min_speech_ms=60, trailing_silence_ms=100, pre_roll_ms=40), guard_ms=60
)


class Bench:
    """A pipeline with a microphone: host time runs with the sample clock."""

    def __init__(self, settings: PipelineSettings = SETTINGS) -> None:
        self.vad = MarkedVad()
        self.pipeline = Pipeline(settings, self.vad, lambda: datetime(2026, 3, 3, 15, 5))
        self.now = 0.0
        self.number = 0
        self.effects: list[Effect] = self.pipeline.start(self.now)

    def send(self, event: Event, after_s: float = 0.0) -> list[Effect]:
        self.now += after_s
        effects = self.pipeline.step(event, self.now)
        self.effects += effects
        return effects

    def hear(self, track: str) -> list[Effect]:
        """'#' speech, '.' silence, ' ' a lost frame."""
        effects: list[Effect] = []
        for character in track:
            if character != " ":
                pcm = SPEECH if character == "#" else SILENCE
                effects += self.send(MicrophoneHeard(AudioFrame(self.number * FRAME_SAMPLES, pcm)), FRAME_MS / 1000)
            self.number += 1
        return effects

    def of(self, kind: type) -> list[Effect]:
        return [effect for effect in self.effects if type(effect) is kind]

    def notices(self, kind: type) -> list[Notice]:
        return [e.notice for e in self.effects if isinstance(e, Notify) and type(e.notice) is kind]

    def ask(self, text: str, intent: Intent | None) -> None:
        """One turn by text, up to the reply's sentences."""
        self.send(TextEntered(text))
        self.send(Understood(self.turn_id(), intent))

    def turn_id(self) -> int:
        return max(getattr(effect, "turn_id", 0) for effect in self.effects)

    def speak_out(self) -> None:
        while self.pipeline.state is TurnState.SPEAKING:
            turn_id = self.turn_id()
            for _ in self.of(Synthesize):
                self.send(SpeechMade(turn_id, b"\1\0" * 160, last=True))
            self.send(PlaybackBegan(turn_id, self.number * FRAME_SAMPLES, 0))
            self.send(PlaybackFinished(turn_id, 160))


def test_a_session_opens_with_the_capture() -> None:
    assert Bench().effects == [StartCapture(), Notify(StateChanged("listening"))]


def test_an_utterance_becomes_a_turn() -> None:
    bench = Bench()
    effects = bench.hear("....####.....")
    assert effects[0] == Notify(SpeechStarted(4 * FRAME_SAMPLES))
    (transcribe,) = [effect for effect in effects if isinstance(effect, Transcribe)]
    assert transcribe.pcm == SILENCE * 2 + SPEECH * 4 + SILENCE * 5
    assert bench.pipeline.state is TurnState.TRANSCRIBING


def test_while_a_turn_runs_nothing_is_heard_and_afterwards_not_before_the_guard() -> None:
    bench = Bench()
    bench.hear("####.....")
    bench.send(Transcribed(1, Transcript("what time is it", True)))
    bench.send(Understood(1, Intent("GetTime")))
    resets = bench.vad.resets
    assert bench.hear("##########..........") == []  # the assistant's own voice, or the user's: not listened to
    bench.speak_out()
    assert bench.pipeline.state is TurnState.LISTENING
    assert bench.vad.resets == resets + 1
    assert bench.hear("###") == []  # the guard: three frames
    assert bench.hear("###......") != []
    (_, transcribe) = bench.of(Transcribe)
    assert isinstance(transcribe, Transcribe)
    assert transcribe.pcm == SPEECH * 3 + SILENCE * 5  # and no pre-roll from before the guard's end


def test_a_tap_gives_the_ear_back_to_the_user() -> None:
    bench = Bench()
    bench.ask("what time is it", Intent("GetTime"))
    bench.send(ButtonPressed("tap"))
    assert bench.hear("...####.....")[-1:] == bench.of(Transcribe)[-1:]


# ---------------------------------------------------------------- acts
def test_acts_of_the_frame_go_out_and_acts_of_the_host_are_done_at_once() -> None:
    bench = Bench()
    bench.ask("take a photo", Intent("TakePhoto"))
    assert bench.of(Act) == [Act(1, "take_photo")]
    bench.send(ActDone(1, {"size_bytes": 10}))
    bench.speak_out()
    bench.ask("timer", Intent("SetTimer", {"seconds": 60}))
    assert len(bench.of(Act)) == 1
    assert bench.notices(ActFinished)[-1] == ActFinished(2, "set_timer", {"seconds": 60}, {"seconds": 60, "running": 1})
    assert bench.of(Synthesize)[-1] == Synthesize(2, "I set a timer for one minute.")


def test_a_timer_that_runs_out_is_announced_when_nobody_speaks() -> None:
    bench = Bench()
    bench.ask("timer", Intent("SetTimer", {"seconds": 60}))
    bench.speak_out()
    bench.hear(".")
    bench.now = 59.9
    bench.send(Tick())  # no sound for so long, but no timer yet
    assert bench.pipeline.next_deadline() == 60.0
    assert bench.send(Tick()) == []
    bench.hear("...####")  # after the guard, the user begins to speak
    assert bench.send(Tick()) == []
    bench.hear(".....")
    bench.send(Transcribed(2, Transcript("", False)))
    bench.speak_out()
    assert [effect.text for effect in bench.of(Synthesize)] == [  # type: ignore[attr-defined]
        "I set a timer for one minute.",
        "I did not catch that.",
        "Your timer for one minute is done.",
    ]


# ---------------------------------------------------------------- the end
def test_the_session_ends_after_the_last_turn_of_a_finite_source() -> None:
    bench = Bench()
    bench.hear("....####")
    effects = bench.send(MicrophoneEnded())
    assert isinstance(effects[-1], Transcribe)  # what was heard so far is an utterance
    bench.send(Transcribed(1, Transcript("what time is it", True)))
    bench.send(Understood(1, Intent("GetTime")))
    assert not bench.pipeline.finished
    bench.speak_out()
    assert bench.pipeline.finished
    assert bench.effects[-1] == StopCapture()
    assert bench.pipeline.next_deadline() is None
    assert bench.send(TextEntered("more")) == []


def test_a_source_that_ends_in_silence_ends_the_session_at_once() -> None:
    bench = Bench()
    bench.hear("....##")
    assert bench.send(MicrophoneEnded()) == [StopCapture()]
    assert bench.pipeline.finished


def test_texts_that_wait_are_answered_before_the_end() -> None:
    bench = Bench(PipelineSettings(listen=False))
    assert bench.effects == [Notify(StateChanged("listening"))]
    bench.send(TextEntered("a"))
    bench.send(TextEntered("b"))
    bench.send(MicrophoneEnded())
    for turn_id in (1, 2):
        assert not bench.pipeline.finished
        bench.send(Understood(turn_id, Intent("GetTime")))
        bench.speak_out()
    assert bench.pipeline.finished
    assert bench.of(StopCapture) == []  # there was no capture


@pytest.mark.parametrize("track", ["....", "....###", "####....."])
def test_stop_ends_in_any_state_with_the_capture_off(track: str) -> None:
    bench = Bench()
    bench.hear(track)
    assert bench.send(StopRequested())[-1] == StopCapture()
    assert bench.pipeline.finished


def test_a_stopped_turn_is_on_record() -> None:
    bench = Bench()
    bench.hear("####.....")
    bench.send(Transcribed(1, Transcript("take a photo", True)))
    bench.send(StopRequested())
    (finished,) = bench.notices(TurnFinished)
    assert isinstance(finished, TurnFinished)
    assert (finished.outcome, finished.heard) == ("interrupted", "take a photo")


# ---------------------------------------------------------------- a frame that goes and comes
def dropped(why: str) -> Notify:
    return Notify(Problem("link", f"{why} while you spoke: what you said was dropped.", SAY_IT_AGAIN))


def test_speech_under_way_when_the_frame_goes_is_dropped_and_so_is_its_rest() -> None:
    bench = Bench()
    bench.hear("..######")
    assert bench.send(FrameLost("The frame does not answer.")) == [
        Notify(Problem("link", "The frame does not answer.", "lorgnette doctor")),
        dropped("The frame went away"),
    ]
    assert bench.send(FrameBack(), after_s=0.4) == [StartCapture()]
    bench.number = 0  # it has booted
    assert bench.hear("######.....") == []  # still the same sentence
    assert isinstance(bench.hear("####.....")[-1], Transcribe)


def test_a_frame_that_goes_in_silence_drops_nothing() -> None:
    bench = Bench()
    bench.hear("..##")
    assert len(bench.send(FrameLost("gone"))) == 1
    bench.send(FrameBack())
    bench.number = 0
    resets = bench.vad.resets
    assert resets == 1  # what the model heard of the frame before is none of this
    assert isinstance(bench.hear("####.....")[-1], Transcribe)


def test_what_was_said_before_a_reset_is_not_done_after_it_and_the_next_sentence_is_heard_at_once() -> None:
    bench = Bench()
    bench.hear("." * 100 + "####.....")
    bench.send(FrameLost("gone"))
    bench.send(FrameBack())
    assert bench.send(Transcribed(1, Transcript("take a photo", True)))[-1] == Notify(StateChanged("listening"))
    assert [notice.outcome for notice in bench.notices(TurnFinished)] == ["failed"]  # type: ignore[union-attr]
    bench.number = 0  # the guard does not count from where the clock was before
    assert isinstance(bench.hear("...####.....")[-1], Transcribe)


def test_a_frame_that_comes_back_is_asked_for_its_microphone_and_heard_from_any_sample_on() -> None:
    bench = Bench()
    bench.hear("." * 100)
    bench.ask("x", Intent("GetTime"))
    bench.speak_out()  # the guard ends at a sample that the frame will not reach again for two seconds
    bench.send(FrameLost("gone"))
    assert bench.hear("####.....") == []
    assert StartCapture() in bench.send(FrameBack())
    bench.number = 0  # it has booted
    assert isinstance(bench.hear("####.....")[-1], Transcribe)


def test_no_capture_after_the_end_of_the_source() -> None:
    bench = Bench()
    bench.ask("x", Intent("GetTime"))
    bench.send(MicrophoneEnded())
    assert bench.send(FrameBack()) == []


def test_a_lost_frame_does_not_keep_a_finite_session_open() -> None:
    bench = Bench()
    bench.send(FrameLost("gone"))
    bench.send(TextEntered("waits for the frame"))
    bench.send(MicrophoneEnded())
    assert bench.pipeline.finished


# ---------------------------------------------------------------- a microphone that falters
def test_lost_frames_are_counted_and_read_as_silence() -> None:
    bench = Bench()
    bench.hear("####  #")
    bench.send(MicrophoneHeard(AudioFrame(bench.number * FRAME_SAMPLES, SILENCE, dropped_frames=3)))
    bench.number += 1
    bench.hear("....")
    (transcribe,) = bench.of(Transcribe)
    assert isinstance(transcribe, Transcribe)
    assert transcribe.pcm == SPEECH * 4 + SILENCE * 2 + SPEECH + SILENCE * 5
    assert bench.pipeline.dropped_frames == 3


def test_a_sentence_with_a_long_hole_is_dropped_and_so_is_what_follows_the_hole() -> None:
    bench = Bench(
        PipelineSettings(endpointing=EndpointingSettings(min_speech_ms=20, trailing_silence_ms=40, pre_roll_ms=0))
    )
    bench.hear("##     #")
    assert bench.effects[2:] == [Notify(SpeechStarted(0)), dropped("Sound was lost")]
    assert bench.send(StopRequested())[-1] == StopCapture()


def test_speech_whose_sound_stops_coming_is_dropped_and_told() -> None:
    bench = Bench()
    bench.hear("####")
    assert bench.pipeline.next_deadline() == pytest.approx(bench.now + 1.0)
    assert bench.send(Tick(), after_s=0.99) == []
    assert bench.send(Tick(), after_s=0.02) == [dropped("Sound stopped coming")]
    assert bench.hear("####.....") == []  # the same sentence, late
    assert isinstance(bench.hear("####.....")[-1], Transcribe)


def test_what_waited_for_the_speaker_to_finish_begins_when_the_sound_stops() -> None:
    bench = Bench()
    bench.hear("####")
    assert bench.send(TextEntered("what time is it")) == []
    assert Notify(StateChanged("thinking")) in bench.send(Tick(), after_s=1.0)


def test_a_microphone_that_brings_nothing_is_reported_once() -> None:
    bench = Bench()
    bench.hear("....")
    assert bench.pipeline.next_deadline() == pytest.approx(bench.now + 5.0)
    assert bench.send(Tick(), after_s=4.99) == []
    assert bench.send(Tick(), after_s=0.02) == [
        Notify(Problem("link", "No sound comes from the microphone.", "lorgnette doctor"))
    ]
    assert bench.pipeline.next_deadline() is None
    assert bench.send(Tick(), after_s=60) == []
    bench.hear(".")
    assert bench.pipeline.next_deadline() == pytest.approx(bench.now + 5.0)
    bench.send(FrameLost("gone"))
    assert bench.pipeline.next_deadline() is None


def test_a_pipeline_that_listens_needs_a_vad() -> None:
    with pytest.raises(ValueError, match="voice activity"):
        Pipeline(PipelineSettings(), None)
    Pipeline(PipelineSettings(listen=False), None)
