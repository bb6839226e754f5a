"""`lorgnette doctor`: every part, one line and, where something is wrong, one line of remedy. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import click

from ..checks import Check, Status, check_config, failed, host_checks
from ..config import load
from ..errors import Failure
from ..options import Command, diagnostics_options, json_option, offline_option, port_option
from ..settings import Settings
from ..text import printable
from .frame_checks import check_core, frame_checks

SCHEMA = 1
MARKS: dict[Status, str] = {"ok": "ok", "note": "note", "absent": "-", "failed": "FAILED"}


@click.command(
    cls=Command,
    examples=[
        ("lorgnette doctor", "this computer, and the frame if one is there"),
        ("lorgnette doctor -p sim://", "with the simulated frame"),
        ("lorgnette doctor --json", "for a bug report"),
    ],
)
@port_option
@offline_option
@json_option
@diagnostics_options
def doctor(port: str | None, baud: int | None, timeout_s: float, offline: bool, as_json: bool) -> None:
    """Check every part, with one line of remedy each.

    Engines are loaded and run once; a configured model server is asked for one word. On a frame the microphone listens
    for a second, a photo is taken and dropped, and a soft tone is played. Ends with 1 when something needed is broken.
    """
    found = []
    for check in _checks({"port": port, "baud": baud}, timeout_s, offline):
        found.append(check)
        if not as_json:
            show(check)
    broken = [check.name for check in found if check.status == "failed"]
    if as_json:
        rows = [asdict(check) for check in found]
        click.echo(json.dumps({"schema": SCHEMA, "ok": not broken, "checks": rows}, indent=2))
    if broken:
        raise Failure(f"not everything works: {', '.join(broken)}", "each line above says what to do")


def show(check: Check, err: bool = False) -> None:
    """Print one check, on standard error if `err`."""
    click.echo(f"{MARKS[check.status]:<7}{check.name:<14}{printable(check.detail)}", err=err)
    if check.remedy:
        click.echo(f"{'':21}{printable(check.remedy)}", err=err)


def _checks(options: dict[str, object], timeout_s: float, offline: bool) -> Iterator[Check]:
    config, settings = check_config()
    yield config
    if settings is None:
        settings = Settings()  # the rest can be looked at all the same
    else:
        try:
            settings = load(options).settings
        except Failure as error:
            yield failed("options", error)
    yield from host_checks(settings, offline=offline)
    yield check_core(settings)
    yield from frame_checks(settings, timeout_s)
