"""Text to speakable sentences: whole, and in pieces of every size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.cli.assistant.sentences import (
    MAX_SENTENCE_CHARS,
    SentenceSplitter,
    speakable,
    split_sentences,
    without_controls,
)

CASES = [
    ("", []),
    ("   \n ", []),
    ("Hello", ["Hello"]),
    ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
    ("It is 3.5 degrees. Cold.", ["It is 3.5 degrees.", "Cold."]),
    ("It costs 1,299.50 dollars. Much.", ["It costs 1,299.50 dollars.", "Much."]),
    ("Dr. Watson met Mr. Holmes. They left.", ["Dr. Watson met Mr. Holmes.", "They left."]),
    ("J. R. Smith wrote it. Good.", ["J. R. Smith wrote it.", "Good."]),
    ("So do I. You too?", ["So do I.", "You too?"]),
    ("Use tools, e.g. a knife. Then cut.", ["Use tools, e.g. a knife.", "Then cut."]),
    ("We meet at 5 p.m. Bring food.", ["We meet at 5 p.m.", "Bring food."]),
    ("We meet at 5 p.m. on Monday. Bring food.", ["We meet at 5 p.m. on Monday.", "Bring food."]),
    ("The U.S. economy grew. Yes.", ["The U.S. economy grew.", "Yes."]),
    ("Apples, pears etc. are fruit.", ["Apples, pears etc. are fruit."]),
    ("No. That is wrong.", ["No.", "That is wrong."]),
    ("Take bus no. 5 now. Go.", ["Take bus no. 5 now.", "Go."]),
    ("1. Open it.\n2. Close it.", ["1. Open it.", "2. Close it."]),
    ("There are 5. Then more.", ["There are 5.", "Then more."]),
    ("Wait... What?! Really?", ["Wait...", "What?!", "Really?"]),
    ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
    ("(It rains.) We stay.", ["(It rains.)", "We stay."]),
    ("First line\nSecond line", ["First line", "Second line"]),
    ("# Title\n\n- one\n* two\n> three", ["Title", "one", "two", "three"]),
    ("This is **bold**. And `code`.", ["This is bold.", "And code."]),
    ("See [the page](https://example.org/a.html). Bye.", ["See the page.", "Bye."]),
    ("Open lorgnette.toml and see. Ok.", ["Open lorgnette.toml and see.", "Ok."]),
    ("--- ... !", []),
    ("你好。今天很好！", ["你好。", "今天很好！"]),  # noqa: RUF001 - wide marks
    ("a\x1b[31mred\x07 word.", ["a[31mred word."]),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_whole(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


@pytest.mark.parametrize(("text", "expected"), CASES)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_in_pieces(text: str, expected: list[str], size: int) -> None:
    splitter = SentenceSplitter()
    found = [s for at in range(0, len(text), size) for s in splitter.push(text[at : at + size])]
    assert found + splitter.finish() == expected


def test_a_sentence_leaves_as_soon_as_it_is_certain() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("It is 3.") == []  # 3.5 may follow
    assert splitter.push(" ") == ["It is 3."]
    assert splitter.push("At 5 p.m. ") == []  # "on Monday" may follow
    assert splitter.push("B") == ["At 5 p.m."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris is the capital, and the largest city too.", ["Paris is the capital,", "and the largest city too."]),
        ("Well, yes. It is.", ["Well, yes.", "It is."]),  # one word is no clause
        ("One two three; four. Five six seven, eight.", ["One two three;", "four.", "Five six seven, eight."]),
        ("Between 1,000 and 2,000 of them, I think.", ["Between 1,000 and 2,000 of them,", "I think."]),
        (
            "A clause that is a good deal longer than eight words, this one. Yes.",
            ["A clause that is a good deal longer than eight words, this one.", "Yes."],
        ),
        ("The well-known man said it - I think.", ["The well-known man said it -", "I think."]),
    ],
)
def test_the_first_piece_may_be_a_clause(text: str, expected: list[str]) -> None:
    splitter = SentenceSplitter(first_clause=True)
    assert splitter.push(text) + splitter.finish() == expected


def test_text_without_an_end_is_cut_between_words() -> None:
    found = split_sentences("word " * 200)
    assert all(len(sentence) <= MAX_SENTENCE_CHARS for sentence in found)
    assert " ".join(found).split() == ["word"] * 200


def test_text_without_a_space_is_cut_nevertheless() -> None:
    found = split_sentences("x" * 1000)
    assert [len(sentence) for sentence in found] == [300, 300, 300, 100]


@given(st.text(alphabet="aB1 .!?\n,:;-*'\"()[]"), st.integers(1, 9))
def test_pieces_change_nothing_and_no_word_is_lost(text: str, size: int) -> None:
    splitter = SentenceSplitter()
    found = [s for at in range(0, len(text), size) for s in splitter.push(text[at : at + size])] + splitter.finish()
    assert found == split_sentences(text)
    letters = [c for c in text if c.isalnum()]
    if "](" not in text:  # link targets are dropped
        assert [c for sentence in found for c in sentence if c.isalnum()] == letters


def test_text_without_controls() -> None:
    assert without_controls("a\x00b\x1b[0m\u202ec \t\n d\u200b") == "ab[0mc d"


def test_speakable_keeps_underscores_inside_words() -> None:
    assert speakable("__init__ of snake_case and _this_ ~~gone~~") == "init of snake_case and this gone"
