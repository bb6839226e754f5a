"""Timers that the user sets: kept by the host, told by its monotonic clock, which the caller passes in."""

from __future__ import annotations

from dataclasses import dataclass

MAX_TIMERS = 20
MAX_TIMER_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Timer:
    """`due_s` is on the clock of the `now` that set it."""

    seconds: int
    due_s: float
    label: str = ""

    def left_s(self, now: float) -> int:
        """Whole seconds that remain, rounded up: a timer with anything left never reads zero."""
        return max(0, -int(-(self.due_s - now) // 1))


class Timers:
    """All running timers, soonest first."""

    def __init__(self) -> None:
        self._timers: list[Timer] = []

    def set(self, seconds: int, now: float, label: str = "") -> Timer:
        """Start one. Raises ValueError, with a sentence, when it is too long or there are too many."""
        if not 1 <= seconds <= MAX_TIMER_S:
            raise ValueError("a timer can be one second to twenty four hours long")
        if len(self._timers) >= MAX_TIMERS:
            raise ValueError("there are too many timers already")
        timer = Timer(seconds, now + seconds, label)
        self._timers.append(timer)
        self._timers.sort(key=lambda running: running.due_s)
        return timer

    def cancel(self) -> list[Timer]:
        """Stop all of them; returns what was stopped."""
        stopped, self._timers = self._timers, []
        return stopped

    def running(self) -> list[Timer]:
        return list(self._timers)

    def take_due(self, now: float) -> list[Timer]:
        """Remove and return the timers that have run out."""
        due = [timer for timer in self._timers if timer.due_s <= now]
        self._timers = self._timers[len(due) :]
        return due

    def next_deadline(self) -> float | None:
        return self._timers[0].due_s if self._timers else None
