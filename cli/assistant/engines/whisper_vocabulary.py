"""Whisper's tokens, in the two forms that a CTranslate2 model folder needs: a list by id, and a `tokenizer.json`.

Knows byte-level BPE as GPT-2 and Whisper use it: a token is a string of bytes, its id is also the rank of the merge
that makes it, and the merges follow from the ranks. The stock vocabularies are read from openai-whisper's own files,
without importing it; a checkpoint that uses few tokens may bring just those.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .protocols import EngineError

# In Whisper's order, which gives each its id.
_LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)
LANGUAGES = tuple(_LANGUAGES.split())
_TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
_TIMESTAMPS = 1501  # 0.00 to 30.00 s
_ENGLISH_TOKENS, _MULTILINGUAL_TOKENS = 50_256, 50_257


def _byte_characters() -> tuple[str, ...]:
    """The character that stands for each byte: printable ones for themselves, the others moved up."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    moved = iter(range(0x100, 0x200))
    return tuple(chr(byte) if byte in printable else chr(next(moved)) for byte in range(256))


_CHARACTER_OF_BYTE = _byte_characters()
_BYTE_OF_CHARACTER = {character: byte for byte, character in enumerate(_CHARACTER_OF_BYTE)}


def written(token: bytes) -> str:
    """A token as tokenizer files write it: `Ġlamp` for b" lamp"."""
    return "".join(_CHARACTER_OF_BYTE[byte] for byte in token)


def unwritten(token: str) -> bytes:
    """The inverse of `written`. Raises ValueError."""
    try:
        return bytes(_BYTE_OF_CHARACTER[character] for character in token)
    except KeyError as error:
        raise ValueError(f"{token!r} is no byte-level token") from error


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of one checkpoint.

    Attributes:
        ranks: id of each text token; not every id below the special ones need be there.
        specials: id of each special token, such as "<|startoftranscript|>".
        size: number of ids.
    """

    ranks: Mapping[bytes, int]
    specials: Mapping[str, int]
    size: int

    @property
    def languages(self) -> list[int]:
        """Ids of the language tokens."""
        return [self.specials[f"<|{code}|>"] for code in LANGUAGES if f"<|{code}|>" in self.specials]

    def listed(self) -> list[str]:
        """Every id's token, in order; an id without one gets a name of its own."""
        tokens = [f"<|unused-{number}|>" for number in range(self.size)]
        for token, number in self.ranks.items():
            tokens[number] = written(token)
        for special, number in self.specials.items():
            tokens[number] = special
        return tokens

    def tokenizer_json(self) -> dict[str, Any]:
        """The file that the `tokenizers` package reads."""
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        vocabulary = {written(token): number for token, number in self.ranks.items()} | dict(self.specials)
        named = {name: number for name, number in self.specials.items() if not _is_timestamp(name)}
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": number, "content": name, **flags} for name, number in named.items()],
            "normalizer": None,
            "pre_tokenizer": byte_level,
            "post_processor": None,
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": "",
                "end_of_word_suffix": "",
                "fuse_unk": False,
                "byte_fallback": False,
                "vocab": vocabulary,
                "merges": [[written(left), written(right)] for left, right in merges(self.ranks)],
            },
        }


def read_vocabulary(size: int, tokens_path: Path | None = None) -> Vocabulary:
    """The vocabulary of a checkpoint with `size` ids.

    Args:
        tokens_path: the checkpoint's own tokens, `{"Ġlamp": 20450, ...}`; without it, openai-whisper's files are read.

    Raises:
        EngineError: neither is there, or the size is no Whisper's.
    """
    multilingual = size > _ENGLISH_TOKENS + 1608
    first_special = _MULTILINGUAL_TOKENS if multilingual else _ENGLISH_TOKENS
    languages = size - first_special - 2 - len(_TASKS) - _TIMESTAMPS
    if not 99 <= languages <= len(LANGUAGES):
        raise EngineError("stt", f"a vocabulary of {size} tokens is no Whisper's")
    if tokens_path is not None:
        ranks = _read_tokens(tokens_path)
    else:
        ranks = _read_ranks("multilingual" if multilingual else "gpt2")
    if any(not 0 <= number < first_special for number in ranks.values()):
        raise EngineError("stt", f"the vocabulary of {tokens_path or 'openai-whisper'} does not fit this checkpoint")
    return Vocabulary(ranks, _specials(first_special, languages), size)


def _specials(first: int, languages: int) -> dict[str, int]:
    names = ["endoftext", "startoftranscript", *LANGUAGES[:languages], *_TASKS]
    names += [f"{step * 0.02:.2f}" for step in range(_TIMESTAMPS)]
    return {f"<|{name}|>": first + number for number, name in enumerate(names)}


def _is_timestamp(special: str) -> bool:
    return special[2].isdigit()


def _read_ranks(name: str) -> dict[bytes, int]:
    """One of openai-whisper's `.tiktoken` files: lines of a base64 token and its rank."""
    spec = find_spec("whisper")  # finds the folder; runs nothing of the package, which would import torch
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        path = Path(folder) / "assets" / f"{name}.tiktoken"
        if path.is_file():
            lines = path.read_text("ascii").split()
            tokens = map(base64.b64decode, lines[::2])
            return dict(zip(tokens, map(int, lines[1::2]), strict=True))
    raise EngineError(
        "stt",
        "this Whisper model needs the vocabulary that openai-whisper ships, which is not installed",
        "python -m pip install --no-deps openai-whisper   (its files are read; torch is not needed)",
    )


def _read_tokens(path: Path) -> dict[bytes, int]:
    try:
        return {unwritten(token): int(number) for token, number in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise EngineError("stt", f"the tokens beside the Whisper weights are unreadable: {path}: {error}") from error


def merges(ranks: Mapping[bytes, int]) -> list[tuple[bytes, bytes]]:
    """The merges that the ranks stand for, first to last."""
    found = (halves(token, ranks) for token in sorted(ranks, key=ranks.__getitem__) if len(token) > 1)
    return [pair for pair in found if pair is not None]


def halves(token: bytes, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes] | None:
    """The two tokens whose merge is `token`: what all merges of a lower rank leave of its bytes."""
    limit = ranks[token]
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(left + right, limit) for left, right in itertools.pairwise(parts)]
        best = min(pairs)
        if best >= limit:
            return None
        at = pairs.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


def closure(ids: Iterable[int], ranks: Mapping[bytes, int]) -> dict[bytes, int]:
    """The part of a vocabulary that holds these ids, every token on the way to them, and each single byte."""
    by_id = {number: token for token, number in ranks.items()}
    wanted = [by_id[number] for number in ids if number in by_id] + [token for token in ranks if len(token) == 1]
    found: dict[bytes, int] = {}
    while wanted:
        token = wanted.pop()
        if token in found:
            continue
        found[token] = ranks[token]
        if len(token) > 1 and (pair := halves(token, ranks)) is not None:
            wanted.extend(pair)
    return dict(sorted(found.items(), key=lambda item: item[1]))
