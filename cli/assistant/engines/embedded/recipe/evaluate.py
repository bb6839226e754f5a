"""Score a checkpoint on speech that its training never heard. Takes about five minutes.

    python cli/assistant/engines/embedded/recipe/evaluate.py CHECKPOINT [--corpus DIR] [--json] [--card CARD.md]

The clips are made anew each time, always the same, with espeak-ng and flite. `--corpus` adds human recordings: a folder
with `manifest.json`, a list of `{"file": ..., "text": ...}`. The thresholds are those in the .json beside the
checkpoint. `--card` writes the table between the card's `figures` marks.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import other_speech
import voices
from material import Line, Material, spoken
from scoring import RATE_HZ, Clip, Ear, Heard, refused, speak

COMMANDS, OTHERS = 300, 300
NEAR_MISSES, SENTENCES, WORD_STRINGS = 100, 100, 60  # the rest of the others are noises and silence
CORPUS_SECONDS = 30
MARKS = ("<!-- figures: written by recipe/evaluate.py --card -->", "<!-- end of figures -->")


@dataclass
class Figures:
    """Counts of one set of commands, or of one set of other speech."""

    name: str
    clips: int
    exact: int = 0  # heard word for word and believed
    right: int = 0  # believed and understood as meant
    mistaken: int = 0  # believed and understood as another command; for other speech: acted upon at all
    believed: int = 0
    words_right: int = 0  # word for word before the thresholds


def bounds(count: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, in percent."""
    z, p = 1.96, count / total
    middle, half = p + z * z / (2 * total), z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 100 / (1 + z * z / total)
    return max(0.0, (middle - half) * scale), min(100.0, (middle + half) * scale)


class Score:
    """Counts what was heard, by the thresholds in the facts beside the checkpoint, and keeps what went wrong."""

    def __init__(self, material: Material, thresholds: dict[str, float]) -> None:
        self.match = material.understanding.match
        self.thresholds = thresholds
        self.wrong: list[str] = []

    def count(self, name: str, heard: Sequence[Heard]) -> Figures:
        figures = Figures(name, len(heard))
        for h in heard:
            believed = (
                bool(h.text)
                and h.avg_logprob > self.thresholds["avg_logprob"]
                and h.no_speech_prob < self.thresholds["no_speech_prob"]
            )
            got = self.match(h.text) if believed else None
            meant = self.match(h.line.text) if h.line.text else None
            figures.believed += believed
            figures.words_right += h.exact
            figures.exact += believed and h.exact
            figures.right += got is not None and got == meant
            figures.mistaken += got is not None and got != meant
            if got != meant or (h.line.text and not h.exact):
                said = h.line.text or f"({h.line.words})"
                figure = f"{h.avg_logprob:.2f} {h.no_speech_prob:.2f}"
                self.wrong.append(
                    f"{name}: {said} -> {h.text} [{h.voice}; {figure}; {'believed' if believed else 'refused'}]"
                )
        return figures


def commands(material: Material) -> dict[str, list[Clip]]:
    """Sets of commands by what is kept apart."""
    rng = random.Random(101)

    def espeak(line: Line, accents: list[str], variants: list[str]) -> voices.Job:
        return voices.espeak_job(rng, line.words, accents, variants)

    plans: dict[str, list[voices.Job]] = {}
    lines: dict[str, list[Line]] = {}

    def plan(name: str, said: list[Line], jobs: list[voices.Job]) -> None:
        plans[name], lines[name] = jobs, said

    drawn = [material.command(rng) for _ in range(COMMANDS)]
    apart, both = voices.VARIANTS_KEPT_APART, voices.ACCENTS + voices.ACCENTS_KEPT_APART
    plan("voice variants kept apart", drawn[:120], [espeak(x, voices.ACCENTS, apart) for x in drawn[:120]])
    scots = voices.ACCENTS_KEPT_APART
    plan("accent kept apart", drawn[120:180], [espeak(x, scots, voices.VARIANTS) for x in drawn[120:180]])
    plan("variant and accent kept apart", drawn[180:240], [espeak(x, scots, apart) for x in drawn[180:240]])
    flite = [voices.flite_job(rng, x.words, voices.FLITE_KEPT_APART) for x in drawn[240:]]
    plan("synthesiser voice kept apart (flite awb)", drawn[240:], flite)
    held = [Line(c.text, spoken(c.text), "held out") for c in material.held_out] * 3
    plan("sentences and voices kept apart", held, [espeak(x, both, apart) for x in held])
    plain = [material.command(rng) for _ in range(60)]
    jobs = [voices.Job("espeak:en-us", x.words, rng.randint(140, 170), 50) for x in plain]
    plan("plain en-us (a trained voice)", plain, jobs)
    return {name: speak(lines[name], plans[name]) for name in plans}


def others() -> list[Clip]:
    """Speech that is no command, in voices kept apart: near misses, sentences, strings of words."""
    rng = random.Random(102)
    lines = refused(rng.sample(other_speech.NEAR_MISSES_TEST, NEAR_MISSES), "near misses")
    lines += refused(rng.sample(other_speech.SENTENCES_TEST, SENTENCES), "everyday sentences")
    for _ in range(WORD_STRINGS):
        words = rng.sample(other_speech.WORDS_TEST, rng.randint(1, 6))
        lines += refused([" ".join(words)], "strings of foreign words")
    accents = voices.ACCENTS + voices.ACCENTS_KEPT_APART
    jobs = [
        voices.flite_job(rng, line.words, voices.FLITE_KEPT_APART)
        if rng.random() < 0.2
        else voices.espeak_job(rng, line.words, accents, voices.VARIANTS_KEPT_APART)
        for line in lines
    ]
    return speak(lines, jobs)


def noises(count: int) -> list[np.ndarray]:
    """Coloured noise, hum, knocks and silence, 1 to 4 s, float32."""
    r = np.random.default_rng(103)
    made = []
    for i in range(count):
        n = int(RATE_HZ * r.uniform(1, 4))
        f = np.maximum(np.fft.rfftfreq(n, 1 / RATE_HZ), 20)
        x = np.fft.irfft(np.fft.rfft(r.normal(size=n)) / f ** r.uniform(0, 1.2), n)
        if i % 4 == 1:
            t = np.arange(n) / RATE_HZ
            x = 0.1 * x / x.std() + sum(np.sin(2 * np.pi * r.uniform(50, 900) * t) for _ in range(4))
        if i % 4 == 2:
            x = x / x.std() * (r.random(n // 1600 + 1) < 0.2).repeat(1600)[:n] + 0.01 * r.normal(size=n)
        if i % 4 == 3:
            x = r.normal(size=n) * 1e-4 if i % 8 == 3 else np.zeros(n)
        peak = max(1.0, float(np.abs(x).max()))
        made.append((x / peak * 10 ** (r.uniform(-30, -3) / 20)).astype(np.float32))
    return made


def corpus(folder: Path) -> list[tuple[str, str | None, np.ndarray]]:
    """(file, text, samples) of human recordings, the first half minute of each, at 16 kHz."""
    import soundfile
    from scipy.signal import resample_poly

    found = []
    for row in json.loads((folder / "manifest.json").read_text()):
        samples, rate = soundfile.read(folder / row["file"], dtype="float32", frames=-1)
        samples = samples.mean(1) if samples.ndim > 1 else samples
        if rate != RATE_HZ:
            samples = resample_poly(samples, RATE_HZ, rate).astype(np.float32)
        found.append((row["file"], row.get("text"), samples[: CORPUS_SECONDS * RATE_HZ]))
    return found


def human(ear: Ear, score: Score, folder: Path) -> tuple[list[Figures], list[Figures]]:
    """Human recordings: those whose text a template fits are commands, all others must be refused."""
    said, rest = [], []
    for file, text, samples in corpus(folder):
        understood = text is not None and score.match(text) is not None
        line = Line(text if understood else None, text or "", "human")
        (said if understood else rest).append(Heard(line, file, *ear.hear(samples)))
    sets = [score.count("human commands", said)] if said else []
    return sets, [score.count("human recordings, no commands", rest)] if rest else []


def evaluate(checkpoint: Path, folder: Path | None) -> tuple[list[Figures], list[Figures], list[str]]:
    """(figures of commands, figures of other speech, what went wrong)."""
    facts = json.loads(checkpoint.with_suffix(".json").read_text())
    material, ear = Material(), Ear(checkpoint)
    score = Score(material, facts["thresholds"])
    sets = commands(material)
    apart = [name for name in sets if "kept apart" in name and "sentences" not in name]
    heard = {name: ear.hear_all(clips, seed=104) for name, clips in sets.items()}
    everything = [h for name in apart for h in heard[name]]
    quiet = Score(material, facts["thresholds"])  # its mistakes are listed set by set below
    said = [quiet.count(f"**{len(everything)} commands, voices kept apart**", everything)]
    said += [score.count(name, heard[name]) for name in heard]
    clips = [clip for name in apart for clip in sets[name]][::2]
    for snr_db in (20, 10):
        said.append(score.count(f"half of the 300, noise at {snr_db} dB", ear.hear_all(clips, 105, snr_db)))
    spoken_others = ear.hear_all(others(), seed=106)
    silence = Line(None, "", "noises and silence")
    sounds = noises(OTHERS - NEAR_MISSES - SENTENCES - WORD_STRINGS)
    spoken_others += [Heard(silence, "noise", *ear.hear(x)) for x in sounds]
    rest = [quiet.count(f"**{len(spoken_others)} other utterances**", spoken_others)]
    for kind in dict.fromkeys(h.line.kind for h in spoken_others):
        rest.append(score.count(kind, [h for h in spoken_others if h.line.kind == kind]))
    if folder is not None:
        more, rest_more = human(ear, score, folder)
        said, rest = said + more, rest + rest_more
    return said, rest, score.wrong


def _share(count: int, total: int) -> str:
    low, high = bounds(count, total)
    return f"{count} ({100 * count / total:.1f} %; {low:.1f} to {high:.1f})"


def table(said: Sequence[Figures], rest: Sequence[Figures]) -> str:
    """The figures as Markdown. In brackets: the share and its 95 % interval."""
    rows = ["| commands | clips | exact | acted on as meant | mistaken | not caught |", "|---|---|---|---|---|---|"]
    for f in said:
        missed = f.clips - f.right - f.mistaken
        row = [f.name, str(f.clips), _share(f.exact, f.clips), _share(f.right, f.clips), str(f.mistaken), str(missed)]
        rows.append(f"| {' | '.join(row)} |")
    rows += [
        "",
        "| other speech | clips | acted on (false acceptance) | believed, no template fits |",
        "|---|---|---|---|",
    ]
    for f in rest:
        row = [f.name, str(f.clips), _share(f.mistaken, f.clips), str(f.believed - f.mistaken)]
        rows.append(f"| {' | '.join(row)} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--corpus", type=Path, help="folder of human recordings with manifest.json")
    parser.add_argument("--json", action="store_true", help="print the counts as one object")
    parser.add_argument("--card", type=Path, help="model card to write the table into")
    options = parser.parse_args()
    said, rest, wrong = evaluate(options.checkpoint, options.corpus)
    if options.card:
        text = options.card.read_text()
        start, end = (re.escape(mark) for mark in MARKS)
        figures = f"{MARKS[0]}\n{table(said, rest)}\n{MARKS[1]}"
        options.card.write_text(re.sub(f"{start}.*?{end}", lambda _: figures, text, flags=re.DOTALL))
    if options.json:
        print(json.dumps({"commands": [asdict(f) for f in said], "others": [asdict(f) for f in rest], "wrong": wrong}))
    else:
        print(table(said, rest), *wrong, sep="\n")


if __name__ == "__main__":
    main()
