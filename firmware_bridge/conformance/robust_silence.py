"""Robust cases: a host that is gone, and lines that only seem to have one. The microphone must not stay on."""

from __future__ import annotations

from ..messages import (
    DEAD_AFTER_MS,
    MAJOR,
    MINOR,
    START_BAUD,
    Capability,
    CaptureEvent,
    CaptureStop,
    Close,
    CloseReason,
    Confirm,
    Hello,
    HelloAck,
    Led,
    MicAudio,
    Ping,
    Pong,
    SpeakerAudio,
)
from .cases import case
from .media_microphone import listen
from .trial import Trial, Violated

SLACK_MS = 250
TOLERANCE_MS = 1000
"""Beyond this a frame has not noticed; below, a busy computer may have been late."""
PACE_MS = 250
STORM = 128
"""Hellos in one piece: 3 KB, which any receive ring holds."""
HELLO_WIRE_BYTES = 24
WRAP_S = 20
"""On a line with a rate not all 65,536 sessions are tried, but as many as fit this time."""


def start_sensors(t: Trial) -> None:
    """A session with the microphone on, where there is one."""
    t.connect()
    if t.has(Capability.MICROPHONE):
        listen(t, 200)


def goes_within(t: Trial, mark: int, since_us: int) -> None:
    """The frame must say Close, with its reports before it, 3 s after it was last spoken to."""
    left_us = since_us + (DEAD_AFTER_MS + TOLERANCE_MS) * 1000 - t.host.port.now_us
    found = t.host.wait(mark, Close, left_us / 1000)
    if found is None:
        raise Violated("its host was gone for 4 s, and it did not say Close")
    took_ms = (found[0].at_us - since_us) / 1000
    t.figures["gone_after_ms"] = took_ms
    t.check(took_ms >= DEAD_AFTER_MS - SLACK_MS, f"it gave its host up after {took_ms:.0f} ms already")
    t.should(took_ms <= DEAD_AFTER_MS + SLACK_MS, f"it took {took_ms:.0f} ms to notice that its host was gone")
    t.check(found[1].reason == CloseReason.INTERRUPTED, f"its Close has the reason {found[1].reason}")
    if t.has(Capability.MICROPHONE):
        off = [event for _, event in t.host.since(mark, CaptureEvent) if not event.on]
        t.check(bool(off), "it did not report that capture is off")
        t.check(off[0].reason == CaptureStop.HOST_GONE, f"capture went off for the reason {off[0].reason}")
    mark = len(t.host.log)
    t.silent(mark, [MicAudio, Ping], "its Close")
    t.connect()
    state = t.state()
    t.check((state.capturing, state.led) == (0, Led.OFF), f"afterwards capturing is {state.capturing}, LED {state.led}")


@case("R-01", "silence switches the sensors off", 5)
def silence(t: Trial) -> None:
    """A frame that hears nothing for 3 s switches its sensors off, reports it, and says Close."""
    start_sensors(t)
    t.host.keep_alive = t.host.acks_events = False
    mark = t.host.send(Ping(1))
    goes_within(t, mark, t.host.port.now_us)


@case("R-02", "old octets keep nothing alive", 5)
def replayed(t: Trial) -> None:
    """Frames whose number is not new, and the session's own Hello, do not count as heard."""
    nonce = t.nonce()
    t.connect(nonce=nonce)
    if t.has(Capability.MICROPHONE):
        listen(t, 200)
    t.host.keep_alive = t.host.acks_events = False
    stale = b"\0" + t.host.pack(Ping(1)) + t.host.pack(Pong(1)) + t.host.pack(Confirm(nonce))
    mark = t.host.write(stale)
    since_us = t.host.port.now_us
    for at in range(DEAD_AFTER_MS // PACE_MS):
        t.host.idle(PACE_MS)
        if at % 2:
            t.host.write(stale)
        else:
            t.host.hello(nonce)
    goes_within(t, mark, since_us)


@case("R-03", "noise keeps nothing alive", 5)
def noise_is_nobody(t: Trial) -> None:
    """Noise, text, and frames of other sessions do not count as heard."""
    start_sensors(t)
    t.host.keep_alive = t.host.acks_events = False
    mark = t.host.send(Ping(1))
    since_us = t.host.port.now_us
    for _ in range(DEAD_AFTER_MS // PACE_MS):
        t.host.idle(PACE_MS)
        foreign = t.host.pack(Ping(2), session=t.host.session ^ 0x0F0F)
        t.host.write(t.rng.randbytes(60) + b"\0AT+GCAP\r\0" + foreign)
    goes_within(t, mark, since_us)


@case("R-04", "an echoing line keeps nothing alive", 5)
def line_runs_back(t: Trial) -> None:
    """A frame that gets its own octets back switches its sensors off."""
    t.need(Capability.MICROPHONE)
    start_sensors(t)
    t.host.keep_alive = t.host.acks_events = False
    mark = t.host.send(Ping(1))
    end_us = t.host.port.now_us + (DEAD_AFTER_MS + TOLERANCE_MS) * 1000
    while t.host.port.now_us < end_us and not t.host.since(mark, Close):
        data = t.host.receive(end_us)
        if data:
            t.host.write(data)
    t.check(bool(t.host.since(mark, Close)), "it heard itself for 4 s, and did not say Close")
    t.connect()
    t.check(t.state().capturing == 0, "the microphone is on afterwards")


@case("R-05", "an old session's frames are not heard", 4)
def old_session(t: Trial) -> None:
    """Everything that a host sent in its last session, sent again in this one, runs nothing and switches nothing on."""
    t.connect()
    began = len(t.host.sent_octets)
    if t.has(Capability.MICROPHONE):
        listen(t, 100)
    if t.has(Capability.SPEAKER):
        t.host.send(SpeakerAudio(0, 1, bytes(640)))
    t.state()
    old = t.host.sent_octets[began:]
    t.host.end_session()
    t.connect()
    for _ in range(2):
        for octets in old:
            mark = t.host.write(octets)
            t.check(not t.answers(mark), "a call of the last session was answered in this one")
    state = t.state()
    t.check((state.capturing, state.speaker_queued_samples) == (0, 0), "frames of the last session switched parts on")


@case("R-06", "an old session cannot end a new one", 4)
def old_close(t: Trial) -> None:
    """Close, Confirm and Credit of the last session change nothing in this one."""
    nonce = t.nonce()
    first = t.connect(nonce=nonce)
    t.host.end_session()
    t.connect()
    for message in (Close(CloseReason.DONE), Confirm(nonce), Close(CloseReason.NO_SESSION)):
        t.host.write(b"\0" + t.host.pack(message, seq=200, session=first.session))
    t.alive("a Close of the last session")


@case("R-07", "a storm of greetings", 4)
def greetings(t: Trial) -> None:
    """Of many Hellos at once the last one counts, and that host is served."""
    t.host.keep_alive = False
    nonces = [t.nonce() for _ in range(STORM)]
    mark = t.host.write(_hellos(t, nonces))
    t.expect(HelloAck, mark, "the last of many Hellos was not answered", where=lambda ack: ack.nonce == nonces[-1])
    t.connect(nonce=nonces[-1])
    t.alive("many Hellos")


@case("R-08", "session numbers wrap", 4)
def sessions_wrap(t: Trial) -> None:
    """However many sessions there were, none has the number 0 or the one of the session before it."""
    t.host.keep_alive = False
    most = 0x10000 + STORM
    if t.declared.max_baud:
        most = min(most, round(WRAP_S * START_BAUD / 10 / HELLO_WIRE_BYTES))
    seen: list[int] = []
    while len(seen) * STORM < most:
        nonces = [t.nonce() for _ in range(STORM)]
        mark = t.host.write(_hellos(t, nonces))
        missing = f"after {len(seen) * STORM} sessions a Hello was not answered"
        ack = t.expect(HelloAck, mark, missing, where=lambda ack, last=nonces[-1]: ack.nonce == last)  # type: ignore[misc]
        t.check(ack.session != 0, "a session has the number 0")
        seen.append(ack.session)
    t.figures["sessions"] = len(seen) * STORM
    before = seen[-1]
    t.check(t.connect().session != before, "two sessions in a row have the same number")
    t.alive("many sessions")


def _hellos(t: Trial, nonces: list[int]) -> bytes:
    return b"\0" + b"".join(t.host.pack(Hello(MAJOR, MINOR, nonce, 0), seq=1, session=0) for nonce in nonces)
