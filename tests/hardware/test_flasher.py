"""What a release would publish: images, their sums, manifests and the page; and the workflow that makes them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.firmware_build import APP, PIECES, image, make_build

from lorgnette.hardware.boards import boards
from lorgnette.hardware.image import read_image

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github/workflows"
BOARDS = [board.id for board in boards()]
LABEL = "not yet run on a board"


def workflow(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def make_page(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hardware.flasher.make_page", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("builds")
    made = []
    for name in (f"{board}-idf5.5.5" for board in BOARDS):
        make_build(folder / "project").rename(folder / name)
        made.append(folder / name)
    return made


@pytest.fixture(scope="module")
def site(builds: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "page"
    done = make_page("--version", "v1.2.3", "--out", out, *builds)
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.mark.parametrize("board", BOARDS)
def test_each_manifest_names_the_pieces_and_where_they_go(board: str, site: Path) -> None:
    manifest = json.loads((site / f"{board}-idf5.5.5.json").read_text(encoding="utf-8"))
    assert LABEL in manifest["name"]
    assert manifest["version"] == "v1.2.3"
    [build] = manifest["builds"]
    assert build["chipFamily"] == "ESP32-S3"
    assert [part["offset"] for part in build["parts"]] == [int(offset, 16) for offset in PIECES]
    for part, name in zip(build["parts"], PIECES.values(), strict=True):
        assert (site / part["path"]).name == Path(name).name
        assert (site / part["path"]).stat().st_size > 90
    assert (site / build["parts"][2]["path"]).read_bytes() == image(APP)


def test_a_merged_image_holds_every_piece_and_can_be_flashed(builds: list[Path], site: Path) -> None:
    for build in builds:
        path = site / f"lorgnette-frame-v1.2.3-{build.name}.bin"
        merged = path.read_bytes()
        for segment in read_image(build):
            assert merged[segment.offset :].startswith(segment.path.read_bytes())
        [whole] = read_image(path)
        assert whole.offset == 0


def test_the_sums_are_those_of_the_images(site: Path) -> None:
    lines = [line.split("  ") for line in (site / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    assert {name for _, name in lines} == {path.name for path in site.glob("*.bin")}
    for digest, name in lines:
        assert hashlib.sha256((site / name).read_bytes()).hexdigest() == digest


def test_the_page_has_a_button_per_build_and_says_what_nobody_knows(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert LABEL in page.lower() and "v1.2.3" in page
    assert re.findall(r'manifest="([^"]+)"', page) == [f"{board}-idf5.5.5.json" for board in BOARDS]
    for target in re.findall(r'(?:href|manifest)="([^":]+)"', page):
        assert (site / target).is_file(), target
    assert "$" not in page
    assert re.search(r"esp-web-tools@\d+\.\d+\.\d+/", page), "a version that stays what it is"


@pytest.mark.parametrize("wrong", ["toaster-idf5.5.5", "xiao_esp32s3_sense", "nothing"])
def test_what_is_no_build_of_a_board_is_refused(wrong: str, builds: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / wrong
    if wrong != "nothing":
        shutil.copytree(builds[0], folder)
    done = make_page("--version", "v1", "--out", tmp_path / "out", folder)
    assert done.returncode == 1
    assert done.stderr.startswith("make_page: ") and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_version_that_would_leave_the_folder_is_refused(builds: list[Path], tmp_path: Path) -> None:
    assert make_page("--version", "../x", "--out", tmp_path / "out", builds[0]).returncode == 2


# ---- the workflows
def test_the_release_builds_every_board_with_both_versions() -> None:
    job = workflow("release.yml")["jobs"]["firmware"]
    matrix = job["strategy"]["matrix"]
    assert sorted(matrix["board"]) == BOARDS
    assert job["container"] == "espressif/idf:v${{ matrix.idf }}"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in matrix["idf"]), "a version that stays what it is"
    assert [version.rpartition(".")[0] for version in matrix["idf"]] == ["5.5", "6.0"]
    [command] = [step["run"] for step in job["steps"] if "run" in step]
    assert "-DBOARD=${{ matrix.board }}" in command


def test_the_release_keeps_what_a_build_s_image_is_made_of() -> None:
    [step] = [
        step
        for step in workflow("release.yml")["jobs"]["firmware"]["steps"]
        if step.get("uses", "").startswith("actions/upload-artifact")
    ]
    assert step["with"]["name"] == "${{ matrix.board }}-idf${{ matrix.idf }}"
    kept = step["with"]["path"].split()
    assert set(kept) == {f"hardware/firmware/build/{name}" for name in ("flasher_args.json", *PIECES.values())}
    project = re.search(r"^project\((\w+)\)", (ROOT / "hardware/firmware/CMakeLists.txt").read_text(), re.MULTILINE)
    assert project is not None and f"hardware/firmware/build/{project[1]}.bin" in kept


def test_the_release_makes_the_page_as_it_is_made_here_and_publishes_only_tags() -> None:
    jobs = workflow("release.yml")["jobs"]
    commands = [step.get("run", "") for step in jobs["images"]["steps"]]
    assert any("python -m hardware.flasher.make_page --version" in c and "--out page builds/*" in c for c in commands)
    assert "startsWith(github.ref, 'refs/tags/v')" in jobs["publish"]["if"]
    [publish] = [step["run"] for step in jobs["publish"]["steps"] if "run" in step]
    assert publish.count(LABEL) == 2
    assert "permissions" not in jobs["firmware"] and workflow("release.yml")["permissions"] == {"contents": "read"}


def test_the_gate_of_every_push_is_the_one_script() -> None:
    job = workflow("ci.yml")["jobs"]["gate"]
    assert job["container"] == "debian:bookworm"
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o100
