"""How a turn goes: what the user may choose about it."""

from __future__ import annotations

from dataclasses import dataclass

from .events import Stage


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """How a turn goes.

    Attributes:
        reply_to_rejected: say "I did not catch that." when the recogniser refuses what it heard.
        voice: speak the replies; without it they are only reported.
        language_model: there is one, for what the templates do not understand.
        sentence_pause_ms: silence between two sentences of a reply.
        max_reply_sentences: a language model that goes on for longer is cut off.
        max_waiting: entered texts and due timers that may wait while a turn runs.
        *_timeout_s: the longest wait for the next sign of life of each stage; `link` is from the last audio sent (or
            its end, once playback runs) to the frame's report.
    """

    reply_to_rejected: bool = True
    voice: bool = True
    language_model: bool = False
    sentence_pause_ms: int = 150
    max_reply_sentences: int = 40
    max_waiting: int = 64
    stt_timeout_s: float = 30.0
    understanding_timeout_s: float = 5.0
    act_timeout_s: float = 20.0
    llm_timeout_s: float = 30.0
    tts_timeout_s: float = 15.0
    link_timeout_s: float = 5.0

    def timeout_s(self, stage: Stage) -> float:
        timeout: float = getattr(self, f"{stage}_timeout_s")
        return timeout
