"""The bad line: what each fault does to octets, in virtual time, and what its options may say."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from lorgnette.firmware_bridge.fault_line import AT_TEXT, BOOT_TEXT, ENDLESS, FIFO_BYTES, NEVER, PANIC_TEXT, TEXTS, Line
from lorgnette.firmware_bridge.faults import FAULTS, Faults, parse_fault_text, parse_faults
from lorgnette.firmware_bridge.faulty_frame import BOOT_US, FaultyFrame, Unplugged
from lorgnette.firmware_bridge.frame import Frame, FrameReader
from lorgnette.firmware_bridge.link_events import Connected, Disconnected
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import CaptureStartArgs, Led, Method
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

FRAMES = [Frame(3, 0, n, 7, bytes(range(1, 200))).encode() for n in range(400)]


def line(seed: int = 1, *, to_host: bool = False, **faults: float) -> Line:
    return Line(Faults(**faults), random.Random(seed), to_host=to_host)  # type: ignore[arg-type]


def through(bad: Line, frames: list[bytes] = FRAMES) -> bytes:
    """Everything that comes out of `bad` when the frames go in 10 ms apart."""
    out = b""
    for n, frame in enumerate(frames):
        bad.put(10_000 * n, frame)
        out += bad.take(10_000 * n)
    return out + bad.take(10_000 * len(frames) + 10_000_000)


# ---- each fault
def test_a_good_line_changes_nothing() -> None:
    good = line()
    assert through(good) == b"".join(FRAMES)
    assert good.counts == {"frames": 400, "octets": sum(map(len, FRAMES))}


@pytest.mark.parametrize("word", ["drop", "lose", "truncate", "duplicate", "splice", "noise"])
def test_a_chance_is_that_of_one_frame(word: str) -> None:
    bad = line(**{word: 0.1})
    out = through(bad)
    assert 20 <= bad.counts[word] <= 60
    sound = sum(frame is not None for frame, _ in FrameReader().receive(out))
    if word == "duplicate":
        assert sound == 400 + bad.counts[word]
    else:
        # A run or an end that takes the closing zero along costs the next frame too.
        assert 400 - 2 * bad.counts[word] <= sound < 400


def test_bits_are_turned_over_as_often_as_said() -> None:
    bad = line(flip=1e-3)
    out = through(bad)
    bits = 8 * len(out)
    turned = sum((a ^ b).bit_count() for a, b in zip(out, b"".join(FRAMES), strict=True))
    assert turned == bad.counts["flip"]
    assert 0.8e-3 < turned / bits < 1.2e-3
    assert through(line(flip=1.0)) == bytes(octet ^ 0xFF for octet in b"".join(FRAMES))


def test_a_reordered_frame_comes_behind_others() -> None:
    got = [frame.seq for frame, _ in FrameReader().receive(through(line(reorder=0.1))) if frame is not None]
    assert sorted(got) == list(range(400))
    assert 20 < sum(a > b for a, b in itertools.pairwise(got)) < 60


def test_a_stalled_line_holds_everything_back() -> None:
    bad = line(stall=1.0, stall_ms=1000)
    bad.put(0, FRAMES[0])
    assert bad.take(0) == FRAMES[0]
    assert bad.room(0) == 0
    bad.put(1, FRAMES[1])
    assert bad.take(1) == b""
    due_us = bad.next_us()
    assert 1 < due_us <= 1_000_000
    assert bad.take(due_us - 1) == b""
    assert bad.take(due_us) == FRAMES[1]
    assert bad.most_waiting_bytes == len(FRAMES[1])


def test_a_delay_is_that_of_every_frame() -> None:
    bad = line(delay_ms=20)
    bad.put(5_000, FRAMES[0])
    assert bad.next_us() == 25_000
    assert bad.take(24_999) == b""
    assert bad.take(25_000) == FRAMES[0]
    assert bad.next_us() == NEVER


def test_a_rate_is_that_of_the_octets() -> None:
    """1000 octets at 100,000 baud take 100 ms, and a sender may be 128 octets ahead of the wire."""
    uart = line(rate_baud=100_000)
    frame = b"x" * 999 + b"\0"
    uart.put(0, frame)
    assert uart.next_us() == 100_000
    assert uart.take(99_999) == b""
    assert uart.room(0) == 0
    assert uart.room(100_000 - 100 * 12) == FIFO_BYTES - 12
    assert uart.ready_us() == 100_000 - 100 * 32
    assert uart.take(100_000) == frame
    assert uart.room(100_000) == FIFO_BYTES


def test_a_line_without_a_rate_takes_anything_at_once() -> None:
    assert line().room(0) == ENDLESS


def test_what_never_ends_in_a_zero_passes_after_a_while() -> None:
    good = line()
    good.put(0, b"login: ")
    assert good.take(19_999) == b""
    assert good.next_us() == 20_000
    assert good.take(20_000) == b"login: "
    good.put(0, b"x" * 5000)
    assert len(good.take(20_000)) == 5000


def test_the_latency_timer_holds_the_rest_of_a_packet() -> None:
    bridge = line(to_host=True, latency_ms=16)
    bridge.put(0, b"x" * 99 + b"\0")
    assert bridge.take(0) == b"x" * 62
    assert bridge.next_us() == 16_000
    assert bridge.take(15_999) == b""
    assert bridge.take(16_000) == b"x" * 37 + b"\0"
    to_frame = line(latency_ms=16)
    to_frame.put(0, b"x\0")
    assert to_frame.take(0) == b"x\0"


def test_a_reader_with_little_room_gets_it_bit_by_bit() -> None:
    good = line()
    good.put(0, FRAMES[0])
    assert good.take(0, 10) == FRAMES[0][:10]
    assert good.next_us() == 0
    assert good.take(0) == FRAMES[0][10:]


def test_a_cut_loses_what_is_on_its_way() -> None:
    bad = line(delay_ms=20, rate_baud=9600)
    bad.put(0, FRAMES[0] + b"half")
    bad.cut()
    assert bad.take(60_000_000) == b""
    assert bad.next_us() == NEVER
    assert bad.room(0) == FIFO_BYTES


def test_the_same_seed_does_the_same() -> None:
    faults = {"flip": 1e-4, "drop": 0.1, "reorder": 0.1, "splice": 0.1, "stall": 0.1}
    assert through(line(3, **faults)) == through(line(3, **faults)) != through(line(4, **faults))


# ---- what befalls a frame
def faulty(parts: Peripherals, text: str = "", seed: int = 1) -> FaultyFrame:
    return FaultyFrame(lambda: SimulatedFrame(parts), parse_fault_text(text), seed)


def test_a_reset_frame_boots_again_with_its_log() -> None:
    parts = Peripherals()
    with LockstepDevice(faulty(parts, "reset=1"), parts) as device:
        device.request(Method.CAPTURE_START, CaptureStartArgs(0))
        first = device.info
        seen: list[object] = []
        device.subscribe(lambda event: seen.append(event) if isinstance(event, Connected | Disconnected) else None)
        device.advance(1.0 + BOOT_US / 1e6)
        assert parts.boots == 2
        assert not parts.microphone.on
        assert parts.led[-1][1] == Led.OFF
        device.advance(6.0)
        assert [type(event) for event in seen] == [Disconnected, Connected]
        assert device.info.boot_id != first.boot_id
        assert device.info.device_id == first.device_id
        assert device.info.reset_reason == "software"


def test_an_unplugged_cable_is_noticed_at_once_and_comes_back() -> None:
    parts = Peripherals()
    with LockstepDevice(faulty(parts, "unplug=1:0.5,4:0.2"), parts) as device:
        device.request(Method.CAPTURE_START, CaptureStartArgs(0))
        device.advance(1.001)
        assert not device.connected
        device.advance(2.6)
        assert device.connected
        device.advance(4.001)
        assert not device.connected
        device.advance(5.0)
        assert device.connected
        assert device.stats().sessions == 3
        assert parts.boots == 1, "it lived on"


def test_an_unplugged_frame_stops_its_microphone() -> None:
    parts = Peripherals()
    with LockstepDevice(faulty(parts, "unplug=1:60"), parts) as device:
        device.request(Method.CAPTURE_START, CaptureStartArgs(0))
        device.advance(4.1)
        assert not parts.microphone.on
        assert parts.led[-1][1] == Led.OFF


def test_a_step_into_the_void_says_when_to_come_again() -> None:
    frame = faulty(Peripherals(), "unplug=0:2")
    with pytest.raises(Unplugged) as gone:
        frame.step(0, b"")
    assert gone.value.next_us == 2_000_000
    frame.step(2_000_000, b"")
    frame.close()


def test_a_line_that_begins_with_text_is_none_the_worse() -> None:
    parts = Peripherals()
    with LockstepDevice(faulty(parts, "bootlog=1"), parts) as device:
        assert device.request(Method.GET_STATE) is not None
        assert device.stats().rx_bad_frames == 1
    assert all(b"\0" not in text for text in TEXTS)
    assert {BOOT_TEXT, PANIC_TEXT, AT_TEXT} == set(TEXTS)


def test_repair_ends_every_fault() -> None:
    parts = Peripherals()
    frame = faulty(parts, "lose=0.3&reset=5&unplug=6:60")
    with LockstepDevice(frame, parts) as device:
        device.advance(3.0)
        frame.repair()
        device.advance(20.0)
        sessions = device.stats().sessions
        device.advance(40.0)
        assert device.connected
        assert device.stats().sessions == sessions
        assert frame.counts == {}


# ---- words
def test_every_option_is_read() -> None:
    text = (
        "flip=1e-6&drop=0.01&lose=0.02&truncate=0.03&duplicate=0.04&reorder=0.05&splice=0.06&noise=0.08&stall=0.07&stall_ms=400"
        "&delay=20&rate=921600&latency=16&unplug=5:2,20:1&reset=10,30&panic=40&brownout=50,60&mute=70&bootlog=1"
    )
    assert parse_fault_text(text) == Faults(
        flip=1e-6,
        drop=0.01,
        lose=0.02,
        truncate=0.03,
        duplicate=0.04,
        reorder=0.05,
        splice=0.06,
        noise=0.08,
        stall=0.07,
        stall_ms=400.0,
        delay_ms=20.0,
        rate_baud=921_600,
        latency_ms=16.0,
        unplug_s=((5.0, 2.0), (20.0, 1.0)),
        reset_s=(10.0, 30.0),
        panic_s=(40.0,),
        brownout_s=(50.0, 60.0),
        mute_s=70.0,
        bootlog=True,
    )
    assert {word + "=" for word in FAULTS} == {pair.split("=")[0] + "=" for pair in text.split("&")}
    assert parse_faults({}) == Faults() == parse_fault_text("")


@pytest.mark.parametrize("option", FAULTS.items(), ids=lambda option: option[0])
def test_every_example_can_be_typed(option: tuple[str, object]) -> None:
    word, _ = option
    example = FAULTS[word].kind.example
    assert parse_faults({word: example}) != Faults()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("drpo=0.1", "there is no fault 'drpo'; did you mean 'drop'?"),
        ("zzzzz=1", "there are flip, drop,"),
        ("drop=2", "drop=2: not a chance from 0 to 1; write it like drop=0.01"),
        ("drop=", "not a chance"),
        ("drop=nan", "not a chance"),
        ("flip=-1", "not a chance"),
        ("delay=1e9", "delay=1e9: not a number of milliseconds from 0 to 60000"),
        ("rate=9", "not a rate from 1200 to 20000000 baud"),
        ("unplug=5", "unplug=5: not a list of AT:FOR in seconds"),
        ("unplug=5:x", "not a list of AT:FOR"),
        ("reset=", "not a list of seconds"),
        ("mute=1,2", "mute=1,2: not a number of seconds from 0 to 86400; write it like mute=10"),
        ("reset=" + ",".join("1" * 200), "not a list of seconds"),
        ("bootlog=yes", "bootlog=yes: not 0 or 1"),
        ("drop=0.1&drop=0.2", "'drop' is given twice"),
        ("drop", "not a chance"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_fault_text(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("read", [option.kind.read for option in FAULTS.values()])
def test_no_value_is_taken_that_is_none(read: Callable[[str], object]) -> None:
    for text in ("", "x", "--1", "1e999", "\0"):
        with pytest.raises(ValueError):
            read(text)
