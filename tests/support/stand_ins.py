"""Stand-ins for weights that a repository cannot hold: a Whisper that says one sentence, a voice that plays tones.

Both go through the real engines' real code. The checkpoint is written byte by byte as `torch.save` writes one, the
voice as ONNX writes one, so neither torch nor onnx is needed to make them.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

ENGLISH_IDS, MULTILINGUAL_IDS = 51_864, 51_865
TONE_RATE_HZ = 22_050
TONE_SAMPLES = 1_102  # 50 ms for each phoneme id
TONE_BASE_HZ, TONE_STEP_HZ = 200.0, 15.0
_STATE = 32  # the stand-in's width
_SHARPNESS = 40.0  # gain of the last layer norm: the chosen token gets nearly all probability

Array = NDArray[Any]


# ---------------------------------------------------------------- a Whisper that always says the same
def canned_weights(tokens: Sequence[int], ids: int = ENGLISH_IDS, dtype: str = "<f2") -> dict[str, Array]:
    """Weights of a Whisper of tiny dimensions in which the position alone decides the next token.

    Args:
        tokens: ids of the text that it will say, whatever it hears.
        ids: size of the vocabulary, which also says whether it is multilingual.
    """
    end = ids - 1608  # <|endoftext|>; 99 languages, 8 more special tokens and 1501 timestamps end the vocabulary
    prompt = 2 if ids == ENGLISH_IDS else 4  # <|startoftranscript|> [<|en|> <|transcribe|>] <|notimestamps|>
    rng = np.random.default_rng(0)
    embedding = rng.standard_normal((ids, _STATE)).astype(np.float32)
    embedding -= embedding.mean(1, keepdims=True)  # a layer norm keeps the direction of a row without a mean
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    positions = np.repeat(embedding[end : end + 1] * 4, 448, axis=0)
    positions[: prompt - 1] = embedding[tokens[0]] * 4  # nothing there that looks like <|nospeech|>
    for number, token in enumerate(tokens):
        positions[prompt - 1 + number] = embedding[token] * 4

    def zeros(*shape: int) -> Array:
        return np.zeros(shape, np.float32)

    weights = {
        "encoder.positional_embedding": zeros(1500, _STATE),
        "encoder.conv1.weight": zeros(_STATE, 80, 3),
        "encoder.conv1.bias": zeros(_STATE),
        "encoder.conv2.weight": zeros(_STATE, _STATE, 3),
        "encoder.conv2.bias": zeros(_STATE),
        "encoder.ln_post.weight": zeros(_STATE) + 1,
        "encoder.ln_post.bias": zeros(_STATE),
        "decoder.token_embedding.weight": embedding * 0.2,  # small beside the positions
        "decoder.positional_embedding": positions,
        "decoder.ln.weight": zeros(_STATE) + _SHARPNESS,
        "decoder.ln.bias": zeros(_STATE),
    }
    for block, attentions in {"encoder.blocks.0": ["attn"], "decoder.blocks.0": ["attn", "cross_attn"]}.items():
        for attention in attentions:
            for part in ("query", "key", "value", "out"):
                weights[f"{block}.{attention}.{part}.weight"] = zeros(_STATE, _STATE)
                if part != "key":
                    weights[f"{block}.{attention}.{part}.bias"] = zeros(_STATE)
        for norm in [f"{attention}_ln" for attention in attentions] + ["mlp_ln"]:
            weights[f"{block}.{norm}.weight"] = zeros(_STATE) + 1
            weights[f"{block}.{norm}.bias"] = zeros(_STATE)
        weights[f"{block}.mlp.0.weight"], weights[f"{block}.mlp.0.bias"] = zeros(4 * _STATE, _STATE), zeros(4 * _STATE)
        weights[f"{block}.mlp.2.weight"], weights[f"{block}.mlp.2.bias"] = zeros(_STATE, 4 * _STATE), zeros(_STATE)
    return {name: weight.astype(dtype) for name, weight in weights.items()}


def canned_dims(ids: int = ENGLISH_IDS) -> dict[str, int]:
    """The dimensions that belong to `canned_weights`."""
    return {
        "n_mels": 80,
        "n_audio_ctx": 1500,
        "n_audio_state": _STATE,
        "n_audio_head": 1,
        "n_audio_layer": 1,
        "n_vocab": ids,
        "n_text_ctx": 448,
        "n_text_state": _STATE,
        "n_text_head": 1,
        "n_text_layer": 1,
    }


def write_canned_checkpoint(path: Path, tokens: Sequence[int], ids: int = ENGLISH_IDS) -> Path:
    """Write a stand-in checkpoint."""
    return write_checkpoint(path, canned_dims(ids), canned_weights(tokens, ids))


def write_checkpoint(
    path: Path, dims: Mapping[str, int], weights: Mapping[str, Array], compression: int = zipfile.ZIP_STORED
) -> Path:
    """Write `{"dims": ..., "model_state_dict": ...}` as `torch.save` does."""
    structure = Pickled()
    structure.begin_dict()
    structure.text("dims")
    structure.begin_dict()
    for name, number in dims.items():
        structure.text(name)
        structure.integer(number)
    structure.end_dict()
    structure.text("model_state_dict")
    structure.begin_dict()
    for key, (name, weight) in enumerate(weights.items()):
        structure.text(name)
        structure.tensor(str(key), weight)
    structure.end_dict()
    structure.end_dict()
    return write_archive(path, structure.done(), {str(key): w for key, w in enumerate(weights.values())}, compression)


def write_archive(
    path: Path, structure: bytes, tensors: Mapping[str, Array], compression: int = zipfile.ZIP_STORED
) -> Path:
    """Write the zip file around a pickled structure."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", structure)
        archive.writestr("archive/byteorder", "little")
        for key, tensor in tensors.items():
            archive.writestr(f"archive/data/{key}", tensor.tobytes())
        archive.writestr("archive/version", "3\n")
    return path


class Pickled:
    """Writes pickle opcodes, so that names such as `torch.HalfStorage` need no torch to be written."""

    _STORAGES: ClassVar = {
        "<f2": "HalfStorage",
        "<f4": "FloatStorage",
        "<f8": "DoubleStorage",
        "<u2": "BFloat16Storage",
    }

    def __init__(self) -> None:
        self._out = bytearray(b"\x80\x02")

    def text(self, text: str) -> None:
        encoded = text.encode()
        self._out += b"X" + struct.pack("<I", len(encoded)) + encoded

    def integer(self, number: int) -> None:
        self._out += b"J" + struct.pack("<i", number)

    def integers(self, numbers: Sequence[int]) -> None:
        self._out += b"("
        for number in numbers:
            self.integer(number)
        self._out += b"t"

    def name(self, module: str, name: str) -> None:
        self._out += f"c{module}\n{name}\n".encode()

    def begin_dict(self) -> None:
        self._out += b"}("

    def end_dict(self) -> None:
        self._out += b"u"

    def call(self, module: str, name: str, argument: str) -> None:
        """`module.name(argument)`, as a hostile file would have it."""
        self.name(module, name)
        self._out += b"("
        self.text(argument)
        self._out += b"tR"

    def tensor(
        self,
        key: str,
        array: Array,
        *,
        offset: int = 0,
        shape: Sequence[int] | None = None,
        stride: Sequence[int] | None = None,
        count: int | None = None,
    ) -> None:
        """A reference to the raw file `key`; the keyword arguments lie about it."""
        dims = array.shape if shape is None else shape
        steps = [step // array.itemsize for step in array.strides] if stride is None else stride
        self.name("torch._utils", "_rebuild_tensor_v2")
        self._out += b"(("
        self.text("storage")
        self.name("torch", self._STORAGES[array.dtype.str])
        self.text(key)
        self.text("cpu")
        self.integer(array.size if count is None else count)
        self._out += b"tQ"
        self.integer(offset)
        self.integers(dims)
        self.integers(steps)
        self._out += b"\x89"  # requires_grad
        self.name("collections", "OrderedDict")
        self._out += b")RtR"

    def done(self) -> bytes:
        return bytes(self._out + b".")


# ---------------------------------------------------------------- a Piper voice that plays tones
def write_tone_voice(path: Path, sample_rate_hz: int = TONE_RATE_HZ, phoneme_type: str = "espeak") -> Path:
    """Write a voice that plays one tone of 50 ms for each phoneme id, and its configuration."""
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    path.write_bytes(_tone_graph())
    config = {
        "audio": {"sample_rate": sample_rate_hz},
        "espeak": {"voice": "en-us"},
        "phoneme_type": phoneme_type,
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "num_symbols": 256,
        "num_speakers": 1,
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(config), encoding="utf-8")
    return path


def tone_ids(pcm: bytes, rate_hz: int = 16_000) -> list[int]:
    """Read the phoneme ids back out of what the voice played."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    length = TONE_SAMPLES * rate_hz / TONE_RATE_HZ
    times = np.arange(round(length)) / rate_hz
    frequencies = TONE_BASE_HZ + TONE_STEP_HZ * np.arange(256)
    probes = np.exp(-2j * np.pi * np.outer(frequencies, times)) * np.sin(np.pi * np.arange(times.size) / times.size)
    ids = []
    for number in range(round(samples.size / length)):
        start = round(number * length)
        tone = samples[start : start + times.size]
        ids.append(int(np.argmax(np.abs(probes[:, : tone.size] @ tone))))
    return ids


def _tone_graph() -> bytes:
    """The ONNX model: input, input_lengths, scales -> output, as in every Piper voice."""
    f, i = np.float32, np.int64
    constants = {
        "N": f(TONE_SAMPLES),
        "base": f(TONE_BASE_HZ),
        "step": f(TONE_STEP_HZ),
        "radians": f(2 * np.pi / TONE_RATE_HZ),
        "loudness": f(0.3),
        "pi": f(np.pi),
        "none": f(0),
        "zero": i(0),
        "one": i(1),
        "last_axis": np.array([2], i),
        "flat": np.array([0, 1, -1], i),
    }
    nodes = [
        _node("Gather", ["scales", "one"], "length_scale"),
        _node("Mul", ["length_scale", "N"], "length"),
        _node("Cast", ["length"], "whole_length", to=7),
        _node("Range", ["zero", "whole_length", "one"], "index"),
        _node("Cast", ["index"], "t", to=1),
        _node("Cast", ["input"], "ids", to=1),
        _node("Mul", ["ids", "step"], "steps"),
        _node("Add", ["steps", "base"], "hertz"),
        _node("Mul", ["hertz", "radians"], "w"),
        _node("Unsqueeze", ["w", "last_axis"], "w3"),
        _node("Mul", ["w3", "t"], "phase"),
        _node("Sin", ["phase"], "tone"),
        _node("Div", ["t", "length"], "progress"),
        _node("Mul", ["progress", "pi"], "arc"),
        _node("Sin", ["arc"], "window"),
        _node("Mul", ["tone", "window"], "shaped"),
        _node("Mul", ["shaped", "loudness"], "quiet"),
        _node("Reshape", ["quiet", "flat"], "joined"),
        # As in a real voice every input is used.
        _node("Cast", ["input_lengths"], "lengths", to=1),
        _node("ReduceMax", ["lengths"], "longest", keepdims=0),
        _node("Mul", ["longest", "none"], "nothing"),
        _node("Add", ["joined", "nothing"], "output"),
    ]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"tones")
    graph += b"".join(_field(5, _constant(name, np.asarray(value))) for name, value in constants.items())
    graph += _field(11, _value("input", 7, ["b", "t"])) + _field(11, _value("input_lengths", 7, ["b"]))
    graph += _field(11, _value("scales", 1, [3])) + _field(12, _value("output", 1, ["b", 1, "n"]))
    return _number(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _number(2, 15))  # ir_version 8, opset 15


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: int) -> bytes:
    named = (
        b"".join(_field(1, name.encode()) for name in inputs) + _field(2, output.encode()) + _field(4, kind.encode())
    )
    for name, value in attributes.items():
        named += _field(5, _field(1, name.encode()) + _number(3, value) + _number(20, 2))  # an INT
    return named


def _constant(name: str, value: Array) -> bytes:
    kind = 1 if value.dtype == np.float32 else 7
    dims = b"".join(_number(1, length) for length in value.shape)
    return dims + _number(2, kind) + _field(8, name.encode()) + _field(9, value.tobytes())


def _value(name: str, kind: int, shape: Sequence[str | int]) -> bytes:
    dims = b""
    for length in shape:
        dims += _field(1, _number(1, length) if isinstance(length, int) else _field(2, length.encode()))
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, kind) + _field(2, dims)))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    """A varint protobuf field."""
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))
