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
        (("llm.base_url", "localhost:11434"), "must be an address such as http://"),
        (("llm.base_url", "ftp://host/v1"), "must be an address such as http://"),
        (("llm.base_url", "http://"), "must be an address such as http://"),
        (("llm.base_url", "http://host:99999/v1"), "must be an address such as http://"),
        (("llm.base_url", "http://ho st/v1"), "must be an address such as http://"),
        (("llm.base_url", "http://host/\x1b[2J"), "must not hold control characters"),
        (("audio.mic", ""), "audio.mic must not be empty"),
        (("audio.speaker", " "), "audio.speaker must not be empty"),
        (("audio.camera", ""), "audio.camera must not be empty"),
        (("port", "sim://\n"), "must not hold control characters"),
        (("tts.voice", "en\x85"), "must not hold control characters"),
        (("hooks.on_turn", '["logger", "\\u0000"]'), "must not hold control characters"),
    ],
)
def test_set_refuses_what_is_not_valid(config_file: Path, arguments: tuple[str, str], says: str) -> None:
    result = invoke("config", "set", *arguments)
    assert result.exit_code == ExitCode.CONFIG
    assert_one_sentence(result.stderr)
    assert says in result.stderr
    assert not config_file.exists()


def test_a_hook_may_be_a_script_of_several_lines(config_file: Path) -> None:
    assert invoke("config", "set", "hooks.on_turn", '["sh", "-c", "date\\n\\tls"]').exit_code == 0


def test_a_malformed_file_stops_every_command_that_reads_it(config_file: Path) -> None:
    config_file.write_text("port = \x1b[2J", encoding="utf-8")
    for command in (("config", "show"), ("config", "set", "port", "x")):
        result = invoke(*command)
        assert result.exit_code == ExitCode.CONFIG
        assert_one_sentence(result.stderr)
        assert "\x1b" not in result.output


def test_a_contradiction_is_not_written(config_file: Path) -> None:
    for text in ("", "[endpointing]\nstop_threshold = 0.3\n"):
        config_file.write_text(text, encoding="utf-8")
        result = invoke("config", "set", "endpointing.start_threshold", "0.1")
        assert result.exit_code == ExitCode.CONFIG
        assert_one_sentence(result.stderr)
        assert "stop_threshold <= start_threshold" in result.stderr
        assert "nothing was written" in result.stderr
        assert result.stdout == ""
        assert config_file.read_text(encoding="utf-8") == text
    assert invoke("config", "set", "endpointing.stop_threshold", "0.05").exit_code == 0
    assert invoke("config", "set", "endpointing.start_threshold", "0.1").exit_code == 0


def test_show_shows_a_contradicting_file_and_set_repairs_it(config_file: Path) -> None:
    config_file.write_text("[endpointing]\nstart_threshold = 0.1\n", encoding="utf-8")
    shown = invoke("config", "show")
    assert shown.exit_code == ExitCode.CONFIG
    assert_one_sentence(shown.stderr)
    assert "config show" not in shown.stderr  # the remedy must not lead back here
    lines = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert lines["endpointing.start_threshold"].split()[1:] == ["0.1", "file", f"{config_file}:2"]
    assert "stop_threshold <= start_threshold" in lines["endpointing"]
    assert set(KEYS) <= set(lines)
    assert invoke("config", "set", "endpointing.start_threshold", "0.6").exit_code == 0
    assert invoke("config", "show").exit_code == 0


def test_show_shows_what_is_wrong_beside_what_is_right(config_file: Path) -> None:
    config_file.write_text(
        "prot = 'x'\nbaud = 'fast'\n[tts]\nvoice = 'en-gb'\n[llm]\napi_key = 'sesame'\n", encoding="utf-8"
    )
    shown = invoke("config", "show")
    assert shown.exit_code == ExitCode.CONFIG
    assert_one_sentence(shown.stderr)
    assert "sesame" not in shown.output
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["tts.voice", "en-gb", "file", f"{config_file}:4"] in lines
    place = lines.index(["baud", "fast", "file", f"{config_file}:2"])
    assert lines[place + 1][:1] == ["!"]
    assert "whole number" in " ".join(lines[place + 1])
    assert any(line[:2] == ["prot", "!"] for line in lines)
    as_json = invoke("config", "show", "--json")
    assert as_json.exit_code == ExitCode.CONFIG
    assert [problem["name"] for problem in json.loads(as_json.stdout)["problems"]] == ["prot", "baud", "llm.api_key"]


def test_one_of_two_errors_can_be_repaired_alone(config_file: Path) -> None:
    config_file.write_text("prot = 'x'\nbaud = 'fast'\n", encoding="utf-8")
    result = invoke("config", "set", "baud", "9600")
    assert result.exit_code == 0
    assert "there is still an error elsewhere" in result.stderr
    assert config_file.read_text(encoding="utf-8") == "prot = 'x'\nbaud = 9600\n"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to, not even root")
def test_a_file_that_cannot_be_written_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_CONFIG", "/proc/a")
    result = invoke("config", "set", "port", "sim://")
    assert result.exit_code == ExitCode.FAILURE
    assert_one_sentence(result.stderr)
    assert "/proc/a:" in result.stderr
