"""`lorgnette frame record` and `frame play`: the frame's microphone into a file, and a file out of its speaker."""

from __future__ import annotations

import contextlib
import json
import queue
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..assistant.audio import (
    SAMPLE_BYTES,
    SAMPLE_RATE_HZ,
    WavPipe,
    WavWriter,
    decode_audio,
    pieces,
    read_audio,
    read_capped,
    rms_dbfs,
)
from ..errors import Failure
from ..exit_codes import ExitCode
from ..glasses.ports import opened
from ..options import Command, Seconds, diagnostics_options, json_option, out_option, port_option
from ..standard_input import NAME, binary_input
from ..text import printable
from .line_figures import counters
from .playback import play_on_frame

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device
    from ...firmware_bridge.link_events import Event

SCHEMA = 1
STDIO = "-"
MAX_S = 86_400.0  # a WAV file has room for 37 hours
SILENT_S = 5.0  # a microphone that is on delivers 50 AudioFrames a second, and a link notices its end after 3 s
MAX_GAP_S = 10.0  # more than a living session can lose; what is longer is no gap but another clock
AWAY_POLL_S = 0.2
METER_S = 0.1
METER_CELLS, METER_FLOOR_DBFS = 30, -60.0


@click.command(
    "record",
    cls=Command,
    examples=[
        ("lorgnette frame record -o talk.wav", "until Ctrl-C"),
        ("lorgnette frame record -o talk.wav --seconds 10", "ten seconds"),
        ("lorgnette frame record -o - | lorgnette transcribe -", "into another program"),
    ],
)
@port_option
@out_option("Write a WAV to FILE; '-' is standard output.", required=True)
@click.option("--seconds", "seconds_s", type=Seconds(min=0.02, max=MAX_S), metavar="N", help="End after N seconds.")
@json_option
@diagnostics_options
def record(
    port: str | None, baud: int | None, timeout_s: float, out: Path, seconds_s: float | None, as_json: bool
) -> None:
    """Record the frame's microphone: 16 kHz, mono, 16 bits.

    Ctrl-C ends the recording. The frame lights its LED meanwhile. The file is whole at any moment. A frame that goes
    away is waited for. Sound that was lost on the way, or meanwhile, is silence in the file, and told at the end.
    """
    if as_json and str(out) == STDIO:
        raise click.UsageError("--json and -o - both want standard output.")
    ended: BaseException | None = None
    with opened(port, baud, timeout_s) as device:
        if not device.info.has_microphone:
            raise Failure(
                "this frame has no microphone",
                "lorgnette run can use this computer's: --mic host",
                ExitCode.FRAME_REFUSED,
            )
        with closing(WavPipe(sys.stdout.buffer) if str(out) == STDIO else WavWriter(out)) as file:
            tape = Tape(file, None if seconds_s is None else round(seconds_s * SAMPLE_RATE_HZ))
            try:
                with _meter(as_json) as show:
                    _record(device, tape, show)
            except (KeyboardInterrupt, Exception) as error:
                ended = error
            lost = device.stats()
    _report(out, tape, lost.mic_lost_frames, lost.mic_dropped_frames, as_json)
    # Without a length Ctrl-C is the way to end it.
    if ended is not None and (seconds_s is not None or type(ended) is not KeyboardInterrupt):
        raise ended


class Tape:
    """Puts AudioFrames onto one time line: a file of exactly as many samples as the frame's clock has counted."""

    def __init__(self, file: WavWriter | WavPipe, most_samples: int | None = None) -> None:
        """`most_samples`: where it is full."""
        self._file = file
        self._most = most_samples if most_samples is not None else int(MAX_S * SAMPLE_RATE_HZ)
        self._next: int | None = None  # on the frame's sample clock
        self.missing_samples = 0
        self.absences = 0

    @property
    def samples(self) -> int:
        return self._file.samples

    @property
    def room_samples(self) -> int:
        return self._most - self._file.samples

    @property
    def is_full(self) -> bool:
        return self.room_samples <= 0

    def add(self, sample: int, pcm: bytes) -> None:
        """Append what was heard from `sample` on. What is missing before it becomes silence."""
        gap = 0 if self._next is None else sample - self._next
        if 0 < gap <= MAX_GAP_S * SAMPLE_RATE_HZ:
            self._be_silent(gap)
        self._next = sample + len(pcm) // SAMPLE_BYTES
        self._file.write(pcm[: self.room_samples * SAMPLE_BYTES])

    def skip(self, absence_s: float) -> None:
        """The frame was away so long: silence by the host's clock, since the frame may have booted meanwhile."""
        if self._next is not None:
            self._be_silent(round(absence_s * SAMPLE_RATE_HZ))
        self._next = None
        self.absences += 1

    def _be_silent(self, samples: int) -> None:
        self.missing_samples += samples
        left = min(samples, self.room_samples)
        while left > 0:  # the frame may have been away for hours
            piece = min(left, SAMPLE_RATE_HZ)
            self._file.write(bytes(piece * SAMPLE_BYTES))
            left -= piece


def _record(device: Device, tape: Tape, show: Callable[[int, bytes], None]) -> None:
    """Until the tape is full. A frame that goes away is waited for, but not beyond the tape's end.

    Raises:
        BridgeError: the frame refused, or did not come back in time.
        Failure: no sound comes.
    """
    from ...firmware_bridge.errors import BridgeError, DeviceLost, OutcomeUnknown
    from ...firmware_bridge.link_events import AudioReceived, Connected, Disconnected, FrameReported
    from ...firmware_bridge.messages import CaptureEvent, CaptureStartArgs, CaptureStop, Method

    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    unsubscribe = device.subscribe(events.put)
    away: BridgeError | None = None
    heard_s = time.monotonic()
    try:
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        while not tape.is_full:
            try:
                event = events.get(timeout=SILENT_S if away is None else AWAY_POLL_S)
            except queue.Empty:
                if away is None:
                    raise Failure(
                        "no sound comes from the microphone", "lorgnette doctor", ExitCode.FRAME_REFUSED
                    ) from None
                if (time.monotonic() - heard_s) * SAMPLE_RATE_HZ >= tape.room_samples:
                    raise away from None
                continue
            match event:
                case AudioReceived(sample, pcm):
                    now_s = time.monotonic()
                    if away is not None:
                        tape.skip(now_s - heard_s - len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ)
                        away = None
                        _say("the frame is back")
                    heard_s = now_s
                    tape.add(sample, pcm)
                    show(tape.samples, pcm)
                case Disconnected(error) if away is None:
                    away = error
                    _say(f"the frame is away: {error}")
                case Connected():
                    with contextlib.suppress(DeviceLost, OutcomeUnknown):  # away again
                        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
                case FrameReported(CaptureEvent(on=0, reason=CaptureStop.ASKED)):
                    raise Failure("the frame has stopped its microphone", "lorgnette doctor", ExitCode.FRAME_REFUSED)
                case _:
                    pass
    finally:
        unsubscribe()
        if device.connected:
            device.post(Method.CAPTURE_STOP, None, lambda _: None)  # Close, right behind it, stops it as well


def _say(text: str) -> None:
    """A line on standard error; on a terminal it takes the place of the level."""
    shown = f"lorgnette: {printable(text)}"
    click.echo(f"\r{shown:<{METER_CELLS + 25}}" if sys.stderr.isatty() else shown, err=True)


@contextmanager
def _meter(as_json: bool) -> Iterator[Callable[[int, bytes], None]]:
    """How long it runs and how loud it is, on standard error, where somebody looks at it."""
    if as_json or not sys.stderr.isatty():
        yield lambda samples, pcm: None
        return
    newest = bytearray()

    def show(samples: int, pcm: bytes) -> None:
        newest.extend(pcm)
        if len(newest) >= METER_S * SAMPLE_RATE_HZ * SAMPLE_BYTES:
            level_dbfs = rms_dbfs(bytes(newest))
            newest.clear()
            share = min(1.0, max(0.0, 1 - level_dbfs / METER_FLOOR_DBFS))
            bar = "#" * round(share * METER_CELLS)
            click.echo(
                f"\r{samples / SAMPLE_RATE_HZ:8.1f} s [{bar:<{METER_CELLS}}] {level_dbfs:4.0f} dBFS", nl=False, err=True
            )

    try:
        yield show
    finally:
        click.echo(f"\r{'':{METER_CELLS + 25}}\r", nl=False, err=True)


def _report(out: Path, tape: Tape, lost_frames: int, dropped_frames: int, as_json: bool) -> None:
    duration_s = tape.samples / SAMPLE_RATE_HZ
    missing_ms = tape.missing_samples * 1000 // SAMPLE_RATE_HZ
    if as_json:
        facts: dict[str, Any] = {"schema": SCHEMA, "path": str(out), "duration_s": round(duration_s, 3)}
        facts |= {
            "missing_ms": missing_ms,
            "absences": tape.absences,
            "lost_frames": lost_frames,
            "dropped_frames": dropped_frames,
        }
        click.echo(json.dumps(facts))
        return
    text = "nothing lost"
    if missing_ms or lost_frames or dropped_frames:
        where = f"{lost_frames} AudioFrames lost on the line, {dropped_frames} dropped by the frame"
        if tape.absences:
            where += f"; the frame was away {'once' if tape.absences == 1 else f'{tape.absences} times'}"
        text = f"{missing_ms} ms missing ({where})"
    name = "standard output" if str(out) == STDIO else printable(out)
    click.echo(f"{name}: {duration_s:.1f} s, {text}", err=True)


@click.command(
    "play",
    cls=Command,
    examples=[
        ("lorgnette frame play hello.wav", "any audio file"),
        ("lorgnette speak hello -o - | lorgnette frame play -", "from another program"),
    ],
)
@click.argument("file", type=click.Path(allow_dash=True))
@port_option
@json_option
@diagnostics_options
def play(file: str, port: str | None, baud: int | None, timeout_s: float, as_json: bool) -> None:
    """Play a file on the frame's speaker, and wait until the frame has played it.

    FILE is a WAV, or anything else that ffmpeg or PyAV can read; '-' is standard input. Ctrl-C silences the frame.
    """
    pcm = decode_audio(read_capped(binary_input(), NAME), NAME) if file == STDIO else read_audio(Path(file))
    with opened(port, baud, timeout_s) as device:
        before = _missed(device)
        playback = play_on_frame(device, pieces(pcm), "play it on this computer instead")
        gaps_ms = round(1000 * playback.holes_s)
        after = _missed(device) if gaps_ms else before
    lost = None if before is None or after is None else after - before
    if as_json:
        facts = {"schema": SCHEMA, "file": file, "duration_s": round(playback.sent_s, 3), "gaps_ms": gaps_ms}
        click.echo(json.dumps({**facts, "lost_frames": lost}))
        return
    name = NAME if file == STDIO else printable(file)
    gaps = f", with {gaps_ms} ms of gaps" if gaps_ms else ""
    if gaps_ms and lost is not None:
        gaps += f": {lost} frames were lost on the line" if lost else ", because it came too late"
    click.echo(f"{name}: played {playback.sent_s:.1f} s{gaps}", err=True)


def _missed(device: Device) -> int | None:
    """How many frames of the host the frame has missed since it booted; None when it does not say."""
    from ...firmware_bridge.errors import BridgeError

    try:
        return counters(device).rx_lost_frames
    except BridgeError:
        return None
