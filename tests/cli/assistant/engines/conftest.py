"""What the tests of the engines share: one cache for the whole run, and speech that espeak-ng makes."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import pytest

from lorgnette.cli.assistant.engines.espeak_engine import EspeakVoice

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("whisper") is None,
    reason="openai-whisper and torch are not installed",
)
PAUSE = bytes(2 * 3200)  # 200 ms around an utterance, as the endpointing leaves it


@functools.cache
def spoken(text: str, voice: str = "en-us+m3") -> bytes:
    """`text` as s16le mono 16 kHz, with a pause before and after it."""
    return PAUSE + b"".join(EspeakVoice(voice).synthesize(text)) + PAUSE


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(config_file: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Conversions are made once for all tests here."""
    monkeypatch.setenv("LORGNETTE_CACHE_DIR", str(shared_cache))
    return shared_cache
