"""Without torch the product still hears: the embedded recogniser runs through faster-whisper.

In an environment that has torch, these tests start processes in which torch and openai-whisper look absent; in one that
never had them (the torch-free install of README.md) the same commands simply run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HIDE_TORCH = Path(__file__).parent / "support/no_torch"
ENGINE_TESTS = "tests/cli/assistant/engines"


def run_without_torch(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(HIDE_TORCH), *filter(None, [os.environ.get("PYTHONPATH")])])
    # Without LORGNETTE_REQUIRE_ALL, since the tests of openai-whisper itself have to skip; nor the user's own settings.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LORGNETTE_", "XDG_"))}
    env = {**kept, "PYTHONPATH": path, "HOME": str(home)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_torch_is_hidden_as_if_it_were_absent(tmp_path: Path) -> None:
    code = """
import importlib.metadata, importlib.util
assert importlib.util.find_spec("torch") is None
assert importlib.util.find_spec("whisper") is None
assert not {d.metadata["Name"] for d in importlib.metadata.distributions()} & {"torch", "openai-whisper"}
import faster_whisper
try:
    import torch
except ModuleNotFoundError as error:
    assert error.name == "torch"
else:
    raise SystemExit("torch was imported")
"""
    result = run_without_torch("-c", code, home=tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_demo_runs_without_torch(tmp_path: Path) -> None:
    result = run_without_torch("-m", "lorgnette.cli", "demo", "--json", "-o", tmp_path / "out", home=tmp_path)
    assert result.returncode == 0, result.stderr
    demo = json.loads(result.stdout)
    assert "faster-whisper" in json.dumps(demo["engines"])
    assert len(demo["turns"]) >= 5
    for turn in demo["turns"]:
        assert turn["heard"], turn


def test_the_tests_of_the_embedded_engines_pass_without_torch(tmp_path: Path) -> None:
    result = run_without_torch("-m", "pytest", "-q", "-p", "no:cacheprovider", ENGINE_TESTS, home=tmp_path)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    summary = result.stdout.strip().splitlines()[-1]
    assert int(re.search(r"(\d+) passed", summary)[1]) > 0, summary  # type: ignore[index]
