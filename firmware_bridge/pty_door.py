"""A pseudo terminal as the far side of a proxy: what a client opens looks like a serial port. POSIX only.

Imported only when one is asked for. Knows no frame.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import tempfile
import termios
import tty
from collections import Counter
from pathlib import Path

from .errors import DeviceNotFound

READ_BYTES = 65_536

# The constants of this system's termios -> baud.
_RATES = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[:1] == "B" and name[1:].isdigit()}


class PtyDoor:
    """A terminal whose name stays the same while it is unplugged and plugged in again.

    A client's going cannot be seen, and its coming only by what it sends.

    Raises:
        DeviceNotFound: this system has no pseudo terminal left.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._folder = Path(tempfile.mkdtemp(prefix="lorgnette-"))
        self._link = self._folder / "ttyPROXY"
        self.address = str(self._link)
        self._ours: int | None = None
        self._theirs = -1  # kept open: else reading ours fails while no client is there
        try:
            self.open()
        except (OSError, termios.error) as error:
            self.close()
            raise DeviceNotFound(
                f"No pseudo terminal can be made: {str(error.args[-1]).lower()}.",
                "Use a socket: --to socket://127.0.0.1:0",
            ) from error
        except BaseException:  # Ctrl-C
            self.close()
            raise

    def wait(self, timeout_s: float) -> bool:
        ours = self._ours
        with contextlib.suppress(OSError, ValueError):
            return bool(select.select([ours] if ours is not None else [], [], [], timeout_s)[0])
        return True

    def read(self) -> bytes:
        if self._ours is None:
            return b""
        try:
            octets = os.read(self._ours, READ_BYTES)
        except OSError:  # nothing there
            return b""
        self.counts["clients"] = 1
        return octets

    def write(self, octets: bytes) -> int:
        if self._ours is None or not octets:
            return len(octets)
        try:
            return os.write(self._ours, octets)
        except BlockingIOError:
            return 0
        except OSError:
            return len(octets)

    def baud(self) -> int | None:
        if self._ours is None:
            return None
        with contextlib.suppress(termios.error):
            return _RATES.get(termios.tcgetattr(self._ours)[5]) or None
        return None

    def shut(self) -> None:
        if self._ours is not None:
            self._link.unlink(missing_ok=True)
            os.close(self._ours)
            os.close(self._theirs)
            self._ours = None

    def open(self) -> None:
        if self._ours is not None:
            return
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self._link.symlink_to(os.ttyname(self._theirs))

    def close(self) -> None:
        self.shut()
        shutil.rmtree(self._folder, ignore_errors=True)
