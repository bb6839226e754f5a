"""The frame and the host's routes in virtual time: what `Glasses` is to the live driver, this is to the virtual one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .world import FrameDevice, Glasses


class SteppedDevice(FrameDevice, Protocol):
    """A frame that lives only while its caller moves the time, as `LockstepDevice` does."""

    def advance(self, now_s: float, /) -> None: ...
    def next_deadline(self) -> float: ...


class VirtualGlasses(Glasses):
    """Glasses over a device without a thread; the options are those of Glasses."""

    def __init__(self, device: SteppedDevice, **routes: Any) -> None:
        super().__init__(device, **routes)
        self._stepped = device

    def _aside(self, work: Callable[[], None]) -> None:
        work()  # virtual time has one thread

    def advance(self, now_s: float) -> None:
        self._stepped.advance(now_s)

    def next_deadline(self) -> float | None:
        return self._stepped.next_deadline()
