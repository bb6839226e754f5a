"""What `--log-file` and `-v` hold after a session, and what they must not hold."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import pytest
from tests.support.program import invoke

from lorgnette.cli.assistant.engines.protocols import Transcript
from lorgnette.cli.assistant.events import (
    ActFinished,
    Intent,
    Notice,
    Problem,
    ReplySpoken,
    StateChanged,
    TranscriptReady,
    TurnFinished,
)
from lorgnette.cli.session_log import log_notice

HEARD, SPOKEN = "tell my sister about the surprise", "your sister will be surprised"
TRANSCRIPT = Transcript(HEARD, True, -0.25, 0.04)
ACT = ActFinished(3, "set_timer", {"label": HEARD}, {"text": SPOKEN})
TURN = TurnFinished(
    turn_id=3,
    outcome="answered",
    heard=HEARD,
    transcript=TRANSCRIPT,
    intent=Intent("SetTimer", {"label": HEARD}),
    act=ACT,
    reply=SPOKEN,
    stages_ms={"stt": 120.4, "total": 900.0},
)


@pytest.mark.parametrize(
    ("notice", "level", "line"),
    [
        (StateChanged("listening"), logging.DEBUG, "state: listening"),
        (ACT, logging.INFO, "turn 3: act set_timer done"),
        (ActFinished(3, "take_photo", {}, {}, "no camera"), logging.INFO, "turn 3: act take_photo failed: no camera"),
        (Problem("link", "The reply was cut off."), logging.WARNING, "problem in link: The reply was cut off."),
        (Problem("llm", f"the server says: {HEARD}?"), logging.WARNING, "problem in llm"),
        (Problem("hook", f"the hook failed: {HEARD}"), logging.WARNING, "problem in hook"),
        (
            TURN,
            logging.INFO,
            "turn 3: answered, intent SetTimer, log probability -0.25, no speech 0.04, stt 120 ms, total 900 ms",
        ),
    ],
)
def test_each_notice_is_a_line(notice: Notice, level: int, line: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lorgnette"):
        log_notice(notice)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(level, line)]


def test_what_is_only_words_is_no_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "lorgnette"):
        log_notice(TranscriptReady(3, TRANSCRIPT))
        log_notice(ReplySpoken(3, SPOKEN))
    assert caplog.records == []


def test_the_log_of_a_session(tmp_path: Path) -> None:
    file = tmp_path / "session.log"
    result = invoke("ask", "-p", "sim://", "--log-file", str(file), "set the volume to thirty percent")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = file.read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO) +lorgnette\S*: ", line) for line in lines)
    told = [line.split(": ", 1)[1] for line in lines]
    wanted = [
        rf"lorgnette .+ on {sys.platform}: lorgnette ask",
        r"port sim:// opened",
        r"simulated frame connected: device [0-9a-f]{16}, firmware \S+",
        r"understanding: .+, loaded in \d+\.\d\d s",
        r"state: \w+",
        r"turn 1: act set_volume done",
        r"turn 1: answered, intent SetVolume, .*act \d+ ms.*",
        r"session ended: .*microphone_frames_dropped=0, .*",
        r"link closed",
        r"LinkStats\(.*rpc_retries=0, .*",
        r"ended with status 0",
    ]
    for pattern in wanted:
        assert any(re.fullmatch(pattern, line) for line in told), (pattern, told)
    assert told[-1] == "ended with status 0"
    assert not re.search("thirty|percent|volume to|volume is", "\n".join(told))


def test_verbose_says_it_on_standard_error() -> None:
    told = invoke("ask", "what time is it", "-v").stderr
    assert "loaded in" in told
    assert "state:" not in told
    assert "state:" in invoke("ask", "what time is it", "-vv").stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_cannot_be_written_disturbs_nobody() -> None:
    result = invoke("config", "path", "--log-file", "/dev/full")
    assert result.exit_code == 0
    assert "Traceback" not in result.stderr
    assert "Logging error" not in result.stderr
