"""A simulated frame behind a bad cable, which may be unplugged and reset: stepped as the frame itself is.

Knows two Lines and the frame between them; no port, no clock, no meaning of any octet.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .errors import DeviceLost
from .fault_line import AT_TEXT, BOOT_TEXT, BROWNOUT_TEXT, ENDLESS, PANIC_TEXT, Line
from .faults import Faults, SupplyFailed
from .messages import START_BAUD, ResetReason

if TYPE_CHECKING:
    from .sim_transport import Steppable

BOOT_US = 300_000
"""From a reset to the frame's first words, its boot log aside: an ESP32-S3 with its usual boot loader."""
RESETS = {
    "reset": (ResetReason.SOFTWARE, b"", ""),
    "panic": (ResetReason.PANIC, PANIC_TEXT, "crashed: LoadProhibited at 0x4037a6f1, core 0, {:d} s after boot"),
    "brownout": (ResetReason.BROWN_OUT, BROWNOUT_TEXT, ""),
}
"""Why a frame boots again: its own word for it, what it prints before its boot log, and the line that it keeps for its
log, which reads as hardware/firmware/main/panic_note.c writes it."""
POLL_US = 2000
"""How often a frame is stepped that has more to say than the line takes."""


class Unplugged(DeviceLost):
    """The cable is out; the frame lives on. `next_us`: when it must be stepped again."""

    def __init__(self, next_us: int) -> None:
        super().__init__("The simulated cable is unplugged.", "Wait until it is back: the address says when.")
        self.next_us = next_us


class FaultyFrame:
    """A simulated frame behind a bad cable: stepped as the frame itself is.

    Attributes:
        down, up: the directions, towards the frame and towards the host.
        counts: what befell the frame, by the words of faults.FAULTS.
    """

    def __init__(
        self,
        boot: Callable[[], Steppable],
        faults: Faults,
        seed: int = 0,
        *,
        up: Faults | None = None,
        uart: bool = False,
        tell: Callable[[ResetReason, str], object] = lambda reason, note: None,
    ) -> None:
        """`boot` makes the frame, once more at each reset.

        Args:
            faults: of both directions, and what befalls the frame.
            up: of the direction to the host, where it differs.
            uart: the line has a rate, the one that `set_baud` sets; `faults.rate_baud` is the most that it carries.
            tell: called before the frame is made again: why, and the line that the old one has kept for its log.
        """
        rng = random.Random(seed)
        self.down, self.up = Line(faults, rng), Line(up or faults, rng, to_host=True)
        self.counts: Counter[str] = Counter()
        self._boot = boot
        self._frame = boot()
        self._uart = uart
        self._tell = tell
        self._faults = faults
        self._baud = START_BAUD
        self._boots_us = 0  # its newest boot: the frame is dead until then
        self._away_us = 0  # the cable is out until then
        self._happens: list[tuple[int, str, int]] | None = None  # (at, what, for how long), what is still to come
        self.set_baud(START_BAUD)
        self._set_line_rate(START_BAUD)

    def step(self, now_us: int, rx: bytes, room: int = ENDLESS) -> tuple[bytes, int]:
        """As `Steppable.step`. Raises Unplugged while the cable is out."""
        if self._happens is None:
            self._begin(now_us)
        while self._happens and self._happens[0][0] <= now_us:
            self._happen(*self._happens.pop(0))
        plugged = now_us >= self._away_us
        if plugged:
            self.down.put(now_us, rx)
        heard = self.down.take(now_us)
        if now_us < self._boots_us:  # nobody hears it
            tx, next_us = b"", self._boots_us
        else:
            may_send = self.up.room(now_us) if plugged else ENDLESS
            tx, next_us = self._live(now_us, heard, may_send)
        if self._happens:
            next_us = min(next_us, self._happens[0][0])
        if not plugged:
            raise Unplugged(min(next_us, self._away_us))
        self.up.put(now_us, tx)
        arrived = self.up.take(now_us, room)
        return arrived, min(next_us, self.down.next_us(), self.up.next_us())

    def _live(self, now_us: int, heard: bytes, room: int) -> tuple[bytes, int]:
        try:
            tx, next_us = self._frame.step(now_us, heard, room)
        except SupplyFailed:
            self._happen(now_us, "brownout", 0)
            return b"", self._boots_us
        if next_us <= now_us and len(tx) >= room:  # more waits; its own deadlines are not to be overslept
            next_us = max(now_us + 1, min(self.up.ready_us(), now_us + POLL_US))
        return tx, next_us

    def set_baud(self, baud: int) -> None:
        """The host's side of the line has this rate now."""
        self._baud = baud
        self._frame.set_baud(baud)
        self._set_line_rate(baud)

    def _set_line_rate(self, baud: int) -> None:
        if self._uart:
            for line in (self.down, self.up):
                line.set_rate(min(baud, self._faults.rate_baud or baud))

    def repair(self) -> None:
        """From now on the cable is perfect, and nothing befalls the frame; what was on its way arrives."""
        self._happens, self._away_us = [], 0
        for line in (self.down, self.up):
            line.set_faults(Faults(rate_baud=line.faults.rate_baud if self._uart else 0))

    def cut(self) -> None:
        """From now on nothing arrives."""
        for line in (self.down, self.up):
            line.set_faults(replace(line.faults, lose=1.0))

    def close(self) -> None:
        self._frame.close()

    def _begin(self, now_us: int) -> None:
        """The times of what is to happen count from the first step."""

        def at(time_s: float) -> int:
            return now_us + round(1e6 * time_s)

        faults = self._faults
        self._boots_us = now_us
        times = {"reset": faults.reset_s, "panic": faults.panic_s, "brownout": faults.brownout_s}
        happens = [(at(time_s), word, 0) for word, times_s in times.items() for time_s in times_s]
        happens += [(at(time_s), "unplug", round(1e6 * for_s)) for time_s, for_s in faults.unplug_s]
        if faults.mute_s is not None:
            happens.append((at(faults.mute_s), "mute", 0))
        self._happens = sorted(happens)
        if faults.bootlog:
            self.up.put(now_us, BOOT_TEXT)
            self.down.put(now_us, AT_TEXT)

    def _happen(self, at_us: int, what: str, length_us: int) -> None:
        """Whatever it is, what was on its way is lost."""
        self.counts[what] += 1
        self.down.cut()
        self.up.cut()
        if what == "unplug":
            self._away_us = at_us + length_us
        elif what == "mute":
            self.cut()
        else:
            self._reset(at_us, what)

    def _reset(self, at_us: int, what: str) -> None:
        reason, text, note = RESETS[what]
        self._tell(reason, note.format(max(0, at_us - self._boots_us) // 1_000_000))
        self._boots_us = at_us + BOOT_US
        self._frame = self._boot()  # the old one is not closed: its parts live on
        self._frame.set_baud(self._baud)
        self.up.put(at_us, text + BOOT_TEXT)
