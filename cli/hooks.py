"""Runs the user's commands for what happens. Never in the way of the assistant.

A hook is an argument list, started without a shell, that gets the notice as one JSON object on standard input. Each
hook has a thread and a short queue of its own, so one that hangs holds up no other. A hook that fails is named once,
and in the end it is said how many events a hook never got; the assistant goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

from .assistant.events import Notice, Problem
from .records import EVENT_NAMES, record
from .settings import HookSettings
from .text import printable, shortened

TIMEOUT_S = 10.0
QUEUE_NOTICES = 64  # about ten turns; a hook that is that far behind will not catch up
MAX_COMPLAINT_CHARS = 200
POLL_S = 0.2
ENDING_S = 3.0  # at most, to end a command and what it started


class HookRunner:
    """Starts a command for each notice that has one.

    Args:
        hooks: the configured commands.
        on_problem: told once per hook that it failed, and in the end how many events it never got; on the hook's
            thread, or on the caller's of `close`.
        timeout_s: a hook that runs longer is ended.
    """

    def __init__(
        self, hooks: HookSettings, on_problem: Callable[[Problem], None], timeout_s: float = TIMEOUT_S
    ) -> None:
        self._hooks: dict[type[Notice], _Hook] = {}
        for kind, event in EVENT_NAMES.items():
            if command := getattr(hooks, f"on_{event}"):
                self._hooks[kind] = _Hook(f"on_{event}", command, on_problem, timeout_s)
        self._closed = False

    def on_notice(self, notice: Notice) -> None:
        """Queue the notice for its hook, if it has one. Returns at once."""
        if not self._closed and (hook := self._hooks.get(type(notice))) is not None:
            hook.put(notice)

    def close(self, timeout_s: float = 5.0) -> None:
        """Let the hooks that are queued finish, for at most `timeout_s`; what then still runs is ended, and said."""
        if self._closed:
            return
        self._closed = True
        closing_at = time.monotonic() + timeout_s
        for hook in self._hooks.values():
            hook.begin_close(closing_at)
        for hook in self._hooks.values():
            hook.finish_close()


class _Hook:
    """One command, the notices that wait for it, and the thread that runs it for them, one after the other."""

    def __init__(
        self, name: str, command: tuple[str, ...], on_problem: Callable[[Problem], None], timeout_s: float
    ) -> None:
        self._name = name
        self._command = command
        self._on_problem = on_problem
        self._timeout_s = timeout_s
        self._complained = False
        self._lost = (
            0  # events that the command never got; changed by the thread that puts, then by the one that closes
        )
        self._closing_at: float | None = None
        self._queue: queue.Queue[Notice | None] = queue.Queue(QUEUE_NOTICES)
        self._thread = threading.Thread(target=self._work, name=f"hook {name}", daemon=True)
        self._thread.start()

    def put(self, notice: Notice) -> None:
        """Queue a notice, or count it as lost. Returns at once."""
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            self._lost += 1
            self._complain(f"the hook {self._name} is too slow: some of its events were dropped")

    def begin_close(self, closing_at: float) -> None:
        """Let the thread end when its queue is empty, or at `closing_at` on the monotonic clock."""
        self._closing_at = closing_at
        with contextlib.suppress(queue.Full):  # the thread then finds the queue empty, or the time over
            self._queue.put_nowait(None)

    def finish_close(self) -> None:
        """Wait for the thread and say what was lost."""
        assert self._closing_at is not None
        self._thread.join(max(0.0, self._closing_at - time.monotonic()) + ENDING_S)
        while not self._queue.empty():
            with contextlib.suppress(queue.Empty):
                self._lost += self._queue.get_nowait() is not None
        if self._lost:
            events = "1 event" if self._lost == 1 else f"{self._lost} events"
            self._report(f"the hook {self._name} never got {events}: it was too slow")

    def _work(self) -> None:
        while self._time_left() > 0:
            try:
                notice = self._queue.get(timeout=POLL_S)
            except queue.Empty:
                if self._closing_at is not None:
                    return
                continue
            if notice is None:
                return
            self._run(notice)

    def _time_left(self) -> float:
        if self._closing_at is None:
            return self._timeout_s
        return min(self._timeout_s, self._closing_at - time.monotonic())

    def _run(self, notice: Notice) -> None:
        line = json.dumps(record(notice), ensure_ascii=False) + "\n"
        try:
            failure = self._run_command(self._command, line.encode("utf-8", "replace"))
        except OSError as error:
            failure = f"cannot be started: {(error.strerror or 'error').lower()}"
        if failure:
            self._complain(f"the hook {self._name} ({printable(self._command[0])}) {failure}")

    def _run_command(self, command: Sequence[str], line: bytes) -> str:
        """Run one command to its end. Returns the end of a sentence when it failed, "" when it did not."""
        # Its words go to a file: a pipe would stay open as long as anything that the hook started in the background.
        with (
            tempfile.TemporaryFile() as words,
            subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=words,
                start_new_session=True,  # Ctrl-C is for the assistant, not for a hook that is about to finish
            ) as process,
        ):
            if not self._finished(process, line):
                _end(process)
                return "took too long and was ended" if self._closing_at is None else "was ended with the program"
            if process.returncode == 0:
                return ""
            words.seek(0)
            said = words.read(4000).decode("utf-8", "replace").strip().splitlines()
            return f"failed with status {process.returncode}" + (f": {printable(said[-1])}" if said else "")

    def _finished(self, process: subprocess.Popen[bytes], line: bytes) -> bool:
        """Hand over the event (a hook need not read it) and wait. False when the time is up or we are closing."""
        deadline = time.monotonic() + self._timeout_s
        rest: bytes | None = line
        while True:
            try:
                process.communicate(rest, timeout=POLL_S)
                return True
            except subprocess.TimeoutExpired:
                rest = None  # communicate goes on with what it was given first
            if time.monotonic() >= deadline or self._time_left() <= 0:
                return False

    def _complain(self, message: str) -> None:
        """Report the first failure only: a hook that fails at every event would drown the rest."""
        if not self._complained:
            self._complained = True
            self._report(message)

    def _report(self, message: str) -> None:
        remedy = "'lorgnette config show' prints the hooks; further failures of this one are not shown"
        self._on_problem(Problem("hook", shortened(message, MAX_COMPLAINT_CHARS), remedy))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a hook and, where the system has process groups, what it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
