"""How late audio is while an object is read beside it."""

from __future__ import annotations

from ..messages import BulkData, Flag, Method, MicAudio, ReadObjectArgs
from .media_microphone import continuous, lateness_ms
from .trial import Trial

LATE_MS = 20
READ_MS = 60_000


def read_beside_audio(t: Trial, number: int) -> None:
    """Read the whole object while the microphone is on, and look at the audio of that time."""
    mark, began_us = len(t.host.log), t.host.port.now_us
    t.host.grants_bulk = True
    t.ok(Method.READ_OBJECT, ReadObjectArgs(number, 0))
    looked, ended = mark, False
    while not ended:
        found = t.host.since(looked, BulkData)
        looked = len(t.host.log)
        ended = any(received.frame.flags & Flag.LAST for received, _ in found)
        if not ended:
            t.expect(BulkData, looked, "beside audio the object came to a stop")
    t.host.grants_bulk = False
    t.figures["object_beside_audio_ms"] = (t.host.port.now_us - began_us) / 1000
    t.host.idle(300)
    on_time(t, mark)


def on_time(t: Trial, mark: int) -> None:
    """No AudioFrame behind the mark is missing, or later than 20 ms by its own clock."""
    audio = t.host.since(mark, MicAudio)
    t.check(len(audio) >= 10, f"{len(audio)} AudioFrames came while an object was read")
    missing = continuous(t, audio)
    late_ms = max(lateness_ms(audio))
    t.figures["audio_frames_missing"] = missing
    t.figures["audio_late_worst_ms"] = late_ms
    t.should(missing == 0, f"{missing} AudioFrames were lost beside an object")
    t.should(late_ms <= LATE_MS, f"an AudioFrame came {late_ms:.0f} ms late beside an object")
