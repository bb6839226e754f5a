"""sim:// under the wall clock: the simulated frame, stepped inside `read` on the caller's thread.

Knows how to keep a frame's time equal to the host's; must not know what is said. The frame has no thread of its own:
it lives while somebody reads, as a frame's octets arrive while somebody listens. A frame whose cable is out lives on,
and is found again under its address.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol

from .errors import DeviceLost, DeviceNotFound
from .faulty_frame import FaultyFrame, Unplugged
from .messages import START_BAUD

if TYPE_CHECKING:
    from .simulator.peripherals import Peripherals


class Steppable(Protocol):
    """What can be stepped: the in-process core, the same code in another process, or a test's stand-in."""

    def step(self, now_us: int, rx: bytes, room: int = ...) -> tuple[bytes, int]:
        """Advance to `now_us` and take `rx`; returns (tx, when it wants to be stepped again).

        At most `room` octets come back; when more waits, that time is now or past.
        """

    def set_baud(self, baud: int) -> None:
        """The host's side of the line has this rate now."""

    def close(self) -> None: ...


def simulated_frame(url: str, parts: Peripherals) -> FaultyFrame:
    """The frame with these parts, behind the line that `url` describes.

    Raises:
        SimulatorUnavailable: without the compiled core.
        DeviceNotFound: the address is malformed.
    """
    from .simulator.core import SimulatedFrame
    from .simulator.url import sim_faults

    faults, uart = sim_faults(url), parts.max_baud > 0
    return FaultyFrame(lambda: SimulatedFrame(parts), faults, parts.seed, uart=uart, tell=parts.reset)


class SimTransport:
    """A simulated frame as a port."""

    has_rate = True  # the frame says whether its line has one
    _away: ClassVar[dict[tuple[str, int], SimTransport]] = {}  # closed while their cable was out

    def __init__(self, frame: Steppable, name: str = "sim://", clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._frame = frame
        self._clock = clock
        self._start_s = clock()
        self._now_us = 0
        self._next_us = 0
        self._to_frame = bytearray()
        self._woken = threading.Event()
        self._closed = False
        self._unplugged: Unplugged | None = None
        self._key = (name, 0)

    @classmethod
    def open(cls, url: str, peripherals: Peripherals | None) -> SimTransport:
        """Make the frame that `url` describes, or find it again.

        Raises:
            SimulatorUnavailable: without the compiled core.
            DeviceNotFound: the address is malformed, or the cable of its frame is out.
        """
        from .simulator.url import parse_sim_url

        key = url, id(peripherals) if peripherals is not None else 0
        if (again := cls._away.get(key)) is not None:
            return again._plug_in()
        parts = peripherals if peripherals is not None else parse_sim_url(url)
        transport = cls(simulated_frame(url, parts), url)
        transport._key = key
        return transport

    def _plug_in(self) -> SimTransport:
        self._step_to_now()
        if self._unplugged is not None:
            raise DeviceNotFound(f"The simulated cable of {self.name} is out.", self._unplugged.remedy)
        del self._away[self._key]
        self._closed = False
        self.set_baud(START_BAUD)
        return self

    def read(self, timeout_s: float) -> bytes:
        deadline_s = self._clock() + timeout_s
        while True:
            if self._closed:
                raise DeviceLost(f"{self.name} is closed.")
            data = self._step_to_now()
            if self._unplugged is not None:
                raise self._unplugged
            now_s = self._clock()
            if data or self._woken.is_set() or now_s >= deadline_s:
                self._woken.clear()
                return data
            due_s = self._start_s + self._next_us / 1e6
            self._woken.wait(max(0.0, min(deadline_s, due_s) - now_s))

    def write(self, data: bytes) -> None:
        if self._closed:
            raise DeviceLost(f"{self.name} is closed.")
        if self._unplugged is not None:
            raise self._unplugged
        self._to_frame += data

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._unplugged is not None:  # the frame lives on
            self._away[self._key] = self
            atexit.register(self._frame.close)
            return
        try:
            self._step_to_now()  # the last octets written (Close) must still arrive
        finally:
            self._frame.close()

    def _step_to_now(self) -> bytes:
        """Step the frame through every deadline of its own until now, so that a late caller changes nothing.

        What was written arrives now, not in the past that the frame first has to live through.
        """
        now_us = int((self._clock() - self._start_s) * 1e6)
        out = bytearray()
        while self._next_us < now_us:
            self._step(self._next_us, b"", out)
        if self._to_frame or self._now_us < now_us:
            rx = bytes(self._to_frame)
            self._to_frame.clear()
            self._step(now_us, rx, out)
        return bytes(out)

    def _step(self, now_us: int, rx: bytes, out: bytearray) -> None:
        now_us = max(now_us, self._now_us)
        try:
            tx, next_us = self._frame.step(now_us, rx)
        except Unplugged as unplugged:
            self._unplugged, next_us = unplugged, unplugged.next_us
        else:
            self._unplugged = None
            out += tx
        self._now_us = now_us
        self._next_us = max(next_us, now_us + 1)  # a frame that asks for the past must not hold us up
