"""Synthetic voices: which train, which choose the thresholds, which only score; and how one clip is made.

Needs the programs `espeak-ng` and `flite`. No recording is used anywhere in training.
"""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

RATE_HZ = 16000
ESPEAK_RATE_HZ = 22050
PEAK = 16000  # of 32767: -6 dBFS before gain is drawn
MAX_CLIP_SAMPLES = 6 * RATE_HZ

ACCENTS = ["en-us", "en-gb", "en-029", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc"]
ACCENTS_KEPT_APART = ["en-gb-scotland"]
VARIANTS = (
    "m1 m2 m3 m4 m5 m7 f1 f2 f3 Alex Alicia Andy Annie antonio aunty belinda boris david Denis ed Gene Gene2 Hugo "
    "iven iven2 iven3 Jacky john Lee marcelo Marco Mario max michel miguel Mike norbert pablo quincy rob robert steph "
    "steph2 steph3 travis zac anika adam announcer klatt klatt2 klatt4 klatt5 grandpa sandro caleb Henrique gustave "
    "AnxiousAndy"
).split()
VARIANTS_DEV = ["m8", "f5", "paul", "iven4", "shelby"]  # thresholds are chosen on these
VARIANTS_KEPT_APART = (
    "m6 f4 Andrea benjamin linda edward edward2 victor klatt3 Diogo pedro Michael grandma klatt6".split()
)
FLITE = {"rms": 95, "slt": 175, "kal16": 105}  # mean pitch in Hz
FLITE_KEPT_APART = {"awb": 125}


@dataclass(frozen=True)
class Job:
    """One clip to make. `voice` starts with "espeak:" or "flite:"."""

    voice: str
    words: str  # as spoken
    speed: int  # words per minute
    pitch: int  # espeak-ng 0 to 99, flite Hz
    gap: int = 0  # espeak-ng's pause between words, units of 10 ms


def espeak_job(rng: random.Random, words: str, accents: list[str], variants: list[str], plain: float = 0.0) -> Job:
    """A random espeak-ng voice; with probability `plain` the accent's own voice at everyday speed."""
    accent = rng.choice(accents)
    if rng.random() < plain:
        return Job(f"espeak:{rng.choice(['en-us', 'en-us', accent])}", words, rng.randint(135, 180), 50)
    gap = rng.randint(1, 4) if rng.random() < 0.2 else 0
    variant = rng.choice(variants)
    return Job(f"espeak:{accent}+{variant}", words, rng.randint(120, 190), rng.randint(25, 75), gap)


def flite_job(rng: random.Random, words: str, voices: dict[str, int]) -> Job:
    voice = rng.choice(sorted(voices))
    return Job(f"flite:{voice}", words, rng.randint(120, 190), int(voices[voice] * rng.uniform(0.85, 1.18)))


def training_job(rng: random.Random, words: str) -> Job:
    if rng.random() < 0.27:
        return flite_job(rng, words, FLITE)
    return espeak_job(rng, words, ACCENTS, VARIANTS, plain=0.1)


def synthesize(job: Job) -> np.ndarray | None:
    """int16 mono 16 kHz, silence trimmed to 30 ms at both ends; None when the voice made nothing of use."""
    engine, voice = job.voice.split(":", 1)
    if engine == "espeak":
        command = ["espeak-ng", "-v", voice, "-s", str(job.speed), "-p", str(job.pitch), "-g", str(job.gap), "--stdout"]
        data = subprocess.run([*command, job.words], capture_output=True, check=False).stdout
        rate = ESPEAK_RATE_HZ
    else:
        file = Path(f"/dev/shm/lorgnette-flite-{os.getpid()}.wav")
        settings = [f"duration_stretch={155 / job.speed:.3f}", f"int_f0_target_mean={job.pitch}"]
        options = [word for setting in settings for word in ("--setf", setting)]
        subprocess.run(
            ["flite", "-voice", voice, *options, "-t", job.words, "-o", str(file)], capture_output=True, check=False
        )
        data = file.read_bytes() if file.is_file() else b""
        file.unlink(missing_ok=True)
        rate = int.from_bytes(data[24:28], "little")
    samples = np.frombuffer(data[44 : len(data) - len(data) % 2], dtype="<i2").astype(np.float32)
    if len(samples) < RATE_HZ // 10 or not samples.any():
        return None
    if rate != RATE_HZ:
        samples = resample_poly(samples, 320, 441) if rate == ESPEAK_RATE_HZ else resample_poly(samples, RATE_HZ, rate)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    samples = samples[max(0, loud[0] - 480) : loud[-1] + 480]
    if len(samples) > MAX_CLIP_SAMPLES:
        return None
    return (samples / np.abs(samples).max() * PEAK).astype(np.int16)
