"""A listening socket as the far side of a proxy: one client at a time, the others are refused. Knows no frame."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
from collections import Counter

from .errors import DeviceBusy, DeviceNotFound
from .socket_transport import READ_BYTES

# A client whose machine has died says no farewell. It is asked after this time without a word, and so often:
KEEPALIVE_S = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
# and this is how long what it was sent may stay unacknowledged.
UNACKNOWLEDGED_MS = 25_000


class SocketDoor:
    """Listens on `host` and `port`; port 0 lets the system choose one, which `address` names.

    Attributes:
        is_public: other machines can connect.

    Raises:
        DeviceNotFound: the address cannot be listened on.
        DeviceBusy: somebody listens there already.
    """

    def __init__(self, host: str, port: int) -> None:
        self.counts: Counter[str] = Counter()
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
        listens = ipaddress.ip_address(self._listener.getsockname()[0])
        self.is_public = not listens.is_loopback
        reached = _own_address(listens) if listens.is_unspecified else host
        shown = f"[{reached}]" if ":" in reached else reached
        self.address = f"socket://{shown}:{self._listener.getsockname()[1]}"

    def wait(self, timeout_s: float) -> bool:
        client = self._client  # the pump may close it while we look
        watched = [self._listener, *([client] if client is not None else [])]
        with contextlib.suppress(OSError, ValueError):
            return bool(select.select(watched, [], [], timeout_s)[0])
        return True

    def read(self) -> bytes:
        # First what the client has sent, its farewell too: only then is the next one told that there is one.
        if octets := self._receive():
            return octets
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            if self._client is None and not self._shut:
                self._let_in(client)
                return self._receive()
            self.counts["refused"] += not self._shut
            client.close()
        return b""

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

    def _receive(self) -> bytes:
        if self._client is None:
            return b""
        try:
            octets = self._client.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:  # killed, or silent for too long
            octets = b""
        if not octets:
            self._turn_out()
        return octets

    def _let_in(self, client: socket.socket) -> None:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _watch_over(client)
        self._client = client
        self.counts["clients"] += 1

    def _turn_out(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _watch_over(client: socket.socket) -> None:
    """Let the system notice that the other machine is gone, as far as it can."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {**KEEPALIVE_S, "TCP_USER_TIMEOUT": UNACKNOWLEDGED_MS}.items():
        if (option := getattr(socket, name, None)) is not None:
            with contextlib.suppress(OSError):
                client.setsockopt(socket.IPPROTO_TCP, option, value)


def _own_address(everywhere: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The address at which others reach this machine, where it listens on all it has. Nothing is sent."""
    elsewhere, loopback = ("192.0.2.1", "127.0.0.1") if everywhere.version == 4 else ("2001:db8::1", "::1")
    with contextlib.suppress(OSError), socket.socket(_family(loopback), socket.SOCK_DGRAM) as probe:
        probe.connect((elsewhere, 9))
        return str(probe.getsockname()[0])
    return loopback
