"""What a frame's console tells of a crash, and of a board that does not even start.

Knows what the ESP32-S3's ROM and ESP-IDF print. Knows no port and no file: whoever wants the text kept gives a function
that keeps it. Sits between Link and whoever gets its events, since a lost session has another cause after a crash.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from .console import ConsoleLog
from .errors import (
    BridgeError,
    DeviceLost,
    DeviceNotFound,
    NoAnswer,
    OutcomeUnknown,
    RemoteProtocolError,
    RequestTimeout,
    VersionMismatch,
)
from .link_events import CallFinished, Connected, ConsoleText, Crashed, Disconnected, Event, ObjectFailed

MAX_REASON_CHARS = 120
LEAD_LINES = 20  # printed before the crash: what the firmware was doing
MAX_CRASH_LINES = 400  # a register dump with a backtrace of both cores has 60

# The first line of each way in which ESP-IDF gives up. The task watchdog's own warning is none: it may only warn.
_PANIC = re.compile(
    r"Guru Meditation Error: .*|abort\(\) was called at PC .*|assert failed: .*|Brownout detector was triggered.*"
    r"|A stack overflow in task .*|Stack smashing protect failure!.*|CORRUPT HEAP: .*|Debug exception reason: .*"
    r"|task_wdt: Aborting.*|Backtrace: ?0x.*"
)
# The ROM's first words of each boot, such as `rst:0x7 (TG0WDT_SYS_RST),boot:0x8 (SPI_FAST_FLASH_BOOT)`.
_ROM_RESET = re.compile(r"\brst:0x[0-9a-f]+ \((\w+)\)")
_ROM_CAUSES = (
    ("BROWN_OUT", "its supply voltage fell too low"),
    ("WDT", "a watchdog reset it"),
    ("GLITCH", "a glitch in its supply or clock reset it"),
)
_RESET_REASONS = {
    "panic": "it has restarted after a panic",
    "brown_out": "it has restarted because its supply voltage fell too low",
    "watchdog": "it has restarted because of a watchdog",
}
_LOW_VOLTAGE = re.compile(r"[Bb]rownout|voltage")
_WAITS_FOR_DOWNLOAD = re.compile(r"waiting for download|boot:0x\w+ \(DOWNLOAD")
_NO_FIRMWARE = re.compile(r"invalid header: 0x|No bootable app partitions")

_log = logging.getLogger(__name__)


class CrashWatch:
    """Passes a link's events on: adds Crashed, and has errors that a crash caused say so.

    Attributes:
        console: everything that the frame printed.
    """

    def __init__(self, keep: Callable[[Crashed], str] | None = None) -> None:
        """`keep` stores what was printed and returns where, or "" when it could not."""
        self.console = ConsoleLog()
        self._keep = keep or (lambda crashed: "")
        self._reason = ""  # of the crash that is being printed
        self._lines: list[str] = []
        self._lead: deque[str] = deque(maxlen=LEAD_LINES + 1)  # the newest lines, with the one at hand
        self._told: Crashed | None = None  # since the last Connected, if any
        self._where = ""
        self._boot_id: int | None = None
        self._unstarted: BridgeError | None = None  # why no firmware runs, as the ROM says

    def pass_on(self, event: Event, now_s: float) -> Iterator[Event]:
        """`event`, or what it turned out to be, and perhaps a Crashed before it."""
        match event:
            case ConsoleText(text):
                for line in self.console.add(text, now_s):
                    yield from self._printed(line.text)
                yield event
            case Connected(info):
                yield from self._settled()
                booted = self._boot_id is not None and info.boot_id != self._boot_id
                if booted and self._told is None and (reason := _RESET_REASONS.get(info.reset_reason)):
                    yield from self._crashed(reason, [])  # at a switched rate the text itself is garbage
                self._told, self._unstarted, self._boot_id = None, None, info.boot_id
                yield event
            case (
                Disconnected(error)
                | CallFinished(error=DeviceLost() | OutcomeUnknown() | RequestTimeout() as error)
                | ObjectFailed(error=DeviceLost() as error)
            ):
                yield from self._settled()
                yield replace(event, error=self._explained(error))
            case _:
                yield event

    def _printed(self, line: str) -> Iterator[Event]:
        _log.info("the frame prints: %s", line)
        self._lead.append(line)
        panic, reset = _PANIC.search(line), _ROM_RESET.search(line)
        if self._reason or panic:
            if not self._reason:
                self._lines = list(self._lead)
                self._reason = panic[0] if panic else ""
            elif len(self._lines) < MAX_CRASH_LINES:
                self._lines.append(line)
        if reset:
            yield from self._finished()
            cause = next((words for name, words in _ROM_CAUSES if name in reset[1]), "")
            if cause and self._told is None:
                yield from self._crashed(f"{cause} ({reset[1]})", list(self._lead))
        if _WAITS_FOR_DOWNLOAD.search(line):
            self._unstarted = NoAnswer(
                "The board waits for a download instead of running its firmware.",
                "Press its RESET button, without BOOT, and try again",
            )
        elif _NO_FIRMWARE.search(line):
            self._unstarted = NoAnswer(
                "The board starts, but there is no firmware on it.", "Put the firmware on it (hardware/README.md)"
            )

    def _settled(self) -> Iterator[Event]:
        """Nothing more will come of what is being printed."""
        for line in self.console.settle():
            yield from self._printed(line.text)
        yield from self._finished()

    def _finished(self) -> Iterator[Event]:
        if self._reason:
            reason, self._reason = self._reason, ""
            yield from self._crashed(reason, self._lines)

    def _crashed(self, reason: str, lines: list[str]) -> Iterator[Event]:
        crashed = Crashed(reason[:MAX_REASON_CHARS], "".join(line + "\n" for line in lines))
        if self._told is not None and self._told.reason == crashed.reason:
            return  # the same again at each start: a board that crashes while it boots
        self._told = crashed
        try:
            self._where = self._keep(crashed)
        except Exception:  # a file that cannot be written must not end the link
            self._where = ""
            _log.exception("what the frame printed could not be kept")
        _log.warning("the frame crashed: %s", crashed.reason)
        yield crashed

    def _explained(self, error: BridgeError) -> BridgeError:
        if isinstance(error, VersionMismatch):
            return error
        if self._told is None:
            unanswered = isinstance(error, DeviceNotFound | RemoteProtocolError)
            return self._unstarted if self._unstarted is not None and unanswered else error
        kept = f"; what it printed is in {self._where}" if self._where else ""
        sentence = f"The frame crashed: {self._told.reason.rstrip('.')}{kept}."
        if isinstance(error, OutcomeUnknown):
            return OutcomeUnknown(f"{sentence} {error}", error.remedy)
        remedy = "It restarts by itself: try again; lorgnette doctor looks at each part"
        if _LOW_VOLTAGE.search(self._told.reason):
            remedy = "Give it more current: another port, a shorter cable or a powered hub"
        return DeviceLost(sentence, remedy)
