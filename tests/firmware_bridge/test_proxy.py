"""The proxy between a real port and its clients: who may come and go, what passes, and what befalls the cable."""

from __future__ import annotations

import contextlib
import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.errors import BridgeError, DeviceBusy, DeviceLost, DeviceNotFound
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.link_events import Connected, Disconnected
from lorgnette.firmware_bridge.messages import START_BAUD, GetStateResult, Method
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

    def __init__(self, near: Transport, reopen: Callable[[], Transport], door: Door, faults: Faults) -> None:
        self.told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.proxy = Proxy(near, reopen, door, faults, 1, self.told.put)
        self.address = door.address
        self.error: BaseException | None = None
        self._door = door
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
        self._door.close()
        assert self.error is None

    def join(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def until(self, word: str) -> None:
        while self.told.get(timeout=PATIENCE_S) != word:
            pass


def never() -> Transport:
    raise AssertionError("the port has not gone away")


@contextlib.contextmanager
def proxy(kind: str, faults: Faults | None = None, parts: Peripherals | None = None) -> Iterator[Running]:
    near = SimTransport(SimulatedFrame(parts or Peripherals()))
    with Running(near, never, make_door(kind), faults or Faults()) as running:
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


class Pulled(SimTransport):
    """A port whose cable somebody pulls; the frame lives on behind it."""

    def __init__(self, frame: SimulatedFrame) -> None:
        super().__init__(frame)
        self.is_out = threading.Event()
        self.shut = 0

    def read(self, timeout_s: float) -> bytes:
        if self.is_out.is_set():
            raise DeviceLost("/dev/ttyACM0 went away: it was unplugged.")
        return super().read(timeout_s)

    def close(self) -> None:
        self.shut += 1


def wait_for_state(device: Device) -> object:
    """From a session that may have to begin anew first."""
    for _ in range(100):
        with contextlib.suppress(BridgeError):
            return device.request(Method.GET_STATE, timeout_s=1.0)
        threading.Event().wait(0.1)
    return None


@pytest.mark.parametrize("kind", DOORS)
def test_a_port_that_goes_away_is_waited_for(kind: str) -> None:
    port = Pulled(SimulatedFrame(Peripherals(max_baud=MAX_BAUD["uart"])))
    tries: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def reopen() -> Transport:
        tries.put(port.is_out.is_set())
        if port.is_out.is_set():
            raise DeviceNotFound("The device with the USB serial number 123 is not there.")
        port.set_baud(START_BAUD)
        return port

    with Running(port, reopen, make_door(kind), Faults()) as running:
        with Device.open(running.address, timeout_s=PATIENCE_S) as device:
            for times in (1, 2):
                port.is_out.set()
                port.wake()
                running.until("gone")
                assert port.shut == times
                for _ in range(2):
                    assert tries.get(timeout=PATIENCE_S)
                port.is_out.clear()
                running.until("back")
                assert isinstance(wait_for_state(device), GetStateResult)
                while not tries.empty():
                    tries.get()
        assert running.proxy.counts["gone"] == 2
        assert running.proxy.counts["clients"] == 1, "the client has kept its connection"


def test_a_client_keeps_its_session_to_itself() -> None:
    with proxy("socket") as running, Device.open(running.address, timeout_s=PATIENCE_S) as device:
        sessions = device.stats().sessions
        for _ in range(3):
            with pytest.raises(BridgeError):
                Device.open(running.address, timeout_s=0.5)
            running.until("refused")
            assert isinstance(device.request(Method.GET_STATE), GetStateResult)
        assert device.stats().sessions == sessions
        assert running.proxy.counts["clients"] == 1
        device.close()
        with Device.open(running.address, timeout_s=PATIENCE_S) as next_one:
            assert isinstance(next_one.request(Method.GET_STATE), GetStateResult)


def test_the_farewell_of_one_client_is_read_before_the_next_is_let_in() -> None:
    door = SocketDoor("127.0.0.1", 0)
    door.open()
    with contextlib.closing(door):
        where = ("127.0.0.1", int(door.address.rpartition(":")[2]))
        with socket.create_connection(where) as first:
            first.sendall(b"first")
            assert until(door) == b"first"
            first.sendall(b"farewell")
        with socket.create_connection(where) as second:
            second.sendall(b"second")
            assert until(door) + until(door) == b"farewellsecond"
        assert door.counts == {"clients": 2}


def test_a_client_whose_machine_died_is_noticed() -> None:
    """The system watches each connection; when it gives one up, the next client is let in."""
    door = SocketDoor("127.0.0.1", 0)
    door.open()
    with contextlib.closing(door):
        where = ("127.0.0.1", int(door.address.rpartition(":")[2]))
        with socket.create_connection(where) as first, socket.create_connection(where) as second:
            first.sendall(b"first")
            assert until(door) == b"first"
            client = door._client
            assert client is not None
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if hasattr(socket, "TCP_KEEPIDLE"):
                assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
            client.close()  # from now on it fails, as one does that the system has given up
            second.sendall(b"second")
            assert until(door) == b"second"


def until(door: SocketDoor) -> bytes:
    """What comes next."""
    while not (octets := door.read()):
        assert door.wait(PATIENCE_S)
    return octets


@pytest.mark.parametrize(("host", "public"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_who_can_come_is_known_and_the_address_can_be_used(host: str, public: bool) -> None:
    door = SocketDoor(host, 0)
    with contextlib.closing(door):
        assert door.is_public is public
        assert "0.0.0.0" not in door.address
        name, _, port = door.address.removeprefix("socket://").rpartition(":")
        socket.create_connection((name, int(port))).close()


def test_an_address_that_is_taken() -> None:
    first = SocketDoor("127.0.0.1", 0)
    port = int(first.address.rpartition(":")[2])
    with pytest.raises(DeviceBusy, match="cannot be listened on"):
        SocketDoor("127.0.0.1", port)
    first.close()
    with pytest.raises(DeviceNotFound):
        SocketDoor("203.0.113.1", 0)
