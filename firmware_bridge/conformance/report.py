"""Verdicts, and the report that they make. Knows no frame and no case's contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA = 1


class Verdict(StrEnum):
    OK = "OK"
    NON_STRICT = "NON-STRICT"  # works, but departs from a SHOULD or a figure
    UNIMPLEMENTED = "UNIMPLEMENTED"  # the frame declares that it has no such thing
    FAILED = "FAILED"


@dataclass(frozen=True)
class Result:
    """One case's outcome.

    Attributes:
        detail: what was seen, where the verdict is not OK; "" otherwise.
        figures: what was measured; the unit ends the name.
        took_ms: by the port's clock.
    """

    number: str
    title: str
    section: str
    level: str
    verdict: Verdict
    detail: str
    figures: Mapping[str, float]
    took_ms: float

    def record(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "number": self.number,
            "title": self.title,
            "section": self.section,
            "level": self.level,
            "verdict": str(self.verdict),
            "detail": self.detail,
            "figures": {name: round(value, 3) for name, value in self.figures.items()},
            "took_ms": round(self.took_ms, 1),
        }


@dataclass
class Report:
    """One run.

    Attributes:
        frame: what the frame declared.
        clock: "virtual" or "wall".
        seed: makes the same damage again.
        complete: every case that was asked for has a result.
    """

    frame: Mapping[str, Any]
    port: str
    clock: str
    level: str
    seed: int
    results: list[Result] = field(default_factory=list)
    complete: bool = False

    @property
    def counts(self) -> dict[Verdict, int]:
        found = Counter(result.verdict for result in self.results)
        return {verdict: found[verdict] for verdict in Verdict}

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.results if result.verdict is Verdict.FAILED]

    def record(self) -> dict[str, Any]:
        """As plain JSON, schema 1."""
        return {
            "schema": SCHEMA,
            "complete": self.complete,
            "level": self.level,
            "port": self.port,
            "clock": self.clock,
            "seed": self.seed,
            "frame": dict(self.frame),
            "summary": {str(verdict): count for verdict, count in self.counts.items()},
            "cases": [result.record() for result in self.results],
        }
