"""The one interface of every simulated frame: `step(now, octets, room) -> (octets, deadline)`.

A step is everything that the frame does up to a moment: it lives through the time since the last one, hears `rx` at
its end, and speaks. Nothing happens between steps, and no clock is read, so the same steps give the same octets.

Where the line has a rate, each end has one of its own: while they differ, both read what a UART reads then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..messages import START_BAUD
from .button import NEVER
from .peripherals import Peripherals
from .uart import misread

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
        self._host_baud = START_BAUD

    def set_baud(self, baud: int) -> None:
        """The host's side of the line has this rate from now on; without meaning where the line has none."""
        self._host_baud = baud

    def step(self, now_us: int, rx: bytes = b"", room: int = MAX_TX_BYTES) -> tuple[bytes, int]:
        """Live until `now_us` and hear `rx` there.

        Args:
            now_us: any clock that never goes back. The frame boots at the first step.
            rx: octets from the host, in pieces of any size.
            room: how many octets the line takes. What does not fit waits in the frame, which goes on deciding what is
                the most urgent; then the next step is due at once.

        Returns:
            At most `room` octets for the host, and when the next step is due (NEVER: not before there is something to
            hear).
        """
        room = min(room, MAX_TX_BYTES)
        tx = b""
        self._boot_us = now_us if self._boot_us is None else self._boot_us
        for asked_us, level in self.peripherals.button.changes(now_us):
            at_us = max(asked_us, self._boot_us)
            tx += self._live(at_us, b"", room - len(tx))[0]
            self._level = level
            tx += self._live(at_us, b"", room - len(tx))[0]
        if rx and self.peripherals.max_baud:
            tx += self._live(now_us, b"", room - len(tx))[0]  # it may change its rate before it hears
            rx = self._between_rates(rx, self._host_baud, self.peripherals.baud)
        for at in range(0, max(1, len(rx)), MAX_RX_BYTES):
            more, next_us = self._live(now_us, rx[at : at + MAX_RX_BYTES], room - len(tx))
            tx += more
        return tx, min(next_us, self.peripherals.button.next_us)

    def _live(self, now_us: int, rx: bytes, room: int) -> tuple[bytes, int]:
        tx, next_us = self._run(now_us, self._level, rx, room)
        return self._between_rates(tx, self.peripherals.baud, self._host_baud)[:room], next_us

    def _between_rates(self, data: bytes, sent_baud: int, read_baud: int) -> bytes:
        alike = not self.peripherals.max_baud or sent_baud == read_baud
        return data if alike else misread(data, sent_baud, read_baud)

    @abstractmethod
    def _run(self, now_us: int, button: bool, rx: bytes, room: int) -> tuple[bytes, int]:
        """One step of the build itself; `rx` holds at most MAX_RX_BYTES, `room` is at most MAX_TX_BYTES.

        Everything that it says in one step was said at the rate that the frame has behind it.
        """

    def close(self) -> None:
        """Power off. The recordings of the peripherals stay."""
        self.peripherals.close()
