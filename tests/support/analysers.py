"""Programs that read the frame's C without running it; each finding is a failure."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from .frame_builds import need_program

TIDY_CHECKS = [
    *("-*", "bugprone-*", "cert-*", "clang-analyzer-*", "-bugprone-easily-swappable-parameters"),
    "-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling",  # Annex K instead of memcpy
]


def cppcheck(sources: Sequence[Path], includes: Iterable[Path]) -> None:
    """Skips the test without the program."""
    options = ["--quiet", "--std=c11", "--error-exitcode=1", "--inline-suppr", "--platform=unix32"]
    options += ["--enable=warning,performance,portability", "--suppress=missingIncludeSystem"]
    _read(need_program("cppcheck", "cppcheck"), *options, *(f"-I{folder}" for folder in includes), *map(str, sources))


def clang_tidy(
    sources: Sequence[Path], includes: Iterable[Path], flags: Sequence[str], without: Iterable[str] = ()
) -> None:
    """Skips the test without the program. `without` are checks that have nothing to say here."""
    checks = ",".join([*TIDY_CHECKS, *(f"-{check}" for check in without)])
    options = ["--quiet", "--warnings-as-errors=*", f"--checks={checks}", *map(str, sources)]
    _read(need_program("clang-tidy", "clang-tidy"), *options, "--", *flags, *(f"-I{folder}" for folder in includes))


def _read(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
