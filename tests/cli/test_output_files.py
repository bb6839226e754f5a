"""Options that name a file to write: each its own, a name at all, and standard output only for results."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.support.program import assert_one_sentence, invoke

from lorgnette.cli.exit_codes import ExitCode

SAME = [
    ["frame", "photo", "-o", "X", "--capture", "X"],
    ["frame", "photo", "--capture", "X", "-o", "./X"],
    ["frame", "record", "-o", "X", "--capture", "X", "--seconds", "1"],
    ["conformance", "--json", "X", "--capture", "X"],
    ["frame", "info", "--capture", "X", "--log-file", "X"],
    ["frame", "info", "--log-file", "X", "--capture", "X"],
    ["conformance", "--log-file", "X", "--json", "X"],
    ["speak", "hello", "-o", "X", "--capture", "X"],
    ["ask", "take a photo", "-o", "X", "--log-file", "X"],
]


@pytest.mark.parametrize("args", SAME, ids=" ".join)
def test_two_outputs_in_one_file_are_refused_before_anything_is_written(
    args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*args, "-p", "sim://")
    assert result.exit_code == ExitCode.USAGE
    assert "names the same file; give each its own" in result.stderr
    assert_one_sentence(result.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links")
@pytest.mark.parametrize("hard", [False, True])
def test_a_link_is_the_file_that_it_names(hard: bool, tmp_path: Path) -> None:
    (tmp_path / "X").write_text("kept")
    if hard:
        (tmp_path / "Y").hardlink_to(tmp_path / "X")
    else:
        (tmp_path / "Y").symlink_to("X")
    result = invoke("frame", "photo", "-o", str(tmp_path / "X"), "--capture", str(tmp_path / "Y"), "-p", "sim://")
    assert result.exit_code == ExitCode.USAGE
    assert (tmp_path / "X").read_text() == "kept"


def test_each_its_own_is_taken(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("photo", "capture", "log")]
    result = invoke("frame", "photo", "-p", "sim://", "-o", names[0], "--capture", names[1], "--log-file", names[2])
    assert result.exit_code == ExitCode.OK, result.stderr
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="/dev/null")
def test_what_keeps_nothing_may_be_named_twice() -> None:
    result = invoke("frame", "photo", "-p", "sim://", "-o", "/dev/null", "--log-file", "/dev/null")
    assert result.exit_code == ExitCode.OK, result.stderr


@pytest.mark.parametrize("option", ["--out", "--capture", "--log-file"])
def test_an_empty_name_is_told(option: str, tmp_path: Path) -> None:
    args = ["-o", str(tmp_path / "photo")] if option != "--out" else []
    result = invoke("frame", "photo", "-p", "sim://", *args, option, "")
    assert result.exit_code == ExitCode.USAGE
    assert "an empty name names no file" in result.stderr


@pytest.mark.parametrize("option", ["--capture", "--log-file"])
def test_standard_output_is_for_results(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("frame", "info", "-p", "sim://", option, "-")
    assert result.exit_code == ExitCode.USAGE
    assert "standard output is for results: name a file" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", [["photo"], ["record", "--seconds", "1"]])
def test_a_result_and_its_description_do_not_share_standard_output(what: list[str]) -> None:
    result = invoke("frame", *what, "-p", "sim://", "-o", "-", "--json")
    assert result.exit_code == ExitCode.USAGE
    assert "--json and -o - both want standard output" in result.stderr
    assert result.stdout == ""
