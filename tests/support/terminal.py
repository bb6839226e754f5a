"""A terminal with somebody at it: a pseudo terminal, and a shell on it that runs one program in the foreground."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import termios
import threading
from typing import Self

PATIENCE_S = 60.0  # only a failing test waits this long

# What a shell does: a session and a controlling terminal, the job in a process group of its own in the foreground; the
# terminal is taken back when the job stops, and given again when it is to go on. Says on descriptor 3 what happened.
SHELL = """
import fcntl, os, signal, subprocess, sys, termios

def give_terminal(group):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
    os.tcsetpgrp(0, group)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTTOU])

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
job = subprocess.Popen(sys.argv[1:], process_group=0)
give_terminal(job.pid)
os.write(3, b"pid %d\\n" % job.pid)
while True:
    _, status = os.waitpid(job.pid, os.WUNTRACED)
    give_terminal(os.getpgrp())
    if not os.WIFSTOPPED(status):
        os.write(3, b"ended %d\\n" % os.waitstatus_to_exitcode(status))
        break
    os.write(3, b"stopped\\n")
    os.read(4, 1)
    give_terminal(job.pid)
    os.killpg(job.pid, signal.SIGCONT)
"""


class Terminal:
    """Runs `command` at a terminal until the block ends.

    Attributes:
        pid: of the program.
    """

    def __init__(self, *command: str) -> None:
        self._master, self._slave = os.openpty()
        self.before = termios.tcgetattr(self._slave)
        self._shown = bytearray()
        self._more = threading.Condition()
        news, theirs = os.pipe()
        orders, self._orders = os.pipe()
        self._news = os.fdopen(news)
        program = [sys.executable, "-c", f"import os; os.dup2({theirs}, 3); os.dup2({orders}, 4)\n{SHELL}", *command]
        self._shell = subprocess.Popen(
            program,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            pass_fds=(theirs, orders),
        )
        os.close(theirs)
        os.close(orders)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.pid = int(self.news().removeprefix("pid "))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._shell.poll() is None:
                os.kill(self.pid, 9)
        self._shell.kill()
        self._shell.wait(PATIENCE_S)
        self._news.close()
        os.close(self._orders)
        os.close(self._slave)
        self._reader.join(PATIENCE_S)
        os.close(self._master)

    @property
    def mode(self) -> list[object]:
        """How the terminal is set, as `termios.tcgetattr` says."""
        return termios.tcgetattr(self._slave)

    @property
    def echoes(self) -> bool:
        """Does the terminal show what is typed?"""
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def until(self, text: str) -> str:
        """Wait until the program has shown `text`; returns all that it has shown."""
        with self._more:
            if not self._more.wait_for(lambda: text.encode() in self._shown, PATIENCE_S):
                raise AssertionError(f"{text!r} was not shown, but {bytes(self._shown)!r}")
        return self.shown

    @property
    def shown(self) -> str:
        return bytes(self._shown).decode()

    def news(self) -> str:
        """What the shell saw next of the program: "stopped", "ended STATUS"."""
        return self._news.readline().strip()

    def go_on(self) -> None:
        """As `fg`."""
        os.write(self._orders, b"\n")

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # nobody has the other end open any more
                return
            with self._more:
                self._shown += data
                self._more.notify_all()
