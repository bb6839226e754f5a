"""`lorgnette frame stats`: both sides' counters, their growth, and a frame that goes away while it is watched."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

import pytest
from tests.support.program import COMMAND, assert_one_sentence, invoke
from tests.support.served_ports import FrameServer

from lorgnette.cli.commands.frame_stats import ROWS, Reading
from lorgnette.cli.commands.line_figures import percentile
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge.link_events import LinkStats
from lorgnette.firmware_bridge.messages import GetStatsResult

PATIENCE_S = 60.0  # only a failing test waits this long


def test_every_row_names_counters_that_there_are() -> None:
    frame, host = ({item.name for item in fields(kind)} for kind in (GetStatsResult, LinkStats))
    assert {name for _, name, _ in ROWS} - {""} <= frame
    assert {name for _, _, name in ROWS} - {""} <= host


def test_a_look_at_both_sides() -> None:
    with FrameServer() as server:
        first = json.loads(invoke("frame", "stats", "-p", server.url, "--json").stdout)
        second = json.loads(invoke("frame", "stats", "-p", server.url, "--json").stdout)
        shown = invoke("frame", "stats", "-p", server.url)
    assert set(first["frame"]) == {item.name for item in fields(GetStatsResult)}
    assert set(first["host"]) == {item.name for item in fields(LinkStats)}
    assert second["frame"]["rx_frames"] >= 2 * first["host"]["tx_frames"] - 2, "the frame counts on, the host anew"
    assert second["frame"]["sessions"] == 2 and second["host"]["sessions"] == 1
    assert first["line"]["baud"] is None
    assert 0 < first["round_trip_ms"]["p50"] <= first["round_trip_ms"]["p95"] <= first["round_trip_ms"]["p99"]
    assert "per_second" not in first
    lines = shown.stdout.splitlines()
    assert all(any(line.startswith(label) for line in lines) for label, _, _ in ROWS)
    assert "p50" in lines[1]


def test_rates_over_some_time() -> None:
    with FrameServer() as server:
        found = json.loads(invoke("frame", "stats", "-p", server.url, "--seconds", "0.5", "--json").stdout)
        shown = invoke("frame", "stats", "-p", server.url, "--seconds", "0.1")
    assert found["seconds"] >= 0.5
    sent = found["per_second"]["host"]["tx_frames"] * found["seconds"]
    assert sent >= found["round_trip_ms"]["count"], "each request is a frame at least"
    assert found["per_second"]["frame"]["rx_frames"] > 0
    assert "uptime_ms" not in found["per_second"]["frame"], "no counter"
    assert "per s" in shown.stdout


def reading(at_s: float, uptime_ms: int, frames: int) -> Reading:
    return Reading(at_s, {"rx_frames": frames, "uptime_ms": uptime_ms, "baud": 0}, {"tx_frames": frames}, [1.0])


def test_a_frame_that_has_booted_has_counted_from_zero() -> None:
    before = reading(10.0, 5000, 100)
    assert reading(12.0, 7000, 130).per_second(before) == {"frame": {"rx_frames": 15.0}, "host": {"tx_frames": 15.0}}
    assert reading(12.0, 900, 30).per_second(before)["frame"] == {"rx_frames": 15.0}


@pytest.mark.parametrize(("percent", "value"), [(50, 3), (95, 5), (99, 5), (1, 1), (20, 1), (21, 2)])
def test_a_percentile_is_one_of_the_values(percent: int, value: int) -> None:
    assert percentile([5, 1, 4, 2, 3], percent) == value


def test_two_lengths_contradict_each_other() -> None:
    result = invoke("frame", "stats", "-p", "sim://", "--watch", "--seconds", "3")
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)


@contextmanager
def watching(*args: str) -> Iterator[tuple[subprocess.Popen[str], queue.SimpleQueue[str]]]:
    """`frame stats --watch` as a process, and its lines as they come."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    with subprocess.Popen(
        [*COMMAND, "frame", "stats", "--watch", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.put(line)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield process, lines
        finally:
            process.kill()
            reader.join()


def test_watching_goes_on_over_a_crash_of_the_frame() -> None:
    with FrameServer() as server, watching("-p", server.url, "--json") as (_, lines):
        first = json.loads(lines.get(timeout=PATIENCE_S))
        assert first["per_second"]["frame"]["rx_frames"] > 0
        server.crash("abort() was called at PC 0x42 on core 0\n\0")
        seen = [first]
        while "lost" not in seen[-1]:
            seen.append(json.loads(lines.get(timeout=PATIENCE_S)))
        assert "abort() was called" in seen[-1]["lost"]
        while "per_second" not in seen[-1]:
            seen.append(json.loads(lines.get(timeout=PATIENCE_S)))
        after = seen[-1]
    assert after["frame"]["sessions"] == 1, "a frame that has booted"
    assert after["per_second"]["frame"]["rx_frames"] >= 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_watching() -> None:
    with watching("-p", "sim://") as (process, lines):
        head, row = lines.get(timeout=PATIENCE_S), lines.get(timeout=PATIENCE_S)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == ExitCode.INTERRUPTED
    assert "damaged" in head and len(row.split()) == 11


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_an_absence_is_told_once_and_waited_for() -> None:
    with watching("-p", "sim://?unplug=2:1,12:600", "--json") as (process, lines):
        seen = [json.loads(lines.get(timeout=PATIENCE_S))]
        while sum("lost" in line for line in seen) < 2:
            seen.append(json.loads(lines.get(timeout=PATIENCE_S)))
        told = ["lost" if "lost" in line else "row" for line in seen]
        assert "row" in told[told.index("lost") : -1], "it went on in between"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == ExitCode.INTERRUPTED
        assert lines.empty()
