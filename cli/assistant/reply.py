"""One reply on its way: text in, sentences to the voice; audio in, one stream to the speaker; and where each of it is.

Knows the order of sentences and samples. Knows no state, no deadline and no stage: those are the turn's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .audio import SAMPLE_BYTES
from .events import Effect, Notify, Play, ReplySpoken, Synthesize


@dataclass(slots=True)
class SpokenSentence:
    """A sentence given to the voice, and where in the reply its audio begins (None: not made yet)."""

    text: str
    start_sample: int | None = None


class Reply:
    """The reply of one turn.

    Args:
        turn_id: goes into every effect.
        voice: False reports the sentences and synthesises nothing.
        pause_samples: silence between two sentences.
    """

    def __init__(self, turn_id: int, *, voice: bool, pause_samples: int) -> None:
        self._turn_id = turn_id
        self._voice = voice
        self._pause = bytes(pause_samples * SAMPLE_BYTES)
        self._sentences: list[SpokenSentence] = []
        self._made = 0
        self._closed = False
        self.text_complete = False
        self.sent_samples = 0

    @property
    def sentence_count(self) -> int:
        return len(self._sentences)

    @property
    def voice_works(self) -> bool:
        """A sentence is with the voice."""
        return self._voice and self._made < len(self._sentences)

    @property
    def all_made(self) -> bool:
        """The text is whole, and so is its audio."""
        return self.text_complete and not self.voice_works

    @property
    def closed(self) -> bool:
        """The speaker has been given the end of the reply."""
        return self._closed

    def text(self) -> str:
        return " ".join(sentence.text for sentence in self._sentences)

    def text_begun_before(self, reply_sample: int) -> str:
        """The sentences that had begun to sound when `reply_sample` samples of the reply had been played."""
        begun = (s.text for s in self._sentences if s.start_sample is not None and s.start_sample < reply_sample)
        return " ".join(begun)

    def add(self, sentences: Sequence[str]) -> list[Effect]:
        """Say these next."""
        effects: list[Effect] = []
        for text in sentences:
            self._sentences.append(SpokenSentence(text))
            effects.append(Notify(ReplySpoken(self._turn_id, text)))
            if self._voice:
                effects.append(Synthesize(self._turn_id, text))
        return effects

    def made(self, pcm: bytes, *, last: bool) -> list[Effect]:
        """Audio of the sentence that the voice is at; `last` ends it. Call only while the voice works."""
        effects: list[Effect] = []
        sentence = self._sentences[self._made]
        if pcm:
            if sentence.start_sample is None:
                if self.sent_samples and self._pause:
                    effects.append(self._play(self._pause))
                sentence.start_sample = self.sent_samples
            effects.append(self._play(pcm))
        self._made += last
        return effects

    def close(self) -> list[Effect]:
        """The end of the reply, for the speaker."""
        if self._closed:
            return []
        self._closed = True
        return [Play(self._turn_id, b"", last=True)]

    def _play(self, pcm: bytes) -> Play:
        self.sent_samples += len(pcm) // SAMPLE_BYTES
        return Play(self._turn_id, pcm)
