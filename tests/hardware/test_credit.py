"""Credit both ways: absolute, repeated, and never lost for good."""

from __future__ import annotations

import pytest
from tests.support.pictures import GivenCamera, plain_jpeg
from tests.support.raw_host import MS, RawHost, all_of, one

from lorgnette.firmware_bridge import messages as m

FRAME = bytes(640)
PICTURE = plain_jpeg(40_000)  # forty chunks


def grants(received: list[m.Credit], channel: m.Channel) -> list[int]:
    return [credit.allowed for credit in received if credit.channel == channel]


def audio(i: int, stream: int = 1) -> m.SpeakerAudio:
    return m.SpeakerAudio(sample=320 * i, stream=stream, pcm=FRAME)


def test_the_first_grants_confirm_the_session(host: RawHost) -> None:
    host.connect()
    first = all_of(host.log, m.Credit)
    assert grants(first, m.Channel.RPC) == [m.Window.RPC]
    assert grants(first, m.Channel.SPEAKER) == [m.Window.SPEAKER]
    assert grants(first, m.Channel.BULK_DOWN) == [m.Window.BULK_DOWN]


def test_a_full_window_is_granted_on_as_it_empties(host: RawHost) -> None:
    host.connect()
    assert all_of(host.send(*map(audio, range(6))), m.Credit) == []
    assert host.state().speaker_queued_samples == 6 * 320
    got = host.advance(20 * MS)  # one AudioFrame is played
    assert grants(all_of(got, m.Credit), m.Channel.SPEAKER) == [7]
    host.send(audio(6))
    got = host.advance(20 * MS)
    assert grants(all_of(got, m.Credit), m.Channel.SPEAKER) == [8]


def test_what_exceeds_the_queue_is_dropped(host: RawHost) -> None:
    host.connect()
    host.send(*map(audio, range(9)))
    assert host.state().speaker_queued_samples == 6 * 320


def test_a_grant_is_repeated_while_the_channel_is_in_use(host: RawHost) -> None:
    host.connect()
    host.advance(500 * MS)
    assert len(all_of(host.log, m.Credit)) == 4  # nothing used: nothing to repeat
    host.call(m.Method.GET_STATE)
    repeated = grants(all_of(host.advance(3000 * MS), m.Credit), m.Channel.RPC)
    assert repeated == [1 + m.Window.RPC] * 9


def test_the_loss_of_a_whole_window_is_made_good(host: RawHost) -> None:
    host.connect()
    for message in map(audio, range(6)):
        host.pack(message)  # never arrives
    got = host.send(m.HighestSent(channel=m.Channel.SPEAKER, seq=6))
    assert grants(all_of(got, m.Credit), m.Channel.SPEAKER) == [12]

    for call_id in range(8):
        host.pack(m.Call(call_id=100 + call_id, method=m.Method.GET_STATE))
    got = host.send(m.HighestSent(channel=m.Channel.RPC, seq=8))
    assert grants(all_of(got, m.Credit), m.Channel.RPC) == [16]
    assert host.state().speaker_queued_samples == 0


def test_highest_sent_never_goes_back(host: RawHost) -> None:
    host.connect()
    host.send(audio(0), audio(1))
    got = host.send(m.HighestSent(channel=m.Channel.SPEAKER, seq=1))
    assert grants(all_of(got, m.Credit), m.Channel.SPEAKER) == [2 + 4]


def test_highest_sent_of_a_channel_without_credit_means_nothing(host: RawHost) -> None:
    host.connect()
    for channel in (m.Channel.LINK, m.Channel.MIC, m.Channel.BULK_UP, 200):
        assert host.send(m.HighestSent(channel=channel, seq=1)) == []


def test_a_gap_counts_as_received(host: RawHost) -> None:
    host.connect()
    host.pack(audio(0))
    host.pack(audio(1))
    host.send(audio(2))
    got = host.advance(100 * MS)
    assert grants(all_of(got, m.Credit), m.Channel.SPEAKER) == [3 + 5]


def test_duplicates_take_no_slot(host: RawHost) -> None:
    host.connect()
    first = host.pack(audio(0))
    host.step(first + first + host.pack(audio(1)) + first)
    assert host.state().speaker_queued_samples == 2 * 320


def test_sequence_numbers_wrap_on_every_channel(host: RawHost) -> None:
    host.connect()
    for channel in (m.Channel.RPC, m.Channel.SPEAKER):
        for seq in (0x7000, 0xE000, 0xFFFC):  # never more than half the circle ahead
            got = host.send(m.HighestSent(channel=channel, seq=seq))
        room = 8 if channel == m.Channel.RPC else 6
        assert grants(all_of(got, m.Credit), channel) == [(0xFFFC + room) & 0xFFFF]
        host.seq[channel] = 0xFFFC
    for _ in range(8):
        host.state()
    assert host.seq[m.Channel.RPC] == 4
    host.send(*map(audio, range(6)))
    assert host.seq[m.Channel.SPEAKER] == 2
    assert host.state().speaker_queued_samples == 6 * 320
    stale = host.pack(audio(0), seq=0xFFFF)
    host.advance(20 * MS)
    host.step(stale)
    assert host.state().speaker_queued_samples == 5 * 320


def start_reading(host: RawHost) -> m.PhotoEvent:
    host.connect()
    host.call(m.Method.TAKE_PHOTO)
    photo = one(host.advance(100 * MS), m.PhotoEvent)
    host.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0))
    return photo


def test_an_object_waits_for_credit_and_says_so(host: RawHost) -> None:
    host.frame.peripherals.camera = GivenCamera(PICTURE)
    photo = start_reading(host)
    assert len(all_of(host.log, m.BulkData)) == m.Window.BULK_UP
    stalled = host.advance(220 * MS)
    assert all_of(stalled, m.HighestSent) == [m.HighestSent(channel=m.Channel.BULK_UP, seq=m.Window.BULK_UP)] * 4

    allowed, data = int(m.Window.BULK_UP), all_of(host.log, m.BulkData)
    while sum(len(chunk.data) for chunk in data) < photo.size_bytes:
        allowed += 3
        data += all_of(host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=allowed)), m.BulkData)
    assert b"".join(chunk.data for chunk in data) == PICTURE
    assert all_of(host.advance(500 * MS), m.HighestSent) == []


def test_a_grant_beyond_any_queue_is_not_believed(host: RawHost) -> None:
    host.frame.peripherals.camera = GivenCamera(PICTURE)
    start_reading(host)
    for allowed in (8 + 256, 0x7FFF, 0x8000, 0xFFFF):
        assert all_of(host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=allowed)), m.BulkData) == []
    rest = all_of(host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=8 + 255)), m.BulkData)
    assert len(rest) == 40 - 8


def test_an_old_grant_takes_nothing_back(host: RawHost) -> None:
    host.frame.peripherals.camera = GivenCamera(PICTURE)
    start_reading(host)
    assert len(all_of(host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=10)), m.BulkData)) == 2
    assert all_of(host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=9)), m.BulkData) == []
    assert len(all_of(host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=11)), m.BulkData)) == 1


@pytest.mark.parametrize(("announced", "window"), [(0, m.Window.BULK_UP), (1, 1), (8, 8), (64, 64), (255, 255)])
def test_the_hosts_window_is_what_confirm_says(host: RawHost, announced: int, window: int) -> None:
    host.frame.peripherals.camera = GivenCamera(plain_jpeg(300_000))
    host.connect(bulk_window=announced)
    host.call(m.Method.TAKE_PHOTO)
    photo = one(host.advance(100 * MS), m.PhotoEvent)
    host.call(m.Method.READ_OBJECT, m.ReadObjectArgs(photo.object, 0))
    host.advance(40 * MS)
    assert len(all_of(host.log, m.BulkData)) == window
    more = all_of(host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=window + 2)), m.BulkData)
    assert len(more) == 2
