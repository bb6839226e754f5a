"""Ctrl-C and SIGTERM as exceptions, so that `finally` and `with` stop the frame's capture before the program ends.

Python does this for Ctrl-C. A second SIGTERM is ignored: `timeout` and service managers signal both the process and its
group, and the second signal must not cut the clean-up that the first one began.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM, or the terminal went away. A KeyboardInterrupt, so whoever cleans up after Ctrl-C cleans up after it."""


_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Terminated` in the main thread on SIGTERM and on SIGHUP; put the old handlers back at the end.

    A signal that the parent ignored (`nohup`) stays ignored. Outside the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    replaced = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_DFL]

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in replaced:
            signal.signal(other, signal.SIG_IGN)
        raise Terminated(signal.Signals(number).name)

    for number in replaced:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)
