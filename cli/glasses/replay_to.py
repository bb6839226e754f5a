"""What the captured host asked of its frame and played on it, done again on a live frame, at the captured times."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...firmware_bridge.capture.reader import CaptureReader, Note
from ...firmware_bridge.capture.recorder import VALUES
from ...firmware_bridge.device_api import DeviceApi
from ...firmware_bridge.device_core import REQUEST_TIMEOUT_S
from ...firmware_bridge.errors import BridgeError, CaptureError
from ...firmware_bridge.link_events import CallFinished
from ...firmware_bridge.messages import Message, Method
from ..assistant.audio import SAMPLE_BYTES

NO_ANSWER = "no answer"
LOOK_S = 0.25  # how long a wait lasts before Ctrl-C is looked for, where nothing else wakes it
GRACE_S = 5.0  # for the last answers, beyond their own timeouts
MAX_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Request:
    """One call, and how it ended then and now: a status of the frame in words, or "no answer"."""

    at_s: float
    method: str
    captured: str
    live: str


@dataclass(slots=True)
class Redone:
    """What was done. `requests` are in the order in which they were made."""

    requests: list[Request] = field(default_factory=list)
    audio_samples: int = 0

    @property
    def differing(self) -> list[Request]:
        return [request for request in self.requests if request.captured != request.live]


def asks_something(path: Path) -> bool:
    """The capture holds a request, or sound for the speaker. Raises what `replay_to` raises."""
    return any(_given(note) is not None for note in _notes(path))


def replay_to(path: Path, device: DeviceApi) -> Redone:
    """Do it. Raises CaptureError, and OSError when the file cannot be read."""
    endings = _endings(path)
    redone, answers = Redone(), _Answers()
    began_s, first_s, last_s = time.monotonic(), None, 0.0
    longest_s = 0.0
    for note in _notes(path):
        last_s = note.at_s
        given = _given(note)
        if given is None:
            continue
        first_s = note.at_s if first_s is None else first_s
        _sleep_until(began_s + note.at_s - first_s)
        try:
            if note.value["do"] == "send_audio":
                device.play(given["stream"], given["pcm"], bool(given.get("last")))
                redone.audio_samples += len(given["pcm"]) // SAMPLE_BYTES
                continue
            method, args = given["method"], given.get("args")
            timeout_s = min(float(given.get("timeout_s", REQUEST_TIMEOUT_S)), MAX_TIMEOUT_S)
            if not isinstance(method, Method) or not (args is None or isinstance(args, Message)):
                raise TypeError("no request")
        except (BridgeError, KeyError, TypeError, ValueError) as error:
            raise CaptureError(f"The capture holds a call that cannot be made: {error}") from error
        longest_s = max(longest_s, timeout_s)
        device.post(method, args, answers.expect(), timeout_s)
        redone.requests.append(Request(note.at_s - first_s, method.name.lower(), NO_ANSWER, NO_ANSWER))
    if first_s is not None:
        _sleep_until(began_s + last_s - first_s)  # what was asked for last had this long to happen
    answers.wait(longest_s + GRACE_S)
    redone.requests = [
        Request(request.at_s, request.method, endings.get(number, NO_ANSWER), answers.ended.get(number, NO_ANSWER))
        for number, request in enumerate(redone.requests)
    ]
    return redone


def _sleep_until(monotonic_s: float) -> None:
    while (left_s := monotonic_s - time.monotonic()) > 0:
        time.sleep(min(left_s, LOOK_S))


class _Answers:
    """How each request ended, by its number. The frame's thread writes, and `wait` is on the caller's."""

    def __init__(self) -> None:
        self.ended: dict[int, str] = {}
        self._asked = 0
        self._changed = threading.Condition()

    def expect(self) -> Callable[[CallFinished], None]:
        number, self._asked = self._asked, self._asked + 1

        def done(finished: CallFinished) -> None:
            with self._changed:
                self.ended[number] = NO_ANSWER if finished.status is None else finished.status.name.lower()
                self._changed.notify_all()

        return done

    def wait(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while len(self.ended) < self._asked and time.monotonic() < deadline_s:
                self._changed.wait(LOOK_S)


def _endings(path: Path) -> dict[int, str]:
    """The captured end of each call by its number, where it has one."""
    found: dict[int, str] = {}
    open_calls: dict[int, int] = {}  # the link's own number of a call -> ours
    calls = 0
    for note in _notes(path):
        if note.kind == "call" and note.value.get("do") == "call" and "raised" not in note.value:
            open_calls[_number(note.value.get("gave"))] = calls
            calls += 1
        event = note.value.get("event")
        if note.kind == "event" and isinstance(event, dict) and event.get("is") == "CallFinished":
            number = open_calls.pop(_number(event.get("call_id")), None)
            status = event.get("status")
            if number is not None and isinstance(status, dict):
                found[number] = str(status.get("name", "")).lower()
    return found


def _number(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _given(note: Note) -> dict[str, Any] | None:
    """The arguments of a call or of audio; None for every other note, and for what was refused then already."""
    given = note.value.get("with")
    if note.kind != "call" or note.value.get("do") not in ("call", "send_audio") or "raised" in note.value:
        return None
    if not isinstance(given, dict):
        raise CaptureError("The capture holds a call without arguments.")
    return {name: VALUES.decode(value) for name, value in given.items()}


def _notes(path: Path) -> Iterator[Note]:
    with closing(path.open("rb")) as file:
        for record in CaptureReader(file).before_damage():
            if isinstance(record, Note):
                yield record
