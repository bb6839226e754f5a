"""The rate of a UART: the host's half of the switch, its way back, and how much the line still has to send.

Sans-I/O: time comes in as an argument. Knows rates and pings by their numbers; must not know ports, frames or sessions.
Every session starts at `START_BAUD`. A rate counts only when a ping that was sent at it has been answered: whatever
came late from before the switch proves nothing.
"""

from __future__ import annotations

from enum import Enum

from .link_events import Event, RateChanged
from .messages import (
    BAUD_SILENCE_MS,
    BAUD_TRIAL_MS,
    CHUNK_MS,
    LIVELY_MS,
    MAX_CHUNK_BYTES,
    MIN_CHUNK_BYTES,
    SET_RATE_INTERVAL_MS,
    SET_RATE_TRIES,
    START_BAUD,
    Codec,
)

ASK_S = SET_RATE_INTERVAL_MS / 1000
TRIAL_S = BAUD_TRIAL_MS / 1000
SILENCE_S = BAUD_SILENCE_MS / 1000
LIVELY_S = LIVELY_MS / 1000
TRIAL_PING_S = 0.05
RETURN_PING_S = 0.1  # after a failed trial, until the frame is heard: its way back may take as long as its silence

# From this rate on PCM fits beside everything else: a microphone's AudioFrames fill 36 % of it.
PCM_BAUD = 921_600

BITS_PER_OCTET = 10  # start, eight, stop

# How far ahead of the line bulk data may be written: a serial port's read returns within 20 ms, and the line must not
# stand still until then. This is also how long a request may wait behind bulk data.
BULK_AHEAD_S = 0.025

USUAL_RATES = (2_000_000, 1_500_000, 921_600, 460_800, 230_400, START_BAUD)


class _Phase(Enum):
    START = "at the start rate"
    ASKING = "SetRate was sent"
    TRIAL = "the new rate waits for its first answer"
    SWITCHED = "at the rate that was wanted"
    RETURNING = "back at the start rate, which waits for its first answer"


class Rate:
    """What the host's port must be set to, and why.

    Attributes:
        baud: the rate of the port, now.
        refused: why the line does not have the rate that was wanted; None while nothing is wrong.
    """

    def __init__(self, wish: int) -> None:
        """`wish`: the rate that is wanted; 0 for a port that has none."""
        self.wish = wish
        self.baud = START_BAUD
        self.refused: str | None = None
        self._line_max = 0
        self._phase = _Phase.START
        self._wanted = START_BAUD
        self._tries = 0
        self._ask_s = 0.0
        self._trial_end_s = 0.0
        self._proof_after = 0  # the latest ping that was sent before the rate changed

    def reset(self) -> None:
        """A handshake begins."""
        self.baud, self._phase, self._line_max, self.refused = START_BAUD, _Phase.START, 0, None

    def begin(self, max_baud: int, now_s: float) -> None:
        """The session is confirmed. `max_baud`: the most that the frame's end of the line can do; 0 without a rate."""
        self._line_max = max_baud
        self._wanted = min(self.wish, max_baud)
        if self._wanted and self._wanted != START_BAUD:
            self._phase, self._tries, self._ask_s = _Phase.ASKING, 0, now_s

    @property
    def settled(self) -> bool:
        """Nothing is being tried."""
        return self._phase in (_Phase.START, _Phase.SWITCHED)

    @property
    def line_baud(self) -> int:
        """The rate of the line; 0 where it has none."""
        return self.baud if self._line_max else 0

    @property
    def chunk_bytes(self) -> int:
        """Of data in one bulk frame."""
        if not self._line_max:
            return MAX_CHUNK_BYTES
        return max(MIN_CHUNK_BYTES, min(self.baud * CHUNK_MS // (BITS_PER_OCTET * 1000), MAX_CHUNK_BYTES))

    @property
    def codec(self) -> Codec:
        """What fits the line."""
        return Codec.IMA_ADPCM if 0 < self.line_baud < PCM_BAUD else Codec.PCM16

    @property
    def ping_s(self) -> float | None:
        """The longest time between two pings; None where the heartbeat is enough."""
        match self._phase:
            case _Phase.TRIAL:
                return TRIAL_PING_S
            case _Phase.RETURNING:
                return RETURN_PING_S
            case _Phase.SWITCHED:
                return LIVELY_S
            case _:
                return None

    def question(self, now_s: float) -> int | None:
        """The rate to ask for now; None when there is nothing to ask."""
        if self._phase is not _Phase.ASKING or now_s < self._ask_s or self._tries == SET_RATE_TRIES:
            return None
        self._tries += 1
        self._ask_s = now_s + ASK_S
        return self._wanted

    def answer(self, baud: int, last_ping: int, now_s: float) -> bool:
        """Take RateSet; True when the rate changed. `last_ping`: the number of the latest ping that was sent."""
        if self._phase is not _Phase.ASKING:
            return False
        if baud == self.baud:
            self._phase = _Phase.START
            self.refused = f"the frame refuses {self._wanted} baud, so the line is at {START_BAUD} baud"
        elif baud == self._wanted:
            self.baud, self._phase = baud, _Phase.TRIAL
            self._trial_end_s, self._proof_after = now_s + TRIAL_S, last_ping
            return True
        return False

    def pong(self, number: int) -> None:
        """Ping `number` was answered."""
        if number > self._proof_after:
            if self._phase is _Phase.TRIAL:
                self._phase = _Phase.SWITCHED
            elif self._phase is _Phase.RETURNING:
                self._phase = _Phase.START

    def tick(self, last_rx_s: float, last_ping: int, now_s: float) -> bool:
        """True when the rate went back now; `refused` says why. `last_rx_s`: when the session was last heard."""
        if now_s < self.next_deadline(last_rx_s):
            return False
        if self._phase is _Phase.ASKING:
            if self._tries < SET_RATE_TRIES:
                return False
            why = f"the frame did not say whether it can do {self._wanted} baud"
        elif self._phase is _Phase.TRIAL:
            why = f"nothing came through at {self.baud} baud"
        else:
            why = f"nothing was understood at {self.baud} baud for {SILENCE_S:g} s"
        self.refused = f"{why}, so the line is at {START_BAUD} baud"
        settled = self.settled
        self.baud = START_BAUD
        self._phase = _Phase.START if settled else _Phase.RETURNING
        self._proof_after = last_ping
        return True

    def report(self) -> list[Event]:
        """For our caller, when the line does not have the rate that was wanted; else nothing."""
        if self.refused is None:
            return []
        lower = next((rate for rate in USUAL_RATES if rate < self._wanted), START_BAUD)
        return [RateChanged(self.baud, f"{self.refused}; a lower rate may hold: --baud {lower}")]

    def next_deadline(self, last_rx_s: float) -> float:
        """When `question` or `tick` has something to do; infinity when neither has."""
        match self._phase:
            case _Phase.ASKING:
                return self._ask_s
            case _Phase.TRIAL:
                return self._trial_end_s
            case _Phase.SWITCHED:
                return last_rx_s + SILENCE_S
            case _:
                return float("inf")


class LineLoad:
    """How long what was written still takes to leave. Knows only the rate: an endless line is always free."""

    def __init__(self) -> None:
        self._free_s = 0.0

    def sent(self, octets: int, line_baud: int, now_s: float) -> None:
        if line_baud:
            self._free_s = max(self._free_s, now_s) + octets * BITS_PER_OCTET / line_baud

    @property
    def takes_bulk_s(self) -> float:
        """From when on more bulk data may be written."""
        return self._free_s - BULK_AHEAD_S
