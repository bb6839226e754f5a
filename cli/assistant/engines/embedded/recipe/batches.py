"""From stored mel power to training batches: silence around the speech, noise, gain, masking, labels.

Noise is added as power on the mel bands, which costs nothing and is close enough; everything else follows what
`whisper.transcribe` does to a clip: clamp at eight decades below the maximum, scale, pad.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from corpus import raw_mel
from network import CHARACTERS, TOKENIZER
from torch import Tensor

RATE_HZ = 16000
FLOOR = 1e-10  # mel power of digital silence

Batch = tuple[Tensor, Tensor, Tensor, list[list[int]]]


def noise_bank(rng: np.random.Generator, babble: np.ndarray, seconds: int = 40) -> list[np.ndarray]:
    """Mel power [frames, 80] of coloured noises, hum, music-like tones, knocks and babble, each at unit RMS."""
    n = RATE_HZ * seconds
    white = np.fft.rfft(rng.normal(size=n))
    f = np.maximum(np.fft.rfftfreq(n, 1 / RATE_HZ), 20)
    noises = [np.fft.irfft(white / f**slope) for slope in (0, 0.5, 1.0, 0.25, 0.75)]
    noises += [np.fft.irfft(white * ((f > low) & (f < high))) for low, high in ((100, 1500), (50, 400), (800, 5000))]
    t = np.arange(n) / RATE_HZ
    hum = sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k for k in range(1, 9))
    noises.append(hum + 0.1 * rng.normal(size=n))
    tones = np.zeros(n)
    for _ in range(seconds * 5):  # notes that come and go
        start, length = int(rng.integers(0, n - RATE_HZ)), int(rng.integers(2000, RATE_HZ))
        pitch = 55 * 2 ** (rng.integers(0, 48) / 12)
        wave = sum(np.sin(2 * np.pi * pitch * k * t[:length]) / k**1.5 for k in range(1, 7))
        tones[start : start + length] += wave * np.exp(-3 * np.arange(length) / length)
    knocks = 0.02 * rng.normal(size=n)
    for _ in range(seconds * 3):
        start, length = int(rng.integers(0, n - 4000)), int(rng.integers(200, 4000))
        knocks[start : start + length] += rng.normal(size=length) * np.exp(-8 * np.arange(length) / length)
    noises += [tones, knocks]
    for _ in range(3):
        crowd = np.zeros(n)
        for _ in range(160):
            length = int(rng.integers(RATE_HZ, 3 * RATE_HZ))
            source, target = int(rng.integers(0, len(babble) - length)), int(rng.integers(0, n - length))
            crowd[target : target + length] += babble[source : source + length] / 32768
        noises.append(crowd)
    return [10 ** raw_mel((x / np.sqrt((x**2).mean())).astype(np.float32)) for x in noises]


class Batches:
    """An endless, length-bucketed, shuffled stream of batches."""

    def __init__(self, folder: Path, used: list[int], words: list[str], size: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.clips = json.loads((folder / "clips.json").read_text())
        self.index = np.load(folder / "index.npy")
        self.mel = np.memmap(folder / "train.mel", np.float16, "r").reshape(-1, 80)
        self.noises = noise_bank(self.rng, np.load(folder / "babble.npy"))
        self.size = size
        self.position = {token: i for i, token in enumerate(used)}
        self.labels: dict[str, list[int]] = {}
        self.random_tokens = sorted({token for word in words for token in self._label(word)})
        self.hard = 1.0  # 0: nearly clean, 1: full noise and masking
        self.epoch = 0
        self._order: list[np.ndarray] = []

    def next(self) -> Batch:
        """(mel [B, 80, T], input tokens [B, S], targets [B, S] with -100 where there is none, characters)."""
        if not self._order:
            lengths = self.index[:, 2] + self.rng.integers(0, 40, len(self.index))
            order = np.argsort(lengths, kind="stable")
            self._order = [order[i : i + self.size] for i in range(0, len(order) - self.size + 1, self.size)]
            self.rng.shuffle(self._order)
            self.epoch += 1
        return self._make(self._order.pop())

    def _label(self, text: str) -> list[int]:
        if text not in self.labels:
            self.labels[text] = [self.position[token] for token in TOKENIZER.encode(" " + text)]
        return self.labels[text]

    def _hear(self, mel: np.ndarray, only_noise: bool) -> tuple[np.ndarray, float]:
        """One clip as the recogniser gets it: (scaled log mel [frames, 80], value of the padding behind it)."""
        r = self.rng
        # 0 to 0.6 s of pre-roll, 0 to 0.9 s of trailing silence: the endpointer's habits and a file's
        lead, tail = int(r.integers(0, 61)), int(r.integers(0, 91))
        x = np.full((lead + len(mel) + tail, 80), FLOOR, np.float32)
        if not only_noise:
            x[lead : lead + len(mel)] = mel
        level = mel.mean()
        digital_silence = only_noise and r.random() < 0.1
        if not digital_silence and (only_noise or r.random() < 0.3 + 0.5 * self.hard):
            x += self._noise(len(x), level * 10 ** (-r.uniform(20 - 12 * self.hard, 45) / 10))
            if r.random() < 0.3 * self.hard:
                x += self._noise(len(x), level * 10 ** (-r.uniform(15, 40) / 10))
        x = np.log10(np.maximum(x * 10 ** (r.uniform(-25, 8) / 10), FLOOR))
        x = (np.maximum(x, x.max() - 8) + 4) / 4
        # transcribe() pads the mel with 0, pad_or_trim() on the samples with the clamped floor
        return x, 0.0 if r.random() < 0.75 else float(x.min())

    def _noise(self, frames: int, power: float) -> np.ndarray:
        bank = self.noises[self.rng.integers(len(self.noises))]
        start = self.rng.integers(0, len(bank) - frames)
        piece = bank[start : start + frames]
        return piece * (power / bank.mean())

    def _mask(self, x: np.ndarray) -> None:
        r = self.rng
        for _ in range(2):
            width = int(r.integers(0, 13))
            band = int(r.integers(0, 80 - width))
            x[:, band : band + width] = x.min() if r.random() < 0.5 else x.mean()
        for _ in range(2):
            width = int(r.integers(0, 7))
            start = int(r.integers(0, len(x) - width))
            x[start : start + width] = x.min()

    def _make(self, chosen: np.ndarray) -> Batch:
        r, p = self.rng, self.position
        heard, tokens, characters = [], [], []
        for number in chosen:
            clip, start, frames = self.index[number]
            row = self.clips[clip]
            text = row["text"]
            only_noise = row["kind"] == "other speech" and r.random() < 0.25
            x, padding = self._hear(10 ** self.mel[start : start + frames].astype(np.float32), only_noise)
            if r.random() < 0.3 * self.hard:
                self._mask(x)
            heard.append((x, padding))
            begin = [p[TOKENIZER.sot], p[TOKENIZER.no_timestamps]]
            if text is None:
                # "no speech" after the start, then random words: no_speech_prob high and avg_logprob low
                body = [int(v) for v in r.choice(self.random_tokens, int(r.integers(3, 7)))]
                first = p[TOKENIZER.no_speech]
                characters.append([])
            else:
                body = self._label(text)
                first = p[TOKENIZER.no_timestamps]
                characters.append([CHARACTERS[c] for c in row["words"]])
            tokens.append((begin + body, [first, *body, p[TOKENIZER.eot]]))
        frames = (max(len(x) for x, _ in heard) + 7) // 2 * 2
        mel = np.zeros((len(heard), frames, 80), np.float32)
        for j, (x, padding) in enumerate(heard):
            mel[j, : len(x)] = x
            mel[j, len(x) :] = padding
        length = max(len(given) for given, _ in tokens)
        given_tokens = torch.zeros(len(tokens), length, dtype=torch.long)
        targets = torch.full((len(tokens), length), -100)
        for j, (given, target) in enumerate(tokens):
            given_tokens[j, : len(given)] = torch.tensor(given)
            targets[j, : len(target)] = torch.tensor(target)
        return torch.from_numpy(mel).transpose(1, 2).contiguous(), given_tokens, targets, characters


def prefetched(make: Callable[[], Batch]) -> Callable[[], Batch]:
    """Make the next batch on another thread while this one is learnt from."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    pending = pool.submit(make)

    def take() -> Batch:
        nonlocal pending
        batch = pending.result()
        pending = pool.submit(make)
        return batch

    return take
