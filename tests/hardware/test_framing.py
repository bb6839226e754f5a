"""Damage on the wire: what is broken is dropped, what is whole is taken, and nothing is ever put together wrongly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.raw_host import RawHost, all_of, encode, payload_of

from lorgnette.firmware_bridge import messages as m

VOLUMES = (11, 22, 33)
CALL_OCTETS = 17
"""Octets of SetVolume on the wire, its closing zero included."""
LOG_TEXT = b"\x1b[0;31mE (1234) i2s: dma overrun\r\n"


@pytest.fixture
def damaged(host: RawHost) -> Callable[[Callable[[list[bytes]], bytes]], list[int]]:
    """Sends three calls that set the volume, after the caller's damage; returns the volumes that were set."""
    host.connect()
    call_id = 0

    def send(damage: Callable[[list[bytes]], bytes]) -> list[int]:
        nonlocal call_id
        wires, asked = [], {}
        for volume in VOLUMES:
            call_id = call_id % 0xFFFF + 1
            asked[call_id] = volume
            call = m.Call(call_id=call_id, method=m.Method.SET_VOLUME, args=bytes([volume]))
            wires.append(host.pack(call).lstrip(b"\0"))
        replies = all_of(host.step(damage(wires)), m.Reply)
        set_to = [m.SetVolumeResult.unpack(reply.result).percent for reply in replies]
        assert set_to == [asked[reply.call_id] for reply in replies]
        assert set_to == sorted(set_to)
        return set_to

    return send


Damaged = Callable[[Callable[[list[bytes]], bytes]], list[int]]


def test_undamaged(damaged: Damaged) -> None:
    assert damaged(b"".join) == [11, 22, 33]


def test_zeros_between_frames_mean_nothing(damaged: Damaged) -> None:
    assert damaged(lambda wires: b"\0\0" + b"\0\0".join(wires)) == [11, 22, 33]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 16, 17, 18, 33, 128])
def test_dropped_octets(damaged: Damaged, length: int) -> None:
    for start in range(2 * CALL_OCTETS):
        whole: list[int] = []

        def drop(wires: list[bytes], start: int = start, whole: list[int] = whole) -> bytes:
            two = wires[0] + wires[1]
            left = two[:start] + two[start + length :] + b"\0" + wires[2]
            pieces = left.split(b"\0")
            whole += [volume for volume, wire in zip(VOLUMES, wires, strict=True) if wire[:-1] in pieces]
            return left

        assert damaged(drop) == whole
        assert whole[-1] == 33


def test_every_truncation(damaged: Damaged) -> None:
    for cut in range(CALL_OCTETS - 1):

        def truncate(wires: list[bytes], cut: int = cut) -> bytes:
            return wires[0][:cut] + b"\0" + wires[1] + wires[2]

        assert damaged(truncate) == [22, 33]


def test_text_in_the_middle_of_a_frame(damaged: Damaged) -> None:
    for at in range(1, CALL_OCTETS - 1):

        def splice(wires: list[bytes], at: int = at) -> bytes:
            return wires[0][:at] + LOG_TEXT + wires[0][at:] + wires[1] + wires[2]

        assert damaged(splice) == [22, 33]


def test_two_frames_without_the_zero_between(damaged: Damaged) -> None:
    assert damaged(lambda wires: wires[0][:-1] + wires[1] + wires[2]) == [33]


def test_octet_by_octet(host: RawHost) -> None:
    host.connect()
    wire = host.pack(m.Call(call_id=1, method=m.Method.SET_VOLUME, args=b"\x2a"))
    replies = [reply for at in range(len(wire)) for reply in all_of(host.step(wire[at : at + 1]), m.Reply)]
    assert [m.SetVolumeResult.unpack(reply.result).percent for reply in replies] == [42]


def test_endless_text_is_skipped_to_its_end(host: RawHost) -> None:
    host.connect()
    host.step(b"x" * 100_000)
    assert host.state().rx_bad_frames == 1
    assert host.call(m.Method.SET_VOLUME, b"\x05").status == m.RpcStatus.OK


def test_damage_is_counted(host: RawHost) -> None:
    host.connect()
    before = host.state()
    short, good = b"\x05abcd\0", host.pack(m.Ping(token=1))
    host.step(b"boot text\0" + short + good[:-3] + b"\0" + b"\xff\0" + host.pack(m.Ping(token=2)))
    after = host.state()
    assert after.rx_bad_frames - before.rx_bad_frames == 4
    assert after.rx_frames - before.rx_frames == 2  # the second ping, and the question for the state


def test_the_longest_frame_is_heard(host: RawHost) -> None:
    host.connect()
    before = host.state().rx_frames
    host.step(encode(m.Channel.BULK_DOWN, b"\xff" * m.MAX_PAYLOAD_BYTES, session=host.session))
    host.step(encode(m.Channel.BULK_DOWN, b"\xff" * (m.MAX_PAYLOAD_BYTES + 1), session=host.session))
    after = host.state()
    assert (after.rx_frames - before, after.rx_bad_frames) == (2, 1)


def test_a_zero_leads_what_is_said_after_a_pause(host: RawHost) -> None:
    hello = m.Hello(major=m.MAJOR, minor=m.MINOR, nonce=1, schema_hash=m.SCHEMA_HASH)
    greeting = encode(m.Channel.LINK, payload_of(hello))
    first, _ = host.frame.step(0, greeting)
    assert first[0] == 0
    again, _ = host.frame.step(19_999, greeting)
    assert again[0] != 0
    later, _ = host.frame.step(39_999, greeting)
    assert later[0] == 0
