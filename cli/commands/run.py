"""`lorgnette run`: the live assistant on a frame, on the host's own sound, or on files."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import load
from ..diagnostics import DIAGNOSTICS
from ..errors import Failure
from ..exit_codes import ExitCode
from ..options import (
    Command,
    diagnostics_options,
    model_option,
    offline_option,
    port_option,
)

if TYPE_CHECKING:
    from ...firmware_bridge.link_events import DeviceInfo
    from ..assistant.events import Notice
    from ..glasses.routes import CameraRoute, MicrophoneRoute, Post, SpeakerRoute
    from ..settings import Settings

FRAME, HOST = "frame", "host"
ABSENCE_S = 10.0


@click.command(
    cls=Command,
    examples=[
        ("lorgnette run", "talk to your frame"),
        ("lorgnette run -p sim:// --mic host --speaker host", "no board: this computer's microphone and speaker"),
        ('lorgnette run -p sim:// --mic "text:Take a photo." -o session', "one spoken line, everything kept"),
        ("lorgnette run --speaker host", "a bare board without amplifier"),
    ],
)
@port_option
@click.option("--mic", metavar="ROUTE", help="frame, host, an audio FILE or text:WORDS.")
@click.option("--speaker", metavar="ROUTE", help="frame, host or a WAV FILE to write.")
@click.option("--camera", metavar="ROUTE", help="frame, a JPEG FILE or a DIR of them.")
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep transcript, sound and photos in DIR. Without it nothing is kept.",
)
@model_option("Speech model: auto, embedded, a Whisper size or a checkpoint file.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as one line of JSON on standard output.")
@offline_option
@diagnostics_options
def run(
    port: str | None,
    baud: int | None,
    timeout_s: float,
    mic: str | None,
    speaker: str | None,
    camera: str | None,
    out: Path | None,
    model: str | None,
    as_json: bool,
    offline: bool,
) -> None:
    """Listen, understand, act and answer, until Ctrl-C or until a finite microphone ends.

    Microphone, speaker and camera are routes of their own, independent of the port, so that a bare board without
    amplifier, or no board at all, can talk. The button on the frame interrupts a reply.
    """
    options = {
        "port": port,
        "baud": baud,
        "audio.mic": mic,
        "audio.speaker": speaker,
        "audio.camera": camera,
        "stt.model": model,
    }
    settings = load(options).settings
    _run(settings, timeout_s=timeout_s, out=out, as_json=as_json, offline=offline)


def _run(settings: Settings, *, timeout_s: float, out: Path | None, as_json: bool, offline: bool) -> None:
    from ..assistant.driver import LiveDriver
    from ..console import Console
    from ..glasses.capture import CAPTURE
    from ..glasses.ports import open_frame
    from ..glasses.world import Glasses
    from ..hooks import HookRunner
    from ..keeper import Keeper
    from ..session_log import log_notice
    from ..wiring import build_engines, pipeline_settings

    microphone, speaker, camera = routes_of(settings)
    console = Console(as_json, DIAGNOSTICS.verbosity)
    with ExitStack() as open_parts:
        device = peripherals = None
        # A frame is opened unless nothing needs one: both ends of the talk are the host's and no port was named.
        if microphone is None or speaker is None or settings.port:
            device, peripherals = open_frame(settings, timeout_s)
            open_parts.callback(device.close)
            check_parts(device.info, needs_microphone=microphone is None, needs_speaker=speaker is None)
        keeper = Keeper(out, console.problem)
        open_parts.callback(keeper.close)
        open_parts.callback(console.close)
        console.note("loading the engines")
        engines = build_engines(settings, offline=offline)
        console.engines(engines.infos())
        if device is not None:
            console.frame({"name": device.info.name, "led": f"{device.info.led_kind} light"})
        hooks = HookRunner(settings.hooks, console.problem)
        open_parts.callback(hooks.close)
        glasses = Glasses(
            device,
            microphone=microphone,
            speaker=speaker,
            camera=camera,
            on_photo=keeper.photo,
            on_heard=keeper.heard,
            on_spoken=keeper.spoken,
            on_presence=lambda message: absence.changed(message),
            scripted_end=None if peripherals is None else lambda: peripherals.microphone.ended,
        )
        turns = Turns()
        wanted = pipeline_settings(settings, has_model=engines.llm is not None)
        pipeline = CAPTURE.pipeline(wanted, engines.vad, engines)
        observers = [console.on_notice, keeper.on_notice, hooks.on_notice, turns.on_notice, log_notice]
        driver = LiveDriver(pipeline, glasses, engines, observers)
        absence, console.on_closed = Absence(driver.stop), driver.stop
        open_parts.callback(absence.close)
        driver.run()
    if absence.message:
        raise Failure(
            f"the frame did not come back within {ABSENCE_S:.0f} seconds: {absence.message}",
            "plug it in and run it again; 'lorgnette doctor' says what is wrong",
            ExitCode.DEVICE_LOST,
        )
    if turns.count == 0 and pipeline.input_ended:
        raise Failure("no speech was heard", "check the recording, or speak louder", ExitCode.NO_SPEECH)


def check_parts(info: DeviceInfo, *, needs_microphone: bool, needs_speaker: bool) -> None:
    """Refuse a session that could not be heard or could not answer. Raises Failure."""
    for needed, fitted, part, option in (
        (needs_microphone, info.has_microphone, "microphone", "--mic host"),
        (needs_speaker, info.has_speaker, "speaker", "--speaker host"),
    ):
        if needed and not fitted:
            raise Failure(f"this frame has no {part}", f"use {option}", ExitCode.FRAME_REFUSED)


class Turns:
    """Counts the turns of a session."""

    def __init__(self) -> None:
        self.count = 0

    def on_notice(self, notice: Notice) -> None:
        from ..assistant.events import TurnFinished

        self.count += isinstance(notice, TurnFinished)


class Absence:
    """Ends the session when the frame stays away for ABSENCE_S."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self.message = ""  # why the session was ended, "" while it was not
        self._stop = stop
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def changed(self, message: str | None) -> None:
        """The frame is lost (a sentence), or back (None)."""
        with self._lock:
            self._cancel()
            if message is not None:
                self._timer = threading.Timer(ABSENCE_S, self._give_up, (message,))
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        with self._lock:
            self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, message: str) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return  # it came back as the time ran out
            self.message = message
        self._stop()


def routes_of(
    settings: Settings,
) -> tuple[MicrophoneRoute | None, Callable[[Callable[[], int], Post], SpeakerRoute] | None, CameraRoute | None]:
    """Host routes for microphone, speaker and camera; None where the frame's own part is used.

    Raises:
        AudioError: a microphone file is unreadable or empty.
        EngineError: the host has no usable sound card, or no voice for text.
        OSError: a file cannot be read or written.
    """
    from ..assistant.audio import read_audio
    from ..glasses import routes
    from ..glasses.ports import TEXT, spoken

    audio = settings.audio
    microphone: MicrophoneRoute | None = None
    if audio.mic == HOST:
        microphone = routes.HostMicrophone()
    elif audio.mic.startswith(TEXT):
        words = audio.mic.removeprefix(TEXT).strip()
        if not words:
            raise Failure(
                "--mic text: has no words", 'write them behind the colon: --mic "text:Take a photo."', ExitCode.USAGE
            )
        microphone = routes.FileMicrophone(spoken(words))
    elif audio.mic != FRAME:
        microphone = routes.FileMicrophone(read_audio(Path(audio.mic).expanduser()))
    speaker: Callable[[Callable[[], int], Post], SpeakerRoute] | None = None
    if audio.speaker == HOST:
        speaker = routes.HostSpeaker
    elif audio.speaker != FRAME:
        path = Path(audio.speaker).expanduser()
        path.open("ab").close()  # an unwritable file is said now, not after the first answer
        speaker = functools.partial(routes.FileSpeaker, path)
    camera = None if audio.camera == FRAME else routes.FileCamera(Path(audio.camera).expanduser())
    return microphone, speaker, camera
