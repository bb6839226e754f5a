"""The one interface of every simulated frame: `step(now, octets) -> (octets, deadline)`.

A step is everything that the frame does up to a moment: it lives through the time since the last one, hears `rx` at
its end, and speaks. Nothing happens between steps, and no clock is read, so the same steps give the same octets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from .button import NEVER
from .peripherals import Peripherals

__all__ = ["NEVER", "SteppedFrame"]

MAX_RX_BYTES = 65536
"""What one step hears at most; mirrors RX_MAX of hardware/firmware/host/pipe_server.c."""
MAX_TX_BYTES = 65536
"""What one step says at most; mirrors TX_MAX there."""


class SteppedFrame(ABC):
    """A frame build with its scripted peripherals. Not thread-safe: one thread steps it."""

    def __init__(self, peripherals: Peripherals) -> None:
        self.peripherals = peripherals
        peripherals.on_boot()
        self._level = False
        self._boot_us: int | None = None  # the first step

    def step(self, now_us: int, rx: bytes = b"") -> tuple[bytes, int]:
        """Live until `now_us` and hear `rx` there.

        Args:
            now_us: any clock that never goes back. The frame boots at the first step.
            rx: octets from the host, in pieces of any size.

        Returns:
            The octets for the host, and when the next step is due (NEVER: not before there is something to hear).
        """
        tx = b""
        self._boot_us = now_us if self._boot_us is None else self._boot_us
        for asked_us, level in self.peripherals.button.changes(now_us):
            at_us = max(asked_us, self._boot_us)
            tx += self._run(at_us, self._level, b"")[0]
            self._level = level
            tx += self._run(at_us, level, b"")[0]
        for at in range(0, len(rx) - MAX_RX_BYTES, MAX_RX_BYTES):
            tx += self._run(now_us, self._level, rx[at : at + MAX_RX_BYTES])[0]
        more, next_us = self._run(
            now_us, self._level, rx[(len(rx) - 1) // MAX_RX_BYTES * MAX_RX_BYTES :] if rx else b""
        )
        return tx + more, min(next_us, self.peripherals.button.next_us)

    @abstractmethod
    def _run(self, now_us: int, button: bool, rx: bytes) -> tuple[bytes, int]:
        """One step of the build itself; `rx` holds at most MAX_RX_BYTES."""

    def close(self) -> None:
        """Power off. The recordings of the peripherals stay."""
        self.peripherals.close()
