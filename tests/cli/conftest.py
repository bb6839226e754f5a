"""No test reads or writes the configuration, the caches or the logs of the person who runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
