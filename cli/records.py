"""Notices as JSON objects: what `run --json`, a transcript file and a hook get. One shape, one schema number."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .assistant.events import (
    ActFinished,
    Notice,
    Problem,
    ReplySpoken,
    SpeechStarted,
    StateChanged,
    TranscriptReady,
    TurnFinished,
)

SCHEMA = 1
EVENT_NAMES: dict[type[Notice], str] = {
    StateChanged: "state",
    SpeechStarted: "speech",
    TranscriptReady: "transcript",
    ActFinished: "act",
    ReplySpoken: "reply",
    Problem: "problem",
    TurnFinished: "turn",
}


def record(notice: Notice) -> dict[str, Any]:
    """One notice as an object of plain JSON types: `schema`, `event` (of EVENT_NAMES) and the notice's fields."""
    return {"schema": SCHEMA, "event": EVENT_NAMES[type(notice)], **_plain(asdict(notice))}


def _plain(value: Any) -> Any:
    """Bytes have no place in JSON: they become their length."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return {"bytes": len(value)}
    return value
