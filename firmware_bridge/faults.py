"""The faults that a line can be given: one table has the word, the values and the meaning of each.

For the options of `sim://`, for `frame proxy` and for their help. Knows text and numbers; `fault_line` does what they
say to octets, `faulty_frame` to a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl


class SupplyFailed(Exception):
    """A part of the frame draws more current than its supply gives: raised from within a step, it resets the frame."""


class Kind(NamedTuple):
    """The values that an option takes. `read` raises ValueError."""

    what: str
    example: str
    read: Callable[[str], Any]


class Option(NamedTuple):
    field: str
    kind: Kind
    meaning: str


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        number = float(text)
        if not least <= number <= most:  # also what is no number at all
            raise ValueError
        return number

    return read


def _span(text: str) -> tuple[float, float]:
    at, _, length = text.partition(":")
    return _time(at), _time(length)


def _flag(text: str) -> bool:
    return bool(("0", "1").index(text))


MAX_TIMES = 100  # in one option: more is a mistake
_time = _number(0, 86_400)
_CHANCE = Kind("a chance from 0 to 1", "0.01", _number(0, 1))
_MS = Kind("a number of milliseconds from 0 to 60000", "20", _number(0, 60_000))
_BAUD = Kind("a rate from 1200 to 20000000 baud", "921600", lambda text: int(_number(1200, 20_000_000)(text)))
_TIME = Kind("a number of seconds from 0 to 86400", "10", _time)
_TIMES = Kind("a list of seconds, such as 10 or 10,20", "10", lambda text: tuple(map(_time, _parts(text))))
_SPANS = Kind(
    "a list of AT:FOR in seconds, such as 5:2 or 5:2,20:1", "5:2", lambda text: tuple(map(_span, _parts(text)))
)
_FLAG = Kind("0 or 1", "1", _flag)


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if len(parts) > MAX_TIMES:
        raise ValueError
    return parts


FAULTS: dict[str, Option] = {
    "flip": Option("flip", _CHANCE, "that a bit is turned over"),
    "drop": Option("drop", _CHANCE, "that a run of 1 to 128 octets vanishes from a frame"),
    "lose": Option("lose", _CHANCE, "that a frame vanishes"),
    "truncate": Option("truncate", _CHANCE, "that a frame's end is cut off"),
    "duplicate": Option("duplicate", _CHANCE, "that a frame comes twice"),
    "reorder": Option("reorder", _CHANCE, "that a frame comes up to 50 ms late, behind others"),
    "splice": Option("splice", _CHANCE, "that a piece of boot log, panic or AT text stands in a frame"),
    "noise": Option("noise", _CHANCE, "that a burst of 1 to 64 random octets stands before a frame"),
    "stall": Option("stall", _CHANCE, "that the line stands still after a frame"),
    "stall_ms": Option("stall_ms", _MS, "the longest of these pauses"),
    "delay": Option("delay_ms", _MS, "the time that every octet takes"),
    "rate": Option("rate_baud", _BAUD, "the line takes the time of a UART at this rate"),
    "latency": Option("latency_ms", _MS, "what comes to the host waits for 62 octets or this long (FTDI: 16)"),
    "unplug": Option("unplug_s", _SPANS, "the cable is out: from when on, for how long"),
    "reset": Option("reset_s", _TIMES, "the frame boots again at these times"),
    "panic": Option("panic_s", _TIMES, "the frame crashes and boots again at these times"),
    "brownout": Option("brownout_s", _TIMES, "the frame's supply breaks down and it boots again at these times"),
    "mute": Option("mute_s", _TIME, "from when on nothing passes either way, though the port stays"),
    "bootlog": Option("bootlog", _FLAG, "the line begins with a boot log, and with AT to the frame"),
}
EXAMPLE = "drop=0.01&flip=1e-5"


@dataclass(frozen=True, slots=True)
class Faults:
    """What a line does. The fields are explained in FAULTS; a chance is per frame, `flip` per bit."""

    flip: float = 0.0
    drop: float = 0.0
    lose: float = 0.0
    truncate: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    splice: float = 0.0
    noise: float = 0.0
    stall: float = 0.0
    stall_ms: float = 50.0
    delay_ms: float = 0.0
    rate_baud: int = 0
    latency_ms: float = 0.0
    unplug_s: tuple[tuple[float, float], ...] = ()
    reset_s: tuple[float, ...] = ()
    panic_s: tuple[float, ...] = ()
    brownout_s: tuple[float, ...] = ()
    mute_s: float | None = None
    bootlog: bool = False


def parse_faults(options: Mapping[str, str]) -> Faults:
    """Read faults by their words in FAULTS.

    Raises:
        ValueError: with a sentence for the user: a word that is none, or a value out of its range.
    """
    read: dict[str, Any] = {}
    for word, text in options.items():
        option = FAULTS.get(word)
        if option is None:
            raise ValueError(f"there is no fault {word!r}; {nearest_fault(word)}")
        try:
            read[option.field] = option.kind.read(text)
        except ValueError:
            kind = option.kind
            raise ValueError(f"{word}={text}: not {kind.what}; write it like {word}={kind.example}") from None
    return Faults(**read)


def parse_fault_text(text: str) -> Faults:
    """Read `drop=0.01&flip=1e-5`. Raises ValueError as `parse_faults`, and for a word that is given twice."""
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100)
    if text and not pairs:
        raise ValueError(f"{text!r} names no faults; write it like {EXAMPLE}")
    words = [word for word, _ in pairs]
    if twice := [word for word in words if words.count(word) > 1]:
        raise ValueError(f"the fault {twice[0]!r} is given twice")
    return parse_faults(dict(pairs))


def nearest_fault(word: str) -> str:
    """Half a sentence: the fault that was probably meant, else all of them."""
    import difflib

    close = difflib.get_close_matches(word, FAULTS, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(FAULTS)}"
