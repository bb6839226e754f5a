"""A stream of text cut into speakable sentences, each as early as it is certain.

Knows written English (abbreviations, decimals, list numbers) and a little of what language models emit (Markdown).
Knows nothing of voices.
"""

from __future__ import annotations

import re
import unicodedata

MAX_SENTENCE_CHARS = 300  # about 20 s of speech; a voice that gets more at once begins too late
FIRST_CLAUSE_WORDS = range(3, 9)  # the reply's first piece may be a clause this long, so that sound starts sooner

_ENDERS = ".!?…"
_WIDE_ENDERS = "。！？"  # noqa: RUF001 - these end a sentence without a space after them
_CLOSERS = "\"')]}”’»*_"  # noqa: RUF001
_CLAUSE_END = re.compile(r"[,;:](?=\s)|\s[-\u2013\u2014](?=\s)")  # hyphen, en dash, em dash

# Never the end of a sentence: a name or a number follows.
_TITLES = frozenset(
    "dr mr mrs ms prof st gen col capt sgt lt rev sen gov pres hon jr sr vs eg ie cf fig approx".split()
)
# The end of one only when a capital follows.
_OFTEN_MIDDLE = frozenset("a.m p.m e.g i.e u.s u.k etc inc ltd co corp dept est min max no vol p pp".split())


def without_controls(text: str) -> str:
    """Without control and format characters (a terminal may see this text); every run of white space is one space."""
    kept = (character for character in text if character.isspace() or unicodedata.category(character)[0] != "C")
    return " ".join("".join(kept).split())


def speakable(text: str) -> str:
    """What a voice should say of written text: no control characters, no Markdown marks, no link targets."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^\s*(?:#{1,6}\s+|[-*+•]\s+|>\s+)", "", text)
    text = re.sub(r"[*`~]+|(?<!\w)_+|_+(?!\w)", "", text)
    return without_controls(text)


class SentenceSplitter:
    """push() pieces of any size, get whole sentences; finish() gives what is left.

    The sentences do not depend on how the text was cut into pieces, but for the first clause: it leaves as soon as
    its end is seen.
    """

    def __init__(self, *, first_clause: bool = False) -> None:
        self._text = ""
        self._first_clause = first_clause

    def push(self, text: str) -> list[str]:
        self._text += text
        return self._take(final=False)

    def finish(self) -> list[str]:
        return self._take(final=True)

    def _take(self, *, final: bool) -> list[str]:
        found = []
        while (end := self._next_end(final)) is not None:
            sentence, self._text = speakable(self._text[:end]), self._text[end:].lstrip(" \t")
            if any(character.isalnum() for character in sentence):
                found.append(sentence)
                self._first_clause = False
        return found

    def _next_end(self, final: bool) -> int | None:
        """Where the first sentence of the text ends, or None while that is uncertain."""
        text = self._text
        if self._first_clause and (end := self._clause_end()) is not None:
            return end
        for at, character in enumerate(text):
            if at >= MAX_SENTENCE_CHARS:
                space = text.rfind(" ", 0, at)
                return space if space > 0 else at
            if character == "\n":
                return at + 1
            if character in _WIDE_ENDERS:
                return at + 1
            if character in _ENDERS:
                end = self._end_after(at, final)
                if end is not None:
                    return end
        return len(text) if final and text else None

    def _end_after(self, at: int, final: bool) -> int | None:
        """The end of the sentence that the mark at `at` closes; None when it closes none, or not for certain yet."""
        text = self._text
        end = at + 1
        while end < len(text) and text[end] in _ENDERS + _CLOSERS:
            end += 1
        if end == len(text):
            return end if final else None
        if not text[end].isspace():
            return None  # 3.5, lorgnette.toml, e.g.
        if text[at] != ".":
            return end
        word = text[:at].split()[-1].lower().lstrip("\"'([{“‘*_") if text[:at].strip() else ""  # noqa: RUF001
        if word in _TITLES or (len(word) == 1 and word.isalpha() and word != "i"):
            return None  # Dr. Watson, J. Smith
        if word.isdigit() and not text[:at].strip()[: -len(word)]:
            return None  # "1. Open the door"
        if word in _OFTEN_MIDDLE:
            following = text[end:].lstrip()
            if not following:
                return end if final else None
            return end if following[0].isupper() else None
        return end

    def _clause_end(self) -> int | None:
        for match in _CLAUSE_END.finditer(self._text, 0, MAX_SENTENCE_CHARS):
            words = len(self._text[: match.start()].split())
            if words in FIRST_CLAUSE_WORDS:
                return match.end()
            if words > FIRST_CLAUSE_WORDS[-1]:
                break
        return None


def split_sentences(text: str) -> list[str]:
    """All sentences of a whole text."""
    splitter = SentenceSplitter()
    return splitter.push(text) + splitter.finish()
