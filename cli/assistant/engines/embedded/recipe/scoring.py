"""Clips for choosing thresholds and for scoring, what the ear makes of them, and the facts beside a checkpoint.

Scoring goes through stock `whisper.load_model(path).transcribe(...)`. Its voices, its synthesiser voice (flite awb) and
its sentences of other speech are kept apart from training and from the choice of the thresholds.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
import other_speech
import voices
from material import Line, Material, spoken
from voices import Job, synthesize

CHECKPOINT = "lorgnette-en.pt"
RECIPE_VERSION = 1
RATE_HZ = voices.RATE_HZ
DECODING = {"language": "en", "temperature": 0, "without_timestamps": True, "fp16": False}
OPEN = {"no_speech_threshold": None, "logprob_threshold": None, "compression_ratio_threshold": None}


@dataclass(frozen=True)
class Clip:
    line: Line
    voice: str
    samples: np.ndarray  # int16, trimmed


@dataclass(frozen=True)
class Heard:
    line: Line
    voice: str
    text: str
    avg_logprob: float
    no_speech_prob: float

    @property
    def exact(self) -> bool:
        return self.line.text is not None and letters(self.line.text) == letters(self.text)


def letters(text: str) -> str:
    """A transcript without case and punctuation."""
    return re.sub(r"[^a-z0-9' ]", "", text.lower()).strip()


def refused(texts: Sequence[str], kind: str) -> list[Line]:
    return [Line(None, text, kind) for text in texts]


def speak(lines: Sequence[Line], jobs: Sequence[Job], workers: int = 2) -> list[Clip]:
    """Make the clips; a line whose voice fails is left out."""
    with Pool(workers) as pool:
        made = pool.map(synthesize, jobs, chunksize=8)
    return [Clip(line, job.voice, x) for line, job, x in zip(lines, jobs, made, strict=True) if x is not None]


def in_the_pipeline(clip: np.ndarray, r: np.random.Generator, snr_db: float | None = None) -> np.ndarray:
    """A trimmed clip as the endpointer hands it over: pre-roll, trailing silence, gain, noise. float32, -1 to 1."""
    x = clip.astype(np.float64) / 32768
    level = float(x.std())
    x = np.concatenate([np.zeros(int(RATE_HZ * r.uniform(0.2, 0.4))), x, np.zeros(int(RATE_HZ * r.uniform(0.4, 0.8)))])
    white = np.fft.rfft(r.normal(size=len(x)))
    f = np.maximum(np.fft.rfftfreq(len(x), 1 / RATE_HZ), 20)
    noise = np.fft.irfft(white / f ** r.choice([0, 0.5, 0.5, 1.0]), len(x))
    x += noise / noise.std() * level * 10 ** (-(50 if snr_db is None else snr_db) / 20)
    return (x * 10 ** (r.uniform(-15, 0) / 20)).clip(-1, 1).astype(np.float32)


class Ear:
    """A checkpoint behind stock transcribe()."""

    def __init__(self, checkpoint: Path, threads: int = 2) -> None:
        import torch
        import whisper

        torch.set_num_threads(threads)
        self.model = whisper.load_model(str(checkpoint), device="cpu")

    def hear(self, samples: np.ndarray) -> tuple[str, float, float]:
        """(text, avg_logprob, no_speech_prob) of float32 samples; the worst of its segments when there are several."""
        result = self.model.transcribe(samples, **DECODING, **OPEN)
        segments = result["segments"]
        if not segments:
            return "", -9.0, 1.0
        return (
            result["text"].strip(),
            min(float(s["avg_logprob"]) for s in segments),
            max(float(s["no_speech_prob"]) for s in segments),
        )

    def hear_all(self, clips: Sequence[Clip], seed: int, snr_db: float | None = None) -> list[Heard]:
        r = np.random.default_rng(seed)
        return [Heard(c.line, c.voice, *self.hear(in_the_pipeline(c.samples, r, snr_db))) for c in clips]


def development(material: Material, commands: int = 250) -> list[Clip]:
    """Commands and other speech for choosing the thresholds."""
    rng = random.Random(11)
    lines = [material.command(rng) for _ in range(commands)]
    lines += refused(other_speech.NEAR_MISSES_DEV * 2, "near miss") + refused(other_speech.SENTENCES_DEV, "sentence")
    lines += [material.near_miss(rng) for _ in range(60)] + [material.other(rng) for _ in range(40)]
    jobs = [voices.espeak_job(rng, line.words, voices.ACCENTS, voices.VARIANTS_DEV, plain=0.2) for line in lines]
    return speak(lines, jobs)


def choose_thresholds(material: Material, heard: Sequence[Heard]) -> tuple[float, float]:
    """(least avg_logprob, greatest no_speech_prob): fewest missed commands, a mistake counting three."""

    def cost(logprob: float, no_speech: float) -> float:
        total = 0.0
        for h in heard:
            accepted = h.avg_logprob > logprob and h.no_speech_prob < no_speech
            if h.line.text is not None:
                total += 3.0 if accepted and not h.exact else 0.0 if accepted else 1.0
            elif accepted:  # words that no template fits are refused a moment later
                total += 3.0 if material.understanding.match(h.text) else 0.5
        # of equal pairs the middle one: neither threshold at the edge of what was seen
        return total + 0.1 * abs(np.log(-logprob / 0.2)) + 0.1 * abs(no_speech - 0.4)

    pairs = [(-a / 100, b / 20) for a in range(4, 61, 2) for b in range(2, 18)]
    return min(pairs, key=lambda pair: cost(*pair))


def describe(checkpoint: Path, material: Material, trained: str) -> dict[str, Any]:
    """Choose the thresholds and write the facts and the sentences beside the checkpoint."""
    heard = Ear(checkpoint).hear_all(development(material), seed=12)
    logprob, no_speech = choose_thresholds(material, heard)
    words = {word for c in material.trained for word in spoken(c.text).split()}
    facts = {
        "model": checkpoint.stem,
        "language": "en",
        "sentences": len(material.trained),
        "words": len(words),
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "thresholds": {"avg_logprob": logprob, "no_speech_prob": no_speech},
        "trained": datetime.date.today().isoformat(),
        "training": trained,
        "recipe": RECIPE_VERSION,
    }
    checkpoint.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    by_intent: dict[str, list[str]] = {}
    for command in material.trained:
        by_intent.setdefault(command.intent.name, []).append(command.text)
    sentences = {"trained": by_intent, "held_out": [c.text for c in material.held_out]}
    checkpoint.with_name(f"sentences-{facts['language']}.json").write_text(json.dumps(sentences, indent=1) + "\n")
    return facts
