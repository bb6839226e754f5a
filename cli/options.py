"""The options that mean the same in every command, and the way a command's help is written: examples first.

Knows click; decides nothing. A default of None means "not given": the configuration decides then.
"""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .diagnostics import DIAGNOSTICS, version
from .exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

F = TypeVar("F", bound=Callable[..., Any])
# Of a context's meta: the files of --capture and --log-file, and every file that is to be written, by its option.
CAPTURE_KEY, LOG_KEY, OUTPUTS_KEY = "lorgnette.capture", "lorgnette.log", "lorgnette.outputs"
STDIO = "-"
HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Command(click.Command):
    """A command whose help shows its examples before its options."""

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        kwargs["context_settings"] = {**HELP_OPTIONS, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def invoke(self, ctx: click.Context) -> Any:
        # Not the arguments: `ask` and `speak` are given the user's words.
        _refuse_broken_text(ctx, self)
        if (path := ctx.meta.pop(LOG_KEY, None)) is not None:
            _open_log(ctx, path)
        DIAGNOSTICS.log("lorgnette %s on %s: %s", *(version(), sys.platform, ctx.command_path))
        if (path := ctx.meta.pop(CAPTURE_KEY, None)) is not None:
            from .glasses.capture import CAPTURE

            CAPTURE.ask(path, ctx.command_path)
            ctx.call_on_close(CAPTURE.close)
        return super().invoke(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        write_examples(formatter, self.examples)


class Group(click.Group):
    """A group whose help shows its examples first."""

    command_class = Command

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        kwargs["context_settings"] = {**HELP_OPTIONS, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(ExitCode.USAGE)
        return super().parse_args(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        write_examples(formatter, self.examples)


def _refuse_broken_text(ctx: click.Context, command: click.Command) -> None:
    """A word that was not in the terminal's encoding is an error here: nothing later could write it. A path may be."""
    for param in command.get_params(ctx):
        value = ctx.params.get(param.name or "")
        if not isinstance(value, str) or isinstance(param.type, click.Path):
            continue
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise click.BadParameter("this is not UTF-8 text", ctx, param) from error


class Seconds(click.FloatRange):
    """A number in a range, which "nan" is not though it is neither too small nor too large."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


@functools.cache
def output_file(allow_dash: bool = False) -> click.Path:
    """The type of an option that names a file to write, as a Path. No two options of a command may name the same.

    Args:
        allow_dash: `-` is standard output, and else refused.
    """
    from pathlib import Path  # the help of the whole program does without it

    class OutputFile(click.Path):
        def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
            if not str(value):
                self.fail("an empty name names no file", param, ctx)
            if str(value) == STDIO and not allow_dash:
                self.fail("standard output is for results: name a file", param, ctx)
            path = Path(os.fsdecode(super().convert(value, param, ctx)))
            if ctx is not None and param is not None:
                others = ctx.meta.setdefault(OUTPUTS_KEY, {})
                for option, other in others.items():
                    if option != param.opts[-1] and _same_file(path, other):
                        self.fail(f"{option} names the same file; give each its own", param, ctx)
                others[param.opts[-1]] = path
            return path

    return OutputFile(dir_okay=False, allow_dash=allow_dash, path_type=Path)


def _same_file(one: Path, other: Path) -> bool:
    if one.exists() and not one.is_file():  # /dev/null takes anything
        return False
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there yet
        return str(one) != STDIO and os.path.realpath(one) == os.path.realpath(other)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    """Write (command line, what it does) pairs."""
    if examples:
        with formatter.section("Examples"):
            formatter.write_dl(list(examples), col_max=52)


def _verbosity(_ctx: click.Context, _param: click.Parameter, value: int) -> None:
    if value:
        DIAGNOSTICS.set_verbosity(value)


def _log_file(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.meta[LOG_KEY] = value


def _open_log(ctx: click.Context, path: Path) -> None:
    try:
        DIAGNOSTICS.set_log_file(path)
    except OSError as error:
        reason = f"cannot write {str(path)!r}: {(error.strerror or 'error').lower()}"
        raise click.BadParameter(reason, ctx, param_hint="'--log-file'") from error


def diagnostics_options(command: F) -> F:
    """-v and --log-file. Their values go to `DIAGNOSTICS`, not to the command."""
    verbose = click.option(
        "-v",
        "--verbose",
        count=True,
        is_eager=True,
        expose_value=False,
        callback=_verbosity,
        help="Say more on standard error; -vv also shows tracebacks.",
    )
    log_file = click.option(
        "--log-file",
        type=output_file(),
        metavar="FILE",
        expose_value=False,
        callback=_log_file,
        help="Append the program's log to FILE.",
    )
    return log_file(verbose(command))


def _capture(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.meta[CAPTURE_KEY] = value


def capture_option(command: F) -> F:
    """--capture. Its value goes to `glasses.capture.CAPTURE`, not to the command."""
    return click.option(
        "--capture",
        type=output_file(),
        metavar="FILE",
        expose_value=False,
        callback=_capture,
        help="Record everything on the line into FILE, the wearer's voice too; only you can read it.",
    )(command)


def port_option(command: F) -> F:
    """-p/--port, -b/--baud, --timeout and --capture: what every command has that opens a frame."""
    port = click.option(
        "-p",
        "--port",
        metavar="PORT",
        help="sim://, /dev/ttyACM0, COM5 or socket://HOST:PORT.  [env: LORGNETTE_PORT]",
    )
    baud = click.option(
        "-b",
        "--baud",
        type=click.IntRange(1200, 20_000_000),
        metavar="BAUD",
        help="Rate to switch a UART to; USB boards ignore it.",
    )
    timeout = click.option(
        "--timeout",
        "timeout_s",
        type=Seconds(min=0.1, max=3600),
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the frame's handshake.",
    )
    return port(baud(timeout(capture_option(command))))


def out_option(help: str, required: bool = False) -> Callable[[F], F]:
    """-o/--out; `-` is standard output."""
    kind = output_file(allow_dash=True)
    return click.option("-o", "--out", type=kind, metavar="FILE", help=help, required=required)


def json_option(command: F) -> F:
    """--json, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")(command)


def offline_option(command: F) -> F:
    """--offline."""
    return click.option("--offline", is_flag=True, help="Use no network: no model server, no download.")(command)


def model_option(help: str) -> Callable[[F], F]:
    """-m/--model."""
    return click.option("-m", "--model", metavar="NAME", help=help)
