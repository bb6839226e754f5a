"""The simulated frame as a port: its time is the wall's, whoever comes late."""

from __future__ import annotations

import pytest

from lorgnette.firmware_bridge.codec import message_of, payload_of
from lorgnette.firmware_bridge.errors import DeviceLost, DeviceNotFound
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.faulty_frame import FaultyFrame
from lorgnette.firmware_bridge.frame import Frame
from lorgnette.firmware_bridge.messages import MAJOR, MINOR, Channel, Hello, HelloAck
from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals
from lorgnette.firmware_bridge.transport import open_transport


class Stepped:
    """Something to step: asks for every 20 ms, and keeps what it was given and when."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, bytes]] = []
        self.broken = False
        self.closed = 0

    def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        if self.broken:
            raise ZeroDivisionError
        self.steps.append((now_us, rx))
        return b"", (now_us // 20_000 + 1) * 20_000

    def close(self) -> None:
        self.closed += 1


def test_a_frame_that_breaks_at_the_end_is_closed_all_the_same() -> None:
    frame = Stepped()
    port = SimTransport(frame)
    port.write(b"close")
    frame.broken = True
    with pytest.raises(ZeroDivisionError):
        port.close()
    port.close()
    assert frame.closed == 1


def test_what_is_written_late_arrives_late() -> None:
    """A host that comes after four seconds must not be heard four seconds ago, or the frame would take it for gone."""
    now_s = 0.0
    frame = Stepped()
    port = SimTransport(frame, clock=lambda: now_s)
    now_s = 4.01
    port.write(b"hello")
    port.read(0)
    assert [now_us for now_us, rx in frame.steps if rx] == [4_010_000]
    assert [now_us for now_us, _ in frame.steps[:-1]] == list(range(0, 4_010_000, 20_000))


# ---- a bad cable
class Clock:
    """The wall's time, as the test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        monkeypatch.setattr(SimTransport.__init__, "__defaults__", ("sim://", lambda: self.now_s))


def test_an_unplugged_frame_lives_on_and_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    url, parts = "sim://?unplug=1:2&seed=5", Peripherals()
    port = open_transport(url, peripherals=parts)
    assert port.read(0) == b""
    clock.now_s = 1.5
    with pytest.raises(DeviceLost, match="unplugged"):
        port.read(0)
    with pytest.raises(DeviceLost, match="unplugged"):
        port.write(b"x")
    port.close()
    with pytest.raises(DeviceNotFound, match="The simulated cable of sim://"):
        open_transport(url, peripherals=parts)
    clock.now_s = 3.1
    again = open_transport(url, peripherals=parts)
    assert parts.boots == 1
    again.read(0)
    again.close()
    open_transport(url, peripherals=parts).close()
    assert parts.boots == 2, "it was closed for good: this is another one"


def test_a_frame_that_is_found_again_is_found_at_the_start_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    url, parts = "sim://?unplug=1:2&seed=6", Peripherals(max_baud=2_000_000)
    port = open_transport(url, peripherals=parts)
    port.read(0)
    port.set_baud(921_600)
    clock.now_s = 1.5
    with pytest.raises(DeviceLost, match="unplugged"):
        port.read(0)
    port.close()
    clock.now_s = 3.1
    again = open_transport(url, peripherals=parts)
    hello = Frame(Channel.LINK, 0, 1, 0, payload_of(Hello(MAJOR, MINOR, 5, 0))).encode()
    again.write(b"\0" + hello)
    answer = b""
    for clock.now_s in (3.2, 3.3, 3.4):
        answer += again.read(0)
    answers = [Frame.decode(piece) for piece in answer.split(b"\0") if piece]
    assert [type(message_of(frame)) for frame in answers if frame is not None] == [HelloAck]
    again.close()


def test_an_address_has_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    port = open_transport("sim://?bootlog=1&delay=100&rate=115200")
    assert port.read(0) == b""
    clock.now_s = 0.1
    assert port.read(0) == b""
    clock.now_s = 0.3
    assert port.read(0).startswith(b"ESP-ROM:esp32s3")
    port.close()


def test_a_good_cable_is_what_an_address_has_that_names_no_fault() -> None:
    port = open_transport("sim://?seed=3")
    assert isinstance(port, SimTransport)
    assert isinstance(port._frame, FaultyFrame)
    assert port._frame.down.faults == port._frame.up.faults == Faults()
    port.close()
