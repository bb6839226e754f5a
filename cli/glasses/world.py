"""Where the assistant and the bridge meet: a `World` for the pipeline made of a frame and of host routes.

Turns the link's events into the pipeline's and the pipeline's effects into requests on the frame. Microphone, speaker
and camera can each be replaced by a route of the host. Works alike over the threaded `Device` and the `LockstepDevice`
of virtual time, because both have one interface.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ...firmware_bridge.errors import BridgeError
from ...firmware_bridge.link_events import (
    AudioReceived,
    CallFinished,
    Connected,
    DeviceInfo,
    Disconnected,
    FrameReported,
)
from ...firmware_bridge.link_events import Event as LinkEvent
from ...firmware_bridge.messages import (
    Button,
    ButtonEvent,
    CaptureStartArgs,
    Codec,
    GetStateResult,
    Led,
    Message,
    Method,
    PlaybackEnd,
    PlaybackEnded,
    PlaybackStarted,
    SetMuteArgs,
    SetMuteResult,
    SetVolumeArgs,
    SetVolumeResult,
)
from ..assistant.audio import SAMPLE_RATE_HZ, AudioFrame
from ..assistant.events import (
    Act,
    ActDone,
    ButtonPressed,
    Event,
    FlushSpeaker,
    FrameBack,
    FrameLost,
    MicrophoneEnded,
    MicrophoneHeard,
    Play,
    PlaybackBegan,
    PlaybackFinished,
    StartCapture,
    StopCapture,
)
from ..assistant.world import WorldEffect
from .routes import TAIL_S, CameraRoute, MicrophoneRoute, SpeakerRoute

VOLUME_STEP_PERCENT = 10
_BUTTONS = {Button.TAP: "tap", Button.DOUBLE_TAP: "double_tap", Button.LONG_PRESS: "long_press"}
_ENDS = {
    PlaybackEnd.PLAYED: "played",
    PlaybackEnd.FLUSHED: "flushed",
    PlaybackEnd.STARVED: "starved",
    PlaybackEnd.SESSION: "session",
}

Post = Callable[[Event], None]


class ActReport(Protocol):
    """Gets what was read back, or an error sentence."""

    def __call__(self, result: Mapping[str, Any], error: str = "") -> None: ...


class FrameDevice(Protocol):
    """What is used of `Device`. Nothing here blocks but `close`."""

    @property
    def info(self) -> DeviceInfo: ...
    @property
    def codec(self) -> Codec: ...

    def subscribe(self, callback: Callable[[LinkEvent], None], /) -> Any: ...
    def post(self, method: Method, args: Message | None, done: Callable[[CallFinished], None], /) -> None: ...
    def post_photo(self, done: Callable[[bytes | BridgeError], None], /) -> None: ...
    def play(self, stream: int, pcm: bytes, last: bool, /) -> None: ...
    def flush(self, stream: int, /) -> None: ...
    def new_stream(self) -> int: ...
    def close(self) -> None: ...


class Glasses:
    """The frame and the host's routes, as the pipeline's world.

    Args:
        device: the frame, or None when every route is the host's.
        microphone, camera: routes instead of the frame's own parts.
        speaker: makes the route instead of the frame's speaker; it is given the sample clock and where to post.
        on_photo: called with each JPEG that an act took; returns what else to report of it, such as its path.
        on_heard: called with each AudioFrame that the pipeline gets, on the thread that brings it.
        on_spoken: called with the PCM of every reply as it is sent to the speaker.
        on_presence: called with a sentence when the frame is lost and with None when it is back.
        scripted_end: for a simulated frame with a finite microphone: has it delivered everything?
    """

    def __init__(
        self,
        device: FrameDevice | None,
        *,
        microphone: MicrophoneRoute | None = None,
        speaker: Callable[[Callable[[], int], Post], SpeakerRoute] | None = None,
        camera: CameraRoute | None = None,
        on_photo: Callable[[bytes], Mapping[str, Any]] | None = None,
        on_heard: Callable[[AudioFrame], None] | None = None,
        on_spoken: Callable[[bytes], None] | None = None,
        on_presence: Callable[[str | None], None] | None = None,
        scripted_end: Callable[[], bool] | None = None,
    ) -> None:
        self._device = device
        self._microphone = microphone
        self._make_speaker = speaker
        self._speaker: SpeakerRoute | None = None
        self._camera = camera
        self._on_photo = on_photo or (lambda _jpeg: {})
        self._on_heard = on_heard
        self._on_spoken = on_spoken
        self._on_presence = on_presence or (lambda _message: None)
        self._scripted_end = scripted_end
        self._tail_samples = int(TAIL_S * SAMPLE_RATE_HZ)  # what is left of the silence behind a finite microphone
        self._lock = threading.Lock()
        self._post: Post | None = None
        self._turn_of: dict[int, int] = {}  # playback stream -> turn
        self._stream_of: dict[int, int] = {}  # turn -> playback stream
        self._lost = False
        self._dropped = 0  # the frame's count at the last AudioFrame
        self._heard_sample = 0  # end of the newest AudioFrame of the frame

    # ------------------------------------------------------------------ World
    def start(self, post: Post) -> None:
        self._post = post
        if self._make_speaker is not None:
            self._speaker = self._make_speaker(self._now_sample, self._say)
        if self._device is not None:
            self._device.subscribe(self._on_link)

    def execute(self, effect: WorldEffect) -> None:
        match effect:
            case StartCapture():
                self._capture(True)
            case StopCapture():
                self._capture(False)
            case Play(turn_id, pcm, last):
                self._play(turn_id, pcm, last)
            case FlushSpeaker(turn_id):
                self._flush(turn_id)
            case Act():
                self._act(effect)

    def close(self) -> None:
        """Stop listening on either side and let go of the frame."""
        self._post = None
        if self._microphone is not None:
            self._microphone.stop()
        if self._speaker is not None:
            self._speaker.close()
        if self._device is not None:
            self._device.close()

    # ------------------------------------------------------------------ what comes from the frame
    def _say(self, event: Event) -> None:
        post = self._post
        if post is None:
            return
        if self._on_heard is not None and isinstance(event, MicrophoneHeard):
            self._on_heard(event.frame)
        post(event)

    def _now_sample(self) -> int:
        return self._microphone.now_sample() if self._microphone is not None else self._heard_sample

    def _on_clock(self, frame_sample: int) -> int:
        """A moment on the clock of the microphone that is listened to: the frame's own, or the route's, now."""
        return frame_sample if self._microphone is None else self._microphone.now_sample()

    def _on_link(self, event: LinkEvent) -> None:
        match event:
            case AudioReceived(sample, pcm, dropped):
                lost, self._dropped = dropped - self._dropped, dropped
                frame = AudioFrame(sample, pcm, max(0, lost))
                self._heard_sample = frame.end_sample
                if self._microphone is None:
                    self._say(MicrophoneHeard(frame))
                    self._watch_end(frame)
            case FrameReported(ButtonEvent(kind, mic_sample)) if kind in _BUTTONS:
                pressed = self._on_clock(mic_sample)
                self._say(ButtonPressed(_BUTTONS[Button(kind)], pressed))  # type: ignore[arg-type]
            case FrameReported(PlaybackStarted(stream, mic_sample, speaker_sample)):
                if (turn := self._turn(stream)) is not None:
                    self._say(PlaybackBegan(turn, self._on_clock(mic_sample), speaker_sample))
            case FrameReported(PlaybackEnded(stream, reason, _, played)):
                if (turn := self._turn(stream)) is not None:
                    known = PlaybackEnd(reason) if reason in set(PlaybackEnd) else PlaybackEnd.PLAYED
                    self._say(PlaybackFinished(turn, played, _ENDS[known]))  # type: ignore[arg-type]
            case Disconnected(error):
                with self._lock:
                    self._turn_of.clear()
                    self._stream_of.clear()
                self._lost = True
                self._on_presence(str(error))
                self._say(FrameLost(str(error)))
            case Connected() if self._lost:
                self._lost, self._dropped, self._heard_sample = False, 0, 0
                self._on_presence(None)
                self._say(FrameBack())

    def _watch_end(self, frame: AudioFrame) -> None:
        if self._scripted_end is not None and self._scripted_end():
            self._tail_samples -= frame.samples
            if self._tail_samples <= 0:
                self._scripted_end = None
                self._say(MicrophoneEnded())

    def _turn(self, stream: int) -> int | None:
        with self._lock:
            return self._turn_of.get(stream)

    # ------------------------------------------------------------------ what goes to the frame
    def _capture(self, on: bool) -> None:
        if self._microphone is not None:
            if on:
                self._microphone.start(self._say)
            else:
                self._microphone.stop()
        elif self._device is not None:
            method = Method.CAPTURE_START if on else Method.CAPTURE_STOP
            self._device.post(method, CaptureStartArgs(self._device.codec) if on else None, self._captured)

    def _captured(self, done: CallFinished) -> None:
        # A frame that is gone says so itself by Disconnected; a refusal is for the user.
        if done.status is not None and done.error is not None:
            message = f"the frame refused its microphone: {done.error}"
            self._on_presence(message)
            self._say(FrameLost(message))

    def _play(self, turn_id: int, pcm: bytes, last: bool) -> None:
        if self._on_spoken is not None and pcm:
            self._on_spoken(pcm)
        if self._speaker is not None:
            self._speaker.play(turn_id, pcm, last)
            return
        if self._device is None:
            return
        with self._lock:
            stream = self._stream_of.get(turn_id)
            if stream is None:
                stream = self._device.new_stream()
                # One reply at a time: what is older than this turn can report nothing that matters any more.
                self._stream_of, self._turn_of = {turn_id: stream}, {stream: turn_id}
        self._device.play(stream, pcm, last)

    def _flush(self, turn_id: int) -> None:
        if self._speaker is not None:
            self._speaker.flush(turn_id)
            return
        with self._lock:
            stream = self._stream_of.get(turn_id)
        if self._device is not None and stream is not None:
            self._device.flush(stream)

    # ------------------------------------------------------------------ acts
    def _act(self, act: Act) -> None:
        def done(result: Mapping[str, Any], error: str = "") -> None:
            self._say(ActDone(act.turn_id, result, error))

        def photographed(take: Callable[[], bytes]) -> None:
            self._aside(lambda: report_photo(take, done, self._on_photo))

        if act.name == "take_photo" and self._camera is not None:
            photographed(self._camera.take)
        elif self._device is None:
            done({}, "there is no frame")
        else:
            frame_act(self._device, act.name, act.args, done, lambda jpeg: photographed(lambda: jpeg))

    def _aside(self, work: Callable[[], None]) -> None:
        """Do what may wait for a disk, away from the threads that carry sound."""
        threading.Thread(target=work, name="photo", daemon=True).start()


def battery_percent(state: GetStateResult) -> int | None:
    """None for a frame without a gauge, which reports 255."""
    return state.battery_percent if state.battery_percent <= 100 else None


def state_facts(state: GetStateResult) -> dict[str, Any]:
    """The frame's own report in the words of every command that shows it."""
    return {
        "volume_percent": state.volume_percent,
        "muted": bool(state.muted),
        "capturing": bool(state.capturing),
        "led": Led(state.led).name.lower() if state.led in set(Led) else "unknown",
        "battery_percent": battery_percent(state),
        "uptime_s": state.uptime_ms / 1000,
        "photos_taken": state.photos_taken,
        "mic_dropped_frames": state.mic_dropped_frames,
        "rx_bad_frames": state.rx_bad_frames,
    }


def report_photo(take: Callable[[], bytes], done: ActReport, on_photo: Callable[[bytes], Mapping[str, Any]]) -> None:
    """Take a photo, hand it over and report it; one that could not be kept is not claimed."""
    try:
        jpeg = take()
    except (OSError, ValueError) as error:
        done({}, f"the picture cannot be used: {getattr(error, 'strerror', None) or error}")
        return
    try:
        kept = on_photo(jpeg)
    except OSError as error:
        done({}, f"the photo was taken but cannot be kept: {(error.strerror or 'error').lower()}")
    else:
        done({"size_bytes": len(jpeg), **kept})


def frame_act(
    device: FrameDevice,
    name: str,
    args: Mapping[str, Any],
    done: ActReport,
    on_photo: Callable[[bytes], None],
) -> None:
    """Begin one act on the frame; `done(result, error)` gets what the frame itself reported afterwards.

    A photo goes to `on_photo`, on the thread that brings it, and whoever takes it there reports it.
    """

    def read_back(finished: CallFinished) -> None:
        match finished:
            case CallFinished(error=BridgeError() as error):
                done({}, str(error))
            case CallFinished(result=SetVolumeResult() | SetMuteResult() as result):
                done({"volume_percent": result.percent, "muted": bool(result.muted)})
            case CallFinished(result=GetStateResult() as state) if name == "get_battery":
                if (percent := battery_percent(state)) is None:
                    done({}, "this frame has no battery gauge")
                else:
                    done({"battery_percent": percent})
            case CallFinished(result=GetStateResult() as state):
                done({"volume_percent": state.volume_percent, "muted": bool(state.muted)})
            case _:
                done({}, "the frame's answer was empty")

    def step_volume(finished: CallFinished) -> None:
        if isinstance(finished.result, GetStateResult):
            step = VOLUME_STEP_PERCENT if name == "volume_up" else -VOLUME_STEP_PERCENT
            percent = min(100, max(0, finished.result.volume_percent + step))
            device.post(Method.SET_VOLUME, SetVolumeArgs(percent), read_back)
        else:
            read_back(finished)

    def photographed(outcome: bytes | BridgeError) -> None:
        if isinstance(outcome, BridgeError):
            done({}, str(outcome))
        else:
            on_photo(outcome)

    match name:
        case "take_photo":
            device.post_photo(photographed)
        case "set_volume":
            device.post(Method.SET_VOLUME, SetVolumeArgs(min(100, max(0, int(args["percent"])))), read_back)
        case "volume_up" | "volume_down":
            device.post(Method.GET_STATE, None, step_volume)
        case "mute" | "unmute":
            device.post(Method.SET_MUTE, SetMuteArgs(1 if name == "mute" else 0), read_back)
        case "get_volume" | "get_battery":
            device.post(Method.GET_STATE, None, read_back)
        case _:
            done({}, "the frame has no such act")
