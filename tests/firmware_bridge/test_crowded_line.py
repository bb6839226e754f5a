"""Lines without a rate that are slower than PCM needs: when the host goes over to ADPCM, and when it must not."""

from __future__ import annotations

import pytest
from tests.firmware_bridge.test_rates import Uart
from tests.support.sound import ramp
from tests.support.wire import of

from lorgnette.firmware_bridge import adpcm
from lorgnette.firmware_bridge.crowding import MISSING_FRAMES, MOST_AT_ONCE, WITHIN_S, Crowding
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.faulty_frame import FaultyFrame
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import AudioReceived, Event, FrameReported, RateChanged
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import (
    Call,
    CaptureStartArgs,
    Codec,
    Flag,
    GetStateResult,
    Method,
    MicAudio,
    ObjectKind,
    PlaybackEnded,
    Underrun,
)
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.microphone import ScriptedMicrophone
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

PCM = ramp(320)
BLOCK = adpcm.encode(PCM, adpcm.AdpcmState())[0]


class Glasses:
    """A simulated frame over a line of `rate_baud` of which neither side knows, in virtual time."""

    def __init__(self, rate_baud: int) -> None:
        peripherals = Peripherals(microphone=ScriptedMicrophone(ramp(60_000) * 10))
        self.frame = FaultyFrame(lambda: SimulatedFrame(peripherals), Faults(rate_baud=rate_baud))
        self.device = LockstepDevice(self.frame, peripherals)
        self.seen: list[Event] = []
        self.device.subscribe(self.seen.append)

    def listen(self) -> None:
        self.device.request(Method.CAPTURE_START, CaptureStartArgs(self.device.codec))

    def live(self, seconds_s: float) -> list[Event]:
        """What happens from now on for so long."""
        self.seen.clear()
        self.device.advance(self.device.now_s + seconds_s)
        return list(self.seen)

    def speak(self, samples: int) -> list[Event]:
        stream = self.device.new_stream()
        self.device.play(stream, ramp(samples), last=True)
        return self.live(samples / 16_000 + 1.0)


def reported(kind: type, events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, FrameReported) and isinstance(event.message, kind)]


def changes(events: list[Event]) -> list[RateChanged]:
    return [event for event in events if isinstance(event, RateChanged)]


def heard(events: list[Event]) -> list[AudioReceived]:
    return [event for event in events if isinstance(event, AudioReceived)]


# ---- the whole of it
@pytest.mark.parametrize("rate_baud", [115_200, 200_000])
def test_a_line_that_loses_pcm_carries_adpcm_and_loses_nothing(rate_baud: int) -> None:
    glasses = Glasses(rate_baud)
    glasses.listen()
    (change,) = changes(glasses.live(3.0))
    assert change.baud == 0 and "ADPCM" in change.reason
    assert glasses.device.codec is Codec.IMA_ADPCM
    lost = glasses.device.stats().mic_dropped_frames
    assert lost > MISSING_FRAMES
    events = glasses.live(10.0)
    assert glasses.device.stats().mic_dropped_frames == lost
    assert len(heard(events)) >= 499 and {len(event.pcm) for event in heard(events)} == {640}
    events = glasses.speak(64_000)
    assert not reported(Underrun, events) and len(reported(PlaybackEnded, events)) == 1
    assert glasses.device.stats().mic_dropped_frames == lost
    assert changes(events) == []


def test_a_line_that_is_fast_enough_keeps_pcm() -> None:
    glasses = Glasses(400_000)
    glasses.listen()
    glasses.live(5.0)
    events = glasses.speak(64_000)
    assert glasses.device.codec is Codec.PCM16 and changes(events) == []
    assert glasses.device.stats().mic_dropped_frames == 0 and not reported(Underrun, events)


def test_requests_and_objects_get_through_beside_the_microphone() -> None:
    glasses = Glasses(115_200)
    glasses.listen()
    for _ in range(5):  # from the very first moment on
        assert isinstance(glasses.device.request(Method.GET_STATE), GetStateResult)
    assert len(glasses.device.make_test_object(20_000)) == 20_000
    glasses.device.write_object(ObjectKind.TEST, ramp(10_000))
    glasses.device.request(Method.CAPTURE_STOP)


def test_speech_alone_shows_it_too() -> None:
    glasses = Glasses(115_200)
    events = glasses.speak(65_000)
    assert len(changes(events)) == 1 and reported(Underrun, events)
    assert not reported(Underrun, glasses.speak(64_000))


def test_speech_that_is_made_too_slowly_is_not_the_fault_of_the_line() -> None:
    glasses = Glasses(400_000)
    stream = glasses.device.new_stream()
    events = []
    for _ in range(100):
        glasses.device.play(stream, PCM)
        events += glasses.live(0.05)
    assert len(reported(Underrun, events)) > 20
    assert changes(events) == [] and glasses.device.codec is Codec.PCM16


def test_a_host_that_does_not_read_for_a_while_keeps_pcm() -> None:
    glasses = Glasses(0)
    glasses.listen()
    glasses.live(1.0)
    for _ in range(3):
        lost = glasses.device.stats().mic_dropped_frames
        glasses.frame.up.stand_still(round(1e6 * (glasses.device.now_s + 1.5)))
        assert changes(glasses.live(4.0)) == []
        assert glasses.device.stats().mic_dropped_frames > lost + MISSING_FRAMES
    assert glasses.device.codec is Codec.PCM16


# ---- octet by octet
def usb(adpcm_known: bool = True) -> Uart:
    uart = Uart(Link("/dev/ttyACM0"), 0)
    if adpcm_known:
        uart.meet()
    else:
        uart.connect(max_baud=0)
    uart.pass_time(0.1)
    uart.link.call(Method.CAPTURE_START, CaptureStartArgs(0))
    uart.pull()
    return uart


def lose(uart: Uart, *counts: int) -> list[Call]:
    """The microphone's AudioFrames, each with one of these counts of lost ones; what the host asks then."""
    for count in counts:
        uart.send(MicAudio(0, count, PCM))
    return of(Call, uart.pull())


def test_the_host_asks_once_and_for_as_long_as_pcm_comes() -> None:
    uart = usb()
    assert lose(uart, 2, 4) == []
    (call,) = lose(uart, 6, 8, 10)
    assert (call.method, call.args) == (Method.CAPTURE_START, bytes([Codec.IMA_ADPCM]))
    assert [type(event) for event in iter(uart.link.next_event, None)].count(RateChanged) == 1
    uart.send(MicAudio(0, 40, BLOCK), flags=Flag.ADPCM)
    assert lose(uart, 60, 80) == [] and uart.link.codec is Codec.IMA_ADPCM


def test_a_frame_that_knows_no_adpcm_is_not_asked() -> None:
    uart = usb(adpcm_known=False)
    assert lose(uart, *range(0, 100, 2)) == [] and uart.link.codec is Codec.PCM16


def test_a_line_with_a_rate_is_left_at_its_codec() -> None:
    uart = Uart(Link("/dev/ttyUSB0", 921_600), 2_000_000)
    uart.meet()
    uart.pass_time(0.1)
    uart.link.call(Method.CAPTURE_START, CaptureStartArgs(0))
    uart.pull()
    assert lose(uart, *range(0, 100, 2)) == [] and uart.link.codec is Codec.PCM16


# ---- what counts
def test_few_or_late_or_one_long_gap_is_no_crowd() -> None:
    few = Crowding()
    assert not any(few.missing(1, 0.1 * number) for number in range(MISSING_FRAMES))
    late = Crowding()
    assert not any(late.missing(1, 1.1 * WITHIN_S / MISSING_FRAMES * number) for number in range(100))
    long = Crowding()
    assert not any(long.missing(500, (WITHIN_S + 0.1) * number) for number in range(10))
    assert not any((few.found, late.found, long.found))


def test_a_crowd_is_told_once_and_stays() -> None:
    crowding = Crowding()
    told = [crowding.missing(MOST_AT_ONCE, 10.0 + number) for number in range(6)]
    assert told == [False, True, False, False, False, False]
    assert not crowding.missing(0, 1e6) and crowding.found
