"""Device: a frame behind a port, driven by one I/O thread under the wall clock.

Knows Transport and DeviceCore, and is the only owner of both: other threads hand it commands. Must not know what the
frame is used for.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from .device_api import DeviceApi
from .device_core import WANTED_BAUD, DeviceCore, T, run_quietly
from .errors import (
    BridgeError,
    DeviceLost,
    DeviceNotFound,
    LocalProtocolError,
    RemoteProtocolError,
    RequestTimeout,
    TransportError,
)
from .link import HELLO_TIMEOUT_S, Link
from .link_events import Crashed, Event
from .messages import START_BAUD, CloseReason
from .transport import Transport, open_transport

if TYPE_CHECKING:
    from .simulator.peripherals import Peripherals

# The longest the thread waits for octets when nothing is due.
LONGEST_READ_S = 0.5

# How long close() waits for the thread: one write that hangs (1 s) and the farewell.
CLOSE_TIMEOUT_S = 3.0

# The core answers every request within its own timeout. This much later its thread must be dead.
GRACE_S = 5.0

_log = logging.getLogger(__name__)


class Device(DeviceApi):
    """A connected frame. Make one with `Device.open`, close it with `close` or a `with` block.

    A callback that raises is logged, and a subscriber that does so is not called again; the others are.
    """

    def __init__(
        self,
        transport: Transport,
        reopen: Callable[[], Transport],
        timeout_s: float = HELLO_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
        baud: int = WANTED_BAUD,
        make_link: Callable[..., Link] = Link,
        keep_crash: Callable[[Crashed], str] | None = None,
        watcher: Callable[[Event], None] | None = None,
    ) -> None:
        """Shake hands over `transport`; `reopen` brings the port back after it was lost.

        `baud` is the rate to switch a UART to. `make_link` takes Link's arguments: `capture.recorder` has one whose
        Links are recorded. `watcher`: as for `open`.

        Raises:
            BridgeError: nothing answered within `timeout_s`, or something that is no frame of this version.
        """
        link = make_link(transport.name, baud if transport.has_rate else 0)
        core = DeviceCore(
            link,
            lambda: secrets.randbits(32),
            timeout_s,
            shielded=True,
            keep_crash=keep_crash,
            patient=watcher is not None,
        )
        super().__init__(core)
        if watcher is not None:
            self.subscribe(watcher)
        self._clock = clock
        self._transport: Transport | None = transport
        self._port_baud = START_BAUD
        self._reopen = reopen
        self._reopen_s = 0.0
        self._commands: deque[Callable[[], None]] = deque()
        self._wakeup = threading.Event()
        self._settled = threading.Event()  # the first handshake has ended, one way or the other
        self._stop: CloseReason | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="lorgnette-link", daemon=True)
        self._thread.start()
        if watcher is not None:
            return
        try:
            self._settled.wait(timeout_s + GRACE_S)
        except BaseException:  # Ctrl-C during the handshake
            self.close(CloseReason.INTERRUPTED)
            raise
        if not self.connected:
            self.close()
            raise self._core.first_error or DeviceLost(f"{transport.name} went away during the handshake.")

    @classmethod
    def open(
        cls,
        port: str,
        *,
        baud: int = WANTED_BAUD,
        timeout_s: float = HELLO_TIMEOUT_S,
        peripherals: Peripherals | None = None,
        make_link: Callable[..., Link] = Link,
        keep_crash: Callable[[Crashed], str] | None = None,
        watcher: Callable[[Event], None] | None = None,
    ) -> Self:
        """Open `port` and shake hands.

        Args:
            port: a serial port, socket://host:port or sim://...
            baud: the rate to switch a UART to; USB boards ignore it.
            timeout_s: for the handshake; a wrong port costs no more than this.
            peripherals: the simulated frame's parts, for sim:// only.
            make_link: as for `Device`.
            keep_crash: called on the link's thread with what the frame printed of a crash; stores it and returns
                where, or "". Errors that the crash caused name the place.
            watcher: subscribed before anything comes. It is told of a handshake that fails (Disconnected), also of the
                first, and the port is tried again for as long as the device is open: nothing is waited for, and only a
                port that cannot be opened is raised. Without one, a device that is there has shaken hands.

        Raises:
            TransportError: the port cannot be opened, or nothing answers.
            RemoteProtocolError: what answers is no frame, or of another protocol version.
        """
        from .discovery import same_port_again
        from .port_errors import unanswered

        transport = open_transport(port, peripherals)
        _log.info("port %s opened", transport.name)
        find = same_port_again(port)

        def reopen() -> Transport:
            return open_transport(find(), peripherals)

        try:
            return cls(
                transport, reopen, timeout_s, baud=baud, keep_crash=keep_crash, make_link=make_link, watcher=watcher
            )
        except (DeviceNotFound, RemoteProtocolError) as error:
            raise unanswered(port, error) from error.__cause__

    def close(self, reason: CloseReason = CloseReason.DONE) -> None:
        if self._stop is None:
            self._stop = reason
        self._wake()
        if threading.current_thread() is self._thread:
            return
        deadline_s = time.monotonic() + CLOSE_TIMEOUT_S
        try:
            self._thread.join(CLOSE_TIMEOUT_S)
        except KeyboardInterrupt:  # a second Ctrl-C must not keep Close from being sent
            self._thread.join(max(0.0, deadline_s - time.monotonic()))
            raise

    # -------------------------------------------------------------------------- from other threads
    def _submit(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        self._wake()
        if self._ended:  # nobody comes by any more, but the link is closed and answers at once
            self._run_commands()

    def _wait(self, start: Callable[[Callable[[T], None]], None], timeout_s: float) -> T:
        if threading.current_thread() is self._thread:
            raise LocalProtocolError("this call waits; from a callback use post() or post_photo()")
        box: list[T] = []
        finished = threading.Event()

        def done(outcome: T) -> None:
            box.append(outcome)
            finished.set()

        self._submit(lambda: start(done))
        if not finished.wait(timeout_s + GRACE_S):
            raise RequestTimeout("The link's thread does not answer.", "Start again.")
        return box[0]

    def _wake(self) -> None:
        self._wakeup.set()
        if (transport := self._transport) is not None:
            transport.wake()

    # ------------------------------------------------------------------------------ the I/O thread
    def _run(self) -> None:
        fault: BridgeError | None = None
        try:
            self._core.port_opened(self._clock())
            while self._stop is None and not self._core.gave_up:
                self._turn()
        except BaseException as error:  # nobody above would hear of it
            _log.exception("the link's thread failed")
            fault = DeviceLost(f"The link's thread failed: {error!r}.", "Start again.")
        finally:
            self._say_goodbye(fault)

    def _turn(self) -> None:
        """One round: what is due, what others want, what goes out, what comes in."""
        self._core.tick(self._clock())
        self._core.deliver()
        self._run_commands()
        if self.connected:
            self._settled.set()
        try:
            transport = self._transport or self._try_reopen()
            if transport is None:
                self._wakeup.wait(self._pause())
                self._wakeup.clear()
                return
            if data := self._core.link.data_to_send():
                self._write(transport, data)
            data = transport.read(self._pause())
        except TransportError as error:
            self._drop_port(error)
            return
        if data:
            self._core.link.receive_data(data, self._clock())

    def _write(self, transport: Transport, data: bytes) -> None:
        """Send what the link wants sent now, at the rate that it has now."""
        if (baud := self._core.link.baud) != self._port_baud:
            transport.set_baud(baud)
            self._port_baud = baud
        transport.write(data)

    def _pause(self) -> float:
        """How long to wait for octets, in seconds."""
        if self._commands:
            return 0.0
        due_s = self._core.next_deadline()
        if self._transport is None:
            due_s = self._reopen_s
        return LONGEST_READ_S if due_s is None else min(max(0.0, due_s - self._clock()), LONGEST_READ_S)

    def _run_commands(self) -> None:
        while True:
            try:
                command = self._commands.popleft()
            except IndexError:  # none left; another thread may have taken the last one when this one is gone
                return
            try:
                run_quietly(command)
            except Exception:  # it must not take those behind it along
                _log.exception("a command to the link failed")

    def _drop_port(self, error: TransportError) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self._core.port_lost(error)
        self._core.deliver()
        self._reopen_s = self._clock() + self._core.back_off()

    def _try_reopen(self) -> Transport | None:
        if self._clock() < self._reopen_s:
            return None
        try:
            self._transport = self._reopen()
            self._port_baud = START_BAUD
        except TransportError:  # still away: Disconnected has told, the rest is quiet
            self._reopen_s = self._clock() + self._core.back_off()
            return None
        self._core.port_opened(self._clock())
        return self._transport

    def _say_goodbye(self, fault: BridgeError | None) -> None:
        """First the frame, so that its sensors stop, then whoever waits: their callbacks are not ours."""
        try:
            try:
                self._core.link.close(self._stop if self._stop is not None else CloseReason.DONE)
                self._send_rest()
            except Exception:
                _log.exception("the session could not be closed")
            self._core.end(fault)
        finally:
            self._ended = True  # before the last look, so that no command falls in between
            self._settled.set()
            self._run_commands()

    def _send_rest(self) -> None:
        if self._transport is None:
            return
        try:
            with contextlib.suppress(BridgeError):  # the port is gone: the frame notices by itself within 3 s
                if data := self._core.link.data_to_send():
                    self._write(self._transport, data)
        finally:
            self._transport.close()
