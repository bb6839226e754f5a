"""The microphone: LED first, every sample once and in order, losses counted, and never on behind the wearer's back."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from tests.support.raw_host import MS, RawHost, all_of, one

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import PartChange

SPEECH = random.Random(1).randbytes(2 * 16_000)  # one second that cannot be mistaken for silence


def test_the_led_is_first(host: RawHost) -> None:
    host.connect()
    host.start_capture()
    got = host.log + host.advance(40 * MS)
    assert host.frame.peripherals.changes == [
        PartChange(0, "led", m.Led.OFF),
        PartChange(0, "led", m.Led.DIM),
        PartChange(0, "microphone", 1),
    ]
    order = [r.message for r in got if r.chan in (m.Channel.EVENT, m.Channel.MIC)]
    assert order[:2] == [m.LedEvent(level=m.Led.DIM, mic_sample=0), m.CaptureEvent(on=1, reason=0, mic_sample=0)]
    assert isinstance(order[2], m.MicAudio)


def test_every_sample_once_and_in_order(host: RawHost) -> None:
    host.frame.peripherals.microphone.say(SPEECH)
    host.connect()
    host.start_capture()
    frames = all_of(host.advance(1200 * MS), m.MicAudio)
    assert [frame.sample for frame in frames] == list(range(0, 60 * 320, 320))
    assert {(len(frame.pcm), frame.dropped_frames) for frame in frames} == {(640, 0)}
    heard = b"".join(frame.pcm for frame in frames)
    assert heard == host.frame.peripherals.microphone.recorded
    assert heard == SPEECH.ljust(len(heard), b"\0")


def test_an_audio_frame_is_660_octets_on_the_wire(host: RawHost) -> None:
    host.frame.peripherals.microphone.say(b"\1" * 640)
    host.connect()
    host.start_capture()
    host.now_us = 20 * MS
    tx, _ = host.frame.step(host.now_us)
    assert len(tx) == 1 + 660  # and the zero that leads after a pause


def test_the_sample_clock_runs_while_capture_is_off(host: RawHost) -> None:
    host.connect()
    host.advance(500 * MS)
    host.start_capture()
    first = all_of(host.advance(40 * MS), m.MicAudio)[0]
    assert first.sample == 8000
    host.call(m.Method.CAPTURE_STOP)
    host.advance(1000 * MS)
    host.start_capture()
    again = all_of(host.advance(40 * MS), m.MicAudio)[0]
    assert again.sample == (500 + 40 + 1000) * 16
    assert host.frame.peripherals.microphone.recorded_at == [(8000, 0), (24640, 640)]


def test_nothing_is_heard_while_capture_is_off(host: RawHost) -> None:
    host.frame.peripherals.microphone.say(SPEECH)
    host.connect()
    assert all_of(host.advance(500 * MS), m.MicAudio) == []
    assert host.frame.peripherals.microphone.recorded == b""


def test_stop(host: RawHost) -> None:
    host.connect()
    host.start_capture()
    host.advance(100 * MS)
    stopped = m.CaptureStopResult.unpack(host.call(m.Method.CAPTURE_STOP).result)
    assert stopped.mic_sample == 1600
    assert host.frame.peripherals.changes[-2:] == [PartChange(1600, "microphone", 0), PartChange(1600, "led", 0)]
    assert [r.message for r in host.log[-3:] if r.chan == m.Channel.EVENT] == [
        m.LedEvent(level=m.Led.OFF, mic_sample=1600),
        m.CaptureEvent(on=0, reason=m.CaptureStop.ASKED, mic_sample=1600),
    ]
    assert all_of(host.advance(200 * MS), m.MicAudio) == []


def test_starting_twice_and_stopping_twice_changes_nothing(host: RawHost) -> None:
    host.connect()
    host.start_capture()
    host.start_capture()
    assert len(all_of(host.log, m.CaptureEvent)) == 1
    for _ in range(2):
        assert host.call(m.Method.CAPTURE_STOP).status == m.RpcStatus.OK
    assert len(all_of(host.log, m.CaptureEvent)) == 2


def test_an_unknown_codec_leaves_everything_off(host: RawHost) -> None:
    host.connect()
    assert host.call(m.Method.CAPTURE_START, m.CaptureStartArgs(2)).status == m.RpcStatus.BAD_ARGUMENT
    assert host.frame.peripherals.changes == [PartChange(0, "led", m.Led.OFF)]


def test_a_host_that_does_not_read_loses_the_oldest_and_hears_how_many(host: RawHost) -> None:
    host.connect()
    host.start_capture()
    before = all_of(host.advance(100 * MS), m.MicAudio)
    host.now_us += 2_700 * MS  # one long step: what does not fit its 64 KB has nowhere to go
    stalled = all_of(host.step(), m.MicAudio)
    after = all_of(host.advance(100 * MS), m.MicAudio)
    frames = before + stalled + after

    produced = frames[-1].sample // 320 + 1
    assert produced == host.now_us // (20 * MS)
    lost = produced - len(frames)
    assert lost > 20
    assert host.state().mic_dropped_frames == lost
    for last, frame in pairwise(frames):
        dropped = frame.dropped_frames - last.dropped_frames
        assert frame.sample - last.sample == 320 * (1 + dropped)  # exactly those that are counted are missing
    assert frames[-1].dropped_frames == lost

    host.connect(2)  # a new session counts from zero
    host.start_capture()
    assert all_of(host.advance(40 * MS), m.MicAudio)[0].dropped_frames == 0


@pytest.mark.parametrize("seed", range(12))
def test_no_sensor_runs_with_the_led_off(host: RawHost, seed: int) -> None:
    """Random walks through everything a host can do, and its absence."""
    rng = random.Random(seed)
    host.connect(1)

    def close() -> None:
        host.send(m.Close(reason=m.CloseReason.DONE))

    def vanish() -> None:
        host.advance(3_100 * MS, keep_alive=False)

    def ask(method: m.Method) -> None:
        host.send(m.Call(call_id=rng.randrange(0x10000), method=method))

    acts = [
        lambda: ask(m.Method.CAPTURE_START),
        lambda: ask(m.Method.CAPTURE_STOP),
        lambda: ask(m.Method.TAKE_PHOTO),
        lambda: host.connect(rng.randrange(4)),
        lambda: host.hello(rng.randrange(4)),
        lambda: host.advance(rng.randrange(150) * MS),
        close,
        vanish,
    ]
    for _ in range(60):
        rng.choices(acts, weights=[6, 3, 6, 3, 1, 9, 1, 1])[0]()
    vanish()

    level = microphone = camera = photos = 0
    for change in host.frame.peripherals.changes:
        if change.part == "led":
            level = change.value
            assert level >= microphone
            assert level == m.Led.SOLID or not camera
        elif change.part == "microphone":
            microphone = change.value
            assert level >= microphone
        elif change.part == "camera":
            camera = change.value
            photos += camera
            assert level == m.Led.SOLID, "before the sensor is on, and until it is off"
    assert (level, microphone, camera) == (0, 0, 0)
    assert photos > 0
    assert not host.frame.peripherals.camera_on


def test_the_host_hears_of_the_led_before_the_first_sample(host: RawHost) -> None:
    """Audio is more urgent than events, but not this one."""
    host.connect()
    wire = host.pack(m.Call(call_id=1, method=m.Method.CAPTURE_START))
    host.now_us = 19 * MS
    host.frame.step(host.now_us, b"")
    host.step(wire)
    host.now_us = 400 * MS
    host.step()
    kinds = [r.chan for r in host.log if r.chan in (m.Channel.EVENT, m.Channel.MIC)]
    assert kinds[:2] == [m.Channel.EVENT, m.Channel.EVENT]
    assert kinds.count(m.Channel.MIC) == 20
    assert one(host.log, m.LedEvent).level == m.Led.DIM
