"""The whole assistant over the frame's own core, in virtual time: real VAD, ear, templates and voice."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lorgnette.cli.assistant.audio import SAMPLE_RATE_HZ
from lorgnette.cli.assistant.engines.protocols import TextToSpeech
from lorgnette.cli.assistant.events import ActFinished, Notice, Problem, ReplySpoken, StateChanged, TurnFinished
from lorgnette.cli.assistant.pipeline import Pipeline, PipelineSettings
from lorgnette.cli.assistant.virtual import VirtualDriver
from lorgnette.cli.assistant.world import Engines
from lorgnette.cli.demo.script import SCRIPT, Line, room_noise, utterance
from lorgnette.cli.glasses.virtual import VirtualGlasses
from lorgnette.cli.settings import Settings
from lorgnette.cli.wiring import build_engines
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import Capability, Led
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

LINES = {line.intent or "refused": line for line in SCRIPT}


@pytest.fixture(scope="module")
def engines() -> Engines:
    return build_engines(Settings())


@dataclass
class Session:
    """One session in virtual time: says `lines` one after the other, stops after the last turn."""

    engines: Engines
    peripherals: Peripherals
    lines: list[bytes]
    notices: list[Notice] = field(default_factory=list)
    on_notice: Callable[[Notice], None] = lambda _notice: None
    photos: list[bytes] = field(default_factory=list)
    keep: Callable[[bytes], dict[str, Any]] | None = None

    def run(self) -> list[TurnFinished]:
        device = LockstepDevice(SimulatedFrame(self.peripherals), self.peripherals)
        pending: Iterator[bytes] = iter(self.lines)

        def observe(notice: Notice) -> None:
            self.notices.append(notice)
            self.on_notice(notice)
            if notice == StateChanged("listening"):
                if (pcm := next(pending, None)) is None:
                    self.driver.stop()
                else:
                    self.peripherals.microphone.say(pcm, silence_before_s=0.7)

        def keep(jpeg: bytes) -> dict[str, Any]:
            self.photos.append(jpeg)
            return {}

        self.glasses = VirtualGlasses(device, on_photo=self.keep or keep)
        assert self.engines.vad is not None
        self.engines.vad.reset()
        pipeline = Pipeline(PipelineSettings(), self.engines.vad)
        self.driver = VirtualDriver(pipeline, self.glasses, self.engines, observers=[observe])
        self.driver.run(until_s=120)
        return [notice for notice in self.notices if isinstance(notice, TurnFinished)]


def simulated(**changes: Any) -> Peripherals:
    peripherals = Peripherals(battery_percent=83, **changes)
    peripherals.microphone.noise = room_noise()
    return peripherals


@pytest.mark.parametrize("line", SCRIPT, ids=lambda line: line.intent or "refused")
def test_a_spoken_line_is_heard_done_and_answered(engines: Engines, line: Line) -> None:
    peripherals = simulated()
    session = Session(engines, peripherals, [utterance(line)])
    [turn] = session.run()
    if line.intent:
        assert (turn.heard, turn.intent and turn.intent.name) == (line.heard, line.intent)
        assert turn.outcome == "answered"
    else:
        assert turn.outcome == "rejected" and turn.act is None and turn.reply == "I did not catch that."
    start = 2 * turn.reply_start_sample
    played = bytes(peripherals.speaker.recorded[start : start + 2 * turn.reply_samples])
    assert turn.reply_samples > 8000 and any(played)
    assert turn.stages_ms["total"] >= turn.stages_ms["endpointing"] + turn.stages_ms["stt"]


def test_the_photo_is_the_one_that_the_camera_took(engines: Engines) -> None:
    session = Session(engines, simulated(), [utterance(LINES["TakePhoto"])])
    [turn] = session.run()
    assert session.photos == [session.peripherals.camera.take()]
    assert turn.act is not None and turn.act.result["size_bytes"] == len(session.photos[0])
    levels = [level for _, level in session.peripherals.led]
    assert Led.SOLID in levels and levels[-1] == Led.OFF


def test_what_the_frame_lacks_is_said_not_claimed(engines: Engines) -> None:
    peripherals = simulated(without=Capability.CAMERA)
    session = Session(engines, peripherals, [utterance(LINES["TakePhoto"])])
    [turn] = session.run()
    assert turn.act is not None and turn.act.error
    assert turn.reply.startswith("I could not take the photo")


def test_a_photo_that_cannot_be_kept_is_not_claimed(engines: Engines) -> None:
    def full_disk(_jpeg: bytes) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    session = Session(engines, simulated(), [utterance(LINES["TakePhoto"])], keep=full_disk)
    [turn] = session.run()
    assert turn.reply.startswith("I could not take the photo: the photo was taken but cannot be kept")


def test_a_frame_without_a_gauge_says_so(engines: Engines) -> None:
    peripherals = Peripherals(battery_percent=None)
    session = Session(engines, peripherals, [utterance(LINES["GetBattery"])])
    [turn] = session.run()
    assert "no battery gauge" in turn.reply


def test_volume_goes_up_by_a_step_and_is_read_back(engines: Engines) -> None:
    session = Session(engines, simulated(), [utterance(LINES["SetVolume"]), utterance(LINES["VolumeUp"])])
    first, second = session.run()
    assert [turn.act and turn.act.result for turn in (first, second)] == [
        {"volume_percent": 40, "muted": False},
        {"volume_percent": 50, "muted": False},
    ]


def test_the_button_stops_a_reply_and_nothing_of_it_plays_on(engines: Engines) -> None:
    peripherals = simulated()

    def press(notice: Notice) -> None:
        if notice == StateChanged("speaking"):
            peripherals.button.press(100)

    session = Session(engines, peripherals, [utterance(LINES["GetTime"])], on_notice=press)
    [turn] = session.run()
    assert turn.outcome == "interrupted"
    recorded = peripherals.speaker.recorded
    [loud_from, loud_to] = [at(i for i in range(0, len(recorded), 2) if any(recorded[i : i + 2])) for at in (min, max)]
    # Pressed for 100 ms as the reply began; then the frame waits for a second tap. The whole reply is longer.
    assert (loud_to - loud_from) / 2 / SAMPLE_RATE_HZ < 0.6


def test_the_microphone_is_off_after_the_session(engines: Engines) -> None:
    session = Session(engines, simulated(), [utterance(LINES["GetTime"])])
    session.run()
    assert not session.peripherals.microphone.on
    assert session.peripherals.led[-1][1] == Led.OFF


class Remembering:
    """A voice that says the same sentence with the same samples: espeak-ng itself never does."""

    def __init__(self, voice: TextToSpeech) -> None:
        self._voice, self._said = voice, dict[str, list[bytes]]()
        self.info = voice.info

    def synthesize(self, text: str) -> Iterator[bytes]:
        if text not in self._said:
            self._said[text] = list(self._voice.synthesize(text))
        yield from self._said[text]


def test_two_runs_are_the_same(engines: Engines) -> None:
    assert engines.tts is not None
    engines = replace(engines, tts=Remembering(engines.tts))
    lines = [utterance(LINES["SetVolume"]), utterance(LINES["refused"])]
    once, again = (Session(engines, simulated(), lines) for _ in range(2))
    once.run()
    again.run()
    assert once.notices == again.notices
    assert once.peripherals.speaker.recorded == again.peripherals.speaker.recorded
    assert not any(isinstance(notice, Problem) for notice in once.notices)
    assert any(isinstance(notice, ReplySpoken) for notice in once.notices)
    assert any(isinstance(notice, ActFinished) for notice in once.notices)
