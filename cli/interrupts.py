"""Ctrl-C and SIGTERM as exceptions, so that `finally` and `with` stop the frame's capture before the program ends.

Python does this for Ctrl-C. A second SIGTERM is ignored: `timeout` and service managers signal both the process and its
group, and the second signal must not cut the clean-up that the first one began.

An exception cannot leave a Python callback that a C library has called (a voice that hands over its sound): Python
drops it there. So what was dropped is raised once more, as often as needed, until the C library has returned.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Protocol


class Terminated(KeyboardInterrupt):
    """SIGTERM, or the terminal went away. A KeyboardInterrupt, so whoever cleans up after Ctrl-C cleans up after it."""


class _Unraisable(Protocol):
    """The part of sys.UnraisableHookArgs that is looked at."""

    exc_type: type[BaseException]
    exc_value: BaseException | None
    exc_traceback: TracebackType | None


# Time for a C library to call back once more or to return.
AGAIN_S = 0.01
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def _interrupt(number: signal.Signals) -> None:
    """Let the main thread handle `number`, also while it waits in a system call."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Terminated` in the main thread on SIGTERM and on SIGHUP; put the old handlers back at the end.

    A signal that the parent ignored (`nohup`) stays ignored. Outside the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    replaced = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    dropped_hook = sys.unraisablehook

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in replaced:
            signal.signal(other, signal.SIG_IGN)
        raise Terminated(signal.Signals(number).name)

    def dropped(unraisable: _Unraisable) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            dropped_hook(unraisable)  # type: ignore[arg-type]  # it is what Python gave us
        elif threading.current_thread() is threading.main_thread():
            again = signal.SIGINT
            if issubclass(unraisable.exc_type, Terminated):
                again = signal.SIGTERM
                signal.signal(again, stop)
            threading.Timer(AGAIN_S, _interrupt, [again]).start()  # not now: this very function would be interrupted

    for number in replaced:
        signal.signal(number, stop)
    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = dropped_hook
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)
