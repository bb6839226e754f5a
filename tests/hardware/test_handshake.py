"""HELLO, HELLO_ACK, CONFIRM; what ends a session; and that nothing happens outside of one."""

from __future__ import annotations

import pytest
from tests.support.frame_builds import FrameFactory
from tests.support.raw_host import MS, RawHost, Received, all_of, one

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import NEVER, Peripherals

SECOND = 1000 * MS


def capturing(host: RawHost) -> bool:
    return bool(host.state().capturing)


def parts_on(host: RawHost) -> dict[str, int]:
    """What the frame switched each part to last."""
    return {change.part: change.value for change in host.frame.peripherals.changes}


def test_a_frame_is_silent_until_it_is_greeted(host: RawHost) -> None:
    assert host.advance(10 * SECOND) == []
    assert host.next_us == NEVER


def test_the_answer_to_a_greeting(host: RawHost) -> None:
    (received,) = host.hello(0xCAFE)
    ack = one([received], m.HelloAck)
    assert (received.chan, received.seq, received.session) == (m.Channel.LINK, 1, ack.session)
    assert ack.session != 0
    assert (ack.major, ack.minor, ack.nonce, ack.schema_hash) == (m.MAJOR, m.MINOR, 0xCAFE, m.SCHEMA_HASH)
    assert (ack.rpc_window, ack.speaker_window) == (m.Window.RPC, m.Window.SPEAKER)
    assert ack.bulk_window == m.Window.BULK_DOWN
    assert ack.led_kind == m.LedKind.SOFTWARE
    assert ack.reset_reason == m.ResetReason.POWER_ON
    of_the_code = m.Capability.ADPCM | m.Capability.TEST_CHANNEL
    assert ack.capabilities == host.frame.peripherals.capabilities | of_the_code
    assert (ack.name, ack.firmware_version) == ("simulated frame", "0.1.0")


def test_the_seed_is_the_frame(make_frame: FrameFactory) -> None:
    first, same, other = (RawHost(make_frame(Peripherals(seed=seed))).connect() for seed in (1, 1, 2))
    assert first == same
    assert first.device_id != other.device_id
    assert first.boot_id != other.boot_id


def test_the_same_nonce_gets_the_same_answer_and_changes_nothing(host: RawHost) -> None:
    first = host.connect(7)
    host.start_capture()
    host.call(m.Method.SET_VOLUME, b"\x32")
    assert one(host.hello(7), m.HelloAck) == first
    assert one(host.hello(7), m.HelloAck) == first
    assert capturing(host)
    assert host.state().volume_percent == 50


def test_a_new_nonce_ends_the_old_session(host: RawHost) -> None:
    first = host.connect(7)
    host.start_capture()
    host.send(*(m.SpeakerAudio(sample=320 * i, stream=1, pcm=bytes(640)) for i in range(4)))
    host.advance(40 * MS)
    assert parts_on(host) == {"led": m.Led.DIM, "microphone": 1, "speaker": 1}
    old_session = host.session

    second = one(host.hello(8), m.HelloAck)
    assert second.session not in (0, first.session)
    assert parts_on(host) == {"led": m.Led.OFF, "microphone": 0, "speaker": 0}
    assert host.advance(100 * MS) == []  # it waits for CONFIRM, and nothing of the old session is left to say

    stale = m.Call(call_id=99, method=m.Method.CAPTURE_START)
    host.step(host.pack(stale, session=old_session))
    host.session = second.session
    host.seq.clear()
    host.send(m.Confirm(nonce=8))
    state = host.state()
    assert (state.capturing, state.speaker_queued_samples) == (0, 0)


def test_a_new_session_counts_from_one_and_forgets_replies(host: RawHost) -> None:
    host.connect(7)
    host.send(m.Call(call_id=5, method=m.Method.SET_VOLUME, args=b"\x0a"))
    host.connect(8)
    (received,) = (r for r in host.send(m.Call(call_id=5, method=m.Method.SET_VOLUME, args=b"\x14")) if r.chan == 1)
    assert received.seq == 1
    assert m.SetVolumeResult.unpack(one([received], m.Reply).result).percent == 20


def test_nothing_counts_before_confirm(host: RawHost) -> None:
    ack = one(host.hello(7), m.HelloAck)
    host.session = ack.session
    (answer,) = host.send(m.Call(call_id=1, method=m.Method.CAPTURE_START))
    assert answer.message == ack  # the CONFIRM may have been lost: it is asked for
    assert host.frame.peripherals.microphone.on is False
    host.send(m.SpeakerAudio(sample=0, stream=1, pcm=bytes(640)), flags=m.Flag.LAST)
    assert host.frame.peripherals.speaker.on is False
    host.send(m.Confirm(nonce=7))
    assert host.state().capturing == 0


def test_a_confirm_with_another_nonce_opens_nothing(host: RawHost) -> None:
    host.session = one(host.hello(7), m.HelloAck).session
    host.send(m.Confirm(nonce=8))
    assert all_of(host.send(m.Call(call_id=1, method=m.Method.GET_STATE)), m.Reply) == []
    host.send(m.Confirm(nonce=7))
    assert host.state().uptime_ms == 0


def test_confirm_may_come_twice(host: RawHost) -> None:
    host.connect(7)
    host.start_capture()
    granted = all_of(host.send(m.Confirm(nonce=7)), m.Credit)
    assert {credit.channel for credit in granted} == {
        m.Channel.RPC,
        m.Channel.SPEAKER,
        m.Channel.BULK_DOWN,
        m.Channel.TEST,
    }
    assert capturing(host)


def test_another_session_is_not_listened_to(host: RawHost) -> None:
    host.connect()
    for session in (0, host.session - 1, host.session + 1):
        wire = host.pack(m.Call(call_id=1, method=m.Method.CAPTURE_START), seq=50, session=session)
        assert host.step(wire) == []
    assert not capturing(host)


@pytest.mark.parametrize("major", [0, m.MAJOR + 1, 255])
def test_another_major_version_is_refused(host: RawHost, major: int) -> None:
    refusal = one(host.hello(9, major=major), m.Refuse)
    assert refusal == m.Refuse(nonce=9, reason=m.CloseReason.VERSION, major=m.MAJOR, minor=m.MINOR)
    assert host.log[-1].session == 0


def test_a_refusal_leaves_the_session_alone(host: RawHost) -> None:
    host.connect(7)
    host.start_capture()
    one(host.hello(9, major=m.MAJOR + 1), m.Refuse)
    assert capturing(host)


def test_close_ends_the_session_at_once(host: RawHost) -> None:
    host.connect(7)
    host.start_capture()
    assert host.send(m.Close(reason=m.CloseReason.DONE)) == []
    assert parts_on(host) == {"led": m.Led.OFF, "microphone": 0}
    assert host.next_us == NEVER
    assert all_of(host.send(m.Ping(token=1)), m.Pong) == []
    assert host.advance(2 * SECOND, keep_alive=False) == []
    old_session = host.session
    assert host.connect(7).session != old_session  # also for the same nonce: that session is over
    assert not capturing(host)


def no_session(received: list[Received]) -> list[int]:
    """The sessions that the frame says it does not have."""
    for r in received:
        assert (r.message, r.seq, r.flags) == (m.Close(reason=m.CloseReason.NO_SESSION), 0, 0)
    return [r.session for r in received]


def test_a_frame_that_has_booted_says_that_it_has_no_session(make_frame: FrameFactory) -> None:
    parts = Peripherals()
    host = RawHost(make_frame(parts))
    host.connect()
    host.frame = make_frame(parts)
    assert no_session(host.send(m.Ping(token=1))) == [host.session]
    assert host.next_us == NEVER
    host.connect(2)
    assert host.state().capturing == 0


def test_it_says_so_at_most_every_100_ms(host: RawHost) -> None:
    said = []
    for i in range(50):
        said += no_session(host.step(host.pack(m.Ping(token=1), session=100 + i)))
        host.now_us += 10 * MS
    assert said == [100, 110, 120, 130, 140]


@pytest.mark.parametrize(
    ("message", "session"),
    [
        (m.Ping(token=1), 0),
        (m.Close(), 9),  # the end of both
        (m.HelloAck(), 9),  # what a frame says: nothing goes round and round on a line that runs back
        (m.RateSet(), 9),
        (m.LedEvent(), 9),
        (m.Reply(), 9),
    ],
    ids=lambda value: type(value).__name__,
)
def test_to_whom_it_says_nothing(host: RawHost, message: m.Message, session: int) -> None:
    assert host.step(host.pack(message, session=session)) == []


def test_a_frame_in_a_session_says_nothing_to_another_one(host: RawHost) -> None:
    ack = one(host.hello(1), m.HelloAck)
    for _ in range(2):
        assert host.step(host.pack(m.Ping(token=1), session=ack.session + 1)) == []
        host.session = ack.session
        host.send(m.Confirm(nonce=1))


def test_silence_stops_every_sensor(host: RawHost) -> None:
    host.connect(minor=0)  # which acknowledges no events: Ping is the last thing that is heard of it
    host.start_capture()
    host.call(m.Method.TAKE_PHOTO)
    host.send(*(m.SpeakerAudio(sample=320 * i, stream=1, pcm=bytes(640)) for i in range(4)))
    host.advance(2 * SECOND, keep_alive=False)
    heard_us = host.now_us
    host.send(m.Ping(token=1))
    host.advance(3 * SECOND - MS, keep_alive=False)
    assert parts_on(host)["microphone"] == 1
    last = host.advance(MS, keep_alive=False)

    assert host.now_us == heard_us + 3 * SECOND
    assert parts_on(host) == {"led": m.Led.OFF, "microphone": 0, "speaker": 0, "camera": 0}
    assert one(last, m.CaptureEvent) == m.CaptureEvent(
        on=0, reason=m.CaptureStop.HOST_GONE, mic_sample=host.now_us * 16 // 1000
    )
    assert last[-1].message == m.Close(reason=m.CloseReason.INTERRUPTED)
    assert host.advance(2 * SECOND, keep_alive=False) == []
    assert host.next_us == NEVER


def test_only_this_session_keeps_it_alive(host: RawHost) -> None:
    host.connect()
    host.start_capture()
    for _ in range(3):
        host.advance(SECOND, keep_alive=False)
        host.step(host.pack(m.Ping(token=1), seq=9, session=host.session + 1) + b"noise\0")
    assert parts_on(host)["microphone"] == 0


@pytest.mark.parametrize("replayed", [m.Ping(token=1), m.Pong(token=1), m.Confirm(nonce=0xCAFE)])
def test_what_is_heard_again_keeps_nothing_alive(host: RawHost, replayed: m.Message) -> None:
    host.connect(0xCAFE)
    host.start_capture()
    stale = host.pack(replayed)
    host.step(stale)
    for _ in range(4):
        host.advance(SECOND, keep_alive=False)
        host.step(stale)
    assert parts_on(host) == {"led": m.Led.OFF, "microphone": 0}


def test_an_old_greeting_keeps_nothing_alive(host: RawHost) -> None:
    host.connect(0xCAFE)
    host.start_capture()
    for _ in range(4):
        host.advance(SECOND, keep_alive=False)
        host.hello(0xCAFE)
    assert parts_on(host) == {"led": m.Led.OFF, "microphone": 0}


def test_a_frame_that_hears_itself_stops_listening(host: RawHost) -> None:
    """The line runs back into the frame, and its host is gone."""
    host.connect()
    host.start_capture()
    own = b""
    for _ in range(250):
        host.now_us += 20 * MS
        own, _ = host.frame.step(host.now_us, own)
    assert parts_on(host) == {"led": m.Led.OFF, "microphone": 0}


@pytest.mark.parametrize(
    "message",
    [m.HelloAck(), m.Refuse(), m.RateSet(), m.Reply(), m.LedEvent(), m.MicAudio(), m.BulkData(), m.LogText()],
    ids=lambda message: type(message).__name__,
)
def test_what_only_a_frame_says_ends_the_session(host: RawHost, message: m.Message) -> None:
    host.connect()
    host.start_capture()
    last = host.send(message)
    assert parts_on(host) == {"led": m.Led.OFF, "microphone": 0}
    assert last[-1].message == m.Close(reason=m.CloseReason.INTERRUPTED)
    assert host.next_us == NEVER
    host.connect(0xF00D)
    assert not capturing(host)


def test_pings_keep_it_alive(host: RawHost) -> None:
    host.connect()
    host.start_capture()
    host.advance(10 * SECOND)
    assert capturing(host)


def test_a_greeting_without_confirm_is_forgotten(host: RawHost) -> None:
    host.session = one(host.hello(7), m.HelloAck).session
    assert host.advance(3 * SECOND, keep_alive=False) == []
    assert one(host.send(m.Confirm(nonce=7)), m.Close) == m.Close(reason=m.CloseReason.NO_SESSION)
    assert host.next_us == NEVER


def test_the_frame_pings_when_it_has_nothing_to_say(host: RawHost) -> None:
    host.connect()
    pings = []
    for _ in range(100):
        pings += all_of(host.advance(50 * MS, keep_alive=False), m.Ping)
        if host.now_us % SECOND == 0:
            host.send(m.Pong(token=pings[-1].token if pings else 0))
    assert len(pings) == 5
    assert len({ping.token for ping in pings}) == 5


def test_a_pong_carries_token_and_sample_clock(host: RawHost) -> None:
    host.connect()
    host.advance(500 * MS)
    assert one(host.send(m.Ping(token=0xDEADBEEF)), m.Pong) == m.Pong(token=0xDEADBEEF, mic_sample=8000)
