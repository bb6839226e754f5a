"""Whisper's vocabulary, rebuilt without whisper or tiktoken."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.cli.assistant.engines.checkpoint import embedded_checkpoint
from lorgnette.cli.assistant.engines.protocols import EngineError
from lorgnette.cli.assistant.engines.whisper_vocabulary import (
    LANGUAGES,
    Vocabulary,
    closure,
    halves,
    read_vocabulary,
    unwritten,
    written,
)

from .conftest import needs_torch

tokenizers = pytest.importorskip("tokenizers", reason="faster-whisper is not installed")
SENTENCES = [
    "Take a photo.",
    " Set a timer for five minutes and thirty seconds, please!",
    " naïve café — 你好\uff0c世界 🎧 привет",
    "   three spaces\n\tand a tab",
    " don't we'll I'm 3.14159 U+2028",
]


def tokenizer_of(vocabulary: Vocabulary):  # type: ignore[no-untyped-def]
    return tokenizers.Tokenizer.from_str(json.dumps(vocabulary.tokenizer_json()))


@given(st.binary())
def test_writing_a_token_loses_nothing(token: bytes) -> None:
    text = written(token)
    assert unwritten(text) == token
    assert text.isprintable()


def test_what_is_no_token_is_refused() -> None:
    with pytest.raises(ValueError, match="no byte-level token"):
        unwritten("two words")


@needs_torch
@pytest.mark.parametrize(("size", "multilingual", "languages"), [(51_864, False, 99), (51_865, True, 99)])
def test_the_stock_vocabularies_are_whispers(size: int, multilingual: bool, languages: int) -> None:
    from whisper.tokenizer import get_tokenizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # whisper leaves its file to the garbage collector
        whisper = get_tokenizer(multilingual, num_languages=languages)
    ours = read_vocabulary(size)
    assert dict(ours.specials) == whisper.special_tokens
    assert ours.languages == sorted(whisper.all_language_tokens)
    listed = ours.listed()
    assert len(listed) == len(set(listed)) == whisper.encoding.n_vocab == size
    tokenizer = tokenizer_of(ours)
    for sentence in SENTENCES:
        ids = whisper.encode(sentence)
        assert tokenizer.encode(sentence, add_special_tokens=False).ids == ids
        assert tokenizer.decode(ids) == sentence


@needs_torch
def test_the_languages_stand_in_whispers_order() -> None:
    from whisper.tokenizer import LANGUAGES as WHISPERS

    assert list(LANGUAGES) == list(WHISPERS)


def test_large_v3_has_one_language_more() -> None:
    tokens = read_vocabulary(51_866, embedded_checkpoint().tokens_path)
    assert len(tokens.languages) == 100
    assert tokens.specials["<|yue|>"] == tokens.specials["<|translate|>"] - 1
    assert tokens.specials["<|30.00|>"] == 51_865


@pytest.mark.parametrize("size", [0, 50_257, 51_863, 51_868, 10**9])
def test_no_other_size_is_a_whispers(size: int) -> None:
    with pytest.raises(EngineError, match="is no Whisper's"):
        read_vocabulary(size)


def test_a_part_of_a_vocabulary_encodes_its_words_as_the_whole_does() -> None:
    """Single bytes, words, and every token on the way to them, so that the merges still find their way."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    ranks |= {b"la": 300, b"mp": 301, b"lamp": 302, b" lamp": 303, b" l": 310}
    part = closure([303], ranks)
    assert part == {bytes([byte]): byte for byte in range(256)} | {b"la": 300, b"mp": 301, b"lamp": 302, b" lamp": 303}
    assert halves(b" lamp", part) == (b" ", b"lamp")


def test_the_embedded_tokens_are_enough_for_faster_whisper() -> None:
    vocabulary = read_vocabulary(51_864, embedded_checkpoint().tokens_path)
    tokenizer = tokenizer_of(vocabulary)
    for word in (" photo", " volume"):  # whole words, as the stock vocabulary has them, not bytes
        [number] = tokenizer.encode(word, add_special_tokens=False).ids
        assert tokenizer.decode([number]) == word
    assert tokenizer.encode(" ♪", add_special_tokens=False).ids  # faster-whisper suppresses what is no speech
    assert tokenizer.token_to_id("<|notimestamps|>") == vocabulary.specials["<|notimestamps|>"] == 50_362
    assert embedded_checkpoint().tokens_path.stat().st_size < 200_000


def test_the_embedded_tokens_belong_to_the_embedded_checkpoint() -> None:
    """After a new checkpoint: python -m lorgnette.cli.assistant.engines.embedded.make_tokens."""
    from lorgnette.cli.assistant.engines.embedded.make_tokens import used_tokens

    checkpoint = embedded_checkpoint()
    known = read_vocabulary(51_864, checkpoint.tokens_path)
    missing = set(used_tokens(checkpoint)) - set(known.ranks.values()) - set(known.specials.values())
    assert not missing


@needs_torch
def test_the_embedded_tokens_file_is_what_its_script_writes() -> None:
    from lorgnette.cli.assistant.engines.embedded.make_tokens import tokens_json

    checkpoint = embedded_checkpoint()
    assert checkpoint.tokens_path.read_text("utf-8") == tokens_json(checkpoint)


@pytest.mark.parametrize("content", ["", "[1]", '{"two words": 1}', '{"a": "b"}'])
def test_a_damaged_tokens_file_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(EngineError, match="tokens beside the Whisper weights are unreadable"):
        read_vocabulary(51_864, path)


def test_tokens_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text('{"a": 50256}', encoding="utf-8")
    with pytest.raises(EngineError, match="does not fit"):
        read_vocabulary(51_864, path)
