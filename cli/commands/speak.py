"""`lorgnette speak TEXT`: the assistant's voice, into a file or out of the frame."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import click

from ..assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, wav_bytes
from ..assistant.engines.protocols import TextToSpeech
from ..config import load
from ..errors import Failure
from ..exit_codes import ExitCode
from ..options import Command, diagnostics_options, out_option, port_option
from ..standard_input import read_text
from ..text import printable
from .playback import play_on_frame

STDIO = "-"
MAX_TEXT_CHARS = 65_536
PAUSE_MS = 150  # between sentences, as in a reply
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
        _refuse_silence(play_on_frame(device, audio, "write a file instead: -o FILE").sent_s)


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


def _refuse_silence(length: float) -> None:
    if not length:
        raise Failure("the voice made no sound of this text", "try another voice: --voice", ExitCode.ENGINE)
