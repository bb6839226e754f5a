"""Deciding when the user has begun and has finished speaking: probabilities in, UtteranceStarted / UtteranceEnded out.

Pure: no clock, no model, no thread. Time is the sample clock of the AudioFrames. It knows nothing of turns. A sentence
of which a word may be missing is UtteranceCut, never UtteranceEnded: "twenty five" without its end is another number.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from .audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, AudioFrame

SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000

# A hole in the sound of this length could hide a word; a shorter one reads as silence.
WORD_MS = 200


@dataclass(frozen=True, slots=True)
class EndpointingSettings:
    """When speech begins and ends.

    Attributes:
        start_threshold: a frame at or above this probability is speech while nobody speaks.
        stop_threshold: a frame below this probability is silence while somebody speaks (hysteresis: below start).
        min_speech_ms: this much speech in a row makes an utterance; a cough or a click is shorter.
        trailing_silence_ms: this much silence ends it.
        pre_roll_ms: sound from before the first speech frame that belongs to the utterance; soft onsets are in it.
        max_utterance_s: the longest utterance, pre-roll included; what goes on longer is cut here.
    """

    start_threshold: float = 0.5
    stop_threshold: float = 0.35
    min_speech_ms: int = 100
    trailing_silence_ms: int = 600
    pre_roll_ms: int = 300
    max_utterance_s: float = 15.0

    def __post_init__(self) -> None:
        if not 0.0 < self.stop_threshold <= self.start_threshold < 1.0:
            raise ValueError("endpointing needs 0 < stop_threshold <= start_threshold < 1")
        if self.min_speech_ms < 0 or self.pre_roll_ms < 0 or self.trailing_silence_ms <= 0:
            raise ValueError("endpointing times must not be negative, and trailing_silence_ms must be above zero")
        if self.max_utterance_s * 1000 < self.pre_roll_ms + self.min_speech_ms + self.trailing_silence_ms:
            raise ValueError("max_utterance_s is shorter than pre-roll, shortest speech and trailing silence together")


@dataclass(frozen=True, slots=True)
class UtteranceStarted:
    """Somebody speaks since `speech_start_sample`."""

    speech_start_sample: int


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """One span of user speech, whole.

    Attributes:
        start_sample, end_sample: what `pcm` covers: the pre-roll, the speech, the trailing silence. `end_sample` is
            also the moment of the decision.
        speech_start_sample, speech_end_sample: first and last-plus-one sample of the frames taken as speech.
        pcm: s16le mono 16 kHz, exactly `end_sample - start_sample` samples; lost frames are silence in it.
        reason: silence followed, it reached max_utterance_s, or the source ended.
    """

    start_sample: int
    end_sample: int
    speech_start_sample: int
    speech_end_sample: int
    pcm: bytes
    reason: Literal["silence", "max_length", "source_ended"] = "silence"


@dataclass(frozen=True, slots=True)
class UtteranceCut:
    """Sound was lost while somebody spoke. Nothing begins until the rest of that sentence has ended in silence."""


Found = UtteranceStarted | UtteranceEnded | UtteranceCut


class Endpointing:
    """The state machine: SILENCE (no speech yet), CANDIDATE (speech, still too short), SPEECH, DEAF (after a cut)."""

    def __init__(self, settings: EndpointingSettings) -> None:
        self._min_speech_samples = settings.min_speech_ms * SAMPLES_PER_MS
        self._trailing_samples = settings.trailing_silence_ms * SAMPLES_PER_MS
        self._pre_roll_samples = settings.pre_roll_ms * SAMPLES_PER_MS
        self._longest_hole_samples = min(WORD_MS * SAMPLES_PER_MS, self._trailing_samples)
        self._max_samples = round(settings.max_utterance_s * SAMPLE_RATE_HZ)
        self._start_threshold = settings.start_threshold
        self._stop_threshold = settings.stop_threshold
        self.reset()

    def reset(self) -> None:
        """Forget everything heard, pre-roll included."""
        self._kept: deque[bytes] = deque()  # contiguous PCM that ends at _end_sample
        self._kept_samples = 0
        self._end_sample: int | None = None
        self._speech_start: int | None = None  # None in SILENCE
        self._speech_end = 0
        self._speaking = False  # True in SPEECH
        self._deaf_samples = 0  # silence in a row that must still be heard; 0 unless DEAF

    @property
    def speaking(self) -> bool:
        """An utterance has started and has not ended."""
        return self._speaking

    def push(self, frame: AudioFrame, speech_probability: float) -> list[Found]:
        """Take the next AudioFrame and the probability that it is speech.

        A short hole in the sample clock counts as silence. A long one, and a clock that runs backwards (the frame has
        booted anew), cuts a running utterance off and starts over.
        """
        found: list[Found] = []
        if self._end_sample is not None and frame.sample != self._end_sample:
            found += self._bridge_hole(frame.sample - self._end_sample)
        self._end_sample = frame.end_sample
        if self._deaf_samples:
            silent = speech_probability < self._stop_threshold
            self._deaf_samples = max(0, self._deaf_samples - frame.samples) if silent else self._trailing_samples
            return found
        self._append(frame.pcm)
        threshold = self._start_threshold if self._speech_start is None else self._stop_threshold
        if speech_probability >= threshold:
            found += self._heard_speech(frame)
        elif not self._speaking:
            self._speech_start = None  # a candidate that was too short
        if self._speaking:
            if self._kept_samples >= self._max_samples:
                found.append(self._end("max_length"))
            elif frame.end_sample - self._speech_end >= self._trailing_samples:
                found.append(self._end("silence"))
        if not self._speaking:
            self._trim_to_pre_roll()
        return found

    def flush(self) -> UtteranceEnded | None:
        """End a running utterance now, because it was the last sound that there is."""
        return self._end("source_ended") if self._speaking else None

    def cut(self) -> list[Found]:
        """Sound is missing here: forget everything heard. A sentence that was under way is not acted on."""
        was_speaking = self._speaking
        deaf_samples = self._trailing_samples if was_speaking or self._deaf_samples else 0
        self.reset()
        self._deaf_samples = deaf_samples
        return [UtteranceCut()] if was_speaking else []

    def _heard_speech(self, frame: AudioFrame) -> list[Found]:
        if self._speech_start is None:
            self._speech_start = frame.sample
        self._speech_end = frame.end_sample
        if self._speaking or self._speech_end - self._speech_start < self._min_speech_samples:
            return []
        self._speaking = True
        return [UtteranceStarted(self._speech_start)]

    def _bridge_hole(self, missing_samples: int) -> list[Found]:
        readable = 0 < missing_samples < self._longest_hole_samples
        if not readable or self._kept_samples + missing_samples > self._max_samples:
            return self.cut()
        if self._deaf_samples:
            return []
        self._append(bytes(missing_samples * SAMPLE_BYTES))
        return []

    def _append(self, pcm: bytes) -> None:
        self._kept.append(pcm)
        self._kept_samples += len(pcm) // SAMPLE_BYTES

    def _trim_to_pre_roll(self) -> None:
        """Keep the pre-roll, and what a candidate has said so far."""
        assert self._end_sample is not None
        speech_samples = 0 if self._speech_start is None else self._end_sample - self._speech_start
        surplus = self._kept_samples - self._pre_roll_samples - speech_samples
        while surplus > 0:
            oldest = self._kept.popleft()
            cut = min(surplus, len(oldest) // SAMPLE_BYTES)
            if cut * SAMPLE_BYTES < len(oldest):
                self._kept.appendleft(oldest[cut * SAMPLE_BYTES :])
            self._kept_samples -= cut
            surplus -= cut

    def _end(self, reason: Literal["silence", "max_length", "source_ended"]) -> UtteranceEnded:
        assert self._end_sample is not None
        assert self._speech_start is not None
        ended = UtteranceEnded(
            start_sample=self._end_sample - self._kept_samples,
            end_sample=self._end_sample,
            speech_start_sample=self._speech_start,
            speech_end_sample=self._speech_end,
            pcm=b"".join(self._kept),
            reason=reason,
        )
        self._speaking = False
        self._speech_start = None
        self._keep_tail(min(self._pre_roll_samples, self._end_sample - self._speech_end))
        return ended

    def _keep_tail(self, samples: int) -> None:
        """What follows the speech may be the next utterance's pre-roll; no speech is ever in two utterances."""
        pcm = b"".join(self._kept)
        self._kept = deque([pcm[len(pcm) - samples * SAMPLE_BYTES :]])
        self._kept_samples = samples
