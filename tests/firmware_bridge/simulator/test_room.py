"""A line that takes less than the frame has to say: nothing is lost, and the most urgent still goes first."""

from __future__ import annotations

import pytest
from tests.support.frame_builds import FrameFactory
from tests.support.pictures import GivenCamera, plain_jpeg
from tests.support.raw_host import MS, RawHost, all_of, one

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import NEVER, ImageCamera, Peripherals, SteppedFrame

PICTURE = plain_jpeg(20_000)


class SlowLine:
    """A frame whose line takes `room` octets at a step."""

    def __init__(self, frame: SteppedFrame, room: int) -> None:
        self.peripherals = frame.peripherals
        self.room = room
        self._frame = frame

    def step(self, now_us: int, rx: bytes = b"") -> tuple[bytes, int]:
        tx, next_us = self._frame.step(now_us, rx, self.room)
        assert len(tx) <= self.room
        if len(tx) == self.room:
            assert next_us <= now_us, "it does not say that more may wait"
        return tx, next_us


def parts() -> Peripherals:
    camera: ImageCamera = GivenCamera(PICTURE)
    return Peripherals(camera=camera)


def everything_at_once(host: RawHost) -> None:
    """Eight replies, and a picture of which the host takes the whole."""
    host.connect(minor=0, bulk_window=30)
    host.call(m.Method.TAKE_PHOTO)
    photo = one(host.advance(200 * MS), m.PhotoEvent)
    frame = host.frame
    assert isinstance(frame, SlowLine)
    frame.room = 0
    host.send(*(m.Call(call_id=100 + i, method=m.Method.GET_STATE) for i in range(6)))
    host.send(m.Call(call_id=200, method=m.Method.READ_OBJECT, args=m.ReadObjectArgs(photo.object, 0).pack()))


@pytest.mark.parametrize("room", [1, 7, 64, 1041, 65536])
def test_any_room_gives_the_same_octets(make_frame: FrameFactory, room: int) -> None:
    line = SlowLine(make_frame(parts()), 65536)
    host = RawHost(line)  # type: ignore[arg-type]  # it is all of a frame that is needed
    everything_at_once(host)
    said = len(host.log)
    assert host.next_us <= host.now_us
    line.room = room
    steps = 0
    while host.next_us <= host.now_us:
        host.step()
        steps += 1
    got = host.log[said:]
    asked_for = [r.chan for r in got if r.chan != m.Channel.LINK]  # grants go as slots become free
    assert asked_for == [m.Channel.RPC] * 7 + [m.Channel.BULK_UP] * 20
    assert b"".join(data.data for data in all_of(got, m.BulkData)) == PICTURE
    assert host.junk == []
    assert steps >= len(PICTURE) // room


def test_audio_passes_what_is_waiting(make_frame: FrameFactory) -> None:
    """A line of 100 octets a millisecond, and a picture on it: audio comes behind the frame that is under way."""
    line = SlowLine(make_frame(parts()), 65536)
    host = RawHost(line)  # type: ignore[arg-type]
    host.connect(minor=0, bulk_window=30)
    host.start_capture()
    host.call(m.Method.TAKE_PHOTO)
    photo = one(host.advance(200 * MS), m.PhotoEvent)
    host.call(m.Method.CAPTURE_STOP)
    line.room = 0
    host.send(
        m.Call(call_id=200, method=m.Method.READ_OBJECT, args=m.ReadObjectArgs(photo.object, 0).pack()),
        m.Call(call_id=201, method=m.Method.CAPTURE_START),
    )
    line.room = 100
    late = []
    for _ in range(319):
        host.now_us += MS
        late += [
            (host.now_us - (audio.sample + m.FRAME_SAMPLES) * 1000 // 16) / MS
            for audio in all_of(host.step(), m.MicAudio)
        ]
    assert len(late) == 15
    assert max(late) <= (m.MAX_WIRE_BYTES + 2 * 660 + 100) / 100
    assert b"".join(data.data for data in all_of(host.log, m.BulkData)) == PICTURE
    assert host.state().mic_dropped_frames == 0


def test_without_room_the_microphone_drops_the_oldest(make_frame: FrameFactory) -> None:
    line = SlowLine(make_frame(parts()), 65536)
    host = RawHost(line)  # type: ignore[arg-type]
    host.connect()
    host.start_capture()
    host.advance(100 * MS)
    line.room = 0
    for _ in range(50):
        host.now_us += 20 * MS
        assert host.step() == []
    line.room = 65536
    kept = all_of(host.step(), m.MicAudio)
    lost = host.state().mic_dropped_frames
    assert [audio.dropped_frames for audio in kept[-1:]] == [lost]
    assert lost + len(kept) == 50
    assert kept[-1].sample == 54 * 320


def test_the_room_is_that_of_the_whole_step(make_frame: FrameFactory) -> None:
    """A step that lives through presses of the button is several runs of the frame, and still has one room."""
    frame = make_frame(Peripherals())
    host = RawHost(frame)
    host.connect(minor=0)
    frame.peripherals.button.press(80)
    assert frame.step(0, b"", 0) == (b"", 0)
    tx, next_us = frame.step(1_000_000, host.pack(m.Ping(token=1)), 20)
    assert (len(tx), next_us) == (20, 1_000_000)
    rest, next_us = frame.step(1_000_000)
    assert next_us > 1_000_000
    assert next_us != NEVER
    assert rest
