"""Events: acknowledged one by one, sent again until they are, in order, and given up only after ten times."""

from __future__ import annotations

import pytest
from tests.support.raw_host import MS, RawHost, Received, all_of, one

from lorgnette.firmware_bridge import messages as m

ASKS = m.Flag.ACK_REQ
AGAIN = m.Flag.ACK_REQ | m.Flag.RETRY
RETRY = m.EVENT_RETRY_MS * MS
SECOND = 1000 * MS


def events(received: list[Received]) -> list[Received]:
    return [r for r in received if r.chan == m.Channel.EVENT]


def numbered(received: list[Received]) -> list[tuple[int, int]]:
    """(sequence number, flags) of each event."""
    return [(r.seq, r.flags) for r in events(received)]


def names(received: list[Received]) -> list[str]:
    return [type(r.message).__name__ for r in events(received)]


@pytest.fixture
def deaf(host: RawHost) -> RawHost:
    """A connected host that acknowledges nothing by itself, with two events waiting: LedEvent, then CaptureEvent."""
    host.acks_events = False
    host.connect()
    host.start_capture()
    return host


def test_one_event_at_a_time(deaf: RawHost) -> None:
    assert [(r.seq, r.flags) for r in events(deaf.log)] == [(1, ASKS)]
    (second,) = events(deaf.send(m.EventAck(seq=1)))
    assert (second.seq, second.flags, type(second.message)) == (2, ASKS, m.CaptureEvent)
    assert events(deaf.send(m.EventAck(seq=2))) == []
    assert events(deaf.advance(SECOND)) == []
    assert deaf.stats().event_retries == 0


def test_it_is_the_same_event_under_the_same_number(deaf: RawHost) -> None:
    (first,) = events(deaf.log)
    assert events(deaf.advance(RETRY - 1)) == []
    again = events(deaf.advance(1 + 3 * RETRY))
    assert numbered(again) == [(1, AGAIN)] * 4
    assert {r.payload for r in again} == {first.payload}
    assert [r.at_us - first.at_us for r in again] == [RETRY, 2 * RETRY, 3 * RETRY, 4 * RETRY]
    assert deaf.stats().event_retries == 4


@pytest.mark.parametrize("lost", range(m.EVENT_TRIES))
def test_an_acknowledgement_ends_it_at_any_try(deaf: RawHost, lost: int) -> None:
    deaf.advance(lost * RETRY)
    deaf.acks_events = True
    assert names(deaf.send(m.EventAck(seq=1))) == ["CaptureEvent"]
    assert events(deaf.advance(2 * SECOND)) == []
    assert (deaf.stats().event_retries, deaf.stats().tx_dropped_frames) == (lost, 0)


def test_after_ten_times_it_is_given_up_and_counted(deaf: RawHost) -> None:
    got = events(deaf.advance(m.EVENT_TRIES * RETRY - 1))
    assert names(got) == ["LedEvent"] * (m.EVENT_TRIES - 1)
    assert deaf.stats().tx_dropped_frames == 0
    (next_one,) = events(deaf.advance(1))
    assert (next_one.seq, next_one.flags, type(next_one.message)) == (2, ASKS, m.CaptureEvent)
    deaf.advance(m.EVENT_TRIES * RETRY)
    stats = deaf.stats()
    assert (stats.tx_dropped_frames, stats.event_retries) == (2, 2 * (m.EVENT_TRIES - 1))
    assert events(deaf.advance(2 * SECOND)) == []


def test_only_the_right_number_counts(deaf: RawHost) -> None:
    for seq in (0, 2, 0xFFFF, 0x0101):
        assert events(deaf.send(m.EventAck(seq=seq))) == []
    assert names(deaf.send(m.EventAck(seq=1), m.EventAck(seq=1), m.EventAck(seq=1))) == ["CaptureEvent"]
    assert events(deaf.send(m.EventAck(seq=1))) == []  # it has ended already
    assert deaf.stats().rx_refused_frames == 0


def test_events_keep_their_order_whatever_is_lost(host: RawHost) -> None:
    """Every second acknowledgement gets lost."""
    host.acks_events = False
    host.connect()
    for method in (m.Method.CAPTURE_START, m.Method.CAPTURE_STOP) * 3:
        host.call(method)
    heard = 0
    for _ in range(200):
        arrived = events(host.log)
        if heard < len(arrived):
            event = arrived[heard]
            heard += 1
            if event.flags & m.Flag.RETRY or event.seq % 2:
                host.send(m.EventAck(seq=event.seq))
        host.advance(5 * MS)
    fresh = [event for event in events(host.log) if not event.flags & m.Flag.RETRY]
    assert [event.seq for event in fresh] == list(range(1, 13))
    assert names(fresh) == ["LedEvent", "CaptureEvent"] * 6
    assert host.stats().event_retries == 6
    assert host.stats().tx_dropped_frames == 0


def test_the_oldest_goes_when_too_many_wait(host: RawHost) -> None:
    host.acks_events = False
    host.connect()
    for method in (m.Method.CAPTURE_START, m.Method.CAPTURE_STOP) * 5:  # twenty events, sixteen slots
        host.call(method)
    assert host.stats().tx_dropped_frames == 4
    host.acks_events = True
    left = events(host.advance(RETRY))
    assert names(left) == ["LedEvent", "CaptureEvent"] * 8
    assert [r.message for r in left][-1] == m.CaptureEvent(on=0, reason=m.CaptureStop.ASKED, mic_sample=0)


def test_replies_wait_for_no_event(deaf: RawHost) -> None:
    assert len(events(deaf.log)) == 1
    for _ in range(20):
        assert deaf.state().capturing == 1


def test_audio_waits_until_the_host_was_told(deaf: RawHost) -> None:
    assert all_of(deaf.advance(100 * MS - 1), m.MicAudio) == []  # CaptureEvent waits behind LedEvent
    assert len(all_of(deaf.send(m.EventAck(seq=1)), m.MicAudio)) == 4
    assert all_of(deaf.log, m.MicAudio)[0].sample == 0  # CaptureEvent was sent; its acknowledgement is not waited for
    assert events(deaf.log)[-1].seq == 2


def test_a_host_of_version_1_0_gets_each_event_once(host: RawHost) -> None:
    host.connect(minor=0)
    host.start_capture()
    assert numbered(host.log) == [(1, 0), (2, 0)]
    assert events(host.advance(2 * SECOND)) == []
    assert host.stats().event_retries == 0


def test_a_new_session_waits_for_nothing_of_the_old_one(deaf: RawHost) -> None:
    deaf.connect(2)
    assert events(deaf.advance(2 * SECOND)) == []
    deaf.acks_events = True
    deaf.start_capture()
    assert numbered(deaf.log[-3:]) == [(1, ASKS), (2, ASKS)]


def test_a_frame_that_leaves_says_everything_once(deaf: RawHost) -> None:
    """The host may only have lost its voice: it hears what happened, and nobody waits for an answer."""
    deaf.send(m.EventAck(seq=1))
    start = len(deaf.log)
    last = deaf.advance(3 * SECOND, keep_alive=False)
    leaving = [r for r in last if r.at_us == deaf.now_us]
    assert [type(r.message) for r in leaving if r.chan != m.Channel.LOG] == [m.LedEvent, m.CaptureEvent, m.Close]
    assert numbered(leaving) == [(3, 0), (4, 0)]
    assert numbered(deaf.log[start:])[:-2] == [(2, AGAIN)] * (m.EVENT_TRIES - 1)  # those that asked in vain
    assert deaf.advance(2 * SECOND, keep_alive=False) == []


def test_an_event_that_waits_goes_out_a_last_time(deaf: RawHost) -> None:
    deaf.send(m.EventAck(seq=1))
    deaf.send(m.EventAck(seq=2))
    deaf.call(m.Method.CAPTURE_STOP)
    (waiting,) = [r for r in events(deaf.log) if r.seq == 3]
    leaving = deaf.send(m.Reply())  # what only a frame says: the host is none
    assert numbered(leaving) == [(3, m.Flag.RETRY), (4, 0)]
    assert events(leaving)[0].payload == waiting.payload
    assert one(leaving, m.Close).reason == m.CloseReason.INTERRUPTED
