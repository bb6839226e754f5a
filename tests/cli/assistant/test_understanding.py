"""The sentence templates: every intent, how numbers are said, and what must not be understood."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter

import pytest

from lorgnette.cli.assistant.engines.protocols import EngineError
from lorgnette.cli.assistant.events import Intent
from lorgnette.cli.assistant.understanding import MAX_TEXT_CHARS, Understanding, normalize, written

INTENTS = {
    "TakePhoto",
    "GetTime",
    "GetDate",
    "SetTimer",
    "CancelTimer",
    "TimerLeft",
    "SetVolume",
    "VolumeUp",
    "VolumeDown",
    "GetVolume",
    "Mute",
    "Unmute",
    "GetBattery",
    "Stop",
    "Repeat",
    "Help",
}


@pytest.fixture(scope="module")
def understanding() -> Understanding:
    return Understanding("en")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Take a photo.", "TakePhoto"),
        ("Could you please take another picture of this?", "TakePhoto"),
        ("SNAP A PHOTO", "TakePhoto"),
        ("What time is it?", "GetTime"),
        ("What\u2019s the time", "GetTime"),
        ("whats the time", "GetTime"),
        ("Can you tell me what time it is?", "GetTime"),
        ("What day is it today?", "GetDate"),
        ("What's today's date?", "GetDate"),
        ("Cancel the timer, please.", "CancelTimer"),
        ("How much time is left on the timer?", "TimerLeft"),
        ("Turn it up a bit", "VolumeUp"),
        ("turn the sound up", "VolumeUp"),
        ("Please turn down the volume", "VolumeDown"),
        ("that's too loud", "VolumeDown"),
        ("How loud is it?", "GetVolume"),
        ("Mute.", "Mute"),
        ("Turn the sound off", "Mute"),
        ("Un-mute!", "Unmute"),
        ("Turn the sound back on", "Unmute"),
        ("How much battery is left?", "GetBattery"),
        ("How much battery do you have left?", "GetBattery"),
        ("Never mind.", "Stop"),
        ("stop talking now", "Stop"),
        ("Say that again.", "Repeat"),
        ("Could you repeat that?", "Repeat"),
        ("What can you do?", "Help"),
        ("Help", "Help"),
    ],
)
def test_a_command_without_numbers(understanding: Understanding, text: str, name: str) -> None:
    assert understanding.match(text) == Intent(name)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Set a timer for five minutes.", 300),
        ("set a timer for 5 minutes", 300),
        ("Please set a timer for one minute", 60),
        ("Set a timer for twenty-five minutes, please.", 1500),
        ("set a 10 minute timer", 600),
        ("ten-minute timer", 600),
        ("timer 5min", 300),
        ("start a timer for a minute", 60),
        ("set a timer for half an hour", 1800),
        ("set a timer for an hour and a half", 5400),
        ("set a timer for one and a half hours", 5400),
        ("set a timer for 1.5 hours", 5400),
        ("set a timer for a quarter of an hour", 900),
        ("set a timer for one minute thirty seconds", 90),
        ("set a timer for one minute and thirty seconds", 90),
        ("set a timer for one minute thirty", 90),
        ("set a timer for one hour thirty", 5400),
        ("set a timer for two hours and five minutes", 7500),
        ("set a timer for one hundred and twenty seconds", 120),
        ("remind me in ninety seconds", 90),
        ("Can you set me a timer for three minutes?", 180),
        ("Set timer for 10 minutes", 600),
    ],
)
def test_how_long_a_timer_runs(understanding: Understanding, text: str, seconds: int) -> None:
    assert understanding.match(text) == Intent("SetTimer", {"seconds": seconds})


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        ("Set the volume to 70 percent.", 70),
        ("Set the volume to 70%", 70),
        ("set the volume to seventy", 70),
        ("turn the volume down to twenty five percent", 25),
        ("volume zero percent", 0),
        ("set volume 50%", 50),
        ("volume one hundred", 100),
        ("set volume to a hundred percent", 100),
        ("turn the volume all the way up", 100),
        ("set the volume to maximum", 100),
        ("Could you set the volume to five percent?", 5),
    ],
)
def test_how_loud(understanding: Understanding, text: str, percent: int) -> None:
    assert understanding.match(text) == Intent("SetVolume", {"percent": percent})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "?!",
        "please",
        "take a walk",
        "take a photograph album to the attic",
        "what time does the train leave",
        "what time is it in Paris",
        "turn the radio up to the tower",
        "set the table for five people",
        "how much butter is left",
        "stop the car at the corner",
        "set a timer",
        "set a timer for zero minutes",
        "set a timer for 5 apples",
        "set the volume to 101 percent",
        "set the volume to minus 5 percent",
        "turn the volume",
        "volume up and down",
        "do not take a photo",
        "don't mute",
        "stop it from falling",
        "twenty five",
        "the quick brown fox jumps over the lazy dog",
        "take a photo " * 40,
        "\u4eca\u4f55\u6642\u3067\u3059\u304b",
    ],
)
def test_what_is_no_command(understanding: Understanding, text: str) -> None:
    assert understanding.match(text) is None


def test_a_dictation_is_refused_unread(understanding: Understanding) -> None:
    padded = "take a photo".ljust(MAX_TEXT_CHARS)
    assert understanding.match(padded) == Intent("TakePhoto")
    assert understanding.match(padded + " ") is None


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("repeat thatt", Intent("Repeat")),
        ("how much batery is left", Intent("GetBattery")),
        ("increase the volum", Intent("VolumeUp")),
        # a slip that could turn a command into another one is never guessed at
        ("turn the volume upp", None),
        ("turn the volume own", None),
        ("turn the sound of", None),
        ("unmutee the sound", None),
        ("set the volume to 7O percent", None),
        ("cancel the tymer", None),
        ("cancell the timer", None),
        ("cancel the timerr", Intent("CancelTimer")),
        ("cancel the tamer", None),
    ],
)
def test_one_misspelt_word_is_forgiven_unless_it_decides(
    understanding: Understanding, text: str, intent: Intent | None
) -> None:
    assert understanding.match(text) == intent


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Set the Volume to 70%!", "set the volume to 70 percent"),
        ("one hundred and five", "105"),
        ("one hour and five minutes", "1 hour and 5 minutes"),
        ("twenty five thirty", "25 30"),
        ("a hundred", "100"),
        ("ninety-nine", "99"),
        ("two hundred", "200"),
        ("twenty ten", "20 10"),
        ("10min 30s", "10 minutes 30 s"),
    ],
)
def test_numbers_become_digits(text: str, expected: str) -> None:
    assert normalize(text) == expected


def test_written_form_is_a_recognisers() -> None:
    assert written("set a timer for 5 minutes") == "Set a timer for five minutes."
    assert written("set the volume to 70 percent") == "Set the volume to 70 percent."
    assert written("what can i say") == "What can I say?"


def test_every_template_is_understood_as_its_own_intent(understanding: Understanding) -> None:
    """Two templates must not claim one sentence: whatever a template can say comes back as that template's intent."""
    rng = random.Random(3)
    ranges = {"hours": (1, 24), "minutes": (1, 59), "seconds": (1, 59), "percent": (0, 100)}
    expected = [
        (name, sentence) for name, sentence, _ in understanding._expand(understanding._intents, expand_ranges=False)
    ]
    timers = [pair for pair in expected if pair[0] == "SetTimer"]
    others = [pair for pair in expected if pair[0] != "SetTimer"]
    wrong = []
    for name, sentence in rng.sample(timers, 300) + rng.sample(others, 1500):
        filled = re.sub(r"\{(\w+)\}", lambda m: str(rng.randint(*ranges[m[1]])), sentence)
        intent = understanding.match(filled)
        if intent is None or intent.name != name:
            wrong.append((filled, name, intent))
    assert not wrong


def test_the_sentences_of_every_intent_are_enumerated(understanding: Understanding) -> None:
    sentences = list(understanding.sentences())
    assert understanding.info.role == "understanding"
    assert understanding.info.detail["sentences"] == len(sentences) > 1000
    assert "take a photo" in sentences
    assert "set a timer for {minutes} minutes" in sentences


def test_the_ear_is_taught_every_intent_and_only_what_is_understood(understanding: Understanding) -> None:
    taught = list(understanding.ear_sentences())
    assert {sentence.intent.name for sentence in taught} == INTENTS
    assert len({sentence.text for sentence in taught}) == len(taught)
    for sentence in taught:
        assert understanding.match(sentence.text) == sentence.intent
    timers = Counter(s.intent.slots["seconds"] for s in taught if s.intent.name == "SetTimer")
    assert timers[300] > 5 and timers[1800] and timers[5400]
    assert {s.intent.slots["percent"] for s in taught if s.intent.name == "SetVolume"} == set(range(0, 101, 5))
    assert not [s.text for s in taught if re.search(r"\bone (minutes|seconds|hours)\b", s.text)]


def test_an_unknown_language_names_the_remedy() -> None:
    with pytest.raises(EngineError) as caught:
        Understanding("xx")
    assert "'xx'" in str(caught.value) and caught.value.remedy
    with pytest.raises(EngineError):
        Understanding("../en")


def test_importing_it_loads_no_heavy_module() -> None:
    script = (
        "import sys, lorgnette.cli.assistant.understanding as u;"
        "print([m for m in ('hassil', 'rapidfuzz', 'yaml', 'numpy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["volume -5", "set the volume to -20 percent", "set a timer for -3 minutes"])
def test_a_negative_number_is_not_taken_for_a_positive_one(understanding: Understanding, text: str) -> None:
    assert understanding.match(text) is None


def test_a_hyphen_inside_a_number_word_is_none(understanding: Understanding) -> None:
    assert understanding.match("set the volume to twenty-five percent") == Intent("SetVolume", {"percent": 25})
