"""The proxy between a real port and its clients: who may come and go, what passes, and what befalls the cable."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.errors import DeviceBusy, DeviceLost, DeviceNotFound
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.link_events import Connected, Disconnected
from lorgnette.firmware_bridge.messages import GetStateResult, Method
from lorgnette.firmware_bridge.proxy import Door, Proxy
from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator import Peripherals, SimulatedFrame
from lorgnette.firmware_bridge.simulator.url import MAX_BAUD
from lorgnette.firmware_bridge.socket_door import SocketDoor
from lorgnette.firmware_bridge.transport import Transport

PATIENCE_S = 60.0  # only a failing test waits this long
DOORS = ["socket", pytest.param("pty", marks=pytest.mark.skipif(sys.platform == "win32", reason="POSIX only"))]


def make_door(kind: str) -> Door:
    if kind == "socket":
        return SocketDoor("127.0.0.1", 0)
    from lorgnette.firmware_bridge.pty_door import PtyDoor

    return PtyDoor()


class Running:
    """A proxy on a thread of its own, until the block ends."""

    def __init__(self, near: Transport, door: Door, faults: Faults) -> None:
        self.told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.proxy = Proxy(near, door, faults, 1, self.told.put)
        self.address = door.address
        self.error: BaseException | None = None
        self._near = near
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.proxy.run()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.stop()
        self.join()
        self._near.close()

    def join(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def until(self, word: str) -> None:
        while self.told.get(timeout=PATIENCE_S) != word:
            pass


@contextlib.contextmanager
def proxy(kind: str, faults: Faults | None = None, parts: Peripherals | None = None) -> Iterator[Running]:
    near = SimTransport(SimulatedFrame(parts or Peripherals()))
    with Running(near, make_door(kind), faults or Faults()) as running:
        yield running


@pytest.mark.parametrize("kind", DOORS)
def test_a_client_comes_and_goes_and_comes_again(kind: str) -> None:
    with proxy(kind) as running:
        for _ in range(3):
            with Device.open(running.address, timeout_s=PATIENCE_S) as device:
                assert isinstance(device.request(Method.GET_STATE), GetStateResult)
                assert device.take_photo(PATIENCE_S)
        assert running.proxy.counts["clients"] == (3 if kind == "socket" else 1)
        assert running.proxy.up.counts["octets"] > 3000
        assert running.proxy.down.counts["octets"] > 200


@pytest.mark.parametrize("kind", DOORS)
def test_faults_strike_and_the_link_bears_them(kind: str) -> None:
    faults = Faults(drop=0.05, duplicate=0.05, reorder=0.05, splice=0.02)
    with proxy(kind, faults) as running, Device.open(running.address, timeout_s=PATIENCE_S) as device:
        failed = 0
        for _ in range(100):
            try:
                device.request(Method.GET_STATE)
            except Exception:
                failed += 1
        assert failed <= 10
        struck = running.proxy.up.counts + running.proxy.down.counts
        assert struck["drop"] and struck["duplicate"] and struck["reorder"]


@pytest.mark.parametrize("kind", DOORS)
def test_a_cable_that_is_out_is_out_for_the_client(kind: str) -> None:
    with proxy(kind, Faults(unplug_s=((3.0, 0.5),))) as running:
        events: queue.SimpleQueue[object] = queue.SimpleQueue()
        with Device.open(running.address, timeout_s=PATIENCE_S) as device:
            device.subscribe(lambda event: events.put(type(event)))
            seen = [events.get(timeout=PATIENCE_S)]
            while seen[-1] is not Connected:
                seen.append(events.get(timeout=PATIENCE_S))
            assert Disconnected in seen
            assert isinstance(device.request(Method.GET_STATE, timeout_s=PATIENCE_S), GetStateResult)
        assert (running.proxy.counts["unplugged"], running.proxy.counts["plugged"]) == (1, 1)


def test_a_mute_line_passes_nothing() -> None:
    with proxy("socket", Faults(mute_s=0.0)) as running:
        running.until("mute")
        with pytest.raises(DeviceNotFound, match="Nothing answers"):
            Device.open(running.address, timeout_s=0.5)


def test_a_killed_client_may_come_again() -> None:
    with proxy("socket") as running:
        host, port = running.address.removeprefix("socket://").split(":")
        for _ in range(2):
            client = socket.create_connection((host, int(port)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # no farewell, as when killed
            client.sendall(b"\0half a frame")
            running.until("client")
            client.close()
        with Device.open(running.address, timeout_s=PATIENCE_S) as device:
            assert isinstance(device.request(Method.GET_STATE), GetStateResult)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
def test_a_rate_that_a_client_sets_is_set_on_the_port() -> None:
    parts = Peripherals(max_baud=MAX_BAUD["uart"])
    with proxy("pty", parts=parts) as running, Device.open(running.address, timeout_s=PATIENCE_S) as device:
        assert device.baud == parts.baud == 921_600
        assert device.take_photo(PATIENCE_S)


class Gone:
    """A port whose cable somebody pulls."""

    name, has_rate = "/dev/ttyGONE", False

    def read(self, timeout_s: float) -> bytes:
        raise DeviceLost("/dev/ttyGONE went away.")

    def write(self, data: bytes) -> None: ...
    def set_baud(self, baud: int) -> None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


@pytest.mark.parametrize("kind", DOORS)
def test_a_port_that_goes_away_ends_it(kind: str) -> None:
    with Running(Gone(), make_door(kind), Faults()) as running:
        running.join()
        assert isinstance(running.error, DeviceLost)
        assert "://" in running.address or not os.path.lexists(running.address)


def test_an_address_that_is_taken() -> None:
    first = SocketDoor("127.0.0.1", 0)
    port = int(first.address.rpartition(":")[2])
    with pytest.raises(DeviceBusy, match="cannot be listened on"):
        SocketDoor("127.0.0.1", port)
    first.close()
    with pytest.raises(DeviceNotFound):
        SocketDoor("203.0.113.1", 0)
