"""Objects that outlive a session: one sent to the frame, and one made there and read back.

Sans-I/O. A broken link does not end a job: it goes on where it stopped once the frame is back, until
its time is over. Knows Link and the steps; must not know ports, threads or what an object is for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

from .errors import BridgeError, DeviceLost, LocalProtocolError, OutcomeUnknown, RequestRefused, RequestTimeout
from .link import Link
from .link_events import CallFinished, ObjectFailed, ObjectProgress, ObjectReceived, ObjectWritten
from .link_states import State
from .messages import MakeTestObjectArgs, MakeTestObjectResult, Message, Method, ObjectKind, RpcStatus

ObjectNews = ObjectReceived | ObjectWritten | ObjectProgress | ObjectFailed
ObjectDone = Callable[[bytes | BridgeError], object]
Progress = Callable[[int, int], object]
Post = Callable[[Method, Message, Callable[[CallFinished], None]], None]


class ObjectJob(ABC):
    """`begin`, `on_news`, `on_connected` and `tick` move it; `done` is called once, at the end."""

    def __init__(self, link: Link, done: ObjectDone, progress: Progress | None, now_s: float, timeout_s: float) -> None:
        """`progress` is called with (octets done, octets in all)."""
        self._link = link
        self._done = done
        self._progress = progress
        self._give_up_s = now_s + timeout_s
        self._object: int | None = None
        self.over = False

    @abstractmethod
    def begin(self) -> None:
        """Start, or go on. Only while the session is open."""

    @abstractmethod
    def _came(self, news: ObjectReceived | ObjectWritten) -> None: ...

    @abstractmethod
    def _failed(self, failed: ObjectFailed) -> None: ...

    @abstractmethod
    def _abandon(self) -> None: ...

    def on_news(self, news: ObjectNews) -> None:
        if self.over or news.object_id != self._object:
            return
        match news:
            case ObjectProgress():
                if self._progress is not None:
                    self._progress(news.done_bytes, news.total_bytes)
            case ObjectFailed():
                self._failed(news)
            case _:
                self._came(news)

    def on_connected(self) -> None:
        """A session has begun."""
        if self.over:
            return
        try:
            self.begin()
        except LocalProtocolError as error:  # somebody else moves an object already
            self.end(error)

    def tick(self, now_s: float) -> None:
        if not self.over and now_s >= self._give_up_s:
            if self._link.state is State.OPEN:
                self._abandon()
            self.end(RequestTimeout("The object did not arrive in time.", "Allow more time, or choose a smaller one."))

    def next_deadline(self) -> float:
        return math.inf if self.over else self._give_up_s

    def end(self, outcome: bytes | BridgeError) -> None:
        if not self.over:
            self.over = True
            self._done(outcome)


class ObjectSending(ObjectJob):
    """One object to the frame; ends with the octets that it was."""

    def __init__(
        self,
        link: Link,
        kind: ObjectKind,
        data: bytes,
        done: ObjectDone,
        progress: Progress | None,
        now_s: float,
        timeout_s: float,
    ) -> None:
        super().__init__(link, done, progress, now_s, timeout_s)
        self._kind, self._data = kind, data

    def begin(self) -> None:
        self._object = self._link.write_object(self._kind, self._data)

    def _came(self, news: ObjectReceived | ObjectWritten) -> None:
        if isinstance(news, ObjectWritten):
            self.end(self._data)

    def _failed(self, failed: ObjectFailed) -> None:
        if not isinstance(failed.error, DeviceLost):
            self.end(failed.error)

    def _abandon(self) -> None:
        self._link.abandon_write()


class MadeObjectReading(ObjectJob):
    """An object that the frame makes of nothing, read back; ends with its octets."""

    def __init__(
        self,
        link: Link,
        post: Post,
        size_bytes: int,
        done: ObjectDone,
        progress: Progress | None,
        now_s: float,
        timeout_s: float,
    ) -> None:
        super().__init__(link, done, progress, now_s, timeout_s)
        self._post = post
        self._size_bytes = size_bytes
        self._have = b""

    def begin(self) -> None:
        if self._object is None:
            self._post(Method.MAKE_TEST_OBJECT, MakeTestObjectArgs(self._size_bytes), self._made)
        else:
            self._link.read_object(self._object, self._have)

    def _made(self, finished: CallFinished) -> None:
        if self.over or isinstance(finished.error, DeviceLost | OutcomeUnknown):
            return  # the next session asks again
        if finished.error is not None or not isinstance(finished.result, MakeTestObjectResult):
            self.end(finished.error or RequestRefused("The frame made no object.", RpcStatus.FAILED, "Try again."))
            return
        self._object = finished.result.object
        self.on_connected()

    def _came(self, news: ObjectReceived | ObjectWritten) -> None:
        if isinstance(news, ObjectReceived):
            self.end(news.data)

    def _failed(self, failed: ObjectFailed) -> None:
        error = failed.error
        if isinstance(error, DeviceLost):
            self._have = failed.received
        elif isinstance(error, RequestRefused) and error.status == RpcStatus.NOT_FOUND:  # it has booted since
            self._object, self._have = None, b""
            self.on_connected()
        else:
            self.end(error)

    def _abandon(self) -> None:
        self._link.abandon_read()
