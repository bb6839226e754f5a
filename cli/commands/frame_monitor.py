"""`lorgnette frame monitor`: what the frame prints and reports, as it comes, over resets, pulled cables and silence."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import click

from ..config import load
from ..keys import CTRL_BRACKET, NoKeys, keys
from ..options import Command, Seconds, diagnostics_options, port_option
from ..settings import Settings
from ..text import printable
from .monitor_lines import Line, MonitorLines, OctetLines

if TYPE_CHECKING:
    from ...firmware_bridge.link import WireRecord
    from ...firmware_bridge.link_events import CallFinished, Event
    from ...firmware_bridge.transport import Transport

SCHEMA = 1
POLL_S = 0.05  # between two looks; the terminal's reader sees no delay in it
NOISE_S = 1.0
REOPEN_S = 0.5
MAX_WAITING = 10_000  # that a terminal which has stopped leaves unread; what comes then is counted
MAX_READS = 64  # in a row, so that a flood keeps nobody from leaving
LABEL_CELLS = 11
INDENT = " " * (14 + LABEL_CELLS)


@click.command(
    "monitor",
    cls=Command,
    examples=[
        ("lorgnette frame monitor", "what the frame prints and reports"),
        ("lorgnette frame monitor --frames --stats 5", "and the line's traffic"),
        ("lorgnette frame monitor --raw -p /dev/ttyUSB0 -b 9600", "any board: only listen"),
        ("lorgnette frame monitor --json --seconds 60 > log", "a minute, for a program"),
    ],
)
@port_option
@click.option("--frames", is_flag=True, help="Show every frame on the wire, too.")
@click.option(
    "--stats",
    "stats_s",
    type=Seconds(min=0.1, max=86_400),
    metavar="SECONDS",
    help="Show the frame's counters every so often.",
)
@click.option(
    "--seconds", "seconds_s", type=Seconds(min=0.1, max=86_400 * 30), metavar="N", help="End by itself after N seconds."
)
@click.option(
    "--raw", is_flag=True, help="Only listen, at --baud: send nothing, show octets, \\xNN for what is no text."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line on standard output.")
@diagnostics_options
def monitor(
    port: str | None,
    baud: int | None,
    timeout_s: float,
    frames: bool,
    stats_s: float | None,
    seconds_s: float | None,
    raw: bool,
    as_json: bool,
) -> None:
    """Show what the frame prints and reports, as it comes.

    Ctrl-] leaves, Ctrl-C too. It goes on through resets and pulled cables, and shows what a board says that never
    answers the handshake. With standard input that is no terminal it runs until Ctrl-C, or for --seconds.
    """
    if raw and (frames or stats_s is not None):
        raise click.UsageError("--raw knows no frames: leave out --frames and --stats.")
    settings = load({"port": port, "baud": baud}).settings
    source: _Source = _Listener(settings, baud) if raw else _Watcher(settings, timeout_s, frames, stats_s)
    started_s = time.monotonic()
    began = datetime.now().astimezone().timestamp() - started_s

    newest_s = started_s

    def show(line: Line) -> None:
        nonlocal newest_s
        newest_s = max(newest_s, line.at_s)  # a printed line that waited for its end began before what was told last
        when = datetime.fromtimestamp(began + newest_s).astimezone()
        click.echo(_as_json(when, line) if as_json else _as_text(when, line))

    with closing(source), keys() as typed:
        if not isinstance(typed, NoKeys):
            click.echo(f"lorgnette: {printable(source.port)}; Ctrl-] leaves", err=True)
        while CTRL_BRACKET not in typed.wait(POLL_S):
            now_s = time.monotonic()
            for line in source.lines(now_s):
                show(line)
            if seconds_s is not None and now_s >= started_s + seconds_s:
                break
        for line in source.rest():
            show(line)


class _Source(Protocol):
    """Where the lines come from."""

    port: str

    def lines(self, now_s: float) -> Iterator[Line]:
        """What has come since."""
        ...

    def rest(self) -> Iterator[Line]:
        """What has begun and is not ended; nothing more will come of it."""
        ...

    def close(self) -> None: ...


class _Watcher:
    """A link that never gives up."""

    def __init__(self, settings: Settings, timeout_s: float, frames: bool, stats_s: float | None) -> None:
        from ..glasses.ports import port_of, watch_frame

        self._lines = MonitorLines()
        self._waiting: queue.Queue[tuple[float, Event | WireRecord | CallFinished]] = queue.Queue(MAX_WAITING)
        self._skipped = 0  # counted on the link's thread
        self._skipped_told = 0
        self._noise_due_s = 0.0
        self._stats_s, self._stats_due_s = stats_s, 0.0
        self.port = port_of(settings)
        self._device = watch_frame(settings, timeout_s, self._put, self._put if frames else None)

    def lines(self, now_s: float) -> Iterator[Line]:
        yield from self._told()
        yield from self._lines.settle(now_s)
        if now_s >= self._noise_due_s:
            self._noise_due_s = now_s + NOISE_S
            yield from self._lines.of_noise(now_s, self._device.stats().rx_noise_bytes)
        if self._stats_s is not None and now_s >= self._stats_due_s and self._device.connected:
            from ...firmware_bridge.messages import Method

            self._stats_due_s = now_s + self._stats_s
            self._device.post(Method.GET_STATS, None, self._put)

    def rest(self) -> Iterator[Line]:
        yield from self._told()
        yield from self._lines.settle()
        yield from self._lines.of_noise(time.monotonic(), self._device.stats().rx_noise_bytes)

    def close(self) -> None:
        self._device.close()

    def _put(self, item: Event | WireRecord | CallFinished) -> None:
        """On the link's thread."""
        try:
            self._waiting.put_nowait((time.monotonic(), item))
        except queue.Full:
            self._skipped += 1

    def _told(self) -> Iterator[Line]:
        from ...firmware_bridge.link import WireRecord
        from ...firmware_bridge.link_events import CallFinished
        from ...firmware_bridge.messages import GetStatsResult

        for _ in range(self._waiting.qsize()):
            at_s, item = self._waiting.get_nowait()
            if isinstance(item, WireRecord):
                yield self._lines.of_frame(item)
            elif not isinstance(item, CallFinished):
                yield from self._lines.of_event(at_s, item)
            elif isinstance(item.result, GetStatsResult):  # of a request that failed, the link tells
                yield self._lines.of_stats(at_s, item.result)
        if self._skipped > self._skipped_told:
            new, self._skipped_told = self._skipped - self._skipped_told, self._skipped
            text = f"{new} events came faster than they could be shown"
            yield Line(time.monotonic(), "skipped", text, {"events": new})


class _Listener:
    """A port to which nothing is said."""

    def __init__(self, settings: Settings, baud: int | None) -> None:
        from ...firmware_bridge.discovery import same_port_again
        from ..glasses.ports import port_of

        self.port = port_of(settings)
        self._baud = baud
        self._find = same_port_again(self.port)
        self._lines = OctetLines()
        self._reopen_s = 0.0
        self._transport: Transport | None = self._open()

    def lines(self, now_s: float) -> Iterator[Line]:
        from ...firmware_bridge.errors import DeviceLost, TransportError

        try:
            if self._transport is None:
                if now_s < self._reopen_s:
                    return
                self._reopen_s = now_s + REOPEN_S
                self._transport = self._open()
                yield Line(now_s, "back", f"{self._transport.name} is there again", {"port": self._transport.name})
            for _ in range(MAX_READS):
                if not (data := self._transport.read(0.0)):
                    break
                yield from self._lines.of_octets(time.monotonic(), data)
            yield from self._lines.settle(now_s)
        except DeviceLost as error:
            yield from self.rest()
            self.close()
            self._reopen_s = now_s + REOPEN_S
            yield Line(now_s, "lost", str(error), {"message": str(error), "remedy": error.remedy}, error.remedy)
        except TransportError:  # still away
            pass

    def rest(self) -> Iterator[Line]:
        yield from self._lines.settle()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _open(self) -> Transport:
        from ...firmware_bridge.transport import open_transport
        from ..glasses.ports import SIM, simulated_peripherals

        peripherals = simulated_peripherals(self.port) if self.port.startswith(SIM) else None
        transport = open_transport(self._find(), peripherals)
        if self._baud is not None:
            transport.set_baud(self._baud)
        return transport


def _as_json(when: datetime, line: Line) -> str:
    head = {"schema": SCHEMA, "time": when.isoformat(timespec="milliseconds"), "event": line.event}
    return json.dumps({**head, **line.fields})


def _as_text(when: datetime, line: Line) -> str:
    label = line.event.replace("_", " ")
    text = f"{when:%H:%M:%S}.{when.microsecond // 1000:03d}  {label:<{LABEL_CELLS}}{printable(line.text)}"
    return f"{text}\n{INDENT}{printable(line.remedy)}" if line.remedy else text
