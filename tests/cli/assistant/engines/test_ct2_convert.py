"""The conversion's cache, and the conversion itself where nothing of torch or whisper can be imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.stand_ins import canned_dims, canned_weights, write_canned_checkpoint, write_checkpoint

pytest.importorskip("ctranslate2", reason="faster-whisper is not installed")

from lorgnette.cli.assistant.engines.checkpoint import Checkpoint, embedded_checkpoint, open_checkpoint
from lorgnette.cli.assistant.engines.ct2_convert import conversions_folder, converted, forget
from lorgnette.cli.assistant.engines.protocols import EngineError
from lorgnette.cli.assistant.understanding import normalize


@pytest.fixture
def canned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    monkeypatch.setenv("LORGNETTE_CACHE_DIR", str(tmp_path / "cache"))
    path = write_canned_checkpoint(tmp_path / "base.en.pt", [100, 200])
    shutil.copy(embedded_checkpoint().tokens_path, tmp_path / "base.en-tokens.json")
    return open_checkpoint(path, "base.en")


def test_a_checkpoint_is_converted_once(canned: Checkpoint) -> None:
    folder = converted(canned)
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.bin",
        "preprocessor_config.json",
        "tokenizer.json",
        "vocabulary.json",
    }
    written_at = (folder / "model.bin").stat().st_mtime_ns
    assert converted(canned) == folder
    assert (folder / "model.bin").stat().st_mtime_ns == written_at
    assert [path.name for path in conversions_folder().iterdir()] == [folder.name]  # no temporary folder is left


def test_other_weights_under_the_same_name_are_converted_anew(canned: Checkpoint) -> None:
    first = converted(canned)
    write_canned_checkpoint(canned.path, [100, 201])
    assert converted(canned) != first


def test_a_crash_leaves_nothing_that_looks_finished(canned: Checkpoint) -> None:
    canned.tokens_path.write_text("{", encoding="utf-8")
    with pytest.raises(EngineError):
        converted(canned)
    assert list(conversions_folder().iterdir()) == []


def test_a_conversion_can_be_forgotten(canned: Checkpoint) -> None:
    folder = converted(canned)
    forget("base")  # another model, whose name is the beginning of this one's
    assert folder.is_dir()
    forget("base.en")
    assert not folder.exists()


def test_weights_of_another_network_are_refused(canned: Checkpoint) -> None:
    weights = canned_weights([100])
    del weights["encoder.blocks.0.attn.query.weight"]
    write_checkpoint(canned.path, canned_dims(), weights)
    with pytest.raises(EngineError, match="does not have the layers of a Whisper"):
        converted(canned)


def test_a_cache_that_cannot_be_written_is_said(canned: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_way = canned.path.parent / "file"
    in_the_way.touch()
    monkeypatch.setenv("LORGNETTE_CACHE_DIR", str(in_the_way))
    with pytest.raises(EngineError, match=r"base\.en cannot be converted"):
        converted(canned)


def test_float32_weights_stay_float32(canned: Checkpoint) -> None:
    half = converted(canned).joinpath("model.bin").stat().st_size
    write_checkpoint(canned.path, canned_dims(), canned_weights([100, 200], dtype="<f4"))
    whole = converted(canned).joinpath("model.bin").stat().st_size
    assert whole > 1.9 * half


BLOCKED = """
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "whisper", "tiktoken", "transformers"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import pathlib
import socket

def no_network(*arguments, **named):
    raise AssertionError("a model hub was asked")

socket.socket.connect = no_network
socket.getaddrinfo = no_network
from lorgnette.cli.assistant.engines.checkpoint import embedded_checkpoint
from lorgnette.cli.assistant.engines.choose import choose_stt_engine
from lorgnette.cli.assistant.engines.faster_whisper_engine import FasterWhisperEngine
assert choose_stt_engine("auto") == "faster-whisper"
transcript = FasterWhisperEngine(embedded_checkpoint()).transcribe(pathlib.Path(sys.argv[1]).read_bytes())
assert not {"torch", "whisper"} & sys.modules.keys()
print(transcript.text, transcript.accepted)
"""


def test_the_embedded_recogniser_needs_neither_torch_nor_whisper_nor_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from .conftest import spoken

    monkeypatch.setenv("LORGNETTE_CACHE_DIR", str(tmp_path / "cache"))  # nothing converted before
    clip = tmp_path / "clip.raw"
    clip.write_bytes(spoken("Take a photo."))
    command = [sys.executable, "-W", "error", "-c", BLOCKED, str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert normalize(done.stdout) == "take a photo true"


def test_the_stand_in_has_the_shape_of_a_whisper() -> None:
    weights = canned_weights([100])
    assert weights["decoder.token_embedding.weight"].shape == (51_864, 32)
    assert all(weight.dtype == np.float16 for weight in weights.values())
