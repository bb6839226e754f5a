"""What befalls a frame, as its user sees it: a camera that fails, a supply that breaks down, a crash, a mute port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lorgnette.firmware_bridge.console import ConsoleLine
from lorgnette.firmware_bridge.errors import BridgeError, DeviceLost, DeviceNotFound, RequestRefused
from lorgnette.firmware_bridge.faulty_frame import BOOT_US
from lorgnette.firmware_bridge.link_events import Connected, Crashed, Disconnected, Event
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import CaptureStartArgs, Led, Method
from lorgnette.firmware_bridge.sim_transport import simulated_frame
from lorgnette.firmware_bridge.simulator import parse_sim_url
from lorgnette.firmware_bridge.simulator.picture import built_in_picture

READY_S = 5.0
"""A frame that has been reset is ready within it."""


@contextmanager
def opened(options: str) -> Iterator[LockstepDevice]:
    url = f"sim://?{options}"
    parts = parse_sim_url(url)
    with LockstepDevice(simulated_frame(url, parts), parts) as device:
        yield device


def parts_of(device: LockstepDevice) -> list[tuple[str, int]]:
    """What was switched since power-on, without the LED that each boot makes dark first of all."""
    assert device.peripherals is not None
    changes = [(change.part, change.value) for change in device.peripherals.changes]
    return [change for change, before in zip(changes[1:], changes, strict=False) if change != before]


def heard(device: LockstepDevice) -> list[Event]:
    """Filled with the sessions' ends and beginnings, and crashes, from now on."""
    events: list[Event] = []
    kinds = Connected | Disconnected | Crashed
    device.subscribe(lambda event: events.append(event) if isinstance(event, kinds) else None)
    return events


def lines(device: LockstepDevice) -> list[str]:
    return [line.text for line in device.console.lines if isinstance(line, ConsoleLine)]


# ---- the camera
def test_of_pictures_in_a_row_the_first_one_arrives() -> None:
    with opened("camera=fault:concatenated") as device:
        assert device.take_photo() == built_in_picture()


@pytest.mark.parametrize(
    ("fault", "sentence"), [("no-eoi", "delivered no valid JPEG"), ("null", "camera failed"), ("late", "camera failed")]
)
def test_no_picture_is_told_and_the_light_goes_out(fault: str, sentence: str) -> None:
    with opened(f"camera=fault:{fault}") as device:
        with pytest.raises(RequestRefused, match=sentence) as refused:
            device.take_photo()
        assert "doctor" in refused.value.remedy
        device.advance(device.now_s + 3.0)
        assert parts_of(device) == [("led", Led.SOLID), ("camera", 1), ("camera", 0), ("led", Led.OFF)]
        assert device.stats().sessions == 1


def test_a_late_camera_is_busy_until_it_is_done() -> None:
    with opened("camera=fault:late") as device:
        with pytest.raises(RequestRefused):
            device.take_photo()
        assert parts_of(device)[-1] == ("camera", 1)
        with pytest.raises(RequestRefused, match="busy"):
            device.take_photo()


def test_a_supply_that_is_too_weak_for_a_photo() -> None:
    with opened("camera=fault:brownout") as device:
        first, events, parts = device.info, heard(device), device.peripherals
        assert parts is not None
        device.request(Method.CAPTURE_START, CaptureStartArgs(0))
        started_s = device.now_s
        with pytest.raises(DeviceLost, match="Brownout detector was triggered") as lost:
            device.take_photo()
        assert "more current" in lost.value.remedy
        assert device.now_s < started_s + READY_S
        assert not (parts.microphone.on or parts.camera_on)
        assert parts.led[-1][1] == Led.OFF
        device.advance(started_s + READY_S)
        assert [type(event) for event in events] == [Crashed, Disconnected, Connected]
        assert (first.reset_reason, device.info.reset_reason) == ("power_on", "brown_out")
        assert first.device_id == device.info.device_id
        assert device.request(Method.GET_STATE) is not None


# ---- resets
@pytest.mark.parametrize(
    ("fault", "reason", "crash"),
    [
        ("reset", "software", None),
        ("panic", "panic", "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled."),
        ("brownout", "brown_out", "Brownout detector was triggered"),
    ],
)
@pytest.mark.parametrize("line", ["usb", "uart"])
def test_a_frame_that_boots_again_says_why(line: str, fault: str, reason: str, crash: str | None) -> None:
    with opened(f"{fault}=3&line={line}") as device:
        events = heard(device)
        device.advance(2.9)
        device.request(Method.CAPTURE_START, CaptureStartArgs(0))
        device.advance(3.0 + BOOT_US / 1e6)
        assert parts_of(device)[-2:] == [("microphone", 0), ("led", Led.OFF)]
        device.advance(3.0 + READY_S)
        assert device.info.reset_reason == reason
        told = [event.reason for event in events if isinstance(event, Crashed)]
        if line == "usb":
            assert told == ([crash] if crash else [])
        else:  # at 2 Mbaud its text of 115200 is garbage: the next boot has to say it
            assert len(told) == (crash is not None)
        assert [type(event) for event in events if not isinstance(event, Crashed)] == [Disconnected, Connected]


def test_a_frame_keeps_a_note_of_its_crash_for_the_next_session() -> None:
    note = "crashed: LoadProhibited at 0x4037a6f1, core 0, 7 s after boot"
    with opened("panic=7.5,20&unplug=7.4:3") as device:  # nobody listens when it happens
        device.advance(9.0)
        assert not device.connected
        device.advance(11.0)
        assert device.info.reset_reason == "panic"
        assert lines(device)[-1] == note
        device.advance(23.0)
        assert lines(device)[-1] == note.replace("7 s", "12 s")
        assert lines(device).count(note) == 1, "told once"


# ---- mute
def test_a_port_that_opens_and_says_nothing() -> None:
    nobody = "Nothing answers on sim:// at 115200 baud within 5 s"
    with pytest.raises(DeviceNotFound, match=nobody) as mute, opened("mute=0&bootlog=1"):
        pass
    assert "RESET" in mute.value.remedy
    assert "unplug" in mute.value.remedy


def test_a_frame_that_falls_mute_is_given_up_and_has_stopped_its_microphone() -> None:
    with opened("mute=2") as device:
        events = heard(device)
        device.request(Method.CAPTURE_START, CaptureStartArgs(0))
        device.advance(5.1)
        (gone,) = events
        assert isinstance(gone, Disconnected)
        assert isinstance(gone.error, BridgeError)
        assert "silent for 3 s" in str(gone.error)
        assert "RESET" in gone.error.remedy
        assert parts_of(device)[-2:] == [("microphone", 0), ("led", Led.OFF)]
        device.advance(30.0)
        assert not device.connected
