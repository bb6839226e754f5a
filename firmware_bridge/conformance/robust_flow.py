"""Robust cases: lost credit, hosts that stall, everything at once, and how much the line carries."""

from __future__ import annotations

from itertools import pairwise

from ..messages import (
    MAX_TEST_OBJECT_BYTES,
    BulkData,
    Capability,
    CaptureStartArgs,
    Channel,
    Credit,
    HighestSent,
    MakeTestObjectArgs,
    MakeTestObjectResult,
    Method,
    MicAudio,
    ObjectStatus,
    PlaybackEnd,
    ReadObjectArgs,
    Window,
)
from .cases import case
from .core_credit import RESUME_MS, credited
from .media_microphone import continuous, fitting_codec, listen
from .media_speaker import Playback
from .objects import BULK_WINDOW, read_object, write_object
from .priorities import on_time
from .rates import faster
from .trial import Trial, Violated, grant_of

STALL_MS = 200
DEAF_MS = 1500
UP_BYTES = 256 * 1024
SLOW_UP_BYTES = 40 * 1024
GOODPUT = 0.8
"""Of the line's octets, where it has a rate; the rest are heads, CRCs and grants."""


@case("R-20", "lost credit costs 150 ms at most", 6)
def lost_credit(t: Trial) -> None:
    """When a whole window and its grants are lost, HighestSent brings the flow back within 150 ms, again and again."""
    t.connect()
    worst_ms = 0.0
    for _ in range(20):
        for channel, window in credited(t).items():
            for _ in range(window):
                t.host.next_seq(channel)
            seq = t.host.last_seq(channel)
            asked_us = t.host.port.now_us
            mark = t.host.send(HighestSent(channel, seq))
            found = t.find(Credit, mark, where=grant_of(channel, seq + window))
            if found is None:
                raise Violated(f"on {channel.name.lower()} no grant came back after the loss of a window")
            worst_ms = max(worst_ms, (found[0].at_us - asked_us) / 1000)
        t.host.idle(60)  # what goes without credit stays below 512 octets in 400 ms
    t.figures["resume_worst_ms"] = worst_ms
    t.should(worst_ms <= RESUME_MS, f"it took {worst_ms:.0f} ms until there was credit again")


@case("R-21", "a lost grant is repeated", 6)
def lost_grant(t: Trial) -> None:
    """A host that never saw the grant after a whole window gets it again within 150 ms, without a question."""
    ack = t.connect()
    worst_ms = 0.0
    for _ in range(5):
        calls = [t.host.next_call(Method.GET_STATE) for _ in range(ack.rpc_window)]
        mark = t.host.send(*calls)
        t.reply(calls[-1], mark)
        t.host.idle(20)  # the first grant is lost
        lost_us, mark = t.host.port.now_us, len(t.host.log)
        found = t.find(Credit, mark, where=lambda c: c.channel == Channel.RPC)
        if found is None:
            raise Violated("a grant was not repeated")
        worst_ms = max(worst_ms, (found[0].at_us - lost_us) / 1000)
    t.figures["resume_worst_ms"] = worst_ms
    t.should(worst_ms <= RESUME_MS, f"it took {worst_ms:.0f} ms until the grant came again")


@case("R-22", "a host without credit to give", 6)
def withheld(t: Trial) -> None:
    """An object waits for as long as the host grants nothing, and resumes within 150 ms of a grant."""
    t.need_minor(1)
    t.connect()
    made = MakeTestObjectResult.unpack(t.ok(Method.MAKE_TEST_OBJECT, MakeTestObjectArgs(SLOW_UP_BYTES)))
    t.ok(Method.READ_OBJECT, ReadObjectArgs(made.object, 0))
    allowed, worst_ms = int(Window.BULK_UP), 0.0
    for _ in range(4):
        t.host.idle(700)
        allowed += 2
        mark = t.host.send(Credit(Channel.BULK_UP, allowed))
        granted_us = t.host.port.now_us
        found = t.find(BulkData, mark)
        if found is None:
            raise Violated("after 700 ms without credit a grant did not bring the object back")
        worst_ms = max(worst_ms, (found[0].at_us - granted_us) / 1000 - t.line_us(1016) / 1000)
    t.figures["resume_worst_ms"] = worst_ms
    t.should(worst_ms <= RESUME_MS, f"it took {worst_ms:.0f} ms from the grant to the object")


@case("R-23", "a host that stops reading", 9)
def deaf(t: Trial) -> None:
    """While nobody reads, the frame lives on and keeps no more than it must; afterwards calls are answered at once, and
    what was dropped is counted."""
    t.connect()
    microphone = t.has(Capability.MICROPHONE)
    mark = len(t.host.log)
    if microphone:
        listen(t, 200)
    for _ in range(2):
        t.host.port.stall(DEAF_MS * 1000)
        asked_us = t.host.port.now_us
        t.alive(f"{DEAF_MS} ms in which nobody read")
        t.figures["first_answer_ms"] = (t.host.port.now_us - asked_us) / 1000
        t.should(t.figures["first_answer_ms"] <= 1000, f"the first answer took {t.figures['first_answer_ms']:.0f} ms")
        t.host.idle(300)
    if microphone:
        t.figures["audio_frames_missing"] = continuous(t, t.host.since(mark, MicAudio))


@case("R-24", "stalls on the line", 2)
def stalls(t: Trial) -> None:
    """A frame that stops for 200 ms in its middle is taken when the rest of it comes."""
    t.connect()
    for at in (1, 5, 9, 14):
        call = t.host.next_call(Method.GET_STATE)
        wire = b"\0" + t.host.pack(call)
        mark = t.host.write(wire[:at])
        t.host.idle(STALL_MS)
        t.host.write(wire[at:])
        t.reply(call, mark)


@case("R-25", "everything at once", 7)
def everything(t: Trial) -> None:
    """Microphone, speaker, an object and calls at the same time: nothing is lost, and nothing waits for the object."""
    t.need(Capability.MICROPHONE)
    t.need(Capability.SPEAKER)
    t.need_minor(1)
    t.connect(bulk_window=BULK_WINDOW)
    with faster(t):
        made = MakeTestObjectResult.unpack(t.ok(Method.MAKE_TEST_OBJECT, MakeTestObjectArgs(MAX_TEST_OBJECT_BYTES)))
        t.ok(Method.CAPTURE_START, CaptureStartArgs(fitting_codec(t)))
        t.host.idle(100)
        mark = len(t.host.log)
        t.host.grants_bulk = True
        t.ok(Method.READ_OBJECT, ReadObjectArgs(made.object, 0))
        playback = Playback(t, 1)
        playback.send_credited(50)
        t.alive("audio both ways beside an object")
        ended = playback.ended()
        t.host.idle(200)
        t.check(ended.reason == PlaybackEnd.PLAYED, f"playback ended for the reason {ended.reason}")
        bulk = t.host.since(mark, BulkData)
        offsets = [(chunk.offset, len(chunk.data)) for _, chunk in bulk]
        holes = sum(at + size != then for (at, size), (then, _) in pairwise(offsets))
        t.figures["object_bytes"] = sum(size for _, size in offsets)
        t.check(bool(offsets), "beside audio the object stands still")
        t.should(holes == 0, f"the object has {holes} holes")
        on_time(t, mark)


@case("R-26", "octets a second from the frame", 11)
def throughput_up(t: Trial) -> None:
    """A test object comes whole; how fast is a figure, on a line with a rate at least 80 % of it."""
    t.need_minor(1)
    t.connect(bulk_window=BULK_WINDOW)
    with faster(t):
        size = MAX_TEST_OBJECT_BYTES if not t.declared.max_baud else UP_BYTES
        made = MakeTestObjectResult.unpack(t.ok(Method.MAKE_TEST_OBJECT, MakeTestObjectArgs(size)))
        reading = read_object(t, made.object, 0)
        _rate(t, size, reading.took_ms)
        t.should(reading.repeats == 0, f"the object had to be asked for {reading.repeats} times more")


@case("R-27", "octets a second to the frame", 11)
def throughput_down(t: Trial) -> None:
    """An object is taken whole; how fast is a figure, on a line with a rate at least 80 % of it."""
    t.need_minor(1)
    t.connect()
    with faster(t):
        size = MAX_TEST_OBJECT_BYTES if not t.declared.max_baud else UP_BYTES
        writing = write_object(t, 9, t.rng.randbytes(size))
        t.check(writing.status == ObjectStatus.OK, f"it ended with status {writing.status}")
        _rate(t, size, writing.took_ms)
        t.should(writing.holes == 0, f"the frame missed something {writing.holes} times")


def _rate(t: Trial, size: int, took_ms: float) -> None:
    t.figures["object_bytes"] = size
    if took_ms > 0:  # in virtual time a line without a rate takes none
        t.figures["goodput_kilobytes_per_s"] = size / took_ms
    if t.declared.max_baud:
        share = size / took_ms * 1000 / (t.host.baud / 10)
        t.figures["share_of_the_line"] = share
        t.should(share >= GOODPUT, f"it used {100 * share:.0f} % of the line")
