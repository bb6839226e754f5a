"""The frame under fuzzing: each target for a while on every change. tests/fuzz.sh goes on for as long as one likes.

What broke a target once lies in tests/vectors/fuzz and is run first.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import fuzzers

RUNS, SECONDS = 15_000, 20
"""Whichever ends first; the same runs each time."""


@pytest.fixture(scope="module", params=fuzzers.TARGETS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that fuzzes."""
    return fuzzers.build(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.cross
def test_what_broke_it_once(target: Path) -> None:
    known = fuzzers.known_crashes(target)
    done = fuzzers.run(target, "-runs=0", *known)
    assert done.returncode == 0, done.stderr


@pytest.mark.cross
def test_nothing_breaks_it(target: Path, tmp_path: Path) -> None:
    fuzzers.write_seeds(target, tmp_path / "seeds")
    (tmp_path / "corpus").mkdir()
    done = fuzzers.run(
        target,
        *(f"-runs={RUNS}", f"-max_total_time={SECONDS}", "-seed=1"),
        f"-artifact_prefix={tmp_path}/",
        *(tmp_path / "corpus", tmp_path / "seeds"),
    )
    assert done.returncode == 0, done.stderr[-8000:]
