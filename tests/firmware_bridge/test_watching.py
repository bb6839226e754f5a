"""A watched Device: it is told everything from the first octet on, and no port is given up."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable
from pathlib import Path

import pytest

if os.name != "posix":
    pytest.skip("needs pseudo terminals", allow_module_level=True)
from tests.support.pty_frame import PtyPort, Stranger

from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.errors import DeviceLost, DeviceNotFound, RemoteProtocolError
from lorgnette.firmware_bridge.link_events import Connected, ConsoleText, Disconnected, Event
from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator import Peripherals
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.transport import Transport

PATIENCE_S = 60.0  # only a failing test waits this long
SOON_S = 0.2  # a handshake that nobody answers


class Replaceable:
    """One thing behind a port, and later another."""

    name = "replaceable"
    has_rate = False

    def __init__(self, first: Transport) -> None:
        self.now = first

    def read(self, timeout_s: float) -> bytes:
        return self.now.read(timeout_s)

    def write(self, data: bytes) -> None:
        self.now.write(data)

    def set_baud(self, baud: int) -> None: ...
    def wake(self) -> None: ...

    def close(self) -> None:
        self.now.close()


def a_frame(seed: int = 0) -> SimTransport:
    return SimTransport(SimulatedFrame(Peripherals(seed=seed)))


class Told:
    """What a watched device told."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        while not wanted(event := self.events.get(timeout=PATIENCE_S)):
            pass
        return event


def watch(port: PtyPort) -> tuple[Device, Told]:
    told = Told()
    return Device.open(str(port.path), timeout_s=SOON_S, watcher=told.events.put), told


def test_a_mute_port_is_tried_until_somebody_answers(tmp_path: Path) -> None:
    inside = Replaceable(Stranger())
    with PtyPort(tmp_path, inside) as port:
        device, told = watch(port)
        with device:
            for _ in range(2):
                event = told.events.get(timeout=PATIENCE_S)
                assert isinstance(event, Disconnected) and isinstance(event.error, DeviceNotFound)
            assert not device.connected
            inside.now = a_frame(seed=1)
            told.until(lambda event: isinstance(event, Connected))
            first = device.info.device_id
            inside.now = a_frame(seed=2)
            told.until(lambda event: isinstance(event, Disconnected))
            told.until(lambda event: isinstance(event, Connected))
            assert device.info.device_id != first, "whoever answers is welcome"


def test_what_is_no_frame_is_shown_and_what_is_no_text_counted(tmp_path: Path) -> None:
    inside = Replaceable(Stranger(b"login: \r\n\0"))
    with PtyPort(tmp_path, inside) as port:
        device, told = watch(port)
        with device:
            assert told.until(lambda event: isinstance(event, ConsoleText)) == ConsoleText("login: \n")
            error = told.until(lambda event: isinstance(event, Disconnected))
            assert isinstance(error, Disconnected) and isinstance(error.error, RemoteProtocolError)
            assert device.stats().rx_noise_bytes <= 1, "the end of a handshake may cut one letter off"
            inside.now = Stranger(b"\xf8\x81\xff\0")
            while device.stats().rx_noise_bytes < 12:
                told.events.get(timeout=PATIENCE_S)


def test_a_cable_pulled_between_two_handshakes_is_told(tmp_path: Path) -> None:
    with PtyPort(tmp_path, Replaceable(Stranger())) as port:
        device, told = watch(port)
        with device:
            for _ in range(3):
                told.until(lambda event: isinstance(event, Disconnected) and isinstance(event.error, DeviceNotFound))
                port.unplug()
                told.until(lambda event: isinstance(event, Disconnected) and isinstance(event.error, DeviceLost))
                port.plug()


def test_a_port_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFound):
        Device.open(str(tmp_path / "none"), watcher=lambda event: None)
