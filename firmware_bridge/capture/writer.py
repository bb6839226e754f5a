"""CaptureWriter: a capture as it is written, by a thread of its own, so that nobody who carries sound waits for a disk.

Knows the file's two interfaces; must not know what a note says. What cannot be written any more ends the capture, never
the program.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ..messages import MAJOR, MINOR, SCHEMA_HASH
from .pcapng import APPLICATION, COMMENT, INBOUND, MAX_BLOCK_BYTES, OUTBOUND, interface, packet, section

FORMAT_VERSION = 1
LINE_TYPE, NOTE_TYPE = 147, 148  # LINKTYPE_USER0 and USER1
LINE, NOTES = 0, 1  # interface numbers

WRITE_S = 0.25  # what came in between is written and flushed together
MAX_QUEUED_BYTES = 64 << 20  # what a disk may be behind: about ten minutes of talk
CLOSE_TIMEOUT_S = 5.0

TOO_SLOW = "the disk cannot keep up"


class CaptureWriter:
    """One file. Every method may be called from any thread and returns at once, but for `close`.

    Args:
        path: made anew, readable for its owner only: it holds what the wearer said.
        application: what writes it, with its version.
        facts: what else the file says of itself, such as the command.
        on_failure: told once, with the end of a sentence, when the capture ended before it was closed.
        offset_ns: wall clock less the clock that `at_s` is on.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        application: str,
        facts: Mapping[str, str] | None = None,
        on_failure: Callable[[str], None] = lambda _reason: None,
        offset_ns: int | None = None,
    ) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns() if offset_ns is None else offset_ns
        self._on_failure = on_failure
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._last_s = 0.0
        self._ended = ""  # why nothing more is taken
        self._file = _open_private(path)
        about = {
            "lorgnette_capture": FORMAT_VERSION,
            "offset_ns": self._offset_ns,
            "protocol": f"{MAJOR}.{MINOR}",
            "schema_hash": SCHEMA_HASH,
            **(facts or {}),
        }
        self._put(section([(APPLICATION, application.encode()), (COMMENT, json.dumps(about).encode())]))
        self._put(interface(LINE_TYPE, "line", "the octets between host and frame, as they were read and written"))
        self._put(interface(NOTE_TYPE, "notes", "what the host did and what came of it, one JSON object each"))
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def octets(self, data: bytes, at_s: float, *, inbound: bool) -> None:
        """What one read brought or one write took; `inbound` is from the frame."""
        direction = INBOUND if inbound else OUTBOUND
        self._put(packet(LINE, self._time_ns(at_s), data, direction))

    def note(self, value: Mapping[str, Any], at_s: float) -> None:
        """One object of plain JSON types."""
        self._put(packet(NOTES, self._time_ns(at_s), json.dumps(value, separators=(",", ":")).encode()))

    def close(self) -> None:
        """Write what waits, and that this is the end. Idempotent; waits for a slow disk for CLOSE_TIMEOUT_S."""
        if self._closing.is_set():
            return
        if not self._ended:
            self.note({"kind": "end"}, self._last_s)
        self._closing.set()
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            self._on_failure(TOO_SLOW)

    def _time_ns(self, at_s: float) -> int:
        self._last_s = at_s
        return self._offset_ns + round(at_s * 1e9)

    def _put(self, block: bytes) -> None:
        with self._lock:
            if self._ended or self._closing.is_set():
                return
            if len(block) > MAX_BLOCK_BYTES or self._waiting_bytes + len(block) > MAX_QUEUED_BYTES:
                self._ended = TOO_SLOW
                return
            self._waiting.append(block)
            self._waiting_bytes += len(block)

    # ------------------------------------------------------------------------------------ the thread
    def _run(self) -> None:
        try:
            while not self._closing.wait(WRITE_S) and not self._ended:
                self._write_waiting()
            self._write_waiting()
            if self._ended:
                end = {"kind": "end", "reason": self._ended}
                self._file.write(packet(NOTES, self._time_ns(self._last_s), json.dumps(end).encode()))
                self._file.flush()
        except OSError as error:
            self._ended = (error.strerror or "the file cannot be written").lower()
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
        with self._lock:
            self._waiting.clear()
        if self._ended:
            self._on_failure(self._ended)

    def _write_waiting(self) -> None:
        with self._lock:
            blocks = list(self._waiting)
            self._waiting.clear()
        if blocks:
            self._file.write(b"".join(blocks))
            self._file.flush()
        with self._lock:  # not before: what is being written is in memory still
            self._waiting_bytes -= sum(map(len, blocks))


def _open_private(path: Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)  # a file that was there keeps its mode otherwise
    return os.fdopen(descriptor, "wb")
