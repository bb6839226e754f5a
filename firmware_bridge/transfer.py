"""What reading and writing a bulk object share: one question at a time, silence noticed, and an end to patience.

Sans-I/O and without frames. Knows neither direction nor octets: a subclass says what it asks and what has come of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from .errors import BridgeError, RequestTimeout
from .link_events import ObjectFailed, ObjectReceived, ObjectWritten
from .messages import OBJECT_STALL_MS

STALL_S = OBJECT_STALL_MS / 1000  # silence after which what was under way is taken for lost

# Restarts in a row that brought nothing, then we give up: 3 s of stalls, as long as the link waits for a dead peer.
MAX_FRUITLESS = 10


class Transfer(ABC):
    """One object on its way.

    Attributes:
        call_id: of the question that is under way, if any.
        outcome: None until the end, then what to tell the caller.
        restarts: how often it was asked for again.
    """

    outcome: ObjectReceived | ObjectWritten | ObjectFailed | None

    def __init__(self, object_id: int) -> None:
        self.object_id = object_id
        self.call_id: int | None = None
        self.outcome = None
        self.restarts = -1  # the first question is none
        self._must_ask = True
        self._stall_s: float | None = None
        self._fruitless = 0

    def asked(self, call_id: int) -> None:
        self.call_id, self._must_ask, self._stall_s = call_id, False, None
        self.restarts += 1

    def tick(self, now_s: float) -> None:
        if self.outcome is None and self._stall_s is not None and now_s >= self._stall_s:
            self._ask_again()

    def next_deadline(self) -> float | None:
        return self._stall_s if self.outcome is None else None

    def _ask_again(self) -> None:
        self._must_ask, self._stall_s = True, None
        self._fruitless += 1
        self._give_up_if_fruitless()

    def _give_up_if_fruitless(self) -> None:
        if self._fruitless > MAX_FRUITLESS:
            self._fail(
                RequestTimeout(self._standstill(), "Try again; with a long cable choose a lower rate: --baud 460800")
            )

    @abstractmethod
    def _standstill(self) -> str:
        """The sentence for a transfer that does not get on."""

    def _fail(self, error: BridgeError) -> None:
        self.outcome = ObjectFailed(self.object_id, error)
