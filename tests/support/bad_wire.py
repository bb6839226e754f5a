"""A bad wire between host and frame, in virtual time, the same for the same seed.

What real links do: rings overflow and whole runs of octets vanish, bits flip, noise and boot text are spliced in, a
hub stalls, a buffer is sent twice.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from lorgnette.firmware_bridge.sim_transport import Steppable

TEXT = b"\x1b[0;32mI (1234) wifi: state: run -> init\x1b[0m\r\n"


@dataclass(frozen=True)
class Faults:
    """Chances per piece of octets (what one side sends at one instant), except where it says otherwise.

    Attributes:
        flip: per bit.
        drop: that a run of 1 to 128 octets vanishes.
        lose: that the whole piece vanishes.
        twice: that the piece arrives twice.
        swap: that the piece overtakes the one before it, when that one still waits.
        splice: that text is spliced in somewhere.
        stall: that everything behind waits, for up to `stall_ms`.
    """

    flip: float = 0.0
    drop: float = 0.0
    lose: float = 0.0
    twice: float = 0.0
    swap: float = 0.0
    splice: float = 0.0
    stall: float = 0.0
    stall_ms: float = 50.0


@dataclass
class Line:
    """One direction. In order, unless `swap` says otherwise."""

    rng: random.Random
    faults: Faults
    hurt: int = 0  # pieces that did not arrive as they were sent
    _waiting: deque[tuple[int, bytes]] = field(default_factory=deque)
    _stalled_us: int = 0

    def put(self, now_us: int, piece: bytes) -> None:
        if not piece:
            return
        damaged = self._damage(piece)
        self.hurt += damaged != piece
        if self.rng.random() < self.faults.stall:
            self._stalled_us = now_us + round(self.rng.random() * self.faults.stall_ms * 1000)
        entry = (max(now_us, self._stalled_us), damaged)
        if self._waiting and self.rng.random() < self.faults.swap:
            self.hurt += 1
            self._waiting.insert(len(self._waiting) - 1, (self._waiting[-1][0], damaged))
        else:
            self._waiting.append(entry)

    def take(self, now_us: int) -> bytes:
        out = b""
        while self._waiting and self._waiting[0][0] <= now_us:
            out += self._waiting.popleft()[1]
        return out

    def next_us(self, otherwise: int) -> int:
        return min(self._waiting[0][0], otherwise) if self._waiting else otherwise

    def _damage(self, piece: bytes) -> bytes:
        rng, faults = self.rng, self.faults
        if rng.random() < faults.lose:
            return b""
        out = bytearray(piece)
        for _ in range(self._errors(8 * len(out))):
            bit = rng.randrange(8 * len(out))
            out[bit // 8] ^= 1 << bit % 8
        if rng.random() < faults.drop:
            at = rng.randrange(len(out))
            del out[at : at + rng.randint(1, 128)]
        if rng.random() < faults.splice:
            at = rng.randint(0, len(out))
            out[at:at] = TEXT[rng.randrange(len(TEXT)) :]
        return bytes(out) * (2 if rng.random() < faults.twice else 1)

    def _errors(self, bits: int) -> int:
        mean = bits * self.faults.flip
        count = int(mean)
        return count + (self.rng.random() < mean - count)


class BadWire:
    """A frame behind a bad wire: stepped as the frame itself is."""

    def __init__(self, frame: Steppable, seed: int, down: Faults, up: Faults | None = None) -> None:
        """`down` is towards the frame, `up` towards the host (None: as `down`)."""
        rng = random.Random(seed)
        self.down, self.up = Line(rng, down), Line(rng, up or down)
        self._frame = frame

    def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        self.down.put(now_us, rx)
        tx, next_us = self._frame.step(now_us, self.down.take(now_us))
        self.up.put(now_us, tx)
        arrived = self.up.take(now_us)
        return arrived, self.up.next_us(self.down.next_us(next_us))

    def repair(self) -> None:
        """From now on the wire is perfect; what was on its way arrives."""
        self.down.faults = self.up.faults = Faults()

    def cut(self) -> None:
        """From now on nothing arrives."""
        self.down.faults = self.up.faults = Faults(lose=1.0)

    def close(self) -> None:
        self._frame.close()
