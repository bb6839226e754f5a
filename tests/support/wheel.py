"""The distribution as a user gets it: source archive, wheel, and an environment apart from the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NOT_COPIED = shutil.ignore_patterns(
    ".*", "build", "dist", "*.egg-info", "__pycache__", "*.so", "*.pyd", "*.o", "lorgnette-demo"
)


def copy_tree(to: Path) -> Path:
    """A clean copy of the source tree: a build leaves `build/`, and a stale `build/lib` ships renamed modules."""
    shutil.copytree(ROOT, to, ignore=_NOT_COPIED)
    return to


def build_sdist(tree: Path, to: Path) -> Path:
    """Make the source archive of `tree` and unpack it into `to`; return the unpacked tree."""
    to.mkdir(parents=True)
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    _run([sys.executable, "-c", code, str(to)], cwd=tree)
    [archive] = to.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(to, filter="data")
    [unpacked] = [path for path in to.iterdir() if path.is_dir()]
    return unpacked


def build_wheel(tree: Path, to: Path, env: Mapping[str, str] | None = None) -> Path:
    """Build the wheel of `tree` with this environment's own setuptools and cffi; needs no network."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation"]
    _run([*pip, "--no-cache-dir", "--wheel-dir", str(to), str(tree)], cwd=tree, env=env)
    [wheel] = to.glob("lorgnette-*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel, and the dependencies of the environment that runs the tests."""

    python: Path
    lorgnette: Path

    def run(
        self, *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a command outside the source tree; standard input is empty."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**_clean_environment(cwd / "home"), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def install(wheel: Path, to: Path) -> Environment:
    """Make an environment and install `wheel` into it.

    The dependencies come from this environment by a `.pth` file. A `.pth` found on such a path is not read, so an
    editable install of the source tree does not leak in.
    """
    _run([sys.executable, "-m", "venv", "--without-pip", str(to)], cwd=to.parent)
    scripts = to / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    _run([*pip, "install", "--no-deps", "--no-index", str(wheel)], cwd=to)
    purelib = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(purelib, "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n", encoding="utf-8")
    return Environment(python, scripts / ("lorgnette.exe" if os.name == "nt" else "lorgnette"))


def _clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without what points into the source tree, and with a home of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LORGNETTE_", "XDG_")) and name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    return {**kept, "HOME": str(home), "LOCALAPPDATA": str(home), "APPDATA": str(home)}


def _run(command: list[str], cwd: Path, env: Mapping[str, str] | None = None) -> None:
    result = subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
