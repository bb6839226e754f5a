"""What a person sees while the assistant runs. The only module that imports rich.

Renders what it is given and decides nothing. On a terminal: colours and one status line that moves; elsewhere, or with
NO_COLOR, plain lines; with `as_json`, one JSON object per line. May be called from any thread.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, cast

from .assistant.engines.protocols import EngineInfo
from .assistant.events import (
    ActFinished,
    Notice,
    Problem,
    ReplySpoken,
    StateChanged,
    TranscriptReady,
    TurnFinished,
)
from .errors import OutputClosed
from .records import SCHEMA, record
from .text import printable, shortened

STAGES = ("endpointing", "stt", "understanding", "llm", "act", "tts", "link")
ROLES = {"stt": "ear", "tts": "voice", "llm": "model", "vad": "speech", "understanding": "sense"}
STATE_WORDS = {
    "listening": "listening",
    "transcribing": "listening back",
    "thinking": "thinking",
    "speaking": "speaking",
}
BAR_CELLS = 40
LABEL_CELLS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"  # rich's "dots"


class Console:
    """Renders notices, engines, the frame's state and waterfalls.

    Args:
        as_json: print one JSON object per notice instead of lines for people.
        verbose: 1 also shows state changes, confidence figures and the details of engines.
        stream: where to; standard output by default.
        on_closed: called once when the stream takes nothing more, such as a pipe without a reader. From then on nothing
            is written, and `close` raises why: whoever runs the session ends it, so that the capture stops first.
    """

    def __init__(
        self,
        as_json: bool = False,
        verbose: int = 0,
        stream: IO[str] | None = None,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.on_closed = on_closed
        self._error: Exception | None = None
        self._json = as_json
        self._verbose = verbose
        self._stream = _Replacing(stream if stream is not None else sys.stdout)
        self._lock = threading.RLock()
        self._rich: Any = None
        self._status: Any = None
        if (
            not as_json
            and self._stream.isatty()
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM") != "dumb"
            and self._stream.can_show(_EIGHTHS + _SPINNER)
        ):
            from rich.console import Console as RichConsole

            self._rich = RichConsole(file=cast(IO[str], self._stream), highlight=False, soft_wrap=True)

    # ------------------------------------------------------------ what comes in
    def on_notice(self, notice: Notice) -> None:
        """Show one notice of the pipeline."""
        if self._json:
            self.emit(record(notice))
            return
        match notice:
            case StateChanged(state=state):
                self._show_state(state)
            case TranscriptReady():
                self._show_transcript(notice)
            case ActFinished():
                self._show_act(notice)
            case ReplySpoken(text=text):
                self._line("assistant", text, "bold cyan")
            case Problem():
                self.problem(notice)
            case TurnFinished():
                self.waterfall(notice)
            case _:
                pass  # the start of speech is for hooks: the state line says it already

    def engines(self, infos: Sequence[EngineInfo]) -> None:
        """Say which engines run, and how many sentences the recogniser knows."""
        if self._json:
            self.emit({"schema": SCHEMA, "event": "engines", "engines": [engine_record(info) for info in infos]})
            return
        for info in infos:
            self._line(ROLES.get(info.role, info.role), describe(info, bool(self._verbose)), "green")

    def frame(self, info: Mapping[str, Any]) -> None:
        """Show the frame's state, as it was read back from the frame: name, volume_percent, muted, led and so on."""
        if self._json:
            self.emit({"schema": SCHEMA, "event": "frame", "frame": dict(info)})
            return
        self._line("frame", frame_line(info), "magenta")

    def waterfall(self, turn: TurnFinished) -> None:
        """Show where the time of one turn went, one bar per stage, each where the one before it ended."""
        if self._json:
            self.emit(record(turn))
            return
        if turn.outcome in ("rejected", "interrupted"):
            self._line("", turn.outcome, "dim")
        for label, bar, figure in waterfall_rows(turn.stages_ms):
            self._bar(label, bar, figure)
        self._write("")

    def problem(self, problem: Problem) -> None:
        """Say what failed, and what to do."""
        if self._json:
            self.emit(record(problem))
            return
        self._line("problem", problem.message, "bold red")
        if problem.remedy:
            self._line("", problem.remedy, "dim")

    def note(self, text: str) -> None:
        """One dim line for people; nothing in JSON."""
        if not self._json:
            self._line("", text, "dim")

    def row(self, label: str, text: str, style: str = "") -> None:
        """One line: a label, in colour on a terminal, and a text."""
        self._line(label, text, style)

    def busy(self, text: str) -> None:
        """What is under way, on the line that moves; nothing where there is none."""
        if self._rich is not None:
            self._do(lambda: self._show_status(printable(text)))

    def emit(self, value: Mapping[str, Any]) -> None:
        """One JSON object on a line of its own."""
        self._write(json.dumps(value, ensure_ascii=True, default=str))

    def close(self) -> None:
        """Take the status line away and flush. Raises OutputClosed when not everything could be shown."""
        if self._status is not None:
            self._do(self._status.stop)
            self._status = None
        self._do(self._stream.flush)
        if self._error is not None:
            raise self._error

    # ------------------------------------------------------------ lines
    def _show_state(self, state: str) -> None:
        word = printable(state).lower()
        if self._rich is None:
            if self._verbose:
                self._line("", STATE_WORDS.get(word, word), "")
            return
        self._do(lambda: self._show_status(STATE_WORDS.get(word, word)))

    def _show_status(self, word: str) -> None:
        if self._status is None:
            self._status = self._rich.status("", spinner="dots", spinner_style="cyan")
            self._status.start()
        self._status.update(f"[dim]{word}[/dim]")

    def _show_transcript(self, notice: TranscriptReady) -> None:
        transcript = notice.transcript
        heard = transcript.text or "(nothing)"
        figures = f"log probability {transcript.avg_logprob:.2f}, no speech {transcript.no_speech_prob:.2f}"
        if transcript.accepted:
            self._line("you", heard + (f"  ({figures})" if self._verbose else ""), "bold")
        else:
            reason = f" ({transcript.reason})" if transcript.reason else ""
            self._line("not sure", f"{heard}{reason}" + (f"  ({figures})" if self._verbose else ""), "yellow")

    def _show_act(self, act: ActFinished) -> None:
        given = ", ".join(f"{name}={value}" for name, value in act.args.items())
        what = f"{act.name}({given})" if given else act.name
        outcome = act.error or ", ".join(f"{name} {_brief(value)}" for name, value in act.result.items()) or "done"
        self._line("failed" if act.error else "act", f"{what}: {outcome}", "red" if act.error else "blue")

    def _line(self, label: str, text: str, style: str) -> None:
        label, text = printable(label), printable(text)
        if self._rich is None:
            self._write(f"{label:>{LABEL_CELLS}}  {text}".rstrip())
            return
        from rich.text import Text

        shown = Text(f"{label:>{LABEL_CELLS}}  ", style=style if label else "")
        shown.append(text, style="" if label else style)
        self._print(shown)

    def _bar(self, label: str, bar: str, figure: str) -> None:
        if self._rich is None:
            self._write(f"{'':{LABEL_CELLS}}  {label:<13} {bar}  {figure}")
            return
        from rich.text import Text

        shown = Text(f"{'':{LABEL_CELLS}}  {label:<13} ", style="dim")
        shown.append(bar, style="cyan")
        shown.append(f"  {figure}", style="dim")
        self._print(shown)

    def _print(self, shown: Any) -> None:
        self._do(lambda: self._rich.print(shown, markup=False))

    def _write(self, line: str) -> None:
        if self._rich is not None:
            self._print(line)
        else:
            self._do(lambda: self._write_plain(line))

    def _write_plain(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def _do(self, write: Callable[[], None]) -> None:
        """Write while somebody reads."""
        with self._lock:
            if self._error is not None:
                return
            try:
                write()
            except OSError as error:
                # EIO: the terminal is gone, which is the same as a pipe without a reader.
                self._error = OutputClosed() if error.errno in (errno.EPIPE, errno.EIO) else error
                self.on_closed()


class _Replacing:
    """A text stream on which every character can be written: one that it cannot encode becomes a question mark."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def can_show(self, characters: str) -> bool:
        encoding = getattr(self._stream, "encoding", None)  # none: text that stays in memory
        try:
            characters.encode(encoding or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except UnicodeEncodeError as error:
            return self._stream.write(text.encode(error.encoding, "replace").decode(error.encoding))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def engine_record(info: EngineInfo) -> dict[str, Any]:
    """An engine as plain JSON."""
    return {"role": info.role, "engine": info.engine, "model": info.model, **info.detail}


def describe(info: EngineInfo, verbose: bool = False) -> str:
    """`whisper embedded, knows 1234 sentences`."""
    text = f"{info.engine} {info.model}".strip()
    if sentences := info.detail.get("sentences"):
        text += f", knows {sentences} sentences"
    if verbose:
        rest = [f"{name} {value}" for name, value in info.detail.items() if name != "sentences"]
        text += f" ({', '.join(rest)})" if rest else ""
    return text


def frame_line(info: Mapping[str, Any]) -> str:
    """The frame's state in one line; a fact that is not given is not shown."""
    parts = [str(info[name]) for name in ("name", "port") if info.get(name)]
    if "volume_percent" in info:
        parts.append(f"volume {info['volume_percent']} %" + (", muted" if info.get("muted") else ""))
    if "led" in info:
        parts.append(f"LED {info['led']}")
    if "battery_percent" in info:
        battery = info["battery_percent"]
        parts.append("no battery gauge" if battery is None else f"battery {battery} %")
    return " · ".join(parts)


def waterfall_rows(stages_ms: Mapping[str, float], cells: int = BAR_CELLS) -> Iterable[tuple[str, str, str]]:
    """Rows (stage, bar, figure) of one turn, then a row for the total. Each bar starts where the one before ended.

    What ran side by side with another stage makes the parts longer than the whole; the scale is then that of the parts.
    """
    parts = [(name, max(0.0, float(stages_ms[name]))) for name in STAGES if name in stages_ms]
    total = float(stages_ms.get("total", sum(ms for _, ms in parts)))
    scale = max(total, sum(ms for _, ms in parts))
    if scale <= 0:
        return
    at_ms = 0.0
    for name, ms in parts:
        yield name, _bar_cells(at_ms / scale, ms / scale, cells), f"{ms:.0f} ms"
        at_ms += ms
    yield "total", " " * cells, f"{total:.0f} ms"


def _bar_cells(start: float, length: float, cells: int) -> str:
    """A bar of `length` behind `start`, both shares of the whole; at least a sliver, so that no stage is invisible."""
    before = min(int(start * cells), cells - 1)
    eighths = max(1, round(length * cells * 8))
    full, rest = divmod(min(eighths, (cells - before) * 8), 8)
    bar = _EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")
    return (" " * before + bar).ljust(cells)


def _brief(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    return shortened(str(value), 60)
