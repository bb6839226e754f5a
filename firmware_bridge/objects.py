"""The objects of one session: at most one on its way up and one on its way down, and our credit for what comes up.

Sans-I/O: BulkData, reports and ends of our own calls come in, calls, grants and pieces go out. Knows the table of
requests; must not know frames, other channels or what an object is for.
"""

from __future__ import annotations

from collections.abc import Callable

from .bulk import ObjectRead
from .credit import ReceiveWindow
from .errors import LocalProtocolError, RequestRefused
from .link_events import CallFinished, Event, LinkStats, ObjectFailed, ObjectProgress
from .messages import (
    CREDIT_INTERVAL_MS,
    MAX_OBJECT_BYTES,
    BulkData,
    BulkWrite,
    Channel,
    Credit,
    DropObjectArgs,
    Message,
    Method,
    ObjectEvent,
    ObjectKind,
    ReadObjectArgs,
)
from .object_write import ObjectWrite
from .rpc import CallTable

CREDIT_S = CREDIT_INTERVAL_MS / 1000

# A question of our own has its retries; this bounds one question, not the whole object.
QUESTION_TIMEOUT_S = 1.0


class Objects:
    """What `Session` does not know of objects."""

    def __init__(
        self,
        calls: CallTable,
        send_link: Callable[[Message], None],
        up: ReceiveWindow,
        stats: LinkStats,
    ) -> None:
        """`up` is our credit for bulk_up; `send_link` queues a message of the link channel."""
        self._calls = calls
        self._send_link = send_link
        self._up = up
        self._stats = stats
        self._read: ObjectRead | None = None
        self._write: ObjectWrite | None = None
        self._ignored: set[int] = set()  # calls whose answers nobody waits for
        self._credit_s: float | None = None  # next grant for bulk up, while a read is in progress
        self._told: dict[int, tuple[int, int]] = {}  # progress by object, as the caller knows it

    # ------------------------------------------------------------------ what our caller asks for
    def read(self, object_id: int, have: bytes, now_s: float) -> None:
        if self._read is not None:
            raise LocalProtocolError(f"object {self._read.object_id} is being read already")
        self._read = ObjectRead(object_id, have)
        self._follow_read(now_s)
        self.grant(now_s)

    def write(self, kind: ObjectKind, data: bytes, now_s: float) -> int:
        if self._write is not None:
            raise LocalProtocolError(f"object {self._write.object_id} is being written already")
        if not 0 < len(data) <= MAX_OBJECT_BYTES:
            raise LocalProtocolError(f"an object of {len(data)} bytes is outside 1 to {MAX_OBJECT_BYTES}")
        self._write = ObjectWrite(kind, data)
        self._follow_write(now_s)
        return self._write.object_id

    def abandon_read(self, now_s: float) -> None:
        if self._read is not None:
            self._drop(self._read, now_s)

    def abandon_write(self) -> None:
        if self._write is not None:
            self._ignore(self._write.call_id)
            self._forget_progress(self._write)
            self._write = None

    # ------------------------------------------------------------------------- what comes in
    def receive_data(self, data: BulkData, now_s: float) -> list[Event]:
        if self._up.spent * 2 >= self._up.window:  # sooner than the interval, or a window per 100 ms would be the limit
            self.grant(now_s)
        if self._read is None:
            return []
        self._read.receive_data(data, now_s)
        return self._follow_read(now_s)

    def receive_report(self, report: ObjectEvent, now_s: float) -> list[Event]:
        if self._write is None:
            return []
        self._write.receive_report(report, now_s)
        return self._follow_write(now_s)

    def skip_to(self, seq: int, now_s: float) -> None:
        """The frame says how far it has sent: what did not come is lost."""
        self._stats.rx_lost_frames += self._up.skip_to(seq)
        self.grant(now_s)

    def finished(self, finished: CallFinished, now_s: float) -> list[Event] | None:
        """Take the end of a call; None when it is none of ours."""
        if self._read is not None and self._read.call_id == finished.call_id:
            self._read.receive_reply(finished, now_s)
            return self._follow_read(now_s)
        if self._write is not None and self._write.call_id == finished.call_id:
            self._write.receive_reply(finished, now_s)
            return self._follow_write(now_s)
        if finished.call_id in self._ignored:
            self._ignored.discard(finished.call_id)
            return []
        return None

    def owns(self, call_id: int) -> bool:
        """The call is one of ours: its end is no news for our caller."""
        transfers = (t for t in (self._read, self._write) if t is not None)
        return call_id in self._ignored or any(t.call_id == call_id for t in transfers)

    # -------------------------------------------------------------------------------- time
    def tick(self, now_s: float) -> list[Event]:
        events: list[Event] = []
        if self._read is not None:
            self._read.tick(now_s)
            events += self._follow_read(now_s)
        if self._write is not None:
            self._write.tick(now_s)
            events += self._follow_write(now_s)
        if self._read is not None and (self._credit_s is None or now_s >= self._credit_s):
            self.grant(now_s)
        for transfer in (self._read, self._write):
            if transfer is not None and self._told.get(transfer.object_id) != transfer.progress:
                self._told[transfer.object_id] = transfer.progress
                if transfer.progress[1]:
                    events.append(ObjectProgress(transfer.object_id, *transfer.progress))
        return events

    def next_deadline(self) -> float | None:
        perhaps = [self._credit_s]
        perhaps += [transfer.next_deadline() for transfer in (self._read, self._write) if transfer is not None]
        return min((t for t in perhaps if t is not None), default=None)

    def end(self) -> list[Event]:
        """The session is over."""
        events: list[Event] = [t.link_lost() for t in (self._read, self._write) if t is not None]
        self._read = self._write = None
        return events

    # ------------------------------------------------------------------------------ what goes out
    @property
    def wants_to_send(self) -> bool:
        return self._write is not None and self._write.wants_to_send

    def next_piece(self, chunk_bytes: int, now_s: float) -> BulkWrite:
        """Only while `wants_to_send`."""
        assert self._write is not None
        return self._write.next_piece(chunk_bytes, now_s)

    def grant(self, now_s: float) -> None:
        self._send_link(Credit(Channel.BULK_UP, self._up.grant()))
        if self._read is not None:  # what comes when nothing is read is granted once, as far as it got
            self._credit_s = now_s + CREDIT_S

    # ------------------------------------------------------------------------------------ steps
    def _follow_read(self, now_s: float) -> list[Event]:
        read = self._read
        if read is None:
            return []
        if read.outcome is not None:
            if isinstance(read.outcome, ObjectFailed) and isinstance(read.outcome.error, RequestRefused):
                self._forget_progress(read)
                self._read, self._credit_s = None, None  # not there yet, perhaps: a drop could meet it when it is
            else:
                self._drop(read, now_s)
            return [read.outcome]
        offset = read.offset_to_ask()
        if offset is not None:
            read.asked(self._ask(Method.READ_OBJECT, ReadObjectArgs(read.object_id, offset), now_s))
            self._stats.bulk_restarts += bool(read.restarts)
        return []

    def _follow_write(self, now_s: float) -> list[Event]:
        write = self._write
        if write is None:
            return []
        if write.outcome is not None:
            self._ignore(write.call_id)
            self._forget_progress(write)
            self._write = None
            self._stats.bulk_restarts += write.restarts
            return [write.outcome]
        question = write.question()
        if question is not None:
            write.asked(self._ask(Method.WRITE_OBJECT, question, now_s))
        return []

    def _drop(self, read: ObjectRead, now_s: float) -> None:
        self._forget_progress(read)
        self._read, self._credit_s = None, None
        self._ignore(self._ask(Method.DROP_OBJECT, DropObjectArgs(read.object_id), now_s))
        self._ignore(read.call_id)

    def _forget_progress(self, transfer: ObjectRead | ObjectWrite) -> None:
        self._told.pop(transfer.object_id, None)

    def _ask(self, method: Method, args: Message, now_s: float) -> int:
        return self._calls.start(method, args, now_s, QUESTION_TIMEOUT_S)

    def _ignore(self, call_id: int | None) -> None:
        if call_id is not None:
            self._ignored.add(call_id)
