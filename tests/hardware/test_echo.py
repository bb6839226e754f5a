"""The test channel: octets come back as they were, one frame at a time; and a release has no such channel."""

from __future__ import annotations

import pytest
from tests.support.frame_builds import BUILDS, PIPE_PROGRAM
from tests.support.raw_host import MS, RawHost, Received, all_of, encode

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import Peripherals, PipeFrame

TEST = m.Channel.TEST


def echoes(received: list[Received]) -> list[bytes]:
    return [r.payload for r in received if r.chan == TEST]


def send(host: RawHost, payload: bytes) -> list[Received]:
    host.seq[TEST] = host.seq.get(TEST, 0) + 1 & 0xFFFF
    return host.step(encode(TEST, payload, seq=host.seq[TEST], session=host.session))


def test_it_is_announced_and_granted(host: RawHost) -> None:
    ack = host.connect()
    assert ack.capabilities & m.Capability.TEST_CHANNEL
    assert ack.test_window == m.Window.TEST
    assert m.Credit(channel=TEST, allowed=1) in all_of(host.log, m.Credit)


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\x01\x00"])
def test_every_size_comes_back_as_it_was(host: RawHost, fill: bytes) -> None:
    host.connect()
    for size in range(1, m.MAX_PAYLOAD_BYTES + 1):
        payload = (bytes([size & 0xFF]) + fill * size)[:size]
        got = send(host, payload)
        assert echoes(got) == [payload]
        assert [r.seq for r in got if r.chan == TEST] == [size]
        assert m.Credit(channel=TEST, allowed=size + 1) in all_of(got, m.Credit)  # as soon as the slot is free
    stats = host.stats()
    assert (stats.rx_refused_frames, stats.rx_lost_frames) == (0, 0)


def test_an_empty_payload_is_no_echo(host: RawHost) -> None:
    host.connect()
    assert echoes(send(host, b"")) == []
    assert host.stats().rx_refused_frames == 1


def test_there_is_one_slot(host: RawHost) -> None:
    host.connect()
    both = b"".join(host.pack(m.Echo(number=i, data=b"abc")) for i in (1, 2))
    assert [echo.number for echo in all_of(host.step(both), m.Echo)] == [1]
    assert host.stats().rx_refused_frames == 1


def test_a_lost_echo_is_made_good(host: RawHost) -> None:
    host.connect()
    host.pack(m.Echo(number=1))  # never arrives
    got = host.send(m.HighestSent(channel=TEST, seq=1))
    assert all_of(got, m.Credit) == [m.Credit(channel=TEST, allowed=2)]


def test_a_session_leaves_nothing_to_the_next(host: RawHost) -> None:
    host.connect()
    host.frame.step(host.now_us, host.pack(m.Echo(number=9)), 0)  # nobody fetches it
    host.connect(2)
    assert all_of(host.advance(100 * MS), m.Echo) == []
    assert [echo.number for echo in all_of(host.send(m.Echo(number=1)), m.Echo)] == [1]


def test_before_bulk_and_behind_replies(host: RawHost) -> None:
    host.connect()
    host.call(m.Method.TAKE_PHOTO)
    host.advance(100 * MS)
    got = host.send(
        m.Echo(number=1), m.Call(call_id=77, method=m.Method.READ_OBJECT, args=m.ReadObjectArgs(1, 0).pack())
    )
    assert [r.chan for r in got if r.chan in (m.Channel.RPC, TEST, m.Channel.BULK_UP)][:3] == [
        m.Channel.RPC,
        TEST,
        m.Channel.BULK_UP,
    ]


@pytest.mark.cross
def test_a_release_has_no_such_channel(tmp_path_factory: pytest.TempPathFactory) -> None:
    build = BUILDS["asan"]
    argv = build.compile(PIPE_PROGRAM, tmp_path_factory.mktemp("release") / "frame")
    frame = PipeFrame(argv, Peripherals(), build.env)
    host = RawHost(frame)
    ack = host.connect()
    assert not ack.capabilities & m.Capability.TEST_CHANNEL
    assert ack.test_window == 0
    assert TEST not in [credit.channel for credit in all_of(host.log, m.Credit)]
    assert host.send(m.Echo(number=1, data=b"abc")) == []
    assert host.send(m.HighestSent(channel=TEST, seq=5)) == []
    assert host.stats().rx_refused_frames == 1
    frame.close()
