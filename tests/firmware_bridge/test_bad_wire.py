"""Host and the firmware's own core over a wire that loses, flips, doubles, delays and splices, from seeds.

Whatever the wire does, what gets through must be true, what was asked must end, and once the wire is good again
everything must work. Any failure replays from its seed: `pytest -k "seed and 123"`.
"""

from __future__ import annotations

import bisect
import os
import random
from collections import deque

import pytest
from tests.support.bad_wire import BadWire, Faults
from tests.support.sound import numbers, ramp

from lorgnette.firmware_bridge.errors import BridgeError, RequestRefused
from lorgnette.firmware_bridge.link_events import AudioReceived, CallFinished, Event, FrameReported
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import (
    CaptureStartArgs,
    GetStateResult,
    Led,
    Message,
    Method,
    PlaybackEnded,
    PlaybackStarted,
    SetVolumeArgs,
    SetVolumeResult,
)
from lorgnette.firmware_bridge.sim_transport import Steppable
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.microphone import ScriptedMicrophone
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

# More of them by hand: LORGNETTE_SEEDS=10000 pytest tests/firmware_bridge/test_bad_wire.py
SEEDS = range(int(os.environ.get("LORGNETTE_SEEDS", "200")))

# The frame's receive ring has room for this much beside the credited channels, in the 0.4 s of a flash erase.
UNCREDITED_BYTES, UNCREDITED_S = 512, 0.4
UNCREDITED = {0}


def faults_of(seed: int) -> Faults:
    """Each seed its own mixture, from nearly clean to hopeless."""
    rng = random.Random(seed)
    strength = rng.choice([0.002, 0.01, 0.03, 0.1, 0.3])

    def chance() -> float:
        return strength * rng.choice([0, 0, 1, 1, 2])

    return Faults(
        flip=rng.choice([0, 1e-6, 1e-5, 1e-4]),
        drop=chance(),
        lose=chance(),
        twice=chance(),
        swap=chance(),
        splice=chance(),
        stall=chance(),
        stall_ms=rng.choice([5, 50, 400]),
    )


class Uncredited:
    """Watches that the host never sends more without credit than the frame's ring can hold."""

    def __init__(self) -> None:
        self.worst = 0
        self._recent: deque[tuple[float, int]] = deque()
        self._sum = 0

    def on_frame(self, direction: str, at_s: float, channel: int, size: int, _: str) -> None:
        if direction != "tx" or channel not in UNCREDITED:
            return
        self._recent.append((at_s, size))
        self._sum += size
        while self._recent[0][0] < at_s - UNCREDITED_S:
            self._sum -= self._recent.popleft()[1]
        self.worst = max(self.worst, self._sum)


class Story:
    """One life of a host: it listens, speaks, asks and takes a photo over a bad wire, then over a good one."""

    def __init__(self, seed: int) -> None:
        self.peripherals = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))
        self.wire = BadWire(SimulatedFrame(self.peripherals), seed, Faults())
        self.device = LockstepDevice(self.wire, self.peripherals, seed=seed)
        self.uncredited = Uncredited()
        self.device.wire_log = self.uncredited.on_frame
        self.events: list[Event] = []
        self.device.subscribe(self.events.append)
        self.asked = 0
        self.ended: list[CallFinished] = []
        self.photos_asked = 0
        self.photos: list[bytes | BridgeError] = []
        self.request(Method.SET_VOLUME, SetVolumeArgs(100))
        self.advance(0.1)
        self.wire.down.faults = self.wire.up.faults = faults_of(seed)

    def advance(self, by_s: float) -> None:
        self.device.advance(self.device.now_s + by_s)

    def request(self, method: Method, args: Message | None = None) -> None:
        self.asked += 1
        self.device.post(method, args, self.ended.append)

    def bad_times(self) -> None:
        self.request(Method.CAPTURE_START, CaptureStartArgs(self.device.codec))
        self.advance(0.3)
        self.device.play(self.device.new_stream(), ramp(8_000), last=True)
        self.spoke_in_session = self.device.stats().sessions if self.device.connected else 0
        for percent in range(10):
            self.request(Method.GET_STATE if percent % 2 else Method.SET_VOLUME, SetVolumeArgs(100))
            self.advance(0.07)
        for _ in range(2):
            self.photos_asked += 1
            self.device.post_photo(self.photos.append, timeout_s=3.0)
            self.advance(1.2)

    def good_times(self) -> None:
        """Room for a session that died, and for everything that still runs into its timeout."""
        self.wire.repair()
        self.request(Method.CAPTURE_STOP)
        self.advance(9.0)


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed {seed}")
def story(request: pytest.FixtureRequest) -> Story:
    story = Story(request.param)
    story.bad_times()
    return story


def test_what_gets_through_is_true_and_everything_ends(story: Story) -> None:
    story.good_times()
    check_microphone(story)
    check_speaker(story)
    check_requests(story)
    check_photos(story)
    assert story.uncredited.worst <= UNCREDITED_BYTES
    check_health(story)
    story.device.close()
    assert not story.peripherals.microphone.on
    assert story.peripherals.led[-1][1] == Led.OFF


def check_microphone(story: Story) -> None:
    """Every AudioFrame is what the microphone delivered at that place of its clock, once, in order."""
    microphone = story.peripherals.microphone
    starts = [sample for sample, _ in microphone.recorded_at]
    heard = [event for event in story.events if isinstance(event, AudioReceived)]
    for event in heard:
        sample, offset = microphone.recorded_at[bisect.bisect_right(starts, event.sample) - 1]
        at = 2 * (offset + event.sample - sample)
        assert event.pcm == bytes(microphone.recorded[at : at + len(event.pcm)])
    samples = [event.sample for event in heard]
    assert samples == sorted(set(samples))


def check_speaker(story: Story) -> None:
    """Nothing was played that was not sent, and nothing twice: the ramp's samples only ever grow."""
    played = [n for n in numbers(bytes(story.peripherals.speaker.recorded)) if n]
    assert played == sorted(set(played))
    assert not played or played[-1] <= 8_000
    reports = [e.message for e in story.events if isinstance(e, FrameReported)]
    for report in reports:
        if isinstance(report, PlaybackStarted):
            recorded = numbers(bytes(story.peripherals.speaker.recorded))
            assert recorded[report.mic_sample] == report.speaker_sample + 1
        if isinstance(report, PlaybackEnded):
            assert report.played_samples <= 8_000
    ends = [report.stream for report in reports if isinstance(report, PlaybackEnded)]
    assert len(ends) == len(set(ends)), "a stream ends once"
    if story.spoke_in_session == story.device.stats().sessions:
        assert 1 in ends, "and it does end, unless the session did"


def check_requests(story: Story) -> None:
    assert len(story.ended) == story.asked
    for finished in story.ended:
        assert (finished.error is None) == isinstance(finished.result, Message)
        if isinstance(finished.result, SetVolumeResult):
            assert finished.result.percent == 100


def check_photos(story: Story) -> None:
    """A photo that arrives is the camera's, and the camera never ran more often than it was asked to."""
    assert len(story.photos) == story.photos_asked
    camera_runs = [c for c in story.peripherals.changes if (c.part, c.value) == ("camera", 1)]
    assert len(camera_runs) <= story.photos_asked
    picture = story.peripherals.camera.take()
    for photo in story.photos:
        assert photo == picture or isinstance(photo, BridgeError)


def check_health(story: Story) -> None:
    """On a good wire nothing is left of the bad times: no leaked credit, no stuck queue, no wrong answer."""
    device = story.device
    assert device.connected
    before = device.stats()
    for percent in range(40):
        assert device.request(Method.SET_VOLUME, SetVolumeArgs(percent)) == SetVolumeResult(percent, 0)
    assert device.stats().rpc_retries == before.rpc_retries
    state = device.request(Method.GET_STATE)
    assert isinstance(state, GetStateResult)
    assert state.speaker_queued_samples == 0
    seen = len(story.events)
    device.play(device.new_stream(), ramp(6_400), last=True)
    story.advance(1.0)
    ends = [e.message for e in story.events[seen:] if isinstance(e, FrameReported)]
    assert [m.played_samples for m in ends if isinstance(m, PlaybackEnded)] == [6_400]
    assert isinstance(device.take_photo(), bytes)


def test_the_seeds_do_hurt() -> None:
    """The invariants above would hold on a good wire too; this wire is none."""
    hurt = retries = broken = lost_photos = 0
    for seed in range(40):
        story = Story(seed)
        story.bad_times()
        hurt += story.wire.up.hurt + story.wire.down.hurt
        retries += story.device.stats().rpc_retries
        broken += story.device.stats().rx_bad_frames
        lost_photos += story.device.stats().bulk_restarts
    assert hurt > 1000
    assert retries > 30
    assert broken > 100
    assert lost_photos > 0


# ---- the gates of single faults
def at_error_rate(rate: float, seed: int) -> tuple[LockstepDevice, BadWire]:
    wire = BadWire(SimulatedFrame(Peripherals()), seed, Faults(flip=rate))
    return LockstepDevice(wire, seed=seed), wire


def test_at_one_error_in_a_hundred_thousand_bits_requests_succeed() -> None:
    device, wire = at_error_rate(1e-5, 1)
    failed = 0
    for _ in range(4000):
        try:
            device.request(Method.GET_STATE)
        except BridgeError:
            failed += 1
    assert wire.up.hurt + wire.down.hurt > 10
    assert failed <= 4, "99.9 % must succeed"


def test_lost_credit_is_made_up_for_within_150_ms() -> None:
    """Every Credit of a while is lost, with the whole window sent: flow resumes with the next one."""
    peripherals = Peripherals()
    wire = BadWire(SimulatedFrame(peripherals), 1, Faults())
    device = LockstepDevice(wire, peripherals)
    seen: list[Event] = []
    device.subscribe(seen.append)
    device.play(device.new_stream(), ramp(48_000), last=True)
    device.advance(0.5)
    wire.up.faults = Faults(lose=1.0)
    device.advance(1.2)
    sent = device.stats().tx_bytes
    wire.repair()
    device.advance(1.35)
    assert device.stats().tx_bytes - sent > 3 * 640
    device.close()


def test_the_loss_of_a_whole_speaker_window_does_not_lock_it_up() -> None:
    peripherals = Peripherals()
    wire = BadWire(SimulatedFrame(peripherals), 1, Faults())
    device = LockstepDevice(wire, peripherals)
    seen: list[Event] = []
    device.subscribe(seen.append)
    wire.down.faults = Faults(lose=1.0)
    device.play(device.new_stream(), ramp(16_000), last=True)
    device.advance(0.04)
    wire.repair()
    device.advance(3.0)
    reports = [event.message for event in seen if isinstance(event, FrameReported)]
    assert [r.played_samples for r in reports if isinstance(r, PlaybackEnded)] == [16_000 - 6 * 320]
    device.close()


class LosesBulk:
    """Loses some of the frames of the bulk channel, whole."""

    def __init__(self, frame: Steppable, lost: set[int]) -> None:
        self._frame, self._lost, self._count = frame, lost, 0

    def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        tx, next_us = self._frame.step(now_us, rx)
        kept = []
        for piece in tx.split(b"\0"):
            if len(piece) > 700:  # nothing else is as long
                self._count += 1
                if self._count in self._lost:
                    continue
            kept.append(piece)
        return b"\0".join(kept), next_us

    def close(self) -> None:
        self._frame.close()


@pytest.mark.parametrize("lost", [{1}, {2}, {3, 4, 5}, set(range(1, 12)), {40}, {39, 40, 41}, set(range(2, 60, 7))])
def test_a_photo_survives_lost_pieces(lost: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    peripherals = Peripherals()
    picture = peripherals.camera.take()
    large = picture[:2] + (b"\xff\xfe\x9c\x42" + bytes(range(256)) * 156 + bytes(64)) + picture[2:]
    monkeypatch.setattr(peripherals.camera, "take", lambda: large)
    device = LockstepDevice(LosesBulk(SimulatedFrame(peripherals), lost), peripherals)
    assert device.take_photo() == large
    assert device.stats().bulk_restarts > 0
    device.close()


def test_a_frame_whose_bulk_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    peripherals = Peripherals()
    picture = peripherals.camera.take()
    large = picture[:2] + (b"\xff\xfe\x27\x12" + bytes(10_000)) + picture[2:]
    monkeypatch.setattr(peripherals.camera, "take", lambda: large)
    lost = set(range(10_000))
    device = LockstepDevice(LosesBulk(SimulatedFrame(peripherals), lost), peripherals)
    with pytest.raises(BridgeError, match="stopped sending an object of 11299 bytes at byte 0"):
        device.take_photo(timeout_s=20.0)
    monkeypatch.undo()
    lost.clear()
    assert device.take_photo() == picture, "the next one works"
    device.close()


def test_a_refusal_is_no_failure_of_the_link() -> None:
    device, _ = at_error_rate(1e-4, 5)
    refused = 0
    for _ in range(50):
        try:
            device.request(Method.SET_VOLUME, SetVolumeArgs(200))
        except RequestRefused:
            refused += 1
        except BridgeError:
            pass
    assert refused > 45
