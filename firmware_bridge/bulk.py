"""Reading one bulk object, such as a photo, by offset, with holes asked for again.

Sans-I/O and without frames: BulkData and replies come in, the offset to ask for goes out. Loss shows as data beyond
what we have, or as silence; either way the object is asked for again from the first missing octet.
"""

from __future__ import annotations

import zlib

from .errors import DeviceLost, RemoteProtocolError, RequestTimeout
from .link_events import CallFinished, ObjectFailed, ObjectReceived
from .messages import MAX_OBJECT_BYTES, BulkData, ReadObjectResult
from .transfer import STALL_S, Transfer

# Frames beyond a hole before we ask again: the last ones of the former run may still be on their way after a restart.
STRAYS = 3


class ObjectRead(Transfer):
    """One object on its way to the host; its question is ReadObject."""

    outcome: ObjectReceived | ObjectFailed | None

    def __init__(self, object_id: int, have: bytes = b"") -> None:
        """`have`: its first octets, from an attempt that a broken link ended."""
        super().__init__(object_id)
        self._data = bytearray(have)
        self._size: int | None = None
        self._crc32 = 0
        self._strays = 0
        self._corrupt = 0

    @property
    def progress(self) -> tuple[int, int]:
        """Octets received, and the size; 0 while that is unknown."""
        return len(self._data), self._size or 0

    def offset_to_ask(self) -> int | None:
        """Where ReadObject must (again) begin; None when there is nothing to ask now."""
        return len(self._data) if self._must_ask and self.outcome is None else None

    def asked(self, call_id: int) -> None:
        super().asked(call_id)
        self._strays = 0

    def receive_reply(self, finished: CallFinished, now_s: float) -> None:
        """Take the end of our ReadObject."""
        self.call_id = None
        self._stall_s = now_s + STALL_S
        result = finished.result
        if isinstance(finished.error, RequestTimeout):
            self._ask_again()
        elif finished.error is not None:
            self._fail(finished.error)
        elif not isinstance(result, ReadObjectResult) or result.size_bytes > MAX_OBJECT_BYTES:
            self._fail(RemoteProtocolError(f"The frame announced an object of more than {MAX_OBJECT_BYTES} bytes."))
        elif self._size not in (None, result.size_bytes):
            self._fail(RemoteProtocolError("The frame changed the size of an object while it was being read."))
        else:
            self._size, self._crc32 = result.size_bytes, result.crc32
            self._finish_if_complete()

    def receive_data(self, data: BulkData, now_s: float) -> None:
        if data.object != self.object_id or self.outcome is not None:
            return
        have = len(self._data)
        if data.offset > have:
            self._strays += 1
            if self._strays == STRAYS and self.call_id is None:
                self._ask_again()
            return
        fresh = data.data[have - data.offset :]
        if not fresh:
            return
        self._data += fresh
        self._strays = self._fruitless = 0
        if self.call_id is None:
            self._stall_s = now_s + STALL_S
        if len(self._data) > (MAX_OBJECT_BYTES if self._size is None else self._size):
            self._fail(RemoteProtocolError("The frame sent more of an object than it had announced."))
        else:
            self._finish_if_complete()

    def link_lost(self) -> ObjectFailed:
        """The session is over. What came may be the beginning of the next attempt."""
        error = DeviceLost("The link broke while an object was on its way.", "Ask for it again.")
        return ObjectFailed(self.object_id, error, bytes(self._data))

    def _standstill(self) -> str:
        what = f"of {self._size} bytes" if self._size is not None else "of unknown size"
        return f"The frame stopped sending an object {what} at byte {len(self._data)}."

    def _finish_if_complete(self) -> None:
        if self._size is None or len(self._data) < self._size:
            return
        if zlib.crc32(self._data) == self._crc32:
            self.outcome = ObjectReceived(self.object_id, bytes(self._data))
        elif self._corrupt:
            self._fail(RemoteProtocolError("The object's checksum is wrong, twice in a row.", "Try again."))
        else:
            self._corrupt += 1
            self._data.clear()
            self._must_ask, self._stall_s = True, None
