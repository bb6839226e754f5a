"""The training loop: by wall time, so that it ends when it was told to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from batches import Batches, prefetched
from network import EarNetwork
from torch import Tensor, nn

REPORT_STEPS = 100
SAVE_STEPS = 1000


@dataclass(frozen=True)
class Stage:
    """One stretch of training. The rate rises for `warm_up` of the time, then falls to zero (or stays, if `level`)."""

    minutes: float
    rate: float
    warm_up: float
    ctc: float  # weight of the character head
    wrong_words: float  # share of the decoder's input tokens replaced: listen, do not only predict
    easy_start: bool = False
    level: bool = False


# From nothing: the alignment first, on nearly clean speech; then everything.
FIRST = Stage(minutes=14, rate=2.5e-3, warm_up=0.04, ctc=1.0, wrong_words=0.0, easy_start=True, level=True)
MAIN = Stage(minutes=75, rate=2.2e-3, warm_up=0.01, ctc=0.5, wrong_words=0.12)


def train(network: EarNetwork, batches: Batches, stage: Stage, file: Path) -> int:
    """Train in place, saving the checkpoint to `file` now and then and at the end. Returns the steps taken."""
    optimizer = torch.optim.AdamW(network.parameters(), stage.rate, betas=(0.9, 0.98), weight_decay=0.01)
    network.train()
    take = prefetched(batches.next)
    random_tokens = torch.tensor(batches.random_tokens)
    start, step = time.monotonic(), 0
    figures: list[tuple[float, float, float]] = []
    while (done := (time.monotonic() - start) / 60 / stage.minutes) < 1:
        mel, given, target, characters = take()
        batches.hard = min(1.0, max(0.0, (done - 0.1) / 0.5)) if stage.easy_start else 1.0
        fall = 1.0 if stage.level else (1 - done) / (1 - stage.warm_up)
        for group in optimizer.param_groups:
            group["lr"] = stage.rate * min(done / stage.warm_up, fall)
        wrong = torch.rand(given.shape) < stage.wrong_words
        wrong[:, :2] = False
        given = torch.where(wrong, random_tokens[torch.randint(len(random_tokens), given.shape)], given)
        audio, bias, positions = network.encode(mel)
        logits = network.decode(given, audio, bias)
        words_loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)
        ctc_loss = _ctc(network, audio[:, : min(positions, 400)], characters)
        loss = words_loss + stage.ctc * (1.0 if done < 0.4 else 0.4) * ctc_loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            counted = target != -100
            figures.append(
                (float(words_loss), float(ctc_loss), float((logits.argmax(-1) == target)[counted].float().mean()))
            )
        if step % REPORT_STEPS == 0:
            words, ctc, right = np.mean(figures, 0)
            figures.clear()
            elapsed = time.monotonic() - start
            print(
                f"step {step} epoch {batches.epoch} {elapsed:.0f} s  words {words:.3f} ctc {ctc:.3f} right {right:.3f}",
                flush=True,
            )
        if step % SAVE_STEPS == 0:
            network.export(file)
    network.export(file)
    return step


def _ctc(network: EarNetwork, audio: Tensor, characters: list[list[int]]) -> Tensor:
    """Character loss of the clips that have a label."""
    labelled = [j for j, row in enumerate(characters) if row]
    if not labelled:
        return torch.zeros(())
    log_probs = network.ctc(audio[labelled]).log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(
        log_probs,
        torch.tensor([c for j in labelled for c in characters[j]]),
        torch.full((len(labelled),), log_probs.shape[0]),
        torch.tensor([len(characters[j]) for j in labelled]),
        zero_infinity=True,
    )
