"""What is said: commands from the templates, free words, near misses and other speech, for training and for scoring.

The sentences of the three purposes (training, choosing thresholds, scoring) are kept apart. A clip's label is its
written text, or None for speech that must be refused.
"""

from __future__ import annotations

import difflib
import random
import re
from dataclasses import dataclass
from functools import cached_property

import other_speech

from lorgnette.cli.assistant.understanding import EarSentence, Understanding

HELD_OUT = 40  # command sentences that training never hears
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def spoken(text: str) -> str:
    """Written form to the words that a voice reads: lower case, numbers as words."""

    def number(match: re.Match[str]) -> str:
        n = int(match.group())
        if n == 100:
            return "one hundred"
        return _ONES[n] if n < 20 else (_TENS[n // 10] + (f" {_ONES[n % 10]}" if n % 10 else ""))

    return re.sub(r"\d+", number, re.sub(r"[.,?]", "", text.lower()))


@dataclass(frozen=True)
class Line:
    """One sentence to be spoken. `text` is its label, None when it must be refused."""

    text: str | None
    words: str
    kind: str


class Material:
    """The sentences of one language and the random mixtures drawn from them."""

    def __init__(self) -> None:
        self.understanding = Understanding("en")
        self.commands = list(self.understanding.ear_sentences())
        rng = random.Random(7)
        numbered = [c for c in self.commands if re.search(r"\d", c.text) and self._kind(c) != "fixed"]
        polite = [c for c in self.commands if self._kind(c) == "fixed" and re.search(r"lease|^Can|^Could", c.text)]
        held = rng.sample(numbered, HELD_OUT * 3 // 4) + rng.sample(polite, HELD_OUT // 4)
        self.held_out = sorted(held, key=lambda c: c.text)
        hidden = {c.text for c in held}
        self.trained = [c for c in self.commands if c.text not in hidden]
        known = {word for c in self.trained for word in spoken(c.text).split()}
        assert all(word in known for c in held for word in spoken(c.text).split()), "a held-out word is never trained"

    @staticmethod
    def _kind(command: EarSentence) -> str:
        return {"SetTimer": "timer", "SetVolume": "volume"}.get(command.intent.name, "fixed")

    @cached_property
    def vocabulary(self) -> list[str]:
        """Every word of the trained commands, in written form."""
        words = {word.strip(".,?") for c in self.trained for word in c.text.split()}
        return sorted({word if word == "I" else word.lower() for word in words})

    @cached_property
    def _groups(self) -> list[tuple[float, list[EarSentence], list[float]]]:
        groups = []
        for kind, share in (("timer", 0.36), ("volume", 0.2), ("fixed", 0.44)):
            chosen = [c for c in self.trained if self._kind(c) == kind]
            weights = [0.5 if re.search(r"lease|^Can you|^Could you", c.text) else 1.0 for c in chosen]
            groups.append((share, chosen, weights))
        return groups

    def command(self, rng: random.Random) -> Line:
        _, chosen, weights = rng.choices(self._groups, [share for share, _, _ in self._groups])[0]
        text = rng.choices(chosen, weights)[0].text
        return Line(text, spoken(text), "command")

    def free_words(self, rng: random.Random) -> Line:
        """Known words that are no command, labelled with themselves, so that the decoder listens to every word."""
        while True:
            words = [word.strip(".,?") for word in rng.choice(self.trained).text.split()]
            way = rng.random()
            if way < 0.4:
                words = rng.sample(self.vocabulary, rng.randint(1, 5))
            elif way < 0.65:  # a piece of a command
                start = rng.randrange(len(words))
                words = words[start : start + rng.randint(1, max(1, len(words) - 1))]
            else:  # a command with one or two words exchanged
                for _ in range(rng.randint(1, 2)):
                    words[rng.randrange(len(words))] = rng.choice(self.vocabulary)
            words = [word if word == "I" else word.lower() for word in words]
            text = " ".join(words)
            text = text[0].upper() + text[1:] + rng.choice(".?")
            if self.understanding.match(text) is None:
                return Line(text, spoken(text), "free words")

    def near_miss(self, rng: random.Random) -> Line:
        """Resembles a command and is none: a pattern, or a command with a word exchanged for a foreign one."""
        while True:
            if rng.random() < 0.5:
                words = other_speech.near_miss(rng).split()
            else:
                words = spoken(rng.choice(rng.choices(self._groups, [0.2, 0.2, 0.6])[0][1]).text).split()
                i = rng.randrange(len(words))
                if len(words) < 2 or words[i] in ("a", "an", "the", "is", "to", "for", "please", "i"):
                    continue
                foreign = other_speech.word(rng)
                if difflib.SequenceMatcher(None, words[i], foreign).ratio() > 0.5:
                    continue
                words[i] = foreign
            if self._is_foreign(words):
                return Line(None, " ".join(words), "near miss")

    def other(self, rng: random.Random) -> Line:
        return Line(None, other_speech.strange(rng), "other speech")

    def _is_foreign(self, words: list[str]) -> bool:
        text = " ".join(words)
        return text not in other_speech.KEPT_APART and self.understanding.match(text) is None

    def training(self, rng: random.Random) -> Line:
        draw = rng.random()
        if draw < 0.50:
            return self.command(rng)
        if draw < 0.67:
            return self.free_words(rng)
        if draw < 0.88:
            return self.near_miss(rng)
        return self.other(rng)
