"""Read an openai-whisper `.pt` file without torch.

Knows the archive that `torch.save` writes: a zip with one pickle of the structure and one raw file for each tensor.
Knows nothing of Whisper's layers. The pickle may name only what such a file needs; nothing in it is ever executed.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .foreign import one_line
from .protocols import EngineError

# What damaged bytes make of the standard library beside its own error types: bad lengths, names and codes.
_DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(NotImplementedError, OverflowError, MemoryError, zlib.error),
)
MAX_PICKLE_BYTES = 64 << 20  # the structure of the largest Whisper is 0.3 MB
MAX_TENSOR_BYTES = 1 << 30  # its largest tensor, the embedding, is 0.27 GB in float32
MAX_TOTAL_BYTES = 8 << 30
_DIMS = (
    *("n_mels", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer"),
    *("n_vocab", "n_text_ctx", "n_text_state", "n_text_head", "n_text_layer"),
)

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class WhisperFile:
    """A checkpoint's content.

    Attributes:
        dims: whisper.model.ModelDimensions, by name.
        weights: arrays by the names of the state dictionary; float16 or float32.
    """

    dims: Mapping[str, int]
    weights: Mapping[str, Array]

    @property
    def multilingual(self) -> bool:
        return self.dims["n_vocab"] >= 51_865  # Whisper's own test


def read_checkpoint(path: Path) -> WhisperFile:
    """Read the file. Raises EngineError when it is unreadable, no checkpoint, or asks for more than plain arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = _Archive(archive).load()
        return _checked(content)
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, EOFError, *_DAMAGE) as error:
        raise EngineError(
            "stt", f"{path} is no readable Whisper checkpoint: {one_line(error)}", "lorgnette models list"
        ) from error


class _StorageType(NamedTuple):
    """What the pickle calls `torch.HalfStorage`."""

    dtype: str


class _Storage(NamedTuple):
    """One raw file of the archive, as a flat array."""

    data: Array


_STORAGES = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "BoolStorage": "|b1",
}


class _Archive:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        structures = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(structures) != 1:
            raise ValueError("not an archive of torch.save")
        self._structure = structures[0]
        self._folder = self._structure.removesuffix("data.pkl")
        self._storages: dict[str, _Storage] = {}
        self._total_bytes = 0

    def load(self) -> object:
        order = f"{self._folder}byteorder"
        if order in self._archive.namelist() and self._read(order, 16) != b"little":
            raise ValueError("the tensors are big-endian")
        return _Unpickler(self._read(self._structure, MAX_PICKLE_BYTES), self).load()

    def storage(self, kind: object, key: str, count: int) -> _Storage:
        if not isinstance(kind, _StorageType) or not isinstance(key, str):
            raise pickle.UnpicklingError("a tensor of an unknown type")
        if key not in self._storages:
            raw_dtype = "<u2" if kind.dtype == "bfloat16" else kind.dtype
            data = np.frombuffer(self._read(f"{self._folder}data/{key}", MAX_TENSOR_BYTES), raw_dtype)
            if data.size != count:
                raise ValueError(f"tensor {key} has {data.size} elements, not {count}")
            if kind.dtype == "bfloat16":  # the upper half of a float32
                data = (data.astype("<u4") << 16).view("<f4")
            self._storages[key] = _Storage(data)
        return self._storages[key]

    def _read(self, name: str, limit: int) -> bytes:
        """Read a member; its declared size is checked first, and zipfile never yields more than that."""
        size = self._archive.getinfo(name).file_size
        self._total_bytes += size
        if size > limit or self._total_bytes > MAX_TOTAL_BYTES:
            raise ValueError(f"{name} is larger than any Whisper's")
        return self._archive.read(name)


class _Unpickler(pickle.Unpickler):
    """Knows dictionaries, numbers, strings and tensors; every other name in the pickle is refused."""

    def __init__(self, pickled: bytes, archive: _Archive) -> None:
        super().__init__(io.BytesIO(pickled))
        self._archive = archive

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if module == "torch" and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no Whisper needs")

    def persistent_load(self, pid: Any) -> _Storage:
        tag, kind, key, _location, count = pid
        if tag != "storage":
            raise pickle.UnpicklingError("an unknown reference")
        return self._archive.storage(kind, key, count)


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, stride: Any, *_more: Any) -> Array:
    """torch._utils._rebuild_tensor_v2, within the bounds of the storage."""
    shape, stride = tuple(map(int, shape)), tuple(map(int, stride))
    if len(shape) != len(stride) or offset < 0 or min((*shape, *stride, 0)) < 0:
        raise ValueError("a tensor with an impossible shape")
    if 0 in shape:
        return np.empty(shape, storage.data.dtype)
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if last >= storage.data.size:
        raise ValueError("a tensor reaches beyond its data")
    if math.prod(shape) > storage.data.size:
        raise ValueError("a tensor with more elements than its data")
    flat = storage.data[offset : last + 1]
    strides = [step * flat.itemsize for step in stride]
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(flat, shape, strides, writeable=False)).reshape(shape)


def _rebuild_parameter(data: Array, *_more: Any) -> Array:
    return data


def _checked(content: object) -> WhisperFile:
    if not isinstance(content, dict) or not {"dims", "model_state_dict"} <= content.keys():
        raise ValueError("no 'dims' and 'model_state_dict'")
    dims, weights = content["dims"], content["model_state_dict"]
    if not isinstance(dims, dict) or not isinstance(weights, dict):
        raise ValueError("'dims' and 'model_state_dict' are no dictionaries")
    missing = [name for name in _DIMS if not isinstance(dims.get(name), int)]
    if missing:
        raise ValueError(f"no dimension {missing[0]}")
    for name, array in weights.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            raise ValueError(f"{name!r} is no weight")
    return WhisperFile({name: dims[name] for name in _DIMS}, weights)
