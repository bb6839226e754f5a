"""From an openai-whisper `.pt` file to the model folder that faster-whisper loads, without torch.

Knows CTranslate2's layout of a Whisper. The folder lies in the cache, named by the checkpoint's checksum, so one `.pt`
serves both engines and is converted once. A half-written folder never gets its final name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .catalog import cache_folder
from .checkpoint import Checkpoint
from .foreign import one_line
from .protocols import EngineError
from .pt_reader import Array, WhisperFile, read_checkpoint
from .whisper_vocabulary import Vocabulary, read_vocabulary

LAYOUT = 1  # raise it when a folder written by an older version of this file is no longer right
_BLANK = b" "


def converted(checkpoint: Checkpoint) -> Path:
    """The model folder of a checkpoint, made now if it is not in the cache. Raises EngineError."""
    try:
        folder = conversions_folder() / f"{checkpoint.name}-{_fingerprint(checkpoint)}"
        if folder.is_dir():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent, ignore_cleanup_errors=True) as name:
            made = Path(name) / "model"
            made.mkdir()
            convert(checkpoint, made)
            # Another process may have been faster: then its folder, which has the same content, is taken.
            with contextlib.suppress(OSError):
                made.rename(folder)
        if not folder.is_dir():
            raise OSError(f"the converted model cannot be moved to {folder}")
    except OSError as error:
        raise EngineError(
            "stt", f"the Whisper model {checkpoint.name} cannot be converted: {one_line(error)}"
        ) from error
    return folder


def conversions_folder() -> Path:
    return cache_folder() / "whisper-ct2"


def forget(name: str) -> None:
    """Remove the converted copies of a checkpoint."""
    for folder in conversions_folder().glob(f"{name}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def convert(checkpoint: Checkpoint, folder: Path) -> None:
    """Write model.bin, config.json, vocabulary.json, tokenizer.json and preprocessor_config.json into `folder`."""
    content = read_checkpoint(checkpoint.path)
    tokens = checkpoint.tokens_path if checkpoint.tokens_path.is_file() else None
    vocabulary = read_vocabulary(content.dims["n_vocab"], tokens)
    try:
        spec = _spec(content)
        _configure(spec, content, vocabulary)
        spec.validate()
        spec.optimize()
        spec.save(str(folder))
    except (KeyError, ValueError, AttributeError) as error:
        raise EngineError(
            "stt", f"{checkpoint.path} does not have the layers of a Whisper: {one_line(error)}"
        ) from error
    _write(folder / "tokenizer.json", vocabulary.tokenizer_json())
    _write(folder / "preprocessor_config.json", {"feature_size": content.dims["n_mels"]})


def _fingerprint(checkpoint: Checkpoint) -> str:
    digest = hashlib.sha256(b"%d" % LAYOUT)
    for path in (checkpoint.path, checkpoint.tokens_path):
        if path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _spec(content: WhisperFile) -> Any:
    """Lay the weights out as CTranslate2 wants them."""
    from ctranslate2.specs.whisper_spec import WhisperSpec

    dims, weights = content.dims, content.weights
    spec = WhisperSpec(dims["n_audio_layer"], dims["n_audio_head"], dims["n_text_layer"], dims["n_text_head"])
    encoder, decoder = spec.encoder, spec.decoder
    for conv in ("conv1", "conv2"):
        _linear(getattr(encoder, conv), weights, f"encoder.{conv}")
    encoder.position_encodings.encodings = weights["encoder.positional_embedding"]
    _norm(encoder.layer_norm, weights, "encoder.ln_post")
    for number, layer in enumerate(encoder.layer):
        _block(layer, weights, f"encoder.blocks.{number}")
    decoder.embeddings.weight = weights["decoder.token_embedding.weight"]
    decoder.projection.weight = weights["decoder.token_embedding.weight"]  # Whisper ties the two
    decoder.position_encodings.encodings = weights["decoder.positional_embedding"]
    _norm(decoder.layer_norm, weights, "decoder.ln")
    for number, layer in enumerate(decoder.layer):
        name = f"decoder.blocks.{number}"
        _block(layer, weights, name)
        cross = layer.attention
        _norm(cross.layer_norm, weights, f"{name}.cross_attn_ln")
        _fused(cross.linear[0], weights, [f"{name}.cross_attn.query"])
        _fused(cross.linear[1], weights, [f"{name}.cross_attn.key", f"{name}.cross_attn.value"])
        _linear(cross.linear[2], weights, f"{name}.cross_attn.out")
    return spec


def _block(layer: Any, weights: Mapping[str, Array], name: str) -> None:
    """Self-attention and feed-forward, alike in encoder and decoder."""
    attention = layer.self_attention
    _norm(attention.layer_norm, weights, f"{name}.attn_ln")
    _fused(attention.linear[0], weights, [f"{name}.attn.{part}" for part in ("query", "key", "value")])
    _linear(attention.linear[1], weights, f"{name}.attn.out")
    _norm(layer.ffn.layer_norm, weights, f"{name}.mlp_ln")
    _linear(layer.ffn.linear_0, weights, f"{name}.mlp.0")
    _linear(layer.ffn.linear_1, weights, f"{name}.mlp.2")


def _norm(spec: Any, weights: Mapping[str, Array], name: str) -> None:
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _linear(spec: Any, weights: Mapping[str, Array], name: str) -> None:
    spec.weight, spec.bias = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _fused(spec: Any, weights: Mapping[str, Array], names: list[str]) -> None:
    """Several projections of the same input as one. Whisper's keys have no bias, so theirs is zero."""
    parts = [weights[f"{name}.weight"] for name in names]
    spec.weight = np.concatenate(parts)
    biases = [
        weights.get(f"{name}.bias", np.zeros(len(part), part.dtype)) for name, part in zip(names, parts, strict=True)
    ]
    spec.bias = np.concatenate(biases)


def _configure(spec: Any, content: WhisperFile, vocabulary: Vocabulary) -> None:
    """What CTranslate2 must know of the tokens. faster-whisper gives the suppressed ones with each call."""
    end = vocabulary.specials["<|endoftext|>"]
    spec.register_vocabulary(vocabulary.listed())
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [vocabulary.ranks[_BLANK], end]
    spec.config.lang_ids = vocabulary.languages
    layers, heads = content.dims["n_text_layer"], content.dims["n_text_head"]
    spec.config.alignment_heads = [[layer, head] for layer in range(layers // 2, layers) for head in range(heads)]
