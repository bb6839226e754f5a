"""Runs the user's commands for what happens. Never in the way of the assistant.

A hook is an argument list, started without a shell, that gets the notice as one JSON object on standard input. Hooks
run one after the other on a thread of their own. A hook that fails is named once; the assistant goes on.
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


class HookRunner:
    """Starts a command for each notice that has one.

    Args:
        hooks: the configured commands.
        on_problem: told once per hook that it failed, on the runner's thread.
        timeout_s: a hook that runs longer is ended.
    """

    def __init__(
        self, hooks: HookSettings, on_problem: Callable[[Problem], None], timeout_s: float = TIMEOUT_S
    ) -> None:
        self._commands: dict[type[Notice], tuple[str, ...]] = {}
        for kind, event in EVENT_NAMES.items():
            if command := getattr(hooks, f"on_{event}"):
                self._commands[kind] = command
        self._on_problem = on_problem
        self._timeout_s = timeout_s
        self._complained: set[str] = set()
        self._queue: queue.Queue[Notice | None] = queue.Queue(QUEUE_NOTICES)
        self._closing_at: float | None = None
        self._thread: threading.Thread | None = None
        if self._commands:
            self._thread = threading.Thread(target=self._work, name="hooks", daemon=True)
            self._thread.start()

    def on_notice(self, notice: Notice) -> None:
        """Queue the notice for its hook, if it has one. Returns at once."""
        if type(notice) not in self._commands or self._closing_at is not None:
            return
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            name = self._name(notice)
            self._complain(name, f"the hook {name} is too slow: some of its events were dropped")

    def close(self, timeout_s: float = 5.0) -> None:
        """Let the hooks that are queued finish, for at most `timeout_s`; what then still runs is ended."""
        if self._thread is None:
            return
        self._closing_at = time.monotonic() + timeout_s
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(timeout_s + 1.0)
        self._thread = None

    def _work(self) -> None:
        while True:
            try:
                notice = self._queue.get(timeout=POLL_S)
            except queue.Empty:
                if self._closing_at is not None:
                    return
                continue
            if notice is None or self._time_left() <= 0:
                return
            self._run(notice)

    def _time_left(self) -> float:
        if self._closing_at is None:
            return self._timeout_s
        return min(self._timeout_s, self._closing_at - time.monotonic())

    def _run(self, notice: Notice) -> None:
        name, command = self._name(notice), self._commands[type(notice)]
        line = json.dumps(record(notice), ensure_ascii=False) + "\n"
        try:
            failure = self._run_command(command, line.encode())
        except OSError as error:
            failure = f"cannot be started: {(error.strerror or 'error').lower()}"
        if failure:
            self._complain(name, f"the hook {name} ({printable(command[0])}) {failure}")

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
                return "took too long and was ended"
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

    def _name(self, notice: Notice) -> str:
        return f"on_{EVENT_NAMES[type(notice)]}"

    def _complain(self, name: str, message: str) -> None:
        if name not in self._complained:
            self._complained.add(name)
            remedy = "'lorgnette config show' prints the hooks; further failures of this one are not shown"
            self._on_problem(Problem("hook", shortened(message, MAX_COMPLAINT_CHARS), remedy))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a hook and, where the system has process groups, what it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
