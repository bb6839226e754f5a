"""No test reads or writes the configuration, the caches or the logs of the person who runs it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.support.program import COMMAND


@pytest.fixture(autouse=True)
def config_file(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file that the program will use; it does not exist yet."""
    home = tmp_path_factory.mktemp("home")
    for name in os.environ:
        if name.startswith("LORGNETTE_") and name != "LORGNETTE_REQUIRE_ALL":
            monkeypatch.delenv(name)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    file = home / "config.toml"
    monkeypatch.setenv("LORGNETTE_CONFIG", str(file))
    return file


class RecordedDemo(NamedTuple):
    """What one demo printed, its folder and its capture."""

    printed: dict[str, Any]
    folder: Path
    capture: Path


@pytest.fixture(scope="session")
def recorded_demo(tmp_path_factory: pytest.TempPathFactory) -> RecordedDemo:
    """`lorgnette demo` as a user runs it, in real time: once for everybody who looks at what it leaves."""
    home = tmp_path_factory.mktemp("demo")
    out, capture = home / "session", home / "demo.pcapng"
    command = [*COMMAND, "demo", "--json", "-o", str(out), "--capture", str(capture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    printed = json.loads(done.stdout)
    assert isinstance(printed, dict)
    return RecordedDemo(printed, out, capture)
