"""What every Device does, whoever drives it: requests with callbacks, photos, objects, playback, reconnecting.

Knows Link and its events; must not know ports, threads or clocks. `Device` drives it from an I/O thread under the wall
clock, `LockstepDevice` from its caller under a virtual one, and both show the same `DeviceApi`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from .crash import CrashWatch
from .errors import BridgeError, DeviceLost, LocalProtocolError, RemoteProtocolError, RequestRefused
from .link import Link
from .link_events import (
    CallFinished,
    Connected,
    Crashed,
    DeviceInfo,
    Disconnected,
    Event,
    FrameReported,
    ObjectFailed,
    ObjectProgress,
    ObjectReceived,
    ObjectWritten,
    RateChanged,
)
from .link_states import State
from .messages import CaptureEvent, Message, Method, ObjectKind, PhotoEvent, RpcStatus
from .object_jobs import MadeObjectReading, ObjectDone, ObjectJob, ObjectSending, Progress
from .photo import PhotoTaker
from .rpc import words

# The rate that a UART is switched to, unless somebody wants another: PCM fits, and every usual bridge can do it.
WANTED_BAUD = 921_600

REQUEST_TIMEOUT_S = 2.0
PHOTO_TIMEOUT_S = 10.0

# Pause before the handshake or the port is tried again; doubles up to the longest, so that the frame is back within
# 2 s of its return and a missing one costs next to nothing.
FIRST_BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 1.0

T = TypeVar("T")
CallDone = Callable[[CallFinished], None]
PhotoDone = Callable[[bytes | BridgeError], None]
_log = logging.getLogger(__name__)


class DeviceCore:
    """Owned by one thread at a time. `nonce` returns a fresh random u32 for each handshake.

    `keep_crash` stores what the frame printed of a crash and returns where, or "".

    With `patient` a first handshake that fails is tried again as any other, each that fails is told to subscribers, and
    any frame that answers is welcome. Without, the first failure is the end, and later on only the same frame is.

    With `shielded` a callback that raises is logged and, when it is a subscriber, dropped: a mistake in one must not
    keep the link from the others. Without, its exception reaches whoever drives the core.
    """

    def __init__(
        self,
        link: Link,
        nonce: Callable[[], int],
        hello_timeout_s: float,
        *,
        shielded: bool = False,
        keep_crash: Callable[[Crashed], str] | None = None,
        patient: bool = False,
    ) -> None:
        self.link = link
        self.crashes = CrashWatch(keep_crash)
        self.info: DeviceInfo | None = None
        self.connected = False
        self.first_error: BridgeError | None = None  # why the very first handshake failed
        self.rate_trouble = ""  # why the line is slower than was wished, or than PCM needs, in this session
        self.subscribers: list[Callable[[Event], None]] = []
        self._nonce = nonce
        self._hello_timeout_s = hello_timeout_s
        self._shielded = shielded
        self._patient = patient
        self._done: dict[int, Callable[[CallFinished], None]] = {}
        self._photo: PhotoTaker | None = None
        self._jobs: list[ObjectJob] = []
        self._now_s = 0.0
        self._port_up = False
        self._start_s = 0.0
        self._back_off_s = FIRST_BACK_OFF_S
        self._retries_logged = 0

    # ------------------------------------------------------------------------------------- verbs
    def post(
        self, method: Method, args: Message | None, done: Callable[[CallFinished], None], timeout_s: float
    ) -> None:
        try:
            if self.link.state is not State.OPEN:
                raise DeviceLost("The frame is not connected.", "Check its cable: lorgnette doctor")
            self._done[self.link.call(method, args, timeout_s)] = done
        except BridgeError as error:
            self.tell(done, CallFinished(0, method, None, None, error))
        except Exception as error:  # of arguments that are no message at all: whoever waits must hear of it
            _log.exception("a request could not be made")
            failed = LocalProtocolError(f"{words(method)} failed here: {error!r}")
            self.tell(done, CallFinished(0, method, None, None, failed))

    def play(self, stream: int, pcm: bytes, last: bool) -> None:
        if self.link.state is State.OPEN:  # without a frame there is nobody to hear it; Disconnected has told
            self.link.send_audio(stream, pcm, last)

    def post_photo(self, done: PhotoDone, timeout_s: float) -> None:
        if self._photo is not None and not self._photo.over:
            self.tell(done, RequestRefused("A photo is being taken already.", RpcStatus.BUSY, "Wait for it."))
            return
        photo = self._photo = PhotoTaker(self.link, lambda outcome: self.tell(done, outcome), self._now_s, timeout_s)
        self.post(Method.TAKE_PHOTO, None, lambda finished: photo.on_reply(finished, self._now_s), REQUEST_TIMEOUT_S)

    def post_object(
        self, kind: ObjectKind, data: bytes, done: ObjectDone, progress: Progress | None, timeout_s: float
    ) -> None:
        ended, told = self._shield(done, progress)
        self._begin(ObjectSending(self.link, kind, data, ended, told, self._now_s, timeout_s))

    def post_test_object(self, size_bytes: int, done: ObjectDone, progress: Progress | None, timeout_s: float) -> None:
        def post(method: Method, args: Message, made: CallDone) -> None:
            self.post(method, args, made, REQUEST_TIMEOUT_S)

        ended, told = self._shield(done, progress)
        self._begin(MadeObjectReading(self.link, post, size_bytes, ended, told, self._now_s, timeout_s))

    def _begin(self, job: ObjectJob) -> None:
        self._jobs = [*(other for other in self._jobs if not other.over), job]
        if self.link.state is State.OPEN:
            job.on_connected()

    def _shield(self, done: ObjectDone, progress: Progress | None) -> tuple[ObjectDone, Progress | None]:
        def told(did: int, total: int) -> None:
            if progress is not None:
                self.tell(lambda pair: progress(*pair), (did, total))

        return lambda outcome: self.tell(done, outcome), told if progress is not None else None

    # ------------------------------------------------------------------------------ port and time
    def port_opened(self, now_s: float) -> None:
        self._now_s, self._port_up = now_s, True
        self._start(now_s)

    def port_lost(self, error: BridgeError) -> None:
        self._port_up = False
        between_handshakes = self.link.state is State.IDLE
        self.link.port_lost(error)
        if between_handshakes and self._patient:
            self._publish(Disconnected(error))

    def tick(self, now_s: float) -> None:
        self._now_s = now_s
        self.link.tick(now_s)
        if self.link.stats.rpc_retries != self._retries_logged:
            self._retries_logged = self.link.stats.rpc_retries
            _log.debug("a request without an answer was sent again: %d times so far", self._retries_logged)
        if self._photo is not None:
            self._photo.tick(now_s)
        for job in self._jobs:
            job.tick(now_s)
        if self._waits_to_start and now_s >= self._start_s:
            self._start(now_s)

    def next_deadline(self) -> float | None:
        times = [self.link.next_deadline(), self._photo.next_deadline() if self._photo is not None else None]
        times += [job.next_deadline() for job in self._jobs if not job.over]
        if self._waits_to_start:
            times.append(self._start_s)
        return min((t for t in times if t is not None), default=None)

    @property
    def gave_up(self) -> bool:
        """The first handshake has failed, and there will be no other."""
        return self.info is None and self.first_error is not None and not self._patient

    @property
    def _waits_to_start(self) -> bool:
        return self._port_up and self.link.state is State.IDLE and (self.info is not None or self._patient)

    def back_off(self) -> float:
        """The next pause before a new attempt, in seconds; each is twice as long as the one before."""
        pause_s, self._back_off_s = self._back_off_s, min(2 * self._back_off_s, LONGEST_BACK_OFF_S)
        return pause_s

    def end(self, error: BridgeError | None = None) -> None:
        """The link is closed: answer whoever still waits. `error`, if it was not asked for, is told to subscribers."""
        if self._photo is not None:
            self._photo.on_lost(DeviceLost("The link was closed while a photo was on its way."))
        for job in self._jobs:
            job.end(DeviceLost("The link was closed while an object was on its way."))
        self.deliver()
        _log.info("link closed")
        _log.debug("%s", self.link.stats)
        was, self.connected = self.connected, False
        if error is not None:
            self.first_error = self.first_error or error
            if was:
                self._publish(Disconnected(error))

    def _start(self, now_s: float) -> None:
        self.link.start(self._nonce(), now_s, self._hello_timeout_s)

    # ------------------------------------------------------------------------------------ events
    def deliver(self) -> None:
        """Hand every waiting event to whom it concerns."""
        while (came := self.link.next_event()) is not None:
            for event in self.crashes.pass_on(came, self._now_s):
                if self._handle(event):
                    self._publish(event)

    def unsubscribe(self, callback: Callable[[Event], None]) -> None:
        """Idempotent."""
        if callback in self.subscribers:
            self.subscribers.remove(callback)

    def tell(self, callback: Callable[[T], object], value: T) -> bool:
        """Call somebody back; False when it raised and that was logged."""
        try:
            callback(value)
        except Exception:
            if not self._shielded:
                raise
            _log.exception("a callback of the link raised")
            return False
        return True

    def _publish(self, event: Event) -> None:
        for callback in tuple(self.subscribers):
            if not self.tell(callback, event):
                self.unsubscribe(callback)

    def _handle(self, event: Event) -> bool:
        """Act on an event; False when it is of no interest outside."""
        match event:
            case Connected(info):
                if self.info is not None and info.device_id != self.info.device_id and not self._patient:
                    self.link.port_lost(RemoteProtocolError(f"Another frame ({info.device_id}) answers."))
                    return False
                came = "connected" if self.info is None else "is back"
                _log.info("%s %s: device %s, firmware %s", info.name, came, info.device_id, info.firmware_version)
                self.info, self.connected, self._back_off_s = info, True, FIRST_BACK_OFF_S
                self.rate_trouble = ""
                for job in self._jobs:
                    job.on_connected()
            case RateChanged(_, reason):
                self.rate_trouble = reason
                _log.warning("%s", reason)
            case Disconnected(error):
                was, self.connected = self.connected, False
                _log.log(logging.WARNING if was else logging.DEBUG, "no frame: %s", error)
                self._start_s = self._now_s + self.back_off()
                if self.info is None:
                    self.first_error = error
                if self._photo is not None:
                    self._photo.on_lost(error)
                return was or self._patient  # attempts to come back are quiet otherwise
            case CallFinished():
                if (done := self._done.pop(event.call_id, None)) is not None:
                    self.tell(done, event)
                return False
            case ObjectReceived() | ObjectFailed() | ObjectWritten() | ObjectProgress():
                if self._photo is not None and isinstance(event, ObjectReceived | ObjectFailed):
                    self._photo.on_object(event, self._now_s)
                for job in self._jobs:
                    job.on_news(event)
                return False
            case FrameReported(CaptureEvent(on=on)):
                _log.info("capture %s", "on" if on else "off")
            case FrameReported(PhotoEvent() as report) if self._photo is not None:
                self._photo.on_report(report, self._now_s)
            case _:
                pass
        return True


def run_quietly(command: Callable[[], None]) -> None:
    """Run a command that nobody waits for; a misuse is logged, since it must not end the thread."""
    try:
        command()
    except LocalProtocolError as error:
        _log.error("%s", error)
