"""Media cases: the line's rate. Every session begins at 115200, and nobody gets lost on the way to another rate."""

from __future__ import annotations

from itertools import pairwise

from ..messages import (
    BAUD_SILENCE_MS,
    BAUD_TRIAL_MS,
    LIVELY_MS,
    START_BAUD,
    GetStatsResult,
    Method,
    Ping,
    RateSet,
    SetRate,
)
from .cases import case
from .rates import ask_rate, heard, switch
from .trial import Absent, Trial

SLACK_MS = 300


def begin(t: Trial) -> int:
    """A session on a line that has a rate; returns the one to try."""
    t.need_minor(1)
    if not t.declared.max_baud:
        raise Absent("its line has no rate (max_baud 0)")
    if t.wanted_baud <= START_BAUD:
        raise Absent(f"no rate above {START_BAUD} is to be tried")
    t.connect()
    return t.wanted_baud


@case("M-60", "the rate is switched", 4)
def switched(t: Trial) -> None:
    """SetRate is answered by RateSet at the old rate; then both talk at the new one, and GetStats names it."""
    baud = begin(t)
    t.check(ask_rate(t, baud) == baud, f"SetRate({baud}) was not answered by RateSet({baud})")
    t.host.set_baud(baud)
    t.check(heard(t, BAUD_TRIAL_MS), f"at {baud} baud no Ping was answered within {BAUD_TRIAL_MS} ms")
    stats = GetStatsResult.unpack(t.ok(Method.GET_STATS))
    t.check(stats.baud == baud, f"GetStats says {stats.baud} baud")
    t.host.idle(2 * BAUD_SILENCE_MS)
    t.alive(f"two seconds at {baud} baud")
    t.figures["baud"] = baud


@case("M-61", "a rate that nobody confirms is given up", 4)
def trial_fails(t: Trial) -> None:
    """A frame that hears nothing valid within 500 ms of its switch goes back to 115200; the session goes on."""
    baud = begin(t)
    t.check(ask_rate(t, baud) == baud, f"SetRate({baud}) was not answered by RateSet({baud})")
    t.host.keep_alive = False
    t.host.idle(BAUD_TRIAL_MS + SLACK_MS)
    t.check(heard(t, 2 * BAUD_TRIAL_MS), "the host stayed at 115200, and the frame did not come back to it")
    t.host.keep_alive = True
    t.alive("a rate that was not confirmed")


@case("M-62", "silence at a switched rate ends it", 4)
def silence(t: Trial) -> None:
    """At a switched rate a frame that hears nothing valid for 1 s goes back to 115200; the session goes on."""
    baud = begin(t)
    t.check(switch(t, baud), f"the line does not run at {baud} baud")
    t.host.keep_alive = False
    t.host.set_baud(START_BAUD)
    t.host.idle(BAUD_SILENCE_MS + SLACK_MS)
    t.check(heard(t, 2 * BAUD_TRIAL_MS), "after 1 s of silence the frame did not come back to 115200")
    t.host.keep_alive = True
    t.alive("the fall back to 115200")


@case("M-63", "the frame is lively at a switched rate", 4)
def lively(t: Trial) -> None:
    """At a rate other than 115200 the frame sends something at least every 250 ms."""
    baud = begin(t)
    t.check(switch(t, baud), f"the line does not run at {baud} baud")
    mark = len(t.host.log)
    t.host.idle(2000)
    pings = t.host.since(mark, Ping)
    said_us = [r.at_us for r in t.host.log[mark:]]
    longest_ms = max((b - a for a, b in pairwise(said_us)), default=2_000_000) / 1000
    t.figures["longest_silence_ms"] = longest_ms
    t.check(longest_ms <= BAUD_SILENCE_MS, f"it said nothing for {longest_ms:.0f} ms")
    t.should(longest_ms <= LIVELY_MS + 50, f"it said nothing for {longest_ms:.0f} ms ({len(pings)} Pings in 2 s)")


@case("M-64", "a rate that it cannot have is refused", 4)
def refused(t: Trial) -> None:
    """SetRate above max_baud, or of no rate at all, is answered by RateSet with the present rate, which stays."""
    begin(t)
    for baud in (t.declared.max_baud + 1, 0, 0xFFFFFFFF):
        answered = ask_rate(t, baud)
        t.check(answered == START_BAUD, f"SetRate({baud}) was answered by {answered} instead of the present rate")
        t.alive(f"SetRate({baud})")


@case("M-65", "a session begins at 115200", 4)
def session_begins(t: Trial) -> None:
    """The end of a session is the end of its rate: the next Hello is heard at 115200."""
    baud = begin(t)
    t.check(switch(t, baud), f"the line does not run at {baud} baud")
    t.host.end_session()
    t.connect()
    t.alive("a new session at 115200")
    mark = t.host.send(SetRate(baud), SetRate(baud))
    t.expect(RateSet, mark, "in the next session SetRate was not answered")
