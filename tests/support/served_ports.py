"""Ports for the program under test: a real simulated frame behind TCP, and things behind TCP that are no frame."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals


class Server:
    """Listens on a free port of this computer and gives its one connection to `serve` on a thread."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connection: socket.socket | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            with connection, contextlib.suppress(OSError):
                self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        """Until the connection or the server ends."""
        raise NotImplementedError

    def received(self, connection: socket.socket, timeout_s: float) -> bytes | None:
        """What came within the time (b"" for nothing), or None when the other side has closed."""
        if not select.select([connection], [], [], timeout_s)[0]:
            return b""
        return connection.recv(65536) or None


class FrameServer(Server):
    """The firmware's own core behind TCP, under the wall clock; `unplug` pulls the cable, `crash` ends the firmware."""

    def __init__(self, peripherals: Peripherals | None = None) -> None:
        super().__init__()
        self.peripherals = peripherals or Peripherals()
        self._unplugged = threading.Event()
        self._last_words = b""
        self._frame = SimTransport(SimulatedFrame(self.peripherals))

    def crash(self, text: str) -> None:
        """Print `text`, forget everything and boot. May be called from within the frame's own parts."""
        self._last_words = text.encode()

    def unplug(self) -> None:
        """Close the connection and take no new one."""
        self._unplugged.set()

    def serve(self, connection: socket.socket) -> None:
        while not self._stop.is_set():
            if self._unplugged.is_set():
                self._listener.close()
                return
            data = self.received(connection, 0.005)
            if data is None:
                self._frame.read(0.1)  # the host's last octets take effect
                return
            self._frame.write(data)
            out = self._frame.read(0)
            if self._last_words:
                out, self._last_words = self._last_words, b""
                self._frame = SimTransport(SimulatedFrame(self.peripherals))
            if out:
                connection.sendall(out)


class StrangerServer(Server):
    """Says what `answer` makes of what it hears, and `greeting` again and again."""

    def __init__(self, greeting: bytes = b"", answer: Callable[[bytes], bytes] = lambda heard: b"") -> None:
        super().__init__()
        self._greeting = greeting
        self._answer = answer

    def serve(self, connection: socket.socket) -> None:
        while not self._stop.is_set():
            data = self.received(connection, 0.02)
            if data is None:
                return
            if out := self._greeting + (self._answer(data) if data else b""):
                connection.sendall(out)
