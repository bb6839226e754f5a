"""LockstepDevice: a simulated frame under a virtual clock, on its caller's thread.

Knows DeviceCore and a frame that is stepped; no thread, no port, no wall clock. The same calls at the same virtual
times give the same octets, so a test that fails replays. The wire between the two is endless and takes no time; a test
that wants a bad one wraps the frame.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from .device_api import DeviceApi
from .device_core import WANTED_BAUD, DeviceCore, T, run_quietly
from .errors import DeviceLost, LocalProtocolError
from .faulty_frame import Unplugged
from .link import HELLO_TIMEOUT_S, Link
from .messages import START_BAUD, CloseReason
from .sim_transport import Steppable

if TYPE_CHECKING:
    from .simulator.peripherals import Peripherals

# Time moves on at least this much when a deadline has passed and nothing came of it.
SMALLEST_STEP_S = 1e-4

# Answers to answers at one instant. A frame that always has more to say gets the next instant for the rest.
MAX_EXCHANGES = 64


class LockstepDevice(DeviceApi):
    """The Device of virtual time.

    Attributes:
        frame: what is stepped.
        peripherals: the simulated frame's parts, for whoever scripts them.
        now_s: the virtual time that both sides have reached.
    """

    def __init__(
        self,
        frame: Steppable,
        peripherals: Peripherals | None = None,
        *,
        seed: int = 0,
        timeout_s: float = HELLO_TIMEOUT_S,
        baud: int = WANTED_BAUD,
        make_link: Callable[..., Link] = Link,
    ) -> None:
        """Shake hands at virtual time 0. `seed` decides the nonces, `make_link` takes Link's arguments.

        `baud` is the rate to switch to, where the frame's line has one.
        """
        nonces = random.Random(seed)
        super().__init__(DeviceCore(make_link("sim://", baud), lambda: nonces.getrandbits(32), timeout_s))
        self.frame = frame
        self.peripherals = peripherals
        self.now_s = 0.0
        self._next_us = 0
        self._port_baud = START_BAUD
        self._reopen_s: float | None = None  # when the port is tried again; None while it is open
        self._busy = False
        self._closed = False
        self._asked = False
        try:
            self._shake_hands()
        except BaseException:  # nobody else has it
            self._closed = True
            frame.close()
            raise

    def _shake_hands(self) -> None:
        self._core.port_opened(0.0)
        self.advance(0.0)
        while not self.connected:
            if self._core.first_error is not None:
                raise self._core.first_error
            self.advance(self._next_instant())

    def advance(self, now_s: float) -> None:
        """Let both sides live until `now_s`, through every deadline on the way. Events come by `subscribe`."""
        self._refuse_in_callback()
        self._busy = True
        try:
            self._exchange(self.now_s)  # what was asked for since, at the time at which it was
            while self.now_s < now_s:
                self._exchange(min(now_s, self._next_instant()))
            self._exchange(now_s)
        finally:
            self._busy = False

    def next_deadline(self) -> float:
        """The virtual time at which one of the two has something to do; now, when something was asked for."""
        if self._asked:
            return self.now_s
        due_s = self._core.next_deadline()
        frame_s = self._next_us / 1e6
        return min(t for t in (due_s, frame_s, self._reopen_s) if t is not None)

    def close(self, reason: CloseReason = CloseReason.DONE) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._core.link.close(reason)
            with contextlib.suppress(Unplugged):
                self._step(self._core.link.data_to_send())
            self._core.end()
        finally:
            self.frame.close()

    def _submit(self, command: Callable[[], None]) -> None:
        self._asked = True
        run_quietly(command)

    def _wait(self, start: Callable[[Callable[[T], None]], None], timeout_s: float) -> T:
        self._refuse_in_callback()  # before anything has happened
        box: list[T] = []
        self._submit(lambda: start(box.append))
        give_up_s = self.now_s + timeout_s + 1.0
        self.advance(self.now_s)
        while not box:
            if self.now_s >= give_up_s:
                raise DeviceLost("The simulated frame does not answer.")
            self.advance(self._next_instant())
        return box[0]

    def _refuse_in_callback(self) -> None:
        if self._busy:
            raise LocalProtocolError("this call moves time; from a callback use post() or post_photo()")

    def _next_instant(self) -> float:
        return max(self.next_deadline(), self.now_s + SMALLEST_STEP_S)

    def _now_us(self) -> int:
        return round(self.now_s * 1e6)

    def _step(self, to_frame: bytes) -> tuple[bytes, int]:
        """Let the frame hear this now, at the rate that the host has now."""
        if (baud := self._core.link.baud) != self._port_baud:
            self.frame.set_baud(baud)
            self._port_baud = baud
        return self.frame.step(self._now_us(), to_frame)

    def _exchange(self, now_s: float) -> None:
        """Let host and frame talk at one instant until neither has more to say."""
        if self._closed:
            raise LocalProtocolError("the device is closed")
        self.now_s = max(self.now_s, now_s)
        core = self._core
        for _ in range(MAX_EXCHANGES):
            core.tick(self.now_s)
            core.deliver()
            to_frame = core.link.data_to_send()
            must_reopen = self._reopen_s is not None and self.now_s >= self._reopen_s
            if not to_frame and self._next_us > self._now_us() and not must_reopen:
                break
            try:
                from_frame, self._next_us = self._step(to_frame)
            except Unplugged as gone:
                self._next_us = gone.next_us
                if self._reopen_s is None:
                    core.port_lost(gone)
                if self._reopen_s is None or must_reopen:
                    self._reopen_s = self.now_s + core.back_off()
                continue
            if must_reopen:
                self._reopen_s = None
                core.port_opened(self.now_s)
            if self._reopen_s is None:
                core.link.receive_data(from_frame, self.now_s)
                if not from_frame and self._next_us > self._now_us() and not must_reopen:
                    break  # neither has more to say
        self._asked = False
