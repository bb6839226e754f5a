"""Media cases: the microphone. LED first, every sample once and in order, losses counted, off when asked."""

from __future__ import annotations

from itertools import pairwise

from ..messages import (
    ADPCM_BLOCK_BYTES,
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    Capability,
    CaptureEvent,
    CaptureStartArgs,
    CaptureStartResult,
    CaptureStop,
    Codec,
    Flag,
    GetStatsResult,
    Led,
    LedEvent,
    LedKind,
    Method,
    MicAudio,
    RpcStatus,
)
from .cases import case
from .host import Received
from .rates import faster
from .trial import QUIET_MS, Absent, Trial

PCM_BYTES = 2 * FRAME_SAMPLES
PCM_BAUD = 460_800
"""The slowest usual rate at which PCM fits one direction of a line."""
LATE_MS = 60
"""What a host conceals; an AudioFrame that comes later is silence to it."""
Audio = tuple[Received, MicAudio]


def listen(t: Trial, duration_ms: float, codec: int | None = None) -> list[Audio]:
    """Switch capture on, in the codec that fits the line, and hear for so long. Raises Violated where nothing comes."""
    mark = len(t.host.log)
    t.ok(Method.CAPTURE_START, CaptureStartArgs(fitting_codec(t) if codec is None else codec))
    t.host.idle(duration_ms)
    audio = t.host.since(mark, MicAudio)
    t.check(bool(audio), f"no AudioFrame came in {duration_ms:g} ms after CaptureStart")
    return audio


def fitting_codec(t: Trial) -> int:
    """ADPCM on a line with a rate that PCM does not fit, where the frame has it."""
    narrow = t.declared.max_baud > 0 and t.host.baud < 921_600
    return Codec.IMA_ADPCM if narrow and t.has(Capability.ADPCM) else Codec.PCM16


def continuous(t: Trial, audio: list[Audio]) -> int:
    """Check that every sample is there, or counted as dropped or seen to be lost; returns how many AudioFrames lack."""
    missing = 0
    for (before, a), (after, b) in pairwise(audio):
        gap = (b.sample - a.sample) & 0xFFFFFFFF
        lost = ((after.frame.seq - before.frame.seq) & 0xFFFF) - 1
        dropped = (b.dropped_frames - a.dropped_frames) & 0xFFFF
        expected = FRAME_SAMPLES * (1 + lost + dropped)
        seen = f"sample {b.sample} came {gap} after the last AudioFrame's, with {lost} lost and {dropped} dropped"
        t.check(gap == expected, seen)
        missing += lost + dropped
    return missing


@case("M-01", "the host hears of capture before the first sample", 9)
def capture_on(t: Trial) -> None:
    """CaptureStart is answered, reported by CaptureEvent(on) before the first AudioFrame, and read back by GetState."""
    t.need(Capability.MICROPHONE)
    t.connect()
    t.check(not t.state().capturing, "the microphone is on before anybody asked")
    mark = len(t.host.log)
    started = CaptureStartResult.unpack(t.ok(Method.CAPTURE_START, CaptureStartArgs(fitting_codec(t))))
    audio = t.expect(MicAudio, mark, "no AudioFrame came after CaptureStart")
    order = [type(r.message) for r in t.host.log[mark:] if isinstance(r.message, CaptureEvent | MicAudio)]
    t.check(order[0] is CaptureEvent, "the first AudioFrame came before CaptureEvent(on)")
    event = t.host.since(mark, CaptureEvent)[0][1]
    t.check(event.on == 1, "CaptureEvent says that capture is off")
    t.check(t.state().capturing == 1, "GetState says that capture is off")
    ahead = (audio.sample - started.mic_sample) & 0xFFFFFFFF
    t.check(ahead < SAMPLE_RATE_HZ, f"the first AudioFrame begins {ahead} samples behind the answer's clock")


@case("M-02", "the LED is lit before the microphone is on", 12)
def led_first(t: Trial) -> None:
    """LedEvent(lit) comes before CaptureEvent(on) and before the first AudioFrame; GetState says so too."""
    t.need(Capability.MICROPHONE)
    t.connect()
    mark = len(t.host.log)
    t.ok(Method.CAPTURE_START, CaptureStartArgs(fitting_codec(t)))
    t.expect(MicAudio, mark, "no AudioFrame came after CaptureStart")
    if t.declared.led_kind == LedKind.NONE:
        t.should(False, "it has no privacy LED")
        return
    kinds = [r.message for r in t.host.log[mark:] if isinstance(r.message, LedEvent | CaptureEvent | MicAudio)]
    first = kinds[0]
    lit = isinstance(first, LedEvent) and first.level != Led.OFF
    t.check(lit, f"{type(first).__name__} came before LedEvent(lit)")
    t.check(t.state().led != Led.OFF, "GetState says that the LED is dark while the microphone runs")


@case("M-03", "capture stops when asked", 9)
def capture_off(t: Trial) -> None:
    """CaptureStop ends the audio, reports CaptureEvent(off, asked), then LedEvent(off); no AudioFrame comes after."""
    t.need(Capability.MICROPHONE)
    t.connect()
    listen(t, 200)
    mark = len(t.host.log)
    t.ok(Method.CAPTURE_STOP)
    event = t.expect(CaptureEvent, mark, "CaptureStop was not reported")
    t.check((event.on, event.reason) == (0, CaptureStop.ASKED), f"CaptureEvent says {event.on}, reason {event.reason}")
    if t.declared.led_kind != LedKind.NONE:
        led = t.expect(LedEvent, mark, "the LED's going dark was not reported")
        t.check(led.level == Led.OFF, "the LED stays lit")
    mark = len(t.host.log)
    t.silent(mark, [MicAudio], "CaptureStop and its report")
    state = t.state()
    t.check((state.capturing, state.led) == (0, Led.OFF), f"GetState says capturing {state.capturing}, LED {state.led}")


@case("M-04", "every sample once and in order", 9)
def sample_clock(t: Trial) -> None:
    """AudioFrames hold 320 samples each and follow each other on the sample clock; every hole is counted."""
    t.need(Capability.MICROPHONE)
    t.connect()
    audio = listen(t, 1500)
    t.check(len(audio) >= 40, f"{len(audio)} AudioFrames came in 1.5 s")
    for received, frame in audio:
        whole = ADPCM_BLOCK_BYTES if received.frame.flags & Flag.ADPCM else PCM_BYTES
        t.check(len(frame.pcm) == whole, f"an AudioFrame has {len(frame.pcm)} octets instead of {whole}")
    missing = continuous(t, audio)
    t.check(audio[0][1].dropped_frames == 0, "a new session counts its drops from another number than 0")
    t.figures["audio_frames"] = len(audio)
    t.figures["audio_frames_missing"] = missing
    t.should(missing == 0, f"{missing} AudioFrames are missing of {missing + len(audio)}")


@case("M-05", "audio comes at the pace of the clock", 9)
def pace(t: Trial) -> None:
    """An AudioFrame comes every 20 ms; none is later than the silence that a host can conceal."""
    t.need(Capability.MICROPHONE)
    t.connect()
    audio = listen(t, 2000)[5:]
    t.check(len(audio) >= 50, f"{len(audio)} AudioFrames came in 1.9 s")
    late_ms = lateness_ms(audio)
    passed_us = audio[-1][0].at_us - audio[0][0].at_us
    samples = (audio[-1][1].sample - audio[0][1].sample) & 0xFFFFFFFF
    t.figures["clock_hz"] = samples * 1e6 / passed_us
    t.figures["audio_late_worst_ms"] = max(late_ms)
    off = abs(samples * 1e6 / passed_us - SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    t.check(off <= 0.1, f"the sample clock runs at {samples * 1e6 / passed_us:.0f} Hz")
    t.should(off <= 0.01, f"the sample clock runs at {samples * 1e6 / passed_us:.0f} Hz")
    t.should(max(late_ms) <= LATE_MS, f"an AudioFrame came {max(late_ms):.0f} ms late")


def lateness_ms(audio: list[Audio]) -> list[float]:
    """How much later than the earliest one each came, by the sample clock."""
    start = audio[0][1].sample
    samples = [((frame.sample - start) & 0xFFFFFFFF) * 1e6 / SAMPLE_RATE_HZ for _, frame in audio]
    behind_us = [received.at_us - at_us for (received, _), at_us in zip(audio, samples, strict=True)]
    return [(us - min(behind_us)) / 1000 for us in behind_us]


@case("M-06", "the sample clock runs while capture is off", 9)
def clock_while_off(t: Trial) -> None:
    """The clock of the AudioFrames is that of every report: it goes on while the microphone is off."""
    t.need(Capability.MICROPHONE)
    t.connect()
    before = listen(t, 300)[-1][1].sample
    t.ok(Method.CAPTURE_STOP)
    t.host.idle(500)
    paused = (t.state().mic_sample - before) & 0xFFFFFFFF
    t.check(0.4 * SAMPLE_RATE_HZ <= paused <= 5 * SAMPLE_RATE_HZ, f"the clock moved {paused} samples while it was off")
    after = listen(t, 300)[0][1].sample
    between = (after - before) & 0xFFFFFFFF
    t.check(between >= paused, "the first AudioFrame lies before the state that was read while it was off")
    t.check(between <= paused + 2 * SAMPLE_RATE_HZ, f"the first AudioFrame lies {between - paused} samples too far on")


@case("M-07", "starting and stopping twice changes nothing", 9)
def twice(t: Trial) -> None:
    """CaptureStart while on and CaptureStop while off are answered OK and reported no second time."""
    t.need(Capability.MICROPHONE)
    t.connect()
    mark = len(t.host.log)
    args = CaptureStartArgs(fitting_codec(t))
    for method, given in ((Method.CAPTURE_START, args), (Method.CAPTURE_STOP, b"")):
        for _ in range(2):
            t.ok(method, given)
        t.host.idle(QUIET_MS)
    events = [event.on for _, event in t.host.since(mark, CaptureEvent)]
    t.check(events == [1, 0], f"CaptureEvent came as {events}")


@case("M-08", "an unknown codec leaves the microphone off", 9)
def codec_refused(t: Trial) -> None:
    """CaptureStart with a codec that is not declared answers BAD_ARGUMENT, and nothing is switched on."""
    t.need(Capability.MICROPHONE)
    t.connect()
    for codec in (2, 255) if t.has(Capability.ADPCM) else (Codec.IMA_ADPCM, 2, 255):
        t.refused(RpcStatus.BAD_ARGUMENT, Method.CAPTURE_START, CaptureStartArgs(codec))
    mark = len(t.host.log)
    t.silent(mark, [MicAudio, CaptureEvent], "a codec was refused")
    t.check(t.state().capturing == 0, "the microphone is on after a codec was refused")


@case("M-09", "the session's end is the microphone's", 4)
def session_end(t: Trial) -> None:
    """Close and a new Hello switch the microphone off; it stays off until a host asks."""
    t.need(Capability.MICROPHONE)
    t.connect()
    listen(t, 100)
    t.connect()  # a new nonce, over the open session
    t.check(t.state().capturing == 0, "the microphone is still on in the next session")
    mark = len(t.host.log)
    t.silent(mark, [MicAudio], "a new session, in which nobody asked for the microphone")


@case("M-10", "ADPCM blocks stand by themselves", 9)
def adpcm(t: Trial) -> None:
    """Each block is 164 octets under the flag ADPCM, and its head is the state in which the block before it ends, so
    that it decodes with and without it."""
    t.need(Capability.MICROPHONE)
    t.need(Capability.ADPCM)
    from ..adpcm import decode

    t.connect()
    audio = listen(t, 600, Codec.IMA_ADPCM)
    t.check(len(audio) >= 15, f"{len(audio)} AudioFrames came in 0.6 s")
    for received, frame in audio:
        t.check(bool(received.frame.flags & Flag.ADPCM), "an AudioFrame lacks the flag ADPCM")
        t.check(len(frame.pcm) == ADPCM_BLOCK_BYTES, f"a block has {len(frame.pcm)} octets")
        t.check(frame.pcm[2] <= 88 and frame.pcm[3] == 0, f"a block's head is {frame.pcm[:4].hex()}")
        t.check(len(decode(frame.pcm)) == PCM_BYTES, "a block does not decode to 320 samples")
    for (_, a), (_, b) in pairwise(audio):
        if b.sample - a.sample != FRAME_SAMPLES:
            continue
        ends = decode(a.pcm)[-2:]
        t.check(ends == b.pcm[:2], f"a block ends at {ends.hex()} and the next one begins at {b.pcm[:2].hex()}")
    continuous(t, audio)


@case("M-11", "the codec changes without a hole", 9)
def codec_change(t: Trial) -> None:
    """CaptureStart with another codec while the microphone is on changes the codec with the next AudioFrame, and
    nothing else."""
    t.need(Capability.MICROPHONE)
    t.need(Capability.ADPCM)
    t.connect()
    with faster(t):
        if t.declared.max_baud and t.host.baud < PCM_BAUD:
            raise Absent(f"PCM does not fit its line, {t.host.baud} baud")
        mark = len(t.host.log)
        for codec in (Codec.PCM16, Codec.IMA_ADPCM, Codec.PCM16):
            fresh = listen(t, 200, codec)
            t.check(len(fresh) >= 5, "audio stopped when the codec was changed")
            flagged = bool(fresh[-1][0].frame.flags & Flag.ADPCM)
            t.check(flagged == (codec == Codec.IMA_ADPCM), f"codec {int(codec)} was asked for and is not sent")
        continuous(t, t.host.since(mark, MicAudio))
        events = t.host.since(mark, CaptureEvent)
        t.check(len(events) == 1, f"{len(events)} CaptureEvents came while only the codec changed")


@case("M-12", "drops are counted", 9)
def drops_counted(t: Trial) -> None:
    """What the frame drops while nobody reads is missing in the audio, and counted there and in GetState alike."""
    t.need(Capability.MICROPHONE)
    t.connect()
    audio = listen(t, 200)
    mark = len(t.host.log)
    for _ in range(2):
        t.host.port.stall(700_000)
        t.host.idle(300)
    audio += t.host.since(mark, MicAudio)
    continuous(t, audio)
    t.ok(Method.CAPTURE_STOP)
    counted = (audio[-1][1].dropped_frames - audio[0][1].dropped_frames) & 0xFFFF
    total = t.state().mic_dropped_frames
    t.figures["dropped_frames"] = counted
    t.check(total >= counted, f"GetState counts {total} dropped AudioFrames, the audio {counted}")
    if t.declared.minor >= 1:
        stats = GetStatsResult.unpack(t.ok(Method.GET_STATS))
        t.check(stats.mic_dropped_frames >= counted, "GetStats counts fewer dropped AudioFrames than the audio")
