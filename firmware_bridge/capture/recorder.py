"""LinkRecorder: everything that goes into a Link and comes out of it, into a capture.

Works at Link's own boundary, so that the same octets and calls make the same Link again. Whatever public method a Link
has is recorded, whether this module has heard of it or not.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from .. import errors, link_events, messages
from ..link import Link
from ..link_events import AudioReceived, Event
from .values import Values
from .writer import CaptureWriter

VALUES = Values(errors, link_events, messages)

# Public methods that change nothing in a Link and tell the frame nothing.
READS = frozenset({"next_deadline"})

AUDIO_KEPT = 1024  # AudioFrames, 20 s: far more than may wait between the link and whoever listens


def link_inputs() -> list[str]:
    """Every public method of Link that is recorded, and done again by a replay."""
    public = (name for name, _ in inspect.getmembers(Link, inspect.isfunction) if not name.startswith("_"))
    return [name for name in public if name not in READS]


class HeardAudio:
    """The microphone's newest AudioFrames by their first sample: a note can name one instead of repeating it."""

    def __init__(self) -> None:
        self._pcm: OrderedDict[int, bytes] = OrderedDict()

    def add(self, event: Event) -> None:
        if isinstance(event, AudioReceived):
            self._pcm.pop(event.sample, None)
            self._pcm[event.sample] = event.pcm
            if len(self._pcm) > AUDIO_KEPT:
                self._pcm.popitem(last=False)

    def at(self, sample: int) -> bytes | None:
        return self._pcm.get(sample)


class LinkRecorder:
    """Makes Links that write down what is done with them.

    A note of kind "link" begins one, "call" is a call of it and what came of it, "event" is what `next_event` returned.
    The octets of `receive_data` and `data_to_send` follow their call as the line's own packet.

    Attributes:
        heard: what the microphone brought last.
    """

    def __init__(self, writer: CaptureWriter) -> None:
        self.heard = HeardAudio()
        self._writer = writer
        self._now_s = 0.0  # the newest that a Link was told: the callers tick before everything that they do

    def make_link(self, *args: Any, **kwargs: Any) -> Link:
        """A Link; the arguments are Link's own."""
        link = Link(*args, **kwargs)
        begin: dict[str, Any] | None = {
            "kind": "link",
            "with": _encoded(dict(inspect.signature(Link).bind(*args, **kwargs).arguments)),
        }
        busy = False

        def recorded(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
            names = list(inspect.signature(method).parameters)

            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal begin, busy
                if busy:  # the Link calls itself: that follows from the call that is recorded
                    return method(*args, **kwargs)
                given = {**dict(zip(names, args, strict=False)), **kwargs}
                self._now_s = float(given.get("now_s", self._now_s))
                if begin is not None:  # only now there is a time for it
                    self._writer.note(begin, self._now_s)
                    begin = None
                busy = True
                try:
                    result = method(*args, **kwargs)
                except Exception as error:
                    self._write(name, given, {"raised": type(error).__name__})
                    raise
                finally:
                    busy = False
                self._came_of(name, given, result)
                return result

            return call

        for name in link_inputs():
            setattr(link, name, recorded(name, getattr(link, name)))
        return link

    def _came_of(self, name: str, given: dict[str, Any], result: Any) -> None:
        if name == "next_event":
            if result is not None:
                self.heard.add(result)
                self._writer.note({"kind": "event", "event": VALUES.encode(result, whole=False)}, self._now_s)
        elif name in ("receive_data", "data_to_send"):
            data = bytes(given.pop("data") if name == "receive_data" else result)
            self._write(name, given, {"octets": len(data)})
            if data:
                self._writer.octets(data, self._now_s, inbound=name == "receive_data")
        else:
            self._write(name, given, {} if result is None else {"gave": VALUES.encode(result, whole=False)})

    def _write(self, name: str, given: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        self._writer.note({"kind": "call", "do": name, "with": _encoded(given), **outcome}, self._now_s)


def _encoded(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: VALUES.encode(value) for name, value in given.items()}
