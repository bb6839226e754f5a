"""The host's table of requests: who waits for which answer, when to ask again, when to give up.

Sans-I/O: time comes in as an argument. Knows the messages Call and Reply; must not know frames, credit or sessions.
A request is repeated under its own `call_id`, so that the frame, which keeps its last replies, never runs it twice.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

from .errors import BridgeError, DeviceLost, LocalProtocolError, OutcomeUnknown, RequestRefused, RequestTimeout
from .frame import CRC, HEADER
from .link_events import CallFinished
from .messages import (
    RESULTS,
    RPC_MAX_WIRE_BYTES,
    RPC_REPLIES_KEPT,
    RPC_RETRY_MS,
    RPC_TRIES,
    Call,
    Message,
    Method,
    Reply,
    RpcStatus,
)

RETRY_S = RPC_RETRY_MS / 1000

# Wire size less delimiters (2), COBS (2 for anything up to 508 octets), header, CRC, type octet and Call's own fields.
MAX_ARGS_BYTES = RPC_MAX_WIRE_BYTES - 4 - HEADER.size - CRC.size - 1 - len(Call().pack())

# Requests that wait in the host; more is a caller that never waits.
MAX_PENDING = 64

_REFUSALS = {
    RpcStatus.UNKNOWN_METHOD: ("The frame does not know {what}.", "Update its firmware (hardware/README.md)"),
    RpcStatus.BAD_ARGUMENT: ("The frame refused the arguments of {what}.", "Compare the versions: lorgnette doctor"),
    RpcStatus.UNSUPPORTED: ("This frame has no part for {what}.", "See what is fitted: lorgnette frame info"),
    RpcStatus.BUSY: ("The frame is busy and refused {what}.", "Try again in a moment."),
    RpcStatus.FAILED: ("The frame tried {what} and failed.", "Check its parts: lorgnette doctor"),
    RpcStatus.NOT_FOUND: ("The frame no longer has what {what} asked for.", "Take a new photo: lorgnette frame photo"),
}


@dataclass(slots=True)
class _Pending:
    call: Call
    method: Method
    deadline_s: float
    tries: int = 0
    retry_s: float | None = None  # None while it waits in the queue


class CallTable:
    """Requests of one session, by call_id."""

    def __init__(self) -> None:
        self._pending: dict[int, _Pending] = {}  # in the order of their ids
        self._queue: deque[int] = deque()
        self._last_id = 0

    def start(self, method: Method, args: Message | None, now_s: float, timeout_s: float) -> int:
        """Queue a request; returns its call_id.

        Raises:
            LocalProtocolError: a value does not fit its field, or the arguments exceed `MAX_ARGS_BYTES`.
        """
        try:
            packed = args.pack() if args else b""
        except struct.error as error:
            raise LocalProtocolError(f"the arguments of {words(method)} do not fit: {error}") from error
        if len(packed) > MAX_ARGS_BYTES:
            raise LocalProtocolError(f"{len(packed)} bytes of arguments exceed {MAX_ARGS_BYTES}")
        self._last_id = (self._last_id + 1) & 0xFFFF
        call = Call(self._last_id, method, packed)
        self._pending[call.call_id] = _Pending(call, method, now_s + timeout_s)
        self._queue.append(call.call_id)
        return call.call_id

    @property
    def full(self) -> bool:
        return len(self._pending) >= MAX_PENDING

    @property
    def wants_to_send(self) -> bool:
        if not self._queue:
            return False
        # The frame keeps its last 32 replies. A call further ahead of the oldest pending one could push that one's
        # reply out, and its retry would then run a second time.
        oldest = next(iter(self._pending))
        return ((self._queue[0] - oldest) & 0xFFFF) < RPC_REPLIES_KEPT

    def next_call(self, now_s: float) -> tuple[Call, bool]:
        """The request to send now and whether it is a retry. Only while `wants_to_send`."""
        pending = self._pending[self._queue.popleft()]
        pending.tries += 1
        pending.retry_s = now_s + RETRY_S
        return pending.call, pending.tries > 1

    def receive(self, reply: Reply, now_s: float) -> CallFinished | None:
        """Take an answer; None when it ends nothing (PENDING, or a request that is over)."""
        pending = self._pending.get(reply.call_id)
        if pending is None or pending.method != reply.method or not pending.tries:
            return None
        if reply.status == RpcStatus.PENDING:
            pending.tries = 1
            if reply.call_id not in self._queue:  # also after the last try, or the answer would never be asked for
                pending.retry_s = now_s + RETRY_S
            return None
        self._forget(reply.call_id)
        status = RpcStatus(reply.status) if reply.status in _STATUSES else RpcStatus.FAILED
        if status not in (RpcStatus.OK, RpcStatus.ACCEPTED):
            return CallFinished(reply.call_id, pending.method, status, None, refusal(pending.method, status))
        kind = RESULTS.get(reply.method)
        result = kind.unpack(reply.result) if kind else None
        return CallFinished(reply.call_id, pending.method, status, result, None)

    def give_up(self, method: Method) -> None:
        """Send no call of this method again, or at all: a late repetition must not undo what was asked since."""
        for call_id, pending in self._pending.items():
            if pending.method == method:
                pending.tries = pending.tries and RPC_TRIES
                if call_id in self._queue:
                    self._queue.remove(call_id)

    def tick(self, now_s: float) -> list[CallFinished]:
        """Queue what must be asked again; return what ran out of time."""
        ended = []
        for call_id, pending in list(self._pending.items()):
            if now_s >= pending.deadline_s:
                self._forget(call_id)
                ended.append(_failed(pending, _timeout(pending.method)))
            elif pending.retry_s is not None and now_s >= pending.retry_s:
                pending.retry_s = None
                if pending.tries < RPC_TRIES:
                    self._queue.appendleft(call_id)
        return ended

    def fail_all(self) -> list[CallFinished]:
        """The session is over: nobody will answer."""
        ended = [
            _failed(pending, (_outcome_unknown if pending.tries else _never_sent)(pending.method))
            for pending in self._pending.values()
        ]
        self._pending.clear()
        self._queue.clear()
        return ended

    def next_deadline(self) -> float | None:
        times = [p.deadline_s for p in self._pending.values()]
        times += [p.retry_s for p in self._pending.values() if p.retry_s is not None]
        return min(times, default=None)

    def _forget(self, call_id: int) -> None:
        del self._pending[call_id]
        if call_id in self._queue:
            self._queue.remove(call_id)


_STATUSES = frozenset(int(s) for s in RpcStatus)


def words(method: Method) -> str:
    """The method's name as a sentence has it: "take photo"."""
    return method.name.lower().replace("_", " ")


def refusal(method: Method, status: RpcStatus) -> RequestRefused:
    sentence, remedy = _REFUSALS[status]
    return RequestRefused(sentence.format(what=f'"{words(method)}"'), status, remedy)


def _failed(pending: _Pending, error: BridgeError) -> CallFinished:
    return CallFinished(pending.call.call_id, pending.method, None, None, error)


def _timeout(method: Method) -> BridgeError:
    return RequestTimeout(f'The frame did not answer "{words(method)}" in time.', "Look at the link: lorgnette doctor")


def _outcome_unknown(method: Method) -> BridgeError:
    return OutcomeUnknown(
        f'The link broke while "{words(method)}" was under way: it may or may not have happened.',
        "See the frame's state before you repeat it: lorgnette frame info",
    )


def _never_sent(method: Method) -> BridgeError:
    return DeviceLost(f'The link broke before "{words(method)}" was sent.', "Repeat it once the frame is back.")
