"""What the cases talk to: octets out, octets in, and the time. Over any Transport under the wall clock, or over a
simulated frame in virtual time.

Knows no frame. A case asks for nothing else, so it runs unchanged on either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from ..sim_transport import Steppable
from ..transport import Transport

# A frame in virtual time that has more to say, but nothing of it now, is asked again this much later.
SMALLEST_STEP_US = 1
# While nobody reads, a frame in virtual time is still visited at this pace.
STALL_STEP_US = 20_000


class Port(Protocol):
    """An open port with a clock. For one thread."""

    name: str
    clock: str
    """"virtual" or "wall"."""

    @property
    def now_us(self) -> int: ...

    def write(self, data: bytes) -> None:
        """Raises DeviceLost."""

    def read(self, until_us: int) -> bytes:
        """What has come, at least one octet, or b"" once the clock reads `until_us`. Raises DeviceLost."""

    def stall(self, duration_us: int) -> None:
        """Let time pass and read nothing."""

    def set_baud(self, baud: int) -> None:
        """The line's rate on this side, from the next octet on."""

    def close(self) -> None: ...


class SteppedPort:
    """A frame in virtual time: it lives from one of its deadlines to the next, as fast as this computer can."""

    clock = "virtual"

    def __init__(self, frame: Steppable, name: str = "sim://") -> None:
        self.name = name
        self._frame = frame
        self._now_us = 0
        self._next_us = 0
        self._arrived = bytearray()

    @property
    def now_us(self) -> int:
        return self._now_us

    def write(self, data: bytes) -> None:
        self._step(data)

    def read(self, until_us: int) -> bytes:
        while not self._arrived and self._now_us < until_us:
            self._now_us = min(until_us, max(self._next_us, self._now_us + SMALLEST_STEP_US))
            self._step(b"")
        arrived = bytes(self._arrived)
        self._arrived.clear()
        return arrived

    def stall(self, duration_us: int) -> None:
        end_us = self._now_us + duration_us
        while self._now_us < end_us:
            self._now_us = min(end_us, self._now_us + STALL_STEP_US)
            self._step(b"", 0)

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def close(self) -> None:
        self._frame.close()

    def _step(self, data: bytes, *room: int) -> None:
        tx, self._next_us = self._frame.step(self._now_us, data, *room)
        self._arrived += tx


class LivePort:
    """A port of this computer, under its clock."""

    clock = "wall"

    def __init__(self, transport: Transport, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = transport.name
        self._transport = transport
        self._clock = clock
        self._start_s = clock()

    @property
    def now_us(self) -> int:
        return int((self._clock() - self._start_s) * 1e6)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def read(self, until_us: int) -> bytes:
        while True:
            left_us = until_us - self.now_us
            data = self._transport.read(max(0, left_us) / 1e6)
            if data or left_us <= 0:
                return data

    def stall(self, duration_us: int) -> None:
        time.sleep(duration_us / 1e6)

    def set_baud(self, baud: int) -> None:
        self._transport.set_baud(baud)

    def close(self) -> None:
        self._transport.close()


class RecordedPort:
    """A port whose octets are also handed to `record(octets, at_s, inbound=...)`, as they were read and written."""

    def __init__(self, port: Port, record: Callable[..., None]) -> None:
        self.name, self.clock = port.name, port.clock
        self._port = port
        self._record = record

    @property
    def now_us(self) -> int:
        return self._port.now_us

    def write(self, data: bytes) -> None:
        self._record(data, self._port.now_us / 1e6, inbound=False)
        self._port.write(data)

    def read(self, until_us: int) -> bytes:
        data = self._port.read(until_us)
        if data:
            self._record(data, self._port.now_us / 1e6, inbound=True)
        return data

    def stall(self, duration_us: int) -> None:
        self._port.stall(duration_us)

    def set_baud(self, baud: int) -> None:
        self._port.set_baud(baud)

    def close(self) -> None:
        self._port.close()
