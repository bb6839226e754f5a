"""From the settings to an open frame: which port, and what a simulated frame is fed with."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ..config import load
from ..settings import Settings
from ..text import printable

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device
    from ...firmware_bridge.link import Link, WireRecord
    from ...firmware_bridge.link_events import Event
    from ...firmware_bridge.simulator.peripherals import Peripherals

logger = logging.getLogger(__name__)

SIM = "sim://"
TEXT = "text:"  # a microphone route: words that a synthetic wearer says


def port_of(settings: Settings) -> str:
    """The port that was asked for, else the remembered or the only frame.

    Raises:
        DeviceNotFound: there is none, or more than one; the message names them and sim://.
    """
    if settings.port:
        return settings.port
    from ...firmware_bridge.discovery import find_port

    return find_port(settings.remembered.serial_number).device


def open_frame(
    settings: Settings, timeout_s: float = 5.0, *, remember: bool = True
) -> tuple[Device, Peripherals | None]:
    """Open the frame and shake hands; with it, what a simulated frame is fed with.

    Args:
        remember: write the frame's USB serial number into the configuration, where the port has one, so that the same
            frame is found again without a port. Tried with pseudo terminals and made-up lists of ports only, never
            with two real boards.

    Raises:
        BridgeError: no frame could be opened.
        OSError: the file of --capture cannot be made.
        EngineError: `sim://?mic=text:` finds no voice.
    """
    from ...firmware_bridge.device import Device
    from .capture import CAPTURE
    from .crashes import keep_crash

    port = port_of(settings)
    peripherals = simulated_peripherals(port) if port.startswith(SIM) else None
    device = Device.open(
        port,
        baud=settings.baud,
        timeout_s=timeout_s,
        peripherals=peripherals,
        make_link=CAPTURE.make_link(),
        keep_crash=functools.partial(keep_crash, port),
    )
    _tell_rate(device)
    if remember:
        _remember(settings, port)
    return device, peripherals


def _tell_rate(device: Device) -> None:
    """Say on standard error when the line is, or becomes, slower than was wished, or than PCM needs."""
    from ...firmware_bridge.link_events import RateChanged

    def tell(event: Event) -> None:
        if isinstance(event, RateChanged):
            click.echo(f"lorgnette: {printable(event.reason)}", err=True)

    if device.rate_trouble:
        click.echo(f"lorgnette: {printable(device.rate_trouble)}", err=True)
    device.subscribe(tell)


def watch_frame(
    settings: Settings,
    timeout_s: float,
    watcher: Callable[[Event], None],
    on_frame: Callable[[WireRecord], None] | None = None,
) -> Device:
    """Open the port, whatever is behind it; nothing is waited for, and nothing is remembered.

    Args:
        timeout_s: of each handshake.
        watcher: told of everything that the link tells, failed handshakes too, on the link's thread.
        on_frame: told of every frame on the wire, likewise.

    Raises what `open_frame` raises, but only what keeps the port from being opened.
    """
    from ...firmware_bridge.device import Device
    from .capture import CAPTURE
    from .crashes import keep_crash

    port = port_of(settings)
    make = CAPTURE.make_link()

    def make_link(*args: Any, **named: Any) -> Link:
        link = make(*args, **named)
        link.on_frame = on_frame
        return link

    return Device.open(
        port,
        baud=settings.baud,
        timeout_s=timeout_s,
        peripherals=simulated_peripherals(port) if port.startswith(SIM) else None,
        make_link=make_link,
        keep_crash=functools.partial(keep_crash, port),
        watcher=watcher,
    )


@contextmanager
def opened(port: str | None, baud: int | None, timeout_s: float) -> Iterator[Device]:
    """The frame that a command's options mean, open; on Ctrl-C it is told that the session was interrupted.

    Raises what `open_frame` raises, and ConfigError.
    """
    with open_frame(load({"port": port, "baud": baud}).settings, timeout_s)[0] as device:
        yield device


def _remember(settings: Settings, port: str) -> None:
    """Keep the serial number of the frame behind `port`. A file that cannot be written costs only the memory."""
    if "://" in port:
        return
    from ...firmware_bridge.discovery import list_ports
    from ..config import config_path, save
    from ..errors import ConfigError

    real = os.path.realpath(port)  # /dev/serial/by-id/... is a link
    serial = next((p.serial_number for p in list_ports() if os.path.realpath(p.device) == real), "")
    if not serial or serial == settings.remembered.serial_number:
        return
    try:
        save({"remembered.serial_number": serial}, config_path())
    except (OSError, ConfigError) as error:
        logger.info("the frame's serial number cannot be remembered: %s", error)


def simulated_peripherals(port: str) -> Peripherals:
    """What the simulated frame of `port` is fed with; `mic=text:WORDS` is spoken by an espeak-ng voice."""
    from urllib.parse import parse_qs, urlsplit

    from ...firmware_bridge.simulator.microphone import ScriptedMicrophone
    from ...firmware_bridge.simulator.url import parse_sim_url

    words = parse_qs(urlsplit(port).query).get("mic", [""])[-1]
    if not words.startswith(TEXT):
        return parse_sim_url(port)
    return parse_sim_url(port, microphone=ScriptedMicrophone(spoken(words.removeprefix(TEXT)), finite=True))


def spoken(text: str) -> bytes:
    """`text` as a wearer says it, with half a second before it: s16le mono 16 kHz. Raises EngineError."""
    from ..assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ
    from ..assistant.engines.espeak_engine import EspeakVoice

    return bytes(SAMPLE_RATE_HZ // 2 * SAMPLE_BYTES) + b"".join(EspeakVoice("en-us", 150).synthesize(text))
