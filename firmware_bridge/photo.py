"""Taking a photo: ask, wait for the camera, fetch the picture. Sans-I/O, one photo per object.

Knows the steps and what to do when one of their messages is lost; must not know ports or threads.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from .errors import BridgeError, LocalProtocolError, RequestRefused, RequestTimeout
from .link import Link
from .link_events import CallFinished, ObjectFailed, ObjectReceived
from .messages import PhotoEvent, PhotoStatus, RpcStatus, TakePhotoResult

# A camera needs up to a second to settle. After this the event that ends the exposure counts as lost on the wire, and
# the picture is simply asked for; while the frame still says "not found", again after the shorter time.
EVENT_LOST_S = 1.5
ASK_AGAIN_S = 0.5

_FAILURES = {
    PhotoStatus.NO_CAMERA: ("This frame has no camera.", "See what is fitted: lorgnette frame info"),
    PhotoStatus.CAPTURE_FAILED: ("The frame's camera failed.", "Check its cable: lorgnette doctor"),
    PhotoStatus.TOO_LARGE: ("The picture was too large for the frame's memory.", "Lower the camera's resolution."),
    PhotoStatus.NOT_JPEG: ("The frame's camera delivered no valid JPEG.", "Check its cable: lorgnette doctor"),
}


class _Step(Enum):
    ASKED = auto()
    EXPOSING = auto()
    READING = auto()
    OVER = auto()


class PhotoTaker:
    """One photo. `on_reply`, `on_report`, `on_object` and `tick` move it; `done` is called once, at the end."""

    def __init__(
        self, link: Link, done: Callable[[bytes | BridgeError], object], now_s: float, timeout_s: float
    ) -> None:
        self._link = link
        self._done = done
        self._step = _Step.ASKED
        self._give_up_s = now_s + timeout_s
        self._read_s: float | None = None  # when to ask for the picture although no event came
        self._object: int | None = None
        self._reported: dict[int, PhotoEvent] = {}  # an event may overtake the reply that names its object
        self._now_s = now_s

    @property
    def over(self) -> bool:
        return self._step is _Step.OVER

    def on_reply(self, finished: CallFinished, now_s: float) -> None:
        """The end of TakePhoto."""
        self._now_s = now_s
        if self.over:
            return
        if finished.error is not None or not isinstance(finished.result, TakePhotoResult):
            self._end(finished.error or RequestRefused("The frame took no photo.", RpcStatus.FAILED, "Try again."))
            return
        self._object = finished.result.object
        self._step, self._read_s = _Step.EXPOSING, now_s + EVENT_LOST_S
        if self._object in self._reported:
            self.on_report(self._reported[self._object], now_s)

    def on_report(self, event: PhotoEvent, now_s: float) -> None:
        self._now_s = now_s
        if self._step is _Step.ASKED:
            self._reported[event.object] = event
        elif event.object == self._object and not self.over:
            if event.status != PhotoStatus.OK:
                self._abandon_read()
                self._end(_failure(event.status))
            elif self._step is _Step.EXPOSING:
                self._read()

    def on_object(self, event: ObjectReceived | ObjectFailed, now_s: float) -> None:
        self._now_s = now_s
        if self._step is not _Step.READING or event.object_id != self._object:
            return
        if isinstance(event, ObjectReceived):
            self._end(event.data)
        elif isinstance(event.error, RequestRefused) and event.error.status in (RpcStatus.NOT_FOUND, RpcStatus.BUSY):
            self._step, self._read_s = _Step.EXPOSING, now_s + ASK_AGAIN_S  # the camera is not done yet
        else:
            self._end(event.error)

    def on_lost(self, error: BridgeError) -> None:
        """The session is over."""
        if not self.over:
            self._end(error)

    def tick(self, now_s: float) -> None:
        self._now_s = now_s
        if self.over:
            return
        if now_s >= self._give_up_s:
            self._abandon_read()
            self._end(RequestTimeout("The photo did not arrive in time.", "Try again, with a longer --timeout."))
        elif self._step is _Step.EXPOSING and self._read_s is not None and now_s >= self._read_s:
            self._read()

    def next_deadline(self) -> float | None:
        if self.over:
            return None
        return self._give_up_s if self._read_s is None else min(self._give_up_s, self._read_s)

    def _read(self) -> None:
        assert self._object is not None
        self._step, self._read_s = _Step.READING, None
        try:
            self._link.read_object(self._object)
        except LocalProtocolError as error:  # the session ended with this very event still on its way
            self._end(error)

    def _abandon_read(self) -> None:
        if self._step is _Step.READING:
            self._link.abandon_read()

    def _end(self, outcome: bytes | BridgeError) -> None:
        self._step = _Step.OVER
        self._done(outcome)


def _failure(status: int) -> RequestRefused:
    known = status in {int(s) for s in _FAILURES}
    sentence, remedy = _FAILURES[PhotoStatus(status) if known else PhotoStatus.CAPTURE_FAILED]
    return RequestRefused(sentence, RpcStatus.FAILED, remedy)
