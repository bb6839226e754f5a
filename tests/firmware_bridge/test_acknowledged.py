"""Events that the host acknowledges, and sessions that the frame no longer knows."""

from __future__ import annotations

import pytest
from tests.support.wire import Hand, events, of

from lorgnette.firmware_bridge.errors import DeviceLost, OutcomeUnknown
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import CallFinished, Disconnected, FrameReported
from lorgnette.firmware_bridge.messages import (
    ButtonEvent,
    Close,
    CloseReason,
    Confirm,
    EventAck,
    Flag,
    Hello,
    Method,
    Ping,
)


@pytest.fixture
def hand() -> Hand:
    hand = Hand(Link("/dev/ttyACM0"))
    hand.connect()
    hand.pull()
    return hand


def test_an_event_is_acknowledged_each_time_and_told_once(hand: Hand) -> None:
    for flags in (Flag.ACK_REQ, Flag.ACK_REQ | Flag.RETRY, Flag.ACK_REQ | Flag.RETRY):
        hand.send(ButtonEvent(1, 160), seq=1, flags=flags)
        assert hand.pull() == [EventAck(1)]
    hand.send(ButtonEvent(2, 320), seq=2, flags=Flag.ACK_REQ)
    assert hand.pull() == [EventAck(2)]
    assert events(hand.link) == [FrameReported(ButtonEvent(1, 160)), FrameReported(ButtonEvent(2, 320))]
    assert hand.link.stats.rx_duplicate_frames == 2


def test_the_number_of_an_acknowledgement_wraps_with_the_events(hand: Hand) -> None:
    for seq in (0x4000, 0x8000, 0xC000, 0xFFFF, 0x10000, 0x10001):
        hand.send(ButtonEvent(1, 0), seq=seq, flags=Flag.ACK_REQ)
        assert hand.pull() == [EventAck(seq & 0xFFFF)]
    assert len(events(hand.link)) == 6


def test_an_event_that_asks_for_nothing_gets_nothing(hand: Hand) -> None:
    """A frame of version 1.0 sends each once."""
    hand.send(ButtonEvent(1, 160))
    assert hand.pull() == []
    assert events(hand.link) == [FrameReported(ButtonEvent(1, 160))]


def test_an_event_of_another_session_is_not_acknowledged(hand: Hand) -> None:
    hand.send(ButtonEvent(1, 160), session=9, flags=Flag.ACK_REQ)
    assert hand.pull() == []
    assert events(hand.link) == []


def test_an_event_of_a_later_version_is_acknowledged_or_it_would_block_the_others(hand: Hand) -> None:
    class Unknown(ButtonEvent):
        TYPE = 99

    hand.send(Unknown(1, 2), flags=Flag.ACK_REQ)
    assert hand.pull() == [EventAck(1)]
    assert events(hand.link) == []


# ---- no session
def test_a_frame_that_has_booted_is_noticed_at_the_next_ping(hand: Hand) -> None:
    call_id = hand.link.call(Method.GET_STATE, timeout_s=10.0)
    hand.pull()
    now_s = 0.0
    while not of(Ping, hand.at(now_s)):
        now_s += 0.01
    assert now_s < 1.02
    hand.send(Close(CloseReason.NO_SESSION), seq=0)
    finished, lost = events(hand.link)
    assert isinstance(finished, CallFinished)
    assert finished.call_id == call_id
    assert isinstance(finished.error, OutcomeUnknown)
    assert isinstance(lost, Disconnected)
    assert isinstance(lost.error, DeviceLost)
    assert str(lost.error) == "The frame has started anew and knows the session no more."


def test_no_session_of_another_session_is_nothing_to_us(hand: Hand) -> None:
    hand.send(Close(CloseReason.NO_SESSION), session=9, seq=0)
    assert events(hand.link) == []
    assert hand.link.stats.rx_foreign_frames == 1


def test_a_frame_that_boots_before_confirm_is_greeted_at_once() -> None:
    hand = Hand(Link())
    hand.link.start(5, 0.0)
    hand.pull()
    hand.send(hand.ack(5))
    assert of(Confirm, hand.pull())
    hand.send(Close(CloseReason.NO_SESSION), seq=0)
    assert events(hand.link) == [], "a handshake that goes on is no news"
    (hello,) = of(Hello, hand.pull())
    assert hello.nonce != 5


def test_such_a_handshake_ends_in_time_too() -> None:
    hand = Hand(Link())
    hand.link.start(5, 0.0, timeout_s=2.0)
    for step in range(250):
        for hello in of(Hello, hand.at(step * 0.01)):
            hand.send(hand.ack(hello.nonce))
            hand.pull()
            hand.send(Close(CloseReason.NO_SESSION), seq=0)
    (lost,) = events(hand.link)
    assert isinstance(lost, Disconnected)
