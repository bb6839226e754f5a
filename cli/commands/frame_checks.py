"""What `doctor` and `setup` look at on a frame. Each check really uses the part, and reads back what the frame says."""

from __future__ import annotations

import array
import math
import queue
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, rms_dbfs
from ..checks import Check, failed
from ..errors import explain
from ..exit_codes import ExitCode
from ..jpeg import jpeg_size
from ..settings import Settings

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device
    from ...firmware_bridge.link_events import Event

SIM = "sim://"
LISTEN_S = 1.0
PATIENCE_S = 3.0  # for what the frame should report at once
TONE_HZ, TONE_S, TONE_AMPLITUDE = 660.0, 0.3, 2000  # soft: it sits on a bone beside the ear
TOO_QUIET_DBFS = -75.0  # a MEMS microphone's own noise is above this


def check_core(settings: Settings) -> Check:
    """The compiled core behind sim://; needed only where sim:// is the frame."""
    from ...firmware_bridge.errors import SimulatorUnavailable
    from ...firmware_bridge.simulator.core import SimulatedFrame

    try:
        SimulatedFrame().close()
    except SimulatorUnavailable as error:
        if settings.port.startswith(SIM):
            return failed("core", error)
        return Check("core", "absent", f"sim:// does not work: {error}", error.remedy)
    return Check("core", "ok", "the frame's own C core is compiled in: sim:// works")


def frame_checks(settings: Settings, timeout_s: float) -> Iterator[Check]:
    """Port, permission, handshake, and each part of the frame."""
    from ...firmware_bridge.errors import BridgeError
    from ..glasses.ports import open_frame, port_of

    wanted = bool(settings.port or settings.remembered.serial_number)
    try:
        port = port_of(settings)
    except BridgeError as error:
        if wanted:
            yield failed("port", error)
        else:
            yield Check("port", "absent", str(error), error.remedy)
        return
    try:
        device, _ = open_frame(settings, timeout_s, remember=False)
    except Exception as error:
        yield from _unopened(port, error)
        return
    with device:
        yield Check("port", "ok", port)
        yield Check("permission", "ok", "this user may open it")
        said = device.info
        yield Check("handshake", "ok", f"{said.name}, firmware {said.firmware_version}, protocol {said.protocol}")
        for check in (check_microphone, check_camera, check_speaker, check_battery):
            try:
                yield check(device)
            except BridgeError as error:
                yield failed(check.__name__.removeprefix("check_"), error)
                if not device.connected:
                    return


def _unopened(port: str, error: Exception) -> Iterator[Check]:
    """A frame that could not be opened, as the line of the step that failed."""
    from ...firmware_bridge.errors import NoAnswer

    failure = explain(error)
    if failure is None:
        raise error
    if failure.code is ExitCode.DEVICE_PERMISSION:
        yield Check("port", "ok", port)
        yield failed("permission", error)
    elif isinstance(error, NoAnswer) or failure.code in (
        ExitCode.NOT_A_FRAME,
        ExitCode.VERSION_MISMATCH,
        ExitCode.DEVICE_LOST,
    ):
        yield Check("port", "ok", port)
        yield Check("permission", "ok", "this user may open it")
        yield failed("handshake", error)
    else:
        yield failed("port", error)


def check_microphone(device: Device) -> Check:
    """Listen for a second: does sound come, how loud is it, and does the frame light its LED meanwhile?"""
    from ...firmware_bridge.link_events import AudioReceived, FrameReported
    from ...firmware_bridge.messages import CaptureStartArgs, Led, LedEvent, Method

    if not device.info.has_microphone:
        return Check("microphone", "absent", "not fitted: use --mic host")
    pcm, lit = bytearray(), False
    with _Listener(device) as events:
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        for event in events.until(time.monotonic() + LISTEN_S + PATIENCE_S):
            if isinstance(event, AudioReceived):
                pcm += event.pcm
            elif isinstance(event, FrameReported) and isinstance(event.message, LedEvent):
                lit = lit or event.message.level != Led.OFF
            if len(pcm) >= LISTEN_S * SAMPLE_RATE_HZ * SAMPLE_BYTES:
                break
        device.request(Method.CAPTURE_STOP)
    claim = {"none": "the frame has no privacy LED", "software": "LED lit by its software"}.get(
        device.info.led_kind, "LED wired to the sensor's own supply"
    )
    privacy = claim if lit or device.info.led_kind == "none" else "but its LED stayed dark"
    if len(pcm) < LISTEN_S * SAMPLE_RATE_HZ * SAMPLE_BYTES / 2:
        return Check("microphone", "failed", "no sound came from it", "check its wiring, or use --mic host")
    level_dbfs = rms_dbfs(bytes(pcm))
    if not lit and device.info.led_kind != "none":
        return Check("microphone", "failed", f"{level_dbfs:.0f} dBFS, {privacy}", "check the LED's wiring")
    if level_dbfs < TOO_QUIET_DBFS:
        remedy = "" if device.info.name.startswith("simulated") else "speak while it listens, or check its wiring"
        return Check("microphone", "note", f"silence ({level_dbfs:.0f} dBFS), {privacy}", remedy)
    return Check("microphone", "ok", f"{level_dbfs:.0f} dBFS, {privacy}")


def check_camera(device: Device) -> Check:
    """Take a photo, look at its markers, and drop it."""
    if not device.info.has_camera:
        return Check("camera", "absent", "not fitted: use --camera FILE")
    jpeg = device.take_photo()
    try:
        width, height = jpeg_size(jpeg)
    except ValueError as error:
        return Check("camera", "failed", f"what it sent {error}", "check the camera's cable")
    return Check("camera", "ok", f"{width} x {height} pixels, {len(jpeg) / 1000:.0f} kB")


def check_speaker(device: Device) -> Check:
    """Play a soft tone and wait for the frame's own report that it played all of it."""
    from ...firmware_bridge.link_events import FrameReported
    from ...firmware_bridge.messages import PlaybackEnd, PlaybackEnded

    if not device.info.has_speaker:
        return Check("speaker", "absent", "not fitted: use --speaker host")
    tone = _tone()
    stream = device.new_stream()
    with _Listener(device) as events:
        device.play(stream, tone)
        device.play(stream, b"", last=True)
        for event in events.until(time.monotonic() + TONE_S + PATIENCE_S):
            if isinstance(event, FrameReported) and isinstance(event.message, PlaybackEnded):
                ended = event.message
                if ended.stream == stream and ended.reason == PlaybackEnd.PLAYED:
                    played_ms = ended.played_samples * 1000 // SAMPLE_RATE_HZ
                    return Check("speaker", "ok", f"played a tone of {played_ms} ms")
                break
    return Check("speaker", "failed", "the frame did not report that it played a tone", "check the amplifier's wiring")


def check_battery(device: Device) -> Check:
    from ...firmware_bridge.messages import GetStateResult, Method

    state = device.request(Method.GET_STATE)
    if not device.info.has_battery or not isinstance(state, GetStateResult) or state.battery_percent > 100:
        return Check("battery", "absent", "no gauge")
    return Check("battery", "ok", f"{state.battery_percent} %")


class _Listener:
    """The device's events as a queue, while a check waits for some of them."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def __enter__(self) -> _Listener:
        self._end = self._device.subscribe(self._events.put)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def until(self, deadline_s: float) -> Iterator[Event]:
        """Events as they come, until the monotonic clock reads `deadline_s`. Raises DeviceLost when the frame goes."""
        from ...firmware_bridge.link_events import Disconnected

        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left_s)
            except queue.Empty:
                return
            if isinstance(event, Disconnected):
                raise event.error
            yield event


def _tone() -> bytes:
    """s16le mono 16 kHz, faded in and out."""
    count = int(TONE_S * SAMPLE_RATE_HZ)
    step = 2 * math.pi * TONE_HZ / SAMPLE_RATE_HZ
    samples = array.array(
        "h", (round(TONE_AMPLITUDE * math.sin(math.pi * i / count) * math.sin(step * i)) for i in range(count))
    )
    if array.array("h", [1]).tobytes() != b"\1\0":
        samples.byteswap()
    return samples.tobytes()
