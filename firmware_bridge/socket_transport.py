"""socket://host:port over the standard library. Knows no frame.

pyserial's own socket:// reads octet by octet, so this is ours. Waits with `select` on the connection and on one end
of a socket pair, whose other end is `wake`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from urllib.parse import urlsplit

from .errors import DeviceLost, DeviceNotFound
from .transport import WRITE_TIMEOUT_S

CONNECT_TIMEOUT_S = 3.0
READ_BYTES = 65_536


class SocketTransport:
    """A frame behind TCP: a serial server, a simulator in another process, a tunnel."""

    has_rate = False  # the serial server's business, if there is one

    def __init__(self, url: str) -> None:
        self.name = url
        host, port = _address(url)
        try:
            with contextlib.ExitStack() as opened:
                self._socket = opened.enter_context(socket.create_connection((host, port), CONNECT_TIMEOUT_S))
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket.settimeout(WRITE_TIMEOUT_S)
                self._wake_in, self._wake_out = socket.socketpair()
                opened.pop_all()
        except OSError as error:
            reason = "timed out" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
            raise DeviceNotFound(
                f"{url} cannot be reached: {reason}.", "Check that the serial server runs and that the port is right."
            ) from error
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._closing = threading.RLock()  # a wake must not write into what has this descriptor after a close
        self._closed = False

    def read(self, timeout_s: float) -> bytes:
        try:
            ready, _, _ = select.select([self._socket, self._wake_in], [], [], max(0.0, timeout_s))
            if self._wake_in in ready:
                self._wake_in.recv(4096)
            if self._socket not in ready:
                return b""
            data = self._socket.recv(READ_BYTES)
        except (OSError, ValueError) as error:  # ValueError: closed, so its descriptor is -1
            raise self._lost(str(error)) from error
        if not data:
            raise self._lost("the other side closed the connection")
        return data

    def write(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:  # not sendall: its time limit is one for everything
                rest = rest[self._socket.send(rest) :]
        except OSError as error:
            raise self._lost(str(error)) from error

    def set_baud(self, baud: int) -> None:
        """Nothing."""

    def wake(self) -> None:
        with self._closing, contextlib.suppress(OSError):  # full: a wake-up is under way already
            if not self._closed:
                self._wake_out.send(b"\0")

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            for end in (self._socket, self._wake_in, self._wake_out):
                with contextlib.suppress(OSError):
                    end.close()

    def _lost(self, reason: str) -> DeviceLost:
        return DeviceLost(f"{self.name} went away: {reason}.", "Check the network and the serial server.")


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port and "\0" not in parts.hostname:
            parts.hostname.encode("idna")  # what the name's look-up would fail at: an empty label, or one too long
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise DeviceNotFound(f"{url} names no host and port.", "Write it as socket://host:port")
