"""A bad line between a real port and whoever connects here: octets both ways through two Lines, under the wall clock.

Knows a Transport on the near side, which may go away and be opened again, and a Door on the far side, where clients
come and go; must not know what a frame means. One thread pumps; another only watches the door and wakes it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from .errors import TransportError
from .fault_line import AT_TEXT, BOOT_TEXT, Line
from .faults import Faults
from .transport import Transport

# The longest that the pump sleeps: a simulated frame behind the near side must be looked at now and then.
LONGEST_WAIT_S = 0.2

# A client that does not read is tried again after this time.
FULL_WAIT_S = 0.005

# Octets on their way into a door that takes none; the line is not emptied meanwhile.
MAX_REST_BYTES = 4096

# Before each try to open a port that went away: the pause doubles from the first to the second, until octets come.
REOPEN_S = (0.2, 3.0)

# What befalls a frame cannot befall one that somebody holds in his hand.
ONLY_SIMULATED = ("reset", "panic", "brownout")


class Door(Protocol):
    """Where clients connect, one at a time. Every method returns at once, except `wait`, which another thread may call.

    Attributes:
        address: what a client opens.
        counts: "clients" that have come so far, as far as the system tells, and those "refused" as there was one.
    """

    address: str
    counts: Counter[str]

    def wait(self, timeout_s: float) -> bool:
        """Whether a client, or something of one, has come within this time."""

    def read(self) -> bytes:
        """What the client has sent; none also when there is none."""

    def write(self, octets: bytes) -> int:
        """Hand octets to the client; returns how many it took. Without a client they are gone."""

    def baud(self) -> int | None:
        """The rate that the client has set, where it can set one that we can see."""

    def shut(self) -> None:
        """Turn the client out, and let nobody in until `open`."""

    def open(self) -> None:
        """Let clients in."""

    def close(self) -> None:
        """Idempotent."""


class Proxy:
    """A bad line. `run` it; `stop` ends it from any thread.

    Attributes:
        down, up: the directions, towards the near side (the frame) and away from it.
        counts: "clients" and those "refused", how often the cable was unplugged, and the port was "gone".
    """

    def __init__(
        self,
        near: Transport,
        reopen: Callable[[], Transport],
        door: Door,
        faults: Faults,
        seed: int = 0,
        tell: Callable[[str], None] = lambda word: None,
    ) -> None:
        """A line between `near` and `door`. The port is the proxy's from now on, the door stays its owner's.

        Args:
            reopen: opens the port again after it went away; raises TransportError while it is not there.
            tell: called with "client", "refused", "unplugged", "plugged", "mute", "gone" and "back" when that happens.
        """
        rng = random.Random(seed)
        self.down, self.up = Line(faults, rng), Line(faults, rng, to_host=True)
        self.counts: Counter[str] = Counter()
        self._near: Transport | None = near
        self._reopen, self._door, self._tell = reopen, door, tell
        self._reopen_us, self._pause_us = 0, round(1e6 * REOPEN_S[0])
        self._faults = faults
        self._baud: int | None = None
        self._start_s = time.monotonic()
        self._happens = self._schedule(faults)
        self._rest = b""  # what the client has not taken yet
        self._came = threading.Event()  # something is at the door
        self._looked = threading.Event()  # and the pump has been there
        self._stopped = threading.Event()

    @staticmethod
    def _schedule(faults: Faults) -> list[tuple[int, str]]:
        out = [(round(1e6 * at_s), "unplugged") for at_s, _ in faults.unplug_s]
        out += [(round(1e6 * (at_s + for_s)), "plugged") for at_s, for_s in faults.unplug_s]
        out += [(round(1e6 * faults.mute_s), "mute")] if faults.mute_s is not None else []
        return sorted(out)

    def run(self) -> None:
        """Pump until `stop`. A port that goes away is waited for."""
        watcher = threading.Thread(target=self._watch, name="lorgnette-proxy-door", daemon=True)
        try:
            watcher.start()
            self._door.open()
            if self._faults.bootlog:
                self.up.put(self._now_us(), BOOT_TEXT)
                self.down.put(self._now_us(), AT_TEXT)
            while not self._stopped.is_set():
                self._pump()
        finally:
            self.stop()
            watcher.join()
            if self._near is not None:
                self._near.close()

    def stop(self) -> None:
        self._stopped.set()
        self._looked.set()
        self._wake()

    def _wake(self) -> None:
        self._came.set()
        if (near := self._near) is not None:  # the pump may close it while we look
            near.wake()

    def _now_us(self) -> int:
        return int(1e6 * (time.monotonic() - self._start_s))

    def _pump(self) -> None:
        now_us = self._now_us()
        while self._happens and self._happens[0][0] <= now_us:
            self._happen(self._happens.pop(0)[1])
        self._came.clear()
        self.down.put(now_us, self._door.read())
        self._looked.set()
        self._count_clients()
        self._rest = self._rest or self.up.take(now_us, MAX_REST_BYTES)
        self._rest = self._rest[self._door.write(self._rest) :]
        to_near = self.down.take(now_us)
        near = self._near or self._try_reopen(now_us)
        if near is None:  # what is sent to it is gone
            self._came.wait(min(LONGEST_WAIT_S, FULL_WAIT_S if self._rest else max(0, self._reopen_us - now_us) / 1e6))
            return
        try:
            self._follow_rate(near)
            if to_near:
                near.write(to_near)
            self._wait(near, now_us)
        except TransportError:
            self._lose(near)

    def _lose(self, near: Transport) -> None:
        near.close()
        self._near, self._baud = None, None  # a port begins at its first rate
        self._put_off()
        self.down.cut()
        self.up.cut()
        self.counts["gone"] += 1
        self._tell("gone")

    def _try_reopen(self, now_us: int) -> Transport | None:
        if now_us < self._reopen_us:
            return None
        try:
            self._near = self._reopen()
        except TransportError:
            self._put_off()
            return None
        self._tell("back")
        return self._near

    def _put_off(self) -> None:
        self._reopen_us = self._now_us() + self._pause_us
        self._pause_us = min(2 * self._pause_us, round(1e6 * REOPEN_S[1]))

    def _wait(self, near: Transport, now_us: int) -> None:
        """Until something is due or comes. The near side is read only while the line has room for it."""
        due_us = min(
            self.down.next_us(), self._happens[0][0] if self._happens else now_us + round(1e6 * LONGEST_WAIT_S)
        )
        due_us = min(due_us, now_us + round(1e6 * FULL_WAIT_S) if self._rest else self.up.next_us())
        wait_s = min(max(0.0, (due_us - now_us) / 1e6), LONGEST_WAIT_S)
        if self._rest:
            self._came.wait(wait_s)
        elif not self.up.room(now_us):
            self._came.wait(min(wait_s, max(0.0, (self.up.ready_us() - now_us) / 1e6)))
        else:
            octets = near.read(0.0 if self._came.is_set() else wait_s)
            self.up.put(self._now_us(), octets)
            if octets:
                self._pause_us = round(1e6 * REOPEN_S[0])

    def _happen(self, what: str) -> None:
        self.counts[what] += 1
        self.down.cut()
        self.up.cut()
        self._rest = b""
        if what == "unplugged":
            self._door.shut()
        elif what == "plugged":
            self._door.open()
        else:
            for line in (self.down, self.up):
                line.set_faults(replace(line.faults, lose=1.0))
        self._tell(what)

    def _count_clients(self) -> None:
        for word, happened in (("clients", "client"), ("refused", "refused")):
            if self._door.counts[word] != self.counts[word]:
                self.counts[word] = self._door.counts[word]
                self._tell(happened)

    def _follow_rate(self, near: Transport) -> None:
        baud = self._door.baud()
        if baud is not None and baud != self._baud:
            self._baud = baud
            near.set_baud(baud)

    def _watch(self) -> None:
        """Wake the pump when somebody is at the door, and wait until it has been there."""
        while not self._stopped.is_set():
            if self._door.wait(LONGEST_WAIT_S):
                self._looked.clear()
                self._wake()
                while not self._looked.wait(LONGEST_WAIT_S) and not self._stopped.is_set():
                    pass
