"""A frame, or anything else, behind a pseudo terminal: what a program sees of it is a serial port. POSIX only."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
from pathlib import Path
from typing import Self

from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals
from lorgnette.firmware_bridge.transport import Transport


class PtyPort:
    """Connects `inside` with the terminal at `path` until the block ends.

    `unplug` takes the terminal away, as when a cable is pulled; `plug` brings it back at the same path. What is inside
    lives on meanwhile.
    """

    def __init__(self, folder: Path, inside: Transport) -> None:
        self.path = folder / "ttyTEST0"
        self._inside = inside
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._master: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.plug()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.unplug()
        self._inside.close()

    def plug(self) -> None:
        master, slave = os.openpty()
        self.path.symlink_to(os.ttyname(slave))
        os.close(slave)
        with self._lock:
            self._master = master

    def unplug(self) -> None:
        with self._lock:
            master, self._master = self._master, None
        if master is not None:
            self.path.unlink()
            os.close(master)

    def say(self, data: bytes) -> None:
        """Send something that is not what is inside."""
        with self._lock:
            assert self._master is not None
            os.write(self._master, data)

    def go_deaf(self) -> None:
        """From now on nothing passes in either direction, but the terminal stays."""
        self._stop.set()
        self._thread.join(10)

    def _follow_rate(self, master: int) -> None:
        """What the program has set its end of the terminal to is the rate of the line."""
        speed = termios.tcgetattr(master)[5]
        for name in ("115200", "230400", "460800", "921600"):
            if speed == getattr(termios, f"B{name}"):
                self._inside.set_baud(int(name))

    def _run(self) -> None:
        while not self._stop.is_set():
            out = self._inside.read(0.002)
            with self._lock, contextlib.suppress(OSError):  # EIO: nobody has opened the other end
                if self._master is None:
                    continue
                if out:
                    os.write(self._master, out)
                if select.select([self._master], [], [], 0)[0]:
                    self._follow_rate(self._master)
                    self._inside.write(os.read(self._master, 65536))


def frame_behind_pty(folder: Path, peripherals: Peripherals) -> PtyPort:
    """The firmware's own core, under the wall clock."""
    return PtyPort(folder, SimTransport(SimulatedFrame(peripherals)))


class Stranger:
    """No frame: it says `says` now and then, and notices only that it `heard` something."""

    name = "stranger"
    has_rate = False

    def __init__(self, says: bytes = b"") -> None:
        self.heard = threading.Event()
        self._says = says

    def read(self, timeout_s: float) -> bytes:
        threading.Event().wait(timeout_s)
        return self._says

    def write(self, data: bytes) -> None:
        self.heard.set()

    def set_baud(self, baud: int) -> None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...
