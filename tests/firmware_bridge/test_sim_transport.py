"""The simulated frame as a port: its time is the wall's, whoever comes late."""

from __future__ import annotations

import pytest

from lorgnette.firmware_bridge.sim_transport import SimTransport


class Frame:
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
    frame = Frame()
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
    frame = Frame()
    port = SimTransport(frame, clock=lambda: now_s)
    now_s = 4.01
    port.write(b"hello")
    port.read(0)
    assert [now_us for now_us, rx in frame.steps if rx] == [4_010_000]
    assert [now_us for now_us, _ in frame.steps[:-1]] == list(range(0, 4_010_000, 20_000))
