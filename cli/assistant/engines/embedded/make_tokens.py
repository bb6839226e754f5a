"""Write the part of Whisper's vocabulary that the embedded checkpoint uses: run it after a new checkpoint was made.

    python -m lorgnette.cli.assistant.engines.embedded.make_tokens

A closed-domain checkpoint has trained a few hundred rows of its token embedding; all others are the same one row. The
file lets the checkpoint run where openai-whisper and its vocabulary are not installed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..checkpoint import Checkpoint, embedded_checkpoint
from ..pt_reader import read_checkpoint
from ..whisper_vocabulary import closure, read_vocabulary, written


def used_tokens(checkpoint: Checkpoint) -> list[int]:
    """The ids whose embedding differs from the row that the unused ones share."""
    embedding = read_checkpoint(checkpoint.path).weights["decoder.token_embedding.weight"]
    rows, which, counts = np.unique(embedding, axis=0, return_inverse=True, return_counts=True)
    shared = int(np.argmax(counts))
    if len(rows) < 2 or counts[shared] < 2:
        raise ValueError(f"{checkpoint.path} has no unused tokens")
    return [int(number) for number in np.nonzero(which.reshape(-1) != shared)[0]]


def tokens_json(checkpoint: Checkpoint) -> str:
    """The content of the checkpoint's tokens file."""
    size = len(read_checkpoint(checkpoint.path).weights["decoder.token_embedding.weight"])
    tokens = closure(used_tokens(checkpoint), read_vocabulary(size).ranks)
    lines = [f"{json.dumps(written(token))}: {number}" for token, number in tokens.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    checkpoint = embedded_checkpoint()
    path: Path = checkpoint.tokens_path
    path.write_text(tokens_json(checkpoint), encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
