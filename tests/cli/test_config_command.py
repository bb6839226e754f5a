"""`lorgnette config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.program import assert_one_sentence, invoke

from lorgnette.cli.exit_codes import ExitCode
from lorgnette.cli.settings import KEYS


def test_path_names_the_file_and_that_it_is_not_there(config_file: Path) -> None:
    result = invoke("config", "path")
    assert result.stdout == f"{config_file}\n"
    assert "no file yet" in result.stderr


def test_show_prints_each_value_with_its_origin(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_file.write_text("[tts]\nvoice = 'en-gb'\n", encoding="utf-8")
    monkeypatch.setenv("LORGNETTE_BAUD", "115200")
    lines = {line.split()[0]: line.split()[1:] for line in invoke("config", "show").stdout.splitlines()}
    assert list(lines) == list(KEYS)
    assert lines["tts.voice"] == ["en-gb", "file", f"{config_file}:2"]
    assert lines["baud"] == ["115200", "environment", "LORGNETTE_BAUD"]
    assert lines["language"] == ["en", "default"]


def test_show_as_json(config_file: Path) -> None:
    config_file.write_text("[tts]\nvoice = 'en-gb'\n", encoding="utf-8")
    shown = json.loads(invoke("config", "show", "--json").stdout)
    assert shown["schema"] == 1
    assert shown["settings"]["tts.voice"] == {"value": "en-gb", "origin": "file", "where": f"{config_file}:2"}
    assert set(shown["settings"]) == set(KEYS)


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--all",)])
def test_a_secret_is_never_shown(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_LLM_API_KEY", "sesame-open")
    result = invoke("config", "show", *arguments)
    assert result.exit_code == 0
    assert "sesame" not in result.output
    assert "set, not shown" in result.output


def test_show_names_a_mistyped_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_STT_ENGIN", "whisper")
    assert (
        "LORGNETTE_STT_ENGIN means nothing here; did you mean LORGNETTE_STT_ENGINE?" in invoke("config", "show").stderr
    )


def test_set_writes_and_says_what_wins(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke("config", "set", "tts.engine", "espeak")
    assert result.stdout == "tts.engine = espeak\n"
    assert config_file.read_text(encoding="utf-8") == '[tts]\nengine = "espeak"\n'
    monkeypatch.setenv("LORGNETTE_TTS_ENGINE", "piper")
    assert "LORGNETTE_TTS_ENGINE is set and still wins" in invoke("config", "set", "tts.engine", "auto").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tts.engin", "espeak"), "did you mean 'tts.engine'?"),
        (("tts.engine", "festival"), "must be one of auto, piper, espeak"),
        (("baud", "fast"), "must be a whole number"),
        (("llm.api_key", "x"), "is a secret"),
        (("tts", "x"), "is a table"),
    ],
)
def test_set_refuses_what_is_not_valid(config_file: Path, arguments: tuple[str, str], says: str) -> None:
    result = invoke("config", "set", *arguments)
    assert result.exit_code == ExitCode.CONFIG
    assert_one_sentence(result.stderr)
    assert says in result.stderr
    assert not config_file.exists()


def test_a_malformed_file_stops_every_command_that_reads_it(config_file: Path) -> None:
    config_file.write_text("port = \x1b[2J", encoding="utf-8")
    for command in (("config", "show"), ("config", "set", "port", "x")):
        result = invoke(*command)
        assert result.exit_code == ExitCode.CONFIG
        assert_one_sentence(result.stderr)
        assert "\x1b" not in result.output
