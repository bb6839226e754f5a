"""`lorgnette frame`: the frame without the assistant. info, photo and volume are here; longer ones have a file each."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Failure
from ..exit_codes import ExitCode
from ..glasses.ports import opened
from ..jpeg import jpeg_size
from ..options import Group, diagnostics_options, json_option, out_option, port_option
from ..text import printable
from .frame_audio import play, record
from .frame_monitor import monitor
from .frame_proxy import proxy
from .frame_speedtest import speedtest
from .frame_stats import stats

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device

SCHEMA = 1
STDIO = "-"
VOLUME_WORDS = ("up", "down", "mute", "unmute")


@click.group(
    cls=Group,
    examples=[
        ("lorgnette frame info -p sim://", "what it is, what it can, how it is"),
        ("lorgnette frame photo -o photo.jpg", "take a photo"),
        ("lorgnette frame volume 60", "or up, down, mute, unmute"),
        ("lorgnette frame record -o talk.wav", "its microphone; Ctrl-C ends it"),
        ("lorgnette frame play talk.wav", "its speaker"),
        ("lorgnette frame monitor", "what it prints and reports"),
        ("lorgnette frame stats", "how well the line does"),
        ("lorgnette frame speedtest", "how fast it is"),
        ("lorgnette frame proxy --faults drop=0.01", "put a bad cable in between"),
    ],
)
def frame() -> None:
    """Ask the frame, use its parts, watch and measure its line."""


frame.add_command(record)
frame.add_command(play)
frame.add_command(monitor)
frame.add_command(stats)
frame.add_command(speedtest)
frame.add_command(proxy)


@frame.command()
@port_option
@json_option
@diagnostics_options
def info(port: str | None, baud: int | None, timeout_s: float, as_json: bool) -> None:
    """Print what the frame is, what it can do and how it is."""
    with opened(port, baud, timeout_s) as device:
        facts = {**identity(device), **state(device)}
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, **facts}))
        return
    for name, value in facts.items():
        shown = "none" if value is None else ", ".join(value) if isinstance(value, list) else str(value)
        click.echo(f"{name:<24} {printable(shown)}")


@frame.command()
@port_option
@out_option("Write the JPEG to FILE; '-' is standard output.", required=True)
@json_option
@diagnostics_options
def photo(port: str | None, baud: int | None, timeout_s: float, out: Path, as_json: bool) -> None:
    """Take a photo and fetch it. The frame lights its LED meanwhile."""
    if as_json and str(out) == STDIO:
        raise click.UsageError("--json and -o - both want standard output.")
    with opened(port, baud, timeout_s) as device:
        jpeg = device.take_photo(max(timeout_s, 10.0))
    try:
        width, height = jpeg_size(jpeg)
    except ValueError as error:
        raise Failure(f"what the frame sent {error}", "try again", ExitCode.FRAME_REFUSED) from error
    if str(out) == STDIO:
        sys.stdout.buffer.write(jpeg)
        sys.stdout.buffer.flush()
        return
    out.write_bytes(jpeg)
    if as_json:
        facts = {"path": str(out), "width": width, "height": height, "size_bytes": len(jpeg)}
        click.echo(json.dumps({"schema": SCHEMA, **facts}))
    else:
        click.echo(f"{printable(out)}: {width} x {height}, {len(jpeg)} bytes", err=True)


@frame.command()
@click.argument("change", required=False)
@port_option
@json_option
@diagnostics_options
def volume(change: str | None, port: str | None, baud: int | None, timeout_s: float, as_json: bool) -> None:
    """Print the volume, or change it first.

    CHANGE is a percentage from 0 to 100, up, down, mute or unmute.
    """
    percent = _percent(change)
    with opened(port, baud, timeout_s) as device:
        _change_volume(device, change, percent)
        now = state(device)
    if as_json:
        facts = {"volume_percent": now["volume_percent"], "muted": now["muted"]}
        click.echo(json.dumps({"schema": SCHEMA, **facts}))
    else:
        click.echo(f"{now['volume_percent']} %" + (", muted" if now["muted"] else ""))


def identity(device: Device) -> dict[str, Any]:
    """What the frame said of itself in the handshake."""
    from ...firmware_bridge.messages import Capability

    said = device.info
    abilities = Capability.TEST_CHANNEL | Capability.ADPCM  # of the firmware; the rest is what is fitted
    return {
        "name": said.name,
        "device_id": said.device_id,
        "firmware_version": said.firmware_version,
        "protocol": said.protocol,
        "reset_reason": said.reset_reason,
        "led_kind": said.led_kind,
        "parts": [part.name.lower() for part in said.capabilities & ~abilities if part.name],
        "abilities": [ability.name.lower() for ability in said.capabilities & abilities if ability.name],
    }


def state(device: Device) -> Mapping[str, Any]:
    """What the frame reports now."""
    from ...firmware_bridge.messages import GetStateResult, Method
    from ..glasses.world import state_facts

    now = device.request(Method.GET_STATE)
    assert isinstance(now, GetStateResult)
    return state_facts(now)


def _percent(change: str | None) -> int | None:
    if change is None or change in VOLUME_WORDS:
        return None
    number = change.removesuffix("%").strip()
    if not number.isascii() or not number.isdigit() or not 0 <= int(number) <= 100:
        raise click.UsageError(f"A volume is 0 to 100, {', '.join(VOLUME_WORDS)}, not '{printable(change)}'.")
    return int(number)


def _change_volume(device: Device, change: str | None, percent: int | None) -> None:
    from ...firmware_bridge.messages import Method, SetMuteArgs, SetVolumeArgs
    from ..glasses.world import VOLUME_STEP_PERCENT

    if change in ("mute", "unmute"):
        device.request(Method.SET_MUTE, SetMuteArgs(int(change == "mute")))
        return
    if change in ("up", "down"):
        step = VOLUME_STEP_PERCENT if change == "up" else -VOLUME_STEP_PERCENT
        percent = min(100, max(0, state(device)["volume_percent"] + step))
    if percent is not None:
        device.request(Method.SET_VOLUME, SetVolumeArgs(percent))
