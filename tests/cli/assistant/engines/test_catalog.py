"""The registry of models and where they lie."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lorgnette.cli.assistant.engines.catalog import (
    MODELS,
    cache_folder,
    find_model,
    is_present,
    local_paths,
    models_folder,
    of_kind,
)
from lorgnette.cli.assistant.engines.protocols import EngineError

from .conftest import needs_torch


@needs_torch
def test_the_whisper_weights_are_those_of_the_installed_package() -> None:
    import whisper

    for model in of_kind("whisper"):
        [file] = model.files
        assert file.url == whisper._MODELS[model.name]
        assert file.sha256 == file.url.split("/")[-2]


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_every_entry_is_complete(model) -> None:  # type: ignore[no-untyped-def]
    assert model.licence
    assert model.files[0].name == f"{model.name}.{'pt' if model.kind == 'whisper' else 'onnx'}"
    if model.kind == "whisper":
        assert model.language == ("en" if model.name.endswith(".en") else "")
    else:
        assert model.language in ("en", "zh")
        assert model.name.startswith(f"{model.language}_")
        assert f"/{model.language}/{model.name.partition('-')[0]}/" in model.files[0].url
    for file in model.files:
        assert urlsplit(file.url).scheme == "https"
        assert file.url.endswith(f"/{file.name}")
        assert file.sha256 == "" or re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert model.size_bytes > 50_000_000
    assert model.verified == all(file.sha256 for file in model.files)


def test_no_two_files_are_the_same() -> None:
    files = [file for model in MODELS.values() for file in model.files]
    assert len({file.sha256 for file in files}) == len({file.name for file in files}) == len(files)


def test_the_folders_follow_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LORGNETTE_CACHE_DIR", str(tmp_path / "cache"))
    assert models_folder() == tmp_path / "data/models"
    assert cache_folder() == tmp_path / "cache"
    assert local_paths(MODELS["base.en"]) == (tmp_path / "data/models/whisper/base.en.pt",)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LORGNETTE_DATA_DIR", "here")
    assert models_folder() == tmp_path / "here/models"


def test_without_them_the_user_s_own_folders_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LORGNETTE_CACHE_DIR")
    for folder in (models_folder(), cache_folder()):
        assert folder.is_absolute()
        assert "lorgnette" in folder.parts


def test_a_model_is_present_when_all_its_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_DATA_DIR", str(tmp_path))
    voice = MODELS["en_US-ljspeech-medium"]
    onnx, config = local_paths(voice)
    onnx.parent.mkdir(parents=True)
    onnx.with_name(onnx.name + ".part").touch()
    config.touch()
    assert not is_present(voice)
    onnx.touch()
    assert is_present(voice)


def test_an_unknown_name_gets_the_nearest() -> None:
    assert find_model("base.en").name == "base.en"
    with pytest.raises(EngineError, match=r"no model 'bas\.en'") as caught:
        find_model("bas.en")
    assert "did you mean base.en?" in caught.value.remedy
    with pytest.raises(EngineError) as caught:
        find_model("zzzzzz")
    assert caught.value.remedy == "'lorgnette models list' shows all"
