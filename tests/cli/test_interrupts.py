"""Signals become exceptions wherever they arrive. Each case is a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and a C library with qsort")

# The signal arrives while C calls back into Python, at the first of many calls.
IN_A_CALLBACK = """
import ctypes, os, signal, sys, time
from lorgnette.cli.interrupts import interruptible

number = signal.Signals[sys.argv[1]]
libc = ctypes.CDLL(None)
compare_t = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
calls = []

@compare_t
def compare(a, b):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), number)
        for _ in range(1000):
            pass
    return 0

array = (ctypes.c_int * 50)()
try:
    with interruptible():
        try:
            libc.qsort(array, 50, 4, compare)
            time.sleep(30)
            print("went on")
        finally:
            os.kill(os.getpid(), signal.SIGTERM) if number == signal.SIGTERM else None
            print("cleaned up")
except KeyboardInterrupt as error:
    print(type(error).__name__, len(calls) > 20)
"""


@pytest.mark.parametrize(("number", "raised"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "Terminated")])
def test_a_signal_inside_a_c_callback_is_not_lost(number: str, raised: str) -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_CALLBACK, number], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["cleaned up", f"{raised} True"]
    assert done.stderr == ""


def test_a_signal_that_the_parent_ignored_stays_ignored() -> None:
    code = """
import os, signal
from lorgnette.cli.interrupts import interruptible
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with interruptible():
    os.kill(os.getpid(), signal.SIGHUP)
assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_thread_may_use_it() -> None:
    code = """
import threading
from lorgnette.cli.interrupts import interruptible

def work():
    with interruptible():
        print("worked")

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("worked\n", "")


def test_ctrl_c_in_code_that_python_made_from_text_ends_as_any_other(tmp_path: Path) -> None:
    """`python -m` takes it for unhandled ever after, and would end the process by the signal."""
    (tmp_path / "interrupted.py").write_text("""
import sys
from lorgnette.cli import main
from lorgnette.cli.entry import entry
main.Root.invoke = lambda self, context: exec("raise KeyboardInterrupt")
sys.argv = ["lorgnette", "config", "path"]
entry()
""")
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "lorgnette: interrupted\n")


def test_ctrl_c_behind_the_end_changes_nothing() -> None:
    code = """
import atexit, os, signal, sys
from lorgnette.cli.entry import entry
atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.argv = ["lorgnette", "--version"]
entry()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("lorgnette ")
