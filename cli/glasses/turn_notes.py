"""A pipeline's settings and steps as notes of a capture, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from ...firmware_bridge.capture.values import Values
from ...firmware_bridge.errors import CaptureError
from ..assistant import audio, conversation, endpointing, events, pipeline, turn_settings
from ..assistant.engines import protocols
from ..assistant.engines.protocols import EngineInfo
from ..assistant.events import MicrophoneHeard
from ..assistant.pipeline import PipelineSettings
from ..assistant.recorded import Step

SESSION, STEP = "session", "step"  # kinds of notes
VALUES = Values(audio, conversation, endpointing, events, pipeline, protocols, turn_settings)
Heard = Callable[[int], bytes | None]  # the microphone's AudioFrame at a sample, where the link has just brought it


def session_note(settings: PipelineSettings, engines: Sequence[EngineInfo]) -> dict[str, Any]:
    """A pipeline begins."""
    return {"kind": SESSION, "settings": VALUES.encode(settings), "engines": VALUES.encode(list(engines))}


def step_note(step: Step, heard: Heard) -> dict[str, Any]:
    """One step. Sound that came by the link stands there already, and is named by its sample."""
    note: dict[str, Any] = {"kind": STEP, "now_s": step.now_s}
    match step.event:
        case None:
            pass
        case MicrophoneHeard(frame) if heard(frame.sample) == frame.pcm:
            note["heard"] = [frame.sample, frame.dropped_frames]
        case event:
            note["event"] = VALUES.encode(event)
    if step.probabilities:
        note["speech"] = list(step.probabilities)
    if step.moments:
        note["clock"] = [moment.isoformat() for moment in step.moments]
    if step.effects:
        note["effects"] = VALUES.encode(step.effects, whole=False)
    if step.raised:
        note["raised"], note["interrupted"] = step.raised, step.interrupted
    return note


def read_session(note: dict[str, Any]) -> PipelineSettings:
    """Raises CaptureError."""
    settings = VALUES.decode(note.get("settings"))
    if not isinstance(settings, PipelineSettings):
        raise CaptureError("The capture holds a session without settings.")
    return settings


def read_step(note: dict[str, Any], heard: Heard) -> Step:
    """The step without its effects: those are what must come of it. Raises CaptureError."""
    event = VALUES.decode(note.get("event"))
    if "heard" in note:
        event = _heard(note["heard"], heard)
    now_s, speech, clock = note.get("now_s"), note.get("speech", []), note.get("clock", [])
    try:
        moments = tuple(datetime.fromisoformat(moment) for moment in clock)
        return Step(float(now_s), event, tuple(map(float, speech)), moments)  # type: ignore[arg-type]  # as TypeError
    except (TypeError, ValueError, OverflowError) as error:
        raise CaptureError("The capture holds a step that cannot be read.") from error


def _heard(named: Any, heard: Heard) -> MicrophoneHeard:
    match named:
        case [int(sample), int(dropped_frames)] if (pcm := heard(sample)) is not None:
            return MicrophoneHeard(audio.AudioFrame(sample, pcm, dropped_frames))
    raise CaptureError("The capture names sound that the link did not bring.")
