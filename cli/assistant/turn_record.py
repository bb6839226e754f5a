"""One turn's own record: what was heard, done and said, and how long each stage took.

Knows the arithmetic of a turn and no rule of it: those are in turn.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .endpointing import SAMPLES_PER_MS, UtteranceEnded
from .engines.protocols import Transcript
from .events import Act, ActFinished, Intent, Outcome, Stage, TurnFinished
from .reply import Reply
from .sentences import SentenceSplitter, without_controls


@dataclass(slots=True)
class Turn:
    """One exchange under way. Times in host seconds, samples on the microphone's clock unless said otherwise."""

    turn_id: int
    began_s: float
    reply: Reply
    splitter: SentenceSplitter = field(default_factory=SentenceSplitter)
    heard: str = ""
    outcome: Outcome = "answered"
    transcript: Transcript | None = None
    intent: Intent | None = None
    act: ActFinished | None = None
    pending_act: Act | None = None
    utterance: UtteranceEnded | None = None
    frame_lost: bool = False  # the frame went away meanwhile: nothing is done or said, no clock of another boot gets in

    waiting_for: Stage = "stt"
    deadline_s: float | None = None

    playback_began_s: float | None = None
    reply_start_sample: int = 0
    reply_speaker_sample: int = 0
    played_samples: int = 0

    _begun_s: dict[Stage, float] = field(default_factory=dict)
    _stages_ms: dict[str, float] = field(default_factory=dict)

    def begin(self, stage: Stage, now: float) -> None:
        """Only the first time counts: later sentences of a reply do not delay its beginning."""
        self._begun_s.setdefault(stage, now)

    def end(self, stage: Stage, now: float) -> None:
        if stage in self._begun_s and stage not in self._stages_ms:
            self._stages_ms[stage] = (now - self._begun_s[stage]) * 1000

    def end_act(self, result: Mapping[str, Any], error: str) -> ActFinished | None:
        """The act under way came back, or is given up with an error sentence. None when there is none."""
        act, self.pending_act = self.pending_act, None
        if act is None:
            return None
        self.act = ActFinished(self.turn_id, act.name, act.args, result, without_controls(error))
        return self.act

    def note_utterance(self, utterance: UtteranceEnded) -> None:
        self.utterance = utterance
        waited_samples = utterance.end_sample - utterance.speech_end_sample
        self._stages_ms["endpointing"] = waited_samples / SAMPLES_PER_MS

    def note_playback(self, mic_sample: int, speaker_sample: int, now: float) -> None:
        """The reply is audible: `total` and `link` follow."""
        self.playback_began_s = now
        self.reply_start_sample = mic_sample
        self.reply_speaker_sample = speaker_sample
        if self.utterance is not None:
            total = (mic_sample - self.utterance.speech_end_sample) / SAMPLES_PER_MS
        else:
            total = (now - self.began_s) * 1000  # the turn began with no sound: no sample to count from
        self._stages_ms["link"] = max(0.0, total - sum(self._stages_ms.values()))
        self._stages_ms["total"] = total

    def note_silent_reply(self, now: float) -> None:
        """The reply is shown, not spoken: `total` ends here."""
        self._stages_ms["total"] = (now - self.began_s) * 1000 + self._stages_ms.get("endpointing", 0.0)

    def finished(self, outcome: Outcome, reply: str) -> TurnFinished:
        return TurnFinished(
            turn_id=self.turn_id,
            outcome=outcome,
            heard=self.heard,
            transcript=self.transcript,
            intent=self.intent,
            act=self.act,
            reply=reply,
            stages_ms=self.stages_ms(),
            speech_start_sample=self.utterance.speech_start_sample if self.utterance else 0,
            speech_end_sample=self.utterance.speech_end_sample if self.utterance else 0,
            reply_start_sample=self.reply_start_sample,
            reply_speaker_sample=self.reply_speaker_sample,
            reply_samples=self.played_samples,
        )

    def stages_ms(self) -> Mapping[str, float]:
        """In the order in which the stages come, rounded to a microsecond."""
        order = ("endpointing", "stt", "understanding", "act", "llm", "tts", "link", "total")
        return {stage: round(self._stages_ms[stage], 3) for stage in order if stage in self._stages_ms}
