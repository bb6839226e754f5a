"""What a person sees."""

from __future__ import annotations

import io
import json
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.cli.assistant.engines.protocols import EngineInfo, Transcript
from lorgnette.cli.assistant.events import (
    ActFinished,
    Notice,
    Problem,
    ReplySpoken,
    SpeechStarted,
    StateChanged,
    TranscriptReady,
    TurnFinished,
)
from lorgnette.cli.console import BAR_CELLS, Console, frame_line, waterfall_rows
from lorgnette.cli.errors import OutputClosed
from lorgnette.cli.records import EVENT_NAMES

STAGES_MS = {  # a bar has 40 cells: 20 ms each
    "endpointing": 600.0,
    "stt": 80.4,
    "understanding": 1.0,
    "act": 20.0,
    "tts": 30.0,
    "link": 68.6,
    "total": 800.0,
}
TURN = TurnFinished(1, "answered", "take a photo", None, None, None, "I took a photo.", STAGES_MS)
NOTICES: list[Notice] = [
    StateChanged("listening"),
    SpeechStarted(16000),
    TranscriptReady(1, Transcript("take a photo", True, -0.05, 0.01)),
    ActFinished(1, "take_photo", {}, {"size_bytes": 31234}),
    ReplySpoken(1, "I took a photo."),
    TURN,
    Problem("llm", "The model server is away.", "lorgnette setup"),
]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(stream: io.StringIO, *notices: Notice, verbose: int = 0, as_json: bool = False) -> str:
    console = Console(as_json, verbose, stream)
    for notice in notices:
        console.on_notice(notice)
    console.close()
    return stream.getvalue()


def test_a_turn_in_plain_lines() -> None:
    assert shown(io.StringIO(), *NOTICES).splitlines() == [
        "       you  take a photo",
        "       act  take_photo: size_bytes 31234",
        " assistant  I took a photo.",
        f"            endpointing   {'█' * 30}{' ' * 10}  600 ms",
        f"            stt           {' ' * 30}████{' ' * 6}  80 ms",
        f"            understanding {' ' * 34}▏{' ' * 5}  1 ms",
        f"            act           {' ' * 34}█{' ' * 5}  20 ms",
        f"            tts           {' ' * 35}█▌{' ' * 3}  30 ms",
        f"            link          {' ' * 36}███▍  69 ms",
        f"            total         {' ' * 40}  800 ms",
        "",
        "   problem  The model server is away.",
        "            lorgnette setup",
    ]


def test_a_refused_transcript_says_why() -> None:
    refused = TranscriptReady(1, Transcript("turn on the lamp", False, -0.9, 0.2, reason="not sure of the words"))
    assert shown(io.StringIO(), refused) == "  not sure  turn on the lamp (not sure of the words)\n"


def test_a_failed_act() -> None:
    failed = ActFinished(1, "set_volume", {"percent": 30}, {}, "the frame is gone")
    assert shown(io.StringIO(), failed) == "    failed  set_volume(percent=30): the frame is gone\n"


def test_a_terminal_gets_colour_and_a_status_line_that_goes_away() -> None:
    text = shown(Terminal(), *NOTICES)
    assert "\x1b[1m" in text
    assert "listening" in text
    assert "take a photo" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_escapes_when_not_wanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert "\x1b" not in shown(Terminal(), *NOTICES)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_nothing_heard_or_received_acts_on_the_terminal(stream: type[io.StringIO]) -> None:
    evil = "\x1b]0;owned\x07[bold]x[/bold]\r\n\x9b2J"
    notices: list[Notice] = [
        TranscriptReady(1, Transcript(evil, True)),
        TranscriptReady(1, Transcript(evil, False, reason=evil)),
        ReplySpoken(1, evil),
        ActFinished(1, evil, {evil: evil}, {evil: evil}, evil),
        Problem(evil, evil, evil),
        StateChanged(evil),
    ]
    console = Console(False, 1, output := stream())
    console.engines([EngineInfo("stt", evil, evil, {evil: evil})])
    console.frame({"name": evil, "led": evil})
    console.note(evil)
    for notice in notices:
        console.on_notice(notice)
    console.close()
    text = output.getvalue()
    assert "\x07" not in text
    assert "\x1b]" not in text
    assert "\x9b" not in text
    assert "[bold]x[/bold]" in text  # and nothing took it for markup


def test_rows_and_what_is_under_way() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        console = Console(stream=stream)
        console.busy("C-01 a Hello is answered")
        console.row("C-01", "OK  a Hello \x1b[2J is answered", "green")
        console.close()
    assert pipe.getvalue() == "      C-01  OK  a Hello \\x1b[2J is answered\n"
    assert "\x1b[32m" in terminal.getvalue() and "\x1b[2J" not in terminal.getvalue()
    assert re.search(r"C-01 a Hello is answered.*\r", terminal.getvalue(), re.DOTALL)


def test_json_is_one_object_per_line() -> None:
    console = Console(True, 0, output := io.StringIO())
    console.engines([EngineInfo("stt", "whisper", "embedded", {"sentences": 12})])
    console.frame({"name": "x", "volume_percent": 70})
    for notice in NOTICES:
        console.on_notice(notice)
    console.note("not here")
    console.close()
    rows = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [row["event"] for row in rows] == ["engines", "frame", *(EVENT_NAMES[type(notice)] for notice in NOTICES)]
    assert {row["schema"] for row in rows} == {1}
    assert rows[0]["engines"] == [{"role": "stt", "engine": "whisper", "model": "embedded", "sentences": 12}]
    assert rows[-2]["stages_ms"]["total"] == 800.0


def test_engines_and_frame_lines() -> None:
    console = Console(stream=(output := io.StringIO()))
    console.engines([EngineInfo("stt", "whisper", "embedded", {"sentences": 1234, "compute_type": "float32"})])
    console.frame({"name": "sim", "volume_percent": 70, "muted": True, "led": "dim", "battery_percent": None})
    assert output.getvalue().splitlines() == [
        "       ear  whisper embedded, knows 1234 sentences",
        "     frame  sim · volume 70 %, muted · LED dim · no battery gauge",
    ]
    assert frame_line({}) == ""


@given(
    st.dictionaries(st.sampled_from(["endpointing", "stt", "llm", "tts", "link"]), st.floats(0, 1e6), min_size=1),
    st.floats(0, 1e6),
)
def test_a_bar_never_leaves_its_column(stages_ms: dict[str, float], total_ms: float) -> None:
    rows = list(waterfall_rows({**stages_ms, "total": total_ms}))
    for _, bar, _ in rows:
        assert len(bar) == BAR_CELLS
    for name, bar, _ in rows[:-1]:
        assert bar.strip(), f"{name} is invisible"


def test_a_stream_without_utf8_gets_what_it_can_show() -> None:
    raw = io.BytesIO()
    console = Console(stream=io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    console.on_notice(TURN)
    assert b"600 ms" in raw.getvalue()


class EncodedTerminal(io.TextIOWrapper):
    """A terminal with a character set of its own."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True

    def shown(self) -> str:
        raw = self.buffer
        assert isinstance(raw, io.BytesIO)
        return raw.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1", "cp437", "koi8-r"])
def test_a_terminal_without_utf8_gets_plain_lines(encoding: str) -> None:
    terminal = EncodedTerminal(encoding)
    console = Console(stream=terminal)
    for notice in NOTICES:
        console.on_notice(notice)
    console.close()
    assert "\x1b" not in terminal.shown()
    assert "take a photo" in terminal.shown()
    assert "600 ms" in terminal.shown()


class TerminalWithoutSnowman(Terminal):
    """Takes the blocks and the braille, and then finds a character that it cannot write."""

    def write(self, text: str) -> int:
        if (at := text.find("\u2603")) >= 0:
            raise UnicodeEncodeError("ascii", text, at, at + 1, "no such character")
        return super().write(text)


def test_a_character_that_a_rich_terminal_cannot_show_costs_that_character_only() -> None:
    text = shown(TerminalWithoutSnowman(), ReplySpoken(1, "It snows: \u2603."), ReplySpoken(2, "And on."))
    assert "\x1b[" in text
    assert "It snows: ?." in text
    assert "And on." in text


def test_a_reader_that_goes_away_ends_the_session_and_not_the_thread() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    ended: list[bool] = []
    stream = os.fdopen(write_end, "w", encoding="utf-8")
    console = Console(stream=stream, on_closed=lambda: ended.append(True))
    for notice in NOTICES:
        console.on_notice(notice)
    assert ended == [True]
    with pytest.raises(OutputClosed):
        console.close()
    with pytest.raises(BrokenPipeError):
        stream.close()
