"""LinkReplay: a fresh Link that is told what the captured one was told, and must do the same.

Sans-I/O: records in, the first Difference raised. Knows the bridge's own notes; every other kind is somebody else's.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import CaptureError
from ..link import Link
from .reader import Note, Octets, Record
from .recorder import VALUES, HeardAudio, link_inputs

NOTHING = "nothing"
MAX_SHOWN_OCTETS = 24
MAX_SHOWN_CHARS = 400


class Difference(Exception):
    """The first thing that did not come out as it was captured. `expected` and `got` are for people."""

    def __init__(self, at_s: float, what: str, expected: str, got: str) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.at_s, self.what, self.expected, self.got = at_s, what, expected, got


class LinkReplay:
    """Give it every record in order, then call `finish`.

    Attributes:
        events: how many were equal.
        octets: to the frame, how many were equal.
        heard: what the microphone brought last.
    """

    def __init__(self) -> None:
        self.events = self.octets = 0
        self.heard = HeardAudio()
        self._inputs = frozenset(link_inputs())
        self._link: Link | None = None
        self._now_s = 0.0
        self._due: tuple[str, dict[str, Any]] | None = None  # a call whose octets follow, and its arguments
        self._sent = b""  # what the Link sent, until the captured octets come

    def take(self, record: Record) -> None:
        """Do what the record says.

        Raises:
            Difference: something else came of it.
            CaptureError: the record cannot be understood.
        """
        self._now_s = record.at_s
        if isinstance(record, Octets):
            self._take_octets(record)
        elif record.kind in ("link", "call", "event"):
            if self._due is not None:
                raise CaptureError("The capture lacks the octets of a call.")
            if record.kind == "link":
                self._begin(record)
            elif record.kind == "call":
                self._call(record)
            else:
                self._compare_event(record)

    def finish(self) -> None:
        """The capture has ended, and was whole: nothing may be left over. Raises Difference."""
        if self._link is not None and (event := self._link.next_event()) is not None:
            raise Difference(self._now_s, "event", NOTHING, _shown(VALUES.encode(event, whole=False)))

    def _begin(self, note: Note) -> None:
        self.finish()
        self._link = self._do(lambda: Link(**self._given(note)), note)[0]

    def _call(self, note: Note) -> None:
        name, given = note.value.get("do"), self._given(note)
        if not isinstance(name, str) or name not in self._inputs:
            raise CaptureError(f"The capture calls {str(name)[:60]!r}, which this version's link does not have.")
        if name in ("receive_data", "data_to_send") and "raised" not in note.value:
            size = note.value.get("octets")
            if name == "data_to_send":
                self._sent = self._do(self._method("data_to_send"), note)[0]
                if len(self._sent) != size:
                    expected = f"{size} octets"
                    raise Difference(self._now_s, "octets to the frame", expected, _octets(self._sent))
            if size:
                self._due = name, given
            elif name == "receive_data":
                self._do(lambda: self._method(name)(b"", **given), note)
            return
        gave, raised = self._do(lambda: self._method(name)(**given), note, may_raise=True)
        got = {"raised": raised} if raised else {} if gave is None else {"gave": VALUES.encode(gave, whole=False)}
        expected_of = {key: note.value[key] for key in ("raised", "gave") if key in note.value}
        if got != expected_of:
            raise Difference(self._now_s, f"outcome of {name}", _shown(expected_of), _shown(got))

    def _take_octets(self, octets: Octets) -> None:
        if self._due is None:
            raise CaptureError("The capture holds octets that no link has to do with: it can be shown, not replayed.")
        (name, given), self._due = self._due, None
        if octets.inbound != (name == "receive_data"):
            raise CaptureError("The capture holds octets of the wrong direction.")
        if octets.inbound:
            self._do(lambda: self._method(name)(octets.data, **given), None)
        elif octets.data != self._sent:
            raise Difference(self._now_s, "octets to the frame", _octets(octets.data), _octets(self._sent))
        else:
            self.octets += len(octets.data)

    def _compare_event(self, note: Note) -> None:
        event = self._do(self._method("next_event"), note)[0]
        expected, got = note.value.get("event"), VALUES.encode(event, whole=False)
        if event is None or got != expected:
            raise Difference(self._now_s, "event", _shown(expected), NOTHING if event is None else _shown(got))
        self.heard.add(event)
        self.events += 1

    def _given(self, note: Note) -> dict[str, Any]:
        given = note.value.get("with")
        if not isinstance(given, dict):
            raise CaptureError("The capture holds a call without arguments.")
        return {str(name): VALUES.decode(value) for name, value in given.items()}

    def _method(self, name: str) -> Any:
        if self._link is None:
            raise CaptureError("The capture calls a link before it begins one.")
        return getattr(self._link, name)

    def _do(self, act: Any, note: Note | None, *, may_raise: bool = False) -> tuple[Any, str]:
        """What came of it, and the class of what was raised: a capture may hold arguments that no program gives."""
        try:
            return act(), ""
        except CaptureError:
            raise
        except Exception as error:
            if may_raise:
                return None, type(error).__name__
            what = f"outcome of {note.value.get('do', note.kind)}" if note is not None else "receive_data"
            raise Difference(self._now_s, what, "no error", f"{type(error).__name__}: {error}") from error


def _shown(plain: Any) -> str:
    text = json.dumps(plain)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[: MAX_SHOWN_CHARS - 3]}..."


def _octets(data: bytes) -> str:
    if not data:
        return NOTHING
    more = "..." if len(data) > MAX_SHOWN_OCTETS else ""
    return f"{len(data)} octets ({data[:MAX_SHOWN_OCTETS].hex(' ')}{more})"
