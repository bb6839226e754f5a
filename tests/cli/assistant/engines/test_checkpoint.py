"""When a recogniser's words are believed, and what lies beside its weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lorgnette.cli.assistant.engines.checkpoint import (
    AcceptanceRule,
    Segment,
    embedded_checkpoint,
    open_checkpoint,
    pcm_to_float32,
)
from lorgnette.cli.assistant.engines.protocols import EngineError

OPEN = AcceptanceRule()
CLOSED = AcceptanceRule(-0.2, 0.3, closed=True)


def heard(
    avg_logprob: float = -0.01, no_speech_prob: float = 0.01, ratio: float = 0.8, text: str = "Take a photo."
) -> Segment:
    return Segment(text, avg_logprob, no_speech_prob, ratio)


@pytest.mark.parametrize(
    ("segment", "refusal"),
    [
        (heard(), ""),
        (heard(avg_logprob=-0.19, no_speech_prob=0.29), ""),
        (heard(avg_logprob=-0.2), "not sure of the words"),
        (heard(no_speech_prob=0.3), "no speech"),
        (heard(avg_logprob=-4.0, no_speech_prob=0.9), "no speech"),
        (heard(avg_logprob=math.nan), "not sure of the words"),
        (heard(no_speech_prob=math.nan), "no speech"),
        (heard(ratio=2.41), "repeats itself"),
        (heard(text=""), "no words"),
    ],
)
def test_a_closed_domain_needs_every_figure_to_be_good(segment: Segment, refusal: str) -> None:
    assert CLOSED.refusal(segment) == refusal


@pytest.mark.parametrize(
    ("segment", "refusal"),
    [
        (heard(avg_logprob=-0.9, no_speech_prob=0.9), ""),  # Whisper's rule: sure words beat the doubt about speech
        (heard(avg_logprob=-1.0, no_speech_prob=0.9), "no speech"),
        (heard(avg_logprob=-1.0, no_speech_prob=0.1), "not sure of the words"),
        (heard(ratio=2.41), "repeats itself"),
        (heard(ratio=2.4), ""),
    ],
)
def test_stock_weights_are_judged_by_whispers_own_rule(segment: Segment, refusal: str) -> None:
    assert OPEN.refusal(segment) == refusal


def test_an_open_domain_keeps_the_good_windows_and_tells_the_worst_of_their_figures() -> None:
    noise = heard(avg_logprob=-3.0, no_speech_prob=0.9, text="thanks for watching")
    transcript = OPEN.judge([heard(-0.3, 0.2), noise, heard(-0.5, 0.1, text="And now?")])
    assert (transcript.text, transcript.accepted, transcript.reason) == ("Take a photo. And now?", True, "")
    assert (transcript.avg_logprob, transcript.no_speech_prob) == (-0.5, 0.2)


def test_a_closed_domain_refuses_the_whole_for_one_bad_window() -> None:
    transcript = CLOSED.judge([heard(), heard(avg_logprob=-3.0, text="mumble")])
    assert (transcript.text, transcript.accepted) == ("Take a photo. mumble", False)
    assert (transcript.avg_logprob, transcript.reason) == (-3.0, "not sure of the words")


def test_no_segment_at_all_is_no_speech() -> None:
    transcript = OPEN.judge([])
    assert (transcript.text, transcript.accepted, transcript.reason) == ("", False, "no speech")


def test_pcm_becomes_floats_in_whispers_range() -> None:
    audio = pcm_to_float32(b"\x00\x80\x00\x00\xff\x7f")
    assert audio.dtype == "float32"
    assert audio.tolist() == [-1.0, 0.0, 32767 / 32768]
    with pytest.raises(EngineError, match="not whole 16-bit samples"):
        pcm_to_float32(b"\x00")


def test_the_embedded_checkpoint_is_closed_and_under_two_megabytes() -> None:
    embedded = embedded_checkpoint()
    assert embedded.name == "embedded"
    assert embedded.rule.closed
    assert -1 < embedded.rule.min_avg_logprob < 0 < embedded.rule.max_no_speech_prob < 1
    assert embedded.path.stat().st_size < 2_000_000


def test_the_facts_beside_a_checkpoint_are_read(tmp_path: Path) -> None:
    weights = tmp_path / "mine.pt"
    weights.touch()
    assert open_checkpoint(weights).rule == OPEN
    facts = {"sentences": 1234, "thresholds": {"avg_logprob": -0.15, "no_speech_prob": 0.25}}
    weights.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
    opened = open_checkpoint(weights)
    assert (opened.name, opened.sentences) == ("mine", 1234)
    assert opened.rule == AcceptanceRule(-0.15, 0.25, closed=True)


@pytest.mark.parametrize("facts", ["{", "[]", '{"thresholds": {"avg_logprob": "low"}}', '{"sentences": {}}'])
def test_damaged_facts_are_an_error(tmp_path: Path, facts: str) -> None:
    (tmp_path / "mine.pt").touch()
    (tmp_path / "mine.json").write_text(facts, encoding="utf-8")
    with pytest.raises(EngineError, match="facts beside the Whisper weights are unreadable"):
        open_checkpoint(tmp_path / "mine.pt")


def test_weights_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no Whisper weights at") as caught:
        open_checkpoint(tmp_path / "none.pt")
    assert caught.value.remedy == "lorgnette models list"
