"""What `frame monitor` says of all that a link tells: one line each, for people and as plain JSON.

Knows events and what they mean. Must not know ports, threads, terminals or the time of day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...firmware_bridge.console import ConsoleLine
    from ...firmware_bridge.link import WireRecord
    from ...firmware_bridge.link_events import Event, FrameMessage
    from ...firmware_bridge.messages import GetStatsResult

TEXT_PAUSE_S = 0.3  # a printed line without an end is shown after this
OCTETS_PER_LINE = 64
ARROWS = {"rx": "<", "tx": ">"}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is told.

    Attributes:
        at_s: when it happened, on the host's monotonic clock.
        event: what it is, one word.
        text: for people; not yet fit for a terminal.
        fields: for programs, plain JSON.
        remedy: what to do about it, or "".
    """

    at_s: float
    event: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""


class MonitorLines:
    """Turns what happens, in its order, into lines. Says once, not at each attempt, why no frame answers."""

    def __init__(self) -> None:
        from ...firmware_bridge.console import ConsoleLog

        self._printed = ConsoleLog()
        self._text_at_s: float | None = None  # when the newest piece of an unfinished line came
        self._connected = False
        self._boot_id: int | None = None
        self._absence: type[Exception] | None = None  # what was said of it
        self._noise_bytes = 0
        self._crash: Line | None = None  # the text that tells of it comes right behind it, and reads better before it

    def of_event(self, at_s: float, event: Event) -> Iterator[Line]:
        """An event of the link."""
        from ...firmware_bridge.link_events import (
            AudioReceived,
            Connected,
            ConsoleText,
            Crashed,
            Disconnected,
            FrameReported,
            RateChanged,
        )

        if isinstance(event, ConsoleText):
            yield from self._lines(self._printed.add(event.text, at_s))
            self._text_at_s = at_s
            yield from self._crashed()
            return
        if isinstance(event, AudioReceived):  # somebody else's
            return
        yield from self.settle()
        yield from self._crashed()
        match event:
            case Connected(info):
                booted = info.boot_id != self._boot_id
                self._connected, self._absence, self._boot_id = True, None, info.boot_id
                text = f"{info.name}, firmware {info.firmware_version}, protocol {info.protocol}, "
                text += f"reset reason: {info.reset_reason}" if booted else "it has run on meanwhile"
                names = ("name", "device_id", "firmware_version", "protocol", "boot_id", "reset_reason")
                fields = {name: getattr(info, name) for name in names}
                yield Line(at_s, "connected", text, {**fields, "booted": booted})
            case Disconnected(error):
                was, self._connected = self._connected, False
                if was or type(error) is not self._absence:
                    self._absence = type(error)
                    fields = {"message": str(error), "remedy": error.remedy}
                    yield Line(at_s, "lost" if was else "no_frame", str(error), fields, error.remedy)
            case Crashed(reason, text):
                self._crash = Line(at_s, "crashed", reason, {"reason": reason, "text": text})
            case RateChanged(baud, reason):
                yield Line(at_s, "rate", f"{baud} baud: {reason}" if baud else reason, {"baud": baud, "reason": reason})
            case FrameReported(message):
                yield _reported(at_s, message)
            case _:
                pass

    def of_frame(self, record: WireRecord) -> Line:
        """A frame on the wire."""
        from ...firmware_bridge.frame import channel_name

        channel = channel_name(record.channel)
        text = f"{ARROWS[record.direction]} {channel:<9} {record.size_bytes:>5} B  {record.summary}"
        fields = {
            "direction": record.direction,
            "channel": channel,
            "size_bytes": record.size_bytes,
            "summary": record.summary,
        }
        return Line(record.host_time_s, "frame", text, fields)

    def of_stats(self, at_s: float, now: GetStatsResult) -> Line:
        """The frame's counters."""
        text = (
            f"rx {now.rx_frames} frames ({now.rx_bad_frames} damaged, {now.rx_lost_frames} missing), "
            f"tx {now.tx_frames} ({now.tx_dropped_frames} dropped), overruns {now.rx_overruns}, "
            f"loop {now.loop_worst_us / 1000:g} ms late at worst, up {now.uptime_ms / 1000:.0f} s"
        )
        return Line(at_s, "stats", text, asdict(now))

    def of_noise(self, at_s: float, total_bytes: int) -> Iterator[Line]:
        """How many octets have been neither frame nor text, in all."""
        new, self._noise_bytes = total_bytes - self._noise_bytes, total_bytes
        if new > 0:
            yield Line(at_s, "noise", f"{new} bytes that are neither frame nor text", {"bytes": new})

    def settle(self, now_s: float | None = None) -> Iterator[Line]:
        """A printed line without an end, when nothing of it has come for a while; at once without a time."""
        if self._text_at_s is None or (now_s is not None and now_s < self._text_at_s + TEXT_PAUSE_S):
            return
        self._text_at_s = None
        yield from self._lines(self._printed.settle())

    def _crashed(self) -> Iterator[Line]:
        if self._crash is not None:
            yield self._crash
            self._crash = None

    def _lines(self, printed: list[ConsoleLine]) -> Iterator[Line]:
        return (Line(line.host_time_s, "prints", line.text, {"text": line.text}) for line in printed)


class OctetLines:
    """Turns octets that nobody interprets into lines: printable ASCII as it is, everything else as \\xNN."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._at_s = 0.0

    def of_octets(self, at_s: float, data: bytes) -> Iterator[Line]:
        """A piece, cut anywhere. A line ends with a line feed or after OCTETS_PER_LINE octets."""
        for octet in data:
            if not self._open:
                self._at_s = at_s
            self._open.append(octet)
            if octet == 0x0A or len(self._open) == OCTETS_PER_LINE:
                yield from self.settle()

    def settle(self, now_s: float | None = None) -> Iterator[Line]:
        """A line without an end, when it has waited for a while; at once without a time."""
        if not self._open or (now_s is not None and now_s < self._at_s + TEXT_PAUSE_S):
            return
        text = "".join(chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}" for octet in self._open)
        shown = text.removesuffix("\\x0a").removesuffix("\\x0d") if self._open.endswith(b"\n") else text
        line = Line(self._at_s, "octets", shown, {"hex": self._open.hex(), "text": shown})
        self._open.clear()
        yield line


def _reported(at_s: float, message: FrameMessage) -> Line:
    """What the frame reports of itself."""
    from ...firmware_bridge import messages

    match message:
        case messages.ButtonEvent(kind=kind):
            event, text = "button", _word(messages.Button, kind)
        case messages.LedEvent(level=level):
            event, text = "led", _word(messages.Led, level)
        case messages.CaptureEvent(on=on, reason=reason):
            stopped = _word(messages.CaptureStop, reason)
            event, text = "capture", "on" if on else f"off: {stopped}"
        case messages.PlaybackStarted(stream=stream):
            event, text = "playback", f"stream {stream} begins"
        case messages.PlaybackEnded(stream=stream, reason=reason, played_samples=played):
            ended = _word(messages.PlaybackEnd, reason)
            event, text = "playback", f"stream {stream} ends: {ended}, {played / messages.SAMPLE_RATE_HZ:.2f} s"
        case messages.Underrun(stream=stream, missing_samples=missing):
            event, text = "underrun", f"stream {stream}: {missing * 1000 // messages.SAMPLE_RATE_HZ} ms of silence"
        case messages.PhotoEvent(status=status, size_bytes=size_bytes):
            event, text = "photo", f"{_word(messages.PhotoStatus, status)}, {size_bytes} bytes"
    return Line(at_s, event, text, {"text": text, **asdict(message)})


def _word(kind: type[IntEnum], value: int) -> str:
    """A value's name, also of a later version's."""
    return kind(value).name.lower().replace("_", " ") if value in {int(one) for one in kind} else str(value)
