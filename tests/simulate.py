"""The deterministic simulation: a host and the firmware's own core over a bad cable, from seeds, in virtual time.

    python tests/simulate.py --seeds 10000 --jobs 2     play the stories of seeds 0 to 9999
    python tests/simulate.py --seed 123                 play one
    python tests/simulate.py --seed 123 -v              play it, and print every frame and every fault

Each seed is one story (tests/support/story.py): its own mixture of bit flips, drops, losses, truncation, duplicates,
reordering, spliced text, noise, stalls, delays, slow lines, latency timers, unplugged cables, resets and killed hosts,
over whatever a wearer and a program do in some seconds. What must hold at any time: no wrong sound, photo or answer; no
request that runs twice or never ends; no press of the button that is reported twice or, while the session lives, not
at all; no sensor without its light, none that outlives three seconds of silence; no more without credit than the
frame's ring has room for; every AudioFrame accounted for. And once the cable is good: everything works, with full
windows.

A story takes about 50 ms of processor time, so 10000 seeds cost some 9 minutes of it: less than 5 on two cores. A run
ends by saying what it was.

Exits with 1 when a story failed. The same seed tells the same story, until protocol, link or core change.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SEEDS_AT_A_TIME = 25
SHOWN = 10
"""Failures that are printed; the rest is counted."""


@dataclass
class Outcome:
    """What became of so many seeds. `failed`: seed -> why."""

    failed: dict[int, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0
    seeds: int = 0

    def add(self, other: Outcome) -> None:
        self.failed |= other.failed
        self.counts += other.counts
        self.cpu_s += other.cpu_s
        self.seeds += other.seeds

    def __str__(self) -> str:
        cost_ms = 1000 * self.cpu_s / max(1, self.seeds)
        return f"{self.seeds} seeds, {len(self.failed)} failed; {cost_ms:.0f} ms of processor time each"


def play(seeds: range) -> Outcome:
    """Play these seeds' stories in this process."""
    from tests.support.story import Story

    logging.disable()
    outcome = Outcome(seeds=len(seeds))
    began_s = time.process_time()
    for seed in seeds:
        story = None
        try:
            story = Story(seed)
            story.live()
        except AssertionError as error:  # an invariant
            outcome.failed[seed] = str(error)
        except Exception:  # the product broke
            outcome.failed[seed] = traceback.format_exc(limit=-4)
        if story is not None:
            outcome.counts += story.all_counts()
    outcome.cpu_s = time.process_time() - began_s
    return outcome


def play_all(first: int, count: int, jobs: int) -> Iterator[Outcome]:
    """Play `count` seeds from `first` on in `jobs` processes; some at a time, in order.

    Raises:
        ValueError: there is nothing to play; a run of no seeds would prove nothing, and look like success.
    """
    if count < 1 or jobs < 1:
        raise ValueError(f"{count} seeds in {jobs} processes are none")
    last = first + count
    pieces = [range(at, min(at + SEEDS_AT_A_TIME, last)) for at in range(first, last, SEEDS_AT_A_TIME)]
    if jobs == 1:
        yield from map(play, pieces)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(play, pieces)


def report(failed: dict[int, str]) -> str:
    """What failed, and the one command that plays it again."""
    lines = []
    for seed, why in list(failed.items())[:SHOWN]:
        lines.append(f"seed {seed}: {why}\n  again: python tests/simulate.py --seed {seed} -v")
    if len(failed) > SHOWN:
        lines.append(f"and {len(failed) - SHOWN} more")
    return "\n".join(lines)


def at_least_one(text: str) -> int:
    """A number of the command line."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def play_one(seed: int, verbose: bool) -> int:
    from tests.support.story import Story

    logging.disable()
    Story(seed, say=print if verbose else None).live()
    print(f"seed {seed}: everything held")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--seeds", type=at_least_one, default=1000, help="how many (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument(
        "--jobs", type=at_least_one, default=os.cpu_count() or 1, help="processes (default: one per core)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="with --seed: print the story")
    args = parser.parse_args()
    if args.seed is not None:
        return play_one(args.seed, args.verbose)

    began_s = time.monotonic()
    total = Outcome()
    for outcome in play_all(args.first, args.seeds, args.jobs):
        total.add(outcome)
        if sys.stderr.isatty():
            print(f"\r{total.seeds} seeds", end="", file=sys.stderr)
    print(f"{total}, {time.monotonic() - began_s:.0f} s in all")
    print(", ".join(f"{word} {count}" for word, count in sorted(total.counts.items())))
    if total.failed:
        print(report(total.failed), file=sys.stderr)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
