"""Calls: each runs at most once, and the reply says what the frame did."""

from __future__ import annotations

import pytest
from tests.support.frame_builds import FrameFactory
from tests.support.raw_host import MS, RawHost, all_of, one

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import Peripherals

STATUS = m.RpcStatus


def repeat(host: RawHost, call: m.Call) -> list[m.Reply]:
    return all_of(host.send(call, flags=m.Flag.RETRY), m.Reply)


def test_a_repeated_call_is_answered_from_memory(host: RawHost) -> None:
    host.connect()
    call = m.Call(call_id=7, method=m.Method.TAKE_PHOTO)
    first = one(host.send(call), m.Reply)
    assert first.status == STATUS.ACCEPTED
    assert repeat(host, call) == [first]
    one(host.advance(200 * MS), m.PhotoEvent)
    assert repeat(host, call) == [first]
    assert all_of(host.advance(200 * MS), m.PhotoEvent) == []
    assert host.frame.peripherals.camera.taken == 1
    assert host.state().photos_taken == 1


def test_a_repeated_call_never_runs_with_other_arguments(host: RawHost) -> None:
    host.connect()
    first = one(host.send(m.Call(call_id=7, method=m.Method.SET_VOLUME, args=b"\x0a")), m.Reply)
    assert repeat(host, m.Call(call_id=7, method=m.Method.SET_VOLUME, args=b"\x63")) == [first]
    assert repeat(host, m.Call(call_id=7, method=m.Method.SET_MUTE, args=b"\x01")) == [first]
    assert (host.state().volume_percent, host.state().muted) == (10, 0)


def test_the_last_32_replies_are_kept(host: RawHost) -> None:
    host.connect()
    volume = [
        one(host.send(m.Call(call_id=i, method=m.Method.SET_VOLUME, args=bytes([i]))), m.Reply) for i in range(33)
    ]
    for i in range(1, 33):
        assert repeat(host, m.Call(call_id=i, method=m.Method.SET_VOLUME, args=b"\x63")) == [volume[i]]
    (again,) = repeat(host, m.Call(call_id=0, method=m.Method.SET_VOLUME, args=b"\x63"))
    assert m.SetVolumeResult.unpack(again.result).percent == 99  # forgotten, so it ran


def test_a_whole_window_of_calls_in_one_step(host: RawHost) -> None:
    host.connect()
    calls = [m.Call(call_id=100 + i, method=m.Method.SET_VOLUME, args=bytes([i])) for i in range(m.Window.RPC)]
    replies = all_of(host.send(*calls), m.Reply)
    assert [reply.call_id for reply in replies] == [call.call_id for call in calls]
    # A ninth finds every slot taken by a reply that nobody has fetched: it does not run, and is heard when repeated.
    more = [m.Call(call_id=200 + i, method=m.Method.SET_VOLUME, args=bytes([10 + i])) for i in range(m.Window.RPC + 1)]
    assert len(all_of(host.send(*more), m.Reply)) == m.Window.RPC
    assert host.state().volume_percent == 17
    assert len(repeat(host, more[-1])) == 1
    assert host.state().volume_percent == 18


def test_unknown_methods(host: RawHost) -> None:
    host.connect()
    for method in (0, 13, 99, 255):
        reply = one(host.send(m.Call(call_id=method, method=method, args=b"abc")), m.Reply)
        assert (reply.method, reply.status, reply.result) == (method, STATUS.UNKNOWN_METHOD, b"")


def test_a_call_too_long_for_its_window_is_dropped(host: RawHost) -> None:
    host.connect()
    longest = m.RPC_MAX_WIRE_BYTES - 13 - 4
    get_state = m.Method.GET_STATE
    assert all_of(host.send(m.Call(call_id=1, method=get_state, args=bytes(longest + 1))), m.Reply) == []
    assert len(all_of(host.send(m.Call(call_id=2, method=get_state, args=bytes(longest))), m.Reply)) == 1


def test_volume(host: RawHost) -> None:
    host.connect()
    assert host.state().volume_percent == 70
    for percent in (0, 1, 100):
        reply = host.call(m.Method.SET_VOLUME, m.SetVolumeArgs(percent))
        assert m.SetVolumeResult.unpack(reply.result) == m.SetVolumeResult(percent=percent, muted=0)
        assert host.state().volume_percent == percent
    assert host.call(m.Method.SET_VOLUME, m.SetVolumeArgs(101)).status == STATUS.BAD_ARGUMENT
    assert host.state().volume_percent == 100
    assert m.SetVolumeResult.unpack(host.call(m.Method.SET_VOLUME).result).percent == 0  # what is missing is zero


def test_mute_keeps_the_volume(host: RawHost) -> None:
    host.connect()
    for muted in (1, 0):
        reply = host.call(m.Method.SET_MUTE, m.SetMuteArgs(muted))
        assert m.SetMuteResult.unpack(reply.result) == m.SetMuteResult(percent=70, muted=muted)
        assert host.state().muted == muted


@pytest.mark.parametrize(("percent", "shown"), [(0, 0), (55, 55), (100, 100), (None, 255)])
def test_battery(make_frame: FrameFactory, percent: int | None, shown: int) -> None:
    host = RawHost(make_frame(Peripherals(battery_percent=percent)))
    ack = host.connect()
    assert bool(ack.capabilities & m.Capability.BATTERY) == (percent is not None)
    assert host.state().battery_percent == shown


def test_a_gauge_that_cannot_be_read(host: RawHost) -> None:
    host.connect()
    host.frame.peripherals.battery_percent = None  # after the frame has booted with one
    assert host.state().battery_percent == 255


def test_uptime_follows_the_sample_clock(host: RawHost) -> None:
    host.connect()
    host.advance(1234 * MS)
    state = host.state()
    assert (state.uptime_ms, state.mic_sample) == (1220, 1220 * 16)  # whole blocks of 20 ms


PARTS = {
    m.Capability.MICROPHONE: [m.Method.CAPTURE_START, m.Method.CAPTURE_STOP],
    m.Capability.SPEAKER: [m.Method.SET_VOLUME, m.Method.SET_MUTE, m.Method.FLUSH_SPEAKER],
    m.Capability.CAMERA: [m.Method.TAKE_PHOTO],
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_not_there(make_frame: FrameFactory, part: m.Capability) -> None:
    frame = make_frame(Peripherals(without=part))
    host = RawHost(frame)
    ack = host.connect()
    assert not ack.capabilities & part
    assert ack.speaker_window == (0 if part == m.Capability.SPEAKER else m.Window.SPEAKER)
    for method in PARTS[part]:
        assert host.call(method).status == STATUS.UNSUPPORTED
    host.send(m.SpeakerAudio(sample=0, stream=1, pcm=bytes(640)), flags=m.Flag.LAST)
    host.advance(300 * MS)
    touched = {change.part for change in frame.peripherals.changes}
    assert touched == ({"led"} if part == m.Capability.SPEAKER else {"led", "speaker"})


EVENTS = ["LedEvent", "CaptureEvent"]


@pytest.mark.parametrize(
    ("minor", "order"),
    [
        (0, [*EVENTS, "Reply", "Reply", *EVENTS, "Reply"]),  # as they arose
        (1, ["LedEvent", "Reply", "Reply", "Reply", "CaptureEvent", *EVENTS]),  # replies wait for no acknowledgement
    ],
)
def test_replies_and_events_keep_their_order(host: RawHost, minor: int, order: list[str]) -> None:
    host.connect(minor=minor)
    got = host.send(
        m.Call(call_id=1, method=m.Method.CAPTURE_START),
        m.Call(call_id=2, method=m.Method.SET_VOLUME, args=b"\x05"),
        m.Call(call_id=3, method=m.Method.CAPTURE_STOP),
    )
    kinds = [type(r.message).__name__ for r in got if r.chan in (m.Channel.RPC, m.Channel.EVENT)]
    assert kinds == order
