"""Bytes that are no frame, made fit for a terminal.

Everything that a frame or a wrong port sends may be hostile: escape sequences could rewrite the user's terminal.
"""

from __future__ import annotations

# One piece of text at most; a longer one is cut (mirrors frame.MAX_HELD_BYTES, rounded up).
MAX_TEXT_CHARS = 2048

_PRINTABLE = bytes(range(0x20, 0x7F))
_LINE_ENDS = b"\r\n\t"
_DELETED = bytes(set(range(256)) - set(_PRINTABLE) - {0x0A})


def printable_text(raw: bytes) -> str:
    """The printable ASCII and line feeds of `raw`, without the ANSI escape sequences around them."""
    return strip_escapes(raw.replace(b"\t", b" ")).translate(None, _DELETED).decode("ascii")[:MAX_TEXT_CHARS]


def strip_escapes(raw: bytes) -> bytes:
    """Drop CSI sequences (colours of an ESP-IDF log): `ESC [ ... letter`."""
    head, *rest = raw.split(b"\x1b[")
    return head + b"".join(part.lstrip(b"0123456789;?")[1:] for part in rest)


def looks_like_text(raw: bytes) -> bool:
    """True for a log line or an AT answer, False for a damaged frame of binary data."""
    odd = len(raw.translate(None, _PRINTABLE + _LINE_ENDS + b"\x1b"))
    return len(raw) >= 2 and odd * 8 <= len(raw)


def one_line(raw: bytes, limit: int = 60) -> str:
    """For an error message: the printable part on one line, cut to `limit` characters."""
    text = " ".join(printable_text(raw.replace(b"\r", b"\n")).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
