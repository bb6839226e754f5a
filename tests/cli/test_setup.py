"""`lorgnette setup`: by options, by a person at a terminal, and never a byte downloaded unasked."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import pytest
from tests.support.program import COMMAND, assert_one_sentence, invoke

from lorgnette.cli.assistant.engines import catalog, download
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge import discovery
from lorgnette.firmware_bridge.discovery import PortInfo


@pytest.fixture(autouse=True)
def empty_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ports, no models, and no way to any hub."""
    monkeypatch.setattr(discovery, "list_ports", list)
    monkeypatch.setenv("LORGNETTE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LORGNETTE_MODELS_URL", "http://127.0.0.1:9")


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets downloads succeed without a network; lists what was fetched."""
    names: list[str] = []

    def fetch(file: catalog.RemoteFile, target: Path, progress: download.Progress = lambda done, total: None) -> bool:
        names.append(file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"weights")
        return True

    monkeypatch.setattr(download, "fetch", fetch)
    return names


def test_suggestions_alone_change_nothing(config_file: Path, fetched: list[str]) -> None:
    """Without a board: least of all do they choose the simulation for good."""
    result = invoke("setup", "--yes")
    assert result.exit_code == 0
    assert not config_file.exists() or not config_file.read_text(encoding="utf-8")
    assert fetched == []
    for part in ("ear", "voice", "understanding"):
        assert f"ok     {part}" in result.stderr


def test_the_simulated_frame_is_chosen_by_name(config_file: Path, fetched: list[str]) -> None:
    result = invoke("setup", "--yes", "-p", "sim://")
    assert result.exit_code == 0
    assert tomllib.loads(config_file.read_text(encoding="utf-8")) == {"port": "sim://"}
    assert fetched == []
    for part in ("ear", "voice", "understanding", "frame"):
        assert f"ok     {part}" in result.stderr
    assert result.stdout == ""


def test_what_is_configured_is_suggested_again(config_file: Path) -> None:
    text = "# mine\nport = 'sim://?battery=none'\n[tts]\nengine = 'espeak'  # small\n"
    config_file.write_text(text, encoding="utf-8")
    assert invoke("setup", "--yes").exit_code == 0
    assert config_file.read_text(encoding="utf-8") == text


def test_every_question_has_an_option(config_file: Path) -> None:
    answers = {
        "-p": "sim://",
        "--language": "en",
        "--stt": "auto",
        "-m": "embedded",
        "--tts": "espeak",
        "--voice": "en-gb",
        "--llm-url": "http://127.0.0.1:9/v1",
        "--llm-model": "small",
    }
    arguments = [word for pair in answers.items() for word in pair]
    assert invoke("setup", "--no-test", *arguments).exit_code == 0
    assert tomllib.loads(config_file.read_text(encoding="utf-8")) == {
        "port": "sim://",
        "stt": {"model": "embedded"},
        "tts": {"engine": "espeak", "voice": "en-gb"},
        "llm": {"base_url": "http://127.0.0.1:9/v1", "model": "small"},
    }


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ((), "--port"),
        (("-p", "sim://"), "--language"),
        (("-p", "sim://", "--language", "en"), "--model"),
        (("-p", "sim://", "--language", "en", "-m", "embedded"), "--stt"),
        (("-p", "sim://", "--language", "en", "-m", "embedded", "--stt", "auto"), "--voice"),
    ],
)
def test_without_a_terminal_the_missing_option_is_named(
    config_file: Path, given: tuple[str, ...], missing: str
) -> None:
    result = invoke("setup", *given)
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)
    assert missing in result.stderr
    assert not config_file.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--stt", "sphinx"),
        ("--tts", "festival"),
        ("--language", "tlh"),
    ],
)
def test_an_answer_that_is_none(config_file: Path, arguments: tuple[str, str]) -> None:
    result = invoke("setup", "--yes", *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)
    assert arguments[1] in result.stderr
    assert not config_file.exists()


def test_an_address_that_is_none_is_refused_untested(config_file: Path) -> None:
    for address in ("localhost:11434", "ftp://host/v1", "http://"):
        result = invoke("setup", "--yes", "--no-test", "--llm-url", address, "--llm-model", "m")
        assert result.exit_code == ExitCode.USAGE
        assert_one_sentence(result.stderr)
        assert "llm.base_url must be an address such as http://" in result.stderr
    assert not config_file.exists()


@pytest.mark.parametrize("url", [("--llm-url", "none"), ()])
def test_a_model_without_a_server_is_not_dropped_in_silence(config_file: Path, url: tuple[str, ...]) -> None:
    result = invoke("setup", "--yes", "--no-test", "--llm-model", "qwen3", *url)
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)
    assert "--llm-model qwen3 is of no use without a server" in result.stderr
    assert not config_file.exists()


def test_a_dry_run_says_size_and_licence_and_does_nothing(config_file: Path, fetched: list[str]) -> None:
    result = invoke("setup", "--yes", "--dry-run", "-m", "base.en", "--voice", "en_US-ljspeech-medium")
    assert result.exit_code == 0
    assert "base.en" in result.stderr
    assert "145 MB, licence: MIT" in result.stderr
    assert "public domain" in result.stderr
    assert fetched == []
    assert not config_file.exists()


def test_a_download_needs_a_yes(config_file: Path, fetched: list[str]) -> None:
    answers = ("-p", "sim://", "--language", "en", "--stt", "auto", "--tts", "auto", "--voice", "auto")
    result = invoke("setup", *answers, "--llm-url", "none", "-m", "base.en")
    assert result.exit_code == ExitCode.USAGE
    assert "--yes" in result.stderr
    assert fetched == []
    assert not config_file.exists()


def test_with_a_yes_the_download_is_announced_and_done(config_file: Path, fetched: list[str]) -> None:
    result = invoke("setup", "--yes", "--no-test", "-m", "base.en")
    assert result.exit_code == 0
    assert fetched == ["base.en.pt"]
    assert result.stderr.index("145 MB") < result.stderr.index("Written")
    assert tomllib.loads(config_file.read_text(encoding="utf-8"))["stt"] == {"model": "base.en"}


def test_offline_and_an_unreachable_hub(config_file: Path) -> None:
    offline = invoke("setup", "--yes", "--offline", "-m", "base.en")
    assert offline.exit_code == ExitCode.OFFLINE
    away = invoke("setup", "--yes", "-m", "base.en")
    assert away.exit_code == ExitCode.NETWORK
    assert "Traceback" not in away.stderr
    assert not config_file.exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("-p", "/dev/there-is-no-such-port"), "frame"),
        (("--llm-url", "http://127.0.0.1:9/v1"), "model"),
        (("--voice", "nobody"), "voice"),
    ],
)
def test_what_does_not_work_is_not_written(config_file: Path, arguments: tuple[str, str], part: str) -> None:
    result = invoke("setup", "--yes", *arguments)
    assert result.exit_code == ExitCode.FAILURE
    assert f"FAILED {part}" in result.stderr
    assert f"lorgnette: not everything works ({part})" in result.stderr
    assert not config_file.exists()


def test_a_frame_is_remembered_by_its_serial_number(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = PortInfo("/dev/ttyACM0", "USB JTAG", "303A:1001", "AA:BB", True)
    monkeypatch.setattr(discovery, "list_ports", lambda: [port])
    assert invoke("setup", "--yes", "--no-test").exit_code == 0
    assert tomllib.loads(config_file.read_text(encoding="utf-8")) == {"remembered": {"serial_number": "AA:BB"}}
    assert invoke("setup", "--yes", "--no-test", "-p", "auto").exit_code == 0
    assert tomllib.loads(config_file.read_text(encoding="utf-8")) == {"remembered": {"serial_number": ""}}


def test_a_broken_file_stops_before_the_first_question(config_file: Path) -> None:
    config_file.write_text("prot = 1\n", encoding="utf-8")
    result = invoke("setup", "--yes")
    assert result.exit_code == ExitCode.CONFIG
    assert_one_sentence(result.stderr)
    assert config_file.read_text(encoding="utf-8") == "prot = 1\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_person_at_a_terminal(config_file: Path) -> None:
    """Wrong once, then the suggestions, a downloaded model refused: nothing may be written."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*COMMAND, "setup", "--no-test", "-p", "sim://"])
    shown = converse(
        terminal,
        [
            ("Which language?", "tlh\n"),
            ("One of en, please.", "\n"),
            ("Which speech model?", "base.en\n"),
            ("Which engine runs it?", "\n"),
            ("Which voice?", "\n"),
            ("Which engine speaks?", "\n"),
            ("A language model", "\n"),
            ("Download base.en (145 MB, MIT)?", "n\n"),
        ],
    )
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == ExitCode.FAILURE
    assert "base.en was not downloaded" in shown
    assert not config_file.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_what_a_person_types_is_tried_at_once(config_file: Path) -> None:
    import pty

    answers = ("--language", "en", "--stt", "auto", "-m", "embedded", "--tts", "espeak", "--voice", "auto")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*COMMAND, "setup", *answers])
    shown = converse(
        terminal,
        [
            ("Which frame?", "/dev/ttyNOPE\n"),
            ("There is no port /dev/ttyNOPE", "sim://?battery=7\n"),
            ("A language model", "localhost\n"),
            ("It must be an address such as http://", "none\n"),
        ],
    )
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == ExitCode.OK, shown
    assert tomllib.loads(config_file.read_text(encoding="utf-8"))["port"] == "sim://?battery=7"


def converse(terminal: int, script: list[tuple[str, str]]) -> str:
    """Answer each question when it has been asked; return everything that was shown."""
    shown, since = "", 0
    for question, answer in script:
        while question not in shown[since:] or not shown.rstrip(" ").endswith(("]:", "]: ")):
            shown += read_some(terminal)
        since = len(shown)
        os.write(terminal, answer.encode())
    while text := read_some(terminal):
        shown += text
    return shown


def read_some(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode("utf-8", "replace")
    except OSError:  # the other end is closed
        return ""
