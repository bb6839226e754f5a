"""`lorgnette devices`: which serial ports there are, and which may be a frame. Opens none."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ..config import load
from ..options import Command, diagnostics_options, json_option
from ..text import printable

SCHEMA = 1


@click.command(
    cls=Command,
    examples=[
        ("lorgnette devices", "list the ports; a star marks what may be a frame"),
        ("lorgnette devices --json", "for a program"),
    ],
)
@json_option
@diagnostics_options
def devices(as_json: bool) -> None:
    """List the serial ports and mark what may be a frame.

    No port is opened: it may belong to a printer or a machine. 'lorgnette doctor -p PORT' asks who is there.
    """
    from ...firmware_bridge.discovery import SIMULATOR_HINT, list_ports

    remembered = load().settings.remembered.serial_number
    ports = list_ports()
    if as_json:
        rows = [{**asdict(port), "is_remembered": _is(remembered, port.serial_number)} for port in ports]
        click.echo(json.dumps({"schema": SCHEMA, "ports": rows}))
        return
    for port in ports:
        facts = [port.description, port.usb_id, port.serial_number]
        facts.append("the remembered frame" if _is(remembered, port.serial_number) else "")
        mark = "*" if port.is_frame_candidate else " "
        click.echo(f"{mark} {printable(port.device):<20} {printable(', '.join(filter(None, facts)))}".rstrip())
    if not any(port.is_frame_candidate for port in ports):
        click.echo(f"No port says that it is a frame; {SIMULATOR_HINT}.", err=True)


def _is(remembered: str, serial_number: str) -> bool:
    return remembered != "" and remembered == serial_number
