"""Writing one bulk object to the frame by offset, going on wherever the frame says that it stopped.

Sans-I/O and without frames: replies and reports come in, questions and pieces go out. The frame takes pieces in order
only and says where a hole begins; silence is answered by asking how much it has.
"""

from __future__ import annotations

import zlib

from .errors import DeviceLost, RemoteProtocolError, RequestRefused, RequestTimeout
from .link_events import CallFinished, ObjectFailed, ObjectWritten
from .messages import (
    BulkWrite,
    ObjectEvent,
    ObjectKind,
    ObjectStatus,
    RpcStatus,
    WriteObjectArgs,
    WriteObjectResult,
)
from .transfer import STALL_S, Transfer


def object_number(data: bytes) -> int:
    """The number under which `data` goes to the frame: the same octets get the same one, also from another program."""
    return (zlib.crc32(data) & 0xFFFF) or 1


class ObjectWrite(Transfer):
    """One object on its way to the frame; its question is WriteObject. `restarts` also counts holes."""

    outcome: ObjectWritten | ObjectFailed | None

    def __init__(self, kind: ObjectKind, data: bytes) -> None:
        super().__init__(object_number(data))
        self._kind = kind
        self._data = data
        self._crc32 = zlib.crc32(data)
        self._at: int | None = None  # the next octet to send; None until the frame has said where to begin
        self._reached = 0  # the most that the frame ever said to have
        self._sent = 0
        self._corrupt = False

    @property
    def progress(self) -> tuple[int, int]:
        """Octets sent at most so far, and the size."""
        return self._sent, len(self._data)

    @property
    def wants_to_send(self) -> bool:
        return (
            self.outcome is None
            and self._at is not None
            and self._at < len(self._data)
            and self.call_id is None
            and not self._must_ask
        )

    def question(self) -> WriteObjectArgs | None:
        """What must (again) be asked; None when there is nothing to ask now."""
        if not self._must_ask or self.outcome is not None:
            return None
        return WriteObjectArgs(self.object_id, self._kind, len(self._data), self._crc32)

    def next_piece(self, chunk_bytes: int, now_s: float) -> BulkWrite:
        """The next octets to send, at most `chunk_bytes`. Only while `wants_to_send`."""
        assert self._at is not None
        piece = BulkWrite(self.object_id, self._at, self._data[self._at : self._at + chunk_bytes])
        self._at += len(piece.data)
        self._sent = max(self._sent, self._at)
        self._stall_s = now_s + STALL_S
        return piece

    def receive_reply(self, finished: CallFinished, now_s: float) -> None:
        """Take the end of our WriteObject."""
        self.call_id = None
        self._stall_s = now_s + STALL_S
        result = finished.result
        if isinstance(finished.error, RequestTimeout):
            self._ask_again()
        elif finished.error is not None:
            self._fail(finished.error)
        elif not isinstance(result, WriteObjectResult) or result.offset > len(self._data):
            self._fail(RemoteProtocolError("The frame has more of an object than there is."))
        else:
            self._go_on_at(result.offset)

    def receive_report(self, report: ObjectEvent, now_s: float) -> None:
        """Take what the frame says of an object."""
        if report.object != self.object_id or self.outcome is not None:
            return
        if self._at is None and report.status != ObjectStatus.OK:  # a frame that has it all says so before it answers
            return
        self._stall_s = now_s + STALL_S
        if report.status == ObjectStatus.OK and report.received_bytes == len(self._data):
            self._sent = len(self._data)
            self.outcome = ObjectWritten(self.object_id)
        elif report.status == ObjectStatus.MISSING and report.received_bytes <= len(self._data):
            self.restarts += 1
            self._fruitless += 1
            self._go_on_at(report.received_bytes)
        elif report.status == ObjectStatus.BAD_CRC and not self._corrupt:
            self._corrupt, self._must_ask = True, True
            self._at, self._reached = None, 0
        elif report.status == ObjectStatus.BAD_CRC:
            self._fail(
                RemoteProtocolError("The object's checksum is wrong on the frame, twice in a row.", "Try again.")
            )
        else:
            self._fail(
                RequestRefused("The frame can take no more of the object.", RpcStatus.FAILED, "Send a smaller one.")
            )

    def link_lost(self) -> ObjectFailed:
        """The session is over. The frame keeps what it has: the same object written again goes on there."""
        error = DeviceLost("The link broke while an object was on its way to the frame.", "Send it again.")
        return ObjectFailed(self.object_id, error)

    def _go_on_at(self, offset: int) -> None:
        self._at = offset
        if offset > self._reached:
            self._reached, self._fruitless = offset, 0
        self._give_up_if_fruitless()

    def _standstill(self) -> str:
        return f"The frame stopped taking an object of {len(self._data)} bytes at byte {self._reached}."
