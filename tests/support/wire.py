"""A hand at the frame's end of the wire: it sends exactly what a test tells it to, and reads what the host sent.

Not a frame: it decides nothing. Tests of what a frame does run the real one.
"""

from __future__ import annotations

from typing import TypeVar

from lorgnette.firmware_bridge.codec import message_of, payload_of
from lorgnette.firmware_bridge.frame import Frame, FrameReader
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import Event
from lorgnette.firmware_bridge.messages import (
    MAJOR,
    MINOR,
    BulkData,
    Channel,
    Flag,
    Hello,
    HelloAck,
    Message,
    MicAudio,
    Ping,
    Pong,
)

M = TypeVar("M", bound=Message)
CHANNEL_OF: dict[type[Message], Channel] = {MicAudio: Channel.MIC, BulkData: Channel.BULK_UP}


def channel_of(message: Message) -> int:
    channel = type(message).CHANNEL
    assert channel is not None, f"{type(message).__name__} travels inside another message"
    return channel


class Hand:
    """Sends to and reads from one Link."""

    def __init__(self, link: Link, session: int = 7) -> None:
        self.link = link
        self.session = session
        self.now_s = 0.0
        self.frames: list[Frame] = []  # everything that the host sent, in order
        self._reader = FrameReader()
        self._seq: dict[int, int] = {}

    def pull(self) -> list[Message | None]:
        """What the host sends now."""
        fresh = [frame for frame, _ in self._reader.receive(self.link.data_to_send()) if frame is not None]
        self.frames += fresh
        return [message_of(frame) for frame in fresh]

    def encode(self, *messages: Message, session: int | None = None, seq: int | None = None, flags: int = 0) -> bytes:
        out = b""
        for message in messages:
            channel = channel_of(message)
            number = self._seq.get(channel, 0) + 1 if seq is None else seq
            self._seq[channel] = number & 0xFFFF
            wire_session = self.session if session is None else session
            out += Frame(channel, Flag(flags), number & 0xFFFF, wire_session, payload_of(message)).encode()
        return out

    def send(self, *messages: Message, session: int | None = None, seq: int | None = None, flags: int = 0) -> None:
        data = self.encode(*messages, session=session, seq=seq, flags=flags)
        self.link.receive_data(data, self.now_s)

    def at(self, now_s: float) -> list[Message | None]:
        """Let time pass on the host's side; returns what it sends then."""
        self.now_s = now_s
        self.link.tick(now_s)
        return self.pull()

    def ack(self, nonce: int, **fields: int | str | bytes) -> HelloAck:
        given = {"session": self.session, "rpc_window": 8, "speaker_window": 6, "boot_id": 1, **fields}
        return HelloAck(major=MAJOR, minor=MINOR, nonce=nonce, **given)  # type: ignore[arg-type]

    def connect(self, nonce: int = 0x1234, **fields: int | str | bytes) -> list[Event]:
        """The whole handshake; returns the events that it made. On a line with a rate the host may go on to ask."""
        self.link.start(nonce, self.now_s)
        assert any(isinstance(m, Hello) for m in self.pull())
        self.send(self.ack(nonce, **fields))
        (ping,) = [m for m in self.pull() if isinstance(m, Ping)]
        self.send(Pong(ping.token, 0))
        return events(self.link)


def of(kind: type[M], sent: list[Message | None]) -> list[M]:
    """The messages of one kind among what the host sent."""
    return [message for message in sent if isinstance(message, kind)]


def events(link: Link) -> list[Event]:
    """Drain the link's events."""
    found: list[Event] = []
    while (event := link.next_event()) is not None:
        found.append(event)
    return found
