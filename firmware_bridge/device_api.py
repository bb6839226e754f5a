"""DeviceApi: a connected frame, as the rest of the program sees it.

Knows DeviceCore; must not know who drives it, or when.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from .console import ConsoleLog
from .device_core import PHOTO_TIMEOUT_S, REQUEST_TIMEOUT_S, CallDone, DeviceCore, PhotoDone, T
from .errors import BridgeError, LocalProtocolError
from .link import WireRecord
from .link_events import DeviceInfo, Event, LinkStats
from .messages import CloseReason, Codec, FlushSpeakerArgs, Message, Method, ObjectKind
from .object_jobs import ObjectDone, Progress

OBJECT_TIMEOUT_S = 120.0  # the largest test object needs 110 s at 115200 baud

WireLog = Callable[[str, float, int, int, str], None]


class DeviceApi(ABC):
    """A connected frame, as the rest of the program sees it.

    Callbacks (`subscribe`, `post`, `post_photo`) run on the thread that drives the device and must not block; from
    within one only the methods that do not wait may be called.
    """

    def __init__(self, core: DeviceCore) -> None:
        self._core = core
        self._streams = itertools.count(1)

    @property
    def info(self) -> DeviceInfo:
        """What the frame said of itself in the latest handshake."""
        assert self._core.info is not None
        return self._core.info

    @property
    def connected(self) -> bool:
        """False between Disconnected and Connected, and after `close`."""
        return self._core.connected

    @property
    def baud(self) -> int:
        """The rate of the line in baud; 0 where it has none (USB)."""
        return self._core.link.line_baud

    @property
    def rate_trouble(self) -> str:
        """Why the line is slower than was wished, or than PCM needs: what RateChanged said in this session, or ""."""
        return self._core.rate_trouble

    @property
    def codec(self) -> Codec:
        """The codec of microphone audio that fits the line, for CaptureStart. AudioReceived is always 16-bit PCM."""
        return self._core.link.codec

    @property
    def console(self) -> ConsoleLog:
        """The newest 64 KiB of what the frame printed: boot log, its own log, panics."""
        return self._core.crashes.console

    @property
    def wire_log(self) -> WireLog | None:
        """Called with (direction "rx" | "tx", host_time_s, channel, size_bytes, summary) of every frame."""
        return self._wire_log

    @wire_log.setter
    def wire_log(self, log: WireLog | None) -> None:
        self._wire_log = log
        if log is None:
            self._core.link.on_frame = None
            return

        def write(record: WireRecord) -> None:
            log(record.direction, record.host_time_s, record.channel, record.size_bytes, record.summary)

        def on_frame(record: WireRecord) -> None:
            if not self._core.tell(write, record):
                self.wire_log = None

        self._core.link.on_frame = on_frame

    _wire_log: WireLog | None = None

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` with every event from now on that is no answer to somebody's request.

        `close` is no Disconnected: whoever asked for it knows. Returns a function that ends the subscription.
        """
        self._core.subscribers.append(callback)
        return lambda: self._core.unsubscribe(callback)

    def request(
        self, method: Method, args: Message | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> Message | None:
        """Ask the frame and wait for the answer.

        Returns:
            The method's result message, None where it has none.

        Raises:
            RequestRefused, RequestTimeout, OutcomeUnknown, DeviceLost.
        """

        def start(done: CallDone) -> None:
            self._core.post(method, args, done, timeout_s)

        finished = self._wait(start, timeout_s)
        if finished.error is not None:
            raise finished.error
        return finished.result

    def post(
        self,
        method: Method,
        args: Message | None,
        done: CallDone,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        """Ask the frame without waiting; `done` is called once, whatever happens."""
        self._submit(lambda: self._core.post(method, args, done, timeout_s))

    def take_photo(self, timeout_s: float = PHOTO_TIMEOUT_S) -> bytes:
        """Take a photo and fetch it. Returns the JPEG. Raises what `request` raises."""

        def start(done: PhotoDone) -> None:
            self._core.post_photo(done, timeout_s)

        outcome = self._wait(start, timeout_s)
        if isinstance(outcome, BridgeError):
            raise outcome
        return outcome

    def post_photo(self, done: PhotoDone, timeout_s: float = PHOTO_TIMEOUT_S) -> None:
        """Take a photo without waiting; `done` gets the JPEG or the error."""
        self._submit(lambda: self._core.post_photo(done, timeout_s))

    def write_object(
        self,
        kind: ObjectKind,
        data: bytes,
        timeout_s: float = OBJECT_TIMEOUT_S,
        progress: Progress | None = None,
    ) -> None:
        """Send an object to the frame and wait until it is there, over broken links too. Raises what `request` raises.

        `progress` is called on the link's thread with (octets sent, octets in all).
        """

        def start(done: ObjectDone) -> None:
            self._core.post_object(kind, data, done, progress, timeout_s)

        outcome = self._wait(start, timeout_s)
        if isinstance(outcome, BridgeError):
            raise outcome

    def make_test_object(
        self, size_bytes: int, timeout_s: float = OBJECT_TIMEOUT_S, progress: Progress | None = None
    ) -> bytes:
        """Let the frame make an object of nothing, and read it back, over broken links too. Raises as `request`.

        `progress` is called on the link's thread with (octets received, octets in all).
        """

        def start(done: ObjectDone) -> None:
            self._core.post_test_object(size_bytes, done, progress, timeout_s)

        outcome = self._wait(start, timeout_s)
        if isinstance(outcome, BridgeError):
            raise outcome
        return outcome

    def new_stream(self) -> int:
        """A playback stream number, newer than all before."""
        return next(self._streams) & 0xFFFF

    def play(self, stream: int, pcm: bytes, last: bool = False) -> None:
        """Queue s16le mono 16 kHz for the speaker, in pieces of any length; `last` ends the stream.

        Streams play in the order of their numbers. While no frame is connected the audio is dropped.
        """
        if len(pcm) % 2:
            raise LocalProtocolError("the audio is cut within a sample")
        self._submit(lambda: self._core.play(stream, pcm, last))

    def flush(self, stream: int) -> None:
        """Drop everything queued of `stream` and of older ones, here and on the frame. PlaybackEnded tells when."""
        self.post(Method.FLUSH_SPEAKER, FlushSpeakerArgs(stream), lambda _: None)

    def stats(self) -> LinkStats:
        """A copy of the link's counters."""
        return replace(self._core.link.stats)

    @abstractmethod
    def close(self, reason: CloseReason = CloseReason.DONE) -> None:
        """End the session, so that the frame stops its sensors, and release the port. Idempotent, bounded time."""

    @abstractmethod
    def _submit(self, command: Callable[[], None]) -> None:
        """Run `command` where the core lives."""

    @abstractmethod
    def _wait(self, start: Callable[[Callable[[T], None]], None], timeout_s: float) -> T:
        """Run `start(done)` where the core lives and wait until it calls `done`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.close(CloseReason.INTERRUPTED if interrupted else CloseReason.DONE)
