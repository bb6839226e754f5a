"""The turn's table, row by row, and the stories that the rows make together."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.cli.assistant.conversation import Conversation
from lorgnette.cli.assistant.endpointing import UtteranceEnded
from lorgnette.cli.assistant.engines.protocols import EngineError, Transcript
from lorgnette.cli.assistant.events import (
    Act,
    ActDone,
    ActFinished,
    ButtonPressed,
    Cancel,
    Effect,
    EngineFailed,
    Event,
    FlushSpeaker,
    FrameBack,
    FrameLost,
    Intent,
    MicrophoneEnded,
    MicrophoneHeard,
    Notify,
    Play,
    PlaybackBegan,
    PlaybackFinished,
    Problem,
    ReplySpoken,
    ReplyText,
    SpeechMade,
    StateChanged,
    StopRequested,
    Synthesize,
    TextEntered,
    Think,
    Tick,
    TimerDue,
    Transcribed,
    TranscriptReady,
    TurnFinished,
    Understand,
    Understood,
)
from lorgnette.cli.assistant.tools.builtin import NO_ANSWER
from lorgnette.cli.assistant.turn import (
    NOT_CAUGHT,
    NOT_DONE,
    NOTHING_TO_REPEAT,
    TABLE,
    TurnMachine,
    TurnSettings,
    TurnState,
)

UTTERANCE = UtteranceEnded(1000, 20_000, 5800, 10_400, b"\1\0" * 19_000)
HEARD = Transcribed(1, Transcript("take a photo", True))
AUDIO = b"\1\0" * 1600  # 100 ms
PAUSE_SAMPLES = 2400  # 150 ms between sentences
LISTENING, TRANSCRIBING, THINKING, SPEAKING = TurnState


def brief(effect: Effect) -> str:
    """One effect in a few readable words."""
    match effect:
        case Notify(StateChanged(state)):
            return f"[{state}]"
        case Notify(TranscriptReady()):
            return "heard"
        case Notify(ActFinished(_, name, _, _, error)):
            return f"did {name}{': ' + error if error else ''}"
        case Notify(ReplySpoken(_, text)):
            return f"says {text}"
        case Notify(Problem(stage)):
            return f"problem {stage}"
        case Notify(TurnFinished(_, outcome)):
            return f"finished {outcome}"
        case Play(_, pcm, last):
            return f"play {len(pcm) // 2}{' last' if last else ''}"
        case Cancel(_, stage):
            return f"cancel {stage or 'all'}"
        case Synthesize(_, text):
            return f"synthesize {text}"
        case Act(_, name):
            return f"act {name}"
    return type(effect).__name__


class Bench:
    """A machine, its clock, and the effects so far."""

    def __init__(self, **settings: object) -> None:
        self.now = 100.0
        self.conversation = Conversation()
        self.machine = TurnMachine(
            TurnSettings(**settings),  # type: ignore[arg-type]
            self.conversation,
            lambda: datetime(2026, 3, 3, 15, 5),
        )
        self.effects: list[Effect] = []

    def send(self, event: Event | UtteranceEnded, after_s: float = 0.0) -> list[str]:
        self.now += after_s
        effects = self.machine.handle(event, self.now)
        self.effects += effects
        return [brief(effect) for effect in effects]

    def finished(self) -> TurnFinished:
        """The last turn that ended."""
        return [e.notice for e in self.effects if isinstance(e, Notify) and isinstance(e.notice, TurnFinished)][-1]

    def problems(self) -> list[Problem]:
        return [e.notice for e in self.effects if isinstance(e, Notify) and isinstance(e.notice, Problem)]

    def said(self) -> list[str]:
        return [e.text for e in self.effects if isinstance(e, Synthesize)]

    def at(self, state: TurnState) -> Bench:
        """Brought there by speech; in THINKING the templates are asked; in SPEAKING one sentence is with the voice."""
        if state is not LISTENING:
            self.send(UTTERANCE)
        if state in (THINKING, SPEAKING):
            self.send(HEARD)
        if state is SPEAKING:
            self.send(Understood(1, Intent("GetTime")))
        assert self.machine.state is state
        return self

    def speak_out(self) -> None:
        """Let the voice make every sentence and the frame play it."""
        for _ in range(self.said_since_last_play()):
            self.send(SpeechMade(self.turn_id(), AUDIO, last=True))
        self.send(PlaybackBegan(self.turn_id(), 20_000, 0))
        self.send(PlaybackFinished(self.turn_id(), 1600))

    def turn_id(self) -> int:
        return max(effect.turn_id for effect in self.effects if isinstance(effect, Synthesize))

    def said_since_last_play(self) -> int:
        made = sum(isinstance(e, Play) and e.pcm == AUDIO for e in self.effects)
        return len(self.said()) - made


TIME = "It is three oh five PM."
SAY_TIME = ["[speaking]", f"says {TIME}", f"synthesize {TIME}"]
DROPPED = ["cancel all", "finished interrupted", "[listening]"]
LOST = FrameLost("The frame does not answer.")

# state, event, what must come of it, state after
ROWS: list[tuple[TurnState, Event | UtteranceEnded, list[str], TurnState]] = [
    (LISTENING, UTTERANCE, ["[transcribing]", "Transcribe"], TRANSCRIBING),
    (LISTENING, TextEntered("what time is it"), ["[thinking]", "Understand"], THINKING),
    (LISTENING, TextEntered(" \x1b \n"), ["[thinking]", "finished rejected", "[listening]"], LISTENING),
    (
        LISTENING,
        TimerDue("", 300),
        [
            "[thinking]",
            "[speaking]",
            "says Your timer for five minutes is done.",
            "synthesize Your timer for five minutes is done.",
        ],
        SPEAKING,
    ),
    (LISTENING, LOST, ["problem link"], LISTENING),
    (LISTENING, FrameBack(), [], LISTENING),
    (LISTENING, StopRequested(), [], LISTENING),
    (LISTENING, Tick(), [], LISTENING),
    (TRANSCRIBING, HEARD, ["heard", "[thinking]", "Understand"], THINKING),
    (
        TRANSCRIBING,
        Transcribed(1, Transcript("mumble", False, reason="unsure")),
        ["heard", "[speaking]", f"says {NOT_CAUGHT}", f"synthesize {NOT_CAUGHT}"],
        SPEAKING,
    ),
    (
        TRANSCRIBING,
        EngineFailed(1, EngineError("stt", "No model.")),
        [
            "problem stt",
            "[speaking]",
            "says Speech recognition failed.",
            "synthesize Speech recognition failed.",
        ],
        SPEAKING,
    ),
    (TRANSCRIBING, ButtonPressed("tap"), DROPPED, LISTENING),
    (TRANSCRIBING, TextEntered("wait"), [], TRANSCRIBING),
    (TRANSCRIBING, TimerDue("", 60), [], TRANSCRIBING),
    (TRANSCRIBING, LOST, ["problem link", "problem act"], TRANSCRIBING),
    (TRANSCRIBING, FrameBack(), [], TRANSCRIBING),
    (TRANSCRIBING, StopRequested(), DROPPED, LISTENING),
    (TRANSCRIBING, Tick(), [], TRANSCRIBING),
    (THINKING, Understood(1, Intent("GetTime")), SAY_TIME, SPEAKING),
    (THINKING, Understood(1, Intent("TakePhoto")), ["act take_photo"], THINKING),
    (THINKING, Understood(1, Intent("Stop")), ["[speaking]", "says Okay.", "synthesize Okay."], SPEAKING),
    (THINKING, ActDone(1, {"size_bytes": 1}), [], THINKING),  # nothing was asked to be done
    (
        THINKING,
        ReplyText(1, "Yes. And"),
        ["[speaking]", "says Yes.", "synthesize Yes."],
        SPEAKING,
    ),
    (THINKING, ReplyText(1, "Perh"), [], THINKING),
    (
        THINKING,
        EngineFailed(1, EngineError("understanding", "KeyError")),
        [
            "problem understanding",
            "[speaking]",
            "says The understanding of commands failed.",
            "synthesize The understanding of commands failed.",
        ],
        SPEAKING,
    ),
    (THINKING, ButtonPressed("long_press"), DROPPED, LISTENING),
    (THINKING, TextEntered("wait"), [], THINKING),
    (THINKING, TimerDue("", 60), [], THINKING),
    (THINKING, LOST, ["problem link", "problem act", "cancel all", "finished failed", "[listening]"], LISTENING),
    (THINKING, FrameBack(), [], THINKING),
    (THINKING, StopRequested(), DROPPED, LISTENING),
    (THINKING, Tick(), [], THINKING),
    (SPEAKING, SpeechMade(1, AUDIO), ["play 1600"], SPEAKING),
    (SPEAKING, SpeechMade(1, AUDIO, last=True), ["play 1600", "play 0 last"], SPEAKING),
    (SPEAKING, SpeechMade(1, b"", last=True), ["problem tts", "finished failed", "[listening]"], LISTENING),
    (SPEAKING, ReplyText(1, "More."), [], SPEAKING),  # this reply was whole already
    (SPEAKING, PlaybackBegan(1, 20_000, 0), [], SPEAKING),
    (SPEAKING, PlaybackFinished(1, 0, "flushed"), DROPPED, LISTENING),
    (
        SPEAKING,
        EngineFailed(1, EngineError("tts", "No voice.")),
        ["problem tts", "cancel all", "finished failed", "[listening]"],
        LISTENING,
    ),
    (SPEAKING, ButtonPressed("double_tap"), DROPPED, LISTENING),
    (SPEAKING, TextEntered("wait"), [], SPEAKING),
    (SPEAKING, TimerDue("", 60), [], SPEAKING),
    (SPEAKING, LOST, ["problem link", "cancel all", "finished failed", "[listening]"], LISTENING),
    (SPEAKING, FrameBack(), [], SPEAKING),
    (SPEAKING, StopRequested(), DROPPED, LISTENING),
    (SPEAKING, Tick(), [], SPEAKING),
]


@pytest.mark.parametrize(
    ("state", "event", "expected", "after"),
    [pytest.param(*row, id=f"{row[0]}-{number}-{type(row[1]).__name__}") for number, row in enumerate(ROWS)],
)
def test_row(state: TurnState, event: Event | UtteranceEnded, expected: list[str], after: TurnState) -> None:
    bench = Bench().at(state)
    assert bench.send(event) == expected
    assert bench.machine.state is after


def test_every_entry_of_the_table_has_a_row_here() -> None:
    tested = {(state, type(event)) for state, event, _, _ in ROWS}
    assert tested == {(state, event) for state, row in TABLE.items() for event in row}


def sample_event(kind: type) -> Event | UtteranceEnded:
    samples: list[Event | UtteranceEnded] = [row[1] for row in ROWS]
    return next(event for event in samples if type(event) is kind)


IN_THE_PIPELINE = {MicrophoneHeard, MicrophoneEnded}  # these two never reach the turn
IGNORED = [
    (state, kind)
    for state in TurnState
    for kind in [*get_args(Event), UtteranceEnded]
    if kind not in TABLE[state] and kind not in IN_THE_PIPELINE
]


@pytest.mark.parametrize(("state", "kind"), IGNORED)
def test_what_is_not_in_the_table_is_ignored_and_counted(state: TurnState, kind: type) -> None:
    bench = Bench().at(state)
    assert bench.send(sample_event(kind)) == []
    assert bench.machine.state is state
    assert bench.machine.ignored == {kind.__name__: 1}


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (TRANSCRIBING, Transcribed(7, Transcript("stale", True))),
        (THINKING, Understood(7, None)),
        (THINKING, ActDone(7)),
        (THINKING, ReplyText(7, "Stale.", last=True)),
        (SPEAKING, SpeechMade(7, AUDIO, last=True)),
        (SPEAKING, PlaybackBegan(7, 0, 0)),
        (SPEAKING, PlaybackFinished(7, 0)),
        (TRANSCRIBING, EngineFailed(7, EngineError("stt", "stale"))),
    ],
)
def test_events_of_another_turn_are_dropped_and_counted(state: TurnState, event: Event) -> None:
    bench = Bench().at(state)
    assert bench.send(event) == []
    assert bench.machine.state is state
    assert bench.machine.ignored == {type(event).__name__: 1}


# ---------------------------------------------------------------- one whole turn
def test_a_turn_with_an_act_measures_every_stage() -> None:
    bench = Bench()
    bench.send(UTTERANCE)
    bench.send(HEARD, after_s=0.3)
    bench.send(Understood(1, Intent("TakePhoto")), after_s=0.01)
    bench.send(ActDone(1, {"size_bytes": 4000, "path": "p.jpg"}), after_s=0.5)
    bench.send(SpeechMade(1, AUDIO), after_s=0.12)
    bench.send(SpeechMade(1, AUDIO, last=True), after_s=0.05)
    bench.send(PlaybackBegan(1, 10_400 + 16_000 * 2, 77), after_s=0.02)
    bench.send(PlaybackFinished(1, 3200), after_s=0.3)
    finished = bench.finished()
    # 600 + 300 + 10 + 500 + 120 = 1530 of 2000 ms by the frame's clock: the rest is the link's.
    assert dict(finished.stages_ms) == pytest.approx(
        {"endpointing": 600, "stt": 300, "understanding": 10, "act": 500, "tts": 120, "link": 470, "total": 2000}
    )
    assert list(finished.stages_ms) == ["endpointing", "stt", "understanding", "act", "tts", "link", "total"]
    assert finished.outcome == "answered"
    assert finished.heard == "take a photo"
    assert finished.intent == Intent("TakePhoto")
    assert finished.act == ActFinished(1, "take_photo", {}, {"size_bytes": 4000, "path": "p.jpg"})
    assert finished.reply == "I took a photo."
    assert (finished.speech_start_sample, finished.speech_end_sample) == (5800, 10_400)
    assert (finished.reply_start_sample, finished.reply_speaker_sample, finished.reply_samples) == (42_400, 77, 3200)


def test_link_is_never_negative() -> None:
    bench = Bench().at(SPEAKING)
    bench.send(SpeechMade(1, AUDIO, last=True), after_s=3)
    bench.send(PlaybackBegan(1, 10_400 + 1600, 0))
    bench.send(PlaybackFinished(1, 1600))
    assert bench.finished().stages_ms["link"] == 0
    assert bench.finished().stages_ms["total"] == 100


def test_a_reply_that_ran_dry_began_when_it_first_began() -> None:
    bench = Bench().at(SPEAKING)
    bench.send(SpeechMade(1, AUDIO), after_s=0.1)
    bench.send(PlaybackBegan(1, 26_400, 5))
    bench.send(SpeechMade(1, AUDIO, last=True), after_s=3)
    bench.send(PlaybackBegan(1, 90_000, 6))
    bench.send(PlaybackFinished(1, 3200))
    assert (bench.finished().reply_start_sample, bench.finished().reply_speaker_sample) == (26_400, 5)
    assert bench.finished().stages_ms["total"] == 1000


def test_a_text_turn_is_measured_from_its_text() -> None:
    bench = Bench()
    bench.send(TextEntered("what time is it"))
    bench.send(Understood(1, Intent("GetTime")), after_s=0.25)
    bench.send(SpeechMade(1, AUDIO, last=True), after_s=0.5)
    bench.send(PlaybackBegan(1, 999, 0), after_s=0.125)
    bench.send(PlaybackFinished(1, 1600))
    assert dict(bench.finished().stages_ms) == {"understanding": 250, "tts": 500, "link": 125, "total": 875}
    assert bench.finished().transcript is None


def test_a_failed_act_is_told_and_never_claimed() -> None:
    bench = Bench().at(THINKING)
    bench.send(Understood(1, Intent("TakePhoto")))
    bench.send(ActDone(1, {}, "The camera does not answer."))
    assert bench.said() == ["I could not take the photo: The camera does not answer."]


# ---------------------------------------------------------------- what was heard
def test_rejected_speech_ends_as_rejected_with_the_words_kept() -> None:
    bench = Bench().at(TRANSCRIBING)
    bench.send(Transcribed(1, Transcript("turn on the lamp", False, reason="low confidence")))
    bench.speak_out()
    assert (bench.finished().outcome, bench.finished().heard) == ("rejected", "turn on the lamp")
    assert bench.finished().reply == NOT_CAUGHT


@pytest.mark.parametrize("transcript", [Transcript("x", False), Transcript("", True), Transcript(" \x00", True)])
def test_rejected_or_empty_speech_can_go_unanswered(transcript: Transcript) -> None:
    bench = Bench(reply_to_rejected=False).at(TRANSCRIBING)
    assert bench.send(Transcribed(1, transcript)) == ["heard", "finished rejected", "[listening]"]


def test_control_characters_of_a_transcript_go_no_further() -> None:
    bench = Bench().at(TRANSCRIBING)
    bench.send(Transcribed(1, Transcript("take\x1b[2J a\nphoto", True)))
    assert [e.text for e in bench.effects if isinstance(e, Understand)] == ["take[2J a photo"]


# ---------------------------------------------------------------- without a model
def test_without_a_language_model_the_answer_is_honest() -> None:
    bench = Bench().at(THINKING)
    bench.send(Understood(1, None))
    assert " ".join(bench.said()) == NO_ANSWER
    assert "lorgnette setup" in NO_ANSWER


def test_an_intent_without_a_skill_is_as_good_as_none() -> None:
    bench = Bench().at(THINKING)
    bench.send(Understood(1, Intent("MakeCoffee")))
    assert " ".join(bench.said()) == NO_ANSWER


def test_repeat_says_the_last_answer_again_and_not_the_rejection_between() -> None:
    bench = Bench().at(THINKING)
    bench.send(Understood(1, Intent("Repeat")))
    assert bench.said() == [NOTHING_TO_REPEAT]
    bench = Bench().at(SPEAKING)
    bench.speak_out()
    bench.send(UTTERANCE)
    bench.send(Transcribed(2, Transcript("", False)))
    bench.speak_out()
    bench.send(UTTERANCE)
    bench.send(Transcribed(3, Transcript("repeat", True)))
    bench.send(Understood(3, Intent("Repeat")))
    assert bench.said() == [TIME, NOT_CAUGHT, TIME]


# ---------------------------------------------------------------- with a model
def asked(**settings: object) -> Bench:
    """The model has been asked."""
    bench = Bench(language_model=True, **settings).at(THINKING)
    assert bench.send(Understood(1, None)) == ["Think"]
    return bench


def test_sentences_are_spoken_while_the_rest_still_comes() -> None:
    bench = asked()
    assert bench.send(ReplyText(1, "Paris is the capital"), after_s=0.4) == []
    assert bench.send(ReplyText(1, " of France. It"), after_s=0.1) == [
        "[speaking]",
        "says Paris is the capital of France.",
        "synthesize Paris is the capital of France.",
    ]
    assert bench.send(SpeechMade(1, AUDIO)) == ["play 1600"]
    assert bench.send(SpeechMade(1, b"", last=True)) == []
    assert bench.send(PlaybackBegan(1, 30_000, 0)) == []
    assert bench.send(ReplyText(1, " is large.")) == []
    assert bench.send(ReplyText(1, "", last=True)) == ["says It is large.", "synthesize It is large."]
    assert bench.send(SpeechMade(1, AUDIO)) == [f"play {PAUSE_SAMPLES}", "play 1600"]
    assert bench.send(SpeechMade(1, b"", last=True)) == ["play 0 last"]
    bench.send(PlaybackFinished(1, 2 * 1600 + PAUSE_SAMPLES))
    assert bench.finished().reply == "Paris is the capital of France. It is large."
    assert bench.finished().stages_ms["llm"] == pytest.approx(500)
    assert bench.finished().outcome == "answered"


def test_the_end_of_the_text_after_the_end_of_the_audio_closes_the_reply() -> None:
    bench = asked()
    bench.send(ReplyText(1, "Yes. "))
    bench.send(SpeechMade(1, AUDIO, last=True))
    assert bench.send(ReplyText(1, "", last=True)) == ["play 0 last"]


def test_the_history_holds_what_was_said_and_what_was_heard_of_it() -> None:
    bench = asked()
    bench.send(ReplyText(1, "Paris.", last=True))
    bench.speak_out()
    bench.send(TextEntered("and of Spain"))
    bench.send(Understood(2, None))
    think = [e for e in bench.effects if isinstance(e, Think)][-1]
    assert [(message.role, message.text) for message in think.messages[1:]] == [
        ("user", "take a photo"),
        ("assistant", "Paris."),
        ("user", "and of Spain"),
    ]


def test_an_empty_answer_of_the_model_is_a_failure_that_is_told() -> None:
    bench = asked()
    assert bench.send(ReplyText(1, " \n", last=True))[0] == "problem llm"
    assert bench.said() == ["The language model failed."]
    bench.speak_out()
    assert bench.finished().outcome == "failed"


def test_a_model_that_fails_midway_is_told_after_what_it_said() -> None:
    bench = asked()
    bench.send(ReplyText(1, "Paris is. Which"))
    bench.send(EngineFailed(1, EngineError("llm", "The connection broke.", "check the network")))
    assert bench.said() == ["Paris is.", "Which", "The language model failed."]
    assert bench.problems() == [Problem("llm", "The connection broke.", "check the network")]
    bench.speak_out()
    assert bench.finished().outcome == "failed"


def test_a_model_that_does_not_end_is_cut_off() -> None:
    bench = asked(max_reply_sentences=2)
    assert bench.send(ReplyText(1, "One. Two. Three. Four. ")) == [
        "cancel llm",
        "[speaking]",
        "says One.",
        "synthesize One.",
        "says Two.",
        "synthesize Two.",
    ]
    assert bench.send(ReplyText(1, "Five. ")) == []
    assert bench.send(EngineFailed(1, EngineError("llm", "late"))) == []
    bench.speak_out()  # the end of the text is not waited for
    assert (bench.finished().outcome, bench.finished().reply) == ("answered", "One. Two.")


# ---------------------------------------------------------------- barge-in
def test_a_tap_silences_a_reply_and_keeps_what_was_heard_of_it() -> None:
    bench = asked()
    bench.send(ReplyText(1, "One. Two. Three.", last=True))
    bench.send(SpeechMade(1, AUDIO, last=True))
    bench.send(SpeechMade(1, AUDIO, last=True))
    bench.send(PlaybackBegan(1, 50_000, 0))
    tap = ButtonPressed("tap", mic_sample=50_000 + 1600 + PAUSE_SAMPLES + 100)  # 100 samples into "Two."
    assert bench.send(tap) == ["cancel all", "FlushSpeaker", "finished interrupted", "[listening]"]
    assert bench.finished().reply == "One. Two."
    assert bench.finished().reply_samples == 1600 + PAUSE_SAMPLES + 100
    assert bench.conversation.messages("x")[2].text == "One. Two."
    assert bench.send(PlaybackFinished(1, 4100, "flushed")) == []


def test_a_tap_without_a_sample_is_as_late_as_the_newest_sound() -> None:
    bench = Bench().at(SPEAKING)
    bench.send(SpeechMade(1, AUDIO, last=True))
    bench.send(PlaybackBegan(1, 50_000, 0))
    bench.machine.mic_sample = 50_320
    bench.send(ButtonPressed("tap"))
    assert bench.finished().reply_samples == 320


def test_a_tap_before_any_sound_leaves_no_reply() -> None:
    bench = Bench().at(SPEAKING)
    bench.send(SpeechMade(1, AUDIO, last=True))
    assert bench.send(ButtonPressed("tap")) == ["cancel all", "FlushSpeaker", "finished interrupted", "[listening]"]
    assert (bench.finished().reply, bench.finished().reply_samples) == ("", 0)


def test_late_results_after_a_tap_do_nothing() -> None:
    bench = Bench().at(TRANSCRIBING)
    bench.send(ButtonPressed("tap"))
    bench.send(UTTERANCE)
    assert bench.send(HEARD) == []
    assert bench.machine.state is TRANSCRIBING


# ---------------------------------------------------------------- nothing hangs
@pytest.mark.parametrize(
    ("state", "stage", "waits_s", "said"),
    [
        (TRANSCRIBING, "stt", 30, "Speech recognition took too long."),
        (THINKING, "understanding", 5, "The understanding of commands took too long."),
    ],
)
def test_a_stage_that_does_not_answer_is_named_aloud(state: TurnState, stage: str, waits_s: float, said: str) -> None:
    bench = Bench().at(state)
    assert bench.machine.next_deadline() == bench.now + waits_s
    assert bench.send(Tick(), after_s=waits_s - 0.001) == []
    effects = bench.send(Tick(), after_s=0.001)
    assert effects == [f"cancel {stage}", f"problem {stage}", "[speaking]", f"says {said}", f"synthesize {said}"]
    bench.speak_out()
    assert bench.finished().outcome == "failed"


def test_an_act_that_does_not_answer_is_reported_as_not_done() -> None:
    bench = Bench().at(THINKING)
    bench.send(Understood(1, Intent("TakePhoto")))
    assert bench.send(Tick(), after_s=20)[:3] == [
        "cancel act",
        "problem act",
        "did take_photo: The frame took too long.",
    ]
    assert bench.send(ActDone(1, {"size_bytes": 5})) == []  # too late: the reply says otherwise
    bench.speak_out()
    assert bench.finished().act == ActFinished(1, "take_photo", {}, {}, "The frame took too long.")


def test_a_model_has_its_time_anew_with_each_piece() -> None:
    bench = asked()
    for _ in range(3):
        bench.send(ReplyText(1, "word "), after_s=29)
        assert bench.send(Tick()) == []
    assert bench.send(Tick(), after_s=30)[:2] == ["cancel llm", "problem llm"]


def test_a_voice_that_does_not_answer_ends_the_turn() -> None:
    bench = Bench().at(SPEAKING)
    assert bench.send(Tick(), after_s=15) == ["problem tts", "cancel all", "finished failed", "[listening]"]
    assert bench.problems()[0].message == "The voice took too long."


def test_a_playback_that_never_begins_ends_by_deadline() -> None:
    bench = Bench().at(SPEAKING)
    bench.send(SpeechMade(1, AUDIO, last=True))
    assert bench.send(Tick(), after_s=5) == [
        "problem link",
        "cancel all",
        "FlushSpeaker",
        "finished failed",
        "[listening]",
    ]


def test_a_playback_that_never_ends_is_given_its_own_length_first() -> None:
    bench = Bench().at(SPEAKING)
    bench.send(SpeechMade(1, bytes(16_000 * 2 * 20), last=True))
    bench.send(PlaybackBegan(1, 20_000, 0), after_s=1)
    assert bench.machine.next_deadline() == bench.now + 20 + 5
    assert bench.send(Tick(), after_s=24.9) == []
    assert bench.send(Tick(), after_s=0.1)[-2:] == ["finished failed", "[listening]"]


@pytest.mark.parametrize("reason", ["starved", "session"])
def test_a_reply_that_was_cut_off_is_a_failure(reason: str) -> None:
    bench = Bench().at(SPEAKING)
    bench.send(SpeechMade(1, AUDIO))
    event = PlaybackFinished(1, 800, reason)  # type: ignore[arg-type]
    assert bench.send(event) == ["cancel all", "FlushSpeaker", "problem link", "finished failed", "[listening]"]


def test_no_deadline_while_listening() -> None:
    bench = Bench()
    assert bench.machine.next_deadline() is None
    bench.at(SPEAKING).speak_out()
    assert bench.machine.next_deadline() is None


# ---------------------------------------------------------------- what waits
def test_timers_and_texts_wait_for_the_end_of_a_turn_in_their_order() -> None:
    bench = Bench().at(SPEAKING)
    bench.send(TimerDue("tea", 60))
    bench.send(TextEntered("what time is it"))
    assert not bench.machine.idle
    bench.speak_out()
    assert bench.said()[-1] == "Your tea is done."
    bench.speak_out()
    assert bench.finished().outcome == "announced"
    assert bench.machine.state is THINKING
    bench.send(Understood(3, Intent("GetTime")))
    bench.speak_out()
    assert bench.finished().heard == "what time is it"
    assert bench.machine.idle


def test_what_waits_is_dropped_when_the_session_is_stopped() -> None:
    bench = Bench().at(SPEAKING)
    bench.send(TimerDue("tea", 60))
    assert bench.send(StopRequested()) == ["cancel all", "finished interrupted", "[listening]"]
    assert bench.machine.idle


def test_nothing_is_announced_into_the_users_speech() -> None:
    bench = Bench()
    bench.machine.user_speaks = True
    assert bench.send(TimerDue("tea", 60)) == []
    bench.machine.user_speaks = False
    assert bench.send(UTTERANCE) == ["[transcribing]", "Transcribe"]


def test_no_more_than_so_much_waits() -> None:
    bench = Bench(max_waiting=2).at(SPEAKING)
    assert [bench.send(TextEntered(text)) for text in "abc"] == [[], [], ["problem understanding"]]


# ---------------------------------------------------------------- a frame that goes
def test_a_transcript_that_comes_after_the_frame_went_is_kept() -> None:
    bench = Bench().at(TRANSCRIBING)
    bench.send(LOST)
    assert bench.send(HEARD) == ["heard", "finished failed", "[listening]"]
    assert bench.finished().heard == "take a photo"


def test_a_recogniser_that_fails_after_the_frame_went_has_nobody_to_tell() -> None:
    bench = Bench().at(TRANSCRIBING)
    bench.send(LOST)
    assert bench.send(EngineFailed(1, EngineError("stt", "x"))) == [
        "problem stt",
        "cancel all",
        "finished failed",
        "[listening]",
    ]


def test_a_frame_that_goes_while_speaking_is_told_to_be_silent_nevertheless() -> None:
    bench = Bench().at(SPEAKING)
    bench.send(SpeechMade(1, AUDIO))
    assert bench.send(LOST) == ["problem link", "cancel all", "FlushSpeaker", "finished failed", "[listening]"]
    assert bench.finished().heard == "take a photo"


def test_what_was_said_to_a_frame_that_went_is_not_done_by_the_one_that_came() -> None:
    bench = Bench().at(TRANSCRIBING)
    bench.send(LOST)
    assert bench.problems()[-1].message == NOT_DONE
    bench.send(FrameBack())
    assert bench.send(HEARD) == ["heard", "finished failed", "[listening]"]
    assert (bench.finished().heard, bench.finished().act) == ("take a photo", None)


@pytest.mark.parametrize(
    "event", [Transcribed(1, Transcript("", False)), EngineFailed(1, EngineError("stt", "No model."))]
)
def test_a_turn_whose_frame_went_says_nothing_on_another_clock(event: Event) -> None:
    bench = Bench().at(TRANSCRIBING)
    bench.send(LOST)
    bench.send(FrameBack())
    bench.send(event)
    assert bench.said() == []
    assert bench.finished().outcome == "failed"
    assert set(bench.finished().stages_ms) <= {"endpointing", "stt"}


def test_a_frame_that_goes_twice_is_told_twice_and_the_turn_once() -> None:
    bench = Bench().at(TRANSCRIBING)
    bench.send(LOST)
    assert bench.send(LOST) == ["problem link"]


def test_an_act_under_way_when_the_frame_goes_is_on_record_as_failed() -> None:
    bench = Bench().at(THINKING)
    bench.send(Understood(1, Intent("TakePhoto")))
    assert "problem act" not in bench.send(LOST)  # nobody knows whether it was done
    act = bench.finished().act
    assert act is not None
    assert (act.name, act.error) == ("take_photo", "The frame does not answer.")


def test_what_waits_is_said_when_the_frame_is_back() -> None:
    bench = Bench()
    bench.send(LOST)
    assert bench.send(TimerDue("tea", 60)) == []
    assert bench.machine.idle  # by itself, nothing will happen
    assert bench.send(FrameBack())[-1] == "synthesize Your tea is done."


# ---------------------------------------------------------------- without a voice
def test_without_a_voice_the_reply_is_reported_and_the_turn_ends() -> None:
    bench = Bench(voice=False)
    bench.send(TextEntered("what time is it"))
    assert bench.send(Understood(1, Intent("GetTime")), after_s=0.125) == [
        "[speaking]",
        f"says {TIME}",
        "finished answered",
        "[listening]",
    ]
    assert bench.finished().reply == TIME
    assert dict(bench.finished().stages_ms) == {"understanding": 125, "total": 125}


def test_without_a_voice_a_model_streams_too() -> None:
    bench = asked(voice=False)
    assert bench.send(ReplyText(1, "One. Two")) == ["[speaking]", "says One."]
    assert bench.send(ReplyText(1, ".", last=True)) == ["says Two.", "finished answered", "[listening]"]
    assert bench.finished().reply == "One. Two."


# ---------------------------------------------------------------- whatever comes
def any_event(turn_ids: st.SearchStrategy[int]) -> st.SearchStrategy[Event | UtteranceEnded]:
    """Events of the running turn and of others, sensible and not."""
    intents = st.sampled_from([None, Intent("GetTime"), Intent("TakePhoto"), Intent("Repeat"), Intent("Nonsense")])
    transcripts = st.builds(Transcript, st.sampled_from(["", "hello", "\x00"]), st.booleans())
    errors = st.sampled_from(["stt", "understanding", "llm", "tts", "act"]).map(
        lambda stage: EngineError(stage, "broken")
    )
    reasons = st.sampled_from(["played", "flushed", "starved", "session"])
    texts = st.sampled_from(["", "One. ", "Two, and ", "...", "More of it! "])
    return st.one_of(
        st.just(UTTERANCE),
        st.builds(TextEntered, st.sampled_from(["", "hi"])),
        st.builds(TimerDue, st.just(""), st.just(5)),
        st.builds(ButtonPressed, st.just("tap"), st.integers(0, 90_000)),
        st.builds(Transcribed, turn_ids, transcripts),
        st.builds(Understood, turn_ids, intents),
        st.builds(ActDone, turn_ids, st.just({}), st.sampled_from(["", "no"])),
        st.builds(ReplyText, turn_ids, texts, st.booleans()),
        st.builds(SpeechMade, turn_ids, st.sampled_from([b"", AUDIO]), st.booleans()),
        st.builds(EngineFailed, turn_ids, errors),
        st.builds(PlaybackBegan, turn_ids, st.integers(0, 90_000), st.just(0)),
        st.builds(PlaybackFinished, turn_ids, st.integers(0, 9000), reasons),
        st.just(LOST),
        st.just(FrameBack()),
        st.just(Tick()),
    )


@given(
    st.lists(
        st.tuples(any_event(st.sampled_from([1, 1, 1, 2, 2, 3])), st.sampled_from([0.0, 0.1, 6.0, 40.0])), max_size=40
    ),
    st.booleans(),
    st.booleans(),
)
def test_whatever_comes_every_turn_ends_once_and_nothing_hangs(
    events: list[tuple[Event | UtteranceEnded, float]], language_model: bool, voice: bool
) -> None:
    bench = Bench(language_model=language_model, voice=voice, reply_to_rejected=voice)
    for event, after_s in events:
        bench.send(event, after_s)
        running = bench.machine.state is not LISTENING
        assert running == (bench.machine.next_deadline() is not None)  # whoever waits has a deadline
    for _ in range(4 * len(events) + 4):
        deadline = bench.machine.next_deadline()
        if deadline is None:
            break
        bench.now = max(bench.now, deadline)
        bench.send(Tick())
    assert bench.machine.state is LISTENING
    assert bench.machine.idle
    finished = [e.notice.turn_id for e in bench.effects if isinstance(e, Notify) and isinstance(e.notice, TurnFinished)]
    assert finished == list(range(1, len(finished) + 1))  # each turn once, in order
    played: set[int] = set()
    for effect in bench.effects:
        if isinstance(effect, Play):
            played.add(effect.turn_id)
        if isinstance(effect, FlushSpeaker):
            assert effect.turn_id in played
