"""What servers send, and what of it may be spoken."""

from __future__ import annotations

import gc
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.cli.assistant.engines.chat_stream import (
    MAX_LINE_BYTES,
    ChatStream,
    ServerSaid,
    SilentTags,
    spoken_text,
)


def event(content: object, **more: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": content}, **more}]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def text_of(*pieces: bytes, streamed: bool = True) -> tuple[str, bool]:
    stream = ChatStream(streamed=streamed)
    texts = [text for piece in pieces for text in stream.feed(piece)]
    return "".join(texts + stream.end()), stream.done


def understood(content: bytes, *, streamed: bool) -> bool:
    stream = ChatStream(streamed=streamed)
    stream.feed(content)
    stream.end()
    return stream.understood


@pytest.mark.parametrize(
    "stream",
    [
        event("Hello") + event(" there.") + DONE,
        event("Hello") + event(" there.", finish_reason="stop"),  # no [DONE]
        (event("Hello") + event(" there.") + DONE).replace(b"\n", b"\r\n"),
        (event("Hello") + event(" there.") + DONE).replace(b"\n\n", b"\n"),  # no empty lines
        (event("Hello") + event(" there.") + DONE).replace(b"data: ", b"data:"),
        event("Hello") + event(" there.") + DONE.rstrip(),  # no last line end
        b": ping\n\nevent: message\nid: 7\nretry: 10\n" + event("Hello") + event(" there.") + DONE,
        event("Hello") + event(None) + event("") + event([{"type": "text", "text": " there."}]) + DONE,
        event("Hello") + b'data: {"choices": [], "usage": {"total_tokens": 3}}\n\n' + event(" there.") + DONE,
        event("Hello") + b"data: 17\n\ndata: null\n\ndata: {}\n\n" + event(" there.") + DONE,
        event("Hello") + b'data: {"choices": [{"delta": null}]}\n\n' + event(" there.") + DONE,
        b'data: {"choices": [{"text": "Hello"}]}\n\n' + event(" there.") + DONE,
        b'data: {"choices":\ndata: [{"delta": {"content": "Hello"}}]}\n\n' + event(" there.") + DONE,
        b"data: garbage\n" + event("Hello") + event(" there.") + DONE,
        event("Hello") + event(" there.") + DONE + event(" Never said."),
        b'data: {"choices": [{"delta": {"reasoning_content": "hmm"}}]}\n\n' + event("Hello") + event(" there.") + DONE,
    ],
)
def test_every_shape_of_stream_gives_the_same_words(stream: bytes) -> None:
    assert text_of(stream) == ("Hello there.", True)
    assert text_of(*[stream[at : at + 1] for at in range(len(stream))]) == ("Hello there.", True)


def test_a_line_separator_inside_a_string_is_no_line_end() -> None:
    raw = 'data: {"choices": [{"delta": {"content": "one\u2028two"}}]}\n\n'.encode()
    assert text_of(raw + DONE) == ("one\u2028two", True)


def test_json_nested_beyond_measure_is_only_noise() -> None:
    gc.disable()  # a collection at the very bottom of the stack would fail for lack of stack, elsewhere
    try:
        assert text_of(b"data: " + b"[" * 200_000 + b"\n\n" + event("Hello") + DONE) == ("Hello", True)
    finally:
        gc.enable()


def test_a_broken_off_stream_is_not_done() -> None:
    assert text_of(event("Hello")) == ("Hello", False)
    assert text_of(event("Hello") + b'data: {"choi') == ("Hello", False)


def test_only_data_is_progress() -> None:
    stream = ChatStream()
    stream.feed(b": ping\n\n")
    assert not stream.progressed
    stream.feed(event("Hello"))
    assert stream.progressed


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'data: {"error": {"message": "out of memory", "code": 500}}\n\n', "out of memory"),
        (b'data: {"error": "overloaded"}\n\n', "overloaded"),
        (b'data: {"error": {"code": 7}}\n\n', "7"),
        (b"x" * (MAX_LINE_BYTES + 1), "without end"),
        (b"data: {\n" * 1_000, "without end"),
    ],
)
def test_an_error_in_the_stream_is_raised(raw: bytes, said: str) -> None:
    with pytest.raises(ServerSaid, match=said):
        text_of(raw)


def test_a_server_that_does_not_stream_is_heard_too() -> None:
    whole = json.dumps({"choices": [{"message": {"content": "<think>hm</think>Hello."}, "finish_reason": "stop"}]})
    assert text_of(whole[:20].encode(), whole[20:].encode(), streamed=False) == ("Hello.", True)
    assert text_of(b"{", streamed=False) == ("", False)
    for streamed in (True, False):
        assert not understood(b"data: [1, 2]\n\n" if streamed else b"[1, 2]", streamed=streamed)
        assert understood(b'data: {"choices": []}\n\n' if streamed else b'{"choices": []}', streamed=streamed)


@pytest.mark.parametrize(
    ("said", "spoken"),
    [
        ("<think>secret</think>Hello.", "Hello."),
        ("<THINK>secret</Think>Hello.", "Hello."),
        ("A <think>x</think>B<thinking>y</thinking>C", "A BC"),
        ("Hello.<tool_call>{}</tool_call>", "Hello."),
        ("Hello.<think>never closed", "Hello."),
        ("hm, hm</think>Hello.", "hm, hmHello."),  # opened in the prompt: the tag itself at least is not spoken
        ("1 < 2 and <b>bold</b>", "1 < 2 and <b>bold</b>"),
        ("<", "<"),
        ("<thin", "<thin"),
        ("<think", "<think"),
        ("<<think>x</think>", "<"),
        ("<think><think></think>y", "y"),
        ("", ""),
    ],
)
def test_thoughts_are_cut_wherever_the_text_is_split(said: str, spoken: str) -> None:
    for size in range(1, len(said) + 1):
        tags = SilentTags()
        pieces = [tags.feed(said[at : at + size]) for at in range(0, len(said), size)]
        assert "".join(pieces) + tags.end() == spoken, size


@given(st.text(alphabet="<think>/ol_ca ab", max_size=60), st.lists(st.integers(0, 60)))
def test_cutting_does_not_depend_on_the_pieces(said: str, cuts: list[int]) -> None:
    whole = SilentTags()
    expected = whole.feed(said) + whole.end()
    edges = [0, *sorted(min(cut, len(said)) for cut in cuts), len(said)]
    tags = SilentTags()
    pieces = [tags.feed(said[start:end]) for start, end in itertools.pairwise(edges)]
    assert "".join(pieces) + tags.end() == expected


def test_text_without_tags_is_not_held_back() -> None:
    tags = SilentTags()
    assert tags.feed("Hello ") == "Hello "
    assert tags.feed("there <b") == "there <b"
    assert tags.feed("a <thi") == "a "


def test_control_characters_are_not_spoken() -> None:
    assert list(spoken_text(["a\x1b[31mb", "\x07", "c\nd", "你好"])) == ["a[31mb", "c\nd", "你好"]
