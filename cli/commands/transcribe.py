"""`lorgnette transcribe FILE`: what the live assistant would have heard in a recording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from ..assistant.audio import (
    FRAME_SAMPLES,
    SAMPLE_BYTES,
    SAMPLE_RATE_HZ,
    AudioFrame,
    decode_audio,
    read_audio,
    read_capped,
)
from ..assistant.endpointing import Endpointing, EndpointingSettings, UtteranceEnded
from ..assistant.engines.protocols import EngineInfo, Transcript, VoiceActivity
from ..config import load
from ..errors import Failure
from ..exit_codes import ExitCode
from ..options import Command, diagnostics_options, json_option, model_option, offline_option
from ..standard_input import NAME, binary_input
from ..text import printable

SCHEMA = 1
STDIN = "-"
# A recording has no user who waits: an utterance may be as long as Whisper's window allows.
FILE_MAX_UTTERANCE_S = 28.0


@click.command(
    cls=Command,
    examples=[
        ("lorgnette transcribe question.wav", "print the words, one utterance per line"),
        ("lorgnette transcribe -m base.en --json talk.flac", "another model, with figures"),
        ("arecord -f S16_LE -r 16000 -d 4 | lorgnette transcribe -", "from a microphone"),
    ],
)
@click.argument("file", type=click.Path(allow_dash=True))
@model_option("embedded, a Whisper size such as base.en, or a checkpoint file.")
@json_option
@offline_option
@diagnostics_options
def transcribe(file: str, model: str | None, as_json: bool, offline: bool) -> None:
    """Turn a recording into text.

    FILE is a WAV, or anything else that ffmpeg or PyAV can read; '-' is standard input. Nothing leaves
    this computer, with or without --offline.
    """
    settings = load({"stt.model": model}).settings
    pcm = decode_audio(read_capped(binary_input(), NAME), NAME) if file == STDIN else read_audio(Path(file))
    from ..wiring import build_ear

    stt, vad = build_ear(settings)
    heard: list[tuple[UtteranceEnded, Transcript]] = []
    for utterance in utterances(pcm, vad, settings.endpointing):
        transcript = stt.transcribe(utterance.pcm)
        heard.append((utterance, transcript))
        if not as_json:
            _show(utterance, transcript)
    if as_json:
        click.echo(json.dumps(_as_json(file, pcm, stt.info, heard)))
    _conclude(file, heard)


def utterances(pcm: bytes, vad: VoiceActivity, settings: EndpointingSettings) -> Iterator[UtteranceEnded]:
    """Cut s16le mono 16 kHz at its pauses, as the live assistant does, the end of the recording included."""
    endpointing = Endpointing(replace(settings, max_utterance_s=max(FILE_MAX_UTTERANCE_S, settings.max_utterance_s)))
    step = FRAME_SAMPLES * SAMPLE_BYTES
    for at in range(0, len(pcm), step):
        frame = AudioFrame(at // SAMPLE_BYTES, pcm[at : at + step])
        for found in endpointing.push(frame, vad.speech_probability(frame.pcm)):
            if isinstance(found, UtteranceEnded):
                yield found
    if (last := endpointing.flush()) is not None:
        yield last


def _show(utterance: UtteranceEnded, transcript: Transcript) -> None:
    if transcript.accepted:
        click.echo(printable(transcript.text))
        return
    seconds = utterance.speech_start_sample / SAMPLE_RATE_HZ
    click.echo(f"lorgnette: not caught at {seconds:.1f} s ({transcript.reason})", err=True)


def _conclude(file: str, heard: list[tuple[UtteranceEnded, Transcript]]) -> None:
    name = NAME if file == STDIN else printable(file)
    if not heard:
        raise Failure(f"{name} holds no speech", "check the microphone and its level", ExitCode.NO_SPEECH)
    if not any(transcript.accepted for _, transcript in heard):
        raise Failure(
            "I did not catch that",
            "the built-in ear knows commands only: 'lorgnette models list' shows what hears anything",
            ExitCode.NO_SPEECH,
        )


def _as_json(
    file: str, pcm: bytes, info: EngineInfo, heard: list[tuple[UtteranceEnded, Transcript]]
) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "file": file,
        "duration_s": round(len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ, 3),
        "engine": {"engine": info.engine, "model": info.model, **info.detail},
        "text": " ".join(transcript.text for _, transcript in heard if transcript.accepted),
        "utterances": [
            {
                "start_s": round(utterance.speech_start_sample / SAMPLE_RATE_HZ, 3),
                "end_s": round(utterance.speech_end_sample / SAMPLE_RATE_HZ, 3),
                "text": transcript.text,
                "accepted": transcript.accepted,
                "reason": transcript.reason,
                "avg_logprob": round(transcript.avg_logprob, 4),
                "no_speech_prob": round(transcript.no_speech_prob, 4),
                "compression_ratio": round(transcript.compression_ratio, 3),
            }
            for utterance, transcript in heard
        ],
    }
