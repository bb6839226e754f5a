"""The whole assistant over the firmware's own C core in virtual time: exact, and the same twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from tests.support.voice import ListedEar, MarkedVad, PhraseMatcher, ToneVoice

from lorgnette.cli.assistant.audio import rms_dbfs
from lorgnette.cli.assistant.engines.protocols import Transcript
from lorgnette.cli.assistant.events import Intent, Notice, Problem, StateChanged, TurnFinished
from lorgnette.cli.assistant.pipeline import Pipeline, PipelineSettings
from lorgnette.cli.assistant.turn import NOT_DONE
from lorgnette.cli.assistant.virtual import EngineCosts, VirtualDriver
from lorgnette.cli.assistant.world import Engines
from lorgnette.cli.glasses.virtual import VirtualGlasses
from lorgnette.firmware_bridge.errors import SimulatorUnavailable
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.faulty_frame import FaultyFrame
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import Led
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

SPOKEN = b"\1\0" * 16_000  # a second that MarkedVad takes for speech
PHRASES = {
    "take a photo": Intent("TakePhoto"),
    "volume forty percent": Intent("SetVolume", {"percent": 40}),
    "mute": Intent("Mute"),
    "what is the battery level": Intent("GetBattery"),
    "what is the volume": Intent("GetVolume"),
}
COSTS = EngineCosts(stt_s=0.25, understanding_s=0.0, tts_s=0.125)


@dataclass
class Run:
    """One session, and what it left."""

    peripherals: Peripherals
    notices: list[tuple[float, Notice]] = field(default_factory=list)
    photos: list[bytes] = field(default_factory=list)

    ear: ListedEar = field(default_factory=ListedEar)

    @property
    def turns(self) -> list[TurnFinished]:
        return [notice for _, notice in self.notices if isinstance(notice, TurnFinished)]

    @property
    def problems(self) -> list[str]:
        return [notice.message for _, notice in self.notices if isinstance(notice, Problem)]


def session(
    *said: str | Transcript,
    tap_at_s: float | None = None,
    battery_percent: int | None = 80,
    faults: Faults | None = None,
    again_after_s: Sequence[float] = (),
    costs: EngineCosts = COSTS,
    until_s: float = 60.0,
) -> Run:
    """Say one thing after another, each when the assistant listens again, over a cable with `faults`.

    `again_after_s`: pauses of the microphone, each before a second of speech that follows the first.
    """
    run = Run(Peripherals(battery_percent=battery_percent))
    try:
        frame = SimulatedFrame(run.peripherals)
    except SimulatorUnavailable as missing:
        pytest.skip(str(missing))

    def keep(jpeg: bytes) -> dict[str, str]:
        run.photos.append(jpeg)
        return {}

    if faults is None:
        device = LockstepDevice(frame, run.peripherals)
    else:
        frame.close()
        device = LockstepDevice(FaultyFrame(lambda: SimulatedFrame(run.peripherals), faults), run.peripherals)
    world = VirtualGlasses(device, on_photo=keep)
    pipeline = Pipeline(PipelineSettings(), MarkedVad(), lambda: datetime(2026, 3, 3, 15, 5))
    run.ear = ListedEar(*said)
    engines = Engines(PhraseMatcher(PHRASES), run.ear, ToneVoice())
    left = len(said)

    def observe(notice: Notice) -> None:
        nonlocal left
        run.notices.append((driver.now_s, notice))
        if notice == StateChanged("listening"):
            if left == 0:
                driver.stop()
                return
            left -= 1
            for silence_s in (0.5, *again_after_s):
                run.peripherals.microphone.say(SPOKEN, silence_before_s=silence_s)
        if notice == StateChanged("speaking") and tap_at_s is not None:
            run.peripherals.button.press(50)

    driver = VirtualDriver(pipeline, world, engines, costs, [observe])
    driver.run(until_s=until_s)
    return run


def test_acts_are_done_by_the_frame_and_read_back_from_it() -> None:
    run = session("take a photo", "volume forty percent", "what is the battery level", "mute")
    assert [turn.reply for turn in run.turns] == [
        "I took a photo.",
        "The volume is forty percent.",
        "The battery is at eighty percent.",
        "The sound is off.",
    ]
    assert [turn.outcome for turn in run.turns] == ["answered"] * 4
    photo = run.turns[0].act
    assert photo is not None
    assert photo.result["size_bytes"] == len(run.photos[0])
    assert run.photos[0][:2] == b"\xff\xd8"
    levels = [level for _, level in run.peripherals.led]
    assert Led.SOLID in levels
    assert levels[-1] == Led.OFF  # the capture was stopped


def test_a_frame_without_a_gauge_says_so() -> None:
    run = session("what is the battery level", battery_percent=None)
    assert run.turns[0].reply == "I could not read the battery: this frame has no battery gauge."


def test_the_stages_add_up_on_the_frames_clock() -> None:
    (turn,) = session("take a photo").turns
    stages = turn.stages_ms
    assert stages["stt"] == pytest.approx(250)
    assert stages["tts"] == pytest.approx(125)
    assert 600 <= stages["endpointing"] < 620
    assert 0 <= stages["link"] < 200
    # The frame's clock counts in blocks of 20 ms, the host's does not.
    assert sum(ms for stage, ms in stages.items() if stage != "total") == pytest.approx(stages["total"], abs=20)
    assert stages["total"] == (turn.reply_start_sample - turn.speech_end_sample) / 16


def test_the_reply_sounds_on_the_frames_speaker_where_the_record_says() -> None:
    run = session("take a photo")
    turn = run.turns[0]
    track = bytes(run.peripherals.speaker.recorded)
    begin, end = turn.reply_start_sample * 2, (turn.reply_start_sample + turn.reply_samples) * 2
    assert turn.reply_samples == len("I took a photo.") * 160
    assert rms_dbfs(track[begin:end]) > -40
    assert rms_dbfs(track[:begin]) < -100
    assert rms_dbfs(track[end:]) < -100


def test_what_was_not_understood_is_rejected_aloud() -> None:
    (turn,) = session(Transcript("mumble", False, reason="low confidence")).turns
    assert (turn.outcome, turn.reply) == ("rejected", "I did not catch that.")
    assert turn.reply_samples > 0


def test_a_press_of_the_frames_button_silences_it() -> None:
    run = session("volume forty percent", tap_at_s=0.0)
    (turn,) = run.turns
    assert turn.outcome == "interrupted"
    assert turn.reply_samples < len("The volume is forty percent.") * 160


def test_two_runs_are_equal_to_the_sample() -> None:
    first, second = (session("take a photo", Transcript("", False), "mute") for _ in range(2))
    assert first.notices == second.notices
    assert first.peripherals.speaker.recorded == second.peripherals.speaker.recorded
    assert first.peripherals.microphone.recorded == second.peripherals.microphone.recorded
    assert first.peripherals.led == second.peripherals.led


# ---------------------------------------------------------------- a cable that fails in the middle of it
GOES = [Faults(unplug_s=((1.0, 1.0),)), Faults(reset_s=(1.0,)), Faults(panic_s=(1.0,))]


@pytest.mark.parametrize("faults", GOES, ids=["unplugged", "reset", "panic"])
def test_a_sentence_that_the_frame_did_not_stay_for_is_dropped_told_and_heard_again(faults: Faults) -> None:
    run = session("volume forty percent", faults=faults, again_after_s=[2.0], until_s=15.0)  # speech from 0.5 to 1.5 s
    assert run.problems[-1] == "The frame went away while you spoke: what you said was dropped."
    (turn,) = run.turns  # of the second time that it was said
    assert turn.reply == "The volume is forty percent."
    (utterance,) = run.ear.utterances
    assert SPOKEN in utterance
    assert turn.stages_ms["total"] == (turn.reply_start_sample - turn.speech_end_sample) / 16 > 0


@pytest.mark.parametrize(
    ("stt_s", "told"),
    [
        # The request is on its way when the host learns of the reset.
        (0.25, 'The link broke while "set volume" was under way: it may or may not have happened.'),
        # The frame is there again before the words are known.
        (2.0, ""),
    ],
)
def test_a_frame_that_boots_does_not_do_what_was_said_to_it_before(stt_s: float, told: str) -> None:
    costs = EngineCosts(stt_s=stt_s, understanding_s=0.0, tts_s=0.125)
    reset = Faults(reset_s=(2.2,))  # the sentence ended at 1.5 s, the pause behind it at 2.1 s
    run = session("volume forty percent", "what is the volume", faults=reset, costs=costs)
    failed, asked = run.turns
    assert failed.outcome == "failed"
    assert failed.heard == "volume forty percent"
    assert (failed.act.error if failed.act else "") == told
    assert asked.reply == "The volume is seventy percent."
    assert run.problems[0] == "The frame has started anew and knows the session no more."
    assert (NOT_DONE in run.problems) == (not told)
    assert all(ms >= 0 for turn in run.turns for ms in turn.stages_ms.values())
