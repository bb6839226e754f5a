"""Playing sound on the frame: sent ahead of what is heard, and over when the frame says that it has played it.

Knows one stream and its reports. Must not know where the sound comes from.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ
from ..errors import Failure
from ..exit_codes import ExitCode

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device
    from ...firmware_bridge.link_events import Event

AHEAD_S = 5.0  # sent before it is played: a voice is faster than speech, and the link's queue has an end
LOOK_S = 0.1
# The frame says when playback ended; this is how much later than the audio's own length that may be.
PLAYBACK_GRACE_S = 5.0


def play_on_frame(device: Device, audio: Iterator[bytes], instead: str) -> Playback:
    """Play s16le mono 16 kHz and wait for the frame's own report that it has played it; on Ctrl-C silence it first.

    Args:
        instead: what to do with a frame that has no speaker.

    Returns:
        The playback, ended. One to which no sound was given has nothing to wait for.

    Raises:
        Failure: the frame has no speaker, cut the playback off or did not report its end.
        BridgeError: the frame went away.
    """
    from ...firmware_bridge.messages import PlaybackEnd

    if not device.info.has_speaker:
        raise Failure("this frame has no speaker", instead, ExitCode.FRAME_REFUSED)
    stream = device.new_stream()
    playback = Playback(stream)
    unsubscribe = device.subscribe(playback.on_event)
    reason = None
    try:
        for pcm in audio:
            playback.wait(AHEAD_S)
            if playback.ended:
                break
            device.play(stream, pcm, False)
            playback.sent(pcm)
        if not playback.ended:
            device.play(stream, b"", True)
        if not playback.sent_s and playback.error is None:
            return playback
        reason = playback.wait(-PLAYBACK_GRACE_S)
    except KeyboardInterrupt:
        device.flush(stream)
        raise
    finally:
        unsubscribe()
    if playback.error is not None:
        raise playback.error
    if reason is None:
        raise Failure("the frame did not report that it played this", "lorgnette doctor", ExitCode.FRAME_REFUSED)
    if reason != PlaybackEnd.PLAYED:
        raise Failure("the playback was cut off before its end", "lorgnette doctor", ExitCode.FRAME_REFUSED)
    return playback


class Playback:
    """How far one stream has been played. `on_event` runs on the device's thread."""

    def __init__(self, stream: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._ended = threading.Event()
        self._reason: int | None = None
        self._began_s: float | None = None  # when the frame began to play, or at least was given something to
        self._began = False  # the frame has said so; when it runs dry it says so again
        self.holes_s = 0.0  # in which the frame played silence, because the audio came too late
        self.sent_s = 0.0
        self.error: Exception | None = None

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    @property
    def left_s(self) -> float:
        """What was sent and is not played yet; below zero it is overdue."""
        if self._began_s is None:
            return self.sent_s
        return self.sent_s + self.holes_s - (self._clock() - self._began_s)

    def sent(self, pcm: bytes) -> None:
        if self._began_s is None:
            self._began_s = self._clock()
        self.sent_s += len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ

    def on_event(self, event: Event) -> None:
        from ...firmware_bridge.link_events import Disconnected, FrameReported
        from ...firmware_bridge.messages import PlaybackEnded, PlaybackStarted, Underrun

        match event:
            case FrameReported(PlaybackStarted(stream=stream)) if stream == self._stream and not self._began:
                self._began, self._began_s = True, self._clock()
            case FrameReported(Underrun(stream=stream, missing_samples=missing)) if stream == self._stream:
                self.holes_s += missing / SAMPLE_RATE_HZ
            case FrameReported(PlaybackEnded(stream=stream, reason=reason)) if stream == self._stream:
                self._reason = reason
                self._ended.set()
            case Disconnected(error=error):
                self.error = error
                self._ended.set()

    def wait(self, left_s: float) -> int | None:
        """Until no more than this is left to play. Returns the PlaybackEnd, or None when playback has not ended."""
        while self.left_s > left_s and not self._ended.wait(LOOK_S):
            pass
        return self._reason
