"""Hooks: what they get, what happens when they fail, hang or are missing, and that nobody waits for them."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from tests.support.program import invoke

from lorgnette.cli.assistant.engines.protocols import Transcript
from lorgnette.cli.assistant.events import ActFinished, Problem, ReplySpoken, StateChanged, TranscriptReady
from lorgnette.cli.hooks import QUEUE_NOTICES, HookRunner
from lorgnette.cli.records import record
from lorgnette.cli.settings import HookSettings

HEARD = TranscriptReady(3, Transcript("what time is it", True, -0.1, 0.01, 0.9))


class Problems(list[Problem]):
    """Collects problems and says when one came."""

    def __init__(self) -> None:
        super().__init__()
        self.came = Event()

    def __call__(self, problem: Problem) -> None:
        self.append(problem)
        self.came.set()


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


def test_a_hook_gets_one_json_object_on_its_standard_input(tmp_path: Path) -> None:
    copy = python(
        "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())", str(tmp_path / "got")
    )
    problems = Problems()
    hooks = HookRunner(HookSettings(on_transcript=copy), problems)
    hooks.on_notice(StateChanged("listening"))
    hooks.on_notice(HEARD)
    hooks.close(30)
    assert problems == []
    text = (tmp_path / "got").read_text(encoding="utf-8")
    assert text.count("\n") == 1
    assert json.loads(text) == record(HEARD)
    assert json.loads(text)["event"] == "transcript"
    assert json.loads(text)["transcript"]["text"] == "what time is it"


def test_there_is_no_shell(tmp_path: Path) -> None:
    target = tmp_path / "made; touch there"
    touch = python("import sys, pathlib; pathlib.Path(sys.argv[1]).touch()", str(target))
    hooks = HookRunner(HookSettings(on_reply=touch), Problems())
    hooks.on_notice(ReplySpoken(1, "hello"))
    hooks.close(30)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("/nowhere/at-all",), "cannot be started: no such file"),
        (python("import sys; sys.stderr.write('line\\nno \\x1b[2J way\\n'); sys.exit(3)"), "status 3: no \\x1b[2J way"),
        (python("raise SystemExit(4)"), "failed with status 4"),
    ],
)
def test_a_hook_that_fails_is_named_once(command: tuple[str, ...], says: str) -> None:
    problems = Problems()
    hooks = HookRunner(HookSettings(on_act=command), problems)
    for _ in range(3):
        hooks.on_notice(ActFinished(1, "take_photo", {}, {}))
    hooks.close(60)
    assert len(problems) == 1
    assert "on_act" in problems[0].message
    assert says in problems[0].message


def test_a_hook_that_reads_nothing_is_no_failure() -> None:
    problems = Problems()
    hooks = HookRunner(HookSettings(on_transcript=python("pass")), problems)
    hooks.on_notice(TranscriptReady(1, Transcript("x" * 1_000_000, True)))
    hooks.close(30)
    assert problems == []


def test_a_hook_that_hangs_is_ended() -> None:
    problems = Problems()
    hooks = HookRunner(HookSettings(on_reply=python("import time; time.sleep(600)")), problems, timeout_s=0.2)
    hooks.on_notice(ReplySpoken(1, "hello"))
    assert problems.came.wait(60)
    hooks.close()
    assert "took too long" in problems[0].message


def test_a_hook_that_still_runs_at_the_end_is_ended_with_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import subprocess, sys, os, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pathlib.Path(sys.argv[1] + '.new').write_text(f'{os.getpid()} {child.pid}')\n"
        "os.replace(sys.argv[1] + '.new', sys.argv[1])\n"
        "time.sleep(600)\n"
    )
    problems = Problems()
    hooks = HookRunner(HookSettings(on_reply=python(code, str(pids))), problems, timeout_s=600)
    hooks.on_notice(ReplySpoken(1, "hello"))
    assert _comes_true(pids.exists)
    hooks.close(0.0)
    assert "was ended with the program" in problems[0].message
    if os.name == "posix":
        for pid in map(int, pids.read_text().split()):
            assert _is_gone(pid)


def _is_gone(pid: int) -> bool:
    """True when the process has ended; a zombie that nobody has waited for counts as ended."""

    def gone() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    return _comes_true(gone)


def _comes_true(holds: Callable[[], bool]) -> bool:
    """Wait for it, with a limit that only a failure reaches."""
    ends_s = time.monotonic() + 60
    while not holds() and time.monotonic() < ends_s:
        time.sleep(0.02)
    return holds()


def test_something_left_in_the_background_delays_nothing() -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(5)'])"
    problems = Problems()
    hooks = HookRunner(HookSettings(on_reply=python(code)), problems, timeout_s=60)
    hooks.on_notice(ReplySpoken(1, "hello"))
    hooks.close(30)
    assert problems == []


def waits_for(gate: Path) -> tuple[str, ...]:
    code = "import sys, time, pathlib\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)"
    return python(code, str(gate))


def test_nobody_waits_for_a_slow_hook_and_what_it_loses_is_counted(tmp_path: Path) -> None:
    problems = Problems()
    hooks = HookRunner(HookSettings(on_reply=waits_for(tmp_path / "gate")), problems, timeout_s=60)
    for number in range(QUEUE_NOTICES + 10):  # returns although the first one still runs
        hooks.on_notice(ReplySpoken(number, "hello"))
    assert [problem.message for problem in problems] == [
        "the hook on_reply is too slow: some of its events were dropped"
    ]
    hooks.close(0.0)
    hooks.on_notice(ReplySpoken(0, "after the end"))
    # All but the one that it was started for, where its thread came to that before the end.
    lost = [f"the hook on_reply never got {QUEUE_NOTICES + 10 - started} events: it was too slow" for started in (0, 1)]
    assert problems[-1].message in lost
    assert len(problems) == 2


def test_a_hook_that_hangs_starves_no_other(tmp_path: Path) -> None:
    told = tmp_path / "told"
    tell = python("import sys, pathlib; pathlib.Path(sys.argv[1]).touch()", str(told))
    hooks = HookRunner(HookSettings(on_reply=waits_for(tmp_path / "gate"), on_transcript=tell), Problems(), 60)
    hooks.on_notice(ReplySpoken(1, "hello"))
    hooks.on_notice(HEARD)
    for _ in range(1200):
        if told.exists():
            break
        time.sleep(0.05)
    assert told.exists()  # while the other still hangs
    hooks.close(0.0)


def test_what_the_end_cuts_short_is_said(tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = "import sys, time, pathlib; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    problems = Problems()
    hooks = HookRunner(HookSettings(on_reply=python(code, str(started))), problems, timeout_s=600)
    for number in range(3):
        hooks.on_notice(ReplySpoken(number, "hello"))
    while not started.exists():
        time.sleep(0.05)
    hooks.close(0.0)
    messages = [problem.message for problem in problems]
    assert any("was ended with the program" in message for message in messages)
    assert messages[-1] == "the hook on_reply never got 2 events: it was too slow"


def test_without_hooks_there_is_no_thread() -> None:
    before = threading.active_count()
    hooks = HookRunner(HookSettings(), Problems())
    hooks.on_notice(HEARD)
    assert threading.active_count() == before
    hooks.close()


def test_ask_runs_hooks_and_survives_them(tmp_path: Path, config_file: Path) -> None:
    heard = tmp_path / "heard"
    copy = python("import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())", str(heard))
    config_file.write_text(
        f"[hooks]\non_reply = {json.dumps(['/nowhere/at-all'])}\non_turn = {json.dumps(copy)}\n", encoding="utf-8"
    )
    result = invoke("ask", "what time is it")
    assert result.exit_code == 0, result.stderr
    assert json.loads(heard.read_text(encoding="utf-8"))["event"] == "turn"
    assert "the hook on_reply (/nowhere/at-all) cannot be started" in result.stderr
