"""Settings: every source, every error, and writes that leave the rest of the file alone."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.program import invoke

from lorgnette.cli.assistant.endpointing import EndpointingSettings
from lorgnette.cli.config import Origin, config_path, load, save
from lorgnette.cli.config_file import assignments, line_of, literal_of, with_value
from lorgnette.cli.errors import ConfigError
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.cli.settings import KEYS, get

FILE = """\
# my glasses
port = "sim://"  # no board yet

# the ear
[stt]
engine = "whisper"   # not the fast one
threads = 2

[hooks]
on_turn = [
    "logger",  # a [comment]
    "-t", "lorgnette",
]
"""


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def test_without_any_source_everything_is_default(config_file: Path) -> None:
    loaded = load()
    assert loaded.path == config_file
    assert {name: get(loaded.settings, name) for name in KEYS} == {name: key.default for name, key in KEYS.items()}
    assert set(loaded.origins.values()) == {Origin("default")}
    assert loaded.settings.endpointing == EndpointingSettings()


def test_defaults_pass_their_own_checks() -> None:
    for key in KEYS.values():
        assert key.check(key.default) == key.default


def test_option_beats_environment_beats_file(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(config_file, FILE)
    monkeypatch.setenv("LORGNETTE_STT_THREADS", "3")
    loaded = load({"port": "COM5", "baud": None})
    assert loaded.settings.port == "COM5"
    assert loaded.origins["port"] == Origin("option")
    assert loaded.settings.stt.threads == 3
    assert loaded.origins["stt.threads"] == Origin("environment", "LORGNETTE_STT_THREADS")
    assert loaded.settings.stt.engine == "whisper"
    assert loaded.origins["stt.engine"] == Origin("file", f"{config_file}:6")
    assert loaded.settings.hooks.on_turn == ("logger", "-t", "lorgnette")
    assert loaded.origins["baud"] == Origin("default")


@pytest.mark.parametrize(
    ("text", "says", "remedy"),
    [
        ("prot = 'sim://'", ":1: there is no setting 'prot'", "did you mean 'port'?"),
        ("[stt]\n\nengin = 'whisper'", ":3: there is no setting 'stt.engin'", "did you mean 'stt.engine'?"),
        ("[sst]\nengine = 'whisper'", ":2: there is no setting 'sst.engine'", "did you mean 'stt.engine'?"),
        ("[stt]\nengine = 'whispr'", ":2: stt.engine must be one of auto, whisper", "did you mean 'whisper'?"),
        ("baud = 'fast'", ":1: baud must be a whole number, not a string", ""),
        ("baud = 1", ":1: baud must lie between 1200 and", ""),
        ("baud = true", ":1: baud must be a whole number, not true or false", ""),
        ("stt = 3", ":1: 'stt' is a table, not a value", "stt.engine"),
        ("[[stt]]\nengine = 'auto'", "'stt' is a table", ""),
        ("[port]\nx = 1", "there is no setting 'port.x'", ""),
        ("[llm]\ntimeout_s = nan", ":2: llm.timeout_s must lie between", ""),
        ("[hooks]\non_turn = 'x'", ":2: hooks.on_turn must be a list of strings", ""),
        ("[hooks]\non_turn = [1]", ":2: hooks.on_turn must be a list of strings", ""),
        ("[llm]\napi_key = 'x'", ":2: llm.api_key is a secret", "LORGNETTE_LLM_API_KEY"),
        ("[endpointing]\nstart_threshold = 0.2", "stop_threshold <= start_threshold", "config show"),
        ("port = ", ":1 is no valid TOML: invalid value", "edit "),
        ("[stt\n", ":1 is no valid TOML", "edit "),
        ("port = 'a'\nport = 'b'", "is no valid TOML: cannot overwrite a value", "edit "),
        ("[nothing]\n", "there is no setting 'nothing'", ""),
    ],
)
def test_each_error_names_line_key_and_nearest_word(config_file: Path, text: str, says: str, remedy: str) -> None:
    write(config_file, text)
    with pytest.raises(ConfigError) as raised:
        load()
    assert says in str(raised.value)
    assert remedy in raised.value.remedy


def test_a_file_that_is_no_text_is_named(config_file: Path) -> None:
    config_file.write_bytes(b"port = 'a'\nx = '\xff'\n")
    with pytest.raises(ConfigError, match=":2 is not UTF-8"):
        load()
    config_file.unlink()
    config_file.mkdir()
    with pytest.raises(ConfigError, match="cannot read"):
        load()


def test_an_empty_table_and_a_byte_order_mark_are_fine(config_file: Path) -> None:
    config_file.write_bytes(b"\xef\xbb\xbf[stt]\n")
    assert load().settings.stt.engine == "auto"


def test_a_wrong_variable_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_BAUD", "fast")
    with pytest.raises(ConfigError, match=r"^LORGNETTE_BAUD: baud must be a whole number"):
        load()


def test_a_list_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_HOOKS_ON_TURN", "logger -t 'my glasses'")
    assert load().settings.hooks.on_turn == ("logger", "-t", "my glasses")
    monkeypatch.setenv("LORGNETTE_HOOKS_ON_TURN", '["logger", "a b"]')
    assert load().settings.hooks.on_turn == ("logger", "a b")


def test_the_key_of_the_model_server(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = config_file.parent / "llm-api-key"
    secret.write_text("from-file\n", encoding="utf-8")
    secret.chmod(0o600)
    loaded = load()
    assert loaded.settings.llm.api_key == "from-file"
    assert "from-file" not in repr(loaded)
    monkeypatch.setenv("LORGNETTE_LLM_API_KEY", "from-env")
    assert load().settings.llm.api_key == "from-env"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_a_key_that_others_may_read_is_refused(config_file: Path) -> None:
    secret = config_file.parent / "llm-api-key"
    secret.write_text("x", encoding="utf-8")
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read it") as raised:
        load()
    assert raised.value.remedy.startswith("chmod 600")


def test_the_path_without_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LORGNETTE_CONFIG")
    assert config_path().name == "config.toml"
    assert config_path().parent.name == "lorgnette"


def test_saving_keeps_comments_and_order(config_file: Path) -> None:
    write(config_file, FILE)
    save(
        {"port": "COM5", "stt.engine": "auto", "stt.model": "base.en", "hooks.on_turn": ("x",), "baud": 9600},
        config_file,
    )
    assert config_file.read_text(encoding="utf-8") == (
        """\
# my glasses
port = "COM5"  # no board yet
baud = 9600

# the ear
[stt]
engine = "auto"   # not the fast one
threads = 2
model = "base.en"

[hooks]
on_turn = ["x"]
"""
    )


def test_saving_makes_folder_and_file_and_keeps_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "deep" / "link.toml"
    save({"llm.model": "m"}, link)
    assert link.read_text(encoding="utf-8") == '[llm]\nmodel = "m"\n'
    link.replace(real)
    link.symlink_to(real)
    real.chmod(0o600)
    save({"llm.model": "n"}, link)
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == '[llm]\nmodel = "n"\n'
    if os.name == "posix":
        assert real.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "link.toml", "real.toml"]


@pytest.mark.parametrize("text", ["stt = {engine = 'auto'}\n", "[stt]\nengine = 'auto'\n[[bad"])
def test_what_cannot_be_edited_safely_is_left_alone(config_file: Path, text: str) -> None:
    write(config_file, text)
    with pytest.raises(ConfigError):
        save({"stt.engine": "whisper"}, config_file)
    assert config_file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "[stt]\nengine = 'auto'",
        "stt.engine = 'auto'\n",
        "\"stt\".'engine' = 'auto'\n",
        "[ stt ] # ear\nengine='auto'#x\n",
        "port = '''\n[stt]\nengine = 1\n'''\n[stt]\nengine = \"a\\\"uto\" # x\n",
        "[stt]\r\nengine = 'auto'\r\n\r\n[tts]\r\nvoice = 'x'\r\n",
        "[hooks]\non_turn = [\n 'a', # ]\n '''b\n]''',\n]\n# end\n[stt]\nthreads = 1",
    ],
)
def test_every_way_of_writing_can_be_edited(text: str) -> None:
    before = tomllib.loads(text)
    changed = tomllib.loads(with_value(text, "stt.engine", '"whisper"'))
    before.setdefault("stt", {})["engine"] = "whisper"
    assert changed == before
    for line in text.splitlines():
        if "#" in line and "engine" not in line:
            assert line in with_value(text, "stt.engine", '"whisper"')


@given(st.one_of(st.text(), st.integers(), st.booleans(), st.lists(st.text())))
def test_every_value_survives_writing_and_reading(value: object) -> None:
    text = with_value(FILE, "llm.model", literal_of(value))
    assert tomllib.loads(text)["llm"]["model"] == value


@given(st.text(alphabet="[]{}=\"'#\\\n\r. abstt,0", max_size=60))
def test_no_text_confuses_the_finder(text: str) -> None:
    for found in assignments(text):
        assert 0 <= found.start <= found.end <= len(text)
    line_of(text, "stt.engine")


def test_the_languages_are_those_with_templates() -> None:
    folder = Path(__file__).parents[2] / "cli" / "assistant" / "templates"
    assert sorted(KEYS["language"].choices) == sorted(path.stem for path in folder.glob("*.yaml"))


def test_a_password_in_an_address_is_refused_and_not_repeated(config_file: Path) -> None:
    result = invoke("config", "set", "llm.base_url", "http://me:sekret@localhost/v1")
    assert result.exit_code == ExitCode.CONFIG
    assert "sekret" not in result.output and "LORGNETTE_LLM_API_KEY" in result.stderr
    shown = invoke("config", "show")
    assert "sekret" not in shown.output
