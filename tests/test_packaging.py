"""The distribution: what the wheel holds, and that the product runs from it where no source tree is."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from pathlib import Path

import pytest

from lorgnette.cli.exit_codes import ExitCode

from .support.wheel import ROOT, Environment, build_sdist, build_wheel, copy_tree, install

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["setuptools"]["packages"]
FOLDERS = ("cli", "firmware_bridge", "hardware")
SOURCE_ONLY = {
    "lorgnette/firmware_bridge/core_build.py",
    "lorgnette/firmware_bridge/generate.py",
    "lorgnette/hardware/boards/document.py",
    "lorgnette/hardware/boards/generate.py",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the unpacked source archive, so that an archive with a file missing shows as well."""
    folder = tmp_path_factory.mktemp("distribution")
    tree = build_sdist(copy_tree(folder / "tree"), folder / "sdist")
    return build_wheel(tree, folder / "wheel")


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(wheel, tmp_path_factory.mktemp("installed") / "venv")


def package_folders() -> dict[str, Path]:
    """Import name -> folder of every package in the tree; the recipe that makes the embedded model is none."""
    found = {}
    for folder in FOLDERS:
        for marker in (ROOT / folder).rglob("__init__.py"):
            relative = marker.parent.relative_to(ROOT)
            if "recipe" not in relative.parts:
                found[".".join(("lorgnette", *relative.parts))] = marker.parent
    return found


def test_every_package_of_the_tree_is_listed() -> None:
    assert sorted(package_folders()) == sorted(PACKAGES)


def test_lorgnette_is_the_only_top_level_name(names: set[str]) -> None:
    tops = {name.split("/", 1)[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lorgnette"}


def test_every_module_is_there_and_nothing_that_makes_modules(names: set[str]) -> None:
    expected = {
        f"lorgnette/{path.relative_to(ROOT).as_posix()}"
        for folder in package_folders().values()
        for path in folder.glob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == expected - SOURCE_ONLY


def test_the_data_is_there(names: set[str]) -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    missing = []
    for package, globs in patterns.items():
        if package == "*":
            continue
        folder = package_folders()[package]
        for pattern in globs:
            files = {f"lorgnette/{path.relative_to(ROOT).as_posix()}" for path in folder.glob(pattern)}
            if not files or not files <= names:
                missing.append(f"{package}: {pattern}")
    assert not missing
    for folder in FOLDERS:
        assert f"lorgnette/{folder}/py.typed" in names


def test_the_core_is_compiled_in_for_every_later_python(wheel: Path, names: set[str]) -> None:
    assert [name for name in names if re.fullmatch(r"lorgnette/firmware_bridge/_core\.(abi3\.so|pyd)", name)]
    assert "-cp311-abi3-" in wheel.name


def test_no_source_of_the_core_no_test_and_no_recipe(names: set[str]) -> None:
    assert not [name for name in names if name.endswith((".c", ".h", ".toml")) and "/boards/" not in name]
    assert not [name for name in names if "/recipe/" in name or "/tests/" in name]


def test_both_licences_are_there(names: set[str]) -> None:
    licences = {name.split("/licenses/")[1] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "hardware/LICENSE"}


def test_requirements_match_the_project() -> None:
    """The torch-free list of the tests drifts from pyproject.toml otherwise."""
    lines = (ROOT / "tests/requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {line.lower() for line in lines if line and not line.startswith("#")}
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    needed = {*project["dependencies"], *extras["fast"], *extras["audio"], *extras["flash"]}
    needed = {requirement.lower() for requirement in needed if not requirement.startswith("openai-whisper")}
    assert needed <= listed
    assert not [line for line in listed if line.startswith(("torch", "openai-whisper"))]


def test_the_version_is_the_installed_one(installed: Environment, tmp_path: Path) -> None:
    result = installed.run(installed.lorgnette, "--version", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert PROJECT["project"]["version"] in result.stdout


def test_the_demo_runs_outside_the_source_tree(installed: Environment, tmp_path: Path) -> None:
    where = installed.run(
        installed.python, "-c", "import lorgnette.cli.main as m; print(m.__file__)", cwd=tmp_path
    ).stdout.strip()
    assert Path(where).is_relative_to(installed.python.parents[1])
    result = installed.run(installed.lorgnette, "demo", "--json", "-o", tmp_path / "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    demo = json.loads(result.stdout)
    assert len(demo["turns"]) >= 5
    assert len(demo["rejected"]) >= 1
    assert (tmp_path / "out/report.html").stat().st_size > 0


def test_without_a_compiler_the_install_succeeds_and_says_so_when_it_matters(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree")
    wheel = build_wheel(tree, tmp_path / "wheel", env={"CC": "no-such-compiler"})
    environment = install(wheel, tmp_path / "venv")
    assert environment.run(environment.lorgnette, "--help", cwd=tmp_path).returncode == 0
    result = environment.run(environment.lorgnette, "demo", cwd=tmp_path)
    assert result.returncode == ExitCode.NO_SIMULATOR, result.stderr
    assert "Traceback" not in result.stderr
    assert "compiler" in result.stderr or "core" in result.stderr
