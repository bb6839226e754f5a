"""Link against a hand that sends exactly what each test needs: the handshake, its failures, and hostile octets."""

from __future__ import annotations

import random
import re
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.wire import Hand, events

from lorgnette.firmware_bridge.codec import payload_of
from lorgnette.firmware_bridge.errors import (
    DeviceLost,
    DeviceNotFound,
    LocalProtocolError,
    NoAnswer,
    OutcomeUnknown,
    RemoteProtocolError,
    RequestTimeout,
    VersionMismatch,
)
from lorgnette.firmware_bridge.fault_line import Line
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.frame import Frame
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import (
    AudioReceived,
    CallFinished,
    Connected,
    ConsoleText,
    Disconnected,
    FrameReported,
    ObjectFailed,
    ObjectReceived,
)
from lorgnette.firmware_bridge.link_sentences import version_mismatch
from lorgnette.firmware_bridge.link_states import TRANSITIONS, Input, State
from lorgnette.firmware_bridge.messages import (
    BulkData,
    ButtonEvent,
    Call,
    Channel,
    Close,
    CloseReason,
    Confirm,
    Credit,
    Flag,
    FlushSpeakerArgs,
    Hello,
    HighestSent,
    LogText,
    Message,
    Method,
    MicAudio,
    ObjectKind,
    Ping,
    PlaybackEnd,
    PlaybackEnded,
    Pong,
    ReadObjectArgs,
    ReadObjectResult,
    Refuse,
    Reply,
    RpcStatus,
    SetVolumeArgs,
    SetVolumeResult,
    SpeakerAudio,
)


@pytest.fixture
def hand() -> Hand:
    return Hand(Link("/dev/ttyACM0"))


@pytest.fixture
def connected(hand: Hand) -> Hand:
    hand.connect()
    hand.pull()
    hand.frames.clear()
    return hand


# ---- the table
def test_every_state_and_every_input_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {happened for row in TRANSITIONS.values() for happened in row} == set(Input)
    assert {target for row in TRANSITIONS.values() for target in row.values()} == set(State)


@pytest.mark.parametrize("act", ["call", "send_audio", "read_object"])
def test_asking_without_a_session_is_our_callers_bug(hand: Hand, act: str) -> None:
    with pytest.raises(LocalProtocolError, match=re.escape(f"{act}() is not allowed now: the link is no session")):
        match act:
            case "call":
                hand.link.call(Method.GET_STATE)
            case "send_audio":
                hand.link.send_audio(1, b"")
            case _:
                hand.link.read_object(1)


def test_a_closed_link_stays_closed(hand: Hand) -> None:
    hand.link.close()
    hand.link.close()
    with pytest.raises(LocalProtocolError, match="closed for good"):
        hand.link.start(1, 0.0)
    assert hand.link.data_to_send() == b""
    assert hand.link.next_deadline() is None


# ---- handshake
def test_the_handshake(hand: Hand) -> None:
    hand.link.start(0xABCD, 0.0)
    wire = hand.link.data_to_send()
    assert wire[0] == 0, "a delimiter goes first: the line may hold noise"
    hello = Frame.decode(wire.strip(b"\0"))
    assert hello is not None
    assert (hello.session, hello.channel) == (0, Channel.LINK)
    hand.send(hand.ack(0xABCD, name="test frame"))
    confirm, ping = hand.pull()
    assert confirm == Confirm(0xABCD, 128), "the host takes 128 frames of bulk data ahead"
    assert isinstance(ping, Ping)
    assert events(hand.link) == [], "not connected before the frame has shown that it got Confirm"
    hand.send(Pong(ping.token, 0))
    (event,) = events(hand.link)
    assert isinstance(event, Connected)
    assert (event.info.name, event.info.session) == ("test frame", 7)
    assert hand.link.state is State.OPEN


def test_hello_is_repeated_with_the_same_nonce(hand: Hand) -> None:
    hand.link.start(5, 0.0)
    hellos = [m for step in range(51) for m in hand.at(step * 0.02) if isinstance(m, Hello)]
    assert len(hellos) in (10, 11)
    assert {h.nonce for h in hellos} == {5}


def test_a_lost_confirm_is_repeated_and_a_repeated_ack_changes_nothing(hand: Hand) -> None:
    hand.link.start(5, 0.0)
    hand.pull()
    hand.send(hand.ack(5))
    assert [type(m) for m in hand.pull()] == [Confirm, Ping]
    hand.send(hand.ack(5))
    assert hand.at(0.05) == []
    assert [type(m) for m in hand.at(0.11)] == [Confirm, Ping]
    hand.send(hand.ack(5), Pong(2, 0), hand.ack(5))
    assert [type(e) for e in events(hand.link)] == [Connected]


def test_a_frame_that_booted_before_confirm_is_greeted_anew(hand: Hand) -> None:
    hand.link.start(5, 0.0)
    hand.pull()
    hand.send(hand.ack(5, session=7))  # and now it boots: it drops what it does not know
    sent = [m for step in range(60) for m in hand.at(step * 0.01)]
    assert sum(isinstance(m, Confirm) for m in sent) == 5
    nonces = {m.nonce for m in sent if isinstance(m, Hello)}
    assert nonces
    assert 5 not in nonces
    hand.send(hand.ack(5, session=7))  # of before, and late
    assert not any(isinstance(m, Confirm) for m in hand.pull())
    (nonce,) = nonces
    hand.session = 8
    hand.send(hand.ack(nonce, boot_id=2))
    (ping,) = [m for m in hand.pull() if isinstance(m, Ping)]
    hand.send(Pong(ping.token, 0))
    (event,) = events(hand.link)
    assert isinstance(event, Connected)
    assert (event.info.session, event.info.boot_id) == (8, 2)


def test_confirms_that_nobody_answers_end_with_the_handshakes_time(hand: Hand) -> None:
    hand.link.start(5, 0.0, timeout_s=2.0)
    hand.pull()
    hand.send(hand.ack(5))
    for step in range(200):
        hand.at(step * 0.01)
    assert hand.link.state is not State.IDLE
    hand.at(2.0)
    assert [type(e) for e in events(hand.link)] == [Disconnected]


def test_an_ack_to_another_nonce_is_not_ours(hand: Hand) -> None:
    hand.link.start(5, 0.0)
    hand.pull()
    hand.send(hand.ack(6))
    assert hand.pull() == []
    assert hand.link.stats.rx_foreign_frames == 1


def test_nothing_answers(hand: Hand) -> None:
    hand.link.start(5, 0.0, timeout_s=2.0)
    hand.at(1.99)
    assert hand.link.state is State.GREETING
    hand.at(2.0)
    (event,) = events(hand.link)
    assert isinstance(event, Disconnected)
    assert isinstance(event.error, DeviceNotFound)
    assert str(event.error) == "Nothing answers on /dev/ttyACM0 at 115200 baud within 2 s."
    assert "sim://" in event.error.remedy


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (b"\r\nERROR\r\n\r\nERROR\r\n", '("ERROR ERROR")'),
        (b"\x1b[31mE (21) \x07wifi: no\x1b[0m\r\n", '("E (21) wifi: no")'),
        (b"\x80\xff\x00\x91\xfe\x00", "(4 bytes that are no text)"),
        (b"\0" + b"A" * 5000, '("' + "A" * 57 + '...")'),
    ],
)
def test_garbage_from_a_wrong_port(hand: Hand, octets: bytes, shown: str) -> None:
    hand.link.start(5, 0.0, timeout_s=2.0)
    hand.pull()
    hand.link.receive_data(octets, 0.1)
    hand.at(2.0)
    error = next(e.error for e in events(hand.link) if isinstance(e, Disconnected))
    assert type(error) is RemoteProtocolError
    assert str(error) == f"Something answers on /dev/ttyACM0 at 115200 baud, but it is no lorgnette frame {shown}."


@pytest.mark.parametrize("faults", [Faults(drop=1.0), Faults(splice=1.0), Faults(flip=0.01)])
@pytest.mark.parametrize("before", [b"", b"ESP-ROM:esp32s3-20210327\r\n" * 20 + b"\0"])
def test_a_frame_of_which_nothing_arrives_whole_is_no_stranger(faults: Faults, before: bytes) -> None:
    for seed in range(20):
        line = Line(faults, random.Random(seed), to_host=True)
        hand = Hand(Link("/dev/ttyACM0"))
        hand.link.start(5, 0.0, timeout_s=2.0)
        hand.pull()
        hand.link.receive_data(before, 0.05)
        for n in range(20):
            line.put(100_000 * n, hand.encode(hand.ack(5, name="a frame")))
            hand.link.receive_data(line.take(100_000 * n), 0.1)
        hand.at(2.0)
        error = next(e.error for e in events(hand.link) if isinstance(e, Disconnected))
        assert type(error) is NoAnswer
        assert str(error).startswith("A lorgnette frame answers on /dev/ttyACM0 at 115200 baud, but nothing")
        assert "cable" in error.remedy


def test_a_port_that_echoes_is_no_frame(hand: Hand) -> None:
    hand.link.start(5, 0.0)
    hand.link.receive_data(hand.link.data_to_send(), 0.0)
    (event,) = events(hand.link)
    assert isinstance(event, Disconnected)
    assert isinstance(event.error, RemoteProtocolError)
    assert "echo" in str(event.error)


def test_a_refusal_names_the_side_to_update(hand: Hand) -> None:
    hand.link.start(5, 0.0)
    hand.pull()
    hand.send(Refuse(5, CloseReason.VERSION, 2, 3), session=0)
    (event,) = events(hand.link)
    assert isinstance(event, Disconnected)
    assert isinstance(event.error, VersionMismatch)
    assert "2.3" in str(event.error)
    assert "pip install --upgrade lorgnette" in event.error.remedy
    assert "firmware" in version_mismatch(0, 9).remedy


def test_a_refusal_for_another_reason_is_no_matter_of_versions(hand: Hand) -> None:
    hand.link.start(5, 0.0)
    hand.pull()
    hand.send(Refuse(5, 77, 1, 0), session=0)
    (event,) = events(hand.link)
    assert isinstance(event, Disconnected)
    assert type(event.error) is RemoteProtocolError
    assert "77" in str(event.error)
    assert event.error.remedy


def test_an_ack_of_another_major_version_is_a_mismatch_too(hand: Hand) -> None:
    hand.link.start(5, 0.0)
    hand.pull()
    raw = hand.ack(5)
    hand.send(type(raw).unpack(b"\2" + raw.pack()[1:]))
    (event,) = events(hand.link)
    assert isinstance(event, Disconnected)
    assert isinstance(event.error, VersionMismatch)


# ---- the session
def test_frames_of_another_session_are_counted_and_dropped(connected: Hand) -> None:
    connected.send(MicAudio(0, 0, b"\1\0"), session=8)
    assert events(connected.link) == []
    assert connected.link.stats.rx_foreign_frames == 1


def test_a_duplicate_event_happens_once(connected: Hand) -> None:
    connected.send(ButtonEvent(1, 160), seq=1)
    connected.send(ButtonEvent(1, 160), seq=1)
    assert events(connected.link) == [FrameReported(ButtonEvent(1, 160))]
    assert connected.link.stats.rx_duplicate_frames == 1


def test_microphone_gaps_are_counted(connected: Hand) -> None:
    connected.send(MicAudio(320, 0, b"\1\0"), seq=1)
    connected.send(MicAudio(1600, 2, b"\2\0\3"), seq=4)
    assert events(connected.link) == [AudioReceived(320, b"\1\0", 0), AudioReceived(1600, b"\2\0", 2)]
    assert (connected.link.stats.mic_lost_frames, connected.link.stats.mic_dropped_frames) == (2, 2)


def test_the_sample_clock_is_unwrapped(connected: Hand) -> None:
    connected.send(MicAudio(0xFFFFFFFF, 0, b""), ButtonEvent(1, 5), MicAudio(6, 0, b""))
    samples = [e.sample if isinstance(e, AudioReceived) else e.message.mic_sample for e in events(connected.link)]  # type: ignore[union-attr]
    assert samples == [2**32 - 1, 2**32 + 5, 2**32 + 6]


def test_the_frames_count_of_dropped_audio_goes_on_beyond_sixteen_bits(connected: Hand) -> None:
    connected.send(MicAudio(0, 0xFFFE, b""), MicAudio(320, 0xFFFE, b""), MicAudio(640, 3, b""))
    counts = [event.dropped_frames for event in events(connected.link) if isinstance(event, AudioReceived)]
    assert counts == [0xFFFE, 0xFFFE, 0x10003]


@pytest.mark.parametrize(("boot_id", "sample"), [(1, 2**32 + 5), (2, 5)])
def test_the_clock_goes_on_over_sessions_but_not_over_boots(connected: Hand, boot_id: int, sample: int) -> None:
    connected.send(MicAudio(0xFFFFFFFF, 0, b""))
    connected.link.port_lost(DeviceLost("gone"))
    connected.connect(nonce=99, boot_id=boot_id)
    events(connected.link)
    connected.send(MicAudio(5, 0, b""), seq=1)
    assert events(connected.link) == [AudioReceived(sample, b"", 0)]


def test_the_frames_log_and_stray_text_come_as_console_text(connected: Hand) -> None:
    connected.send(LogText(0, b"hot \x1b[31m\x07day\n"))
    connected.link.receive_data(b"\0I (33) boot\r\n\0", 0.0)
    assert events(connected.link) == [ConsoleText("hot day\n"), ConsoleText("I (33) boot\n")]


def test_text_without_an_end_is_shown_after_a_second(connected: Hand) -> None:
    connected.link.receive_data(b"Guru Meditation Error", 0.0)
    connected.at(0.9)
    assert events(connected.link) == []
    assert connected.link.next_deadline() == pytest.approx(1.0)
    connected.at(1.0)
    assert events(connected.link) == [ConsoleText("Guru Meditation Error")]


def test_a_request_and_its_answer(connected: Hand) -> None:
    call_id = connected.link.call(Method.SET_VOLUME, SetVolumeArgs(50))
    assert connected.pull() == [Call(call_id, Method.SET_VOLUME, b"\x32")]
    connected.send(Reply(call_id, Method.SET_VOLUME, RpcStatus.OK, b"\x32\0"))
    assert events(connected.link) == [
        CallFinished(call_id, Method.SET_VOLUME, RpcStatus.OK, SetVolumeResult(50, 0), None)
    ]


def test_an_unanswered_request_is_repeated_three_times_under_its_id(connected: Hand) -> None:
    call_id = connected.link.call(Method.GET_STATE, timeout_s=1.0)
    connected.pull()
    for step in range(1, 101):
        connected.at(step * 0.01)
        if step % 20 == 0:
            connected.send(Pong(0, 0))  # the frame lives, but does not answer
    calls = [f for f in connected.frames if f.channel == Channel.RPC]
    assert [f.flags for f in calls] == [0, Flag.RETRY, Flag.RETRY, Flag.RETRY]
    assert [f.seq for f in calls] == [1, 2, 3, 4]
    assert len({f.payload for f in calls}) == 1
    (event,) = events(connected.link)
    assert isinstance(event, CallFinished)
    assert (event.call_id, event.status) == (call_id, None)
    assert isinstance(event.error, RequestTimeout)


def test_pending_restarts_the_retries(connected: Hand) -> None:
    call_id = connected.link.call(Method.TAKE_PHOTO, timeout_s=3.0)
    connected.pull()
    for step in range(1, 13):
        connected.at(step * 0.19)
        connected.send(Reply(call_id, Method.TAKE_PHOTO, RpcStatus.PENDING, b""))
    assert len(connected.frames) - len([f for f in connected.frames if f.channel == Channel.LINK]) == 1
    assert events(connected.link) == []


def test_audio_goes_before_requests_and_within_credit(connected: Hand) -> None:
    for _ in range(3):
        connected.link.call(Method.GET_STATE)
    connected.link.send_audio(1, bytes(640 * 8), last=True)
    sent = connected.pull()
    assert [type(m) for m in sent] == [SpeakerAudio] * 6 + [Call] * 3


def test_a_sender_without_credit_says_how_far_it_came(connected: Hand) -> None:
    connected.link.send_audio(1, bytes(640 * 8), last=True)
    connected.pull()
    said = [m for step in range(1, 21) for m in connected.at(step * 0.01) if isinstance(m, HighestSent)]
    assert said in ([HighestSent(Channel.SPEAKER, 6)] * 3, [HighestSent(Channel.SPEAKER, 6)] * 4)


def test_a_flush_keeps_back_what_was_not_sent_yet(connected: Hand) -> None:
    connected.link.send_audio(1, bytes(640 * 8), last=True)
    connected.link.send_audio(2, bytes(640), last=True)
    connected.pull()
    connected.link.call(Method.FLUSH_SPEAKER, FlushSpeakerArgs(1))
    connected.send(Credit(Channel.SPEAKER, 12))
    audio = [m for m in connected.pull() if isinstance(m, SpeakerAudio)]
    assert [m.stream for m in audio] == [2]


def test_a_lost_end_of_playback_is_made_up_for(connected: Hand) -> None:
    """The frame ends every stream within 3 s of its last frame, so a second later the report is lost."""
    connected.link.send_audio(1, bytes(640 * 3), last=True)
    connected.link.send_audio(2, bytes(640), last=True)
    connected.pull()
    connected.send(PlaybackEnded(2, PlaybackEnd.PLAYED, 160, 320))
    events(connected.link)
    for step in range(1, 42):
        connected.send(Pong(0, 1600 * step))
        connected.at(step * 0.1)
    (made_up,) = events(connected.link)
    assert made_up == FrameReported(PlaybackEnded(1, PlaybackEnd.PLAYED, 64_000, 960))


def test_a_stream_that_starved_is_over_with_all_that_still_waits(connected: Hand) -> None:
    connected.link.send_audio(1, bytes(640 * 8), last=True)
    connected.pull()
    connected.send(PlaybackEnded(1, PlaybackEnd.STARVED, 0, 0), Credit(Channel.SPEAKER, 12))
    for step in range(1, 60):
        assert not [m for m in connected.at(step * 0.1) if isinstance(m, SpeakerAudio)]
        connected.send(Pong(0, 0))
    assert len(events(connected.link)) == 1


def test_a_lost_end_of_a_flushed_playback_is_made_up_for(connected: Hand) -> None:
    connected.link.send_audio(1, bytes(640 * 3), last=False)
    connected.pull()
    call_id = connected.link.call(Method.FLUSH_SPEAKER, FlushSpeakerArgs(1))
    connected.pull()
    connected.send(Reply(call_id, Method.FLUSH_SPEAKER, RpcStatus.OK, b""))
    for step in range(1, 42):
        connected.send(Pong(0, 0))
        connected.at(step * 0.1)
    finished, made_up = events(connected.link)
    assert isinstance(finished, CallFinished)
    assert made_up == FrameReported(PlaybackEnded(1, PlaybackEnd.FLUSHED, 0, 960))


def test_an_end_of_playback_that_comes_after_all_is_no_second_one(connected: Hand) -> None:
    connected.link.send_audio(1, bytes(640 * 3), last=True)
    connected.pull()
    for step in range(1, 42):
        connected.send(Pong(0, 0))
        connected.at(step * 0.1)
    connected.send(PlaybackEnded(1, PlaybackEnd.STARVED, 0, 960), PlaybackEnded(2, PlaybackEnd.PLAYED, 0, 5))
    ends = [e.message for e in events(connected.link) if isinstance(e, FrameReported)]
    assert [(m.stream, m.reason) for m in ends if isinstance(m, PlaybackEnded)] == [
        (1, PlaybackEnd.PLAYED),
        (2, PlaybackEnd.PLAYED),
    ]


def test_flushed_streams_that_never_left_the_host_are_reported_too(connected: Hand) -> None:
    connected.link.send_audio(1, bytes(640 * 8), last=True)
    connected.pull()  # six of them; the frame will report this one
    connected.link.send_audio(2, bytes(640 * 8), last=True)
    connected.link.send_audio(3, bytes(100), last=False)
    connected.link.call(Method.FLUSH_SPEAKER, FlushSpeakerArgs(3))
    connected.at(0.0)
    made_up = sorted((e.message for e in events(connected.link) if isinstance(e, FrameReported)), key=repr)
    assert made_up == [PlaybackEnded(stream, PlaybackEnd.FLUSHED, 0, 0) for stream in (2, 3)]
    connected.send(PlaybackEnded(1, PlaybackEnd.FLUSHED, 0, 640))
    assert events(connected.link) == [FrameReported(PlaybackEnded(1, PlaybackEnd.FLUSHED, 0, 640))]
    for step in range(1, 60):
        connected.send(Pong(0, 0))
        connected.at(step * 0.1)
    assert not [e for e in events(connected.link) if isinstance(e, FrameReported)], "each of them once"


def test_audio_of_a_stream_that_was_flushed_before_it_began_ends_as_flushed_once(connected: Hand) -> None:
    """The frame never hears of it, so it cannot say that it is over."""
    connected.link.call(Method.FLUSH_SPEAKER, FlushSpeakerArgs(4))
    for _ in range(3):
        connected.link.send_audio(4, bytes(1000), last=False)
    connected.link.send_audio(4, b"", last=True)
    assert not [m for m in connected.at(0.01) if isinstance(m, SpeakerAudio)]
    ends = [FrameReported(PlaybackEnded(4, PlaybackEnd.FLUSHED, 0, 0))]
    assert events(connected.link) == ends
    for step in range(1, 60):
        connected.send(Pong(0, 0))
        connected.at(step * 0.1)
    assert not [e for e in events(connected.link) if isinstance(e, FrameReported)]


def test_late_audio_of_a_stream_that_was_flushed_while_it_played_has_one_end(connected: Hand) -> None:
    connected.link.send_audio(4, bytes(1280), last=False)
    connected.pull()
    connected.link.call(Method.FLUSH_SPEAKER, FlushSpeakerArgs(4))
    connected.link.send_audio(4, bytes(1280), last=True)
    connected.at(0.01)
    assert events(connected.link) == [], "the frame will say it"
    connected.send(PlaybackEnded(4, PlaybackEnd.FLUSHED, 0, 640))
    connected.link.send_audio(4, bytes(1280), last=True)
    connected.at(0.02)
    assert events(connected.link) == [FrameReported(PlaybackEnded(4, PlaybackEnd.FLUSHED, 0, 640))]


def test_an_end_that_is_not_reported_is_said_again(connected: Hand) -> None:
    """Its mark may be lost, and the frame would wait 3 s for it."""
    connected.link.send_audio(1, bytes(640 * 2 + 20), last=True)
    connected.pull()
    said = []
    for step in range(1, 150):
        said += [(step, m) for m in connected.at(step * 0.01) if isinstance(m, SpeakerAudio)]
        connected.send(Pong(0, 0))
    assert [m for _, m in said] == [SpeakerAudio(650, 1, b"")] * 2
    assert [step for step, _ in said] == [62, 124]
    assert [f.flags for f in connected.frames if f.channel == Channel.SPEAKER][-2:] == [Flag.LAST] * 2
    connected.send(PlaybackEnded(1, PlaybackEnd.PLAYED, 0, 650))
    for step in range(150, 250):
        assert not [m for m in connected.at(step * 0.01) if isinstance(m, SpeakerAudio)]
        connected.send(Pong(0, 0))


def test_what_follows_a_stream_shows_its_end_as_well(connected: Hand) -> None:
    connected.link.send_audio(1, bytes(640), last=True)
    connected.link.send_audio(2, bytes(640), last=False)
    connected.pull()
    for step in range(1, 100):
        assert not [m for m in connected.at(step * 0.01) if isinstance(m, SpeakerAudio)]
        connected.send(Pong(0, 0))


def test_a_frame_stuck_with_bulk_gets_credit_at_once(connected: Hand) -> None:
    connected.link.read_object(1)
    connected.pull()
    connected.send(HighestSent(Channel.BULK_UP, 128))
    assert [m for m in connected.pull() if isinstance(m, Credit)] == [Credit(Channel.BULK_UP, 256)]
    assert connected.link.stats.rx_lost_frames == 128


def test_bulk_credit_is_repeated_only_while_something_is_read(connected: Hand) -> None:
    def grants() -> int:
        return sum(isinstance(m, Credit) for step in range(100) for m in connected.at(connected.now_s + 0.01))

    assert grants() == 0
    connected.link.read_object(1)
    assert grants() in (10, 11)


@pytest.mark.parametrize("stray", [BulkData(1, 0, b"x"), HighestSent(Channel.BULK_UP, 8)])
def test_bulk_that_nobody_reads_leaves_no_deadline_behind(connected: Hand, stray: Message) -> None:
    connected.send(*[stray] * 8)
    connected.at(0.2)
    deadline_s = connected.link.next_deadline()
    assert deadline_s is not None
    assert deadline_s > 0.2, "or whoever drives the link would never rest"


def test_an_object_is_read_and_dropped_without_a_word_about_our_own_calls(connected: Hand) -> None:
    data = bytes(range(256)) * 16
    connected.link.read_object(3)
    (call,) = [m for m in connected.pull() if isinstance(m, Call)]
    assert (call.method, call.args) == (Method.READ_OBJECT, ReadObjectArgs(3, 0).pack())
    result = ReadObjectResult(len(data), zlib.crc32(data)).pack()
    connected.send(Reply(call.call_id, Method.READ_OBJECT, RpcStatus.OK, result))
    for at in range(0, len(data), 64):
        connected.send(BulkData(3, at, data[at : at + 64]))
    sent = connected.pull()
    assert Credit(Channel.BULK_UP, 192) in sent, "credit comes before the window is used up"
    (drop,) = [m for m in sent if isinstance(m, Call)]
    assert drop.method == Method.DROP_OBJECT
    connected.send(Reply(drop.call_id, Method.DROP_OBJECT, RpcStatus.OK, b""))
    assert events(connected.link) == [ObjectReceived(3, data)]


def test_two_objects_at_once_are_our_callers_bug(connected: Hand) -> None:
    connected.link.read_object(3)
    with pytest.raises(LocalProtocolError, match="object 3 is being read"):
        connected.link.read_object(4)


def test_an_object_that_is_no_longer_wanted(connected: Hand) -> None:
    connected.link.read_object(3)
    connected.pull()
    connected.link.abandon_read()
    connected.link.read_object(4)
    methods = [m.method for m in connected.pull() if isinstance(m, Call)]
    assert methods == [Method.DROP_OBJECT, Method.READ_OBJECT]
    connected.link.port_lost(DeviceLost("gone"))
    kinds = [type(event) for event in events(connected.link)]
    assert kinds == [ObjectFailed, Disconnected], "no word about our own calls"


def test_silence_ends_the_session(connected: Hand) -> None:
    call_id = connected.link.call(Method.GET_STATE, timeout_s=60.0)
    pings = 0
    for step in range(300):
        pings += sum(isinstance(m, Ping) for m in connected.at(step * 0.01))
    assert connected.link.state is State.OPEN
    assert pings >= 5, "it asked faster when it began to worry"
    connected.at(3.0)
    finished, lost = events(connected.link)
    assert isinstance(finished, CallFinished)
    assert finished.call_id == call_id
    assert isinstance(finished.error, OutcomeUnknown)
    assert isinstance(lost, Disconnected)
    assert isinstance(lost.error, DeviceLost)
    assert str(lost.error) == "The frame has been silent for 3 s."


def test_a_request_that_never_left_is_not_unknown(connected: Hand) -> None:
    connected.link.call(Method.GET_STATE)
    connected.link.port_lost(DeviceLost("gone"))
    finished, lost = events(connected.link)
    assert isinstance(finished, CallFinished)
    assert isinstance(finished.error, DeviceLost)
    assert isinstance(lost, Disconnected)


def test_the_frame_may_end_the_session(connected: Hand) -> None:
    connected.send(Close(0))
    assert [type(e) for e in events(connected.link)] == [Disconnected]
    connected.link.start(9, 1.0)
    assert connected.link.state is State.GREETING


def test_close_is_sent_and_nothing_behind_it(connected: Hand) -> None:
    connected.link.send_audio(1, bytes(6400), last=True)
    call_id = connected.link.call(Method.GET_STATE)
    connected.link.close(CloseReason.INTERRUPTED)
    assert connected.pull() == [Close(CloseReason.INTERRUPTED)]
    assert connected.pull() == []
    (event,) = events(connected.link)
    assert isinstance(event, CallFinished)
    assert event.call_id == call_id


def test_our_ping_is_answered_and_measured(connected: Hand) -> None:
    connected.send(Ping(77))
    assert connected.pull() == [Pong(77, 0)]
    (ping,) = [m for m in connected.at(1.0) if isinstance(m, Ping)]
    connected.now_s = 1.25
    connected.send(Pong(ping.token, 16_000))
    assert connected.link.stats.round_trip_s == pytest.approx(0.25)


def test_a_pause_puts_a_delimiter_in_front(connected: Hand) -> None:
    connected.at(0.5)
    connected.link.call(Method.GET_STATE)
    assert connected.link.data_to_send()[0] == 0
    connected.link.call(Method.GET_STATE)
    assert connected.link.data_to_send()[0] != 0


def test_too_many_requests_are_refused_here(connected: Hand) -> None:
    with pytest.raises(LocalProtocolError, match="too many"):
        for _ in range(100):
            connected.link.call(Method.GET_STATE)


def test_the_wire_log_sees_both_directions(connected: Hand) -> None:
    log: list[tuple[str, int, str]] = []
    connected.link.on_frame = lambda r: log.append((r.direction, r.channel, r.summary))
    connected.link.call(Method.GET_STATE)
    connected.pull()
    connected.send(MicAudio(0, 0, b"\0\0"))
    assert log == [("tx", Channel.RPC, "Call get_state"), ("rx", Channel.MIC, "MicAudio 8 B")]


# ---- hostile octets
@given(st.lists(st.binary(max_size=200), max_size=10), st.integers(0, 2))
def test_random_octets_never_raise(pieces: list[bytes], stage: int) -> None:
    hand = Hand(Link())
    if stage == 1:
        hand.link.start(5, 0.0)
    elif stage == 2:
        hand.connect()
    for step, piece in enumerate(pieces):
        hand.link.receive_data(piece, step * 0.1)
        hand.at(step * 0.1)
    assert len(hand.link.data_to_send()) < 4096


valid_frames = st.builds(
    lambda channel, kind, rest, seq, session, flags: Frame(channel, flags, seq, session, bytes([kind]) + rest),
    st.sampled_from([*range(9), 200]),
    st.integers(0, 12),
    st.binary(max_size=90),
    st.integers(0, 0xFFFF),
    st.sampled_from([7, 7, 7, 0, 9]),
    st.integers(0, 255),
)


@settings(max_examples=300)
@given(st.lists(valid_frames, max_size=20), st.booleans(), st.sampled_from([0, 115_200, 921_600]))
def test_valid_frames_with_random_payloads_never_crash_the_dispatcher(
    frames: list[Frame], busy: bool, max_baud: int
) -> None:
    hand = Hand(Link(baud=921_600))
    hand.connect(max_baud=max_baud, capabilities=0x7F, bulk_window=8)
    if busy and hand.link.state is State.OPEN:
        hand.link.read_object(1)
        hand.link.write_object(ObjectKind.TEST, bytes(3000))
        hand.link.call(Method.TAKE_PHOTO)
        hand.link.call(Method.CAPTURE_START)
        hand.link.send_audio(1, bytes(3200), last=True)
    for step, frame in enumerate(frames):
        hand.link.receive_data(frame.encode(), step * 0.05)
        hand.at(step * 0.05)
        deadline = hand.link.next_deadline()
        assert deadline is None or deadline > step * 0.05, "what was due has been done"
    for event in events(hand.link):
        assert not isinstance(event, AudioReceived) or len(event.pcm) % 2 == 0


@given(st.binary(max_size=300))
def test_random_bytes_as_a_payload_of_every_known_kind(payload: bytes) -> None:
    hand = Hand(Link())
    hand.connect()
    for channel in Channel:
        hand.link.receive_data(Frame(channel, 0, 100, 7, payload).encode(), 0.1)
    hand.at(0.2)


def test_a_host_only_message_from_the_peer_ends_the_session(connected: Hand) -> None:
    connected.send(Call(1, 1, b""))
    (event,) = events(connected.link)
    assert isinstance(event, Disconnected)
    assert isinstance(event.error, RemoteProtocolError)


def test_payload_of_a_message_without_a_type_octet_is_the_message() -> None:
    assert payload_of(MicAudio(1, 2, b"")) == bytes([1, 0, 0, 0, 2, 0])
