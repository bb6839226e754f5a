"""The line's rate, as a host changes it: ask, switch, and be heard at the new rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..messages import (
    BAUD_TRIAL_MS,
    HIGHEST_SENT_INTERVAL_MS,
    SET_RATE_INTERVAL_MS,
    SET_RATE_TRIES,
    START_BAUD,
    Ping,
    Pong,
    RateSet,
    SetRate,
)
from .trial import Trial

TRIAL_PING_MS = HIGHEST_SENT_INTERVAL_MS
"""A Ping so often while the new rate is tried."""


def ask_rate(t: Trial, baud: int) -> int | None:
    """SetRate until RateSet comes; returns the rate that it names, None when none came."""
    for _ in range(SET_RATE_TRIES):
        mark = t.host.send(SetRate(baud))
        found = t.host.wait(mark, RateSet, SET_RATE_INTERVAL_MS)
        if found is not None:
            return found[1].baud
    return None


def heard(t: Trial, timeout_ms: float) -> bool:
    """Whether a Ping is answered within the time, at the rate that the port has."""
    mark = len(t.host.log)
    end_us = t.host.port.now_us + round(timeout_ms * 1000)
    while t.host.port.now_us < end_us:
        t.host.send(Ping(0))
        if t.host.wait(mark, Pong, TRIAL_PING_MS) is not None:
            return True
    return False


def switch(t: Trial, baud: int) -> bool:
    """Ask for the rate, change the port and be heard; otherwise the session goes on at the start baud."""
    if ask_rate(t, baud) != baud:
        return False
    t.host.set_baud(baud)
    if heard(t, BAUD_TRIAL_MS):
        return True
    t.host.set_baud(START_BAUD)
    return False


@contextmanager
def faster(t: Trial) -> Iterator[None]:
    """At the highest rate while the block runs, where the line has one and takes it."""
    if t.wanted_baud > START_BAUD:
        switch(t, t.wanted_baud)
    yield
