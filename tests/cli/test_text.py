"""What reaches a terminal cannot act on it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.cli.text import nearest, printable, shortened


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        ("what time is it", "what time is it"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\r\nb", "a\\r\\nb"),
        ("a\tb", "a b"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("a\u2028b", "a\\u2028b"),
        ("a\udc80b", "a\\udc80b"),
        ("几点了 café 🙂", "几点了 café 🙂"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_controls_are_spelled_out(heard: str, shown: str) -> None:
    assert printable(heard) == shown


def test_line_feeds_stay_only_when_asked() -> None:
    assert printable("a\nb", newlines=True) == "a\nb"
    assert printable("a\nb") == "a\\nb"


@given(st.text())
def test_nothing_that_a_terminal_acts_on_is_left(text: str) -> None:
    shown = printable(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0x202A <= ord(c) <= 0x202E for c in shown)
    shown.encode("utf-8")
    assert printable(shown) == shown


def test_shortened_and_nearest() -> None:
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abc", 4) == "abc"
    assert nearest("Whispr", ["whisper", "piper"]) == "whisper"
    assert nearest("zzz", ["whisper", "piper"]) == ""
