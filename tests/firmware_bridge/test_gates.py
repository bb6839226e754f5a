"""The link's promises under each kind of fault, one by one, with their figures, in virtual time.

The seeds of the simulation (test_simulation.py) mix all of them; here each stands alone, with its figure.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from tests.support.raw_host import RawHost, all_of
from tests.support.sound import numbers, ramp

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.errors import BridgeError, DeviceLost, DeviceNotFound, OutcomeUnknown, RequestRefused
from lorgnette.firmware_bridge.fault_line import AT_TEXT, BOOT_TEXT, ENDLESS, PANIC_TEXT, Line
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.faulty_frame import FaultyFrame
from lorgnette.firmware_bridge.frame import Frame, FrameReader
from lorgnette.firmware_bridge.link_events import (
    AudioReceived,
    CallFinished,
    Connected,
    Crashed,
    Disconnected,
    Event,
    FrameReported,
    RateChanged,
)
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import (
    FRAME_SAMPLES,
    CaptureStartArgs,
    Channel,
    Codec,
    GetStateResult,
    GetStatsResult,
    Led,
    MakeTestObjectArgs,
    MakeTestObjectResult,
    Method,
    ObjectKind,
    PlaybackEnded,
    SetVolumeArgs,
    SetVolumeResult,
    Underrun,
)
from lorgnette.firmware_bridge.sim_transport import Steppable
from lorgnette.firmware_bridge.simulator import Peripherals, ScriptedMicrophone, SimulatedFrame
from lorgnette.firmware_bridge.simulator.picture import built_in_picture
from lorgnette.firmware_bridge.simulator.speaker import SpeakerRecorder
from lorgnette.firmware_bridge.simulator.url import MAX_BAUD
from lorgnette.firmware_bridge.transport import Transport

PICTURE_BYTES = 40_960
PATIENCE_S = 30.0  # only a failing test waits this long


class Bench:
    """A host and a frame with a cable between them that one fault is done to."""

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        seed: int = 1,
        baud: int = 0,
        picture_bytes: int = 0,
        wrap: Callable[[Steppable], Steppable] | None = None,
    ) -> None:
        """`baud`: the line is a UART whose sides agree on this rate. `wrap` goes around the cable."""
        max_baud = MAX_BAUD["uart"] if baud else 0
        self.parts = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)), max_baud=max_baud)
        if picture_bytes:
            self.parts.camera.look = lambda: large_picture(picture_bytes)  # type: ignore[method-assign]
        self.cable = FaultyFrame(self._boot, faults or Faults(), seed, uart=baud > 0)
        self.wrapped = wrap(self.cable) if wrap else self.cable
        self.device = LockstepDevice(self.wrapped, self.parts, seed=seed, baud=baud)
        self.events: list[tuple[float, Event]] = []
        self.device.subscribe(lambda event: self.events.append((self.device.now_s, event)))

    def _boot(self) -> Steppable:
        return SimulatedFrame(self.parts)

    def pass_s(self, by_s: float) -> None:
        self.device.advance(self.device.now_s + by_s)

    def until(self, done: Callable[[], bool], within_s: float) -> float:
        """Let time pass until `done`; returns how long it took. It must not take longer than `within_s`."""
        start_s = self.device.now_s
        while not done():
            assert self.device.now_s - start_s <= within_s, f"not within {within_s} s"
            self.pass_s(0.005)
        return self.device.now_s - start_s

    def start_capture(self, codec: Codec = Codec.PCM16) -> None:
        self.device.request(Method.CAPTURE_START, CaptureStartArgs(codec))

    def of(self, kind: type[Event]) -> list[float]:
        """When such events came."""
        return [at_s for at_s, event in self.events if isinstance(event, kind)]

    def stats(self) -> GetStatsResult:
        result = self.device.request(Method.GET_STATS)
        assert isinstance(result, GetStatsResult)
        return result

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.device.close()


def large_picture(size: int) -> bytes:
    """A valid JPEG of exactly this size, with everything in it that a line might trip over."""
    plain = built_in_picture()
    filling = random.Random(size).randbytes(size)
    out = plain[:2]
    left = size - len(plain)
    while left:
        length = min(left, 60_000)
        length -= 4 if 0 < left - length < 4 else 0  # no room for another segment's head
        out += b"\xff\xfe" + (length - 2).to_bytes(2, "big") + filling[: length - 4]
        left -= length
    return out + plain[2:]


def ended_of(bench: Bench) -> list[PlaybackEnded]:
    """What was reported of streams that are over."""
    reports = [event.message for _, event in bench.events if isinstance(event, FrameReported)]
    return [report for report in reports if isinstance(report, PlaybackEnded)]


def outcome_of(act: Callable[[], object]) -> object:
    try:
        return act()
    except BridgeError as error:
        return error


# ---- bit errors
@pytest.mark.parametrize("rate", [1e-6, 1e-5, 1e-4, 1e-3])
def test_bit_errors_make_nothing_wrong_and_cost_two_frames_each_at_most(rate: float) -> None:
    bad, reader = Line(Faults(flip=rate), random.Random(1)), FrameReader()
    rng = random.Random(2)
    count = 40_000 if rate < 1e-5 else 4_000
    sent = [Frame(3, 0, n & 0xFFFF, 7, rng.randbytes(rng.randint(0, 100))) for n in range(count)]
    got: list[Frame] = []
    for n, frame in enumerate(sent):
        bad.put(n, frame.encode())
        got += [found for found, _ in reader.receive(bad.take(n)) if found is not None]
    assert bad.counts["flip"] > 10
    assert len(got) >= count - 2 * bad.counts["flip"]
    rest = iter(sent)
    assert all(frame in rest for frame in got), "a frame that nobody sent, or twice, or out of order"


@pytest.mark.parametrize("rate", [1e-5, 1e-4, 1e-3])
def test_the_frame_loses_no_more_to_bit_errors(rate: float) -> None:
    host = RawHost(SimulatedFrame(Peripherals()))
    host.connect()
    before = host.stats()
    bad = Line(Faults(flip=rate), random.Random(1))
    count = 1000
    for n in range(count):
        bad.put(n, host.pack(m.Pong(token=n)))
        host.step(bad.take(n))
    host.step(b"\0")
    after = host.stats()
    accepted = after.rx_frames - before.rx_frames - 1
    assert bad.counts["flip"] > 0
    assert count - 2 * bad.counts["flip"] <= accepted <= count
    assert after.rx_bad_frames - before.rx_bad_frames <= bad.counts["flip"]


def test_at_one_error_in_a_hundred_thousand_bits_requests_succeed() -> None:
    with Bench(Faults(flip=1e-5)) as bench:
        failed = 0
        for _ in range(4000):
            failed += isinstance(outcome_of(lambda: bench.device.request(Method.GET_STATE)), BridgeError)
        assert bench.cable.up.counts["flip"] + bench.cable.down.counts["flip"] > 10
        assert failed <= 4, "99.9 % must succeed"


def test_at_one_error_in_a_hundred_thousand_bits_17_of_20_photos_take_half_as_long_again_at_most() -> None:
    """All 20 are exact. Of the other three two lose their last piece, which shows after 300 ms; one meets 15 errors."""

    def seconds(flip: float, seed: int) -> float:
        with Bench(Faults(flip=flip), seed=seed, baud=921_600, picture_bytes=PICTURE_BYTES) as bench:
            start_s = bench.device.now_s
            assert bench.device.take_photo() == large_picture(PICTURE_BYTES)
            return bench.device.now_s - start_s

    clean_s = seconds(0.0, 1)
    hurt_s = sorted(seconds(1e-5, seed) for seed in range(20))
    assert hurt_s[0] > 1.1 * clean_s, "none was spared"
    assert hurt_s[16] <= 1.5 * clean_s
    assert hurt_s[-1] <= 1.9 * clean_s


def test_a_refusal_is_no_failure_of_the_link() -> None:
    with Bench(Faults(flip=1e-4), seed=5) as bench:
        refused = 0
        for _ in range(50):
            got = outcome_of(lambda: bench.device.request(Method.SET_VOLUME, SetVolumeArgs(200)))
            refused += isinstance(got, RequestRefused)
        assert refused > 45


# ---- drops, truncation, splices
def damages(frame: bytes) -> Iterator[bytes]:
    """Every run of 1 to 128 octets dropped, every cut, every text spliced in everywhere."""
    size = len(frame)
    for at in range(size):
        yield frame[:at]
        for run in (1, 2, 3, 17, 64, 128):
            yield frame[:at] + frame[at + run :]
        for text in (BOOT_TEXT, PANIC_TEXT, AT_TEXT):
            yield frame[:at] + text + frame[at:]


def test_the_next_whole_frame_is_accepted_whatever_became_of_the_last() -> None:
    """Also without a leading zero: then it is the next one but one when the damage took the closing zero along."""
    before, hurt, after, later = (Frame(1, 0, n, 7, bytes((n, 0, 255)) * 20) for n in (1, 2, 3, 4))
    for damage in damages(hurt.encode()):
        got = [f for f, _ in FrameReader().receive(before.encode() + damage + after.encode() + later.encode()) if f]
        assert got[0] == before
        assert got[-1] == later
        assert damage[-1:] != b"\0" or after in got or not damage.strip(b"\0"), damage
        assert set(got) <= {before, hurt, after, later}, "two frames became one"
        again = [f for f, _ in FrameReader().receive(damage + b"\0" + after.encode()) if f]
        assert again[-1] == after


def test_the_frame_too_accepts_the_next_whole_one() -> None:
    host = RawHost(SimulatedFrame(Peripherals()))
    host.connect()
    ping = host.pack(m.Ping(token=0x01020304))
    for n, damage in enumerate(damages(ping[1:])):
        pongs = all_of(host.step(damage + host.pack(m.Ping(token=n))), m.Pong)
        assert pongs, damage
        assert pongs[-1].token == n
        assert all(pong.token in (n, 0x01020304) for pong in pongs)


# ---- noise
@pytest.mark.parametrize("chance", [0.01, 0.1, 0.5])
def test_noise_between_frames_makes_nothing_wrong_and_costs_two_frames_each_at_most(chance: float) -> None:
    bad, reader = Line(Faults(noise=chance), random.Random(1)), FrameReader()
    rng = random.Random(2)
    sent = [Frame(3, 0, n, 7, rng.randbytes(rng.randint(0, 100))) for n in range(4_000)]
    pieces = [frame.encode() for frame in sent]
    sound: list[Frame] = []
    got: list[Frame] = []
    for n, (frame, piece) in enumerate(zip(sent, pieces, strict=True)):
        bad.put(n, piece)
        out = bad.take(n)
        sound += [frame] if out == piece else []
        got += [found for found, _ in reader.receive(out) if found is not None]
    assert bad.counts["noise"] > 4_000 * chance / 2
    assert len(sent) - len(sound) == bad.counts["noise"]
    assert len(got) >= len(sent) - 2 * bad.counts["noise"]
    rest, accepted = iter(sent), iter(got)
    assert all(frame in rest for frame in got), "a frame that nobody sent, or twice, or out of order"
    assert all(frame in accepted for frame in sound), "a frame without noise before it was lost"


def test_a_zero_before_a_frame_saves_it_from_noise() -> None:
    """As a sender puts one after a pause: in C nothing is lost then."""
    host = RawHost(SimulatedFrame(Peripherals()))
    host.connect()
    bad = Line(Faults(noise=1.0), random.Random(1))
    for n in range(200):
        bad.put(n, host.pack(m.Ping(token=n)))  # it begins with a zero
        assert [pong.token for pong in all_of(host.step(bad.take(n)), m.Pong)] == [n]
    assert bad.counts["noise"] == 200


# ---- duplicates and reordering
@pytest.mark.parametrize("faults", [Faults(duplicate=1.0), Faults(reorder=0.2), Faults(duplicate=0.5, reorder=0.2)])
def test_each_of_eight_calls_in_flight_runs_once_in_spite_of_duplicates_and_reordering(faults: Faults) -> None:
    """The frame counts its objects, so that a call that ran twice, or not at all, leaves its mark on the numbers."""
    with Bench(faults) as bench:
        ended: list[CallFinished] = []
        for _ in range(40):
            for _ in range(m.Window.RPC):
                bench.device.post(Method.MAKE_TEST_OBJECT, MakeTestObjectArgs(1), ended.append, 10.0)
            bench.pass_s(0.5)
        bench.until(lambda: len(ended) == 320, 10.0)
        made = [end.result.object for end in ended if isinstance(end.result, MakeTestObjectResult)]
        assert sorted(made) == list(range(1, 321))
        assert bench.stats().rx_duplicate_frames > 30, "the frame has seen none, and none too late"
        if faults.reorder:
            assert bench.cable.down.counts["reorder"] > 30
            assert bench.device.stats().rpc_retries > 30, "what was overtaken is sent again"
            assert made != sorted(made)


# ---- lost credit
def test_lost_credit_is_made_up_for_within_150_ms() -> None:
    """Every Credit of a while is lost, with the whole window sent: flow resumes with the next one."""
    with Bench() as bench:
        bench.device.play(bench.device.new_stream(), ramp(48_000), last=True)
        bench.pass_s(0.5)
        bench.cable.up.set_faults(Faults(lose=1.0))
        bench.pass_s(0.7)
        sent = bench.device.stats().tx_bytes
        bench.cable.repair()
        bench.pass_s(0.15)
        assert bench.device.stats().tx_bytes - sent > 3 * 640


def test_the_loss_of_a_whole_speaker_window_does_not_lock_it_up() -> None:
    with Bench() as bench:
        bench.cable.down.set_faults(Faults(lose=1.0))
        bench.device.play(bench.device.new_stream(), ramp(16_000), last=True)
        bench.pass_s(0.04)
        bench.cable.repair()
        bench.pass_s(3.0)
        assert [end.played_samples for end in ended_of(bench)] == [16_000 - 6 * 320]


# ---- lost pieces of an object
class LosesBulk:
    """Loses some of the frames of the bulk channel, whole."""

    def __init__(self, frame: Steppable, lost: set[int]) -> None:
        self._frame, self._lost, self._count = frame, lost, 0

    def step(self, now_us: int, rx: bytes, room: int = ENDLESS) -> tuple[bytes, int]:
        tx, next_us = self._frame.step(now_us, rx, room)
        kept = []
        for piece in tx.split(b"\0"):
            if len(piece) > 700:  # nothing else is as long
                self._count += 1
                if self._count in self._lost:
                    continue
            kept.append(piece)
        return b"\0".join(kept), next_us

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def close(self) -> None:
        self._frame.close()


@pytest.mark.parametrize("lost", [{1}, {2}, {3, 4, 5}, set(range(1, 12)), {40}, {39, 40, 41}, set(range(2, 60, 7))])
def test_a_photo_survives_lost_pieces(lost: set[int]) -> None:
    with Bench(picture_bytes=PICTURE_BYTES, wrap=lambda frame: LosesBulk(frame, lost)) as bench:
        assert bench.device.take_photo() == large_picture(PICTURE_BYTES)
        assert bench.device.stats().bulk_restarts > 0


def test_a_frame_whose_bulk_never_comes_is_given_up() -> None:
    lost = set(range(10_000))
    with Bench(picture_bytes=11_299, wrap=lambda frame: LosesBulk(frame, lost)) as bench:
        with pytest.raises(BridgeError, match="stopped sending an object of 11299 bytes at byte 0"):
            bench.device.take_photo(timeout_s=20.0)
        lost.clear()
        assert bench.device.take_photo() == large_picture(11_299), "the next one works"


# ---- unplugged
class FailingPort:
    """A port under a clock of its own, which reading moves on. From a time on it is gone, or nothing comes from it.

    That it is gone shows at the end of a read, as on the slowest of systems; that real ports raise this error, and
    that a real Device survives it, is shown with pseudo terminals in test_transport.py and test_device.py.
    """

    name = "failing"
    has_rate = False

    def __init__(self, *, gone_s: float = math.inf, mute_s: float = math.inf) -> None:
        self.now_s = 0.0
        self._frame = SimulatedFrame(Peripherals())
        self._gone_s, self._mute_s = gone_s, mute_s
        self._next_s = 0.0
        self._to_frame = b""

    def clock(self) -> float:
        return self.now_s

    def read(self, timeout_s: float) -> bytes:
        end_s = self.now_s + timeout_s
        while True:
            tx, next_us = self._frame.step(round(1e6 * self.now_s), self._to_frame)
            self._to_frame, self._next_s = b"", next_us / 1e6
            if tx and self.now_s < min(self._gone_s, self._mute_s):
                return tx
            if self.now_s >= end_s:
                break
            self.now_s = min(end_s, max(self._next_s, self.now_s + 1e-4))
        if self.now_s >= self._gone_s:
            raise DeviceLost("failing went away.")
        return b""

    def write(self, data: bytes) -> None:
        self._to_frame += data

    def set_baud(self, baud: int) -> None: ...
    def wake(self) -> None: ...

    def close(self) -> None:
        self._frame.close()


def noticed_s(port: FailingPort) -> float:
    """When the Device at this port says that it has lost the frame."""
    told: SimpleQueue[tuple[float, Event]] = SimpleQueue()

    def reopen() -> Transport:
        raise DeviceNotFound("failing is away.")

    device = Device(port, reopen, clock=port.clock, watcher=lambda event: told.put((port.now_s, event)))
    try:
        assert isinstance(told.get(timeout=PATIENCE_S)[1], Connected)
        while True:
            at_s, event = told.get(timeout=PATIENCE_S)
            if isinstance(event, Disconnected):
                assert isinstance(event.error, DeviceLost)
                return at_s
    finally:
        device.close()


@pytest.mark.parametrize("lost_s", [1.0, 1.13, 1.9, 2.345])
def test_a_port_that_is_gone_is_noticed_within_half_a_second_and_silence_within_three(lost_s: float) -> None:
    assert lost_s <= noticed_s(FailingPort(gone_s=lost_s)) <= lost_s + 0.5
    assert lost_s + 2.0 <= noticed_s(FailingPort(mute_s=lost_s)) <= lost_s + 3.0


@pytest.mark.parametrize("out_s", [0.3, 2.0, 10.0])
def test_after_an_unplugged_cable_the_session_is_back_within_two_seconds(out_s: float) -> None:
    """In the middle of a photo, and of a frame of it."""
    with Bench(Faults(unplug_s=((1.0, out_s),)), baud=921_600, picture_bytes=PICTURE_BYTES) as bench:
        outcomes: list[object] = []
        bench.until(lambda: bench.device.now_s >= 0.7, 1.0)
        bench.device.post_photo(outcomes.append)
        bench.pass_s(1.0 - bench.device.now_s + 0.001)
        assert not bench.device.connected
        assert 1.0 <= bench.of(Disconnected)[0] <= 1.001
        assert isinstance(outcomes[0], DeviceLost)
        bench.until(lambda: bench.device.connected, out_s + 2.0)
        assert bench.of(Connected)[-1] <= 1.0 + out_s + 2.0
        assert bench.device.take_photo() == large_picture(PICTURE_BYTES)
        assert bench.device.baud == 921_600


def test_an_object_goes_on_where_the_cable_was_unplugged() -> None:
    data = random.Random(1).randbytes(100_000)
    with Bench(Faults(unplug_s=((0.9, 0.5),)), baud=921_600) as bench:
        bench.device.write_object(ObjectKind.TEST, data, timeout_s=30.0)
        octets = bench.cable.down.counts["octets"]
        assert bench.device.stats().sessions == 2
        assert octets < 1.3 * len(data), "only what was on its way was sent again"


# ---- reset
def test_a_reset_is_over_within_five_seconds_and_told_at_once() -> None:
    with Bench(Faults(reset_s=(1.0,)), baud=2_000_000) as bench:
        bench.start_capture()
        bench.pass_s(0.999 - bench.device.now_s)
        ended: list[tuple[float, CallFinished]] = []
        bench.device.post(
            Method.SET_VOLUME, SetVolumeArgs(1), lambda finished: ended.append((bench.device.now_s, finished)), 60.0
        )
        bench.cable.down.set_faults(Faults(lose=1.0, rate_baud=2_000_000))  # it never arrives
        bench.pass_s(0.1)
        bench.cable.down.set_faults(Faults(rate_baud=2_000_000))
        heard = len(bench.of(AudioReceived))
        bench.until(lambda: len(bench.of(Connected)) == 1, 5.0)
        back_s = bench.of(Connected)[0]
        assert back_s <= 1.0 + 5.0
        assert isinstance(ended[0][1].error, OutcomeUnknown)
        assert ended[0][0] <= back_s
        assert len(bench.of(AudioReceived)) == heard, "nothing stale comes through"
        state = bench.device.request(Method.GET_STATE)
        assert isinstance(state, GetStateResult)
        assert (state.capturing, state.led) == (0, Led.OFF)
        assert bench.device.baud == 2_000_000
        assert bench.device.info.reset_reason == "software"


def test_what_a_crash_printed_is_kept() -> None:
    with Bench(Faults(panic_s=(1.0,))) as bench:
        bench.pass_s(5.0)
        crashes = [event for _, event in bench.events if isinstance(event, Crashed)]
        assert "Guru Meditation Error" in crashes[0].reason
        assert "Backtrace: 0x4037a6f1" in crashes[0].text
        assert "ESP-ROM:esp32s3" in bench.device.console.text


# ---- the host is suspended, or does not read
class Suspends:
    """Stops the host's time and hearing: the frame lives on, and the operating system keeps some of what it says."""

    KEPT_BYTES = 4096

    def __init__(self, frame: Steppable) -> None:
        self._frame = frame
        self._ahead_us = 0
        self._now_us = self._next_us = 0
        self._kept = b""

    def suspend(self, for_s: float, *, clock_stops: bool) -> float:
        """Returns by how much the host's clock goes on."""
        end_us = self._now_us + round(1e6 * for_s)
        while self._now_us < end_us:
            self._now_us = min(end_us, max(self._next_us, self._now_us + 1))
            tx, self._next_us = self._frame.step(self._now_us, b"")
            self._kept = (self._kept + tx)[: self.KEPT_BYTES]
        if clock_stops:
            self._ahead_us += round(1e6 * for_s)
            return 0.0
        return for_s

    def step(self, now_us: int, rx: bytes, room: int = ENDLESS) -> tuple[bytes, int]:
        self._now_us = max(self._now_us, now_us + self._ahead_us)
        tx, self._next_us = self._frame.step(self._now_us, rx, room)
        tx, self._kept = self._kept + tx, b""
        return tx, max(0, self._next_us - self._ahead_us)

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def close(self) -> None:
        self._frame.close()


@pytest.mark.parametrize("clock_stops", [True, False])
@pytest.mark.parametrize("baud", [0, 921_600])
def test_a_suspended_host_is_not_listened_to_and_comes_back_within_five_seconds(clock_stops: bool, baud: int) -> None:
    with Bench(baud=baud, wrap=Suspends) as bench:
        assert isinstance(bench.wrapped, Suspends)
        bench.start_capture()
        bench.pass_s(1.0)
        asleep = bench.wrapped._now_us * 16 // 1000
        passed_s = bench.wrapped.suspend(60.0, clock_stops=clock_stops)
        off, level = bench.parts.led[-1]
        assert level == Led.OFF
        assert not bench.parts.microphone.on
        assert off - asleep <= 3.02 * 16_000
        bench.device.advance(bench.device.now_s + passed_s)
        bench.until(lambda: bool(bench.of(Connected)), 5.0)
        assert bench.device.request(Method.SET_VOLUME, SetVolumeArgs(50)) == SetVolumeResult(50, 0)


class AppTask:
    """Visits a frame as the firmware's app task does: when it asked for it, and when the port may have room again.

    Attributes:
        visits: how often.
        early: how many of them were asked for at once though the port had room.
    """

    MAIN_C = Path(__file__).parents[2] / "hardware/firmware/main/main.c"

    def __init__(self, host: RawHost, parts: Peripherals) -> None:
        blocked = re.search(r"#define BLOCKED_SLEEP_MS (\d+)u", self.MAIN_C.read_text(encoding="utf-8"))
        assert blocked is not None
        self._blocked_us = 1000 * int(blocked[1])
        self._host, self._parts = host, parts
        self.visits = self.early = 0

    def live(self, for_us: int, room: int, late_us: int = 0) -> bytes:
        """For so long. Three pings and one tap of the button a second; `late_us`: one visit, in a tap, is that late."""
        host, said = self._host, b""
        end_us = host.now_us + for_us
        ping_us, press_us, late_at_us = host.now_us + 333_333, host.now_us + 250_000, host.now_us + 270_000
        next_us = host.now_us
        while host.now_us < end_us:
            wanted_us = next_us if next_us > host.now_us else host.now_us + self._blocked_us
            if late_us and wanted_us >= late_at_us:
                wanted_us, late_us = wanted_us + late_us, 0
            host.now_us = min(wanted_us, ping_us, press_us, end_us)
            ping = b""
            if host.now_us == ping_us:
                ping, ping_us = host.pack(m.Ping(token=0)), ping_us + 333_333
            if host.now_us == press_us:
                self._parts.button.press(80)
                press_us += 1_000_700  # at another point between two visits each time
            tx, next_us = host.frame.step(host.now_us, ping, room)
            said += tx
            self.visits += 1
            self.early += room > 0 and next_us <= host.now_us
        return said


def crowded(late_us: int = 0) -> tuple[RawHost, AppTask, Peripherals]:
    """A frame that captures, and for ten seconds a host that does not read."""
    parts = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))
    host = RawHost(SimulatedFrame(parts))
    host.connect()
    host.call(m.Method.CAPTURE_START, m.CaptureStartArgs(0))
    host.advance(1_000_000)
    task = AppTask(host, parts)
    assert task.live(10_000_000, room=0, late_us=late_us) == b""
    return host, task, parts


def test_a_host_that_does_not_read_for_ten_seconds_stops_nothing_on_the_frame() -> None:
    """The frame's loop is on time, drops the oldest sound and counts it exactly, and is itself again at once."""
    host, task, parts = crowded()
    assert task.visits <= 10_000_000 // 2_000 + 200, "it spins"
    resumed = len(host.log)
    host.advance(1_000_000)
    heard = all_of(host.log, m.MicAudio)
    assert isinstance(parts.microphone, ScriptedMicrophone)
    assert len(parts.microphone.recorded) == 2 * FRAME_SAMPLES * (len(heard) + heard[-1].dropped_frames)
    assert heard[-1].dropped_frames > 480
    later = all_of(host.log[resumed:], m.MicAudio)
    assert [audio.sample for audio in later] == list(range(later[0].sample, later[-1].sample + 1, FRAME_SAMPLES))
    assert later[-1].sample >= host.now_us * 16 // 1000 - 2 * FRAME_SAMPLES
    stats = host.stats()
    assert 0 < stats.loop_worst_us <= 5_000
    assert stats.mic_dropped_frames == heard[-1].dropped_frames


def test_a_loop_that_is_late_while_the_host_does_not_read_shows() -> None:
    host, _, _ = crowded(late_us=15_000)
    host.advance(1_000_000)
    assert 5_000 < host.stats().loop_worst_us <= 17_000


def test_a_frame_that_can_send_does_not_ask_for_a_visit_at_once() -> None:
    host, task, parts = crowded()
    host.advance(1_000_000)
    task = AppTask(host, parts)
    assert task.live(2_000_000, room=ENDLESS)
    assert task.early == 0
    assert task.visits <= 2 * (50 + 10 + 15), "blocks, what repeats, and what a tap of the button leads to"


# ---- the frame stalls
class Stalls:
    """A frame that does not look at its receive ring for 400 ms now and then: it erases flash."""

    STALL_US = 1000 * m.STALL_MS

    def __init__(self, frame: Steppable) -> None:
        self.most_bytes = 0
        self.stalls = 0
        self._frame = frame
        self._ring = b""
        self._until_us = 0
        self._again_us = 300_000

    def step(self, now_us: int, rx: bytes, room: int = ENDLESS) -> tuple[bytes, int]:
        self._ring += rx
        self.most_bytes = max(self.most_bytes, len(self._ring))
        if now_us >= self._again_us:
            self._until_us, self._again_us = now_us + self.STALL_US, now_us + 2 * self.STALL_US
            self.stalls += 1
        if now_us < self._until_us:
            return b"", self._until_us
        heard, self._ring = self._ring, b""
        tx, next_us = self._frame.step(now_us, heard, room)
        return tx, min(next_us, self._again_us)

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def close(self) -> None:
        self._frame.close()


def test_what_a_host_may_send_while_the_frame_stalls_fits_its_ring() -> None:
    with Bench(wrap=Stalls) as bench:
        assert isinstance(bench.wrapped, Stalls)
        device = bench.device
        answers: list[CallFinished] = []
        sent: list[object] = []
        device.request(Method.SET_VOLUME, SetVolumeArgs(100))
        device.play(device.new_stream(), ramp(60_000), last=True)
        data = random.Random(1).randbytes(200_000)
        device._submit(lambda: device._core.post_object(ObjectKind.TEST, data, sent.append, None, 60.0))
        bench.start_capture()
        for _ in range(100):
            for _ in range(5):
                device.post(Method.GET_STATE, None, answers.append, 10.0)
            bench.pass_s(0.05)
        bench.until(lambda: bool(sent), 60.0)
        bench.until(lambda: len(answers) == 500, 10.0)
        bench.until(lambda: bool(ended_of(bench)), 10.0)
        assert bench.wrapped.stalls > 5
        assert 8_000 < bench.wrapped.most_bytes <= 16_384
        assert [a.error for a in answers] == [None] * 500
        assert not isinstance(sent[0], BridgeError)
        assert [n for n in numbers(bytes(bench.parts.speaker.recorded)) if n] == list(range(1, 60_001))
        stats = bench.stats()
        assert (stats.rx_bad_frames, stats.rx_lost_frames, stats.rx_refused_frames) == (0, 0, 0)
        heard = [event for _, event in bench.events if isinstance(event, AudioReceived)]
        made = (heard[-1].sample - heard[0].sample) // FRAME_SAMPLES + 1
        assert made == len(heard) + heard[-1].dropped_frames
        assert stats.mic_dropped_frames == heard[-1].dropped_frames


# ---- baud mismatch
def test_sides_at_different_rates_meet_at_the_start_rate_within_two_seconds() -> None:
    with Bench(baud=2_000_000) as bench:
        assert bench.device.baud == 2_000_000
        bench.pass_s(1.0)
        bench.parts.baud = 1_000_000  # the frame's clock tree is not what it believes
        since_s = bench.device.now_s
        bench.until(lambda: bool(bench.of(RateChanged)), 2.0)
        reason = next(event.reason for _, event in bench.events if isinstance(event, RateChanged))
        assert "2000000" in reason
        assert "115200" in reason
        bench.until(
            lambda: not isinstance(outcome_of(lambda: bench.device.request(Method.GET_STATE)), BridgeError), 2.0
        )
        assert bench.device.now_s - since_s <= 2.0
        assert bench.device.baud == m.START_BAUD
        assert not bench.of(Disconnected), "the session goes on"


# ---- text on the line
def test_a_boot_log_and_a_modem_manager_make_no_false_frame() -> None:
    with Bench(Faults(bootlog=True)) as bench:
        stats = bench.device.stats()
        assert (stats.rx_bad_frames, stats.rx_foreign_frames, stats.rx_unknown_frames) == (1, 0, 0)
        assert "ESP-ROM:esp32s3" in bench.device.console.text
        frame = bench.stats()
        assert frame.rx_bad_frames <= 1
        assert (frame.rx_foreign_frames, frame.rx_refused_frames) == (0, 0)


# ---- USB packets
def test_an_echo_of_every_size_is_back_within_100_ms_through_usb_packets() -> None:
    """64 octets a millisecond either way, as full speed USB with one packet per frame of the bus."""
    host = RawHost(SimulatedFrame(Peripherals()))
    ack = host.connect()
    assert ack.test_window == m.Window.TEST
    room = m.MAX_PAYLOAD_BYTES - 1
    for size in range(1, room + 1):
        data = bytes(octet or 1 for octet in random.Random(size).randbytes(size)) if size % 2 else bytes(size)
        wire = host.pack(m.Echo(number=size & 0xFF, data=data))
        started_us, back, heard = host.now_us, b"", None
        packets = [wire[at : at + 64] for at in range(0, len(wire), 64)]
        while heard is None:
            host.now_us += 1_000
            assert host.now_us <= started_us + 1_000 * len(packets) + 100_000, f"{size} octets are held"
            tx, _ = host.frame.step(host.now_us, packets.pop(0) if packets else b"", 64)
            back += tx
            *pieces, back = back.split(b"\0")
            frames = [found for found in map(Frame.decode, pieces) if found is not None]
            heard = next((f for f in frames if f.channel == Channel.TEST), None)
        assert heard.payload == bytes((size & 0xFF,)) + data


# ---- wraps
def test_the_frames_clock_wraps_without_a_stall() -> None:
    """A 32-bit count of microseconds, then one of milliseconds, overflows in the middle of everything."""

    class Late:
        def __init__(self, frame: Steppable, by_us: int) -> None:
            self._frame, self._by_us = frame, by_us

        def step(self, now_us: int, rx: bytes, room: int = ENDLESS) -> tuple[bytes, int]:
            tx, next_us = self._frame.step(now_us + self._by_us, rx, room)
            return tx, max(0, next_us - self._by_us)

        def set_baud(self, baud: int) -> None:
            self._frame.set_baud(baud)

        def close(self) -> None:
            self._frame.close()

    for wrap_us in (1 << 31, 1 << 32, 1000 << 32):
        with Bench(wrap=lambda frame, at=wrap_us: Late(frame, at - 2_000_000)) as bench:  # type: ignore[misc]
            bench.start_capture()
            bench.device.request(Method.SET_VOLUME, SetVolumeArgs(100))
            bench.device.play(bench.device.new_stream(), ramp(60_000), last=True)
            for _ in range(8):
                bench.pass_s(0.5)
                assert isinstance(bench.device.request(Method.GET_STATE), GetStateResult)
            heard = [event.sample for _, event in bench.events if isinstance(event, AudioReceived)]
            assert heard == list(range(heard[0], heard[0] + FRAME_SAMPLES * len(heard), FRAME_SAMPLES))
            played = [n for n in numbers(bytes(bench.parts.speaker.recorded)) if n]
            assert played == list(range(1, 60_001))
            assert bench.device.take_photo() == built_in_picture()


def test_a_channels_numbers_wrap_without_a_stall() -> None:
    host = RawHost(SimulatedFrame(Peripherals()))
    host.connect()
    replies = 0
    for n in range(70_000):
        call = m.Call(call_id=n & 0xFFFF, method=m.Method.SET_VOLUME, args=bytes((n % 101,)))
        tx, _ = host.frame.step(host.now_us, host.pack(call))
        replies += tx.count(b"\0") > 0
        if n % 100 == 0:
            host.now_us += 20_000
    assert replies == 70_000
    assert host.seq[m.Channel.RPC] == 70_000 & 0xFFFF
    assert host.state().volume_percent == 69_999 % 101


# ---- clocks that drift apart
class Drifts:
    """The frame's crystal is off by some parts in a million."""

    def __init__(self, frame: Steppable, ppm: int) -> None:
        self._frame, self._ppm = frame, ppm

    def step(self, now_us: int, rx: bytes, room: int = ENDLESS) -> tuple[bytes, int]:
        tx, next_us = self._frame.step(now_us + now_us * self._ppm // 1_000_000, rx, room)
        return tx, -(-next_us * 1_000_000 // (1_000_000 + self._ppm))

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def close(self) -> None:
        self._frame.close()


class Talk:
    """Duplex sound over clocks that drift apart. Nothing of it is kept but the places where it has holes.

    Attributes:
        holes_s: when an AudioFrame of either direction was missing, on the host's clock; each as often as it was long.
    """

    def __init__(self, ppm: int, minutes: int) -> None:
        parts = Peripherals(microphone=ScriptedMicrophone(keep=False), speaker=SpeakerRecorder(keep=False))
        self.device = LockstepDevice(Drifts(SimulatedFrame(parts), ppm), parts)
        self.holes_s: list[float] = []
        self.heard = 0
        self._expected: int | None = None
        self.device.subscribe(self._on_event)
        self.device.request(Method.CAPTURE_START, CaptureStartArgs(0))
        stream, second = self.device.new_stream(), ramp(16_000)
        for _ in range(60 * minutes):
            self.device.play(stream, second)
            self.device.advance(self.device.now_s + 1.0)
        self.stats = self.device.request(Method.GET_STATS)
        self.device.close()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, AudioReceived):
            missing = 0 if self._expected is None else event.sample - self._expected
            self._expected, self.heard = event.sample + FRAME_SAMPLES, self.heard + 1
        elif isinstance(event, FrameReported) and isinstance(event.message, Underrun):
            missing = event.message.missing_samples
        else:
            return
        self.holes_s += [self.device.now_s] * -(-abs(missing) // FRAME_SAMPLES)

    @property
    def most_in_a_minute(self) -> int:
        """Of any minute, wherever it begins."""
        return max((sum(at_s <= other < at_s + 60.0 for other in self.holes_s) for at_s in self.holes_s), default=0)


@pytest.mark.parametrize("ppm", [200, -200])
def test_an_hour_of_talk_over_drifting_clocks_has_at_most_one_hole_in_any_minute(ppm: int) -> None:
    talk = Talk(ppm, minutes=60)
    assert talk.most_in_a_minute <= 1
    assert isinstance(talk.stats, GetStatsResult)
    assert talk.stats.underruns == len(talk.holes_s), "all of them are the speaker's, and each was told"
    assert talk.stats.mic_dropped_frames == 0
    assert abs(talk.heard - 50 * 3600 * (1 + ppm / 1e6)) < 3


def test_clocks_that_drift_more_do_make_holes() -> None:
    assert Talk(2000, minutes=2).most_in_a_minute > 1


# ---- what a line with a rate carries
RATES = (460_800, 921_600, 2_000_000)
PICTURE_WIRE_BYTES = 45_550
"""A 40 KB picture on the wire, as the design counts it: 0.77 s of what a line of 921600 baud has left beside PCM."""
AUDIO_BYTES_PER_S = {Codec.PCM16: 33_000, Codec.IMA_ADPCM: 9_000}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("way", ["up", "down"])
def test_objects_get_93_percent_of_the_wire(rate: int, way: str) -> None:
    size = 300_000
    with Bench(baud=rate) as bench:
        device, start_s = bench.device, bench.device.now_s
        if way == "up":
            assert len(device.make_test_object(size)) == size
        else:
            device.write_object(ObjectKind.TEST, bytes(range(256)) * (size // 256) + bytes(size % 256))
        assert size / (device.now_s - start_s) >= 0.93 * rate / 10


@pytest.mark.parametrize("codec", [Codec.PCM16, Codec.IMA_ADPCM])
@pytest.mark.parametrize("rate", RATES)
def test_a_photo_beside_sound_takes_the_designs_time_and_makes_no_sound_late(rate: int, codec: Codec) -> None:
    budget_s = PICTURE_WIRE_BYTES / (rate / 10 - AUDIO_BYTES_PER_S[codec])
    with Bench(baud=rate, picture_bytes=PICTURE_BYTES) as bench:
        bench.start_capture(codec)
        bench.pass_s(1.0)

        def lateness() -> list[float]:
            """How long after its last sample each AudioFrame came, in seconds."""
            found = [(at_s, event.sample) for at_s, event in bench.events if isinstance(event, AudioReceived)]
            bench.events.clear()
            return [at_s - (sample + FRAME_SAMPLES) / 16_000 for at_s, sample in found]

        alone = lateness()
        start_s = bench.device.now_s
        assert bench.device.take_photo(timeout_s=20.0) == large_picture(PICTURE_BYTES)
        took_s = bench.device.now_s - start_s - 0.1  # the exposure
        beside = lateness()
        assert took_s <= 1.1 * budget_s
        assert len(beside) >= 45 * took_s
        assert max(beside) <= max(alone) + 0.020
        assert bench.stats().mic_dropped_frames == 0
