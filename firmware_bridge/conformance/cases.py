"""The list of cases: what each is called, what it checks, and the function that does it.

A case is a function of a Trial. It returns, or raises Violated or Absent; its docstring is what the frame must do.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .trial import Trial


class Level(StrEnum):
    """Each includes the ones before it."""

    CORE = "core"
    MEDIA = "media"
    ROBUST = "robust"


@dataclass(frozen=True)
class Case:
    """One rule.

    Attributes:
        number: C-01 and so on; never given to another rule.
        section: of PROTOCOL.md.
        must: what the frame must do, one sentence.
    """

    number: str
    title: str
    section: str
    must: str
    level: Level
    run: Callable[[Trial], None]

    def matches(self, word: str) -> bool:
        return word.lower() in f"{self.number} {self.title} {self.must}".lower()


_LEVELS = {"C": Level.CORE, "M": Level.MEDIA, "R": Level.ROBUST}
_MODULES = (
    *("core_session", "core_framing", "core_echo", "core_calls", "core_credit", "core_events"),
    *("media_microphone", "media_speaker", "media_photo", "media_objects", "media_rates"),
    *("robust_silence", "robust_damage", "robust_flow"),
)
_CASES: dict[str, Case] = {}


def case(number: str, title: str, section: int) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Put a function into the list."""

    def register(run: Callable[[Trial], None]) -> Callable[[Trial], None]:
        must = " ".join(inspect.cleandoc(run.__doc__ or "").split())
        if number in _CASES or not must:
            raise ValueError(f"case {number}: a second one, or one without a sentence")
        _CASES[number] = Case(number, title, str(section), must, _LEVELS[number[0]], run)
        return run

    return register


def every_case() -> list[Case]:
    """In the order in which they run."""
    for module in _MODULES:
        importlib.import_module(f".{module}", __package__)
    order = list(_LEVELS)
    return sorted(_CASES.values(), key=lambda c: (order.index(c.number[0]), c.number))


def cases_of(level: Level, word: str = "") -> list[Case]:
    """The cases of a level and of those before it, as far as they match `word`."""
    levels = list(Level)
    wanted = levels[: levels.index(level) + 1]
    return [c for c in every_case() if c.level in wanted and c.matches(word)]
