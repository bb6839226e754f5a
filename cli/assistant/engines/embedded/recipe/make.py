"""Make the embedded ear: speech, training, thresholds, figures. One command, at most two hours on two cores.

    python cli/assistant/engines/embedded/recipe/make.py --out DIR [--init CHECKPOINT] [--minutes 75] [--rate RATE]

Leaves `lorgnette-en.pt`, `lorgnette-en.json` and `sentences-en.json` in DIR. Needs espeak-ng, flite, scipy, torch and
openai-whisper. Training goes by wall time, so another machine gives another checkpoint; never part of CI.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import corpus
import scoring
import torch
from batches import Batches
from material import Material
from network import EarNetwork, used_tokens
from train import FIRST, MAIN, train

THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the training data")
    parser.add_argument("--init", type=Path, help="stock checkpoint to continue from; without it, from nothing")
    parser.add_argument("--minutes", type=float, default=MAIN.minutes, help="length of the main stage")
    parser.add_argument("--rate", type=float, default=MAIN.rate, help="its highest rate; lower to continue gently")
    parser.add_argument("--clips", type=int, default=30000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--reuse", action="store_true", help="take the training data that is already in the folder")
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(min(THREADS, os.cpu_count() or 1))
    torch.set_flush_denormal(True)
    data = options.out / "data"
    if not options.reuse:
        corpus.build(data, options.clips)
    material = Material()
    used = used_tokens([c.text for c in material.commands], material.vocabulary)
    network = EarNetwork(used)
    parameters = sum(p.numel() for p in network.whisper.parameters())
    print(f"{len(used)} tokens, {parameters} parameters without the embedding", flush=True)
    batches = Batches(data, used, material.vocabulary, options.batch, seed=0)
    checkpoint = options.out / scoring.CHECKPOINT
    steps = 0
    if options.init:
        network.start_from(options.init)
    else:
        steps += train(network, batches, FIRST, checkpoint)
    steps += train(network, batches, replace(MAIN, minutes=options.minutes, rate=options.rate), checkpoint)
    start = f"continued from {options.init.name}" if options.init else "from nothing"
    scoring.describe(checkpoint, material, trained=f"{steps} steps in {options.minutes:.0f} minutes, {start}")
    print(f"Wrote {checkpoint}. Score it with: python {Path(__file__).with_name('evaluate.py')} {checkpoint}")


if __name__ == "__main__":
    main()
