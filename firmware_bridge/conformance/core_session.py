"""Core cases: how a session begins and ends, and who is listened to."""

from __future__ import annotations

from itertools import pairwise

from ..messages import (
    HEARTBEAT_MS,
    MAJOR,
    SAMPLE_RATE_HZ,
    BulkData,
    Channel,
    Close,
    CloseReason,
    Confirm,
    Credit,
    Flag,
    GetStateResult,
    Hello,
    HelloAck,
    LedEvent,
    LogText,
    Message,
    Method,
    MicAudio,
    Ping,
    Pong,
    Refuse,
    Reply,
)
from .cases import case
from .trial import ANSWER_MS, Trial, Violated, pong_of

PINGS = 50
PING_PAUSE_MS = 15
"""Between two Pings: what goes without credit stays below 512 octets in 400 ms."""
SLOW_PONG_MS = 100
HEARTBEAT_SLACK_MS = 250
IN_FLIGHT_MS = 60
"""What was on its way when Close was sent has come after this."""
NO_SESSION_MS = 100
"""At most one Close(no_session) in this time."""


@case("C-01", "a Hello is answered", 4)
def hello_is_answered(t: Trial) -> None:
    """HelloAck carries the Hello's nonce, a session other than 0 in message and header, number 1, the same major
    version, and says who the frame is."""
    nonce = t.nonce()
    asked_us = t.host.port.now_us
    ack = t.greet(nonce)
    received = next(r for r in t.host.log if isinstance(r.message, HelloAck))
    t.figures["hello_ms"] = (received.at_us - asked_us) / 1000
    t.check(ack.session != 0, "the session is 0")
    t.check(received.frame.session == ack.session, f"session {ack.session} came under {received.frame.session}")
    t.check(received.frame.seq == 1, f"the first frame has number {received.frame.seq}")
    t.check(ack.major == MAJOR, f"major version {ack.major}")
    t.check(ack.rpc_window > 0, "it takes no requests at all (rpc_window 0)")
    t.check(ack.device_id == t.declared.device_id, "device_id is another one than before")
    t.should(bool(ack.name), "it has no name")
    t.should(bool(ack.firmware_version), "it has no firmware version")
    t.should(any(ack.device_id), "its device_id is all zeros")


@case("C-02", "the same nonce gets the same answer", 4)
def same_nonce(t: Trial) -> None:
    """Hello with the nonce of the session that is open repeats HelloAck and changes nothing else."""
    nonce = t.nonce()
    first = t.connect(nonce=nonce)
    call, mark = t.host.call(Method.GET_STATE)
    before = t.reply(call, mark)
    for _ in range(2):
        again = t.expect(HelloAck, t.host.hello(nonce), "Hello with the session's own nonce was not answered")
        t.check(again == first, "it answered the same nonce with another HelloAck")
    mark = t.host.send(call, flags=Flag.RETRY)
    t.check(t.reply(call, mark) == before, "Hello with the same nonce made it forget its kept replies")


@case("C-03", "a new nonce is a new session", 4)
def new_nonce(t: Trial) -> None:
    """Hello with another nonce ends the old session at once: another session number, every sequence number from 1,
    kept replies forgotten, the old session's frames not heard."""
    first = t.connect()
    call, mark = t.host.call(Method.GET_STATE)
    before = t.reply(call, mark)
    nonce = t.nonce()
    second = t.greet(nonce)
    t.check(second.session not in (0, first.session), f"the new session has the number {second.session} of the old one")
    t.host.send(Confirm(nonce), Ping(1))
    mark = t.host.write(b"\0" + t.host.pack(t.host.next_call(Method.GET_STATE), seq=9, session=first.session))
    t.check(not t.answers(mark), "a call of the old session was answered in the new one")
    mark = t.host.send(call, flags=Flag.RETRY)
    t.check(t.reply(call, mark) != before, "a reply of the old session was kept for the new one")
    rpc = [r.frame.seq for r in t.host.log if r.frame.channel == Channel.RPC and r.frame.session == second.session]
    t.check(rpc[0] == 1, f"the first reply of the new session has number {rpc[0]}")


@case("C-04", "another major version is refused", 4)
def wrong_major(t: Trial) -> None:
    """Hello with another major version gets Refuse(version) with the nonce and the frame's own version, in session 0,
    and changes no session."""
    t.connect()
    for major in (0, MAJOR + 1, 255):
        nonce = t.nonce()
        mark = t.host.hello(nonce, major=major)
        refusal = t.expect(Refuse, mark, f"Hello of major version {major} was not refused")
        t.check(refusal.nonce == nonce, "Refuse carries another nonce")
        t.check(refusal.reason == CloseReason.VERSION, f"Refuse has the reason {refusal.reason}")
        t.check(
            (refusal.major, refusal.minor) == (MAJOR, t.declared.minor), "Refuse names another version than HelloAck"
        )
    t.alive("a refusal")


@case("C-05", "nothing counts before Confirm", 4)
def confirm_opens(t: Trial) -> None:
    """Until Confirm with the session's nonce a call is not run; it makes the frame repeat HelloAck."""
    nonce = t.nonce()
    t.host.keep_alive = False
    t.greet(nonce)
    mark = t.host.send(t.host.next_call(Method.GET_STATE))
    t.expect(HelloAck, mark, "a frame of the session before Confirm did not make it repeat HelloAck")
    t.silent(mark, [Reply], "a call before Confirm")
    mark = t.host.send(Confirm(nonce ^ 1))
    t.host.send(t.host.next_call(Method.GET_STATE))
    t.silent(mark, [Reply], "a Confirm with another nonce")
    mark = t.host.send(Confirm(nonce))
    t.expect(Credit, mark, "Confirm was not answered by grants")
    t.alive("Confirm")


@case("C-06", "Confirm may come twice", 4)
def confirm_twice(t: Trial) -> None:
    """Confirm in an open session changes nothing, and is answered by grants again."""
    nonce = t.nonce()
    t.connect(nonce=nonce)
    call, mark = t.host.call(Method.GET_STATE)
    before = t.reply(call, mark)
    mark = t.host.send(Confirm(nonce))
    t.expect(Credit, mark, "a second Confirm was not answered by grants", where=lambda c: c.channel == Channel.RPC)
    mark = t.host.send(call, flags=Flag.RETRY)
    t.check(t.reply(call, mark) == before, "a second Confirm made it forget its kept replies")


@case("C-07", "other sessions are not listened to", 4)
def foreign_sessions(t: Trial) -> None:
    """In an open session, calls under any other session number are dropped."""
    t.connect()
    for session in (0, (t.host.session - 1) & 0xFFFF, (t.host.session + 1) & 0xFFFF):
        call = t.host.next_call(Method.GET_STATE)
        mark = t.host.write(b"\0" + t.host.pack(call, seq=50, session=session))
        t.check(not t.answers(mark), f"a call of session {session} was answered in session {t.host.session}")


@case("C-08", "a frame without a session says so", 4)
def no_session(t: Trial) -> None:
    """Without a session a valid frame of any session is answered by Close(no_session) under that number, at most once
    in 100 ms; Close itself is not answered."""
    t.need_minor(1)
    t.host.keep_alive = False
    t.host.begin_session(t.rng.randrange(1, 0xFFFF))
    mark = t.host.send(Ping(1), Ping(2), Ping(3))
    close = t.expect(Close, mark, "a frame of an unknown session was not answered by Close")
    t.check(close.reason == CloseReason.NO_SESSION, f"the reason was {close.reason}")
    t.host.idle(NO_SESSION_MS / 2)
    t.check(len(t.host.since(mark, Close)) == 1, "three frames at once were answered more than once within 100 ms")
    t.host.idle(2 * NO_SESSION_MS)
    mark = t.host.send(Ping(4))
    t.expect(Close, mark, "the second frame, after 250 ms, was not answered any more")
    t.host.idle(2 * NO_SESSION_MS)
    mark = t.host.send(Close(CloseReason.DONE))
    t.silent(mark, [Close], "a Close of an unknown session")


@case("C-09", "Close ends the session at once", 4)
def close_ends(t: Trial) -> None:
    """After Close no call of the session is run, nothing of it is sent any more, and its nonce begins a new session."""
    nonce = t.nonce()
    t.connect(nonce=nonce)
    call, mark = t.host.call(Method.GET_STATE)
    before = t.reply(call, mark)
    t.host.keep_alive = False
    t.host.send(Close(CloseReason.DONE))
    t.host.idle(IN_FLIGHT_MS)
    mark = t.host.send(t.host.next_call(Method.GET_STATE))
    t.silent(mark, [Reply, Ping, Pong, Credit], "Close")
    t.connect(nonce=nonce)
    mark = t.host.send(call, flags=Flag.RETRY)
    t.check(t.reply(call, mark) != before, "a reply was kept beyond Close")


@case("C-10", "the frame counts what it sends", 3)
def own_numbers(t: Trial) -> None:
    """On each channel the frame's numbers go up by one, from 1, within a session."""
    ack = t.connect()
    for _ in range(12):
        t.state()
    t.host.send(Ping(7))
    t.host.idle(300)
    last: dict[int, int] = {}
    for received in t.host.log:
        frame = received.frame
        if frame.session != ack.session or frame.flags & Flag.RETRY:
            continue
        expected = last.get(frame.channel, 0) + 1
        t.check(frame.seq == expected, f"channel {frame.channel}: number {frame.seq} after {expected - 1}")
        last[frame.channel] = frame.seq


@case("C-11", "a Ping is answered", 5)
def ping(t: Trial) -> None:
    """Ping is answered by Pong with its token; of several at once, at least the latest."""
    t.connect()
    took_ms = []
    for _ in range(PINGS):
        token = t.rng.getrandbits(32)
        asked_us = t.host.port.now_us
        mark = t.host.send(Ping(token))
        found = t.find(Pong, mark, where=pong_of(token))
        if found is None:
            raise Violated(f"a Ping got no Pong with its token within {ANSWER_MS} ms")
        took_ms.append((found[0].at_us - asked_us) / 1000)
        t.host.idle(PING_PAUSE_MS)
    took_ms.sort()
    t.figures["round_trip_p50_ms"] = took_ms[PINGS // 2]
    t.figures["round_trip_p99_ms"] = took_ms[-1]
    t.should(took_ms[PINGS // 2] <= SLOW_PONG_MS, f"half of the answers took more than {took_ms[PINGS // 2]:.0f} ms")
    mark = t.host.send(Ping(1), Ping(2), Ping(3))
    t.expect(Pong, mark, "of three Pings at once the latest was not answered", where=pong_of(3))


@case("C-12", "the sample clock runs", 5)
def pong_clock(t: Trial) -> None:
    """Pong carries the sample clock, GetState's own: 16,000 samples a second, though the microphone is off."""
    t.connect()
    first, first_us = _clock(t)
    t.host.idle(1000)
    second, second_us = _clock(t)
    passed = (second - first) & 0xFFFFFFFF
    expected = (second_us - first_us) * SAMPLE_RATE_HZ / 1e6
    t.figures["clock_hz"] = passed * 1e6 / (second_us - first_us)
    t.check(abs(passed - expected) <= 0.1 * expected, f"{passed} samples passed in the time of {expected:.0f}")
    state = t.state()
    ahead = (state.mic_sample - second) & 0xFFFFFFFF
    t.check(ahead < SAMPLE_RATE_HZ, f"GetState's sample clock is {ahead} samples ahead of Pong's")


def _clock(t: Trial) -> tuple[int, int]:
    """(the frame's sample clock, when it was asked for)."""
    token = t.rng.getrandbits(32)
    asked_us = t.host.port.now_us
    mark = t.host.send(Ping(token))
    pong = t.expect(Pong, mark, "a Ping got no Pong", where=pong_of(token))
    return pong.mic_sample, asked_us


@case("C-13", "the frame has a heartbeat", 5)
def heartbeat(t: Trial) -> None:
    """A frame that has sent nothing for 1 s sends a Ping, with another token each time."""
    t.connect()
    t.host.keep_alive = False
    t.host.idle(200)
    mark = len(t.host.log)
    for _ in range(4):
        t.host.send(Pong(0))  # keeps the session, and asks for nothing
        t.host.idle(0.8 * HEARTBEAT_MS)
    pings = t.host.since(mark, Ping)
    t.check(len(pings) >= 2, f"{len(pings)} Pings in 3.2 s in which it had nothing else to say")
    t.check(len({ping.token for _, ping in pings}) == len(pings), "its Pings repeat their token")
    sent_us = [r.at_us for r in t.host.log]
    longest_ms = max((b - a for a, b in pairwise(sent_us)), default=0) / 1000
    t.figures["longest_silence_ms"] = longest_ms
    t.should(longest_ms <= HEARTBEAT_MS + HEARTBEAT_SLACK_MS, f"it said nothing for {longest_ms:.0f} ms")


@case("C-14", "a frame that hears a frame stops listening", 5)
def hears_itself(t: Trial) -> None:
    """What only a frame sends ends the session: the line runs back, or there is no host."""
    own: tuple[Message, ...] = (HelloAck(), Reply(), LedEvent(), MicAudio(), BulkData(), LogText())
    for message in own:
        t.connect()
        t.host.keep_alive = False
        mark = t.host.send(message)
        t.host.idle(50)
        t.host.send(t.host.next_call(Method.GET_STATE))
        name = type(message).__name__
        t.silent(mark, [Reply], f"{name}, and it must not listen any more")
        closes = t.host.since(mark, Close)
        t.check(bool(closes), f"after {name} it did not say Close")


@case("C-15", "GetState counts what it hears", 8)
def state_counts(t: Trial) -> None:
    """GetState reads back what the frame has counted itself: frames, time, and a sample clock that agree."""
    t.connect()
    before = t.state()
    t.host.send(Ping(1), Ping(2))
    after = t.state()
    t.check(after.rx_frames - before.rx_frames == 3, f"3 frames were counted as {after.rx_frames - before.rx_frames}")
    t.check(after.rx_bad_frames == before.rx_bad_frames, "a valid frame was counted as a bad one")
    t.check(after.tx_frames > before.tx_frames, "what it sent was not counted")
    t.host.idle(500)
    later = t.state()
    passed_ms = later.uptime_ms - after.uptime_ms
    samples_ms = ((later.mic_sample - after.mic_sample) & 0xFFFFFFFF) / (SAMPLE_RATE_HZ / 1000)
    t.check(abs(passed_ms - samples_ms) <= 50, f"uptime went {passed_ms} ms while its samples went {samples_ms:.0f} ms")
    t.check(later.battery_percent <= 100 or later.battery_percent == 255, f"battery {later.battery_percent} %")


@case("C-16", "short payloads read as zeros, long ones are cut", 15)
def lengths(t: Trial) -> None:
    """A payload that is too short reads as if zeros followed, and octets behind the last known field are ignored."""
    t.connect()
    for size in range(5):
        payload = bytes((Ping.TYPE or 0,)) + b"\xff\xff\xff\xff"[:size]
        token = int.from_bytes(payload[1:].ljust(4, b"\0"), "little")
        mark = t.host.write(b"\0" + t.host.pack_payload(Channel.LINK, payload))
        t.expect(Pong, mark, f"a Ping of {size} octets was not read as zeros", where=lambda p, w=token: p.token == w)  # type: ignore[misc]
    mark = t.host.write(b"\0" + t.host.pack_payload(Channel.LINK, bytes((Ping.TYPE or 0,)) + bytes(range(1, 25))))
    t.expect(Pong, mark, "a Ping with a tail was not answered", where=pong_of(0x04030201))
    result = t.ok(Method.GET_STATE, b"\xff" * 40)
    t.check(len(result) >= len(GetStateResult().pack()) - 2, "GetState with arguments that it has not is cut short")
    hello = bytes((Hello.TYPE or 0,)) + Hello(MAJOR, 1, 77, 0).pack() + b"\xff" * 8
    mark = t.host.write(b"\0" + t.host.pack_payload(Channel.LINK, hello, seq=1, session=0))
    t.expect(HelloAck, mark, "a Hello with a tail was not answered", where=lambda ack: ack.nonce == 77)
