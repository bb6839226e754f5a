"""What may reach a terminal. Everything heard, replied, received from a frame or read from a file passes here first.

Knows nothing of where the text came from or where it goes.
"""

from __future__ import annotations

from collections.abc import Iterable

# Cc: C0 and C1 controls (escape sequences start here). Cf: invisible format characters, among them the bidirectional
# overrides that make a line read differently from what it is. Zl, Zp: line breaks that are no newline. Cs, Co, Cn:
# surrogates, private use, unassigned: nothing that a font can be trusted with.
_HIDDEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})
# Zero-width joiner and non-joiner spell words in several scripts (and join emoji) and cannot reorder a line.
_SPELLING = frozenset("\u200c\u200d")


def printable(text: object, *, newlines: bool = False) -> str:
    """Return `text` with every character that a terminal could act on spelled out, as `\\x1b` or `\\u202e`.

    Args:
        text: anything; `str()` of it is taken.
        newlines: keep line feeds. A tab always becomes one space.
    """
    source = str(text)
    if source.isascii() and source.isprintable():
        return source
    return "".join(_spelled(character, newlines) for character in source)


def _spelled(character: str, newlines: bool) -> str:
    if character == "\t":
        return " "
    if (character == "\n" and newlines) or character in _SPELLING:
        return character
    import unicodedata  # most text is ASCII and never comes here

    if unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")


def shortened(text: str, width: int) -> str:
    """Cut to `width` characters, with an ellipsis where something was lost."""
    return text if len(text) <= width else text[: max(0, width - 1)].rstrip() + "…"


def nearest(word: str, valid: Iterable[str]) -> str:
    """The valid word closest to `word`, or "" when none is close: what a did-you-mean needs."""
    from difflib import get_close_matches  # only ever needed on the way to an error

    found = get_close_matches(word.lower(), list(valid), n=1, cutoff=0.6)
    return found[0] if found else ""
