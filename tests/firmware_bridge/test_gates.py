"""The link's promises under each kind of fault, one by one, with their figures, in virtual time.

The seeds of the simulation (test_simulation.py) mix all of them; here each stands alone, with its figure.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import pytest
from tests.support.raw_host import RawHost, all_of
from tests.support.sound import numbers, ramp

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.errors import BridgeError, DeviceLost, OutcomeUnknown, RequestRefused
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
    Method,
    ObjectKind,
    PlaybackEnded,
    SetVolumeArgs,
    SetVolumeResult,
)
from lorgnette.firmware_bridge.sim_transport import Steppable
from lorgnette.firmware_bridge.simulator import Peripherals, ScriptedMicrophone, SimulatedFrame
from lorgnette.firmware_bridge.simulator.picture import built_in_picture
from lorgnette.firmware_bridge.simulator.url import MAX_BAUD

PICTURE_BYTES = 40_960


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


def test_at_one_error_in_a_hundred_thousand_bits_a_photo_is_exact_and_takes_half_as_long_again_at_most() -> None:
    def seconds(flip: float, seed: int) -> float:
        with Bench(Faults(flip=flip), seed=seed, baud=921_600, picture_bytes=PICTURE_BYTES) as bench:
            start_s = bench.device.now_s
            assert bench.device.take_photo() == large_picture(PICTURE_BYTES)
            return bench.device.now_s - start_s

    clean_s = seconds(0.0, 1)
    hurt_s = [seconds(1e-5, seed) for seed in range(20)]
    assert max(hurt_s) > clean_s
    assert sum(hurt_s) / len(hurt_s) <= 1.5 * clean_s


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
@pytest.mark.parametrize("faults", [Faults(duplicate=1.0), Faults(reorder=0.5), Faults(duplicate=0.5, reorder=0.5)])
def test_duplicates_and_reordering_run_nothing_twice(faults: Faults) -> None:
    with Bench(faults) as bench:
        done = 0
        for _ in range(30):
            for method, args in ((Method.CAPTURE_START, CaptureStartArgs(0)), (Method.CAPTURE_STOP, None)):
                done += not isinstance(outcome_of(lambda: bench.device.request(method, args)), BridgeError)  # noqa: B023
        switched = [change.value for change in bench.parts.changes if change.part == "microphone"]
        assert done == 60
        assert switched == [1, 0] * 30
        assert bench.device.stats().rx_duplicate_frames > 0 or faults.duplicate < 1


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
        reports = [event.message for _, event in bench.events if isinstance(event, FrameReported)]
        assert [r.played_samples for r in reports if isinstance(r, PlaybackEnded)] == [16_000 - 6 * 320]


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
@pytest.mark.parametrize("out_s", [0.3, 2.0, 10.0])
def test_an_unplugged_cable_is_noticed_at_once_and_the_session_is_back_within_two_seconds(out_s: float) -> None:
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


def test_a_host_that_does_not_read_for_ten_seconds_stops_nothing_on_the_frame() -> None:
    """The frame's loop is on time, drops the oldest sound and counts it exactly, and is itself again at once."""
    parts = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))
    frame = SimulatedFrame(parts)
    host = RawHost(frame)
    host.connect()
    host.call(m.Method.CAPTURE_START, m.CaptureStartArgs(0))
    host.advance(1_000_000)
    end_us = host.now_us + 10_000_000
    while host.now_us < end_us:
        host.now_us += 1_000
        ping = host.pack(m.Ping(token=0)) if host.now_us % 500_000 == 0 else b""
        tx, _ = frame.step(host.now_us, ping, 0)
        assert tx == b""
    resumed = len(host.log)
    host.advance(1_000_000)
    heard = all_of(host.log, m.MicAudio)
    assert len(parts.microphone.recorded) == 2 * FRAME_SAMPLES * (len(heard) + heard[-1].dropped_frames)
    assert heard[-1].dropped_frames > 480
    later = all_of(host.log[resumed:], m.MicAudio)
    assert [audio.sample for audio in later] == list(range(later[0].sample, later[-1].sample + 1, FRAME_SAMPLES))
    assert later[-1].sample >= host.now_us * 16 // 1000 - 2 * FRAME_SAMPLES
    stats = host.stats()
    assert stats.loop_worst_us <= 5_000
    assert stats.mic_dropped_frames == heard[-1].dropped_frames


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
        assert bench.wrapped.stalls > 5
        assert 8_000 < bench.wrapped.most_bytes <= 16_384
        assert [a.error for a in answers] == [None] * 500
        assert not isinstance(sent[0], BridgeError)
        played = [n for n in numbers(bytes(bench.parts.speaker.recorded)) if n]
        stats = bench.stats()
        assert (stats.rx_bad_frames, stats.rx_lost_frames, stats.rx_refused_frames) == (0, 0, 0)
        assert len(played) > 0


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
        assert bench.device.now_s - since_s <= 2.5
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


@pytest.mark.parametrize(("ppm", "minutes"), [(200, 60), (-200, 10)])
def test_an_hour_of_talk_over_drifting_clocks_has_at_most_one_hole_a_minute(ppm: int, minutes: int) -> None:
    parts = Peripherals(microphone=ScriptedMicrophone(keep=False))
    parts.speaker = type(parts.speaker)(keep=False)
    device = LockstepDevice(Drifts(SimulatedFrame(parts), ppm), parts)
    heard: list[int] = []
    device.subscribe(lambda event: heard.append(event.sample) if isinstance(event, AudioReceived) else None)
    device.request(Method.CAPTURE_START, CaptureStartArgs(0))
    stream, second = device.new_stream(), ramp(16_000)
    for _ in range(60 * minutes):
        device.play(stream, second)
        device.advance(device.now_s + 1.0)
    stats = device.request(Method.GET_STATS)
    assert isinstance(stats, GetStatsResult)
    assert stats.underruns <= minutes
    assert stats.mic_dropped_frames == 0
    holes = sum(b - a != FRAME_SAMPLES for a, b in itertools.pairwise(heard))
    assert holes <= minutes
    seconds = 60 * minutes * (1 + ppm / 1e6)
    assert abs(len(heard) - 50 * seconds) < 25
    device.close()


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
