"""A frame behind TCP, as a serial server would offer it."""

from __future__ import annotations

import select
import socket
import threading
from typing import Self

from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals


class SocketFrame:
    """Serves one frame, under the wall clock, to one host after the other until the block ends."""

    def __init__(self, peripherals: Peripherals) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._frame = SimTransport(SimulatedFrame(peripherals))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._listener.close()
        self._frame.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            if select.select([self._listener], [], [], 0.02)[0]:
                connection, _ = self._listener.accept()
                with connection:
                    self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        while not self._stop.is_set():
            if select.select([connection], [], [], 0)[0]:
                data = connection.recv(65536)
                if not data:
                    self._frame.read(0)
                    return
                self._frame.write(data)
            if out := self._frame.read(0.002):
                connection.sendall(out)


def frame_behind_socket(peripherals: Peripherals) -> SocketFrame:
    return SocketFrame(peripherals)
