"""Octets to and from a port. The Transport protocol, the serial port, and the choice by URL.

The only module that imports pyserial, and it does so inside functions. Knows no frame and no session. Whatever the
operating system complains about leaves here as an error of `errors.py`, with a remedy.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .errors import DeviceLost, DeviceNotFound
from .messages import START_BAUD
from .port_errors import open_error

if TYPE_CHECKING:
    from .simulator.peripherals import Peripherals

# How long a write may wait for the frame to take octets. A flash erase stalls a frame for 0.4 s.
WRITE_TIMEOUT_S = 1.0

# Octets per write, each with that time of its own. The slowest usual line, 9600 baud, takes this many in half of it.
WRITE_BYTES = 512

# The longest single wait inside `SerialTransport.read`: on Windows a cancel reaches only a read that is pending, so
# this bounds how late `wake` can be there. 50 wake-ups a second cost 0.2 % of a core.
POLL_S = 0.02

_log = logging.getLogger(__name__)


class Transport(Protocol):
    """A port that is open. `read`, `write` and `set_baud` belong to one thread; `wake` may be called from any.

    Attributes:
        has_rate: `set_baud` does something.
    """

    name: str
    has_rate: bool

    def read(self, timeout_s: float) -> bytes:
        """What has come, at least one octet, or b"" after `timeout_s` or a `wake`. Raises DeviceLost."""

    def write(self, data: bytes) -> None:
        """Send everything. Raises DeviceLost when the port is gone or takes nothing for WRITE_TIMEOUT_S."""

    def set_baud(self, baud: int) -> None:
        """Let what is written from now on go out, and what comes in be read, at this rate. A port begins at START_BAUD.

        A rate that the port cannot do changes nothing: the link notices that nothing comes through, and goes back.
        """

    def wake(self) -> None:
        """Make a `read` that waits, or the next one, return at once."""

    def close(self) -> None:
        """Idempotent, and never raises."""


class Port(Protocol):
    """The part of pyserial's Serial that we use."""

    baudrate: int
    dtr: bool
    rts: bool

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int) -> bytes: ...
    def write(self, data: bytes) -> int | None: ...
    def cancel_read(self) -> None: ...
    def close(self) -> None: ...


def open_transport(url: str, peripherals: Peripherals | None = None) -> Transport:
    """Open `sim://...`, `socket://host:port` or the name of a serial port, that one at START_BAUD.

    Args:
        peripherals: for `sim://` only: the simulated frame's parts, instead of what the URL describes.

    Raises:
        TransportError: with one sentence and a remedy.
    """
    scheme, found, _ = url.partition("://")
    if not found:
        return SerialTransport(url)
    if scheme == "sim":
        from .sim_transport import SimTransport

        return SimTransport.open(url, peripherals)
    if scheme == "socket":
        from .socket_transport import SocketTransport

        return SocketTransport(url)
    raise DeviceNotFound(
        f"{url} is no port that this program can open.",
        "Use a serial port such as /dev/ttyACM0 or COM5, socket://host:port, or sim:// for the simulated frame.",
    )


class SerialTransport:
    """A serial port, or a pty in its place."""

    has_rate = True

    def __init__(self, port: str) -> None:
        import serial

        self.name = port
        self._woken = threading.Event()
        self._closed = False
        self._closing = threading.RLock()  # a signal's handler may close what its thread is just waking
        handle = serial.Serial()
        handle.port, handle.baudrate = port, START_BAUD
        handle.timeout, handle.write_timeout = POLL_S, WRITE_TIMEOUT_S
        handle.exclusive = True
        # On USB-JTAG boards and on the common bridges a DTR that differs from RTS resets the chip, so both go up
        # together, before the port is opened.
        handle.dtr = handle.rts = True
        try:
            handle.open()
        except _setting_errors() as error:
            told = error if isinstance(error, OSError | ValueError) else OSError(*error.args)
            raise open_error(port, told) from error
        if sys.platform != "win32":  # Windows opens ports for one program only
            _claim(handle.fileno())
        self._port: Port = handle

    def read(self, timeout_s: float) -> bytes:
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                data = self._port.read(max(1, self._port.in_waiting))
            except (OSError, TypeError) as error:  # TypeError: closed under a read, as pyserial reports it
                raise self._lost(error) from error
            if data or self._woken.is_set() or time.monotonic() >= deadline_s:
                self._woken.clear()
                return bytes(data)

    def write(self, data: bytes) -> None:
        try:
            for at in range(0, len(data), WRITE_BYTES):
                self._port.write(data[at : at + WRITE_BYTES])
        except (OSError, TypeError) as error:
            raise self._lost(error) from error

    def set_baud(self, baud: int) -> None:
        before = self._port.baudrate
        try:
            self._port.baudrate = baud
        except _setting_errors() as error:  # of a port that is gone, the next write says so
            _log.info("%s cannot be set to %d baud: %s", self.name, baud, error)
            with contextlib.suppress(*_setting_errors()):
                self._port.baudrate = before

    def wake(self) -> None:
        self._woken.set()
        # The lock, because a cancel writes into a pipe of the port's: once closed, its number may be another file's.
        with self._closing, contextlib.suppress(OSError):
            if not self._closed:
                self._port.cancel_read()

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            for line in ("rts", "dtr"):  # in this order, so that no board sees the pattern of a reset
                with contextlib.suppress(OSError):  # a pty has no such lines (ENOTTY); an unplugged port has none left
                    setattr(self._port, line, False)
            with contextlib.suppress(OSError):
                self._port.close()

    def _lost(self, error: Exception) -> DeviceLost:
        import serial

        if isinstance(error, serial.SerialTimeoutException):
            return DeviceLost(
                f"{self.name} has taken no data for {WRITE_TIMEOUT_S:g} s.",
                "Unplug the frame and plug it in again; if it stays so, put the firmware on it (hardware/README.md)",
            )
        reason = "it was unplugged" if _is_unplugged(error) else str(error)
        return DeviceLost(f"{self.name} went away: {reason}.", "Plug the frame in again and check the cable.")


def _claim(descriptor: int) -> None:
    """Let nobody else open the port, until it is closed. pyserial's own lock stops only those who ask for a lock too.

    Not a pseudo terminal: it would stay claimed beyond a process that was killed, for as long as its other end lives.
    """
    import fcntl
    import termios

    with contextlib.suppress(OSError):
        if not os.ttyname(descriptor).startswith(("/dev/pts/", "/dev/ttys")):
            fcntl.ioctl(descriptor, termios.TIOCEXCL)


def _setting_errors() -> tuple[type[Exception], ...]:
    """What pyserial raises when it opens or sets a port: an OSError, or on POSIX what a terminal's refusal is."""
    if sys.platform == "win32":
        return OSError, ValueError
    import termios

    return OSError, ValueError, termios.error


def _is_unplugged(error: Exception) -> bool:
    number = getattr(error, "errno", None)
    return number in (errno.EIO, errno.ENXIO, errno.ENODEV, errno.EBADF) or "disconnected" in str(error)


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A port as the operating system lists it."""

    device: str
    description: str
    vendor_id: int | None
    product_id: int | None
    serial_number: str


def list_serial_ports() -> list[SerialPort]:
    """Every serial port of this machine, by name. Opens none."""
    from serial.tools.list_ports import comports

    found = [SerialPort(p.device, p.description or "", p.vid, p.pid, p.serial_number or "") for p in comports()]
    return sorted(found, key=lambda p: p.device)
