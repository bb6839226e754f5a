"""Small real engines and worlds for tests of the voice pipeline: exact, silent, and without any model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from lorgnette.cli.assistant.audio import FRAME_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFrame
from lorgnette.cli.assistant.engines.protocols import ChatMessage, EngineInfo, Transcript
from lorgnette.cli.assistant.events import (
    Act,
    ActDone,
    Event,
    FlushSpeaker,
    Intent,
    MicrophoneEnded,
    MicrophoneHeard,
    Play,
    PlaybackBegan,
    PlaybackFinished,
    StartCapture,
    StopCapture,
)
from lorgnette.cli.assistant.world import WorldEffect

SPEECH = b"\x01\x00" * FRAME_SAMPLES
SILENCE = bytes(FRAME_SAMPLES * SAMPLE_BYTES)
FRAME_MS = 20
SAMPLES_PER_CHARACTER = 160  # what `ToneVoice` makes of each character: 10 ms


class MarkedVad:
    """Speech is what begins with a sample that is not zero."""

    info = EngineInfo("vad", "marked", "-")

    def __init__(self) -> None:
        self.resets = 0

    def speech_probability(self, pcm: bytes) -> float:
        return 1.0 if pcm[:2] != b"\0\0" else 0.0

    def reset(self) -> None:
        self.resets += 1


class ListedEar:
    """Hears the listed transcripts, one after another; a str is an accepted one."""

    info = EngineInfo("stt", "listed", "-")

    def __init__(self, *heard: str | Transcript) -> None:
        self.utterances: list[bytes] = []
        self._heard = [Transcript(item, True) if isinstance(item, str) else item for item in heard]

    def transcribe(self, pcm: bytes) -> Transcript:
        self.utterances.append(pcm)
        return self._heard.pop(0)


class ToneVoice:
    """10 ms of a constant for each character, in two pieces."""

    info = EngineInfo("tts", "tone", "-")

    def synthesize(self, text: str) -> Iterator[bytes]:
        half = b"\x10\x27" * (len(text) * SAMPLES_PER_CHARACTER // 2)
        yield half
        yield half


class ListedModel:
    """Answers every question with the same pieces of text, and keeps what it was asked."""

    info = EngineInfo("llm", "listed", "-")

    def __init__(self, *pieces: str) -> None:
        self.asked: list[Sequence[ChatMessage]] = []
        self._pieces = pieces

    def reply(self, messages: Sequence[ChatMessage]) -> Generator[str, None, None]:
        self.asked.append(messages)
        yield from self._pieces


class PhraseMatcher:
    """Understands exactly the phrases that it is given."""

    info = EngineInfo("understanding", "phrases", "-")

    def __init__(self, phrases: Mapping[str, Intent] | None = None) -> None:
        self._phrases = phrases or {}

    def match(self, text: str) -> Intent | None:
        return self._phrases.get(text)


class ScriptedWorld:
    """A virtual frame: a microphone with speech at given times, a speaker with a fixed latency, acts with results.

    Args:
        speech_ms: spans of speech, (from, to), in whole AudioFrames.
        ends_ms: when the microphone ends, or None when it never does.
        results: act name -> result, or an error sentence.
        act_ms, speaker_ms: how long an act and the way to the speaker take.
    """

    def __init__(
        self,
        speech_ms: Sequence[tuple[int, int]] = (),
        ends_ms: int | None = None,
        results: Mapping[str, Mapping[str, Any] | str] | None = None,
        act_ms: int = 50,
        speaker_ms: int = 80,
    ) -> None:
        self.executed: list[tuple[float, WorldEffect]] = []
        self.closed = False
        self._speech_ms = speech_ms
        self._ends_ms = ends_ms
        self._results = results or {}
        self._act_s = act_ms / 1000
        self._speaker_s = speaker_ms / 1000
        self._post: Callable[[Event], None] | None = None
        self._now_s = 0.0
        self._sample = 0
        self._capturing = False
        self._later: list[tuple[float, Event]] = []
        self._playing: dict[int, int] = {}  # turn -> samples so far

    def start(self, post: Callable[[Event], None]) -> None:
        self._post = post

    def execute(self, effect: WorldEffect) -> None:
        self.executed.append((self._now_s, effect))
        if isinstance(effect, StartCapture | StopCapture):
            self._capturing = isinstance(effect, StartCapture)
        elif isinstance(effect, Act):
            result = self._results.get(effect.name, "this frame cannot do that")
            error = isinstance(result, str)
            done = ActDone(effect.turn_id, {} if error else result, result if error else "")  # type: ignore[arg-type]
            self._later.append((self._now_s + self._act_s, done))
        elif isinstance(effect, Play):
            self._play(effect)
        else:
            self._later = [(due, event) for due, event in self._later if getattr(event, "turn_id", 0) != effect.turn_id]
            self._later.append((self._now_s, PlaybackFinished(effect.turn_id, 0, "flushed")))

    def _play(self, effect: Play) -> None:
        began_s = self._now_s + self._speaker_s
        if effect.turn_id not in self._playing:
            self._playing[effect.turn_id] = 0
            self._later.append((began_s, PlaybackBegan(effect.turn_id, round(began_s * SAMPLE_RATE_HZ), 0)))
        self._playing[effect.turn_id] += len(effect.pcm) // SAMPLE_BYTES
        if effect.last:
            samples = self._playing[effect.turn_id]
            self._later.append((began_s + samples / SAMPLE_RATE_HZ, PlaybackFinished(effect.turn_id, samples)))

    def advance(self, now_s: float) -> None:
        assert self._post is not None
        self._now_s = now_s
        while self._sample + FRAME_SAMPLES <= round(now_s * SAMPLE_RATE_HZ):
            at_ms = self._sample * 1000 // SAMPLE_RATE_HZ
            speaks = any(begin <= at_ms < end for begin, end in self._speech_ms)
            if self._capturing:
                self._post(MicrophoneHeard(AudioFrame(self._sample, SPEECH if speaks else SILENCE)))
            self._sample += FRAME_SAMPLES
            if self._ends_ms is not None and at_ms + FRAME_MS == self._ends_ms:
                self._post(MicrophoneEnded())
        due = sorted((item for item in self._later if item[0] <= now_s), key=lambda item: item[0])
        self._later = [item for item in self._later if item[0] > now_s]
        for _, event in due:
            self._post(event)

    def next_deadline(self) -> float | None:
        next_frame_s = (self._sample + FRAME_SAMPLES) / SAMPLE_RATE_HZ
        return min([next_frame_s, *(due for due, _ in self._later)])

    def close(self) -> None:
        self.closed = True

    def effects(self, kind: type) -> list[WorldEffect]:
        return [effect for _, effect in self.executed if type(effect) is kind]


class PromptWorld:
    """A live world in memory: acts and playback are answered at once, on the thread that asked. Tests post the rest."""

    def __init__(
        self, results: Mapping[str, Mapping[str, Any]] | None = None, *, answers_playback: bool = True
    ) -> None:
        self.executed: list[WorldEffect] = []
        self.closed = False
        self.started = threading.Event()
        self.post: Callable[[Event], None] = self._not_started
        self._results = results or {}
        self._answers_playback = answers_playback
        self._samples: dict[int, int] = {}

    @staticmethod
    def _not_started(event: Event) -> None:
        raise AssertionError(f"{event} before the world was started")

    def start(self, post: Callable[[Event], None]) -> None:
        self.post = post
        self.started.set()

    def execute(self, effect: WorldEffect) -> None:
        self.executed.append(effect)
        if isinstance(effect, Act):
            self.post(ActDone(effect.turn_id, self._results.get(effect.name, {})))
        elif isinstance(effect, Play) and self._answers_playback:
            if effect.turn_id not in self._samples:
                self._samples[effect.turn_id] = 0
                self.post(PlaybackBegan(effect.turn_id, 0, 0))
            self._samples[effect.turn_id] += len(effect.pcm) // SAMPLE_BYTES
            if effect.last:
                self.post(PlaybackFinished(effect.turn_id, self._samples[effect.turn_id]))
        elif isinstance(effect, FlushSpeaker):
            self.post(PlaybackFinished(effect.turn_id, 0, "flushed"))

    def close(self) -> None:
        self.closed = True

    def say(self, speech_frames: int, silence_frames: int, from_frame: int = 0) -> int:
        """Post an utterance; returns the number of the next frame."""
        for index in range(speech_frames + silence_frames):
            pcm = SPEECH if index < speech_frames else SILENCE
            self.post(MicrophoneHeard(AudioFrame((from_frame + index) * FRAME_SAMPLES, pcm)))
        return from_frame + speech_frames + silence_frames
