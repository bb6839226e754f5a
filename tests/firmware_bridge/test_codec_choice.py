"""Which codec goes over the line, in both directions, and what follows when the line changes its rate."""

from __future__ import annotations

import pytest
from tests.firmware_bridge.test_rates import Uart
from tests.support.sound import ramp
from tests.support.wire import events, of

from lorgnette.firmware_bridge import adpcm
from lorgnette.firmware_bridge.errors import OutcomeUnknown
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import AudioReceived, CallFinished
from lorgnette.firmware_bridge.messages import (
    START_BAUD,
    Call,
    CaptureStartArgs,
    Codec,
    Credit,
    Flag,
    Method,
    MicAudio,
    Pong,
    Reply,
    RpcStatus,
    SpeakerAudio,
)

PCM = ramp(320)
BLOCK = adpcm.encode(PCM, adpcm.AdpcmState())[0]


def at_rate(wish: int, max_baud: int = 2_000_000) -> Uart:
    uart = Uart(Link("/dev/ttyUSB0", wish), max_baud)
    uart.meet()
    uart.pass_time(0.1)
    events(uart.link)
    uart.frames.clear()
    return uart


@pytest.fixture
def fast() -> Uart:
    return at_rate(921_600)


def fall_back(uart: Uart) -> None:
    uart.baud = START_BAUD
    uart.pass_time(uart.now_s + 1.3)
    assert uart.link.baud == START_BAUD
    events(uart.link)


@pytest.mark.parametrize(
    ("wish", "max_baud", "codec"),
    [
        (START_BAUD, 2_000_000, Codec.IMA_ADPCM),
        (460_800, 2_000_000, Codec.IMA_ADPCM),
        (921_600, 2_000_000, Codec.PCM16),
        (2_000_000, 2_000_000, Codec.PCM16),
        (921_600, 0, Codec.PCM16),
    ],
)
def test_the_codec_fits_the_rate(wish: int, max_baud: int, codec: Codec) -> None:
    assert at_rate(wish, max_baud).link.codec is codec


def test_a_frame_without_adpcm_gets_pcm_at_any_rate() -> None:
    uart = Uart(Link("/dev/ttyUSB0", START_BAUD))
    uart.connect(max_baud=2_000_000)
    uart.pass_time(0.1)
    assert uart.link.codec is Codec.PCM16
    uart.link.send_audio(1, PCM, last=True)
    assert of(SpeakerAudio, uart.pull()) == [SpeakerAudio(0, 1, PCM)]


def test_what_the_microphone_sends_is_always_told_as_pcm(fast: Uart) -> None:
    fast.send(MicAudio(0, 0, PCM))
    fast.send(MicAudio(320, 0, BLOCK), flags=Flag.ADPCM)
    assert events(fast.link) == [AudioReceived(0, PCM, 0), AudioReceived(320, adpcm.decode(BLOCK), 0)]


@pytest.mark.parametrize("block", [b"\1", b"\0\0\x59\0", bytes(165)])
def test_a_block_that_is_none_is_counted_and_dropped(fast: Uart, block: bytes) -> None:
    fast.send(MicAudio(0, 0, block), flags=Flag.ADPCM)
    assert events(fast.link) == []
    assert fast.link.stats.rx_unknown_frames == 1


def test_the_speaker_gets_blocks_whose_state_goes_on_within_a_stream() -> None:
    uart = at_rate(START_BAUD)
    for stream in (1, 2):
        uart.link.send_audio(stream, PCM * 2 + PCM[:10], last=True)
        audio = of(SpeakerAudio, uart.pull())
        assert all(frame.flags & Flag.ADPCM for frame in uart.frames[-3:])
        state = adpcm.AdpcmState()
        for sample, message in enumerate(audio):
            block, state = adpcm.encode(PCM[:10] if sample == 2 else PCM, state)
            assert message == SpeakerAudio(320 * sample, stream, block)


def test_an_end_without_samples_is_no_block() -> None:
    uart = at_rate(START_BAUD)
    uart.link.send_audio(1, PCM, last=False)
    uart.link.send_audio(1, b"", last=True)
    assert [(len(m.pcm)) for m in of(SpeakerAudio, uart.pull())] == [164, 0]
    assert [f.flags for f in uart.frames[-2:]] == [Flag.ADPCM | Flag.FIRST, Flag.LAST]


def test_a_stream_changes_its_codec_with_the_rate(fast: Uart) -> None:
    fast.link.send_audio(1, PCM * 8, last=False)
    assert {len(m.pcm) for m in of(SpeakerAudio, fast.pull())} == {640}
    fall_back(fast)
    fast.send(Credit(4, 12))
    assert {len(m.pcm) for m in of(SpeakerAudio, fast.pull())} == {164}


# ---- the microphone after a fallback
def capture(uart: Uart) -> int:
    call_id = uart.link.call(Method.CAPTURE_START, CaptureStartArgs(uart.link.codec))
    assert of(Call, uart.pull()) == [Call(call_id, Method.CAPTURE_START, b"\0")]
    return call_id


def test_after_a_fallback_the_host_asks_for_the_codec_that_fits_by_itself(fast: Uart) -> None:
    capture(fast)
    fast.send(Reply(1, Method.CAPTURE_START, RpcStatus.OK, bytes(4)))
    fall_back(fast)
    fast.send(MicAudio(0, 0, PCM))
    (call,) = of(Call, fast.pull())
    assert (call.method, call.args) == (Method.CAPTURE_START, bytes([Codec.IMA_ADPCM]))
    fast.send(MicAudio(320, 0, PCM))
    assert not of(Call, fast.pull()), "once is enough while it waits"
    fast.send(Reply(call.call_id, call.method, RpcStatus.OK, bytes(4)))
    fast.send(MicAudio(640, 0, BLOCK), flags=Flag.ADPCM)
    assert not of(Call, fast.pull())
    assert [type(e) for e in events(fast.link)] == [AudioReceived] * 3, "and nobody hears of the call"


def test_a_frame_that_refuses_the_other_codec_is_asked_once(fast: Uart) -> None:
    capture(fast)
    fall_back(fast)
    fast.send(MicAudio(0, 0, PCM))
    (call,) = of(Call, fast.pull())
    fast.send(Reply(call.call_id, call.method, RpcStatus.BAD_ARGUMENT, b""))
    fast.send(MicAudio(320, 0, PCM))
    assert not of(Call, fast.pull())


def test_without_a_fallback_the_caller_may_choose(fast: Uart) -> None:
    capture(fast)
    fast.send(MicAudio(0, 0, BLOCK), flags=Flag.ADPCM)
    assert not of(Call, fast.pull())


def test_a_microphone_that_was_stopped_is_not_switched_on_again(fast: Uart) -> None:
    capture(fast)
    fall_back(fast)
    fast.link.call(Method.CAPTURE_STOP)
    fast.pull()
    fast.send(MicAudio(0, 0, PCM))
    assert not of(Call, fast.pull())


def test_no_start_is_repeated_behind_a_stop(fast: Uart) -> None:
    """The frame would take the late repetition for a new wish: it runs each call once, in the order of arrival."""
    first = fast.link.call(Method.CAPTURE_START, CaptureStartArgs(0))
    fast.pull()
    fast.link.call(Method.CAPTURE_START, CaptureStartArgs(0))
    fast.link.call(Method.CAPTURE_STOP)
    methods = [m.method for m in of(Call, fast.pass_time(fast.now_s + 3.0))]
    assert methods == [Method.CAPTURE_STOP] * 4
    ended = [e for e in events(fast.link) if isinstance(e, CallFinished)]
    assert len(ended) == 3
    assert first in {e.call_id for e in ended}


def test_our_own_call_ends_with_the_session_in_silence(fast: Uart) -> None:
    call_id = capture(fast)
    fast.send(Pong(0, 0))
    fall_back(fast)
    fast.send(MicAudio(0, 0, PCM))
    fast.pull()
    fast.link.close()
    ended = [e for e in events(fast.link) if isinstance(e, CallFinished)]
    assert [e.call_id for e in ended] in ([call_id], [])
    assert all(isinstance(e.error, OutcomeUnknown) for e in ended)
