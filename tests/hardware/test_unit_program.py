"""The C unit tests, as one program per way of building them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.support.frame_builds import (
    POSIX,
    SANITIZER_ENV,
    SANITIZERS,
    UNIT_PROGRAM,
    XTENSA_PROGRAM,
    compile_c,
    need_flags,
    need_xtensa,
    write_vectors,
)

NATIVE = {
    "plain": (["-O2"], "gcc"),
    "sanitizers": (SANITIZERS, "gcc"),
    "unsigned char": (["-O2", "-funsigned-char"], "gcc"),
    "32 bits": (["-O2", "-m32"], "gcc-multilib"),
}


def run(argv: list[str]) -> None:
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **SANITIZER_ENV}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    count = re.fullmatch(r"(\d+) checks, 0 failures\n", done.stdout)
    assert count is not None, done.stdout
    assert int(count[1]) > 10_000  # the vectors alone make more


@pytest.mark.cross
@pytest.mark.parametrize("build", NATIVE)
def test_natively(build: str, tmp_path: Path) -> None:
    flags, package = NATIVE[build]
    compiler = need_flags(tmp_path, flags, package)
    write_vectors(tmp_path)
    compile_c(compiler, [*flags, *POSIX, f"-I{tmp_path}"], UNIT_PROGRAM, "-o", str(tmp_path / "unit"))
    run([str(tmp_path / "unit")])


@pytest.mark.cross
def test_on_xtensa(tmp_path: Path) -> None:
    compiler, emulator = need_xtensa()
    write_vectors(tmp_path)
    compile_c(compiler, [*XTENSA_PROGRAM, f"-I{tmp_path}"], UNIT_PROGRAM, "-o", str(tmp_path / "unit"))
    run([*emulator, str(tmp_path / "unit")])
