"""From a sentence to an intent by templates: what the assistant understands without a language model.

Knows the templates of `templates/<language>.yaml` and how people write numbers. Knows nothing of audio, of turns or of
what an intent does. Matching is exact on the normalised text; a single misspelt word of a fixed phrase is forgiven.
hassil and rapidfuzz are imported on first use.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from .engines.protocols import EngineError, EngineInfo
from .events import Intent

MAX_TEXT_CHARS = 300  # longer than any template; more than this is a dictation, not a command

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SMALL = {word: value for value, word in enumerate(_ONES)}
_TEN = {word: 20 + 10 * index for index, word in enumerate(_TENS)}
_NUMBER_WORDS = {**_SMALL, **_TEN}

# One misspelt word is forgiven, these never: a slip between them turns a command into its opposite.
_NEVER_GUESSED = frozenset(
    "up down on off mute unmute louder quieter increase decrease lower raise start stop set cancel not no dont".split()
)
_MIN_PHRASE_RATIO = 85.0
_MIN_WORD_RATIO = 84.0

_ONE_SPELLING = {
    "whats": "what's",
    "hows": "how's",
    "todays": "today's",
    "thats": "that's",
    "cant": "can't",
    "min": "minutes",
    "mins": "minutes",
    "sec": "seconds",
    "secs": "seconds",
}
_UNIT_SECONDS = {"hours": 3600, "minutes": 60, "seconds": 1}


def normalize(text: str) -> str:
    """Bring a sentence to the templates' form: lower case, no punctuation, numbers as digits, single spaces."""
    text = text.lower().replace("\u2019", "'").replace("%", " percent ")
    text = re.sub(r"(?<!\w)-(?=\d)", " minus ", text)  # no template takes it: -5 must not be done as 5
    text = re.sub(r"\b(\d+)\.5\b", r"\1 and a half", text)
    text = re.sub(r"[^\w' ]+|_", " ", text)
    text = re.sub(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)", " ", text)  # "5min", "10s"
    words = [_ONE_SPELLING.get(word, word) for word in (token.strip("'") for token in text.split()) if word]
    return " ".join(_digits(words))


def _digits(words: Sequence[str]) -> Iterator[str]:
    """Number words to digits: "twenty five" is 25, "a hundred" is 100, "one minute thirty" stays two numbers."""
    i = 0
    while i < len(words):
        word, following = words[i], words[i + 1] if i + 1 < len(words) else ""
        if following == "hundred" and (word == "a" or 0 < _SMALL.get(word, 0) < 10):
            value, i = 100 * _SMALL.get(word, 1), i + 2
            skip = 1 if i + 1 < len(words) and words[i] == "and" and words[i + 1] in _NUMBER_WORDS else 0
            rest, used = _below_hundred(words, i + skip)
            yield str(value + rest)
            i += skip + used if used else 0
        elif word == "hundred":
            yield "100"
            i += 1
        else:
            value, used = _below_hundred(words, i)
            yield str(value) if used else word
            i += used or 1


def _below_hundred(words: Sequence[str], i: int) -> tuple[int, int]:
    """(value, words used) of the number from 0 to 99 at position i; used is 0 when there is none."""
    if i >= len(words):
        return 0, 0
    if words[i] in _TEN:
        ones = _SMALL.get(words[i + 1], 0) if i + 1 < len(words) else 0
        return (_TEN[words[i]] + ones, 2) if 0 < ones < 10 else (_TEN[words[i]], 1)
    return (_SMALL[words[i]], 1) if words[i] in _SMALL else (0, 0)


def written(sentence: str) -> str:
    """A normalised sentence as a recogniser writes it: "set a timer for 5 minutes" -> "Set a timer for five minutes."

    Words below ten, digits from ten on, a capital first, a full stop or a question mark last.
    """
    words = [_ONES[int(word)] if word.isdigit() and int(word) < 10 else word for word in sentence.split()]
    text = " ".join("I" if word == "i" else word for word in words)
    question = words[0] in {"what", "what's", "how", "do", "can", "could"}
    return text[0].upper() + text[1:] + ("?" if question else ".")


@dataclass(frozen=True, slots=True)
class EarSentence:
    """A sentence that the embedded ear is trained on, in written form, and what it means."""

    text: str
    intent: Intent


@dataclass
class Understanding:
    """The templates of one language.

    Raises:
        EngineError: there are no templates for this language.
    """

    language: str = "en"
    _source: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import yaml

        file = resources.files(__package__).joinpath("templates", f"{self.language}.yaml")
        if not re.fullmatch(r"[a-z]{2}", self.language) or not file.is_file():
            raise EngineError(
                "understanding",
                f"There are no sentence templates for the language '{self.language}'.",
                "lorgnette config set language en",
            )
        self._source = yaml.safe_load(file.read_text(encoding="utf-8"))

    @functools.cached_property
    def info(self) -> EngineInfo:
        return EngineInfo("understanding", "hassil", self.language, {"sentences": sum(1 for _ in self.sentences())})

    def match(self, text: str) -> Intent | None:
        """The intent of a sentence, None when no template fits it."""
        if len(text) > MAX_TEXT_CHARS:
            return None
        sentence = normalize(text)
        return next((i for i in map(self._recognize, self._without_politeness(sentence)) if i), None) or self._guess(
            sentence
        )

    def sentences(self) -> Iterator[str]:
        """Every sentence of the templates, without politeness; a number stands as `{minutes}` and counts once."""
        for _, sentence, _ in self._expand(self._intents, expand_ranges=False):
            yield sentence

    def ear_sentences(self) -> Iterator[EarSentence]:
        """Every sentence that the embedded ear is trained on: the `ear` blocks with the spoken values."""
        seen: set[str] = set()
        for _, sentence, polite in self._expand(self._spoken, only_ear=True):
            if _disagrees(sentence):
                continue
            plain = written(sentence)
            bare = plain.rstrip(".?")
            lower = bare[0].lower() + bare[1:]
            forms = [plain]
            for form in self._source["ear"]["polite"] if polite else ():
                forms.append(form.format(bare if form.startswith("{") else lower))
            for form in forms:
                intent = self.match(form)
                if intent is None:
                    raise ValueError(f"the templates do not understand their own sentence {form!r}")
                if form not in seen:
                    seen.add(form)
                    yield EarSentence(form, intent)

    # ------------------------------------------------------------ matching
    @functools.cached_property
    def _intents(self) -> Any:
        from hassil import Intents

        return Intents.from_dict(dict(self._source))

    @functools.cached_property
    def _spoken(self) -> Any:
        """The same templates with the number ranges narrowed to what people say."""
        from hassil import Intents

        spoken = {name: {"values": [str(v) for v in values]} for name, values in self._source["ear"]["spoken"].items()}
        return Intents.from_dict({**self._source, "lists": {**self._source["lists"], **spoken}})

    def _without_politeness(self, sentence: str) -> Iterator[str]:
        """The sentence, then the sentence with courtesies taken off in front, behind, and both."""
        yield sentence
        before = _strip(sentence, self._source["polite"]["before"], front=True)
        after = _strip(sentence, self._source["polite"]["after"], front=False)
        both = _strip(before, self._source["polite"]["after"], front=False)
        yield from dict.fromkeys(s for s in (before, after, both) if s and s != sentence)

    def _recognize(self, sentence: str) -> Intent | None:
        from hassil import recognize_best

        found = recognize_best(sentence, self._intents) if sentence else None
        if found is None:
            return None
        slots = {name: entity.value for name, entity in found.entities.items()}
        name = found.intent.name
        if name == "SetTimer":
            return Intent(name, {"seconds": _seconds(slots)})
        return Intent(name, {key: int(value) for key, value in slots.items()})

    @functools.cached_property
    def _fixed_phrases(self) -> Mapping[int, Sequence[tuple[str, str]]]:
        """Fixed phrases without numbers by their count of words: (phrase, intent)."""
        by_length: dict[int, list[tuple[str, str]]] = {}
        for name, sentence, _ in self._expand(self._intents, expand_ranges=False, only_ear=True):
            if not re.search(r"[{\d]", sentence) and name != "SetTimer":
                by_length.setdefault(len(sentence.split()), []).append((sentence, name))
        return by_length

    def _guess(self, sentence: str) -> Intent | None:
        """The one fixed phrase of two words or more that differs from the sentence in the spelling of one word."""
        from rapidfuzz import fuzz

        words = sentence.split()
        if len(words) < 2 or any(word.isdigit() for word in words):
            return None
        names = set()
        for phrase, name in self._fixed_phrases.get(len(words), ()):
            differing = [pair for pair in zip(words, phrase.split(), strict=True) if pair[0] != pair[1]]
            if (
                len(differing) == 1
                and not _NEVER_GUESSED.intersection(differing[0])
                and fuzz.ratio(*differing[0]) >= _MIN_WORD_RATIO
                and fuzz.ratio(sentence, phrase) >= _MIN_PHRASE_RATIO
            ):
                names.add(name)
        return Intent(names.pop()) if len(names) == 1 else None

    # ------------------------------------------------------------ enumeration
    @staticmethod
    def _expand(intents: Any, *, expand_ranges: bool = True, only_ear: bool = False) -> Iterator[tuple[str, str, bool]]:
        """(intent name, sentence, polite) of the templates, each sentence once per intent."""
        from hassil import sample_expression

        for name, intent in intents.intents.items():
            seen: set[str] = set()
            for data in intent.data:
                metadata = data.metadata or {}
                if only_ear and not metadata.get("ear"):
                    continue
                for sentence in itertools.chain.from_iterable(
                    sample_expression(
                        template.expression, intents.slot_lists, intents.expansion_rules, expand_ranges=expand_ranges
                    )
                    for template in data.sentences
                ):
                    text = " ".join(sentence.split())
                    if text not in seen:
                        seen.add(text)
                        yield name, text, bool(metadata.get("polite"))


def _strip(sentence: str, courtesies: Sequence[str], *, front: bool) -> str:
    """Take courtesies off one end, longest first, until none is left."""
    ordered = sorted(courtesies, key=len, reverse=True)
    while True:
        for courtesy in ordered:
            if front and sentence.startswith(courtesy + " "):
                sentence = sentence[len(courtesy) + 1 :]
                break
            if not front and sentence.endswith(" " + courtesy):
                sentence = sentence[: -len(courtesy) - 1]
                break
        else:
            return sentence


def _seconds(slots: Mapping[str, Any]) -> int:
    """Length of a timer: "one minute thirty" is 90 seconds, "one hour thirty" is 90 minutes."""
    for phrase in ("span", "rare_span"):
        if phrase in slots:
            return int(slots[phrase])
    return sum(int(slots.get(unit, 0)) * seconds for unit, seconds in _UNIT_SECONDS.items())


def _disagrees(sentence: str) -> bool:
    """Whether a number and its unit disagree ("1 minutes", "5 minute" outside "a 5 minute timer")."""
    for number, unit, rest in re.findall(r"\b(\d+) (hours?|minutes?|seconds?)\b( timer)?", sentence):
        plural = unit.endswith("s")
        if plural != (number != "1" and not rest):
            return True
    return False
