"""A listening socket as the far side of a proxy: one client at a time, the newest one. Knows no frame."""

from __future__ import annotations

import contextlib
import select
import socket

from .errors import DeviceBusy, DeviceNotFound
from .socket_transport import READ_BYTES


class SocketDoor:
    """Listens on `host` and `port`; port 0 lets the system choose one, which `address` names.

    Raises:
        DeviceNotFound: the address cannot be listened on.
        DeviceBusy: somebody listens there already.
    """

    def __init__(self, host: str, port: int) -> None:
        self.clients = 0
        self._client: socket.socket | None = None
        self._shut = True
        try:
            self._listener = socket.create_server((host, port), family=_family(host))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            kind = DeviceBusy if "in use" in reason else DeviceNotFound
            raise kind(
                f"socket://{host}:{port} cannot be listened on: {reason}.", "Choose another port, or 0."
            ) from error
        self._listener.setblocking(False)
        shown = f"[{host}]" if ":" in host else host
        self.address = f"socket://{shown}:{self._listener.getsockname()[1]}"

    def wait(self, timeout_s: float) -> bool:
        client = self._client  # the pump may close it while we look
        watched = [self._listener, *([client] if client is not None else [])]
        with contextlib.suppress(OSError, ValueError):
            return bool(select.select(watched, [], [], timeout_s)[0])
        return True

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError, OSError):
            client, _ = self._listener.accept()
            self._turn_out()
            if self._shut:
                client.close()
            else:
                self._let_in(client)
        if self._client is None:
            return b""
        try:
            octets = self._client.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:  # killed
            octets = b""
        if not octets:
            self._turn_out()
        return octets

    def write(self, octets: bytes) -> int:
        if self._client is None or not octets:
            return len(octets)
        try:
            return self._client.send(octets)
        except BlockingIOError:
            return 0
        except OSError:
            self._turn_out()
            return len(octets)

    def baud(self) -> int | None:
        return None

    def shut(self) -> None:
        self._shut = True
        self._turn_out()

    def open(self) -> None:
        self._shut = False

    def close(self) -> None:
        self._turn_out()
        self._listener.close()

    def _let_in(self, client: socket.socket) -> None:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self.clients += 1

    def _turn_out(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
