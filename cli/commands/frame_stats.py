"""`lorgnette frame stats`: what frame and host have counted, side by side, and how long an answer takes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from ..glasses.ports import opened
from ..options import Command, Seconds, diagnostics_options, json_option, port_option
from ..text import printable
from .line_figures import ENOUGH_TRIPS, counters, in_words, line_facts, percentile, round_trips, trip_facts

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device

SCHEMA = 1
WATCH_S = 1.0  # between two rows
HEAD_EVERY = 20  # rows
POLL_S = 0.05

# Label, the frame's field of GetStats, the host's field of LinkStats; "" where only the other side counts that.
ROWS = (
    ("frames received", "rx_frames", "rx_frames"),
    ("  damaged", "rx_bad_frames", "rx_bad_frames"),
    ("  of another session", "rx_foreign_frames", "rx_foreign_frames"),
    ("  repeated", "rx_duplicate_frames", "rx_duplicate_frames"),
    ("  refused", "rx_refused_frames", "rx_unknown_frames"),
    ("  missing", "rx_lost_frames", "rx_lost_frames"),
    ("receive ring overruns", "rx_overruns", ""),
    ("frames sent", "tx_frames", "tx_frames"),
    ("  dropped", "tx_dropped_frames", ""),
    ("requests sent again", "", "rpc_retries"),
    ("events sent again", "event_retries", ""),
    ("reads resumed", "", "bulk_restarts"),
    ("microphone frames dropped", "mic_dropped_frames", ""),
    ("microphone frames missing", "", "mic_lost_frames"),
    ("speaker underruns", "underruns", ""),
    ("octets received", "", "rx_bytes"),
    ("octets sent", "", "tx_bytes"),
    ("sessions", "sessions", "sessions"),
)
# Of a watched second: title, width, side, field.
COLUMNS = (
    ("rx kB", 7, "host", "rx_bytes"),
    ("tx kB", 7, "host", "tx_bytes"),
    ("damaged", 8, "host", "rx_bad_frames"),
    ("missing", 8, "host", "rx_lost_frames"),
    ("again", 6, "host", "rpc_retries"),
    ("frame: damaged", 15, "frame", "rx_bad_frames"),
    ("missing", 8, "frame", "rx_lost_frames"),
    ("overruns", 9, "frame", "rx_overruns"),
    ("dropped", 8, "frame", "tx_dropped_frames"),
)
_LEVELS = frozenset({"baud", "loop_worst_us", "uptime_ms", "round_trip_s"})  # these are no counters


@dataclass(frozen=True, slots=True)
class Reading:
    """Both sides' counters at one moment, and the round trips that led there."""

    at_s: float
    frame: Mapping[str, int]
    host: Mapping[str, float]
    trips_ms: list[float]

    def per_second(self, before: Reading) -> dict[str, dict[str, float]]:
        """How fast each counter grew since `before`. A frame that has booted since began at 0."""
        span_s = max(self.at_s - before.at_s, 1e-3)
        booted = self.frame["uptime_ms"] < before.frame["uptime_ms"]
        return {
            "frame": _growth(self.frame, {} if booted else before.frame, span_s),
            "host": _growth(self.host, before.host, span_s),
        }


@click.command(
    "stats",
    cls=Command,
    examples=[
        ("lorgnette frame stats", "counters of both sides, and the round trip"),
        ("lorgnette frame stats --seconds 10", "and how fast they grow"),
        ("lorgnette frame stats --watch", "a line each second, until Ctrl-C"),
    ],
)
@port_option
@click.option("--seconds", "seconds_s", type=Seconds(min=0.1, max=86_400), metavar="N", help="Measure for N seconds.")
@click.option("--watch", is_flag=True, help="Print a line each second until Ctrl-C.")
@json_option
@diagnostics_options
def stats(
    port: str | None, baud: int | None, timeout_s: float, seconds_s: float | None, watch: bool, as_json: bool
) -> None:
    """Print both sides' counters and the round trip.

    The frame counts since it booted, the host since this command began; the requests that ask are counted, too. With
    --watch a frame that goes away is waited for.
    """
    if watch and seconds_s is not None:
        raise click.UsageError("--watch goes on until Ctrl-C: leave out --seconds.")
    with opened(port, baud, timeout_s) as device:
        if watch:
            _watch(device, as_json)
            return
        before = read(device, 0.0, enough=0) if seconds_s is not None else None
        now = read(device, seconds_s or 0.0)
        line = line_facts(device)
    facts: dict[str, Any] = {"schema": SCHEMA, **_facts(line, now)}
    if before is not None:
        facts |= {"seconds": round(now.at_s - before.at_s, 3), "per_second": now.per_second(before)}
    if as_json:
        click.echo(json.dumps(facts))
        return
    for text in table(facts):
        click.echo(text)


def read(device: Device, for_s: float, enough: int = ENOUGH_TRIPS) -> Reading:
    """Measure round trips for `for_s` seconds, `enough` of them at least, and then read the counters."""
    until_s = time.monotonic() + for_s
    trips_ms = round_trips(device, lambda count: count < enough or time.monotonic() < until_s)
    frame = asdict(counters(device))
    return Reading(time.monotonic(), frame, asdict(device.stats()), trips_ms)


def table(facts: Mapping[str, Any]) -> Iterator[str]:
    """The lines for people."""
    trips, frame, host = facts["round_trip_ms"], facts["frame"], facts["host"]
    rates = facts.get("per_second")
    yield f"line          {in_words(facts['line'])}"
    yield f"round trip    p50 {trips['p50']:g} ms, p95 {trips['p95']:g} ms, of {trips['count']} requests"
    up_s, late_ms = frame["uptime_ms"] / 1000, frame["loop_worst_us"] / 1000
    yield f"frame         up {up_s:.0f} s, its loop {late_ms:g} ms late at worst"
    yield ""
    yield (
        f"{'':<26}{'frame':>12}"
        + (f"{'per s':>10}" if rates else "")
        + f"{'host':>12}"
        + ("     per s" if rates else "")
    )
    for label, of_frame, of_host in ROWS:
        text = f"{label:<26}"
        for side, name, counted in (("frame", of_frame, frame), ("host", of_host, host)):
            text += f"{counted[name] if name else '-':>12}"
            if rates:
                text += f"{rates[side][name]:>10.1f}" if name else f"{'':>10}"
        yield text.rstrip()


def _watch(device: Device, as_json: bool) -> None:
    """Rows until Ctrl-C. A frame that goes is waited for, since this is how one looks at a bad cable."""
    from ...firmware_bridge.errors import DeviceLost, OutcomeUnknown, RequestTimeout

    before: Reading | None = None
    rows = 0
    away = False
    while True:
        try:
            now = read(device, WATCH_S if before is not None else 0.0, enough=1)
        except (DeviceLost, OutcomeUnknown, RequestTimeout) as error:
            if not away:
                click.echo(
                    json.dumps({"schema": SCHEMA, "lost": str(error)}) if as_json else printable(f"lost: {error}")
                )
            away = True
            while not device.connected:
                time.sleep(POLL_S)
            continue
        away = False
        if before is not None:
            if as_json:
                line = line_facts(device)
                click.echo(json.dumps({"schema": SCHEMA, **_facts(line, now), "per_second": now.per_second(before)}))
            else:
                if rows % HEAD_EVERY == 0:
                    click.echo(
                        "per s "
                        + "".join(f"{title:>{width}}" for title, width, _, _ in COLUMNS)
                        + "  ms to answer       baud"
                    )
                click.echo(_row(now, before))
            rows += 1
        before = now


def _row(now: Reading, before: Reading) -> str:
    rates = now.per_second(before)
    cells = []
    for title, width, side, name in COLUMNS:
        value = rates[side][name]
        cells.append(f"{value / 1000:>{width}.1f}" if title.endswith("kB") else f"{value:>{width}.1f}")
    return " " * 6 + "".join(cells) + f"{percentile(now.trips_ms, 50):>14.1f}{now.frame['baud'] or '-':>11}"


def _facts(line: Mapping[str, Any], now: Reading) -> dict[str, Any]:
    return {"line": line, "round_trip_ms": trip_facts(now.trips_ms), "frame": now.frame, "host": now.host}


def _growth(now: Mapping[str, float], before: Mapping[str, float], span_s: float) -> dict[str, float]:
    counted = {name: value for name, value in now.items() if name not in _LEVELS}
    return {name: round((value - before.get(name, 0)) / span_s, 3) for name, value in counted.items()}
