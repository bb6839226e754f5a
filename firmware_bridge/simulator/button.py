"""The simulated frame's button: a contact that goes up and down by script."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

NEVER = 0xFFFF_FFFF_FFFF_FFFF
"""A deadline that does not come, in microseconds."""


class ScriptedButton:
    """`press()` and `script()` may be called from any thread; what they ask for begins with the frame's next step."""

    def __init__(self) -> None:
        self.down = False
        self._lock = threading.Lock()
        self._asked: deque[tuple[int, bool]] = deque()  # (delay in microseconds after the change before it, level)
        self._due: deque[tuple[int, bool]] = deque()  # (time in microseconds, level)

    def press(self, duration_ms: float = 80, *, after_ms: float = 0) -> None:
        """Press for `duration_ms`, `after_ms` after the previous press has ended (or now)."""
        self.script([(after_ms, True), (duration_ms, False)])

    def script(self, changes: Iterable[tuple[float, bool]]) -> None:
        """Change level as the pairs say: (milliseconds after the change before it, pressed or not)."""
        with self._lock:
            self._asked.extend((round(delay_ms * 1000), level) for delay_ms, level in changes)

    def changes(self, now_us: int) -> list[tuple[int, bool]]:
        """Take the changes that are due at `now_us`, oldest first."""
        with self._lock:
            at_us = self._due[-1][0] if self._due else now_us
            while self._asked:
                delay_us, level = self._asked.popleft()
                at_us += delay_us
                self._due.append((at_us, level))
        due = []
        while self._due and self._due[0][0] <= now_us:
            due.append(self._due.popleft())
        if due:
            self.down = due[-1][1]
        return due

    @property
    def next_us(self) -> int:
        """When the next change is due, as far as the frame has taken notice of it."""
        return self._due[0][0] if self._due else NEVER
