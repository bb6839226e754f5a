"""`lorgnette conformance`: try a frame against the protocol, case by case, and say how each went."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import load
from ..errors import Failure
from ..exit_codes import ExitCode
from ..options import Command, diagnostics_options, output_file, port_option
from ..settings import Settings

if TYPE_CHECKING:
    from ...firmware_bridge.conformance.cases import Case
    from ...firmware_bridge.conformance.port import Port
    from ...firmware_bridge.conformance.report import Report, Result
    from ..console import Console

STDIO = "-"
LEVELS = ("core", "media", "robust")
STYLES = {"OK": "green", "NON-STRICT": "yellow", "UNIMPLEMENTED": "dim", "FAILED": "bold red"}
VERDICT_CELLS = 13
UNITS = {"_kilobytes_per_s": "kB/s", "_ms": "ms", "_hz": "Hz", "_bytes": "B"}


@click.command(
    cls=Command,
    examples=[
        ("lorgnette conformance -p sim:// --level robust", "the simulated frame, in virtual time"),
        ("lorgnette conformance -p /dev/ttyACM0", "the core, in under a minute"),
        ("lorgnette conformance -p /dev/ttyACM0 -k credit", "only cases that speak of credit"),
        ("lorgnette conformance -p /dev/ttyACM0 --json report.json", "the whole report"),
        ("lorgnette conformance --list", "every case, and what the frame must do"),
    ],
)
@port_option
@click.option(
    "--level", type=click.Choice(LEVELS), help="How much is tried; each has the ones before.  [default: core]"
)
@click.option("-k", "word", metavar="WORD", default="", help="Only cases with WORD in number, title or rule.")
@click.option("--list", "only_list", is_flag=True, help="List the cases and open no port.")
@click.option(
    "--json",
    "report_path",
    type=output_file(allow_dash=True),
    metavar="FILE",
    help="Write the whole report to FILE; '-' is standard output.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, metavar="N", help="Of damage and noise."
)
@click.option("--real-time", is_flag=True, help="Run sim:// under the wall clock, not in virtual time.")
@diagnostics_options
def conformance(
    port: str | None,
    baud: int | None,
    timeout_s: float,
    level: str | None,
    word: str,
    only_list: bool,
    report_path: Path | None,
    seed: int,
    real_time: bool,
) -> None:
    """Does a frame keep to the protocol?

    Tries numbered rules of PROTOCOL.md and says OK, NON-STRICT (it works, but departs from a SHOULD or a figure),
    UNIMPLEMENTED (it declares that it has no such thing) or FAILED. Ends with 1 when something has FAILED. It plays
    silence, takes photos, and leaves the frame with microphone and camera off.
    """
    from ...firmware_bridge.conformance.cases import Level, cases_of
    from ...firmware_bridge.conformance.runner import Conformance

    wanted = level or (LEVELS[-1] if only_list else LEVELS[0])
    cases = cases_of(Level(wanted), word)
    if not cases:
        raise Failure(
            f"no case of level {wanted} has '{word}'",
            "lorgnette conformance --list shows every case",
            ExitCode.NOTHING_COLLECTED,
        )
    if only_list:
        _list(cases)
        return
    settings = load({"port": port, "baud": baud}).settings
    with _report_file(report_path) as write, _shown(report_path) as console:
        run = Conformance(_open_port(settings, real_time), seed=seed, timeout_s=timeout_s, wanted_baud=baud)
        with closing(run):
            report = run.new_report(wanted)
            facts = report.frame
            console.row("frame", f"{facts['name']}, firmware {facts['firmware_version']}, protocol {facts['protocol']}")
            try:
                for result in run.steps(report, cases, lambda case: console.busy(f"{case.number} {case.title}")):
                    console.row(result.number, result_text(result), STYLES[str(result.verdict)])
            finally:
                write(report.record())
        console.row("", _summary(report, len(cases)))
    if report.failed:
        numbers = ", ".join(result.number for result in report.failed)
        raise Failure(
            f"{len(report.failed)} of {len(report.results)} cases failed: {numbers}",
            "docs/conformance.md says what each checks; --json FILE keeps the report",
        )


def result_text(result: Result) -> str:
    """One result in one line."""
    figures = ", ".join(figure_text(name, value) for name, value in result.figures.items())
    parts = [result.title, *([f"({figures})"] if figures else [])]
    text = f"{result.verdict!s:<{VERDICT_CELLS}}  {' '.join(parts)}"
    return f"{text}: {result.detail}" if result.detail else text


def figure_text(name: str, value: float) -> str:
    """`round_trip_p50_ms`, 1.25 -> `round trip p50 1.25 ms`."""
    for suffix, unit in UNITS.items():
        if name.endswith(suffix):
            return f"{name.removesuffix(suffix).replace('_', ' ')} {_rounded(value)} {unit}".strip()
    return f"{name.replace('_', ' ')} {_rounded(value)}"


def _rounded(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _list(cases: list[Case]) -> None:
    for case in cases:
        click.echo(f"{case.number}  {case.title} (PROTOCOL.md {case.section})")
        click.echo(f"      {case.must}")


def _summary(report: Report, asked: int) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts.items())
    took_s = sum(result.took_ms for result in report.results) / 1000
    rest = "" if len(report.results) == asked else f", {asked - len(report.results)} not run"
    return f"{counts}{rest}; {took_s:.1f} s of {'virtual time' if report.clock == 'virtual' else 'time'}"


def _open_port(settings: Settings, real_time: bool) -> Port:
    """The port, with its octets recorded where --capture asks for it.

    Raises:
        BridgeError: it cannot be opened.
        OSError: the file of --capture cannot be made.
    """
    from ...firmware_bridge.conformance.port import LivePort, RecordedPort, SteppedPort
    from ...firmware_bridge.sim_transport import simulated_frame
    from ...firmware_bridge.transport import open_transport
    from ..glasses.capture import CAPTURE
    from ..glasses.ports import SIM, port_of, simulated_peripherals

    name = port_of(settings)
    peripherals = simulated_peripherals(name) if name.startswith(SIM) else None
    opened: Port
    if peripherals is not None and not real_time:
        opened = SteppedPort(simulated_frame(name, peripherals), name)
    else:
        opened = LivePort(open_transport(name, peripherals))
    writer = CAPTURE.writer()
    return opened if writer is None else RecordedPort(opened, writer.octets)


@contextmanager
def _report_file(path: Path | None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """What writes the report. The file is made first: a run of minutes must not end at a folder that is not there."""
    if path is None:
        yield lambda _record: None
        return
    if str(path) == STDIO:
        yield lambda record: click.echo(json.dumps(record, indent=2))
        return
    with path.open("w", encoding="utf-8") as file:

        def write(record: Mapping[str, Any]) -> None:
            file.write(json.dumps(record, indent=2) + "\n")

        yield write


@contextmanager
def _shown(report_path: Path | None) -> Iterator[Console]:
    """Where people look: standard output, or standard error where the report goes to the former."""
    from ..console import Console

    console = Console(stream=sys.stderr if str(report_path) == STDIO else None)
    with closing(console):
        yield console
