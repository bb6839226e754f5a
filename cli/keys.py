"""Single keys from the terminal, for a command that runs until one is pressed.

The only module that changes a terminal's mode, and it puts it back whatever happens: at the end, on an exception, on a
signal, while the program is stopped by Ctrl-Z. Ctrl-C stays what it is. Where standard input is no terminal, or the
system has none that we know, there are no keys, and whoever waits just waits.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import FrameType

CTRL_BRACKET = "\x1d"  # Ctrl-]
_POLL_S = 0.02  # Windows has nothing to wait on
_READ_BYTES = 256


class Keys(Protocol):
    """What was typed."""

    def wait(self, timeout_s: float) -> str:
        """What is typed within the time, as soon as something is; "" for nothing."""
        ...


class NoKeys:
    """Nobody types."""

    def wait(self, timeout_s: float) -> str:
        time.sleep(timeout_s)
        return ""


@contextmanager
def keys() -> Iterator[Keys]:
    """Keys without echo, each as it is typed, while the block lasts. Call it from the main thread."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield NoKeys()
    elif sys.platform == "win32":
        yield _ConsoleKeys()
    else:
        try:
            import termios  # noqa: F401 - is there such a thing?
        except ImportError:
            yield NoKeys()
            return
        terminal = _TerminalKeys(sys.stdin.fileno())
        try:
            terminal.begin()
            yield terminal
        finally:
            terminal.end()


if sys.platform == "win32":

    class _ConsoleKeys:
        """A Windows console. It needs no other mode."""

        def wait(self, timeout_s: float) -> str:
            import msvcrt

            until_s = time.monotonic() + timeout_s
            while not msvcrt.kbhit():
                if time.monotonic() >= until_s:
                    return ""
                time.sleep(_POLL_S)
            key = msvcrt.getwch()
            if key == "\x03":  # read as a key in the moment in which it would have been a signal
                raise KeyboardInterrupt
            return key

else:

    class _TerminalKeys:
        """A POSIX terminal. Its mode is ours only while this program is in the foreground."""

        # They end or stop a program before its `finally` runs.
        _SIGNALS = (signal.SIGTSTP, signal.SIGQUIT)

        def __init__(self, descriptor: int) -> None:
            import termios

            self._descriptor = descriptor
            self._before = termios.tcgetattr(descriptor)
            self._changed = False
            self._hung_up = False
            self._handlers = {number: signal.getsignal(number) for number in self._SIGNALS}

        def begin(self) -> None:
            for number, handler in self._handlers.items():
                if handler == signal.SIG_DFL:
                    signal.signal(number, self._leave)
            self._change()

        def end(self) -> None:
            try:
                self._give_back()
            except KeyboardInterrupt:
                self._give_back()
                raise
            finally:
                for number, handler in self._handlers.items():
                    signal.signal(number, handler)

        def wait(self, timeout_s: float) -> str:
            if not self._in_foreground():  # to read or to change the terminal would stop us
                time.sleep(timeout_s)
                return ""
            self._change()  # after `bg` and `fg` the mode is the shell's
            if self._hung_up:
                time.sleep(timeout_s)
                return ""
            if not select.select([self._descriptor], [], [], timeout_s)[0]:
                return ""
            try:
                typed = os.read(self._descriptor, _READ_BYTES)
            except OSError:  # the terminal is gone
                typed = b""
            self._hung_up = not typed
            return typed.decode("latin-1")

        def _change(self) -> None:
            import termios

            if self._changed or not self._in_foreground():
                return
            try:
                mode = termios.tcgetattr(self._descriptor)
                mode[3] &= ~(termios.ICANON | termios.ECHO)
                mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
                self._changed = True  # before it is: an interrupt in between costs one change too many
                termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)
            except termios.error:  # the terminal is gone
                self._hung_up = True

        def _give_back(self) -> None:
            import termios

            if not self._changed:
                return
            with contextlib.suppress(termios.error):  # it may be gone
                termios.tcflush(self._descriptor, termios.TCIFLUSH)  # what was typed here is no command for the shell
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)
            self._changed = False

        def _in_foreground(self) -> bool:
            try:
                return os.tcgetpgrp(self._descriptor) == os.getpgrp()
            except OSError:  # not our controlling terminal: nobody stops us
                return True

        def _leave(self, number: int, _frame: FrameType | None) -> None:
            """Give the terminal back, and let the signal do what it does; after a stop we go on from here."""
            self._give_back()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.signal(number, self._leave)
