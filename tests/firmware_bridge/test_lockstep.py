"""Host and frame together, the frame being the firmware's own core, in virtual time."""

from __future__ import annotations

import io
import itertools

import pytest
from tests.support.sound import numbers, ramp

from lorgnette.firmware_bridge.errors import (
    BridgeError,
    DeviceLost,
    DeviceNotFound,
    LocalProtocolError,
    OutcomeUnknown,
    RequestRefused,
)
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.faulty_frame import FaultyFrame
from lorgnette.firmware_bridge.link_events import (
    AudioReceived,
    CallFinished,
    Connected,
    Disconnected,
    Event,
    FrameReported,
)
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import (
    Button,
    ButtonEvent,
    Capability,
    CaptureEvent,
    CaptureStartArgs,
    CaptureStop,
    CloseReason,
    GetStateResult,
    Led,
    LedEvent,
    Method,
    PhotoEvent,
    PlaybackEnd,
    PlaybackEnded,
    PlaybackStarted,
    SetMuteArgs,
    SetMuteResult,
    SetVolumeArgs,
    SetVolumeResult,
    Underrun,
)
from lorgnette.firmware_bridge.rpc import MAX_ARGS_BYTES
from lorgnette.firmware_bridge.sim_transport import Steppable
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals


def watch(device: LockstepDevice) -> list[Event]:
    seen: list[Event] = []
    device.subscribe(seen.append)
    return seen


def reported(seen: list[Event]) -> list[object]:
    return [event.message for event in seen if isinstance(event, FrameReported)]


def state(device: LockstepDevice) -> GetStateResult:
    result = device.request(Method.GET_STATE)
    assert isinstance(result, GetStateResult)
    return result


def start_capture(device: LockstepDevice) -> None:
    device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))


# ---- the device itself
class Breaks:
    """A frame that breaks when it is told to, and counts how often it was closed."""

    def __init__(self, frame: Steppable | None) -> None:
        self._frame = frame
        self.broken = False
        self.closed = 0

    def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        if self.broken:
            raise ZeroDivisionError
        return self._frame.step(now_us, rx) if self._frame is not None else (b"", now_us + 10_000_000)

    def close(self) -> None:
        self.closed += 1
        if self._frame is not None:
            self._frame.close()


def test_a_frame_that_does_not_answer_is_closed() -> None:
    frame = Breaks(None)
    with pytest.raises(DeviceNotFound):
        LockstepDevice(frame)
    assert frame.closed == 1


def test_a_frame_that_breaks_is_closed_once() -> None:
    frame = Breaks(SimulatedFrame(Peripherals()))
    device = LockstepDevice(frame)
    frame.broken = True
    with pytest.raises(ZeroDivisionError):
        device.close()
    device.close()
    assert frame.closed == 1


def test_a_request_from_a_callback_is_refused_before_it_does_anything(device: LockstepDevice) -> None:
    caught: list[LocalProtocolError] = []

    def callback(_: Event) -> None:
        for ask in (lambda: device.request(Method.SET_VOLUME, SetVolumeArgs(3)), device.take_photo):
            with pytest.raises(LocalProtocolError, match="from a callback") as refused:
                ask()
            caught.append(refused.value)

    device.request(Method.SET_VOLUME, SetVolumeArgs(70))
    end = device.subscribe(callback)
    start_capture(device)
    device.advance(device.now_s + 0.1)
    end()
    assert caught
    device.advance(device.now_s + 1.0)
    assert state(device).volume_percent == 70
    assert state(device).photos_taken == 0


# ---- handshake and requests
def test_the_handshake_takes_no_time_on_a_good_wire(device: LockstepDevice) -> None:
    assert device.now_s < 0.001
    assert device.connected
    assert device.info.protocol == "1.1"
    assert device.info.has_microphone and device.info.has_camera and device.info.has_speaker and device.info.has_battery


def test_a_frame_says_what_it_lacks() -> None:
    bare = Peripherals(battery_percent=None, without=Capability.CAMERA | Capability.SPEAKER)
    with LockstepDevice(SimulatedFrame(bare)) as device:
        assert not (device.info.has_camera or device.info.has_speaker or device.info.has_battery)
        with pytest.raises(RequestRefused, match="no part for") as refused:
            device.take_photo()
        assert "frame info" in refused.value.remedy
        assert state(device).battery_percent == 255


def test_requests_are_read_back(device: LockstepDevice) -> None:
    assert device.request(Method.SET_VOLUME, SetVolumeArgs(35)) == SetVolumeResult(35, 0)
    assert device.request(Method.SET_MUTE, SetMuteArgs(1)) == SetMuteResult(35, 1)
    assert (state(device).volume_percent, state(device).muted) == (35, 1)
    assert device.request(Method.CAPTURE_STOP) is not None


def test_a_bad_argument_is_refused(device: LockstepDevice) -> None:
    with pytest.raises(RequestRefused, match='refused the arguments of "set volume"'):
        device.request(Method.SET_VOLUME, SetVolumeArgs(101))


def test_the_longest_call_is_heard(device: LockstepDevice) -> None:
    class Long(SetVolumeArgs):
        def pack(self) -> bytes:
            return b"\x2a".ljust(MAX_ARGS_BYTES, b"\x55")  # a later version's fields behind ours are ignored

    assert device.request(Method.SET_VOLUME, Long(42)) == SetVolumeResult(42, 0)


def test_a_thousand_requests_keep_flowing(device: LockstepDevice) -> None:
    finished: list[CallFinished] = []
    for number in range(1000):
        device.post(Method.SET_VOLUME, SetVolumeArgs(number % 101), finished.append)
        if number % 20 == 19:
            device.advance(device.now_s + 0.3)
    device.advance(device.now_s + 1.0)
    assert [f.result for f in finished] == [SetVolumeResult(n % 101, 0) for n in range(1000)]
    assert device.stats().rpc_retries == 0


def test_a_request_costs_no_time_on_a_good_wire(device: LockstepDevice) -> None:
    device.advance(1.0)
    state(device)
    assert device.now_s == pytest.approx(1.0, abs=0.001)


def test_the_sequence_numbers_wrap(device: LockstepDevice) -> None:
    """70,000 requests, more than 2**16, on one session."""
    done = 0

    def count(finished: CallFinished) -> None:
        nonlocal done
        done += finished.error is None

    for _ in range(70_000 // 8):
        for _ in range(8):
            device.post(Method.GET_STATE, None, count)
        device.advance(device.now_s)
    device.advance(device.now_s + 1.0)
    assert done == 70_000
    assert device.stats().rpc_retries == 0


# ---- microphone
def test_two_seconds_of_microphone_are_exact(device: LockstepDevice) -> None:
    seen = watch(device)
    device.advance(0.11)
    start_capture(device)
    device.advance(2.2)
    device.request(Method.CAPTURE_STOP)
    device.advance(2.5)
    audio = [event for event in seen if isinstance(event, AudioReceived)]
    assert len(audio) >= 100
    pcm = b"".join(event.pcm for event in audio)
    assert numbers(pcm) == list(range(1, len(pcm) // 2 + 1))
    assert all(b.sample == a.sample + 320 for a, b in itertools.pairwise(audio))
    assert {event.dropped_frames for event in audio} == {0}
    kinds = [type(m) for m in reported(seen)]
    assert kinds == [LedEvent, CaptureEvent, CaptureEvent, LedEvent] or kinds == [
        LedEvent,
        CaptureEvent,
        LedEvent,
        CaptureEvent,
    ]


def test_the_light_is_on_before_the_first_sample_and_off_after_the_last(device: LockstepDevice) -> None:
    seen = watch(device)
    start_capture(device)
    device.advance(0.5)
    first = next(i for i, event in enumerate(seen) if isinstance(event, AudioReceived))
    assert [type(m) for m in reported(seen[:first])] == [LedEvent, CaptureEvent]
    device.request(Method.CAPTURE_STOP)
    device.advance(1.0)
    levels = [m.level for m in reported(seen) if isinstance(m, LedEvent)]
    assert levels == [Led.DIM, Led.OFF]


def test_the_button(device: LockstepDevice, peripherals: Peripherals) -> None:
    seen = watch(device)
    device.advance(1.0)
    peripherals.button.press(80)
    device.advance(3.0)
    (press,) = reported(seen)
    assert isinstance(press, ButtonEvent)
    assert press.kind == Button.TAP


# ---- speaker
def test_a_stream_is_played_sample_by_sample(device: LockstepDevice, peripherals: Peripherals) -> None:
    device.request(Method.SET_VOLUME, SetVolumeArgs(100))
    seen = watch(device)
    sound = ramp(16_123)
    stream = device.new_stream()
    for at in range(0, len(sound), 1234):
        device.play(stream, sound[at : at + 1234])
    device.play(stream, b"", last=True)
    device.advance(3.0)
    started, ended = reported(seen)
    assert isinstance(started, PlaybackStarted)
    assert isinstance(ended, PlaybackEnded)
    assert (started.stream, started.speaker_sample) == (stream, 0)
    assert (ended.reason, ended.played_samples) == (PlaybackEnd.PLAYED, 16_123)
    begin = 2 * started.mic_sample
    assert bytes(peripherals.speaker.recorded[begin : begin + len(sound)]) == sound
    assert ended.mic_sample == started.mic_sample + 16_123


def test_streams_follow_each_other(device: LockstepDevice) -> None:
    seen = watch(device)
    for _ in range(3):
        device.play(device.new_stream(), ramp(3200), last=True)
    device.advance(2.0)
    ends = [m for m in reported(seen) if isinstance(m, PlaybackEnded)]
    assert [(m.stream, m.reason, m.played_samples) for m in ends] == [(n, PlaybackEnd.PLAYED, 3200) for n in (1, 2, 3)]
    assert not [m for m in reported(seen) if isinstance(m, Underrun)]


def test_a_flush_silences_the_speaker_at_once(device: LockstepDevice, peripherals: Peripherals) -> None:
    device.request(Method.SET_VOLUME, SetVolumeArgs(100))
    seen = watch(device)
    stream = device.new_stream()
    device.play(stream, ramp(48_000), last=True)
    device.advance(1.0)
    device.flush(stream)
    device.play(stream, ramp(100))  # audio of a flushed stream that comes late is dropped
    device.advance(3.0)
    (ended,) = [m for m in reported(seen) if isinstance(m, PlaybackEnded)]
    assert ended.reason == PlaybackEnd.FLUSHED
    assert ended.played_samples < 17_000
    heard = [n for n in numbers(bytes(peripherals.speaker.recorded)) if n]
    assert heard == list(range(1, ended.played_samples + 1))
    after = device.new_stream()
    device.play(after, ramp(320), last=True)
    device.advance(4.0)
    last = reported(seen)[-1]
    assert isinstance(last, PlaybackEnded)
    assert (last.stream, last.played_samples) == (after, 320)


def test_a_host_that_stops_feeding_leaves_a_hole_and_then_starves(device: LockstepDevice) -> None:
    seen = watch(device)
    stream = device.new_stream()
    device.play(stream, ramp(3200))
    device.advance(0.5)
    device.play(stream, ramp(3200))
    device.advance(5.0)
    kinds = [type(m) for m in reported(seen)]
    assert kinds == [PlaybackStarted, Underrun, PlaybackEnded]
    ended = reported(seen)[-1]
    assert isinstance(ended, PlaybackEnded)
    assert (ended.reason, ended.played_samples) == (PlaybackEnd.STARVED, 6400)


def test_both_directions_at_once(device: LockstepDevice) -> None:
    """Duplex audio with requests in between: nothing is lost, nothing underruns."""
    seen = watch(device)
    start_capture(device)
    stream = device.new_stream()
    device.play(stream, ramp(48_000), last=True)
    for _ in range(60):
        device.advance(device.now_s + 0.05)
        state(device)
    device.advance(4.0)
    audio = [event for event in seen if isinstance(event, AudioReceived)]
    assert all(b.sample == a.sample + 320 for a, b in itertools.pairwise(audio))
    ended = [m for m in reported(seen) if isinstance(m, PlaybackEnded)]
    assert [m.played_samples for m in ended] == [48_000]
    assert not [m for m in reported(seen) if isinstance(m, Underrun)]


# ---- photo
def test_a_photo(device: LockstepDevice, peripherals: Peripherals) -> None:
    seen = watch(device)
    jpeg = device.take_photo()
    assert jpeg == peripherals.camera.take()
    assert jpeg[:2] == b"\xff\xd8" and jpeg[-2:] == b"\xff\xd9"
    levels = [m.level for m in reported(seen) if isinstance(m, LedEvent)]
    assert levels == [Led.SOLID, Led.OFF]
    assert [m.size_bytes for m in reported(seen) if isinstance(m, PhotoEvent)] == [len(jpeg)]
    assert state(device).photos_taken == 1


def test_photos_one_after_the_other(device: LockstepDevice) -> None:
    for _ in range(5):
        assert device.take_photo()
    assert state(device).photos_taken == 5


def test_a_second_photo_while_one_is_taken_is_refused(device: LockstepDevice) -> None:
    outcomes: list[bytes | BridgeError] = []
    device.post_photo(outcomes.append)
    device.post_photo(outcomes.append)
    device.advance(2.0)
    refused, jpeg = outcomes
    assert isinstance(refused, RequestRefused)
    assert isinstance(jpeg, bytes)


def test_a_broken_picture_is_reported(peripherals: Peripherals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peripherals.camera, "take", lambda: b"this is no JPEG")
    with LockstepDevice(SimulatedFrame(peripherals)) as device, pytest.raises(RequestRefused, match="no valid JPEG"):
        device.take_photo()


# ---- sessions
class Cable:
    """A frame that can be unplugged while its own time goes on: nothing passes then."""

    def __init__(self, frame: Steppable) -> None:
        self.plugged = True
        self._frame = frame

    def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        tx, next_us = self._frame.step(now_us, rx if self.plugged else b"")
        return (tx if self.plugged else b""), next_us

    def close(self) -> None:
        self._frame.close()


def test_three_seconds_of_silence_end_the_session_on_both_sides(peripherals: Peripherals) -> None:
    cable = Cable(SimulatedFrame(peripherals))
    device = LockstepDevice(cable, peripherals)
    seen = watch(device)
    start_capture(device)
    device.advance(1.5)
    state(device)
    outcome: list[CallFinished] = []
    cable.plugged = False
    device.post(Method.SET_VOLUME, SetVolumeArgs(1), outcome.append, timeout_s=60.0)
    device.advance(4.45)
    assert device.connected
    device.advance(4.55)
    assert not device.connected
    assert isinstance(seen[-1], Disconnected)
    assert isinstance(seen[-1].error, DeviceLost)
    assert isinstance(outcome[0].error, OutcomeUnknown)
    assert peripherals.led[-1][1] == Led.OFF
    off = peripherals.led[-1][0] / 16_000
    assert 4.4 < off <= 4.5, "the microphone stopped on the frame, 3 s after the last octet"
    with pytest.raises(DeviceLost, match="not connected"):
        device.request(Method.GET_STATE)
    cable.plugged = True
    device.advance(6.5)
    assert device.connected
    assert [type(event) for event in seen if isinstance(event, Connected | Disconnected)] == [Disconnected, Connected]
    assert state(device).capturing == 0, "capture stays off until the host asks"
    assert device.stats().sessions == 2
    device.close()


def test_a_missing_frame_is_looked_for_quietly_and_found_within_two_seconds(peripherals: Peripherals) -> None:
    cable = Cable(SimulatedFrame(peripherals))
    device = LockstepDevice(cable, peripherals)
    seen = watch(device)
    cable.plugged = False
    device.advance(60.0)
    assert [type(event) for event in seen] == [Disconnected]
    cable.plugged = True
    device.advance(62.0)
    assert device.connected
    device.close()


class Powered:
    """A frame that can be replaced by another one, as by a reset or by another board on the same port."""

    def __init__(self, frame: Steppable) -> None:
        self.frame = frame

    def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        return self.frame.step(now_us, rx)

    def close(self) -> None:
        self.frame.close()


def test_a_reset_of_the_frame_is_survived(peripherals: Peripherals) -> None:
    power = Powered(SimulatedFrame(peripherals))
    device = LockstepDevice(power, peripherals)
    seen = watch(device)
    start_capture(device)
    device.advance(1.0)
    power.frame = SimulatedFrame(Peripherals())
    device.advance(5.0)
    assert [type(event) for event in seen if isinstance(event, Connected | Disconnected)] == [Disconnected, Connected]
    assert state(device).capturing == 0
    device.close()


def test_another_frame_on_the_port_is_not_taken_for_ours(peripherals: Peripherals) -> None:
    power = Powered(SimulatedFrame(peripherals))
    device = LockstepDevice(power, peripherals)
    seen = watch(device)
    power.frame = SimulatedFrame(Peripherals(seed=1))
    device.advance(20.0)
    assert [type(event) for event in seen] == [Disconnected]
    assert not device.connected
    power.frame = SimulatedFrame(Peripherals())
    device.advance(30.0)
    assert device.connected
    device.close()


class Shared:
    """One frame on a line that two hosts share."""

    def __init__(self, frame: Steppable) -> None:
        self._frame = frame
        self._for: dict[int, bytes] = {0: b"", 1: b""}

    def end(self, number: int) -> Steppable:
        shared = self

        class End:
            def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
                tx, next_us = shared._frame.step(now_us, rx)
                for other in shared._for:
                    shared._for[other] += tx
                mine, shared._for[number] = shared._for[number], b""
                return mine, next_us

            def close(self) -> None:
                pass

        return End()


def test_of_two_hosts_the_second_has_the_frame(peripherals: Peripherals) -> None:
    line = Shared(SimulatedFrame(peripherals))
    first = LockstepDevice(line.end(0), seed=1)
    start_capture(first)
    first.advance(0.5)
    assert state(first).capturing == 1
    second = LockstepDevice(line.end(1), seed=2)
    second.advance(0.6)
    assert state(second).capturing == 0, "a new host's Hello ends the old session, capture off"
    assert peripherals.led[-1][1] == Led.OFF
    before = second.stats().rx_frames
    seen = watch(first)
    with pytest.raises(BridgeError):
        first.request(Method.SET_VOLUME, SetVolumeArgs(1), timeout_s=1.0)
    assert not [event for event in seen if isinstance(event, AudioReceived)]
    second.advance(first.now_s)
    assert state(second).volume_percent != 1
    assert second.stats().rx_frames > before


def test_close_stops_the_capture_at_once(peripherals: Peripherals) -> None:
    device = LockstepDevice(SimulatedFrame(peripherals), peripherals)
    start_capture(device)
    device.advance(1.0)
    assert peripherals.microphone.on
    device.close(CloseReason.INTERRUPTED)
    assert not peripherals.microphone.on
    sample, level = peripherals.led[-1]
    assert level == Led.OFF
    assert 16_000 - 320 <= sample <= 16_000
    device.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        device.advance(2.0)


def test_an_interrupt_inside_a_with_block_closes_the_session(peripherals: Peripherals) -> None:
    with pytest.raises(KeyboardInterrupt), LockstepDevice(SimulatedFrame(peripherals)) as device:
        start_capture(device)
        raise KeyboardInterrupt
    assert not peripherals.microphone.on


def test_a_capture_that_ended_says_why(peripherals: Peripherals) -> None:
    """The frame lost our voice, we did not lose its: it tells us before it closes the session."""
    deaf = FaultyFrame(lambda: SimulatedFrame(peripherals), Faults())
    device = LockstepDevice(deaf, peripherals)
    seen = watch(device)
    start_capture(device)
    device.advance(1.0)
    deaf.down.set_faults(Faults(lose=1.0))
    device.advance(4.1)
    stopped = [m for m in reported(seen) if isinstance(m, CaptureEvent) and not m.on]
    assert [m.reason for m in stopped] == [CaptureStop.HOST_GONE]
    assert isinstance(seen[-1], Disconnected)
    assert str(seen[-1].error) == "The frame ended the session."
    device.close()


# ---- opening
class Silent:
    def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        return b"", now_us + 1_000_000

    def close(self) -> None: ...


class Chatty(Silent):
    def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        return b"login: \0", now_us + 1_000_000


@pytest.mark.parametrize(("port", "message"), [(Silent(), "Nothing answers"), (Chatty(), '"login: login:')])
def test_a_port_without_a_frame_does_not_hang(port: Steppable, message: str) -> None:
    with pytest.raises(BridgeError, match=message):
        LockstepDevice(port, timeout_s=1.0)


def test_a_silent_port_is_no_device() -> None:
    with pytest.raises(DeviceNotFound):
        LockstepDevice(Silent(), timeout_s=0.5)


def test_moving_time_from_a_callback_is_refused(device: LockstepDevice) -> None:
    problems: list[Exception] = []

    def callback(_: CallFinished) -> None:
        try:
            device.request(Method.GET_STATE)
        except LocalProtocolError as error:
            problems.append(error)

    device.post(Method.GET_STATE, None, callback)
    device.advance(0.1)
    assert len(problems) == 1


def test_the_wire_log(device: LockstepDevice) -> None:
    log = io.StringIO()
    device.wire_log = lambda direction, at_s, channel, size, text: print(direction, channel, size, text, file=log)
    state(device)
    device.wire_log = None
    state(device)
    assert log.getvalue().splitlines() == ["tx 1 16 Call get_state", "rx 1 54 Reply get_state"]


def test_the_same_seed_gives_the_same_octets() -> None:
    def run() -> list[tuple[str, float, int, int, str]]:
        log: list[tuple[str, float, int, int, str]] = []
        with LockstepDevice(SimulatedFrame(Peripherals()), seed=3) as device:
            device.wire_log = lambda *record: log.append(record)
            start_capture(device)
            device.play(device.new_stream(), ramp(8000), last=True)
            device.take_photo()
            device.advance(2.0)
        return log

    assert run() == run()
