"""`lorgnette speak TEXT`: the assistant's voice, into a file or out of the frame."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, wav_bytes
from ..assistant.engines.protocols import TextToSpeech
from ..config import load
from ..errors import Failure
from ..exit_codes import ExitCode
from ..options import Command, diagnostics_options, out_option, port_option
from ..standard_input import read_text
from ..text import printable

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device
    from ...firmware_bridge.link_events import Event

STDIO = "-"
MAX_TEXT_CHARS = 65_536
PAUSE_MS = 150  # between sentences, as in a reply
AHEAD_S = 5.0  # sent before it is played; a voice is faster than speech, and the link's queue has an end
LOOK_S = 0.1
# The frame says when playback ended; this is how much later than the audio's own length that may be.
PLAYBACK_GRACE_S = 5.0
MAKER_PATIENCE_S = 2.0  # a voice that is told to stop ends within one of its pieces


@click.command(
    cls=Command,
    examples=[
        ('lorgnette speak "hello there" -o hello.wav', "into a file"),
        ("lorgnette speak -p /dev/ttyACM0 - < poem.txt", "out of the frame"),
        ("lorgnette speak hello -o - | aplay", "into another program"),
    ],
)
@click.argument("text")
@out_option("Write a WAV to FILE; '-' is standard output. Without it the frame speaks.")
@click.option("--voice", metavar="VOICE", help="A Piper voice, its .onnx file, or an espeak voice.")
@port_option
@diagnostics_options
def speak(text: str, out: Path | None, voice: str | None, port: str | None, baud: int | None, timeout_s: float) -> None:
    """Turn text into speech, to a file or on the frame.

    TEXT '-' is standard input. Without -o the frame of -p, or the remembered or only one, speaks.
    """
    if out is not None and port is not None:
        raise click.UsageError("-o and -p exclude each other: a file or the frame.")
    settings = load({"port": port, "baud": baud, "tts.voice": voice}).settings
    from ..assistant.sentences import speakable, split_sentences
    from ..wiring import build_voice

    sentences = [spoken for sentence in split_sentences(_text(text)) if (spoken := speakable(sentence))]
    if not sentences:
        raise click.UsageError("There is nothing to say in this text.")
    tts = build_voice(settings)
    if out is not None:
        with closing(made_aside(_audio(tts, sentences))) as audio:
            _to_file(out, b"".join(audio))
        return
    from ..glasses.ports import open_frame

    device, _ = open_frame(settings, timeout_s)
    with device, closing(made_aside(_audio(tts, sentences))) as audio:
        _to_frame(device, audio)


def _text(text: str) -> str:
    text = read_text() if text == STDIO else text
    if len(text) > MAX_TEXT_CHARS:
        raise click.UsageError(f"The text is longer than {MAX_TEXT_CHARS} characters.")
    return text


def made_aside(audio: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Take the pieces of `audio` on a thread of its own, and yield them here; closing it ends the thread.

    Ctrl-C reaches the main thread only, and there it would be lost: an exception cannot leave a callback through a C
    library, and a voice is one.
    """
    pieces: queue.Queue[bytes | BaseException | None] = queue.Queue()
    stop = threading.Event()

    def make() -> None:
        end: BaseException | None = None
        try:
            for piece in audio:
                if stop.is_set():
                    break
                pieces.put(piece)
        except BaseException as error:
            end = error
        pieces.put(end)

    thread = threading.Thread(target=make, name="voice", daemon=True)
    thread.start()
    try:
        while isinstance(piece := pieces.get(), bytes):
            yield piece
        if piece is not None:
            raise piece
    finally:
        stop.set()
        thread.join(MAKER_PATIENCE_S)


def _audio(tts: TextToSpeech, sentences: list[str]) -> Iterator[bytes]:
    """s16le mono 16 kHz as it is made."""
    for number, sentence in enumerate(sentences):
        if number:
            yield bytes(PAUSE_MS * SAMPLE_RATE_HZ // 1000 * SAMPLE_BYTES)
        yield from tts.synthesize(sentence)


def _to_file(out: Path, pcm: bytes) -> None:
    _refuse_silence(len(pcm))
    if str(out) == STDIO:
        sys.stdout.buffer.write(wav_bytes(pcm))
        sys.stdout.buffer.flush()
        return
    out.write_bytes(wav_bytes(pcm))
    click.echo(f"{printable(out)}: {len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ:.1f} s", err=True)


def _to_frame(device: Device, audio: Iterator[bytes]) -> None:
    """Play, wait for the frame's own report that it has played, and on Ctrl-C silence it first."""
    from ...firmware_bridge.messages import PlaybackEnd

    stream = device.new_stream()
    playback = Playback(stream)
    device.subscribe(playback.on_event)
    if not device.info.has_speaker:
        raise Failure("this frame has no speaker", "write a file instead: -o FILE", ExitCode.FRAME_REFUSED)
    reason = None
    try:
        for pcm in audio:
            playback.wait(AHEAD_S)
            if playback.ended:
                break
            device.play(stream, pcm, False)
            playback.sent(pcm)
        if not playback.ended:
            device.play(stream, b"", True)
        if playback.sent_s:
            reason = playback.wait(-PLAYBACK_GRACE_S)
    except KeyboardInterrupt:
        device.flush(stream)
        raise
    _refuse_silence(playback.sent_s)
    if playback.error is not None:
        raise playback.error
    if reason is None:
        raise Failure("the frame did not report that it played this", "lorgnette doctor", ExitCode.FRAME_REFUSED)
    if reason != PlaybackEnd.PLAYED:
        raise Failure("the playback was cut off before its end", "lorgnette doctor", ExitCode.FRAME_REFUSED)


class Playback:
    """How far one stream has been played. `on_event` runs on the device's thread."""

    def __init__(self, stream: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._ended = threading.Event()
        self._reason: int | None = None
        self._began_s: float | None = None  # when the frame began to play, or at least was given something to
        self._began = False  # the frame has said so; when it runs dry it says so again
        self._holes_s = 0.0  # in which the frame played silence, because the audio came too late
        self.sent_s = 0.0
        self.error: Exception | None = None

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @property
    def left_s(self) -> float:
        """What was sent and is not played yet; below zero it is overdue."""
        if self._began_s is None:
            return self.sent_s
        return self.sent_s + self._holes_s - (self._clock() - self._began_s)

    def sent(self, pcm: bytes) -> None:
        if self._began_s is None:
            self._began_s = self._clock()
        self.sent_s += len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ

    def on_event(self, event: Event) -> None:
        from ...firmware_bridge.link_events import Disconnected, FrameReported
        from ...firmware_bridge.messages import PlaybackEnded, PlaybackStarted, Underrun

        match event:
            case FrameReported(PlaybackStarted(stream=stream)) if stream == self._stream and not self._began:
                self._began, self._began_s = True, self._clock()
            case FrameReported(Underrun(stream=stream, missing_samples=missing)) if stream == self._stream:
                self._holes_s += missing / SAMPLE_RATE_HZ
            case FrameReported(PlaybackEnded(stream=stream, reason=reason)) if stream == self._stream:
                self._reason = reason
                self._ended.set()
            case Disconnected(error=error):
                self.error = error
                self._ended.set()

    def wait(self, left_s: float) -> int | None:
        """Until no more than this is left to play. Returns the PlaybackEnd, or None when playback has not ended."""
        while self.left_s > left_s and not self._ended.wait(LOOK_S):
            pass
        return self._reason


def _refuse_silence(length: float) -> None:
    if not length:
        raise Failure("the voice made no sound of this text", "try another voice: --voice", ExitCode.ENGINE)
