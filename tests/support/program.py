"""Running `lorgnette`: in this process for speed, or as a process of its own where the whole of it matters."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from click.testing import CliRunner, Result

COMMAND = [sys.executable, "-m", "lorgnette.cli"]


def invoke(*args: str, stdin: str | bytes | None = None) -> Result:
    """Run one command line in this process."""
    from lorgnette.cli.main import cli

    return CliRunner().invoke(cli, list(args), input=stdin)


def run(
    *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[bytes]:
    """Run one command line as a process with pipes for its three streams."""
    return subprocess.run(
        [*COMMAND, *args],
        input=stdin,
        capture_output=True,
        env={**os.environ, **(env or {})},
        timeout=timeout_s,
        check=False,
    )


def assert_one_sentence(stderr: str) -> None:
    """Expected failures say one sentence and at most one remedy, without a traceback."""
    lines = stderr.splitlines()
    assert lines and lines[0].startswith("lorgnette: "), stderr
    assert len(lines) <= 2, stderr
    assert all(line.startswith("  ") for line in lines[1:]), stderr
    assert "Traceback" not in stderr
