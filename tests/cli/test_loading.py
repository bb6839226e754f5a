"""Signals while engines load and while the program itself is imported. Each case is a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.support.program import COMMAND, assert_one_sentence

from lorgnette.cli.exit_codes import ExitCode
from lorgnette.cli.loading import load_aside

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")

# What libraries do while they load: swallow every exception, hold the lock in C, wait in C, turn an exception into
# std::terminate (abort is what that comes to).
SWALLOWS = """
import time
while True:
    try:
        time.sleep(0.01)
    except BaseException:
        pass
"""
COMPUTES = "import hashlib\nwhile True: hashlib.pbkdf2_hmac('sha256', b'', b'', 100000)\n"
WAITS = "import time\ntime.sleep(60)\n"
ABORTS = """
import os, time
try:
    while True:
        time.sleep(0.01)
except BaseException:
    os.abort()
"""

SESSION = """
import sys
from lorgnette.cli.assistant.engines import choose

library = sys.argv[1]

def slow(settings):
    print("loading", flush=True)
    exec(library, {})

choose.speech_to_text = slow
sys.argv = ["lorgnette", "run", "-p", "sim://", "--mic", "text:Stop."]
from lorgnette.cli.entry import entry
entry()
"""


@posix
@pytest.mark.parametrize("delay_s", [0.0, 0.15])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
@pytest.mark.parametrize(
    "library", [SWALLOWS, COMPUTES, WAITS, ABORTS], ids=["swallows", "computes", "waits", "aborts"]
)
def test_a_signal_ends_the_loading(library: str, number: signal.Signals, code: ExitCode, delay_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SESSION, library], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        while (line := process.stdout.readline()) != b"loading\n":
            assert line, "it ended before it loaded anything"
        time.sleep(delay_s)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert_one_sentence(errors.decode())


@posix
@pytest.mark.parametrize("module", ["click", "lorgnette.cli.main"])
def test_ctrl_c_while_the_program_is_imported(tmp_path: Path, module: str) -> None:
    """Before the first line of the program's own has run, a module that it imports is found and sends the signal."""
    (tmp_path / "sitecustomize.py").write_text(
        f"""
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
""",
        encoding="utf-8",
    )
    done = subprocess.run(
        [*COMMAND, "--version"], env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, check=False
    )
    assert done.returncode == ExitCode.INTERRUPTED
    assert done.stdout == b""
    assert done.stderr == b"lorgnette: interrupted\n"


def test_results_and_errors_come_back() -> None:
    assert load_aside(threading.current_thread) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        load_aside(lambda: 1 / 0)
