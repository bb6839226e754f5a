"""Text beside the frames: found in what is no frame, made harmless, and remembered within bounds."""

from __future__ import annotations

import random

import pytest

from lorgnette.firmware_bridge.console import (
    MAX_LINE_CHARS,
    MAX_LOG_CHARS,
    ConsoleLine,
    ConsoleLog,
    printable_text,
    text_in,
)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\x1b[0;32mb\x1b[0mc", "abc"),
        (b"a\x1b[?25l\x1b[>4;2mb\x1b[4 qc\x1b[2Jd", "abcd"),
        (b"a\x1b]0;a title\x07b\x1b]8;;http://x\x1b\\c", "abc"),
        (b"a\x1bP1$r0m\x1b\\b\x1b_secret\x07c", "abc"),
        (b"a\x1b(Bb\x1bcc\x1b7d\x1b=e", "abcde"),
        (b"a\x1b]no end\r\nb", "ano end\nb"),
        (b"a\x1b]" + b"x" * 300 + b"\x07", "a" + "x" * 300),
        (b"a\x1b", "a"),
        (b"a\x1b[", "a"),
        (b"a\x1b\nb", "a\nb"),
    ],
)
def test_escape_sequences_are_dropped_whole(raw: bytes, text: str) -> None:
    assert printable_text(raw) == text


def test_text_is_found_whole_or_as_runs() -> None:
    assert text_in(b"I (33) boot: \x1b[0;32mhello\x1b[0m\r\n") == "I (33) boot: hello\n"
    assert text_in(b"\x01\xff\x80" * 40 + b"abort() was called at PC 0x42\r\n" + b"\x99" * 9) == (
        "abort() was called at PC 0x42\n"
    )


@pytest.mark.parametrize("seed", range(20))
def test_damaged_binary_data_is_no_text(seed: int) -> None:
    assert text_in(random.Random(seed).randbytes(1000)) == ""


def test_lines_are_joined_across_pieces_and_have_the_time_of_their_first() -> None:
    log = ConsoleLog()
    assert log.add("hel", 1.0) == []
    assert log.lines == (ConsoleLine(1.0, "hel"),)
    assert log.add("lo\nworld\n\n  \nun", 2.0) == [ConsoleLine(1.0, "hello"), ConsoleLine(2.0, "world")]
    assert log.text == "hello\nworld\nun\n"
    assert log.settle() == [ConsoleLine(2.0, "un")]
    assert log.settle() == []
    assert log.add("next\n", 3.0) == [ConsoleLine(3.0, "next")]
    assert log.text == "hello\nworld\nun\nnext\n"


def test_the_oldest_lines_go_first() -> None:
    log = ConsoleLog()
    for number in range(20_000):
        log.add(f"line {number}\n", float(number))
    assert len(log.text) <= MAX_LOG_CHARS
    assert len(log.text) > MAX_LOG_CHARS - 100
    assert log.lines[-1] == ConsoleLine(19_999.0, "line 19999")
    assert log.text.startswith("line ")


def test_a_line_without_an_end_is_cut() -> None:
    log = ConsoleLog()
    for _ in range(300):
        log.add("x" * 1000, 0.0)
    assert log.lines == (ConsoleLine(0.0, "x" * MAX_LINE_CHARS),)
