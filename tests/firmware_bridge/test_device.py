"""Device over every transport, under the wall clock. Waits end with what is waited for; no test measures time."""

from __future__ import annotations

import logging
import queue
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.sound import numbers, ramp

from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.errors import (
    BridgeError,
    DeviceLost,
    DeviceNotFound,
    LocalProtocolError,
    OutcomeUnknown,
    RemoteProtocolError,
    RequestRefused,
)
from lorgnette.firmware_bridge.link_events import (
    AudioReceived,
    CallFinished,
    Connected,
    ConsoleText,
    Disconnected,
    Event,
    FrameReported,
)
from lorgnette.firmware_bridge.messages import (
    START_BAUD,
    CaptureEvent,
    CaptureStartArgs,
    GetStateResult,
    Led,
    Method,
    PlaybackEnd,
    PlaybackEnded,
    SetVolumeArgs,
    SetVolumeResult,
)
from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator.microphone import ScriptedMicrophone
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

pty = pytest.importorskip("pty", reason="needs pseudo terminals")
from tests.support.pty_frame import PtyPort, Stranger, frame_behind_pty  # noqa: E402
from tests.support.socket_frame import frame_behind_socket  # noqa: E402

PATIENCE_S = 30.0  # only a failing test waits this long

PORTS = ("sim", "pty", "socket")


class Port:
    """A frame, and the name of the port at which it is."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack) -> None:
        self.peripherals = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))
        self._given = self.peripherals if kind == "sim" else None
        if kind == "sim":
            self.url = "sim://"
        elif kind == "pty":
            self.url = str(stack.enter_context(frame_behind_pty(folder, self.peripherals)).path)
        else:
            self.url = stack.enter_context(frame_behind_socket(self.peripherals)).url

    def open(self, timeout_s: float = PATIENCE_S) -> Device:
        return Device.open(self.url, timeout_s=timeout_s, peripherals=self._given)


@pytest.fixture(params=PORTS)
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Port]:
    with ExitStack() as stack:
        yield Port(request.param, tmp_path, stack)


class Watch:
    """Collects a device's events for the test's thread."""

    def __init__(self, device: Device) -> None:
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        device.subscribe(self._queue.put)

    def until(self, wanted: Callable[[Event], bool]) -> list[Event]:
        """Everything up to and including the first event that is wanted."""
        seen: list[Event] = []
        while not seen or not wanted(seen[-1]):
            seen.append(self._queue.get(timeout=PATIENCE_S))
        return seen

    @property
    def empty(self) -> bool:
        return self._queue.empty()

    def report(self, kind: type) -> object:
        event = self.until(lambda e: isinstance(e, FrameReported) and isinstance(e.message, kind))[-1]
        assert isinstance(event, FrameReported)
        return event.message


@pytest.mark.parametrize("baud", [460_800, 921_600])
def test_a_uart_is_switched_before_anything_is_asked(tmp_path: Path, baud: int) -> None:
    peripherals = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)), max_baud=2_000_000)
    with frame_behind_pty(tmp_path, peripherals) as port:
        with Device.open(str(port.path), baud=baud, timeout_s=PATIENCE_S) as device:
            assert (device.baud, peripherals.baud) == (baud, baud)
            watch = Watch(device)
            device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
            (*_, heard) = watch.until(lambda e: isinstance(e, AudioReceived))
            assert isinstance(heard, AudioReceived)
            assert len(heard.pcm) == 640
            assert device.take_photo() == peripherals.camera.take()
        with Device.open(str(port.path), baud=START_BAUD, timeout_s=PATIENCE_S) as device:
            assert device.baud == START_BAUD, "each session begins there"


def test_a_serial_server_is_not_asked_for_a_rate_that_nobody_could_set() -> None:
    peripherals = Peripherals(max_baud=2_000_000)
    with frame_behind_socket(peripherals) as port, Device.open(port.url, timeout_s=PATIENCE_S) as device:
        assert device.baud == START_BAUD
        assert isinstance(device.request(Method.GET_STATE), GetStateResult)


def test_a_whole_conversation(port: Port) -> None:
    with port.open() as device:
        watch = Watch(device)
        assert device.info.name == "simulated frame"
        assert device.request(Method.SET_VOLUME, SetVolumeArgs(100)) == SetVolumeResult(100, 0)
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        heard: list[AudioReceived] = []
        while len(heard) < 25:
            heard += [e for e in watch.until(lambda e: isinstance(e, AudioReceived)) if isinstance(e, AudioReceived)]
        pcm = b"".join(event.pcm for event in heard)
        assert numbers(pcm) == list(range(1, 1 + len(pcm) // 2))
        stream = device.new_stream()
        device.play(stream, ramp(8_000), last=True)
        ended = watch.report(PlaybackEnded)
        assert isinstance(ended, PlaybackEnded)
        assert (ended.stream, ended.reason, ended.played_samples) == (stream, PlaybackEnd.PLAYED, 8_000)
        assert device.take_photo() == port.peripherals.camera.take()
        assert device.stats().rx_bad_frames == 0
    assert not device.connected
    with pytest.raises(DeviceLost):
        device.request(Method.GET_STATE)


def test_the_log_tells_of_port_frame_and_capture(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lorgnette"), port.open() as device:
        watch = Watch(device)
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        watch.report(CaptureEvent)
        device.request(Method.CAPTURE_STOP)
        watch.report(CaptureEvent)
        device_id, firmware = device.info.device_id, device.info.firmware_version
    told = [record.getMessage() for record in caplog.records]
    assert told[:-1] == [
        f"port {port.url} opened",
        f"simulated frame connected: device {device_id}, firmware {firmware}",
        "capture on",
        "capture off",
        "link closed",
    ]
    assert "rpc_calls=2, rpc_retries=" in told[-1]


def test_close_stops_the_microphone(port: Port) -> None:
    device = port.open()
    device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
    assert port.peripherals.microphone.on
    device.close()
    device.close()
    again = port.open()  # the same port is free, and a later answer proves that Close has been handled
    state = again.request(Method.GET_STATE) if port.url != "sim://" else None
    assert state is None or (isinstance(state, GetStateResult) and not state.capturing)
    assert not port.peripherals.microphone.on
    assert port.peripherals.led[-1][1] == Led.OFF
    again.close()


def test_requests_from_many_threads(port: Port) -> None:
    with port.open() as device:
        answers: queue.SimpleQueue[object] = queue.SimpleQueue()

        def ask() -> None:
            for _ in range(20):
                answers.put(device.request(Method.GET_STATE, timeout_s=PATIENCE_S))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert answers.qsize() == 80
        assert all(isinstance(answers.get(), GetStateResult) for _ in range(80))


def test_callbacks_may_ask_but_not_wait(port: Port) -> None:
    with port.open() as device:
        results: queue.SimpleQueue[object] = queue.SimpleQueue()

        def first(_: CallFinished) -> None:
            try:
                device.request(Method.GET_STATE)
            except LocalProtocolError as error:
                results.put(error)
            device.post(Method.SET_VOLUME, SetVolumeArgs(7), results.put)

        device.post(Method.GET_STATE, None, first)
        assert isinstance(results.get(timeout=PATIENCE_S), LocalProtocolError)
        finished = results.get(timeout=PATIENCE_S)
        assert isinstance(finished, CallFinished)
        assert finished.result == SetVolumeResult(7, 0)


def test_a_refusal_reaches_the_caller(port: Port) -> None:
    with port.open() as device, pytest.raises(RequestRefused):
        device.request(Method.SET_VOLUME, SetVolumeArgs(101))


def test_arguments_that_do_not_fit_are_refused_and_the_link_goes_on(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    with port.open() as device:
        with pytest.raises(LocalProtocolError, match="do not fit"):
            device.request(Method.SET_VOLUME, SetVolumeArgs(256))
        finished: queue.SimpleQueue[CallFinished] = queue.SimpleQueue()
        device.post(Method.SET_VOLUME, "loud", finished.put)  # type: ignore[arg-type]
        assert isinstance(finished.get(timeout=PATIENCE_S).error, LocalProtocolError)
        device.play(70_000, bytes(640), last=True)
        device.flush(70_000)
        assert device.request(Method.SET_VOLUME, SetVolumeArgs(7)) == SetVolumeResult(7, 0)
    assert "stream 70000 is outside" in caplog.text


def test_a_subscription_can_be_ended(port: Port) -> None:
    with port.open() as device:
        seen: list[Event] = []
        end = device.subscribe(seen.append)
        end()
        end()
        watch = Watch(device)
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        watch.until(lambda e: isinstance(e, AudioReceived))
        assert seen == []


def test_half_a_sample_is_refused_at_once(port: Port) -> None:
    with port.open() as device, pytest.raises(LocalProtocolError, match="within a sample"):
        device.play(device.new_stream(), b"\1")


def test_a_misuse_that_nobody_waits_for_is_logged(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    with port.open() as device:
        device.play(2, bytes(640), last=True)
        device.play(2, bytes(640))
        assert device.request(Method.GET_STATE) is not None
    assert "stream 2 has ended" in caplog.text


@pytest.mark.parametrize("error", [ZeroDivisionError, IndexError, LocalProtocolError])
def test_a_callback_that_raises_is_dropped_and_only_that_one(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def raises(name: str) -> Callable[[object], None]:
        def callback(_: object) -> None:
            calls.append(name)
            raise error(name)

        return callback

    peripherals = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))
    with Device.open("sim://", peripherals=peripherals, timeout_s=PATIENCE_S) as device:
        wire = raises("wire log")
        device.wire_log = lambda *record: wire(record)
        device.subscribe(raises("subscriber"))
        watch = Watch(device)
        device.post(Method.GET_STATE, None, raises("post"))
        device.post(Method.SET_VOLUME, SetVolumeArgs(300), raises("refused post"))
        device.post_photo(raises("photo"))
        device.post_photo(raises("refused photo"))
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        watch.until(lambda e: isinstance(e, AudioReceived))
        while "photo" not in calls:
            watch.until(lambda e: isinstance(e, AudioReceived))
        assert device.connected
        assert device.wire_log is None
    names = ("wire log", "subscriber", "post", "refused post", "photo", "refused photo")
    assert sorted(calls) == sorted(names), "each of them once"
    assert caplog.text.count("a callback of the link raised") == len(names)


def test_callbacks_that_raise_do_not_keep_close_from_the_frame() -> None:
    peripherals = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))
    device = Device.open("sim://", peripherals=peripherals, timeout_s=PATIENCE_S)
    device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
    microphone_on: list[bool] = []

    def at_the_end(_: object) -> None:
        microphone_on.append(peripherals.microphone.on)
        raise ZeroDivisionError

    def ask(_: object) -> None:
        device.post(Method.GET_STATE, None, at_the_end)
        device.close()

    device.post(Method.GET_STATE, None, ask)
    device.close()
    device.close()
    assert microphone_on == [False], "the microphone is off before anybody is told"
    assert not device.connected
    with pytest.raises(DeviceLost):
        device.request(Method.GET_STATE)


class Failing:
    """A port whose read raises what no port should, once it is told to."""

    def __init__(self, frame: SimTransport) -> None:
        self.name = frame.name
        self.has_rate = frame.has_rate
        self._frame = frame
        self.fails = False

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def read(self, timeout_s: float) -> bytes:
        if self.fails:
            raise ZeroDivisionError
        return self._frame.read(timeout_s)

    def write(self, data: bytes) -> None:
        self._frame.write(data)

    def wake(self) -> None:
        self._frame.wake()

    def close(self) -> None:
        self._frame.close()


def test_a_thread_that_dies_says_goodbye_and_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    peripherals = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))
    port = Failing(SimTransport.open("sim://", peripherals))
    with Device(port, lambda: port, PATIENCE_S) as device:
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        watch = Watch(device)
        port.fails = True
        lost = watch.until(lambda e: isinstance(e, Disconnected))[-1]
        assert isinstance(lost, Disconnected)
        assert "ZeroDivisionError" in str(lost.error)
        with pytest.raises(DeviceLost):
            device.request(Method.GET_STATE)
        assert not device.connected
        assert not peripherals.microphone.on
    assert watch.empty
    assert "the link's thread failed" in caplog.text


# ---- a port that goes and comes
def test_a_pulled_cable_is_noticed_and_a_plugged_one_found(tmp_path: Path) -> None:
    peripherals = Peripherals()
    with (
        frame_behind_pty(tmp_path, peripherals) as port,
        Device.open(str(port.path), timeout_s=PATIENCE_S) as device,
    ):
        watch = Watch(device)
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        watch.until(lambda e: isinstance(e, AudioReceived))
        port.unplug()
        lost = watch.until(lambda e: isinstance(e, Disconnected))[-1]
        assert isinstance(lost, Disconnected)
        assert isinstance(lost.error, DeviceLost)
        assert str(lost.error).startswith(f"{port.path} went away")
        with pytest.raises(DeviceLost, match="not connected"):
            device.request(Method.GET_STATE)
        port.plug()
        back = watch.until(lambda e: isinstance(e, Connected))
        assert len(back) == 1, "looking for it is quiet"
        state = device.request(Method.GET_STATE, timeout_s=PATIENCE_S)
        assert isinstance(state, GetStateResult)
        assert not state.capturing, "capture stays off until it is asked for"


def test_a_request_under_way_when_the_port_goes_has_an_unknown_outcome(tmp_path: Path) -> None:
    """The port stops listening first, so that the request has left and no answer can come."""
    with (
        frame_behind_pty(tmp_path, Peripherals()) as port,
        Device.open(str(port.path), timeout_s=PATIENCE_S) as device,
    ):
        finished: queue.SimpleQueue[CallFinished] = queue.SimpleQueue()
        port.go_deaf()
        sent = device.stats().tx_frames
        device.post(Method.TAKE_PHOTO, None, finished.put, timeout_s=PATIENCE_S)
        while device.stats().tx_frames == sent:
            threading.Event().wait(0.005)
        port.unplug()
        assert isinstance(finished.get(timeout=PATIENCE_S).error, OutcomeUnknown)


def test_text_beside_the_frames_reaches_the_subscriber(tmp_path: Path) -> None:
    with (
        frame_behind_pty(tmp_path, Peripherals()) as port,
        Device.open(str(port.path), timeout_s=PATIENCE_S) as device,
    ):
        watch = Watch(device)
        port.say(b"\0Guru Meditation \x1b[31mError\r\n\0")
        text = watch.until(lambda e: isinstance(e, ConsoleText))[-1]
        assert text == ConsoleText("Guru Meditation Error\n")


# ---- ports that are no frame
@pytest.mark.parametrize(
    ("says", "error", "message"),
    [
        (b"", DeviceNotFound, "Nothing answers on"),
        (b"\r\nERROR\r\n", RemoteProtocolError, "no lorgnette frame .*ERROR"),
        (b"\xf8\x00\x81\xff", RemoteProtocolError, "no lorgnette frame"),
    ],
)
def test_a_wrong_port_does_not_hang(tmp_path: Path, says: bytes, error: type[BridgeError], message: str) -> None:
    with PtyPort(tmp_path, Stranger(says)) as port, pytest.raises(error, match=message) as caught:
        Device.open(str(port.path), timeout_s=0.3)
    assert caught.value.remedy


def test_a_port_that_goes_during_the_handshake(tmp_path: Path) -> None:
    with PtyPort(tmp_path, Stranger()) as port:
        threading.Timer(0.1, port.unplug).start()
        with pytest.raises(DeviceLost):
            Device.open(str(port.path), timeout_s=PATIENCE_S)


# ---- signals
def test_ctrl_c_stops_the_capture_before_the_program_ends(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import threading
        from lorgnette.firmware_bridge.device import Device
        from lorgnette.firmware_bridge.messages import CaptureStartArgs, Method
        from lorgnette.firmware_bridge.simulator.peripherals import Peripherals
        parts = Peripherals()
        try:
            with Device.open("sim://", peripherals=parts) as device:
                device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
                print("capturing", parts.microphone.on, flush=True)
                threading.Event().wait(60)
        except KeyboardInterrupt:
            print("capturing", parts.microphone.on, flush=True)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "capturing True\n"
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=PATIENCE_S)
    assert out == "capturing False\n"
    assert child.returncode == 0


def test_ctrl_c_ends_a_handshake_that_nobody_answers(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys
        from lorgnette.firmware_bridge.device import Device
        try:
            Device.open(sys.argv[1], timeout_s=60.0)
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    stranger = Stranger()
    with PtyPort(tmp_path, stranger) as port:
        child = subprocess.Popen([sys.executable, "-c", program, str(port.path)], stdout=subprocess.PIPE, text=True)
        assert stranger.heard.wait(PATIENCE_S), "the handshake has begun"
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=PATIENCE_S)
    assert out == "interrupted\n"
