"""Keys from a terminal, and the terminal's mode afterwards, whatever ended the program."""

from __future__ import annotations

import io
import os
import signal
import sys
import time

import pytest

if os.name != "posix":
    pytest.skip("needs pseudo terminals", allow_module_level=True)
from tests.support.terminal import Terminal

from lorgnette.cli.keys import NoKeys, keys

PROGRAM = """
import os, sys
from lorgnette.cli.interrupts import interruptible
from lorgnette.cli.keys import keys

with interruptible(), keys() as typed:
    print("ready", flush=True)
    while (key := typed.wait(0.5)) != "q":
        if key == "x":
            raise ValueError("as asked")
        print("got", [key], flush=True)
print("bye", flush=True)
"""


def program() -> Terminal:
    terminal = Terminal(sys.executable, "-c", PROGRAM)
    terminal.until("ready")
    while terminal.echoes:  # it may have begun before the shell put it into the foreground
        time.sleep(0.005)
    return terminal


def test_a_key_comes_as_it_is_typed_and_is_not_echoed() -> None:
    with program() as terminal:
        terminal.type(b"\x1d")
        terminal.until("got ['\\x1d']")
        terminal.type(b"q")
        assert terminal.news() == "ended 0"
        assert terminal.mode == terminal.before
        assert "q" not in terminal.shown


@pytest.mark.parametrize(
    ("typed", "status"),
    [(b"x", 1), (b"\x03", -signal.SIGINT), (b"\x1c", -signal.SIGQUIT)],
    ids=["exception", "Ctrl-C", "Ctrl-\\"],
)
def test_the_terminal_is_given_back_when_the_program_breaks_off(typed: bytes, status: int) -> None:
    with program() as terminal:
        terminal.type(typed)
        assert terminal.news() == f"ended {status}"
        assert terminal.mode == terminal.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_terminal_is_given_back_on_a_signal(number: signal.Signals) -> None:
    with program() as terminal:
        os.kill(terminal.pid, number)
        assert terminal.news().startswith("ended ")
        assert terminal.mode == terminal.before


def test_the_terminal_is_the_shell_s_while_the_program_is_stopped() -> None:
    with program() as terminal:
        for _ in range(2):
            terminal.type(b"\x1a")
            assert terminal.news() == "stopped"
            assert terminal.mode == terminal.before
            terminal.go_on()
            while terminal.echoes:
                time.sleep(0.005)
        terminal.type(b"q")
        assert terminal.news() == "ended 0"
        assert terminal.mode == terminal.before


def test_a_program_in_the_background_leaves_the_terminal_alone() -> None:
    """Started behind a shell that keeps the terminal: to change its mode would stop the program."""
    shell = (
        "import subprocess, sys\n"
        f"command = [sys.executable, '-c', {PROGRAM!r}]\n"
        "job = subprocess.Popen(command, process_group=0, stdout=subprocess.PIPE, text=True)\n"
        "print(job.stdout.readline(), job.stdout.readline(), 'it is', job.poll())\n"
        "job.kill()"
    )
    with Terminal(sys.executable, "-c", shell) as terminal:
        assert "got ['']" in terminal.until("it is None")
        assert terminal.mode == terminal.before
        assert terminal.news() == "ended 0"


@pytest.mark.parametrize("stdin", [None, io.StringIO("q")])
def test_without_a_terminal_there_are_no_keys(stdin: io.StringIO | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    with keys() as typed:
        assert isinstance(typed, NoKeys)
        assert typed.wait(0.001) == ""
