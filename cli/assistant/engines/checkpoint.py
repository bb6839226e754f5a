"""A Whisper checkpoint: where its weights lie, and when its words may be believed.

Both Whisper engines read the same `.pt` file and judge by the same rule. Knows the files beside a checkpoint; loads no
weights and imports no engine.

Beside `NAME.pt` may lie `NAME.json`, the checkpoint's own facts: `{"language": "en", "sentences": 1234, "thresholds":
{"avg_logprob": -0.2, "no_speech_prob": 0.3}}`, and `NAME-tokens.json`, its part of the vocabulary. The embedded
checkpoint has both; downloaded weights have neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..audio import SAMPLE_BYTES
from .foreign import version_of
from .protocols import EngineError, EngineInfo, Transcript

EMBEDDED = "embedded"
EMBEDDED_FILE = "lorgnette-en.pt"
# A closed-domain model is sure of what it knows: the figures below keep 99 % of its commands and refuse other speech.
EMBEDDED_AVG_LOGPROB = -0.2
EMBEDDED_NO_SPEECH_PROB = 0.3
# Whisper's own defaults (whisper.transcribe): below this probability, or above this repetition, it decodes again.
STOCK_AVG_LOGPROB = -1.0
STOCK_NO_SPEECH_PROB = 0.6
MAX_COMPRESSION_RATIO = 2.4
_PCM_SCALE = 32768.0  # s16 to the [-1, 1) that Whisper hears


@dataclass(frozen=True, slots=True)
class Segment:
    """What either engine says about one window of at most 30 s."""

    text: str
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float


@dataclass(frozen=True, slots=True)
class AcceptanceRule:
    """When to believe a segment.

    Attributes:
        min_avg_logprob: mean log probability of its tokens that it must exceed.
        max_no_speech_prob: probability of "no speech here" that it must stay below.
        closed: True when both must hold (a closed-domain checkpoint, whose own guess at speech is part of the refusal);
            False for Whisper's rule, where a high no-speech probability counts only beside a low log probability.
    """

    min_avg_logprob: float = STOCK_AVG_LOGPROB
    max_no_speech_prob: float = STOCK_NO_SPEECH_PROB
    closed: bool = False

    def refusal(self, segment: Segment) -> str:
        """Return why these words are not believed, "" when they are."""
        if not segment.text:
            return "no words"
        unsure = not segment.avg_logprob > self.min_avg_logprob  # so that NaN is unsure
        no_speech = not segment.no_speech_prob < self.max_no_speech_prob
        if no_speech and (self.closed or unsure):
            return "no speech"
        if unsure:
            return "not sure of the words"
        if segment.compression_ratio > MAX_COMPRESSION_RATIO:
            return "repeats itself"
        return ""

    def judge(self, segments: Sequence[Segment]) -> Transcript:
        """Make one transcript of an utterance's segments.

        An open-domain recogniser loses a refused window and keeps the others; a closed one refuses the whole. The three
        figures are the worst of the segments that count.
        """
        if not segments:
            return Transcript("", accepted=False, reason="no speech")
        refusals = [self.refusal(segment) for segment in segments]
        believed = [segment for segment, why in zip(segments, refusals, strict=True) if not why]
        accepted = len(believed) == len(segments) if self.closed else bool(believed)
        counted = believed if accepted else segments
        return Transcript(
            text=" ".join(segment.text for segment in counted if segment.text),
            accepted=accepted,
            avg_logprob=min(segment.avg_logprob for segment in counted),
            no_speech_prob=max(segment.no_speech_prob for segment in counted),
            compression_ratio=max(segment.compression_ratio for segment in counted),
            reason="" if accepted else next(why for why in refusals if why),
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One openai-whisper `.pt` file.

    Attributes:
        name: as the user knows it: "embedded", "base.en", or a file's name.
        path: the file.
        rule: when its words are believed.
        sentences: how many sentences a closed-domain checkpoint knows; 0 when open or unknown.
    """

    name: str
    path: Path
    rule: AcceptanceRule = AcceptanceRule()
    sentences: int = 0

    @property
    def tokens_path(self) -> Path:
        return self.path.with_name(f"{self.path.stem}-tokens.json")


def embedded_checkpoint() -> Checkpoint:
    """The checkpoint that ships with the program. Raises EngineError when the install lacks it."""
    path = Path(str(resources.files(f"{__package__}.embedded").joinpath(EMBEDDED_FILE)))
    return open_checkpoint(path, EMBEDDED)


def open_checkpoint(path: Path, name: str = "") -> Checkpoint:
    """Describe the checkpoint at `path`, with the facts that lie beside it. Raises EngineError."""
    if not path.is_file():
        raise EngineError("stt", f"there are no Whisper weights at {path}", "lorgnette models list")
    facts_path = path.with_suffix(".json")
    if facts_path.is_file():
        rule, sentences = _read_facts(facts_path)
    elif name == EMBEDDED:
        rule, sentences = AcceptanceRule(EMBEDDED_AVG_LOGPROB, EMBEDDED_NO_SPEECH_PROB, closed=True), 0
    else:
        rule, sentences = AcceptanceRule(), 0
    return Checkpoint(name or path.stem, path, rule, sentences)


def _read_facts(path: Path) -> tuple[AcceptanceRule, int]:
    try:
        facts = json.loads(path.read_text("utf-8"))
        thresholds = facts.get("thresholds", {})
        rule = AcceptanceRule(
            _number(thresholds, "avg_logprob", EMBEDDED_AVG_LOGPROB),
            _number(thresholds, "no_speech_prob", EMBEDDED_NO_SPEECH_PROB),
            closed=True,
        )
        sentences = facts.get("sentences", 0)
        return rule, len(sentences) if isinstance(sentences, list) else int(sentences)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise EngineError("stt", f"the facts beside the Whisper weights are unreadable: {path}: {error}") from error


def _number(facts: Mapping[str, object], key: str, default: float) -> float:
    value = facts.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} is no number")
    return float(value)


def pcm_to_float32(pcm: bytes) -> Any:
    """Convert s16le to a float32 array of shape (samples,) in [-1, 1). Raises EngineError for half a sample."""
    import numpy as np

    if len(pcm) % SAMPLE_BYTES:
        raise EngineError("stt", f"the audio is not whole 16-bit samples ({len(pcm)} bytes)")
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(_PCM_SCALE)


def check_language(checkpoint: Checkpoint, language: str, *, multilingual: bool) -> None:
    """Refuse a language that these weights never heard, instead of writing it down as English."""
    if multilingual or language == "en":
        return
    kind = "the embedded recogniser" if checkpoint.name == EMBEDDED else f"the Whisper model {checkpoint.name}"
    raise EngineError("stt", f"{kind} hears English only, not {language!r}", "lorgnette models pull base")


def describe_stt(engine: str, distribution: str, checkpoint: Checkpoint, compute_type: str) -> EngineInfo:
    """The engine's card, from what is known without loading it."""
    detail: dict[str, str | int | float] = {"compute_type": compute_type, "version": version_of(distribution)}
    if checkpoint.sentences:
        detail["sentences"] = checkpoint.sentences
    return EngineInfo("stt", engine, checkpoint.name, detail)
