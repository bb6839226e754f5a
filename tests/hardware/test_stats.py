"""GetStats: what the frame has counted since it booted."""

from __future__ import annotations

from tests.support.frame_builds import FrameFactory
from tests.support.raw_host import MS, RawHost, all_of

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import Peripherals

SECOND = 1000 * MS


def test_everything_begins_at_nothing(host: RawHost) -> None:
    host.connect()
    said = len(host.log)
    assert host.stats() == m.GetStatsResult(rx_frames=3, tx_frames=said, sessions=1)


def test_what_arrives_is_counted_by_what_becomes_of_it(host: RawHost) -> None:
    host.connect()
    ping = host.pack(m.Ping(token=1))
    host.step(ping + ping + ping)  # two duplicates
    host.step(host.pack(m.Ping(token=1), session=host.session + 1))  # foreign
    host.step(b"noise\0more noise\0")  # bad
    host.send(m.LogText())  # what only a frame says: refused, session over
    host.connect(2)
    stats = host.stats()
    assert stats.rx_duplicate_frames == 2
    assert stats.rx_foreign_frames == 1
    assert stats.rx_bad_frames == 2
    assert stats.rx_refused_frames == 1
    assert stats.sessions == 2
    assert stats.rx_lost_frames == 0


def test_gaps_are_lost_frames(host: RawHost) -> None:
    host.connect()
    host.seq[m.Channel.RPC] = 9
    host.state()  # 9 missing before it
    host.pack(m.Ping(token=1))
    host.send(m.Ping(token=2))  # one missing
    host.send(m.HighestSent(channel=m.Channel.SPEAKER, seq=4))  # four
    host.send(m.HighestSent(channel=m.Channel.SPEAKER, seq=4))
    assert host.stats().rx_lost_frames == 9 + 1 + 4


def test_what_the_microphone_lost_outlives_its_session(host: RawHost) -> None:
    host.connect()
    host.start_capture()
    host.now_us += 2_700 * MS  # more than one step can say
    host.step()
    lost = host.state().mic_dropped_frames
    assert lost > 20
    host.connect(2)
    assert host.state().mic_dropped_frames == 0
    assert host.stats().mic_dropped_frames == lost


def test_holes_in_what_was_played(host: RawHost) -> None:
    host.connect()
    for sample in (0, 320, 640, 1280):  # one is missing
        host.send(m.SpeakerAudio(sample=sample, stream=1, pcm=bytes(640)), flags=m.Flag.LAST * (sample == 1280))
    underruns = all_of(host.advance(SECOND), m.Underrun)
    assert [underrun.missing_samples for underrun in underruns] == [320]
    stats = host.stats()
    assert (stats.underruns, stats.underrun_samples) == (1, 320)


def test_a_loop_that_comes_late_shows(host: RawHost) -> None:
    host.connect()
    host.advance(2 * SECOND + 7 * MS)
    assert host.stats().loop_worst_us == 0  # visited whenever it wanted to be
    host.now_us = host.next_us + 4_321  # to repeat a grant
    host.step()
    host.advance(SECOND)
    assert host.stats().loop_worst_us == 4_321


def test_nobody_is_late_for_at_once(make_frame: FrameFactory) -> None:
    """A change of the rate wants to be gone on with at once, and takes as long as the driver takes."""
    host = RawHost(make_frame(Peripherals(max_baud=2_000_000)))
    host.connect()
    host.send(m.SetRate(baud=921_600))
    for _ in range(2):
        assert host.next_us <= host.now_us
        host.now_us += 3 * MS
        host.step()
    assert host.next_us > host.now_us
    host.frame.set_baud(921_600)
    assert host.stats().loop_worst_us == 0


def test_uptime(host: RawHost) -> None:
    host.connect()
    host.advance(1500 * MS)
    assert host.stats().uptime_ms == 1500
