"""The models that can be downloaded, and the folder where they lie once they are.

Knows names, addresses, sizes, checksums and licences as published. Downloads nothing (download.py) and loads nothing.

openai-whisper carries the sum of each file in its address; those of the voices are the hub's object ids, as many
projects pin them. A file whose sum is not known has an empty one, and its download says "not verified".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .protocols import EngineError

DATA_VARIABLE = "LORGNETTE_DATA_DIR"
CACHE_VARIABLE = "LORGNETTE_CACHE_DIR"

_WHISPER = "https://openaipublic.azureedge.net/main/whisper/models"
_PIPER = "https://huggingface.co/rhasspy/piper-voices/resolve/v1.0.0"

ModelKind = Literal["whisper", "piper"]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a model.

    Attributes:
        name: the file's name in its folder.
        url: where it comes from.
        size_bytes: its exact size; 0 when unknown.
        sha256: 64 hexadecimal digits; "" when unknown.
    """

    name: str
    url: str
    size_bytes: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """One downloadable model.

    Attributes:
        name: as the user types it.
        kind: "whisper" hears, "piper" speaks.
        language: code of the only language, "" when there are many.
        licence: of the weights; for a voice also what its MODEL_CARD says of the recordings it was made from.
        files: all are needed.
    """

    name: str
    kind: ModelKind
    language: str
    licence: str
    files: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def verified(self) -> bool:
        """Whether every file has a published checksum."""
        return all(file.sha256 for file in self.files)


def _whisper(name: str, size_bytes: int, sha256: str) -> Model:
    file = RemoteFile(f"{name}.pt", f"{_WHISPER}/{sha256}/{name}.pt", size_bytes, sha256)
    return Model(name, "whisper", "en" if name.endswith(".en") else "", "MIT", (file,))


def _piper(name: str, licence: str, onnx: tuple[int, str], config: tuple[int, str]) -> Model:
    locale, voice, quality = name.split("-")
    language = locale.partition("_")[0]
    base = f"{_PIPER}/{language}/{locale}/{voice}/{quality}/{name}.onnx"
    files = (RemoteFile(f"{name}.onnx", base, *onnx), RemoteFile(f"{name}.onnx.json", f"{base}.json", *config))
    return Model(name, "piper", language, licence, files)


# Of each kind, the one to recommend stands first.
_MODELS = (
    _whisper("base.en", 145_261_783, "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead"),
    _whisper("small.en", 483_615_683, "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872"),
    _whisper("tiny.en", 75_571_315, "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03"),
    _whisper("base", 145_262_807, "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e"),
    _whisper("small", 483_617_219, "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794"),
    _whisper("tiny", 75_572_083, "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9"),
    _piper(
        "en_US-ljspeech-medium",
        "MIT; recordings in the public domain (LJ Speech)",
        (63_531_379, "6f52a751e2349abe7a76735eb09dc1875298c77ea2342ffd2fef79ff81b87f22"),
        (4_972, "141d612cc0a95ed7efc1ca936b845c2364967f2e9217c5dbfcf69fc4d6c65860"),
    ),
    _piper(
        "en_US-lessac-medium",
        "MIT; recordings for research only (Blizzard 2013)",
        (63_201_294, "5efe09e69902187827af646e1a6e9d269dee769f9877d17b16b1b46eeaaf019f"),
        (4_885, "efe19c417bed055f2d69908248c6ba650fa135bc868b0e6abb3da181dab690a0"),
    ),
    _piper(
        "en_GB-alan-medium",
        "MIT; recordings: see MODEL_CARD; fine-tuned from lessac (research only)",
        (63_201_294, "0a309668932205e762801f1efc2736cd4b0120329622adf62be09e56339d3330"),
        (0, "c0f0d124e5895c00e7c03b35dcc8287f319a6998a365b182deb5c8e752ee8c1e"),
    ),
    _piper(
        "zh_CN-huayan-medium",
        "MIT; recordings: licence unknown, says MODEL_CARD",
        (63_201_294, "9929917bf8cabb26fd528ea44d3a6699c11e87317a14765312420be230be0f3d"),
        (4_822, "d521dc45504a8ccc99e325822b35946dd701840bfb07e3dbb31a40929ed6a82b"),
    ),
)
MODELS: Mapping[str, Model] = {model.name: model for model in _MODELS}


def of_kind(kind: ModelKind) -> Iterator[Model]:
    """The models of one kind, the recommended one first."""
    return (model for model in _MODELS if model.kind == kind)


def models_folder() -> Path:
    """Where downloaded models lie: `LORGNETTE_DATA_DIR`, or the user's data folder, plus "models"."""
    return _folder(DATA_VARIABLE, "user_data_path") / "models"


def cache_folder() -> Path:
    """Where files lie that can be made again: `LORGNETTE_CACHE_DIR`, or the user's cache folder."""
    return _folder(CACHE_VARIABLE, "user_cache_path")


def _folder(variable: str, platformdirs_name: str) -> Path:
    if named := os.environ.get(variable):
        return Path(named).expanduser().absolute()
    import platformdirs

    path: Path = getattr(platformdirs, platformdirs_name)("lorgnette", appauthor=False)
    return path


def local_paths(model: Model) -> tuple[Path, ...]:
    """Where the model's files lie or would lie; the first is the one that an engine opens."""
    folder = models_folder() / model.kind
    return tuple(folder / file.name for file in model.files)


def is_present(model: Model) -> bool:
    """Whether every file is there. An interrupted download has another name, so it does not count."""
    return all(path.is_file() for path in local_paths(model))


def find_model(name: str, stage: str = "stt") -> Model:
    """The model of that name. Raises EngineError with the nearest name; `stage` is the engine that wanted it."""
    if name in MODELS:
        return MODELS[name]
    from difflib import get_close_matches

    close = get_close_matches(name, MODELS, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}? " if close else ""
    raise EngineError(stage, f"there is no model {name!r} in the catalog", f"{hint}'lorgnette models list' shows all")
