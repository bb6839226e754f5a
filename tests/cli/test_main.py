"""The front door: what is imported, how it answers mistakes, signals and closed streams."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest
from tests.support.program import COMMAND, assert_one_sentence, invoke, run

from lorgnette.cli import main
from lorgnette.cli.exit_codes import MEANINGS, ExitCode
from lorgnette.cli.main import COMMANDS, SECTIONS, CommandEntry, cli
from lorgnette.cli.options import Command, diagnostics_options

SLOW = {"torch", "onnxruntime", "numpy", "httpx", "rich", "serial", "hassil", "whisper", "piper", "yaml"}
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and descriptors")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "path"]])
def test_nothing_slow_is_imported(arguments: list[str]) -> None:
    code = (
        "import sys, json\n"
        "from lorgnette.cli.main import cli\n"
        "try:\n"
        f"    cli.main({arguments!r})\n"
        "except SystemExit as done:\n"
        "    print(json.dumps([done.code, sorted(sys.modules)]), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0
    assert not SLOW & set(modules)


def test_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom lorgnette.cli.main import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n"
        "    print([m for m in sys.modules if m.startswith('lorgnette.cli.commands.')], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_table_matches_the_commands() -> None:
    for name, row in COMMANDS.items():
        module, attribute = row.target.split(":")
        command = getattr(importlib.import_module(f"lorgnette.cli.commands.{module}"), attribute)
        assert isinstance(command, click.Command)
        assert command.name == name
        assert row.section in SECTIONS
        assert command.help
        assert set(command.context_settings["help_option_names"]) == {"-h", "--help"}


def test_help_shows_examples_then_sections_in_order() -> None:
    shown = invoke("--help").stdout
    assert invoke("-h").stdout == shown
    assert invoke().stdout == shown
    present = [section for section in SECTIONS if any(row.section == section for row in COMMANDS.values())]
    places = [shown.index(f"{title}:\n") for title in ("Examples", *present, "Options")]
    assert places == sorted(places)
    for row in COMMANDS.values():
        assert row.summary in shown


@pytest.mark.parametrize("group", ["config", "frame", "models"])
def test_a_group_without_a_command_is_a_mistake(group: str) -> None:
    result = invoke(group)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert result.stderr == invoke(group, "--help").stdout


def test_examples_name_commands_that_exist() -> None:
    for command in (cli, *(cli.get_command(click.Context(cli), name) for name in COMMANDS)):
        for line, _ in getattr(command, "examples", ()):
            [ours] = [part.split() for part in line.split("|") if part.strip().startswith("lorgnette ")]
            assert ours[1] in COMMANDS


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["confgi"], "There is no command 'confgi'. Did you mean 'config'?"),
        (["zzz"], "'lorgnette --help' lists the commands"),
        (["con\x1b[2Jfig"], "con\\x1b[2Jfig"),
        (["--versoin"], "--version"),
        (["config", "shwo"], "show"),
        (["config", "show", "--jsno"], "Did you mean '--json'?"),
        (["config", "set", "port"], "Missing argument 'VALUE'"),
        (["frame", "info", "--timeout", "nan"], "'nan' is no number of seconds"),
        (["frame", "info", "--timeout", "inf"], "not in the range"),
        (["config", "show", "--log-file", "/nowhere/at/all.log"], "cannot write"),
    ],
)
def test_a_mistaken_command_line(arguments: list[str], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)
    assert says in result.stderr
    assert result.stdout == ""


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)


def test_version_and_module_entry() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith(b"lorgnette ")
    assert done.stderr == b""


def test_completion_names_commands_without_importing_them() -> None:
    env = {"_LORGNETTE_COMPLETE": "bash_complete", "COMP_WORDS": "lorgnette confi", "COMP_CWORD": "1"}
    assert run(env=env).stdout.split() == [b"plain,config"]
    assert b"_lorgnette_completion" in run(env={"_LORGNETTE_COMPLETE": "zsh_source"}).stdout


@posix
def test_a_reader_that_went_away() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([*COMMAND, "config", "show"], stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert done.returncode == ExitCode.OUTPUT_CLOSED
    assert done.stderr == b""


@posix
def test_standard_output_that_was_never_open() -> None:
    done = subprocess.run(
        [*COMMAND, "config", "show"], stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1), check=False
    )
    assert done.returncode == ExitCode.OUTPUT_CLOSED
    assert_one_sentence(done.stderr.decode())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, "config", "show"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == ExitCode.FAILURE
    assert_one_sentence(done.stderr.decode())


# A command that waits inside a `with`, as `run` does while it listens.
WAITING = """
import pathlib, sys, time
import click
from lorgnette.cli import main

@click.command()
def wait():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("stopping", flush=True)
        sys.stdin.readline()
        print("capture stopped", flush=True)

main.Root.get_command = lambda self, ctx, name: wait
main.COMMANDS["wait"] = main.CommandEntry("Talk", "wait:wait", "Wait.")
main.cli.main(["wait"])
"""


@posix
@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGINT], ExitCode.INTERRUPTED),
        ([signal.SIGTERM], ExitCode.TERMINATED),
        ([signal.SIGTERM, signal.SIGTERM], ExitCode.TERMINATED),
        ([signal.SIGHUP], ExitCode.TERMINATED),
    ],
)
def test_signals_let_the_clean_up_run(signals: list[signal.Signals], code: ExitCode) -> None:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", WAITING], stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    first, *others = signals
    process.send_signal(first)
    assert process.stdout.readline() == b"stopping\n"
    for number in others:  # in the middle of the clean-up, which goes on when it is told to
        process.send_signal(number)
    output, errors = process.communicate(b"\n", timeout=60)
    assert process.returncode == code
    assert output == b"capture stopped\n"
    assert_one_sentence(errors.decode())


@pytest.fixture
def broken_command(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command(cls=Command)
    @diagnostics_options
    def broken() -> None:
        raise ZeroDivisionError("a \x1b[2J thought")

    monkeypatch.setitem(COMMANDS, "broken", CommandEntry("Talk", "broken:broken", "Break."))
    get_command = main.Root.get_command
    monkeypatch.setattr(
        main.Root, "get_command", lambda self, ctx, name: broken if name == "broken" else get_command(self, ctx, name)
    )


@pytest.mark.usefixtures("broken_command")
def test_a_bug_is_named_and_its_traceback_kept(tmp_path: Path) -> None:
    log = tmp_path / "l.log"
    result = invoke("broken", "--log-file", str(log))
    assert result.exit_code == ExitCode.FAILURE
    assert_one_sentence(result.stderr)
    assert "this is a bug in lorgnette (ZeroDivisionError: a \\x1b[2J thought)" in result.stderr
    assert str(log) in result.stderr
    assert "Traceback" in log.read_text(encoding="utf-8")


@pytest.mark.usefixtures("broken_command")
def test_without_a_log_file_the_traceback_goes_to_the_users_folder() -> None:
    result = invoke("broken")
    assert_one_sentence(result.stderr)
    named = Path(result.stderr.strip().split()[-1])
    assert named.name == "crash.log"
    assert "ZeroDivisionError" in named.read_text(encoding="utf-8")


@pytest.mark.usefixtures("broken_command")
@pytest.mark.parametrize("missing", ["platformdirs", "lorgnette.firmware_bridge.errors"])
def test_a_bug_is_told_by_an_install_that_lacks_parts(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # what Python keeps for a module that cannot be imported
    if "." in missing:
        monkeypatch.delattr(missing)
    result = invoke("broken")
    assert result.exit_code == ExitCode.FAILURE
    assert_one_sentence(result.stderr)
    assert "this is a bug in lorgnette (ZeroDivisionError" in result.stderr
    assert "-vv" in result.stderr


def test_an_error_without_a_message_that_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Speechless(Exception):
        def __str__(self) -> str:
            raise RecursionError

    @click.command()
    def silent() -> None:
        raise Speechless

    monkeypatch.setattr(main.Root, "get_command", lambda self, ctx, name: silent)
    result = invoke("config")
    assert result.exit_code == ExitCode.FAILURE
    assert_one_sentence(result.stderr)
    assert "Speechless" in result.stderr


def test_a_bug_on_another_thread_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def threaded() -> None:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()

    monkeypatch.setattr(main.Root, "get_command", lambda self, ctx, name: threaded)
    hook = threading.excepthook
    result = invoke("config")
    assert_one_sentence(result.stderr)
    assert "ZeroDivisionError" in result.stderr
    assert threading.excepthook is hook


@pytest.mark.usefixtures("broken_command")
def test_very_verbose_shows_the_traceback() -> None:
    assert "Traceback" in invoke("broken", "-vv").stderr
    assert "Traceback" not in invoke("broken", "-v").stderr
