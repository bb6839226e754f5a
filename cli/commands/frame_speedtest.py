"""`lorgnette frame speedtest`: how fast objects go to the frame and come from it, and what else suffers meanwhile."""

from __future__ import annotations

import json
import random
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..glasses.ports import opened
from ..options import Command, Seconds, diagnostics_options, json_option, port_option
from .line_figures import ENOUGH_TRIPS, in_words, line_facts, round_trips, trip_facts

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device
    from ...firmware_bridge.link_events import Event

SCHEMA = 1
MAX_BYTES = 1_048_576  # what a frame makes and takes of a test object, at most
DEFAULT_BYTES = 262_144
USUAL_S = 3.0  # on a line with a rate the default size takes about so long
LOADED_PAUSE_S = 0.02  # between two requests beside a transfer
LATE_S = 0.02  # one AudioFrame
PATIENCE_S = 30.0  # beyond the time that the size takes at SLOWEST_BYTES_PER_S
SLOWEST_BYTES_PER_S = 2_000
FRESH_BYTES = 8  # that make an object differ from every other
DIRECTIONS = {"from_frame": "frame to host", "to_frame": "host to frame"}
WIRE = {"from_frame": "rx_bytes", "to_frame": "tx_bytes"}  # everything that goes the same way, sound and framing too
# What may go wrong on the way: label, the host's counter.
TROUBLE = (
    ("resumed", "bulk_restarts"),
    ("requests sent again", "rpc_retries"),
    ("damaged frames", "rx_bad_frames"),
    ("missing frames", "rx_lost_frames"),
)


@click.command(
    "speedtest",
    cls=Command,
    examples=[
        ("lorgnette frame speedtest", "both directions, and the round trip meanwhile"),
        ("lorgnette frame speedtest --audio", "with the microphone streaming"),
        ("lorgnette frame speedtest --seconds 60 --json", "a minute each way, for a program"),
    ],
)
@port_option
@click.option("--size", "size_bytes", type=click.IntRange(1, MAX_BYTES), metavar="BYTES", help="Size of an object.")
@click.option(
    "--seconds",
    "seconds_s",
    type=Seconds(min=0.1, max=86_400),
    metavar="N",
    help="Send objects for N seconds in each direction, instead of one.",
)
@click.option("--audio", is_flag=True, help="Have the microphone stream meanwhile; the frame lights its LED.")
@json_option
@diagnostics_options
def speedtest(
    port: str | None,
    baud: int | None,
    timeout_s: float,
    size_bytes: int | None,
    seconds_s: float | None,
    audio: bool,
    as_json: bool,
) -> None:
    """Measure the line to the frame in both directions.

    Objects of pseudo-random octets are sent and checked by their CRC-32, never stored. Meanwhile requests measure the
    round trip. A simulated frame measures this computer.
    """
    with opened(port, baud, timeout_s) as device:
        line = line_facts(device)
        size_bytes = size_bytes or usual_size_bytes(line["baud"])
        facts: dict[str, Any] = {"schema": SCHEMA, "line": line, "size_bytes": size_bytes}
        facts["idle_round_trip_ms"] = trip_facts(round_trips(device, lambda count: count < ENOUGH_TRIPS))
        with _microphone(device) if audio else _no_microphone() as ear:
            for direction in DIRECTIONS:
                with _progress(DIRECTIONS[direction], seconds_s or size_bytes, as_json) as advance:
                    facts[direction] = measure(device, direction, size_bytes, seconds_s, line["baud"], ear, advance)
    if as_json:
        click.echo(json.dumps(facts))
        return
    for text in report(facts):
        click.echo(text)


def usual_size_bytes(baud: int | None) -> int:
    """An object that is worth measuring and that nobody waits long for."""
    return DEFAULT_BYTES if baud is None else min(DEFAULT_BYTES, max(1, int(baud / 10 * USUAL_S)))


def measure(
    device: Device,
    direction: str,
    size_bytes: int,
    seconds_s: float | None,
    baud: int | None,
    ear: Ear | None,
    advance: Callable[[float], None],
) -> dict[str, Any]:
    """Move objects one way while requests go to and fro.

    Args:
        seconds_s: how long; None moves one object.
        advance: told how far it is, in octets, or in seconds if `seconds_s`.

    Raises what `Device.request` raises; an object whose CRC is wrong is a RemoteProtocolError.
    """
    if ear is not None:
        ear.begin()
    before, begun_s = asdict(device.stats()), time.monotonic()
    moved = Moved(size_bytes)

    def move() -> tuple[float, dict[str, Any]]:
        """On a thread of its own; returns when the last object was there, and the counters of that moment."""
        while True:
            moved.one(device, direction)
            now_s = time.monotonic()
            if seconds_s is None or now_s >= begun_s + seconds_s:
                return now_s, asdict(device.stats())

    def more(_count: int) -> bool:
        advance(moved.bytes if seconds_s is None else min(seconds_s, time.monotonic() - begun_s))
        return not task.done()

    pool = ThreadPoolExecutor(1, thread_name_prefix="speedtest")
    task = pool.submit(move)
    try:
        trips_ms = round_trips(device, more, LOADED_PAUSE_S)
        ended_s, after = task.result()
    finally:
        pool.shutdown(wait=False)  # after an error the transfer ends when the device is closed
    took_s = ended_s - begun_s
    bytes_per_s = moved.bytes / took_s
    facts: dict[str, Any] = {
        "bytes": moved.bytes,
        "objects": moved.objects,
        "seconds": round(took_s, 3),
        "kB_per_s": round(bytes_per_s / 1000, 1),
        "share_of_rate": _share(bytes_per_s, baud),
        "line_in_use": _share((after[WIRE[direction]] - before[WIRE[direction]]) / took_s, baud),
        "round_trip_ms": trip_facts(trips_ms),
        **{name: after[name] - before[name] for _, name in TROUBLE},
    }
    if ear is not None:
        facts["audio"] = ear.end()
    return facts


def _share(bytes_per_s: float, baud: int | None) -> float | None:
    """Of what a line at `baud` carries: ten bits for each octet."""
    return None if baud is None else round(bytes_per_s * 10 / baud, 3)


class Moved:
    """What was moved so far, counted on the link's thread and read on another."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._octets = random.randbytes(size_bytes)
        self._whole_bytes = self._part_bytes = 0
        self.objects = 0

    @property
    def bytes(self) -> int:
        return self._whole_bytes + self._part_bytes

    def one(self, device: Device, direction: str) -> None:
        """Move one object. The link has compared its CRC-32 when this returns."""
        from ...firmware_bridge.messages import ObjectKind

        patience_s = PATIENCE_S + self._size_bytes / SLOWEST_BYTES_PER_S
        if direction == "from_frame":
            device.make_test_object(self._size_bytes, timeout_s=patience_s, progress=self._on_progress)
        else:
            # A frame that has these very octets already would take none of them.
            fresh = (secrets.token_bytes(FRESH_BYTES) + self._octets[FRESH_BYTES:])[: self._size_bytes]
            device.write_object(ObjectKind.TEST, fresh, timeout_s=patience_s, progress=self._on_progress)
        self._part_bytes = 0
        self._whole_bytes += self._size_bytes
        self.objects += 1

    def _on_progress(self, done_bytes: int, _size_bytes: int) -> None:
        self._part_bytes = done_bytes


class Ear:
    """Counts the microphone's AudioFrames, and those that came late.

    The sample clock says when a frame was recorded; the least time that one took on the way is the line's own.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._lags_s: list[float] = []
        self._least_s = float("inf")
        self._missing = 0

    def on_event(self, event: Event) -> None:
        from ...firmware_bridge.link_events import AudioReceived
        from ...firmware_bridge.messages import SAMPLE_RATE_HZ

        if isinstance(event, AudioReceived):
            lag_s = time.monotonic() - event.sample / SAMPLE_RATE_HZ
            with self._lock:
                self._lags_s.append(lag_s)
                self._least_s = min(self._least_s, lag_s)

    def begin(self) -> None:
        with self._lock:
            self._lags_s.clear()
        self._missing = self._missing_frames()

    def end(self) -> dict[str, Any]:
        """What came since `begin`, as plain JSON."""
        with self._lock:
            late_s = [lag_s - self._least_s for lag_s in self._lags_s]
        return {
            "frames": len(late_s),
            "late_frames": sum(one_s > LATE_S for one_s in late_s),
            "latest_ms": round(1000 * max(late_s, default=0.0), 1),
            "missing_frames": self._missing_frames() - self._missing,
        }

    def _missing_frames(self) -> int:
        stats = self._device.stats()
        return stats.mic_lost_frames + stats.mic_dropped_frames


@contextmanager
def _microphone(device: Device) -> Iterator[Ear]:
    from ...firmware_bridge.messages import CaptureStartArgs, Method

    ear = Ear(device)
    end = device.subscribe(ear.on_event)
    device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
    time.sleep(10 * LATE_S)  # so that some came over a line that is idle
    yield ear
    device.request(Method.CAPTURE_STOP)
    end()


@contextmanager
def _no_microphone() -> Iterator[None]:
    yield None


@contextmanager
def _progress(label: str, length: float, as_json: bool) -> Iterator[Callable[[float], None]]:
    """A bar on standard error, where somebody looks at it."""
    if as_json or not sys.stderr.isatty():
        yield lambda _at: None
        return
    steps = 1000
    with click.progressbar(length=steps, label=f"{label:<14}", file=sys.stderr) as bar:
        yield lambda at: bar.update(max(0, min(steps, int(at / length * steps)) - bar.pos))
        bar.update(steps - bar.pos)


def report(facts: Mapping[str, Any]) -> Iterator[str]:
    """The lines for people."""
    idle = facts["idle_round_trip_ms"]
    yield f"line          {in_words(facts['line'])}"
    yield f"{'':<16}{'kB/s':>9}{'of rate':>9}{'in use':>9}{'p50 ms':>9}{'p99 ms':>9}"
    yield f"{'idle':<16}{'':>27}{idle['p50']:>9}{idle['p99']:>9}"
    for direction, label in DIRECTIONS.items():
        found = facts[direction]
        shares = (found[name] for name in ("share_of_rate", "line_in_use"))
        share, in_use = ("-" if value is None else f"{value:.0%}" for value in shares)
        trips = found["round_trip_ms"]
        p50, p99 = ("-" if trips[name] is None else trips[name] for name in ("p50", "p99"))
        yield f"{label:<16}{found['kB_per_s']:>9}{share:>9}{in_use:>9}{p50:>9}{p99:>9}"
    for direction, label in DIRECTIONS.items():
        found = facts[direction]
        trouble = ", ".join(f"{found[name]} {words}" for words, name in TROUBLE if found[name]) or "nothing lost"
        whole = f"{found['objects']} x {facts['size_bytes']} bytes in {found['seconds']} s, CRC right"
        yield f"{label}: {whole}; {trouble}"
        if audio := found.get("audio"):
            late = f"{audio['late_frames']} late, {audio['missing_frames']} missing, {audio['latest_ms']} ms at worst"
            yield f"  microphone: {audio['frames']} AudioFrames, {late}"
