"""Core cases: credit towards the frame, and what a sequence number decides."""

from __future__ import annotations

from itertools import pairwise

from ..messages import (
    CREDIT_INTERVAL_MS,
    Capability,
    Channel,
    Credit,
    HighestSent,
    Method,
    Reply,
)
from .cases import case
from .trial import QUIET_MS, Trial, Violated, grant_beyond, grant_of

REPEAT_SLACK_MS = 50
RESUME_MS = 150
"""Within this time of a loss the sender may go on."""


def allowed_since(t: Trial, mark: int, channel: Channel) -> list[int]:
    return [credit.allowed for _, credit in t.host.since(mark, Credit) if credit.channel == channel]


def credited(t: Trial) -> dict[Channel, int]:
    """The credited channels towards the frame that this frame has, and their windows."""
    ack = t.declared
    windows = {Channel.RPC: ack.rpc_window, Channel.SPEAKER: ack.speaker_window}
    if ack.minor >= 1:
        windows |= {Channel.BULK_DOWN: ack.bulk_window, Channel.TEST: ack.test_window}
    return {channel: window for channel, window in windows.items() if window}


@case("C-38", "the first grants are the windows", 6)
def first_grants(t: Trial) -> None:
    """Confirm is answered by a grant for each credited channel, of the window that HelloAck named."""
    t.connect()
    t.host.idle(QUIET_MS)
    for channel, window in credited(t).items():
        granted = allowed_since(t, 0, channel)
        t.check(bool(granted), f"channel {channel.name.lower()} was granted nothing")
        seen = f"channel {channel.name.lower()} was granted {granted[0]}, and HelloAck named {window}"
        t.check(granted[0] == window, seen)


@case("C-39", "a grant is repeated", 6)
def grants_repeat(t: Trial) -> None:
    """While a channel is in use its grant comes again at least every 100 ms, so that a lost one costs no more."""
    ack = t.connect()
    mark = len(t.host.log)
    t.state()
    t.host.idle(600)
    found = [(r.at_us, c.allowed) for r, c in t.host.since(mark, Credit) if c.channel == Channel.RPC]
    t.check(len(found) >= 3, f"{len(found)} grants for requests came in the 600 ms after a call")
    allowed = 1 + ack.rpc_window
    t.check({a for _, a in found} == {allowed}, f"after one call {found[-1][1]} was granted instead of {allowed}")
    worst_ms = max(b - a for (a, _), (b, _) in pairwise(found)) / 1000
    t.figures["grant_interval_worst_ms"] = worst_ms
    t.should(worst_ms <= CREDIT_INTERVAL_MS + REPEAT_SLACK_MS, f"{worst_ms:.0f} ms passed between two grants")


@case("C-40", "a spent window is granted on", 6)
def granted_on(t: Trial) -> None:
    """A sender that had no credit left is granted more as soon as there is a free slot, without a question; and the
    whole window with one of the next grants."""
    ack = t.connect()
    for _ in range(3):
        before = t.host.last_seq(Channel.RPC)
        asked_us = t.host.port.now_us
        mark = t.host.send(*(t.host.next_call(Method.GET_STATE) for _ in range(ack.rpc_window)))
        found = t.find(Credit, mark, where=grant_beyond(Channel.RPC, before + ack.rpc_window))
        if found is None:
            raise Violated("a whole window of calls was answered, and no more granted")
        took_ms = (found[0].at_us - asked_us) / 1000
        t.figures["grant_ms"] = max(took_ms, t.figures.get("grant_ms", 0.0))
        t.should(took_ms <= RESUME_MS, f"the grant came after {took_ms:.0f} ms")
        allowed = before + 2 * ack.rpc_window
        t.expect(Credit, mark, f"{allowed} was never granted", where=grant_of(Channel.RPC, allowed))


@case("C-41", "the loss of a whole window blocks nothing", 6)
def lost_window(t: Trial) -> None:
    """HighestSent counts everything up to its number as received, and is answered by a grant."""
    t.connect()
    for channel, window in credited(t).items():
        for _ in range(window):
            t.host.next_seq(channel)  # sent, and lost
        _granted(t, channel, t.host.last_seq(channel), window)


def _granted(t: Trial, channel: Channel, seq: int, window: int, claimed: int | None = None) -> None:
    """HighestSent of `claimed` must be answered by a grant of a whole window beyond `seq`."""
    allowed = (seq + window) & 0xFFFF
    mark = t.host.send(HighestSent(channel, seq if claimed is None else claimed))
    missing = f"HighestSent on {channel.name.lower()} was not answered by a grant of {allowed}"
    t.expect(Credit, mark, missing, where=grant_of(channel, allowed))


@case("C-42", "HighestSent never goes back", 6)
def highest_sent_back(t: Trial) -> None:
    """HighestSent of a number behind the highest one takes nothing back; without credit on a channel it means
    nothing."""
    ack = t.connect()
    for _ in range(3):
        t.state()
    _granted(t, Channel.RPC, t.host.last_seq(Channel.RPC), ack.rpc_window, claimed=1)
    mark = t.host.send(*(HighestSent(channel, 1) for channel in (Channel.LINK, Channel.MIC, Channel.BULK_UP, 200)))
    t.host.idle(QUIET_MS)
    for channel in (Channel.LINK, Channel.MIC, Channel.BULK_UP):
        t.check(not allowed_since(t, mark, channel), f"it granted something on {channel.name.lower()}")
    t.alive("HighestSent on channels without credit")


@case("C-43", "a gap counts as received", 6)
def gap(t: Trial) -> None:
    """Numbers that were left out count as received: the next grant lies a whole window beyond the highest one."""
    ack = t.connect()
    t.host.skip_to(Channel.RPC, 3)
    mark = len(t.host.log)
    t.state()
    allowed = 4 + ack.rpc_window
    missing = f"after number 4 with a gap before it {allowed} was not granted"
    t.expect(Credit, mark, missing, where=grant_of(Channel.RPC, allowed))


@case("C-44", "duplicates and stragglers are dropped", 3)
def duplicates(t: Trial) -> None:
    """A frame whose number is at or before the highest one of its channel is dropped: it is not run, nor answered."""
    t.connect()
    call = t.host.next_call(Method.GET_STATE)
    wire = b"\0" + t.host.pack(call)
    mark = t.host.write(wire + wire)
    t.reply(call, mark)
    t.answers(mark)
    mark = t.host.write(wire)
    t.check(not t.answers(mark), "a frame that was sent again under its old number was answered")
    late = t.host.pack(t.host.next_call(Method.GET_STATE))
    t.state()
    mark = t.host.write(b"\0" + late)
    t.check(not t.answers(mark), "a frame that was overtaken by a later one was run")


@case("C-45", "numbers wrap", 3)
def wrap(t: Trial) -> None:
    """Numbers are compared modulo 65536: behind 65535 comes 0, and what lies behind is old on either side of it."""
    t.connect()
    for channel, window in credited(t).items():
        for seq in (0x7000, 0xE000, 0xFFFC):  # never more than half the circle ahead
            _granted(t, channel, seq, window)
        t.host.skip_to(channel, 0xFFFC)
    for _ in range(8):
        t.state()
    t.check(t.host.last_seq(Channel.RPC) == 4, "the test itself did not wrap")
    call = t.host.next_call(Method.GET_STATE)
    mark = t.host.write(b"\0" + t.host.pack(call, seq=0xFFFF))
    t.check(not t.answers(mark), "number 65535 was taken again behind number 4")
    if t.has(Capability.SPEAKER):
        _granted(t, Channel.SPEAKER, 2, t.declared.speaker_window)


@case("C-46", "what goes beyond the window is dropped", 6)
def beyond_window(t: Trial) -> None:
    """A host that sends more than it was granted harms nobody: what finds no slot is dropped, not run later, and the
    session goes on."""
    ack = t.connect()
    calls = [t.host.next_call(Method.GET_STATE) for _ in range(3 * ack.rpc_window)]
    mark = t.host.send(*calls)
    t.host.idle(QUIET_MS)
    answered = [reply.call_id for _, reply in t.host.since(mark, Reply)]
    t.check(len(answered) >= ack.rpc_window, f"of {len(calls)} calls only {len(answered)} were answered")
    t.check(answered == sorted(set(answered)), "a call was answered twice, or out of order")
    t.alive("more calls than the window holds")
