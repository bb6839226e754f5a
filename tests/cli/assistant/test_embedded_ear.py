"""The ear that ships with the package: its facts, its sentences, and what it hears in espeak-ng's voice.

Every clip goes the way of a real one: silence before and after as the endpointer leaves it, the stock engine, the
checkpoint's own acceptance rule, the templates.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import sys
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from lorgnette.cli.assistant.engines.checkpoint import embedded_checkpoint
from lorgnette.cli.assistant.engines.espeak_engine import EspeakVoice, espeak_available
from lorgnette.cli.assistant.understanding import Understanding, normalize

if TYPE_CHECKING:
    from lorgnette.cli.assistant.engines.whisper_engine import WhisperEngine

MAX_CHECKPOINT_BYTES = 2_000_000
PRE_ROLL = b"\0\0" * 4800  # 0.3 s
TRAILING_SILENCE = b"\0\0" * 9600  # 0.6 s
RECIPE = Path(__file__).parents[3] / "cli/assistant/engines/embedded/recipe"

COMMANDS = [
    "Take a photo.",
    "Take a picture.",
    "Please take a photo.",
    "What time is it?",
    "What's the time?",
    "What's the date today?",
    "What day is it?",
    "Set a timer for five minutes.",
    "Set a timer for 10 minutes.",
    "Set a timer for 30 seconds.",
    "Set a timer for half an hour.",
    "Could you set a timer for two minutes?",
    "Cancel the timer.",
    "How much time is left?",
    "Set the volume to 40 percent.",
    "Set the volume to 70 percent.",
    "Turn the volume up.",
    "Turn the volume down.",
    "Volume up.",
    "Volume down.",
    "What's the volume?",
    "Mute the sound.",
    "Unmute the sound.",
    "How much battery is left?",
    "What is the battery level?",
    "Stop.",
    "Never mind.",
    "Repeat that.",
    "Say that again.",
    "What can you do?",
    "Help.",
]
VOICES = [("en-us", 160), ("en-us", 145), ("en-gb", 160), ("en-us+f2", 150), ("en-us+m3", 165)]


@pytest.fixture(scope="module")
def embedded() -> Any:
    return resources.files("lorgnette.cli.assistant.engines.embedded")


@pytest.fixture(scope="module")
def facts(embedded: Any) -> dict[str, Any]:
    return dict(json.loads(embedded.joinpath("lorgnette-en.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def sentences(embedded: Any) -> dict[str, Any]:
    return dict(json.loads(embedded.joinpath("sentences-en.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def understanding() -> Understanding:
    return Understanding("en")


@pytest.fixture(scope="module")
def ear() -> WhisperEngine:
    pytest.importorskip("torch", reason="openai-whisper needs torch")
    pytest.importorskip("whisper", reason="openai-whisper is not installed")
    if not espeak_available():
        pytest.skip("espeak-ng is not installed: nothing to hear")
    from lorgnette.cli.assistant.engines.whisper_engine import WhisperEngine

    return WhisperEngine(embedded_checkpoint())


def say(text: str, voice: str = "en-us", words_per_minute: int = 160) -> bytes:
    return PRE_ROLL + b"".join(EspeakVoice(voice, words_per_minute).synthesize(text)) + TRAILING_SILENCE


def load_recipe(name: str) -> ModuleType:
    """A module of the recipe, which is no part of the package."""
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_facts_are_this_checkpoints(embedded: Any, facts: dict[str, Any], sentences: dict[str, Any]) -> None:
    weights = embedded.joinpath("lorgnette-en.pt").read_bytes()
    assert len(weights) < MAX_CHECKPOINT_BYTES
    assert facts["sha256"] == hashlib.sha256(weights).hexdigest()
    trained = [text for texts in sentences["trained"].values() for text in texts]
    assert facts["sentences"] == len(trained) == len(set(trained))
    assert -1 < facts["thresholds"]["avg_logprob"] < 0 < facts["thresholds"]["no_speech_prob"] < 1
    assert embedded_checkpoint().sentences == facts["sentences"]


def test_the_card_reports_this_checkpoint(embedded: Any, facts: dict[str, Any]) -> None:
    card = embedded.joinpath("CARD.md").read_text("utf-8")
    assert facts["sha256"] in card
    assert f"{facts['sentences']} sentences" in card


def test_the_ear_and_the_templates_have_not_drifted_apart(
    understanding: Understanding, sentences: dict[str, Any]
) -> None:
    """What the ear was taught is what the templates teach now, and each sentence still means what it meant."""
    taught = {sentence.text: sentence.intent.name for sentence in understanding.ear_sentences()}
    trained = {text: name for name, texts in sentences["trained"].items() for text in texts}
    assert not set(trained) & set(sentences["held_out"])
    assert set(trained) | set(sentences["held_out"]) == set(taught)
    for text, name in trained.items():
        intent = understanding.match(text)
        assert intent is not None and intent.name == name, text


def test_sentences_for_scoring_are_kept_apart_and_no_commands(understanding: Understanding) -> None:
    speech = load_recipe("other_speech")
    lists = [speech.NEAR_MISSES_DEV, speech.NEAR_MISSES_TEST, speech.SENTENCES_DEV, speech.SENTENCES_TEST]
    everything = [text for texts in lists for text in texts]
    assert len(everything) == len(set(everything))
    assert set(speech.NEAR_MISSES_DEV) | set(speech.NEAR_MISSES_TEST) == speech.KEPT_APART
    assert not set(speech.WORDS) & set(speech.WORDS_TEST)
    assert [text for text in everything if understanding.match(text) is not None] == []


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_is_heard_word_for_word(ear: WhisperEngine, understanding: Understanding, text: str) -> None:
    transcript = ear.transcribe(say(text))
    assert transcript.accepted, transcript
    assert normalize(transcript.text) == normalize(text)
    assert understanding.match(transcript.text) == understanding.match(text) is not None


def test_other_voices_are_heard_as_well(ear: WhisperEngine) -> None:
    heard = {}
    for i, text in enumerate(COMMANDS):
        voice, words_per_minute = VOICES[i % len(VOICES)]
        transcript = ear.transcribe(say(text, voice, words_per_minute))
        heard[text, voice] = transcript.accepted and normalize(transcript.text) == normalize(text)
    missed = [key for key, exact in heard.items() if not exact]
    assert len(missed) <= len(heard) // 20, missed  # the card's goal: at least 95 % exact


def test_near_misses_and_everyday_speech_are_not_acted_upon(ear: WhisperEngine, understanding: Understanding) -> None:
    speech = load_recipe("other_speech")
    said = speech.NEAR_MISSES_TEST[:36] + speech.SENTENCES_TEST[:14]
    acted = {}
    for i, text in enumerate(said):
        voice, words_per_minute = VOICES[i % len(VOICES)]
        transcript = ear.transcribe(say(text, voice, words_per_minute))
        if transcript.accepted and (intent := understanding.match(transcript.text)):
            acted[text] = (transcript.text, intent)
    assert len(acted) <= 1, acted  # the card's goal: at most 3 % false acceptance


@pytest.mark.parametrize("pcm", [b"\0\0" * 16000, PRE_ROLL, b"\1\0\xff\xff" * 16000], ids=["silence", "short", "hiss"])
def test_silence_is_no_command(ear: WhisperEngine, pcm: bytes) -> None:
    assert not ear.transcribe(pcm).accepted


def test_half_a_command_is_not_completed(ear: WhisperEngine, understanding: Understanding) -> None:
    for text in ("set a timer for", "set the volume to", "turn the"):
        transcript = ear.transcribe(say(text))
        assert not transcript.accepted or understanding.match(transcript.text) is None, transcript


def test_the_words_of_the_facts_are_those_of_the_sentences(facts: dict[str, Any], sentences: dict[str, Any]) -> None:
    spelt = " ".join(text for texts in sentences["trained"].values() for text in texts).lower()
    written = set(re.findall(r"[a-z']+|\d+", spelt))
    assert 100 < facts["words"] <= len(written)  # spoken numbers share words ("25", "twenty five")
