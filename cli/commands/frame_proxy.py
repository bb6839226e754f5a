"""`lorgnette frame proxy`: a bad cable between a real port and a pseudo terminal or a socket."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from ..config import load
from ..options import Command, diagnostics_options
from ..text import printable

if TYPE_CHECKING:
    from ...firmware_bridge.faults import Faults
    from ...firmware_bridge.proxy import Door, Proxy
    from ...firmware_bridge.transport import Transport

SCHEMA = 1
PTY = "pty"
TOLD = {
    "client": "a client has come",
    "refused": "a second client was refused: the line is for one at a time",
    "gone": "the port went away; it is waited for",
    "back": "the port is back",
    "unplugged": "the cable is out",
    "plugged": "the cable is in again",
    "mute": "nothing passes any more",
}


def _faults(ctx: click.Context, param: click.Parameter, value: str) -> Faults:
    """Faults as `sim://` has them behind its question mark."""
    from ...firmware_bridge.faults import FAULTS, parse_fault_text
    from ...firmware_bridge.proxy import ONLY_SIMULATED

    try:
        faults = parse_fault_text(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    for word in ONLY_SIMULATED:
        if getattr(faults, FAULTS[word].field):
            raise click.BadParameter(f"{word} befalls a simulated frame only: -p 'sim://?{word}=10'", ctx, param)
    return faults


class FaultsCommand(Command):
    """A command whose help ends with the table of faults."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from ...firmware_bridge.faults import FAULTS
        from ...firmware_bridge.proxy import ONLY_SIMULATED

        super().format_options(ctx, formatter)
        rows = [(f"{word}={o.kind.example}", o.meaning) for word, o in FAULTS.items() if word not in ONLY_SIMULATED]
        with formatter.section("Faults"):
            formatter.write_dl(rows)


@click.command(
    cls=FaultsCommand,
    examples=[
        ("lorgnette frame proxy -p /dev/ttyACM0", "a pseudo terminal that is as good as the port"),
        ("lorgnette frame proxy --faults 'drop=0.01&flip=1e-5'", "a bad cable"),
        ("lorgnette frame proxy --to socket://127.0.0.1:0", "for programs elsewhere"),
    ],
)
@click.option(
    "-p",
    "--port",
    metavar="PORT",
    help="sim://, /dev/ttyACM0, COM5 or socket://HOST:PORT.  [env: LORGNETTE_PORT]",
)
@click.option("--to", default=PTY, show_default=True, metavar="DOOR", help="pty, or socket://HOST:PORT to listen on.")
@click.option("--faults", callback=_faults, default="", metavar="FAULTS", help="What the cable does, joined by '&'.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="The same seed does the same."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line on standard output.")
@diagnostics_options
def proxy(port: str | None, to: str, faults: Faults, seed: int, as_json: bool) -> None:
    """Connect a port with a pseudo terminal or a socket, through a cable as bad as you like.

    It prints where to connect, and goes on until Ctrl-C; a client may come, go and come again, and so may the port. A
    rate that a client sets on the pseudo terminal is set on the port too; a socket has none. The last thing said is
    what the cable did.
    """
    from ...firmware_bridge.discovery import same_port_again
    from ...firmware_bridge.proxy import Proxy
    from ...firmware_bridge.transport import open_transport
    from ..glasses.ports import SIM, port_of, simulated_peripherals

    name = port_of(load({"port": port}).settings)
    peripherals = simulated_peripherals(name) if name.startswith(SIM) else None
    with closing(_door(to)) as door:  # around everything: its folder must not outlive us
        near = open_transport(name, peripherals)
        find = same_port_again(name)

        def reopen() -> Transport:
            return open_transport(find(), peripherals)

        def tell(word: str) -> None:
            if as_json:
                click.echo(json.dumps({"schema": SCHEMA, "event": word, "address": door.address, **_facts(bad)}))
            elif word == "ready":
                click.echo(f"lorgnette: {printable(name)} is behind this address; Ctrl-C ends it", err=True)
                click.echo(door.address)
            elif word in TOLD:
                click.echo(TOLD[word], err=True)

        bad = Proxy(near, reopen, door, faults, seed, tell)
        try:
            tell("ready")
            bad.run()
        finally:
            near.close()
            if as_json:
                tell("ended")
            else:
                _tell_statistics(bad)


def _door(to: str) -> Door:
    if to == PTY:
        if sys.platform == "win32":
            raise click.UsageError("There are no pseudo terminals here: use --to socket://127.0.0.1:0.")
        from ...firmware_bridge.pty_door import PtyDoor

        return PtyDoor()
    from ...firmware_bridge.socket_door import SocketDoor

    try:
        parts = urlsplit(to)
        if parts.scheme == "socket" and parts.hostname and parts.port is not None and not parts.path.strip("/"):
            door = SocketDoor(parts.hostname, parts.port)
            if door.is_public:
                click.echo(f"lorgnette: whoever reaches {door.address} hears the frame's microphone", err=True)
            return door
    except ValueError:  # a port that is no number
        pass
    raise click.UsageError(f"--to is pty or socket://HOST:PORT, not '{printable(to)}'.")


def _facts(bad: Proxy) -> dict[str, Any]:
    return {"counts": dict(bad.counts), "to_frame": dict(bad.down.counts), "to_host": dict(bad.up.counts)}


def _tell_statistics(bad: Proxy) -> None:
    if gone := bad.counts["gone"]:
        click.echo(f"{'the port':<13} went away {'once' if gone == 1 else f'{gone} times'}", err=True)
    for name, counts in (("to the frame", bad.down.counts), ("to the host", bad.up.counts)):
        struck = [f"{word} {n}" for word, n in sorted(counts.items()) if word not in ("octets", "frames")]
        shown = ", ".join(struck) or "no fault"
        click.echo(f"{name:<13} {counts['octets']} octets, {counts['frames']} frames: {shown}", err=True)
