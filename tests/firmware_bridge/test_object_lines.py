"""Objects between host and the firmware's own core, over lines with a rate, bad ones, and one that is unplugged."""

from __future__ import annotations

import random

import pytest
from tests.support.sound import ramp

from lorgnette.firmware_bridge.errors import BridgeError, DeviceLost, RequestRefused, RequestTimeout
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.faulty_frame import FaultyFrame
from lorgnette.firmware_bridge.frame import Frame
from lorgnette.firmware_bridge.link_events import Disconnected, Event, FrameReported
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import (
    MAX_TEST_OBJECT_BYTES,
    Channel,
    Flag,
    Method,
    ObjectKind,
    PlaybackEnd,
    PlaybackEnded,
    SetVolumeArgs,
)
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

DATA = random.Random(1).randbytes(100_000)


def behind(faults: Faults, *, baud: int = 0, seed: int = 1) -> tuple[LockstepDevice, FaultyFrame]:
    """`baud`: the rate of the line; 0 for one without."""
    peripherals = Peripherals(max_baud=2_000_000 if baud else 0)
    line = FaultyFrame(lambda: SimulatedFrame(peripherals), faults, seed, uart=bool(baud))
    return LockstepDevice(line, peripherals, baud=baud or 921_600), line


@pytest.mark.parametrize(("baud", "least"), [(115_200, 0.80), (460_800, 0.93), (921_600, 0.93), (2_000_000, 0.93)])
def test_objects_use_the_line_both_ways(baud: int, least: float) -> None:
    device, _ = behind(Faults(), baud=baud)
    begun_s = device.now_s
    device.write_object(ObjectKind.TEST, DATA)
    written_s = device.now_s
    assert len(device.make_test_object(len(DATA))) == len(DATA)
    read_s = device.now_s
    octets_s = baud / 10
    assert len(DATA) / (written_s - begun_s) / octets_s >= least
    assert len(DATA) / (read_s - written_s) / octets_s >= least
    assert device.stats().bulk_restarts == 0
    device.close()


def test_progress_grows_to_the_whole() -> None:
    device, _ = behind(Faults(), baud=921_600)
    written: list[tuple[int, int]] = []
    read: list[tuple[int, int]] = []
    device.write_object(ObjectKind.TEST, DATA, progress=lambda *pair: written.append(pair))
    device.make_test_object(50_000, progress=lambda *pair: read.append(pair))
    for told, size in ((written, len(DATA)), (read, 50_000)):
        assert len(told) > 10
        assert told == sorted(told)
        assert {total for _, total in told} == {size}
        assert told[-1][0] > size - 10_000
    device.close()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("baud", [0, 921_600])
def test_objects_survive_a_bad_line(baud: int, seed: int) -> None:
    device, _ = behind(Faults(drop=0.02, lose=0.02, duplicate=0.02, reorder=0.02, splice=0.01), baud=baud, seed=seed)
    device.write_object(ObjectKind.TEST, DATA)
    assert len(device.make_test_object(len(DATA))) == len(DATA)
    assert device.stats().bulk_restarts > 0
    device.close()


def test_an_object_goes_on_after_an_unplug() -> None:
    device, _ = behind(Faults(unplug_s=((0.8, 1.0),)), baud=921_600)
    seen: list[Event] = []
    device.subscribe(seen.append)
    device.write_object(ObjectKind.TEST, DATA)
    assert [e for e in seen if isinstance(e, Disconnected)]
    assert device.now_s < 3.0, "1.1 s on the wire, 1 s without a cable, and up to a second until the port is tried"
    assert device.stats().tx_bytes < 1.1 * len(DATA), "what was there already was not sent again"
    device.close()


def test_an_object_that_is_made_is_made_anew_after_an_unplug() -> None:
    """With its session a frame forgets what it had to give."""
    device, _ = behind(Faults(unplug_s=((0.8, 1.0),)), baud=921_600)
    assert len(device.make_test_object(len(DATA))) == len(DATA)
    assert device.now_s < 4.0
    device.close()


def test_a_reset_makes_an_object_begin_anew() -> None:
    device, line = behind(Faults(reset_s=(0.8,)), baud=921_600)
    device.write_object(ObjectKind.TEST, DATA)
    assert line.counts["reset"] == 1
    assert len(device.make_test_object(30_000)) == 30_000
    device.close()


def test_an_object_that_is_made_is_made_anew_after_a_reset() -> None:
    device, line = behind(Faults(reset_s=(0.8,)), baud=921_600)
    assert len(device.make_test_object(len(DATA))) == len(DATA)
    assert line.counts["reset"] == 1
    device.close()


def test_a_cable_that_stays_out_ends_with_the_time_allowed() -> None:
    device, _ = behind(Faults(unplug_s=((0.8, 1000.0),)), baud=921_600)
    with pytest.raises(RequestTimeout):
        device.write_object(ObjectKind.TEST, DATA, timeout_s=3.0)
    with pytest.raises(RequestTimeout):
        device.make_test_object(1000, timeout_s=3.0)
    device.close()


def test_what_a_frame_does_not_take_is_told() -> None:
    device, _ = behind(Faults())
    with pytest.raises(RequestRefused):
        device.write_object(ObjectKind.TEST, bytes(MAX_TEST_OBJECT_BYTES + 1))
    with pytest.raises(RequestRefused):
        device.make_test_object(MAX_TEST_OBJECT_BYTES + 1)
    with pytest.raises(BridgeError, match="0 bytes"):
        device.write_object(ObjectKind.TEST, b"")
    device.close()


def test_a_link_that_is_closed_ends_what_waits() -> None:
    device, _ = behind(Faults(), baud=921_600)
    outcomes: list[bytes | BridgeError] = []
    device._core.post_object(ObjectKind.TEST, DATA, outcomes.append, None, 10.0)
    device.advance(device.now_s + 0.1)
    device.close()
    (outcome,) = outcomes
    assert isinstance(outcome, DeviceLost)


# ---- the end of a stream
class LosesEnds:
    """Loses the first frames that carry the mark of a stream's end."""

    def __init__(self, frame: SimulatedFrame, lose: int) -> None:
        self.frame = frame
        self.left = lose

    def step(self, now_us: int, rx: bytes, room: int = 65_536) -> tuple[bytes, int]:
        kept = []
        for piece in rx.split(b"\0"):
            frame = Frame.decode(piece) if piece else None
            if frame is not None and frame.channel == Channel.SPEAKER and frame.flags & Flag.LAST and self.left:
                self.left -= 1
                continue
            kept.append(piece)
        return self.frame.step(now_us, b"\0".join(kept), room)

    def set_baud(self, baud: int) -> None:
        self.frame.set_baud(baud)

    def close(self) -> None:
        self.frame.close()


@pytest.mark.parametrize("max_baud", [0, 115_200])
@pytest.mark.parametrize("lost", [0, 1, 2])
@pytest.mark.parametrize("samples", [8_000, 8_100, 20])
def test_a_lost_end_of_a_stream_costs_half_a_second_not_three(lost: int, samples: int, max_baud: int) -> None:
    peripherals = Peripherals(max_baud=max_baud)
    device = LockstepDevice(LosesEnds(SimulatedFrame(peripherals), lost), peripherals)
    seen: list[Event] = []
    device.subscribe(seen.append)
    device.request(Method.SET_VOLUME, SetVolumeArgs(100))
    begun_s = device.now_s
    device.play(device.new_stream(), ramp(samples), last=True)
    device.advance(begun_s + samples / 16_000 + 0.2 + 0.75 * lost)
    (ended,) = [e.message for e in seen if isinstance(e, FrameReported) and isinstance(e.message, PlaybackEnded)]
    assert ended.reason == PlaybackEnd.PLAYED
    # The mark travels with the last samples: where it is lost, so are they.
    assert ended.played_samples == (samples if not lost else (samples - 1) // 320 * 320)
    device.close()
