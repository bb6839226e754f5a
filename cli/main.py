"""The program's front door: parse, hand over, map errors to exit codes. No logic.

Only the chosen command's module is imported, so `lorgnette --help` answers at once. Shell completion is click's:
`eval "$(_LORGNETTE_COMPLETE=bash_source lorgnette)"`, or `zsh_source`, `fish_source`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .diagnostics import DIAGNOSTICS
from .diagnostics import version as version
from .errors import Failure, OutputClosed, explain
from .exit_codes import ExitCode
from .interrupts import Terminated, interruptible
from .options import Group
from .text import nearest, printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class CommandEntry(NamedTuple):
    """One row of the command tree. `target` is "module:attribute", the module relative to `lorgnette.cli.commands`."""

    section: str
    target: str
    summary: str


COMMANDS: dict[str, CommandEntry] = {
    "setup": CommandEntry("Talk", "setup:setup", "Choose frame, language, engines and model."),
    "demo": CommandEntry("Talk", "demo:demo", "A simulated frame hears, acts and answers."),
    "run": CommandEntry("Talk", "run:run", "The live assistant."),
    "ask": CommandEntry("Talk", "ask:ask", "Type one question, read the answer."),
    "transcribe": CommandEntry("Talk", "transcribe:transcribe", "Turn a recording into text."),
    "speak": CommandEntry("Talk", "speak:speak", "Turn text into speech, to a file or on the frame."),
    "devices": CommandEntry("Frame", "devices:devices", "List the serial ports."),
    "doctor": CommandEntry("Frame", "doctor:doctor", "Check every part, with one line of remedy each."),
    "flash": CommandEntry("Frame", "flash:flash", "Put the firmware onto a board."),
    "frame": CommandEntry("Frame", "frame:frame", "Ask the frame, use its parts, watch and measure its line."),
    "conformance": CommandEntry("Test", "conformance:conformance", "Does a frame keep to the protocol?"),
    "capture": CommandEntry("Test", "capture:capture", "Look at what a line carried, and do it again."),
    "models": CommandEntry("Keep", "models:models", "List, download and remove models."),
    "config": CommandEntry("Keep", "config:config", "Show and change the settings."),
}
SECTIONS = ("Talk", "Frame", "Test", "Keep")
EXAMPLES = (
    ("lorgnette demo", "a simulated frame hears and answers"),
    ("lorgnette run -p sim:// --mic host", "talk through this computer"),
    ("lorgnette setup", "choose frame, language, engines, model"),
    ("lorgnette doctor", "what works, and what to do if not"),
)


class Root(Group):
    """The top-level group: commands by name from `COMMANDS`, errors as one sentence and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])  # not a mistake: this is how one gets to know a program

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def invoke(self, ctx: click.Context) -> Any:
        DIAGNOSTICS.quiet()
        return super().invoke(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry_of = COMMANDS.get(cmd_name)
        if entry_of is None:
            return None
        module, attribute = entry_of.target.split(":")
        command = getattr(importlib.import_module(f".commands.{module}", __package__), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = nearest(args[0], COMMANDS)
            hint = f" Did you mean '{close}'?" if close else " 'lorgnette --help' lists the commands."
            ctx.fail(f"There is no command '{printable(args[0])}'.{hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=row.summary) for name, row in COMMANDS.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for section in SECTIONS:
            rows = [(name.ljust(width), row.summary) for name, row in COMMANDS.items() if row.section == section]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)

    def main(self, args: Sequence[str] | None = None, *_args: Any, **_extra: Any) -> Any:
        """Run one command line and exit with its status, whatever happens."""
        if "_LORGNETTE_COMPLETE" in os.environ:
            super().main(args, prog_name="lorgnette")
        sys.exit(_run(self, list(sys.argv[1:] if args is None else args)))


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"lorgnette {version()}")
        ctx.exit()


cli = Root(
    name="lorgnette",
    help="A voice assistant for smart glasses that you can build.",
    examples=EXAMPLES,
    epilog='Shell completion: eval "$(_LORGNETTE_COMPLETE=bash_source lorgnette)", or zsh_source, fish_source.',
    params=[
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
        )
    ],
)


def _run(root: click.Group, args: list[str]) -> int:
    """Run `args` and return the exit status. Everything that goes wrong has been said on standard error."""
    if sys.stdout is None:
        # The next file that this process opens would become descriptor 1, and whoever prints would write into it.
        return _say(OutputClosed())
    previous_hook, threading.excepthook = threading.excepthook, _thread_failed
    try:
        code = _status(root, args)
        DIAGNOSTICS.log("ended with status %d", code)
        return code
    finally:
        threading.excepthook = previous_hook
        DIAGNOSTICS.reset()


def _status(root: click.Group, args: list[str]) -> int:
    try:
        with interruptible():
            try:
                with root.make_context("lorgnette", args) as context:
                    root.invoke(context)
            finally:
                sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _misused(error)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else ExitCode.FAILURE
    except (KeyboardInterrupt, click.Abort) as stop:
        return _say(_stopped(stop))
    except Exception as error:
        return _say(_failure(error), error)
    return ExitCode.OK


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """A bug on another thread is told like one on this; the program goes on with what is left."""
    if isinstance(failed.exc_value, Exception):
        _say(_failure(failed.exc_value), failed.exc_value)


def _misused(error: click.ClickException) -> int:
    """A command line that click refused."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    remedy = f"'{context.command_path} --help' shows how it is used" if context is not None else ""
    code = ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.FAILURE
    return _say(Failure(error.format_message().rstrip("."), remedy, code))


def _stopped(stop: BaseException) -> Failure:
    """Ctrl-C, SIGTERM or the end of input at a question (click turns all three into Abort)."""
    cause = stop.__context__ if isinstance(stop, click.Abort) else stop
    if isinstance(cause, Terminated):
        return Failure("stopped by a signal", code=ExitCode.TERMINATED)
    if isinstance(cause, EOFError):
        return Failure("a question had no answer: standard input ended", "answer it with an option", ExitCode.USAGE)
    return Failure("interrupted", code=ExitCode.INTERRUPTED)


def _failure(error: Exception) -> Failure:
    """What is said of any error. Never raises: an install may lack the very parts that explain what it lacks."""
    try:
        return explain(error) or _bug(error)
    except Exception:
        return Failure(f"this is a bug in lorgnette ({type(error).__name__})", "run it again with -vv")


def _bug(error: Exception) -> Failure:
    what = f"this is a bug in lorgnette ({type(error).__name__}: {error})"
    if DIAGNOSTICS.verbosity > 1:
        return Failure(what, "please report it with the traceback above")
    path = DIAGNOSTICS.keep_traceback(error, version())
    return Failure(what, f"please report it with the traceback in {path}" if path else "run it again with -vv")


def _say(failure: Failure, error: Exception | None = None) -> int:
    if failure.code is ExitCode.OUTPUT_CLOSED and sys.stdout is not None:
        _forget_stdout()
        return failure.code
    if error is not None and DIAGNOSTICS.verbosity > 1:
        import traceback

        click.echo(printable("".join(traceback.format_exception(error)), newlines=True), err=True)
    click.echo(f"lorgnette: {printable(failure)}", err=True)
    if failure.remedy:
        click.echo(f"  {printable(failure.remedy)}", err=True)
    return failure.code


def _forget_stdout() -> None:
    """Point standard output at nothing, or the interpreter's last flush would fail once more and print about it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def entry() -> None:
    """Run `lorgnette` as a process and exit with its status."""
    try:
        cli.main()
    except SystemExit as done:
        # The status is decided: a Ctrl-C that finds the interpreter shutting down would end the process by the signal.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = done.code if isinstance(done.code, int) else ExitCode.OK
        if code == ExitCode.INTERRUPTED or any(thread.daemon for thread in threading.enumerate()):
            _leave(code)
        raise


def _leave(code: int) -> None:
    """Exit at once. Everything is closed, but a thread is still deep in an engine's C++ code, or Ctrl-C ended it all.

    The interpreter's own shutdown would end that thread when it next asks for the lock, and the unwinding of its stack
    ends the process with a message of the C++ runtime. And where Ctrl-C had come in the middle of code that Python made
    from text (a dataclass), `python -m` takes it for unhandled, and ends the process by the signal.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    os._exit(code)
