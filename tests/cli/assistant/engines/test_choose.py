"""Which engine a user gets: by what is wanted, what is installed and what is downloaded."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.support.stand_ins import write_tone_voice

from lorgnette.cli.assistant.engines import choose
from lorgnette.cli.assistant.engines.catalog import MODELS, local_paths
from lorgnette.cli.assistant.engines.chat_engine import ChatEngine
from lorgnette.cli.assistant.engines.choose import (
    choose_checkpoint,
    choose_stt_engine,
    choose_voice,
    default_threads,
    describe,
    language_model,
    speech_to_text,
    text_to_speech,
)
from lorgnette.cli.assistant.engines.espeak_engine import EspeakVoice
from lorgnette.cli.assistant.engines.protocols import EngineError, EngineInfo


@dataclass(frozen=True)
class Stt:
    engine: str = "auto"
    model: str = "auto"
    threads: int = 0


@dataclass(frozen=True)
class Tts:
    engine: str = "auto"
    voice: str = "auto"


@dataclass(frozen=True)
class Llm:
    base_url: str = ""
    model: str = ""
    api_key: str = ""
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Settings:
    language: str = "en"
    stt: Stt = field(default_factory=Stt)
    tts: Tts = field(default_factory=Tts)
    llm: Llm = field(default_factory=Llm)


AUTO = Settings()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORGNETTE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def install(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Only these engine packages look installed."""
    monkeypatch.setattr(choose, "installed", lambda package: package in packages)


def download(*names: str) -> None:
    for name in names:
        for path in local_paths(MODELS[name]):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def tts(engine: str = "auto", voice: str = "auto", language: str = "en") -> Settings:
    return Settings(language=language, tts=Tts(engine, voice))


# ---------------------------------------------------------------- the ear
@pytest.mark.parametrize(
    ("packages", "wanted", "chosen"),
    [
        (("torch", "whisper", "faster_whisper", "ctranslate2"), "auto", "whisper"),
        (("torch", "whisper", "faster_whisper", "ctranslate2"), "faster-whisper", "faster-whisper"),
        (("faster_whisper", "ctranslate2"), "auto", "faster-whisper"),
        (("whisper", "faster_whisper", "ctranslate2"), "auto", "faster-whisper"),  # whisper without its torch
        (("torch", "whisper"), "whisper", "whisper"),
    ],
)
def test_the_ear_that_is_installed(
    monkeypatch: pytest.MonkeyPatch, packages: tuple[str, ...], wanted: str, chosen: str
) -> None:
    install(monkeypatch, *packages)
    assert choose_stt_engine(wanted) == chosen


@pytest.mark.parametrize(
    ("packages", "wanted", "remedy"),
    [
        ((), "auto", "pip install openai-whisper"),
        ((), "auto", "pip install faster-whisper"),
        (("torch", "whisper"), "faster-whisper", "pip install faster-whisper"),
        (("faster_whisper", "ctranslate2"), "whisper", "pip install openai-whisper"),
        (("torch", "whisper"), "vosk", "whisper, faster-whisper"),
    ],
)
def test_an_ear_that_is_not(
    monkeypatch: pytest.MonkeyPatch, packages: tuple[str, ...], wanted: str, remedy: str
) -> None:
    install(monkeypatch, *packages)
    with pytest.raises(EngineError) as caught:
        choose_stt_engine(wanted)
    assert caught.value.stage == "stt"
    assert remedy in caught.value.remedy


def test_looking_for_an_ear_imports_none() -> None:
    before = set(sys.modules)
    choose_stt_engine("auto")
    assert not {"torch", "whisper", "faster_whisper", "ctranslate2"} & (set(sys.modules) - before)


def test_without_downloads_the_embedded_weights_are_used() -> None:
    assert choose_checkpoint("auto", "en").name == choose_checkpoint("embedded", "en").name == "embedded"


def test_downloaded_weights_come_first_and_the_recommended_of_them() -> None:
    download("tiny.en")
    assert choose_checkpoint("auto", "en").name == "tiny.en"
    download("base.en", "small.en")
    assert choose_checkpoint("auto", "en").name == "base.en"
    assert choose_checkpoint("small.en", "en").name == "small.en"
    assert choose_checkpoint("embedded", "en").name == "embedded"


def test_english_weights_are_not_taken_for_another_language() -> None:
    download("base.en")
    with pytest.raises(EngineError, match="hears English only, not 'zh'") as caught:
        choose_checkpoint("auto", "zh")
    assert caught.value.remedy == "lorgnette models pull base"
    with pytest.raises(EngineError, match=r"base\.en hears English only"):
        choose_checkpoint("base.en", "zh")
    download("base")
    assert choose_checkpoint("auto", "zh").name == "base"


def test_named_weights_that_are_not_there_are_no_reason_to_take_others() -> None:
    with pytest.raises(EngineError, match=r"base\.en is not downloaded") as caught:
        choose_checkpoint("base.en", "en")
    assert caught.value.remedy == "lorgnette models pull base.en"
    with pytest.raises(EngineError, match="no model 'bose'"):
        choose_checkpoint("bose", "en")
    with pytest.raises(EngineError, match="is a voice"):
        choose_checkpoint("en_US-lessac-medium", "en")


def test_weights_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.pt").touch()
    assert choose_checkpoint(str(tmp_path / "mine.pt"), "en").path == tmp_path / "mine.pt"
    with pytest.raises(EngineError, match="no Whisper weights at"):
        choose_checkpoint(str(tmp_path / "other.pt"), "en")


@pytest.mark.skipif(importlib.util.find_spec("faster_whisper") is None, reason="faster-whisper is not installed")
def test_the_ear_is_built_as_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    info = speech_to_text(replace(AUTO, stt=Stt("faster-whisper", "embedded", 1))).info
    assert (info.engine, info.model) == ("faster-whisper", "embedded")
    install(monkeypatch, "torch", "whisper")
    assert speech_to_text(AUTO).info.engine == "whisper"


def test_one_core_is_left_free(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in {None: 1, 1: 1, 2: 1, 4: 3, 64: 4}.items():
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert default_threads() == threads


# ---------------------------------------------------------------- the voice
def test_without_a_piper_voice_espeak_speaks() -> None:
    assert choose_voice(tts()) == ("espeak", "en-us")
    assert choose_voice(tts(language="zh")) == ("espeak", "cmn")
    assert choose_voice(tts(language="de")) == ("espeak", "de")
    assert choose_voice(tts(voice="en-gb+f3")) == ("espeak", "en-gb+f3")
    assert isinstance(text_to_speech(tts()), EspeakVoice)


def test_a_downloaded_voice_of_the_language_comes_first() -> None:
    download("en_GB-alan-medium", "zh_CN-huayan-medium")
    assert choose_voice(tts()) == ("piper", str(local_paths(MODELS["en_GB-alan-medium"])[0]))
    assert choose_voice(tts(language="zh"))[1].endswith("zh_CN-huayan-medium.onnx")
    assert choose_voice(tts(engine="espeak")) == ("espeak", "en-us")
    assert choose_voice(tts(language="de")) == ("espeak", "de")


def test_a_voice_may_be_a_file_or_lie_in_the_folder(tmp_path: Path, data: Path) -> None:
    path = write_tone_voice(tmp_path / "mine.onnx")
    assert choose_voice(tts(voice=str(path))) == ("piper", str(path))
    placed = data / "models/piper/de_DE-my-low.onnx"
    placed.parent.mkdir(parents=True)
    write_tone_voice(placed)
    assert choose_voice(tts(voice="de_DE-my-low")) == ("piper", str(placed))
    engine = text_to_speech(tts(voice="de_DE-my-low"))
    assert engine.info.engine == "piper"
    assert b"".join(engine.synthesize("Hello."))


@pytest.mark.parametrize(
    ("settings", "said", "remedy"),
    [
        (tts(voice="en_US-lessac-medium"), "is not downloaded", "lorgnette models pull en_US-lessac-medium"),
        (tts(engine="piper"), "no Piper voice for 'en'", "lorgnette models pull en_US-ljspeech-medium"),
        (tts(engine="piper", language="de"), "no Piper voice for 'de'", "set tts.voice"),
        (tts(engine="piper", voice="nobody"), "no model 'nobody'", "lorgnette models list"),
        (tts(voice="/nowhere/x.onnx"), "no Piper voice at", "lorgnette models list"),
        (tts(engine="festival"), "no voice engine 'festival'", "auto, piper, espeak"),
    ],
)
def test_a_voice_that_is_not_there(settings: Settings, said: str, remedy: str) -> None:
    with pytest.raises(EngineError, match=said) as caught:
        choose_voice(settings)
    assert caught.value.stage == "tts"
    assert remedy in caught.value.remedy


def test_piper_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download("en_US-ljspeech-medium")
    install(monkeypatch)
    assert choose_voice(tts()) == ("espeak", "en-us")  # a voice nobody asked for does not stop anything
    for asked in (tts(engine="piper"), tts(voice="en_US-ljspeech-medium")):
        with pytest.raises(EngineError, match="piper-tts is not installed") as caught:
            choose_voice(asked)
        assert caught.value.remedy == "python -m pip install piper-tts"


def test_no_voice_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorgnette.cli.assistant.engines.espeak_engine.espeak_available", lambda: False)
    with pytest.raises(EngineError, match="no voice can be had") as caught:
        choose_voice(tts())
    assert caught.value.remedy == "python -m pip install espeakng-loader"


# ---------------------------------------------------------------- the model
def test_a_language_model_only_where_one_is_configured() -> None:
    assert language_model(AUTO) is None
    engine = language_model(replace(AUTO, llm=Llm("http://localhost:11434/v1", "qwen3", "key", 5.0)))
    assert isinstance(engine, ChatEngine)
    assert engine.info.model == "qwen3"
    engine.close()


def test_describing_loads_nothing() -> None:
    before = set(sys.modules)
    infos = describe(replace(AUTO, llm=Llm("http://localhost:11434/v1", "qwen3")))
    assert [info.role for info in infos if isinstance(info, EngineInfo)] == ["stt", "tts", "llm"]
    assert not {"torch", "whisper", "faster_whisper", "onnxruntime", "httpx"} & (set(sys.modules) - before)


def test_describing_tells_what_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    stt, voice, model = describe(replace(AUTO, tts=Tts("piper"), llm=Llm("nonsense")))
    assert isinstance(stt, EngineError) and stt.stage == "stt"
    assert isinstance(voice, EngineError) and voice.stage == "tts"
    assert isinstance(model, EngineError) and model.stage == "llm"


def test_the_program_s_own_settings_fit() -> None:
    from lorgnette.cli.settings import Settings as Real

    assert [info.role for info in describe(Real()) if isinstance(info, EngineInfo)] == ["stt", "tts"]
