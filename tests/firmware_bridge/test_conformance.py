"""The conformance suite judges rightly: the real frame passes, and each frame that breaks a rule fails its case.

In virtual time, so that the whole of it takes seconds.
"""

from __future__ import annotations

import contextlib
import random
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from tests.support.broken_frames import BROKEN, EchoesInRelease, Meddler, instead

from lorgnette.firmware_bridge import messages
from lorgnette.firmware_bridge.codec import message_of, payload_of
from lorgnette.firmware_bridge.conformance.cases import Case, Level, cases_of, every_case
from lorgnette.firmware_bridge.conformance.port import RecordedPort, SteppedPort
from lorgnette.firmware_bridge.conformance.report import Report, Verdict
from lorgnette.firmware_bridge.conformance.runner import Conformance
from lorgnette.firmware_bridge.errors import DeviceLost, DeviceNotFound, RemoteProtocolError, VersionMismatch
from lorgnette.firmware_bridge.frame import Frame
from lorgnette.firmware_bridge.messages import (
    MAJOR,
    Call,
    Capability,
    Channel,
    CloseReason,
    Hello,
    HelloAck,
    Method,
    Refuse,
)
from lorgnette.firmware_bridge.sim_transport import Steppable, simulated_frame
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals
from lorgnette.firmware_bridge.simulator.url import parse_sim_url

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"R-08"}
"""65,536 sessions: only for the real frame."""
RATES = {f"M-6{number}" for number in range(6)}


def judge(frame: Steppable, level: Level = Level.ROBUST, without: frozenset[str] = frozenset()) -> Report:
    run = Conformance(SteppedPort(frame))
    try:
        return run.run([case for case in cases_of(level) if case.number not in without], level)
    finally:
        run.close()


def of(report: Report, verdict: Verdict) -> dict[str, str]:
    return {result.number: result.detail for result in report.results if result.verdict is verdict}


def test_the_real_frame_passes() -> None:
    peripherals = Peripherals()
    report = judge(SimulatedFrame(peripherals))
    assert report.complete
    assert of(report, Verdict.FAILED) == {}
    assert of(report, Verdict.NON_STRICT) == {}
    assert set(of(report, Verdict.UNIMPLEMENTED)) == RATES | {"C-27"}  # its line has no rate, it has a test channel
    switched = {change.part: change.value for change in peripherals.changes}
    assert switched == {"led": 0, "microphone": 0, "camera": 0, "speaker": 0}


def test_the_real_frame_passes_on_a_line_with_a_rate() -> None:
    url = "sim://?line=uart"
    report = judge(simulated_frame(url, parse_sim_url(url)), without=frozenset(SLOW))
    assert of(report, Verdict.FAILED) == {}
    assert of(report, Verdict.NON_STRICT) == {}
    assert set(of(report, Verdict.UNIMPLEMENTED)) == {"C-27"}
    figures = {result.number: result.figures for result in report.results}
    assert figures["M-60"]["baud"] == 2_000_000
    for number in ("R-26", "R-27"):
        assert figures[number]["share_of_the_line"] > 0.93


class Release(EchoesInRelease):
    """Declares no test channel, and has none."""

    def down(self, frame: Frame) -> list[Frame]:
        return [replace(frame, channel=99) if frame.channel == Channel.TEST else frame]


def test_a_release_passes() -> None:
    report = judge(Release(SimulatedFrame(Peripherals())), Level.CORE)
    assert of(report, Verdict.FAILED) == {}
    assert set(of(report, Verdict.UNIMPLEMENTED)) == {"C-28"}


class OfVersion10(Release):
    """Speaks what protocol 1.0 had."""

    def down(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, Hello):
            frame = instead(frame, replace(message, minor=0))
        elif isinstance(message, Call) and message.method == Method.CAPTURE_START and any(message.args):
            frame = instead(frame, replace(message, args=b"\xff"))
        return super().down(frame)

    def up(self, frame: Frame) -> list[Frame]:
        (frame,) = super().up(frame)
        message = message_of(frame)
        if isinstance(message, HelloAck):
            old = message.capabilities & ~Capability.ADPCM
            frame = instead(frame, replace(message, minor=0, capabilities=old, bulk_window=0))
        elif isinstance(message, Refuse):
            frame = instead(frame, replace(message, minor=0))
        return [frame]


def test_an_older_minor_version_is_no_failure() -> None:
    report = judge(OfVersion10(SimulatedFrame(Peripherals())), without=frozenset(SLOW))
    assert of(report, Verdict.FAILED) == {}
    assert of(report, Verdict.NON_STRICT) == {}
    absent = of(report, Verdict.UNIMPLEMENTED)
    assert {"C-08", "C-37", "C-47", "M-10", "M-50", "R-26"} <= set(absent)
    assert absent["C-47"] == "it speaks protocol 1.0"


@pytest.mark.parametrize(
    ("part", "absent"),
    [
        (Capability.MICROPHONE, "M-01"),
        (Capability.SPEAKER, "M-20"),
        (Capability.CAMERA, "M-40"),
        (Capability.MICROPHONE | Capability.SPEAKER | Capability.CAMERA, "M-01"),
    ],
)
def test_a_part_that_is_not_there_is_no_failure(part: Capability, absent: str) -> None:
    report = judge(SimulatedFrame(Peripherals(without=part)), without=frozenset(SLOW))
    assert of(report, Verdict.FAILED) == {}
    assert absent in of(report, Verdict.UNIMPLEMENTED)


# The case that is about the rule, then others that cannot help noticing.
FAILS: dict[str, tuple[str, ...]] = {
    "RunsRetries": ("C-29", "C-02", "C-06", "C-30", "M-46", "M-47", "R-13"),
    "RepairsDamage": ("C-21", "C-19", "R-10", "R-12"),
    "KeepsItsSession": ("C-03", "R-05", "R-06"),
    "TakesEveryMajor": ("C-04",),
    "NeedsNoConfirm": ("C-05",),
    "HearsEverySession": ("C-07", "C-03", "C-08", "C-20", "C-37", "R-03", "R-05", "R-06"),
    "SaysNothingWithoutSession": ("C-08",),
    "NeverLeads": ("C-17",),
    "MiscountsFrames": ("C-19", "C-23", "C-37", "R-10"),
    "GrantsOnce": (
        *("C-39", "C-40", "C-06", "C-28", "C-41", "C-42", "C-43", "C-45"),
        *("M-20", "M-22", "M-55", "R-20", "R-21", "R-25", "R-27"),
    ),
    "NeverResendsEvents": ("C-47", "C-49"),
    "RunsAheadWithEvents": ("C-48", "C-47", "C-49", "C-50"),
    "EchoesInRelease": ("C-27",),
    "AudioBeforeCaptureEvent": ("M-01", "C-48"),
    "LedAfterAudio": ("M-02",),
    "WrongSampleClock": ("M-04", "M-10", "M-11", "M-12", "M-48", "R-23", "R-25"),
    "HidesDrops": ("M-12", "R-23"),
    "IgnoresFlush": ("M-22", "M-23"),
    "TakesEveryVolume": ("M-28", "C-33"),
    "ForgetsOffset": ("M-42", "M-43", "M-50"),
    "NeedsNoBulkCredit": ("M-52", "M-53", "R-22"),
    "ForgetsAdpcmFlag": ("M-10", "M-11"),
    "SilentAboutHoles": ("M-56",),
    "ListensInSilence": ("R-01",),
    "HearsReplays": ("R-02",),
    "FallsOverNoise": ("R-10", "R-11", "R-12", "R-03", "C-19", "C-21", "C-22", "C-23", "C-37"),
}


@pytest.mark.parametrize("name", FAILS)
def test_a_broken_frame_fails_its_case(name: str) -> None:
    report = judge(BROKEN[name](SimulatedFrame(Peripherals())), without=frozenset(SLOW))
    failed = of(report, Verdict.FAILED)
    assert failed.get(FAILS[name][0])
    assert set(failed) <= set(FAILS[name])


def test_every_broken_frame_has_its_case() -> None:
    assert set(BROKEN) == {*FAILS, "HoldsShortFrames", "SlowWithCredit"}


def test_a_line_that_holds_short_frames_back() -> None:
    """What a real bridge may do upsets a good deal; the case of the sizes must be among it."""
    report = judge(BROKEN["HoldsShortFrames"](SimulatedFrame(Peripherals())), Level.CORE)
    assert "200 ms, 3 times in a row" in of(report, Verdict.FAILED)["C-28"]
    assert "C-11" in of(report, Verdict.NON_STRICT)


def test_slow_credit_is_not_strict() -> None:
    report = judge(BROKEN["SlowWithCredit"](SimulatedFrame(Peripherals())), without=frozenset(SLOW))
    late = of(report, Verdict.NON_STRICT)
    assert {"C-40", "R-20", "R-21"} <= set(late)
    assert "300 ms" in late["R-20"]
    assert "R-20" not in of(report, Verdict.FAILED)


class Silent:
    """Hears and says nothing from a moment on."""

    def __init__(self, frame: Steppable, from_us: int) -> None:
        self._frame = frame
        self._from_us = from_us

    def step(self, now_us: int, rx: bytes, *room: int) -> tuple[bytes, int]:
        if now_us >= self._from_us:
            return b"", 1 << 62
        return self._frame.step(now_us, rx, *room)

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def close(self) -> None:
        self._frame.close()


def test_a_frame_that_goes_away_ends_the_run() -> None:
    run = Conformance(SteppedPort(Silent(SimulatedFrame(Peripherals()), 2_000_000)))
    report = run.new_report("core")
    with pytest.raises(DeviceLost, match=r"answers no more since case C-\d\d"):
        list(run.steps(report, cases_of(Level.CORE)))
    run.close()
    assert not report.complete
    assert report.results[-1].verdict is Verdict.FAILED
    assert "does not answer Hello" in report.results[-1].detail


def test_nobody_there() -> None:
    with pytest.raises(DeviceNotFound, match=r"within 1\.5 s"):
        Conformance(SteppedPort(Silent(SimulatedFrame(Peripherals()), 0)), timeout_s=1.5)


class OfTheFuture(Silent):
    """Refuses every Hello."""

    def __init__(self) -> None:
        super().__init__(SimulatedFrame(Peripherals()), 0)

    def step(self, now_us: int, rx: bytes, *room: int) -> tuple[bytes, int]:
        hello = Frame.decode(rx.strip(b"\0")) if rx else None
        if hello is None:
            return b"", 1 << 62
        nonce = int.from_bytes(hello.payload[3:7], "little")
        refusal = Refuse(nonce, CloseReason.VERSION, MAJOR + 1, 0)
        return b"\0" + Frame(0, 0, 0, 0, payload_of(refusal)).encode(), 1 << 62


class Mirror(Silent):
    """A line that runs back."""

    def step(self, now_us: int, rx: bytes, *room: int) -> tuple[bytes, int]:
        return rx, 1 << 62


def test_a_line_that_runs_back() -> None:
    with pytest.raises(RemoteProtocolError, match="our own messages"):
        Conformance(SteppedPort(Mirror(SimulatedFrame(Peripherals()), 0)))


def test_another_major_version() -> None:
    with pytest.raises(VersionMismatch, match=f"speaks protocol {MAJOR + 1}"):
        Conformance(SteppedPort(OfTheFuture()))


class Reboots(Silent):
    """Boots again, as another frame would, at a moment."""

    def step(self, now_us: int, rx: bytes, *room: int) -> tuple[bytes, int]:
        if now_us >= self._from_us:
            self._from_us = 1 << 62
            self._frame = SimulatedFrame(Peripherals(seed=2))
        return self._frame.step(now_us, rx, *room)


def test_a_boot_is_told_of_the_case_in_which_it_happened() -> None:
    report = judge(Reboots(SimulatedFrame(Peripherals(seed=1)), 3_000_000), Level.CORE)
    booted = [number for number, detail in of(report, Verdict.FAILED).items() if "the frame booted" in detail]
    assert len(booted) == 1


class Liar(Meddler):
    """Drops, cuts or changes at random what it says of one kind."""

    KINDS = (
        *(messages.LedEvent, messages.CaptureEvent, messages.MicAudio, messages.Credit, messages.Pong, messages.Reply),
        *(messages.PlaybackEnded, messages.PhotoEvent, messages.BulkData, messages.ObjectEvent, messages.Echo),
    )

    def __init__(self, frame: Steppable, seed: int) -> None:
        super().__init__(frame)
        self._rng = random.Random(seed)
        self._kind = self.KINDS[seed % len(self.KINDS)]
        self._how = self._rng.choice(["drop", "cut", "change"])

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if not isinstance(message, self._kind) or self._rng.random() < 0.3:
            return [frame]
        if self._how == "drop":
            return []
        if self._how == "cut":
            return [replace(frame, payload=frame.payload[: self._rng.randrange(1, 4)])]
        name = self._rng.choice(fields(message)).name
        value = getattr(message, name)
        other = (value ^ 1) & 0xFF if isinstance(value, int) else value[:1]
        return [instead(frame, replace(message, **{name: other}))]


@pytest.mark.parametrize("seed", range(2 * len(Liar.KINDS)))
def test_whatever_a_frame_says_is_judged(seed: int) -> None:
    """No lie is a bug of ours: the run ends with a report, or with the frame's being lost."""
    with contextlib.suppress(DeviceLost, DeviceNotFound):
        report = judge(Liar(SimulatedFrame(Peripherals()), seed), Level.MEDIA)
        assert report.complete


def test_the_same_seed_is_the_same_run() -> None:
    def octets(seed: int) -> list[bytes]:
        said: list[bytes] = []
        port = RecordedPort(
            SteppedPort(SimulatedFrame(Peripherals())), lambda data, at_s, *, inbound: said.append(data)
        )
        run = Conformance(port, seed=seed)
        run.run(cases_of(Level.ROBUST, "R-12"), "robust")
        run.close()
        return said

    assert octets(7) == octets(7)
    assert octets(7) != octets(8)


def test_cases_by_word_and_level() -> None:
    assert {case.level for case in cases_of(Level.CORE)} == {Level.CORE}
    assert {case.level for case in cases_of(Level.MEDIA)} == {Level.CORE, Level.MEDIA}
    assert [case.number for case in cases_of(Level.ROBUST, "m-41")] == ["M-41"]
    assert cases_of(Level.CORE, "no such word") == []


@pytest.mark.parametrize("case", every_case(), ids=lambda case: case.number)
def test_a_case_says_what_it_checks(case: Case) -> None:
    assert re.fullmatch(r"[CMR]-\d\d", case.number)
    assert case.title and case.must.endswith(".")
    protocol = (ROOT / "firmware_bridge/PROTOCOL.md").read_text(encoding="utf-8")
    assert f"\n## {case.section}. " in protocol


def test_vectors_and_table_are_fresh() -> None:
    script = ROOT / "tests/update_conformance.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
