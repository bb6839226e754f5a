"""Core cases: events. Each waits for its acknowledgement, one at a time, and none holds a reply up."""

from __future__ import annotations

from itertools import pairwise

from ..messages import (
    EVENT_RETRY_MS,
    EVENT_TRIES,
    Capability,
    Channel,
    Close,
    CloseReason,
    EventAck,
    Flag,
    Method,
    SpeakerAudio,
)
from .cases import case
from .host import Received
from .trial import ANSWER_MS, QUIET_MS, Absent, Trial, Violated

RETRY_SLACK_MS = 60
GIVE_UP_MS = EVENT_RETRY_MS * (EVENT_TRIES + 5)


def cause_events(t: Trial) -> int:
    """Make the frame report at least two things, without a sensor that stays on; returns the mark."""
    mark = len(t.host.log)
    if t.has(Capability.MICROPHONE):
        t.ok(Method.CAPTURE_START)
        t.ok(Method.CAPTURE_STOP)
    elif t.has(Capability.SPEAKER):
        for stream in (1, 2):
            t.host.send(SpeakerAudio(0, stream, b""), flags=Flag.FIRST | Flag.LAST)
    else:
        raise Absent("it has neither microphone nor speaker to report about")
    return mark


def events_since(t: Trial, mark: int) -> list[Received]:
    """Every event frame, repetitions included."""
    return [r for r in t.host.log[mark:] if r.frame.channel == Channel.EVENT and r.frame.session == t.host.session]


def first_event(t: Trial, mark: int, *, but: int = 0) -> Received:
    """The first event frame behind the mark that has another number than `but`."""

    def found() -> list[Received]:
        return [r for r in events_since(t, mark) if r.frame.seq != but]

    t.host.pump(t.host.port.now_us + ANSWER_MS * 1000, lambda: bool(found()))
    if not found():
        raise Violated(f"no event came within {ANSWER_MS} ms")
    return found()[0]


@case("C-47", "an event comes again until it is acknowledged", 12)
def event_again(t: Trial) -> None:
    """An event asks for an acknowledgement, and comes again every 100 ms as it was, marked RETRY, while none comes."""
    t.need_minor(1)
    t.connect()
    t.host.acks_events = False
    mark = cause_events(t)
    first = first_event(t, mark)
    t.check(bool(first.frame.flags & Flag.ACK_REQ), "an event does not ask for an acknowledgement")
    t.check(not first.frame.flags & Flag.RETRY, "an event's first frame is marked as a repetition")
    t.host.idle(EVENT_RETRY_MS * 4.5)
    sent = events_since(t, mark)
    t.check(len(sent) >= 3, f"an event was sent {len(sent)} times in 450 ms without an acknowledgement")
    again = [(r.frame.seq, r.frame.payload) for r in sent]
    t.check(len(set(again)) == 1, "behind an event that was not acknowledged came another one")
    t.check(all(r.frame.flags & Flag.RETRY for r in sent[1:]), "a repetition is not marked RETRY")
    apart_ms = [(b.at_us - a.at_us) / 1000 for a, b in pairwise(sent)]
    t.figures["event_retry_ms"] = sum(apart_ms) / len(apart_ms)
    slow = max(apart_ms)
    t.should(slow <= EVENT_RETRY_MS + RETRY_SLACK_MS, f"{slow:.0f} ms passed between two sends of an event")


@case("C-48", "an acknowledgement lets the next event go", 12)
def event_acked(t: Trial) -> None:
    """EventAck with the event's number ends its repetition; the next event follows under the next number, in order."""
    t.need_minor(1)
    t.connect()
    t.host.acks_events = False
    mark = cause_events(t)
    first = first_event(t, mark)
    t.host.send(EventAck((first.frame.seq + 1) & 0xFFFF))
    t.host.idle(1.5 * EVENT_RETRY_MS)
    sent = {r.frame.seq for r in events_since(t, mark)}
    t.check(sent == {first.frame.seq}, "an acknowledgement of a number that was not sent let the next event go")
    after = t.host.send(EventAck(first.frame.seq))
    second = first_event(t, after, but=first.frame.seq)
    t.check(second.frame.seq == (first.frame.seq + 1) & 0xFFFF, f"number {second.frame.seq} followed {first.frame.seq}")
    t.check(not second.frame.flags & Flag.RETRY, "the next event's first frame is marked as a repetition")
    t.host.send(EventAck(first.frame.seq))  # once more: a duplicate
    t.host.idle(1.5 * EVENT_RETRY_MS)
    late = [r.frame.seq for r in events_since(t, after)]
    t.check(first.frame.seq not in late, "an event came again after its acknowledgement")


@case("C-49", "an event is given up, and counted", 12)
def event_given_up(t: Trial) -> None:
    """After ten sends in vain an event is dropped and counted in tx_dropped_frames; the next one has its turn."""
    t.need_minor(1)
    t.connect()
    t.host.acks_events = False
    before = t.state()
    mark = cause_events(t)
    first = first_event(t, mark)

    def next_came() -> bool:
        return any(r.frame.seq != first.frame.seq for r in events_since(t, mark))

    t.host.pump(t.host.port.now_us + GIVE_UP_MS * 1000, next_came)
    sent = [r for r in events_since(t, mark) if r.frame.seq == first.frame.seq]
    t.check(next_came(), f"after {len(sent)} sends in vain the next event had no turn")
    t.check(len(sent) == EVENT_TRIES, f"an event was sent {len(sent)} times in vain instead of {EVENT_TRIES}")
    dropped = t.state().tx_dropped_frames - before.tx_dropped_frames
    t.check(dropped == 1, f"tx_dropped_frames went up by {dropped} when one event was given up")


@case("C-50", "no reply waits for an event", 12)
def replies_pass(t: Trial) -> None:
    """While an event waits for its acknowledgement, calls are answered as ever."""
    t.need_minor(1)
    t.connect()
    t.host.acks_events = False
    mark = cause_events(t)
    first_event(t, mark)
    asked_us = t.host.port.now_us
    for _ in range(4):
        t.state()
    t.figures["call_ms"] = (t.host.port.now_us - asked_us) / 4000
    t.check(len({r.frame.seq for r in events_since(t, mark)}) == 1, "the event was given up already")


@case("C-51", "a host of version 1.0 gets events once", 12)
def events_of_old(t: Trial) -> None:
    """To a host whose Hello has minor 0 an event is sent once, without ACK_REQ, and none waits."""
    t.need_minor(1)
    t.connect(minor=0)
    mark = cause_events(t)
    first_event(t, mark)
    t.host.idle(3 * EVENT_RETRY_MS)
    sent = events_since(t, mark)
    t.check(not any(r.frame.flags & (Flag.ACK_REQ | Flag.RETRY) for r in sent), "it asks a 1.0 host to acknowledge")
    numbers = [r.frame.seq for r in sent]
    t.check(len(numbers) >= 2, "a second event waits for an acknowledgement that a 1.0 host never sends")
    t.check(len(set(numbers)) == len(numbers), "an event was sent twice to a 1.0 host")


@case("C-52", "no event of an old session", 12)
def events_end(t: Trial) -> None:
    """An event that waits for its acknowledgement dies with its session: the next session does not get it."""
    t.connect()
    t.host.acks_events = False
    mark = cause_events(t)
    first_event(t, mark)
    t.host.send(Close(CloseReason.DONE))
    t.connect()
    mark = len(t.host.log)
    t.host.idle(QUIET_MS + 2 * EVENT_RETRY_MS)
    t.check(not events_since(t, mark), "an event of the last session came in the next one")
