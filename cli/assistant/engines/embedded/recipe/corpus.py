"""Training clips as stored mel power: synthesised, varied twice, kept on disk.

Files under `folder`: `train.mel` (float16 [frames, 80], raw log10 mel power, clips back to back), `index.npy` (rows:
clip, first frame, frames), `clips.json` (one row a clip: text, words, kind, voice), `babble.npy` (int16 samples).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
from material import Line, Material
from scipy.signal import fftconvolve, resample_poly
from voices import RATE_HZ, Job, synthesize, training_job
from whisper.audio import mel_filters

VERSIONS = 2  # augmented variants of every clip
BABBLE_CLIPS = 400
_FILTERS = mel_filters("cpu", 80)
_WINDOW = torch.hann_window(400)


def raw_mel(samples: np.ndarray) -> np.ndarray:
    """float32 samples (-1 to 1) to log10 mel power [frames, 80], 10 ms frames: Whisper's, before clamp and scaling."""
    spectrum = torch.stft(torch.from_numpy(samples), 400, 160, window=_WINDOW, return_complex=True)
    return (_FILTERS @ (spectrum[..., :-1].abs() ** 2)).clamp(min=1e-10).log10().T.numpy()


def vary(x: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Another speaker's size and pace, another microphone, another room. float32 in and out."""
    if r.random() < 0.8:  # speed and formants together
        x = resample_poly(x, int(r.integers(86, 117)), 100).astype(np.float32)
    if r.random() < 0.5:  # tilt and band limits: a random smooth filter
        n = 128
        knots = [0, 150, 400, 1000, 2500, 4500, 8000]
        gains = np.interp(np.linspace(0, 8000, n // 2 + 1), knots, 10 ** (r.normal(0, 4, 7) / 20))
        h = np.roll(np.fft.irfft(gains, n), n // 2) * np.hanning(n)
        x = fftconvolve(x, h, "same").astype(np.float32)
    if r.random() < 0.45:  # a small synthetic room
        n = int(RATE_HZ * r.uniform(0.08, 0.5))
        h = r.normal(size=n) * np.exp(-6.9 * np.arange(n) / n) * r.uniform(0.02, 0.12)
        h[: int(RATE_HZ * r.uniform(0.001, 0.006))] = 0
        h[0] = 1
        x = fftconvolve(x, h)[: len(x) + int(0.4 * n)].astype(np.float32)
    return x / (np.abs(x).max() + 1e-6) * 0.5


def _start_worker() -> None:
    torch.set_num_threads(1)


def _make(task: tuple[int, Job]) -> tuple[int, np.ndarray | None, list[np.ndarray]]:
    number, job = task
    clip = synthesize(job)
    if clip is None:
        return number, None, []
    mels = []
    for version in range(1, VERSIONS + 1):
        x = vary(clip.astype(np.float32) / 32768, np.random.default_rng([number, version]))
        mels.append(raw_mel(np.pad(x, (0, -len(x) % 160 + 160)).astype(np.float32)).astype(np.float16))
    return number, clip, mels


def build(folder: Path, clips: int, seed: int = 1, workers: int = 2) -> None:
    """Draw, speak and store the training clips, and what they say (`sentences.json`)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    material = Material()
    lines: list[Line] = [material.training(rng) for _ in range(clips)]
    jobs = [training_job(rng, line.words) for line in lines]
    rows, index, babble = [], [], []
    with Pool(workers, initializer=_start_worker) as pool, (folder / "train.mel").open("wb") as out:
        position = 0
        made: Iterable[tuple[int, np.ndarray | None, list[np.ndarray]]] = pool.imap(
            _make, enumerate(jobs), chunksize=32
        )
        for number, clip, mels in made:
            if number % 4000 == 0:
                print(f"clips {number} of {clips}", flush=True)
            if clip is None:
                continue
            line = lines[number]
            for mel in mels:
                out.write(mel.tobytes())
                index.append((len(rows), position, len(mel)))
                position += len(mel)
            rows.append({"text": line.text, "words": line.words, "kind": line.kind, "voice": jobs[number].voice})
            if line.kind == "other speech" and len(babble) < BABBLE_CLIPS:
                babble.append(clip)
    np.save(folder / "index.npy", np.array(index, dtype=np.int64))
    np.save(folder / "babble.npy", np.concatenate(babble))
    (folder / "clips.json").write_text(json.dumps(rows))
    print(f"{len(rows)} clips, {position / 360000:.1f} hours with {VERSIONS} variants each", flush=True)
