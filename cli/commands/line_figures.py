"""What `frame stats` and `frame speedtest` share: round trips, percentiles, and the line's own facts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device
    from ...firmware_bridge.messages import GetStatsResult

ENOUGH_TRIPS = 20
PAUSE_S = 0.05  # between two requests, so that measuring is no load of its own


def counters(device: Device) -> GetStatsResult:
    """What the frame has counted since it booted. Raises what `Device.request` raises."""
    from ...firmware_bridge.messages import GetStatsResult, Method

    found = device.request(Method.GET_STATS)
    assert isinstance(found, GetStatsResult)
    return found


def round_trips(device: Device, more: Callable[[int], bool], pause_s: float = PAUSE_S) -> list[float]:
    """Ask the frame for its state for as long as `more(how many trips there are)`; each trip in milliseconds.

    A request that had to be repeated counts with all the time that it took. Raises what `Device.request` raises.
    """
    from ...firmware_bridge.messages import Method

    trips_ms: list[float] = []
    while more(len(trips_ms)):
        begun_s = time.perf_counter()
        device.request(Method.GET_STATE)
        trips_ms.append((time.perf_counter() - begun_s) * 1000)
        time.sleep(pause_s)
    return trips_ms


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: always one of the values."""
    ordered = sorted(values)
    return ordered[max(0, -int(-percent * len(ordered) // 100) - 1)]


def trip_facts(trips_ms: Sequence[float]) -> dict[str, Any]:
    """The round trips as plain JSON; percentiles are None without any trip."""
    percents = {"p50": 50, "p95": 95, "p99": 99}
    found = {name: round(percentile(trips_ms, percent), 2) if trips_ms else None for name, percent in percents.items()}
    return {"count": len(trips_ms), **found}


def line_facts(device: Device) -> dict[str, Any]:
    """What the line is now, as plain JSON; `baud` is None where it has no rate."""
    return {"baud": device.baud or None, "codec": device.codec.name.lower()}


def in_words(line: Mapping[str, Any]) -> str:
    rate = f"{line['baud']} baud" if line["baud"] else "no rate of its own"
    return f"{rate}, codec {line['codec']}"
