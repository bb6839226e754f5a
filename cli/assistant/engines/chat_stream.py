"""The bytes of a chat completion to the words that may be spoken.

Knows server-sent events, the shapes that OpenAI-compatible servers really send, and the tags in which models think.
Does no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

MAX_LINE_BYTES = 1 << 20
_MAX_EVENT_LINES = 32  # servers send one; each more is one more attempt to parse them all
_SILENT_TAGS = ("think", "thinking", "tool_call")  # what stands between such tags is not for the wearer


class ServerSaid(Exception):
    """An error that the server put into its stream."""


class ChatStream:
    """Collects the text of one response.

    Args:
        streamed: True for server-sent events, False for a server that answers with one JSON object.

    Attributes:
        done: the server said that the reply is complete.
        progressed: the last `feed` brought data; a comment that keeps a connection open is none.
        understood: something in it was a chat completion, if an empty one.
    """

    def __init__(self, *, streamed: bool = True) -> None:
        self.done = False
        self.progressed = False
        self.understood = False
        self._streamed = streamed
        self._bytes = bytearray()
        self._data: list[str] = []  # lines of an event whose JSON is not complete yet
        self._filter = SilentTags()

    def feed(self, data: bytes) -> list[str]:
        """Take the next bytes; return the new text. Raises ServerSaid."""
        self.progressed = not self._streamed
        self._bytes += data
        if not self._streamed:
            return []
        # Not str.splitlines: it also cuts at U+2028, which may stand inside a JSON string.
        *lines, rest = self._bytes.split(b"\n")
        self._bytes = bytearray(rest)
        if len(rest) > MAX_LINE_BYTES:
            raise ServerSaid("a line without end")
        return [text for line in lines if (text := self._line(line.decode("utf-8", "replace").rstrip("\r")))]

    def end(self) -> list[str]:
        """The response is over; return what was still held back. Raises ServerSaid."""
        texts = []
        if not self._streamed:
            texts.append(self._whole())
        elif self._bytes:  # a last line without its line end
            texts.append(self._line(self._bytes.decode("utf-8", "replace").rstrip("\r")))
            self._bytes.clear()
        texts.append(self._filter.end())
        return [text for text in texts if text]

    def held_back(self) -> list[str]:
        """The response was cut; return the text that waited for more to decide what it is."""
        return [text for text in [self._filter.end()] if text]

    def _line(self, line: str) -> str:
        field, _, value = line.partition(":")
        if field != "data" or self.done:
            if not line:
                self._data.clear()  # an event's end; whatever it was, it was no JSON
            return ""
        self.progressed = True
        value = value.removeprefix(" ")
        if value.strip() == "[DONE]":
            self.done = True
            return ""
        # Parsed line by line, for servers that leave out the empty line between events.
        self._data.append(value)
        event = _parsed("\n".join(self._data)) or _parsed(value)
        if event is None:
            if len(self._data) == _MAX_EVENT_LINES:
                raise ServerSaid("an event without end")
            return ""
        self._data.clear()
        return self._event(event)

    def _whole(self) -> str:
        try:
            event = json.loads(self._bytes)
        except (ValueError, RecursionError):
            return ""  # nothing of it is understood
        text = self._event(event)
        self.done = True
        return text

    def _event(self, event: Any) -> str:
        if not isinstance(event, dict):
            return ""
        if event.get("error"):
            error = event["error"]
            raise ServerSaid(str(error.get("message") or error) if isinstance(error, dict) else str(error))
        choices = event.get("choices")
        self.understood = self.understood or isinstance(choices, list)
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return ""  # usage figures
        if choice.get("finish_reason"):
            self.done = True
        delta = choice.get("delta") or choice.get("message")
        content = delta.get("content") if isinstance(delta, dict) else choice.get("text")
        return self._filter.feed("".join(_texts(content)))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _texts(content: Any) -> Iterator[str]:
    """Content is a string, null, or a list of parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


class SilentTags:
    """Cuts <think>...</think> and the like out of a text that comes in pieces of any length."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = ""  # the tag that is open

    def feed(self, text: str) -> str:
        """Return what is certainly outside; the rest is kept until it is decided."""
        self._held += text
        out: list[str] = []
        while self._held:
            if self._inside:
                if not self._leave():
                    break
                continue
            before, bracket, after = self._held.partition("<")
            out.append(before)
            self._held = bracket + after
            if not bracket or not self._enter(out):
                break
        return "".join(out)

    def end(self) -> str:
        """The text is over: a `<` that began no tag is text."""
        held, self._held = ("" if self._inside else self._held), ""
        return held

    def _leave(self) -> bool:
        closing = f"</{self._inside}>"
        at = self._held.lower().find(closing)
        if at < 0:
            self._held = self._held[-(len(closing) - 1) :]
            return False
        self._held = self._held[at + len(closing) :]
        self._inside = ""
        return True

    def _enter(self, out: list[str]) -> bool:
        """`_held` begins with "<". Return False when more text is needed to say what it begins."""
        lowered = self._held.lower()
        for tag in _SILENT_TAGS:
            opening, closing = f"<{tag}>", f"</{tag}>"
            if lowered.startswith(opening):
                self._inside = tag
                self._held = self._held[len(opening) :]
                return True
            if lowered.startswith(closing):  # its opening stood in the prompt
                self._held = self._held[len(closing) :]
                return True
        if any(f"<{slash}{tag}>".startswith(lowered) for tag in _SILENT_TAGS for slash in ("", "/")):
            return False
        out.append("<")
        self._held = self._held[1:]
        return True


def spoken_text(texts: Iterable[str]) -> Iterator[str]:
    """The pieces without the control characters that neither a voice nor a terminal should get."""
    for text in texts:
        clean = "".join(character for character in text if character.isprintable() or character in "\n\t")
        if clean:
            yield clean
