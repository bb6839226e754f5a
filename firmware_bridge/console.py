"""Bytes that are no frame, made fit for a terminal, and a bounded log of what a frame printed.

Everything that a frame or a wrong port sends may be hostile: escape sequences could rewrite the user's terminal. Knows
nothing of what the text means.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

# One piece of text at most; a longer one is cut. More than a port delivers at once (4096 octets on Linux).
MAX_TEXT_CHARS = 16_384

# What ConsoleLog remembers, and where it cuts a line without an end. A panic with its backtrace and registers is 2 KB,
# a boot log 4 KB.
MAX_LOG_CHARS = 65_536
MAX_LINE_CHARS = 1024

# A run of text inside binary data, such as a panic behind half a frame. Octets of sound or of a picture that look like
# so many letters in a row are rare enough.
MIN_RUN_BYTES = 16

_PRINTABLE = bytes(range(0x20, 0x7F))
_LINE_ENDS = b"\r\n\t"
_DELETED = bytes(set(range(256)) - set(_PRINTABLE) - {0x0A})
_RUN = re.compile(rb"[\x20-\x7e\r\n\t\x1b]{%d,}" % MIN_RUN_BYTES)

# CSI: `ESC [ ... letter`. Strings that end with BEL or ESC \, such as a title: `ESC ] ...`; one without an end must not
# swallow the log. Everything else: `ESC ( B`, `ESC c`.
_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_](?:[^\x07\x1b\r\n]{0,256}(?:\x07|\x1b\\))?|[ -/]{0,4}[0-~]?)"
)


def printable_text(raw: bytes) -> str:
    """The printable ASCII and line feeds of `raw`, without the ANSI escape sequences around them."""
    return strip_escapes(raw.replace(b"\t", b" ")).translate(None, _DELETED).decode("ascii")[:MAX_TEXT_CHARS]


def strip_escapes(raw: bytes) -> bytes:
    """Drop escape sequences whole: colours of an ESP-IDF log, a terminal's title with its text, a choice of font."""
    return _ESCAPE.sub(b"", raw)


def looks_like_text(raw: bytes) -> bool:
    """True for a log line or an AT answer, False for a damaged frame of binary data."""
    odd = len(raw.translate(None, _PRINTABLE + _LINE_ENDS + b"\x1b"))
    return len(raw) >= 2 and odd * 8 <= len(raw)


def text_in(raw: bytes) -> str:
    """The text of octets that are no frame: all of it where it looks like text, else its runs; "" without any."""
    return printable_text(raw if looks_like_text(raw) else b"\n".join(_RUN.findall(raw)))


def one_line(raw: bytes, limit: int = 60) -> str:
    """For an error message: the printable part on one line, cut to `limit` characters."""
    text = " ".join(printable_text(raw.replace(b"\r", b"\n")).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line that a frame printed. Printable ASCII.

    Attributes:
        host_time_s: when its first part came, on the host's monotonic clock.
    """

    host_time_s: float
    text: str


class ConsoleLog:
    """The newest 64 KiB of what a frame printed, line by line. May be read while another thread adds."""

    def __init__(self) -> None:
        self._lines: deque[ConsoleLine] = deque()
        self._chars = 0
        self._open = ConsoleLine(0.0, "")  # a line that has no end yet

    def add(self, text: str, now_s: float) -> list[ConsoleLine]:
        """Take a piece of printable text, cut anywhere; returns the lines that it completed, empty ones left out."""
        done = []
        for piece in text.splitlines(keepends=True):
            begun_s = self._open.host_time_s if self._open.text else now_s
            self._open = ConsoleLine(begun_s, (self._open.text + piece)[:MAX_LINE_CHARS])
            if piece.endswith("\n"):
                done += self.settle()
        return done

    def settle(self) -> list[ConsoleLine]:
        """End the line that has no end yet, if there is one: nothing more of it will come."""
        line, self._open = ConsoleLine(self._open.host_time_s, self._open.text.strip()), ConsoleLine(0.0, "")
        if not line.text:
            return []
        self._lines.append(line)
        self._chars += len(line.text) + 1
        while self._chars > MAX_LOG_CHARS:
            self._chars -= len(self._lines.popleft().text) + 1
        return [line]

    @property
    def lines(self) -> tuple[ConsoleLine, ...]:
        """Oldest first; one that has no end yet comes last."""
        return (*self._lines, *([self._open] if self._open.text else []))

    @property
    def text(self) -> str:
        """All lines, each with its line feed."""
        return "".join(line.text + "\n" for line in self.lines)
