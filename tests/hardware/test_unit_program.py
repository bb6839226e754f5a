"""The C unit tests, as one program per way of building them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.support.frame_builds import BUILDS, POSIX, UNIT_PROGRAM, Build, write_vectors

PLAIN = Build("cc", "gcc", ["-O2", *POSIX])  # what an optimizer makes of them


@pytest.mark.cross
@pytest.mark.parametrize("kind", ["plain", *BUILDS])
def test_it_finds_no_failure(kind: str, tmp_path: Path) -> None:
    write_vectors(tmp_path)
    build = {"plain": PLAIN, **BUILDS}[kind]
    argv = build.compile(UNIT_PROGRAM, tmp_path / "unit", f"-I{tmp_path}")
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **build.env}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    count = re.fullmatch(r"(\d+) checks, 0 failures\n", done.stdout)
    assert count is not None, done.stdout
    assert int(count[1]) > 10_000  # the vectors alone make more
