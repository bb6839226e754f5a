"""`lorgnette flash`: put the firmware onto a board, verify it, and say who answers afterwards."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import load
from ..errors import Failure
from ..exit_codes import ExitCode
from ..flashing import flash as write_flash
from ..flashing import need_esptool
from ..options import Command, diagnostics_options, json_option
from ..text import printable

if TYPE_CHECKING:
    from ...hardware.image import Segment

SCHEMA = 1
BAUD = 460_800
BUILD = "cd hardware/firmware && idf.py set-target esp32s3 build; then: lorgnette flash --firmware hardware/firmware"
BOOT_S = 10.0  # a board is up within three; Windows may take longer to find its port again
URL = "://"


@click.command(
    cls=Command,
    examples=[
        ("lorgnette flash --firmware hardware/firmware", "what idf.py build made"),
        ("lorgnette flash -p /dev/ttyACM0 --firmware lorgnette.bin", "one image, one board"),
    ],
)
@click.option("-p", "--port", metavar="PORT", help="The board's serial port.  [env: LORGNETTE_PORT]")
@click.option(
    "--firmware",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE|DIR",
    help="A merged image, an application image, or an ESP-IDF project or build folder.",
)
@click.option(
    "-b", "--baud", type=click.IntRange(9600, 4_000_000), default=BAUD, show_default=True, help="Speed of flashing."
)
@click.option("--check/--no-check", default=True, show_default=True, help="Ask the frame who it is afterwards.")
@json_option
@diagnostics_options
def flash(port: str | None, firmware: Path | None, baud: int, check: bool, as_json: bool) -> None:
    """Put the firmware onto a board.

    Every piece is read back and compared. If the board does not answer, put it into its bootloader: hold BOOT, press
    and release RESET, release BOOT. Needs esptool: pip install "lorgnette[flash]".
    """
    from ...firmware_bridge.transport import open_transport
    from ...hardware.image import ImageError, read_image
    from ..glasses.ports import port_of

    if firmware is None:
        raise Failure("no firmware image is published yet; build one", BUILD, ExitCode.USAGE)
    need_esptool()
    try:
        segments = read_image(firmware)
    except ImageError as error:
        raise Failure(str(error), BUILD, ExitCode.USAGE) from error
    settings = load({"port": port}).settings
    where = port_of(settings)
    if URL in where:
        raise Failure(f"{where} is no board that could be flashed", "lorgnette devices", ExitCode.USAGE)
    open_transport(where).close()  # whatever is wrong with the port is better said by us
    _write(where, baud, segments)
    said = _who_answers(where) if check else None
    if as_json:
        pieces = [{"offset": s.offset, "path": str(s.path), "size_bytes": s.size_bytes} for s in segments]
        click.echo(json.dumps({"schema": SCHEMA, "port": where, "verified": True, "pieces": pieces, "frame": said}))
    elif said is not None:
        click.echo(printable(f"{said['name']}, firmware {said['firmware_version']}: it answers"))


def _write(port: str, baud: int, segments: list[Segment]) -> None:
    total = sum(segment.size_bytes for segment in segments)
    label = f"flashing {total / 1000:.0f} kB"
    if sys.stderr.isatty():
        with click.progressbar(length=total, label=label, file=sys.stderr, show_pos=False) as bar:
            write_flash(port, baud, segments, lambda done: bar.update(done - bar.pos))
            bar.update(total - bar.pos)
    else:
        click.echo(label, err=True)
        write_flash(port, baud, segments, lambda _: None)
    click.echo("every piece was read back and is right", err=True)


def _who_answers(port: str) -> dict[str, str]:
    """The handshake with what was flashed; the port may be away for a moment while the board boots.

    Raises:
        Failure: nothing answered within BOOT_S.
    """
    from ...firmware_bridge.device import Device
    from ...firmware_bridge.errors import BridgeError

    give_up_s = time.monotonic() + BOOT_S
    while True:
        try:
            with Device.open(port, timeout_s=2.0) as device:
                return {"name": device.info.name, "firmware_version": device.info.firmware_version}
        except BridgeError as error:
            if time.monotonic() >= give_up_s:
                remedy = "press RESET once, then: lorgnette doctor"
                raise Failure(
                    f"the firmware is on the board, but nothing answers: {error}", remedy, ExitCode.NOT_A_FRAME
                ) from error
            time.sleep(0.2)
