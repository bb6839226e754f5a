"""The configuration file as text: where a key stands, and how one value is changed without touching the rest.

tomllib reads values but forgets lines and comments, so this finds them again. It understands what people write by
hand (tables, dotted keys, strings of all four kinds, lists over several lines); whoever edits checks the result with
tomllib.
Knows TOML's surface, not what any key means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER = re.compile(r"\s*\[(?!\[)\s*(?P<name>[^\[\]]+?)\s*\]\s*(#.*)?$")
_KEY = re.compile(
    r"\s*(?P<name>(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*'))*)\s*="
)
_QUOTES = ('"""', "'''", '"', "'")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `key = value` of the file.

    Attributes:
        name: dotted and with its table: "stt.engine".
        line: of the key, from 1.
        start, end: offsets of the value in the text, comment and line end excluded.
    """

    name: str
    line: int
    start: int
    end: int


def assignments(text: str) -> Iterator[Assignment]:
    """Every assignment of the file, in order. Never raises; what is no assignment is passed over."""
    table, position = "", 0
    while position < len(text):
        line_end = _end_of_line(text, position)
        line = text[position:line_end]
        if header := _HEADER.match(line):
            table = _plain(header["name"]) + "."
        elif not line.lstrip().startswith(("#", "[")) and (key := _KEY.match(line)):
            start = position + key.end()
            start += len(text[start:line_end]) - len(text[start:line_end].lstrip(" \t"))
            end = _end_of_value(text, start)
            yield Assignment(table + _plain(key["name"]), text.count("\n", 0, position) + 1, start, end)
            line_end = _end_of_line(text, end)
        position = line_end + 1


def line_of(text: str, name: str) -> int:
    """The line of a key, or of the table that it names, or of the inline table that holds it; 1 when nothing fits."""
    for found in assignments(text):
        if found.name == name or found.name.startswith(name + ".") or name.startswith(found.name + "."):
            return found.line
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header and (_plain(header["name"]) + ".").startswith(name + "."):
            return number
    return 1


def with_value(text: str, name: str, literal: str) -> str:
    """Return the text with `name` set to a TOML literal; comments and order stay.

    A key that is not there yet goes to the end of its table, a table that is not there yet to the end of the file.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    found = list(assignments(text))
    for item in found:
        if item.name == name:
            return text[: item.start] + literal + text[item.end :]
    table, _, key = name.rpartition(".")
    line = f"{key} = {literal}{newline}"
    place = _end_of_table(text, table, found)
    if place is None:
        gap = "" if not text.strip() else newline if text.endswith("\n") else newline * 2
        return f"{text}{gap}[{table}]{newline}{line}"
    before = text[:place] if not text[:place] or text[:place].endswith("\n") else text[:place] + newline
    after = text[place:]
    if not table and not any("." not in item.name for item in found) and after.strip():
        line += newline  # the first top-level key of a file that starts with a table
    return before + line + after


def literal_of(value: object) -> str:
    """Write a value as TOML. Strings are basic strings; control characters are escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal_of(item) for item in value) + "]"
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    text = "".join(escapes.get(c) or (c if ord(c) >= 32 and ord(c) != 127 else f"\\u{ord(c):04x}") for c in str(value))
    return f'"{text}"'


def _end_of_table(text: str, table: str, found: list[Assignment]) -> int | None:
    """The offset behind the last assignment (or the header) of a table; None when the table is not there."""
    inside = [item for item in found if item.name.rpartition(".")[0] == table and _in_table(text, item, table)]
    if inside:
        return min(_end_of_line(text, inside[-1].end) + 1, len(text))
    if not table:
        return _first_header(text)
    position = 0
    for line in text.splitlines(keepends=True):
        position += len(line)
        header = _HEADER.match(line)
        if header and _plain(header["name"]) == table:
            return position
    return None


def _in_table(text: str, item: Assignment, table: str) -> bool:
    """True when the assignment stands under its table's header and not as a dotted key above all tables."""
    return not table or item.start > _first_header(text)


def _first_header(text: str) -> int:
    """The offset where a new top-level key may stand: before the first table and the comment lines that lead it in."""
    position = 0
    lead_in = 0
    for line in text.splitlines(keepends=True):
        if _HEADER.match(line) or line.lstrip().startswith("[["):
            return lead_in
        position += len(line)
        if not line.lstrip().startswith("#"):
            lead_in = position
    return position


def _plain(dotted: str) -> str:
    """A possibly quoted, spaced dotted key as `a.b`."""
    return ".".join(part.strip().strip("\"'") for part in dotted.split("."))


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _end_of_value(text: str, position: int) -> int:
    """The offset behind the value that begins at `position`: to its closing bracket, or to the comment or line end."""
    depth, end = 0, position
    while position < len(text):
        character = text[position]
        quote = next((q for q in _QUOTES if text.startswith(q, position)), None)
        if quote:
            position = end = _end_of_string(text, position, quote)
            continue
        if character == "#":
            position = _end_of_line(text, position)
            if depth == 0:
                return end
            continue
        if character == "\n" and depth == 0:
            return end
        depth += (character in "[{") - (character in "]}")
        position += 1
        if not character.isspace():
            end = position
    return end


def _end_of_string(text: str, position: int, quote: str) -> int:
    position += len(quote)
    while position < len(text):
        if text.startswith(quote, position):
            return position + len(quote)
        if text[position] == "\n" and len(quote) == 1:
            return position  # unterminated: tomllib says so
        position += 2 if text[position] == "\\" and quote[0] == '"' else 1
    return len(text)
