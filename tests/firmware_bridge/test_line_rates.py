"""Host and the firmware's own core over a line that has a rate, in virtual time: switched, broken, reset, unplugged."""

from __future__ import annotations

import pytest
from tests.support.sound import ramp

from lorgnette.firmware_bridge.link_events import (
    AudioReceived,
    CallFinished,
    Connected,
    Disconnected,
    Event,
    FrameReported,
    RateChanged,
)
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import (
    START_BAUD,
    CaptureStartArgs,
    Codec,
    GetStatsResult,
    Method,
    PlaybackEnd,
    PlaybackEnded,
    SetVolumeArgs,
)
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.microphone import ScriptedMicrophone
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals


def uart(**parts: object) -> Peripherals:
    return Peripherals(max_baud=2_000_000, **parts)  # type: ignore[arg-type]


def opened(peripherals: Peripherals, baud: int = 921_600) -> tuple[LockstepDevice, list[Event]]:
    device = LockstepDevice(SimulatedFrame(peripherals), peripherals, baud=baud)
    seen: list[Event] = []
    device.subscribe(seen.append)
    return device, seen


def frame_baud(device: LockstepDevice) -> int:
    stats = device.request(Method.GET_STATS)
    assert isinstance(stats, GetStatsResult)
    return stats.baud


@pytest.mark.parametrize("baud", [START_BAUD, 230_400, 460_800, 921_600, 2_000_000])
def test_both_sides_have_the_rate_that_was_wanted(baud: int) -> None:
    peripherals = uart()
    device, seen = opened(peripherals, baud)
    assert device.baud == baud == peripherals.baud == frame_baud(device)
    device.advance(5.0)
    assert device.baud == baud == peripherals.baud
    assert device.stats().rx_bad_frames == 0
    assert seen == []
    device.close()


def test_a_usb_line_has_none() -> None:
    device, _ = opened(Peripherals())
    assert (device.baud, device.codec, frame_baud(device)) == (0, Codec.PCM16, 0)
    device.close()


def test_more_than_the_line_can_do_is_not_asked_for() -> None:
    device, _ = opened(uart(), 3_000_000)
    assert device.baud == 2_000_000
    device.close()


def test_a_slow_line_carries_adpcm_both_ways() -> None:
    peripherals = uart(microphone=ScriptedMicrophone(ramp(60_000)))
    device, seen = opened(peripherals, 460_800)
    assert device.codec is Codec.IMA_ADPCM
    device.request(Method.SET_VOLUME, SetVolumeArgs(100))
    device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
    before = device.stats().rx_bytes
    device.advance(device.now_s + 1.0)
    heard = [e for e in seen if isinstance(e, AudioReceived)]
    assert 49 <= len(heard) <= 51
    assert {len(e.pcm) for e in heard} == {640}
    assert device.stats().rx_bytes - before < 12_000, "180 octets an AudioFrame, not 660"
    device.request(Method.CAPTURE_STOP)
    stream = device.new_stream()
    device.play(stream, ramp(8_001), last=True)
    device.advance(device.now_s + 1.5)
    (ended,) = [e.message for e in seen if isinstance(e, FrameReported) and isinstance(e.message, PlaybackEnded)]
    assert (ended.reason, ended.played_samples) == (PlaybackEnd.PLAYED, 8_002), "an even number of samples"
    device.close()


class Cuts:
    """A frame behind a cable that is cut and mended; its line's rate may be spoilt."""

    def __init__(self, frame: SimulatedFrame) -> None:
        self.frame = frame
        self.cut = False
        self.spoilt_above = 0  # nothing comes through at a higher rate
        self._baud = START_BAUD

    def step(self, now_us: int, rx: bytes, room: int = 65_536) -> tuple[bytes, int]:
        lost = self.cut or (self.spoilt_above and self._baud > self.spoilt_above)
        tx, next_us = self.frame.step(now_us, b"" if lost else rx, room)
        return b"" if lost else tx, next_us

    def set_baud(self, baud: int) -> None:
        self._baud = baud
        self.frame.set_baud(baud)

    def close(self) -> None:
        self.frame.close()


def behind_cable(peripherals: Peripherals, **cable: int) -> tuple[LockstepDevice, Cuts, list[Event]]:
    line = Cuts(SimulatedFrame(peripherals))
    for name, value in cable.items():
        setattr(line, name, value)
    device = LockstepDevice(line, peripherals)
    seen: list[Event] = []
    device.subscribe(seen.append)
    return device, line, seen


def test_a_cable_that_cannot_do_the_rate_costs_half_a_second() -> None:
    device, _, seen = behind_cable(uart(), spoilt_above=460_800)
    assert device.baud == START_BAUD
    assert device.now_s < 2.0
    assert device.codec is Codec.IMA_ADPCM
    assert frame_baud(device) == START_BAUD
    assert not [e for e in seen if isinstance(e, Disconnected)]
    device.close()


def test_a_cable_that_breaks_at_the_rate_goes_back_with_its_microphone() -> None:
    """A baud mismatch in the middle of a session: 115200 again within 2 s, and the message names it."""
    peripherals = uart(microphone=ScriptedMicrophone(ramp(60_000)))
    device, line, seen = behind_cable(peripherals)
    device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
    device.advance(device.now_s + 0.5)
    broken_s = device.now_s
    line.spoilt_above = 460_800
    while not [e for e in seen if isinstance(e, RateChanged)]:
        device.advance(device.now_s + 0.01)
        assert device.now_s < broken_s + 2.0
    (changed,) = [e for e in seen if isinstance(e, RateChanged)]
    assert changed.baud == START_BAUD == device.baud
    assert "921600" in changed.reason
    device.request(Method.GET_STATE)
    assert device.now_s < broken_s + 2.5
    assert not [e for e in seen if isinstance(e, Disconnected)]
    device.advance(broken_s + 4.0)
    seen.clear()
    before = device.stats().rx_bytes
    device.advance(device.now_s + 1.0)
    assert 49 <= len([e for e in seen if isinstance(e, AudioReceived)]) <= 51
    assert device.stats().rx_bytes - before < 12_000, "ADPCM now"
    device.close()


def test_a_frame_that_is_reset_at_a_switched_rate_is_back_within_5_s() -> None:
    peripherals = uart()
    device, line, seen = behind_cable(peripherals)
    reset_s = device.now_s + 0.4
    device.advance(reset_s)
    line.cut = True
    device.advance(reset_s + 0.3)  # it boots
    line.frame = SimulatedFrame(peripherals)
    line.frame.set_baud(line._baud)
    line.cut = False
    while not [e for e in seen if isinstance(e, Connected)]:
        device.advance(device.now_s + 0.01)
        assert device.now_s < reset_s + 5.0
    assert device.baud == 921_600 == frame_baud(device)
    (lost,) = [e for e in seen if isinstance(e, Disconnected)]
    assert "started anew" in str(lost.error)
    device.close()


@pytest.mark.parametrize("peripherals", [uart(), Peripherals()], ids=["uart", "usb"])
def test_a_reset_fails_what_was_under_way_and_is_noticed_by_the_next_ping(peripherals: Peripherals) -> None:
    line = Cuts(SimulatedFrame(peripherals))
    device = LockstepDevice(line, peripherals, baud=START_BAUD)
    seen: list[Event] = []
    ended: list[CallFinished] = []
    device.subscribe(seen.append)
    device.advance(2.0)
    line.cut = True
    device.post(Method.SET_VOLUME, SetVolumeArgs(7), ended.append, 10.0)
    reset_s = device.now_s
    device.advance(reset_s + 0.3)
    line.frame = SimulatedFrame(peripherals)
    line.cut = False
    while not [e for e in seen if isinstance(e, Connected)]:
        device.advance(device.now_s + 0.01)
        assert device.now_s < reset_s + 2.0
    (finished,) = ended
    assert type(finished.error).__name__ == "OutcomeUnknown"
    device.close()
