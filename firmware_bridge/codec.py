"""Payloads <-> Messages. Knows `messages.py` and its type octets; must not know sessions, credit or time."""

from __future__ import annotations

from .frame import Frame, channel_name
from .messages import TYPED, UNTYPED, Call, Channel, Credit, HighestSent, Message, Method, Reply

_TYPED_CHANNELS = frozenset(channel for channel, _ in TYPED)
_METHODS = {int(m): m.name.lower() for m in Method}


def payload_of(message: Message) -> bytes:
    """The payload that carries `message`: its type octet, where its channel has types, and its fields."""
    return message.pack() if message.TYPE is None else bytes((message.TYPE,)) + message.pack()


def message_of(frame: Frame) -> Message | None:
    """Read a frame's payload; None for a channel or a type that this version does not know."""
    if frame.channel in _TYPED_CHANNELS:
        kind = TYPED.get((frame.channel, frame.payload[0])) if frame.payload else None
        return kind.unpack(frame.payload[1:]) if kind else None
    known = UNTYPED.get(frame.channel)
    return known.unpack(frame.payload) if known else None


def summary_of(frame: Frame) -> str:
    """A few words for a log of the wire: the message's name, of which channel it speaks, how much audio or bulk."""
    message = message_of(frame)
    if message is None:
        return f"channel {frame.channel}, {len(frame.payload)} B"
    name = type(message).__name__
    if isinstance(message, Call | Reply):
        return f"{name} {_METHODS.get(message.method, message.method)}"
    if isinstance(message, Credit | HighestSent):
        number = message.allowed if isinstance(message, Credit) else message.seq
        return f"{name} {channel_name(message.channel)} {number}"
    if frame.channel in (Channel.MIC, Channel.SPEAKER, Channel.BULK_UP):
        return f"{name} {len(frame.payload)} B"
    return name
