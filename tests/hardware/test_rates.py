"""The line's rate: asked for, promised, tried; and that both sides meet again at 115200 whatever is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.frame_builds import FrameFactory
from tests.support.pictures import GivenCamera, plain_jpeg
from tests.support.raw_host import MS, RawHost, all_of, one

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import NEVER, Peripherals

START = m.START_BAUD
FAST = 921_600
MAX = 2_000_000
TRIAL = m.BAUD_TRIAL_MS * MS
SILENCE = m.BAUD_SILENCE_MS * MS
LIVELY = m.LIVELY_MS * MS
DEAD = m.DEAD_AFTER_MS * MS


@pytest.fixture
def peripherals() -> Peripherals:
    return Peripherals(max_baud=MAX)


def baud(host: RawHost) -> int:
    """The rate that the frame's side of the line has."""
    return host.frame.peripherals.baud


@pytest.fixture
def fast(host: RawHost) -> RawHost:
    """A connected host, and both at 921600."""
    host.connect()
    host.set_rate(FAST)
    assert baud(host) == FAST
    return host


def silent(host: RawHost, duration_us: int) -> None:
    host.advance(duration_us, keep_alive=False)


# What is asked for, and what is promised.


def test_a_line_with_a_rate_says_so_and_begins_at_115200(host: RawHost) -> None:
    assert host.connect().max_baud == MAX
    assert (baud(host), host.stats().baud) == (START, START)


def test_a_line_without_a_rate_has_none_to_set(make_frame: FrameFactory) -> None:
    host = RawHost(make_frame(Peripherals()))
    assert host.connect().max_baud == 0
    assert one(host.send(m.SetRate(baud=FAST)), m.RateSet).baud == 0
    host.frame.set_baud(FAST)  # means nothing
    assert host.stats().baud == 0
    assert baud(host) == 0


@pytest.mark.parametrize("asked", [START, START + 1, 230_400, FAST, MAX])
def test_a_rate_that_can_be_had(host: RawHost, asked: int) -> None:
    host.connect()
    assert host.set_rate(asked).baud == asked
    assert (baud(host), host.stats().baud) == (asked, asked)


@pytest.mark.parametrize("asked", [0, 9600, START - 1, MAX + 1, 0xFFFF_FFFF])
def test_a_rate_that_cannot_be_had_is_answered_with_the_present_one(host: RawHost, asked: int) -> None:
    host.connect()
    assert host.set_rate(asked).baud == START
    host.set_rate(FAST)
    assert host.set_rate(asked).baud == FAST
    assert baud(host) == FAST


def test_from_one_rate_to_another_and_back(fast: RawHost) -> None:
    for asked in (MAX, 460_800, START, FAST):
        assert fast.set_rate(asked).baud == asked
        assert baud(fast) == asked


def test_the_rate_changes_when_the_last_octet_of_the_promise_has_left(host: RawHost) -> None:
    """Octet by octet: the line has no more room than that."""
    host.connect()
    tx, next_us = host.frame.step(0, host.pack(m.SetRate(baud=FAST)), 1)
    while not tx[1:].endswith(b"\0"):
        assert baud(host) == START
        assert next_us == 0
        more, next_us = host.frame.step(0, b"", 1)
        assert len(more) == 1
        tx += more
    assert (baud(host), next_us) == (START, 0)
    assert host.frame.step(0, b"", 1)[0] == b""
    assert baud(host) == FAST


def test_asked_twice_before_it_is_answered(host: RawHost) -> None:
    host.connect()
    assert all_of(host.send(m.SetRate(baud=FAST), m.SetRate(baud=MAX)), m.RateSet) == [m.RateSet(baud=MAX)]
    host.frame.set_baud(MAX)
    assert len(all_of(host.send(m.Ping(token=0)), m.Pong)) == 1


def test_a_refusal_names_the_rate_that_the_line_has_then(host: RawHost) -> None:
    """Asked for something impossible while the change that was promised is under way."""
    host.connect()
    host.send(m.SetRate(baud=FAST))
    host.frame.step(host.now_us, b"", 0)  # it has changed now
    host.frame.set_baud(FAST)
    assert one(host.send(m.SetRate(baud=1)), m.RateSet).baud == FAST
    assert baud(host) == FAST


# On trial, and afterwards.


def test_what_is_not_heard_in_time_is_given_up(host: RawHost) -> None:
    host.connect()
    host.send(m.SetRate(baud=FAST))
    host.step()
    assert baud(host) == FAST
    silent(host, TRIAL - 1)
    assert baud(host) == FAST
    silent(host, 1)
    assert baud(host) == START
    assert host.state().capturing == 0  # the session goes on
    assert host.stats().sessions == 1


def test_what_is_heard_in_time_stays(host: RawHost) -> None:
    host.connect()
    host.send(m.SetRate(baud=FAST))
    silent(host, TRIAL - 1)
    host.frame.set_baud(FAST)
    host.send(m.Ping(token=0))
    silent(host, SILENCE - 1)
    assert baud(host) == FAST


@pytest.mark.parametrize("heard_before_us", [0, 600 * MS, 10_000 * MS])
def test_a_second_of_silence_ends_it(fast: RawHost, heard_before_us: int) -> None:
    for _ in range(heard_before_us // (200 * MS)):
        fast.send(m.Ping(token=0))
        silent(fast, 200 * MS)
    fast.send(m.Ping(token=0))
    heard_us = fast.now_us
    silent(fast, SILENCE - 1)
    assert baud(fast) == FAST
    silent(fast, 1)
    assert (baud(fast), fast.now_us) == (START, heard_us + SILENCE)
    fast.frame.set_baud(START)
    assert fast.stats().sessions == 1


def test_the_session_itself_dies_as_ever(fast: RawHost) -> None:
    fast.start_capture()
    silent(fast, DEAD - 1)
    assert fast.frame.peripherals.microphone.on
    silent(fast, 1)
    assert not fast.frame.peripherals.microphone.on
    assert (baud(fast), fast.next_us) == (START, NEVER)


def test_what_belongs_to_no_session_keeps_no_rate(fast: RawHost) -> None:
    stale = fast.pack(m.Ping(token=0))
    fast.step(stale)
    for _ in range(4):
        silent(fast, SILENCE // 4)
        fast.step(stale)
        fast.step(fast.pack(m.Ping(token=0), session=fast.session + 1) + b"noise\0")
    assert baud(fast) == START


def test_at_a_raised_rate_both_are_lively(fast: RawHost) -> None:
    pings = []
    for _ in range(40):
        fast.send(m.Pong(token=0))
        pings += [r.at_us for r in fast.advance(50 * MS, keep_alive=False) if isinstance(r.message, m.Ping)]
    assert len(pings) == 2000 // m.LIVELY_MS
    fast.set_rate(START)
    for _ in range(40):
        fast.send(m.Pong(token=0))
        pings += [r.at_us for r in fast.advance(50 * MS, keep_alive=False) if isinstance(r.message, m.Ping)]
    assert len(pings) <= 2000 // m.LIVELY_MS + 2


# What gets lost.


def test_the_promise_is_lost(host: RawHost) -> None:
    """The host goes on at 115200, and asks again: the frame hears noise there until it has gone back."""
    host.connect()
    host.send(m.SetRate(baud=FAST))  # its answer never arrives
    for _ in range(m.SET_RATE_TRIES - 1):
        host.advance(m.SET_RATE_INTERVAL_MS * MS, keep_alive=False)
        assert all_of(host.send(m.SetRate(baud=FAST)), m.RateSet) == []
        assert baud(host) == FAST
    host.advance(TRIAL - (m.SET_RATE_TRIES - 1) * m.SET_RATE_INTERVAL_MS * MS, keep_alive=False)
    assert baud(host) == START
    assert host.set_rate(FAST).baud == FAST
    assert host.stats().sessions == 1


def test_the_host_misses_it_and_goes_back(fast: RawHost) -> None:
    """A cable that does not carry the rate: both hear nothing from now on, and meet at 115200."""
    for _ in range(5):
        silent(fast, 200 * MS)  # whatever the host sends arrives as noise
        fast.step(b"\x55\xaa noise\0")
    assert baud(fast) == START
    fast.frame.set_baud(START)
    assert len(all_of(fast.send(m.Ping(token=7)), m.Pong)) == 1


def test_between_two_rates_nothing_is_understood(host: RawHost) -> None:
    host.connect()
    host.frame.set_baud(FAST)
    for message in (m.Ping(token=1), m.Call(call_id=77, method=m.Method.CAPTURE_START), m.Close()):
        assert host.send(message) == []
    host.frame.set_baud(START)
    assert host.state().capturing == 0
    assert host.stats().rx_foreign_frames == 0


def test_no_octet_is_lost_where_the_rate_changes(host: RawHost) -> None:
    """Audio runs on over the change: what waits for it leaves at the new rate."""
    host.connect()
    host.start_capture()
    host.advance(100 * MS)
    host.set_rate(FAST)
    host.advance(200 * MS)
    host.set_rate(MAX)
    host.advance(200 * MS)
    frames = [r for r in host.log if r.chan == m.Channel.MIC]
    assert [r.seq for r in frames] == list(range(1, 26))
    assert [audio.sample for audio in all_of(frames, m.MicAudio)] == [320 * i for i in range(25)]


def test_a_long_step_over_the_change(host: RawHost) -> None:
    """Somebody who comes late gets what was said before the change at the old rate, and the rest in the next step."""
    host.connect()
    host.start_capture()
    host.frame.step(host.now_us, host.pack(m.SetRate(baud=FAST)), 0)
    host.now_us += 100 * MS
    host.step()
    assert (baud(host), host.next_us <= host.now_us) == (START, True)
    host.frame.set_baud(FAST)
    for _ in range(3):
        host.step()
    assert baud(host) == FAST
    assert [r.seq for r in host.log if r.chan == m.Channel.MIC] == [1, 2, 3, 4, 5]
    assert host.junk == []


# What ends a session ends the rate.


def close(host: RawHost) -> None:
    assert host.send(m.Close()) == []


def greet(host: RawHost) -> None:
    """The answer is at 115200 already."""
    assert all_of(host.hello(99), m.HelloAck) == []


def babble(host: RawHost) -> None:
    """What only a frame says: there is no host. The frame's last words are still at the old rate."""
    assert one(host.send(m.Reply()), m.Close).reason == m.CloseReason.INTERRUPTED


@pytest.mark.parametrize("end", [close, greet, babble])
def test_the_end_of_a_session_is_the_end_of_its_rate(fast: RawHost, end: Callable[[RawHost], None]) -> None:
    end(fast)
    fast.step()
    fast.step()
    assert baud(fast) == START
    fast.frame.set_baud(START)
    assert fast.connect(5).max_baud == MAX


def test_a_boot_is_at_115200(make_frame: FrameFactory) -> None:
    parts = Peripherals(max_baud=MAX)
    host = RawHost(make_frame(parts))
    host.connect()
    host.set_rate(FAST)
    host.frame = make_frame(parts)
    assert baud(host) == START
    host.frame.set_baud(FAST)  # the host's side has not heard of it
    assert all_of(host.send(m.Ping(token=0)), m.Close) == []
    host.frame.set_baud(START)
    assert one(host.send(m.Ping(token=0)), m.Close).reason == m.CloseReason.NO_SESSION


# The chunks of a bulk read follow the rate.


def start_reading(host: RawHost) -> None:
    host.frame.peripherals.camera = GivenCamera(plain_jpeg(50_000))
    host.call(m.Method.TAKE_PHOTO)
    photo = one(host.advance(100 * MS), m.PhotoEvent)
    host.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0))


@pytest.mark.parametrize(
    ("rate", "chunk"), [(START, 92), (230_400, 184), (460_800, 368), (FAST, 737), (1_269_999, 1015), (MAX, 1016)]
)
def test_a_bulk_frame_is_8_ms_of_the_line(host: RawHost, rate: int, chunk: int) -> None:
    host.connect(bulk_window=64)
    host.set_rate(rate)
    assert chunk == max(m.MIN_CHUNK_BYTES, min(m.MAX_CHUNK_BYTES, rate // 10 * m.CHUNK_MS // 1000))
    start_reading(host)
    sizes = [len(data.data) for data in all_of(host.log, m.BulkData)]
    assert set(sizes[:9]) == {chunk}


def test_a_read_goes_on_in_other_chunks_after_a_change(host: RawHost) -> None:
    host.connect(bulk_window=20)
    start_reading(host)
    host.set_rate(FAST)
    host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=40))
    data = all_of(host.log, m.BulkData)
    assert [len(d.data) for d in data] == [92] * 20 + [737] * 20
    assert [d.offset for d in data] == [92 * i for i in range(20)] + [1840 + 737 * i for i in range(20)]
