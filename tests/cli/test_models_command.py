"""`lorgnette models`, against a hub on this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.http import Handler, Server, serving
from tests.support.program import assert_one_sentence, invoke, run

from lorgnette.cli.assistant.engines import catalog
from lorgnette.cli.assistant.engines.catalog import MODELS, Model, RemoteFile
from lorgnette.cli.exit_codes import ExitCode

ONNX, CONFIG = b"a voice" * 1_000, b"{}"
VOICE = "en_US-test-medium"


def answer(handler: Handler) -> None:
    if handler.path == "/voices/test.onnx":
        handler.send(200, ONNX, "application/octet-stream")
    elif handler.path == "/voices/test.onnx.json":
        handler.send(200, CONFIG)
    else:
        handler.send(404, b"")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A catalog with one small voice more, and a hub that has it."""
    files = (
        RemoteFile(
            f"{VOICE}.onnx", "https://hub.invalid/voices/test.onnx", len(ONNX), hashlib.sha256(ONNX).hexdigest()
        ),
        RemoteFile(f"{VOICE}.onnx.json", "https://hub.invalid/voices/test.onnx.json"),
    )
    model = Model(VOICE, "piper", "en", "MIT; recordings of nobody", files)
    monkeypatch.setattr(catalog, "MODELS", {**MODELS, VOICE: model})
    monkeypatch.setenv("LORGNETTE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LORGNETTE_CACHE_DIR", str(tmp_path / "cache"))
    with serving(answer) as server:
        monkeypatch.setenv("LORGNETTE_MODELS_URL", server.url)
        yield server


@pytest.fixture
def placed(tmp_path: Path, hub: Server) -> Path:
    return tmp_path / "data/models/piper" / f"{VOICE}.onnx"


def test_list_tells_everything_there_is_to_know_before_a_download(hub: Server) -> None:
    lines = {line.split()[0]: line for line in invoke("models", "list").stdout.splitlines()}
    assert set(lines) == {"embedded", VOICE, *MODELS}
    assert lines["base.en"].split() == ["base.en", "whisper", "en", "145", "MB", "-", "MIT"]
    assert "used" in lines["embedded"]
    assert "research only" in lines["en_US-lessac-medium"]
    assert hub.asked == []


def test_list_as_json(hub: Server, placed: Path) -> None:
    shown = json.loads(invoke("models", "list", "--json").stdout)
    assert shown["schema"] == 1
    assert shown["folder"] == str(placed.parents[1])
    rows = {row["name"]: row for row in shown["models"]}
    assert rows["base.en"]["size_bytes"] == 145_261_783
    assert rows["base.en"]["licence"] == "MIT"
    assert rows["base.en"]["verified"] is True
    assert rows["base.en"]["present"] is rows["base.en"]["in_use"] is False
    assert rows[VOICE]["verified"] is False
    assert rows["embedded"]["present"] is rows["embedded"]["in_use"] is True
    assert {engine["role"] for engine in shown["engines"]} == {"stt", "tts"}


def test_pull_shows_size_and_licence_and_asks(hub: Server, placed: Path) -> None:
    result = invoke("models", "pull", VOICE, stdin="n\n")
    assert result.exit_code == ExitCode.FAILURE
    assert f"{VOICE}: 0.0 MB, licence: MIT; recordings of nobody" in result.stderr
    assert "Download it?" in result.stderr
    assert f"{VOICE} was not downloaded" in result.stderr
    assert hub.asked == []
    assert not placed.exists()


def test_pull_downloads_after_a_yes(hub: Server, placed: Path) -> None:
    result = invoke("models", "pull", VOICE, stdin="y\n")
    assert result.exit_code == ExitCode.OK, result.stderr
    assert result.stdout == f"{placed}\n"
    assert placed.read_bytes() == ONNX
    assert placed.with_name(f"{VOICE}.onnx.json").read_bytes() == CONFIG
    assert f"{VOICE}.onnx.json: not verified" in result.stderr
    assert f"{VOICE}.onnx: not verified" not in result.stderr
    assert invoke("models", "path", VOICE).stdout == f"{placed}\n"


def test_what_is_here_is_not_fetched_again(hub: Server, placed: Path) -> None:
    invoke("models", "pull", VOICE, "--yes")
    asked = len(hub.asked)
    again = invoke("models", "pull", VOICE, "--yes", "--offline")
    assert again.exit_code == ExitCode.OK
    assert "already here" in again.stderr
    assert len(hub.asked) == asked == 2


def test_without_an_answer_nothing_is_downloaded(hub: Server, placed: Path) -> None:
    result = invoke("models", "pull", VOICE, stdin="")
    assert result.exit_code == ExitCode.USAGE
    assert hub.asked == []


def test_offline_forbids_a_download(hub: Server) -> None:
    result = invoke("models", "pull", VOICE, "--yes", "--offline")
    assert result.exit_code == ExitCode.OFFLINE
    assert_one_sentence(result.stderr)
    assert hub.asked == []


def test_an_unknown_name_stops_everything_before_the_first_download(hub: Server) -> None:
    result = invoke("models", "pull", VOICE, "bas.en", "--yes")
    assert result.exit_code != ExitCode.OK
    assert "did you mean base.en?" in result.stderr
    assert hub.asked == []


@pytest.mark.parametrize("command", [("pull", "--yes"), ("path",), ("rm", "--yes")])
def test_an_unknown_name_is_an_error_of_the_command_line(hub: Server, command: tuple[str, ...]) -> None:
    result = invoke("models", *command, "bas.en")
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)
    assert "there is no model 'bas.en'" in result.stderr


def test_what_is_built_in_needs_no_download(hub: Server) -> None:
    result = invoke("models", "pull", "embedded")
    assert result.exit_code == ExitCode.OK
    assert result.stderr == "embedded is built in: there is nothing to download\n"
    assert hub.asked == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to, not even root")
def test_a_folder_that_cannot_be_made_is_no_full_disk(hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_DATA_DIR", "/proc/x")
    result = invoke("models", "pull", VOICE, "--yes")
    assert result.exit_code == ExitCode.FAILURE
    assert "cannot write /proc/x" in result.stderr
    assert "disk space" not in result.stderr
    assert "name another folder in LORGNETTE_DATA_DIR" in result.stderr


def test_a_damaged_download_is_one_sentence(hub: Server, placed: Path) -> None:
    hub.answer = lambda handler: handler.send(200, ONNX[:-1] + b"?")
    result = invoke("models", "pull", VOICE, "--yes")
    assert result.exit_code == ExitCode.NETWORK
    assert "its checksum is wrong" in result.stderr
    assert not placed.exists()


def test_an_unreachable_hub_is_one_sentence(tmp_path: Path) -> None:
    """The whole program, as a user runs it."""
    env = {"LORGNETTE_DATA_DIR": str(tmp_path), "LORGNETTE_MODELS_URL": "http://127.0.0.1:9"}
    done = run("models", "pull", "tiny.en", "--yes", env=env)
    assert done.returncode == ExitCode.NETWORK
    lines = done.stderr.decode().splitlines()
    assert lines[0] == "tiny.en: 76 MB, licence: MIT"
    assert_one_sentence("\n".join(lines[2:]))
    assert lines[2] == "lorgnette: 127.0.0.1:9 cannot be reached: connection refused"
    assert list(tmp_path.rglob("*.pt")) == []


def test_path_of_the_folder_and_of_what_is_not_here(placed: Path) -> None:
    assert invoke("models", "path").stdout == f"{placed.parents[1]}\n"
    assert Path(invoke("models", "path", "embedded").stdout.strip()).is_file()
    result = invoke("models", "path", VOICE)
    assert result.exit_code == ExitCode.FAILURE
    assert "lorgnette models pull" in result.stderr


def test_rm_asks_and_deletes_with_what_was_made_of_it(hub: Server, placed: Path) -> None:
    invoke("models", "pull", VOICE, "--yes")
    left = placed.with_name(f"{VOICE}.onnx.json.part")
    left.touch()
    kept = invoke("models", "rm", VOICE, stdin="n\n")
    assert kept.exit_code == ExitCode.FAILURE
    assert placed.exists()
    assert invoke("models", "rm", VOICE, stdin="y\n").exit_code == ExitCode.OK
    assert list(placed.parent.iterdir()) == []
    assert "is not here" in invoke("models", "rm", VOICE, "--yes").stderr


def test_rm_of_weights_takes_their_converted_copy_along(hub: Server, tmp_path: Path) -> None:
    [weights] = catalog.local_paths(MODELS["tiny.en"])
    weights.parent.mkdir(parents=True)
    weights.touch()
    copies = tmp_path / "cache/whisper-ct2"
    (copies / "tiny.en-0123").mkdir(parents=True)
    (copies / "tiny-0123").mkdir()
    assert invoke("models", "rm", "tiny.en", "--yes").exit_code == ExitCode.OK
    assert [path.name for path in copies.iterdir()] == ["tiny-0123"]


def test_the_embedded_recogniser_stays() -> None:
    result = invoke("models", "rm", "embedded", "--yes")
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)


def test_a_settings_problem_does_not_hide_the_list(hub: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_STT_MODEL", "base.en")
    result = invoke("models", "list")
    assert result.exit_code == ExitCode.OK
    assert "lorgnette: the Whisper model base.en is not downloaded" in result.stderr
    assert "tiny.en" in result.stdout


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False)


def test_a_terminal_gets_a_progress_bar(hub: Server, placed: Path, on_terminal: Callable[[], None]) -> None:
    on_terminal()
    result = invoke("models", "pull", VOICE, "--yes")
    assert result.exit_code == ExitCode.OK, result.output
    assert "100%" in result.stderr
    assert placed.read_bytes() == ONNX
