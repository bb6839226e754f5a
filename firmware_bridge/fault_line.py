"""One direction of a bad line: what is put in comes out later, or otherwise, or not at all.

Knows delimiters, chance and time as an argument; must not know what a frame means or which port the octets come from.
The same octets at the same times with the same seed give the same.
"""

from __future__ import annotations

import math
import random
from bisect import insort
from collections import Counter
from dataclasses import replace

from .faults import Faults
from .frame import DELIMITER
from .messages import MAX_WIRE_BYTES

NEVER = 0xFFFF_FFFF_FFFF_FFFF
ENDLESS = 65536
"""Octets that a line without a rate takes at once; mirrors simulator.stepped.MAX_TX_BYTES."""

BITS_PER_OCTET = 10
FIFO_BYTES = 128
"""What a sender may be ahead of a UART's wire: the transmit FIFO of an ESP32."""
REFILL_BYTES = 32
"""The sender is asked for more when no more than this is left in the FIFO."""

UNFINISHED_US = 20_000
"""Octets without a closing zero wait this long for it: after that pause a sender begins with a zero of its own."""
OVERTAKEN_MS = 50
"""The longest that a reordered piece comes after its time."""
LONGEST_DROP_BYTES = 128
LONGEST_NOISE_BYTES = 64
USB_PACKET_BYTES = 62
"""Octets in one packet of an FTDI bridge: 64 less two of status."""

BOOT_TEXT = (
    b"ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\nrst:0x3 (RTC_SW_SYS_RST),boot:0x2b (SPI_FAST_FLASH_BOOT)\r\n"
    b"entry 0x403c98d0\r\n\x1b[0;32mI (24) boot: ESP-IDF v5.3 2nd stage bootloader\x1b[0m\r\n"
    b"\x1b[0;32mI (289) main_task: Calling app_main()\x1b[0m\r\n"
)
PANIC_TEXT = (
    b"Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n"
    b"Backtrace: 0x4037a6f1:0x3fc98cc0 0x42009d4e:0x3fc98ce0\r\n\r\nRebooting...\r\n"
)
BROWNOUT_TEXT = b"\r\nE BOD: Brownout detector was triggered\r\n\r\n"
AT_TEXT = b"AT\r\nATE1 E0\r\nAT+CGMI\r\n"
TEXTS = (BOOT_TEXT, PANIC_TEXT, AT_TEXT)


class Line:
    """One direction.

    A chance is taken once per piece: a frame with its closing zero, or what has been left without one. Times are in
    microseconds of any clock that never goes back.

    Attributes:
        counts: how often each fault has struck, by its word; beside them "frames" and "octets" that were put in.
        most_waiting_bytes: the most that were ever on their way.
    """

    def __init__(self, faults: Faults, rng: random.Random, *, to_host: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self.most_waiting_bytes = 0
        self._rng = rng
        self._to_host = to_host
        self._open = bytearray()  # the piece that is not finished
        self._open_us = 0
        self._free_us = 0.0  # when the wire has carried all that was put in
        self._last_us = 0  # when the newest piece arrives that keeps its place
        self._waiting: list[tuple[int, int, bytes]] = []  # (arrives at, number, octets)
        self._number = 0
        self._waiting_bytes = 0
        self._packet = bytearray()  # what waits for the latency timer
        self._packet_us = 0
        self._arrived = bytearray()
        self.set_faults(faults)

    def set_faults(self, faults: Faults) -> None:
        """From now on do this. What is on its way arrives as it would have."""
        self.faults = faults
        self._octet_us = BITS_PER_OCTET * 1e6 / faults.rate_baud if faults.rate_baud else 0.0
        self._sound_bits = self._bits_to_flip()

    def set_rate(self, baud: int) -> None:
        self.set_faults(replace(self.faults, rate_baud=baud))

    def put(self, now_us: int, octets: bytes) -> None:
        """The sender sends `octets`, at once and without waiting."""
        if not octets:
            return
        self._settle(now_us)
        self.counts["octets"] += len(octets)
        self._free_us = max(self._free_us, now_us)
        start = 0
        while start < len(octets):
            end = octets.find(DELIMITER, start) + 1
            piece = octets[start : end or len(octets)]
            start += len(piece)
            self._free_us += len(piece) * self._octet_us
            self._open += piece
            self._open_us = math.ceil(self._free_us)
            if (end and len(self._open) > 1) or len(self._open) > MAX_WIRE_BYTES:  # a leading zero goes with its frame
                self._finish(now_us)
        self.most_waiting_bytes = max(self.most_waiting_bytes, self._waiting_bytes + len(self._open))

    def take(self, now_us: int, room: int = ENDLESS) -> bytes:
        """What has arrived by now, at most `room` octets of it."""
        self._settle(now_us)
        while self._waiting and self._waiting[0][0] <= now_us:
            arrived_us, _, piece = self._waiting.pop(0)
            self._waiting_bytes -= len(piece)
            if self._to_host and self.faults.latency_ms:
                self._pack(arrived_us, piece)
            else:
                self._arrived += piece
        if self._packet and now_us >= self._packet_due_us():
            self._arrived += self._packet
            self._packet.clear()
        out = bytes(self._arrived[:room])
        del self._arrived[:room]
        return out

    def next_us(self) -> int:
        """When `take` has something to do; 0 when more has arrived than there was room for."""
        if self._arrived:
            return 0
        due = self._waiting[0][0] if self._waiting else NEVER
        if self._open:
            due = min(due, self._open_us + UNFINISHED_US)
        return min(due, self._packet_due_us()) if self._packet else due

    def room(self, now_us: int) -> int:
        """How many octets the sender may put in now. A line without a rate takes any number, unless it stands still."""
        if self._octet_us:
            return max(0, FIFO_BYTES - math.ceil((self._free_us - now_us) / self._octet_us))
        return 0 if self._free_us > now_us else ENDLESS

    def ready_us(self) -> int:
        """When a sender that had more than there was room for should go on."""
        return math.ceil(self._free_us - REFILL_BYTES * self._octet_us)

    def stand_still(self, until_us: int) -> None:
        """Nothing that is put in from now on arrives before `until_us`."""
        self._free_us = max(self._free_us, until_us)

    def cut(self) -> None:
        """Everything on its way is lost; the line stands still no longer."""
        for store in (self._open, self._waiting, self._packet, self._arrived):
            store.clear()
        self._waiting_bytes = 0
        self._free_us = 0.0

    def _settle(self, now_us: int) -> None:
        """Give up on a closing zero that does not come."""
        if self._open and now_us >= self._open_us + UNFINISHED_US:
            self._finish(now_us)

    def _finish(self, now_us: int) -> None:
        """The open piece is complete: decide what becomes of it."""
        rng, faults = self._rng, self.faults
        piece = bytes(self._open)
        self._open.clear()
        self.counts["frames"] += 1
        damaged = self._damaged(piece)
        self._free_us += max(0, len(damaged) - len(piece)) * self._octet_us
        due_us = self._last_us = max(self._last_us, math.ceil(self._free_us + 1000 * faults.delay_ms))
        if self._strikes("stall", faults.stall):
            self.stand_still(now_us + round(rng.random() * 1000 * faults.stall_ms))
        if self._strikes("reorder", faults.reorder):
            due_us += round(rng.random() * 1000 * OVERTAKEN_MS)
        if damaged:
            self._number += 1
            self._waiting_bytes += len(damaged)
            insort(self._waiting, (due_us, self._number, damaged))

    def _damaged(self, piece: bytes) -> bytes:
        rng, faults = self._rng, self.faults
        if self._strikes("lose", faults.lose):
            return b""
        bits = 8 * len(piece)
        if bits <= self._sound_bits:
            self._sound_bits -= bits
        else:
            piece = self._flipped(piece)
        if self._strikes("drop", faults.drop):
            at = rng.randrange(len(piece))
            piece = piece[:at] + piece[at + rng.randint(1, LONGEST_DROP_BYTES) :]
        if self._strikes("truncate", faults.truncate):
            piece = piece[: rng.randrange(len(piece) or 1)]
        if self._strikes("splice", faults.splice):
            at, text = rng.randint(0, len(piece)), rng.choice(TEXTS)
            piece = piece[:at] + text[rng.randrange(len(text)) :] + piece[at:]
        if self._strikes("duplicate", faults.duplicate):
            piece *= 2
        if self._strikes("noise", faults.noise):
            piece = rng.randbytes(rng.randint(1, LONGEST_NOISE_BYTES)) + piece
        return piece

    def _strikes(self, word: str, chance: float) -> bool:
        if not chance or self._rng.random() >= chance:
            return False
        self.counts[word] += 1
        return True

    def _flipped(self, piece: bytes) -> bytes:
        out = bytearray(piece)
        bits, at = 8 * len(out), self._sound_bits
        while at < bits:
            out[int(at) // 8] ^= 1 << int(at) % 8
            self.counts["flip"] += 1
            at += 1 + self._bits_to_flip()
        self._sound_bits = at - bits
        return bytes(out)

    def _bits_to_flip(self) -> float:
        """How many bits pass before the next one is turned over: one draw, instead of one for every bit."""
        chance = self.faults.flip
        if chance <= 0.0:
            return math.inf
        if chance >= 1.0:
            return 0
        return int(math.log(1.0 - self._rng.random()) / math.log1p(-chance))

    def _pack(self, arrived_us: int, piece: bytes) -> None:
        """An FTDI bridge: full packets go at once, the rest waits for its timer."""
        if not self._packet:
            self._packet_us = arrived_us
        self._packet += piece
        if full := len(self._packet) // USB_PACKET_BYTES * USB_PACKET_BYTES:
            self._arrived += self._packet[:full]
            del self._packet[:full]
            self._packet_us = arrived_us

    def _packet_due_us(self) -> int:
        return self._packet_us + round(1000 * self.faults.latency_ms)
