"""The demo: a scripted wearer talks to the simulated frame, the real pipeline answers, and the frame is read back.

Nothing in it is canned: the frame is the firmware's own C core under the wall clock, the speech is synthesised and
recognised, and each line's outcome is judged by what was heard, understood, done on the frame and played by it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...firmware_bridge.device import Device
from ...firmware_bridge.errors import BridgeError
from ...firmware_bridge.frame import channel_name
from ...firmware_bridge.link_events import AudioReceived
from ...firmware_bridge.link_events import Event as LinkEvent
from ...firmware_bridge.messages import GetStateResult, Method
from ...firmware_bridge.simulator.peripherals import Peripherals
from ..assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ, rms_dbfs
from ..assistant.driver import LiveDriver
from ..assistant.engines.protocols import EngineInfo
from ..assistant.events import Notice, StateChanged, TurnFinished
from ..assistant.turn import TurnState
from ..glasses.capture import CAPTURE
from ..glasses.world import Glasses, state_facts
from ..report import WireFrame
from ..settings import Settings
from ..wiring import build_engines, pipeline_settings
from .script import BATTERY_PERCENT, SCRIPT, Line, room_noise, utterance

SCHEMA = 1
PORT = "sim://"
LEAD_S = 0.8  # the wearer waits this long before each line
TURN_TIMEOUT_S = 30.0  # for one line, its own length excluded
SILENT_DBFS = -60.0  # a reply quieter than this was not played


@dataclass(slots=True)
class LineOutcome:
    """One line of the script and what came of it. `turn` is None when no turn came; `state` is read from the frame."""

    line: Line
    turn: TurnFinished | None
    state: GetStateResult
    faults: list[str] = field(default_factory=list)
    reply_audio_s: float = 0.0
    reply_rms_dbfs: float = -120.0


@dataclass(slots=True)
class DemoResult:
    """A whole demo. PCM is s16le mono 16 kHz from the frame's boot on."""

    outcomes: list[LineOutcome]
    engines: list[EngineInfo]
    frame: dict[str, Any]
    heard_pcm: bytes
    played_pcm: bytes
    led: list[tuple[int, int]]
    wire: list[WireFrame]
    photos: list[bytes]
    stopped_by: str = ""  # why the wearer stopped talking before the end
    interruption: BaseException | None = None

    @property
    def faults(self) -> list[str]:
        """Everything that did not go as the script says; lines that were never reached are faults too."""
        found = [f"{outcome.line.said!r}: {fault}" for outcome in self.outcomes for fault in outcome.faults]
        missed = len(SCRIPT) - len(self.outcomes)
        if missed:
            found.append(f"{missed} of {len(SCRIPT)} lines were not reached: {self.stopped_by or 'the session ended'}")
        return found


def run_demo(
    settings: Settings,
    *,
    offline: bool,
    on_notice: Callable[[Notice], None],
    on_engines: Callable[[list[EngineInfo]], None],
    on_say: Callable[[str], None],
    on_frame: Callable[[Mapping[str, Any]], None],
    on_photo: Callable[[bytes], Mapping[str, Any]],
    on_start: Callable[[Callable[[], None]], None] = lambda _stop: None,
) -> DemoResult:
    """Play the script to the end, or until Ctrl-C: then `interruption` is set and the rest is what came before it.

    `on_start` is given what ends the session early.

    Raises:
        EngineError: an engine cannot be had.
        SimulatorUnavailable: the install lacks the compiled core.
    """
    peripherals = Peripherals(battery_percent=BATTERY_PERCENT)
    peripherals.microphone.noise = room_noise()
    speech = [utterance(line) for line in SCRIPT]
    engines = build_engines(settings, offline=offline)
    on_engines(engines.infos())
    photos: list[bytes] = []

    def keep_photo(jpeg: bytes) -> Mapping[str, Any]:
        photos.append(jpeg)
        return on_photo(jpeg)

    device = Device.open(PORT, peripherals=peripherals, make_link=CAPTURE.make_link())
    wire = WireTap(device)
    wearer = Wearer(device, peripherals, speech, on_say, on_frame)
    wanted = pipeline_settings(settings, has_model=engines.llm is not None)
    pipeline = CAPTURE.pipeline(wanted, engines.vad, engines)

    def observe(notice: Notice) -> None:  # one observer: what is shown of a turn comes before what follows from it
        try:
            on_notice(notice)
        finally:
            wearer.on_notice(notice)

    driver = LiveDriver(pipeline, Glasses(device, on_photo=keep_photo), engines, [observe])
    on_start(driver.stop)
    wearer.start(driver.stop)
    interruption: BaseException | None = None
    try:
        driver.run()
    except KeyboardInterrupt as stop:
        interruption = stop
    finally:
        wearer.close()
    result = DemoResult(
        outcomes=wearer.outcomes,
        engines=engines.infos(),
        frame=frame_facts(device, wearer.outcomes[-1].state if wearer.outcomes else GetStateResult()),
        heard_pcm=heard_track(peripherals),
        played_pcm=bytes(peripherals.speaker.recorded),
        led=[(sample, int(level)) for sample, level in peripherals.led],
        wire=wire.frames(),
        photos=photos,
        stopped_by=wearer.stopped_by,
        interruption=interruption,
    )
    for outcome in result.outcomes:
        judge(outcome, result.played_pcm)
    return result


def heard_track(peripherals: Peripherals) -> bytes:
    """What the microphone delivered, on the frame's sample clock: silence where it was off."""
    microphone, track = peripherals.microphone, bytearray()
    ends = [offset for _, offset in microphone.recorded_at[1:]] + [len(microphone.recorded) // SAMPLE_BYTES]
    for (sample, offset), end in zip(microphone.recorded_at, ends, strict=True):
        track += bytes(max(0, sample * SAMPLE_BYTES - len(track)))
        track += microphone.recorded[offset * SAMPLE_BYTES : end * SAMPLE_BYTES]
    return bytes(track)


def frame_facts(device: Device, state: GetStateResult) -> dict[str, Any]:
    """What the frame says of itself, for the terminal and the report."""
    return {
        "name": device.info.name,
        "port": PORT,
        "firmware": device.info.firmware_version,
        "led_kind": device.info.led_kind,
        **shown_state(state),
    }


def shown_state(state: GetStateResult) -> dict[str, Any]:
    """The part of the frame's state that a line of the script can change."""
    facts = state_facts(state)
    return {name: facts[name] for name in ("volume_percent", "muted", "battery_percent", "led", "photos_taken")}


def judge(outcome: LineOutcome, played_pcm: bytes) -> None:
    """Fill in what the reply's audio shows and every way in which the line did not go as it should."""
    line, turn, faults = outcome.line, outcome.turn, outcome.faults
    if turn is None:
        faults.append("the assistant did not take it up")
        return
    start = turn.reply_start_sample * SAMPLE_BYTES
    audio = played_pcm[start : start + turn.reply_samples * SAMPLE_BYTES]
    outcome.reply_audio_s = turn.reply_samples / SAMPLE_RATE_HZ
    outcome.reply_rms_dbfs = rms_dbfs(audio) if audio else -120.0
    if line.intent and turn.heard != line.heard:
        faults.append(f"heard {turn.heard!r}")
    if (turn.intent.name if turn.intent else "") != line.intent:
        faults.append(f"understood {turn.intent.name if turn.intent else 'nothing'}")
    if turn.outcome != ("answered" if line.intent else "rejected"):
        faults.append(f"ended as {turn.outcome}")
    if turn.act is not None and turn.act.error:
        faults.append(turn.act.error)
    if not line.holds(outcome.state):
        faults.append("the frame does not show it")
    if outcome.reply_rms_dbfs < SILENT_DBFS:
        faults.append("no reply was played")


class WireTap:
    """Records every frame on the wire and puts it on the microphone's sample clock afterwards."""

    def __init__(self, device: Device) -> None:
        self._frames: list[tuple[bool, float, str, int]] = []
        self._zero_s: float | None = None  # host time of sample 0: the earliest that any AudioFrame allows
        device.subscribe(self._on_link)
        device.wire_log = self._on_wire

    def _on_link(self, event: LinkEvent) -> None:
        if isinstance(event, AudioReceived):
            samples = event.sample + len(event.pcm) // SAMPLE_BYTES
            zero_s = time.monotonic() - samples / SAMPLE_RATE_HZ
            self._zero_s = zero_s if self._zero_s is None else min(self._zero_s, zero_s)

    def _on_wire(self, direction: str, host_time_s: float, channel: int, size_bytes: int, _summary: str) -> None:
        self._frames.append((direction == "rx", host_time_s, channel_name(channel), size_bytes))

    def frames(self) -> list[WireFrame]:
        zero_s = self._zero_s
        if zero_s is None:
            return []
        return [WireFrame(int((at - zero_s) * SAMPLE_RATE_HZ), up, name, size) for up, at, name, size in self._frames]


class Wearer:
    """Says one line after the other, each when the assistant listens again; reads the frame back after each turn."""

    def __init__(
        self,
        device: Device,
        peripherals: Peripherals,
        speech: list[bytes],
        on_say: Callable[[str], None],
        on_frame: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.outcomes: list[LineOutcome] = []
        self.stopped_by = ""
        self._device, self._microphone, self._speech = device, peripherals.microphone, speech
        self._on_say, self._on_frame = on_say, on_frame
        self._notices: queue.SimpleQueue[Notice | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def on_notice(self, notice: Notice) -> None:
        if isinstance(notice, StateChanged | TurnFinished):
            self._notices.put(notice)

    def start(self, when_done: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=self._talk, args=(when_done,), name="wearer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop talking and wait for the thread."""
        self._notices.put(None)
        if self._thread is not None:
            self._thread.join()

    def _talk(self, when_done: Callable[[], None]) -> None:
        try:
            if not self._listening(TURN_TIMEOUT_S):
                return
            for line, pcm in zip(SCRIPT, self._speech, strict=True):
                self._on_say(line.said)
                self._microphone.say(pcm, silence_before_s=LEAD_S)
                turn = self._turn(TURN_TIMEOUT_S + len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ)
                try:
                    state = self._device.request(Method.GET_STATE)
                except BridgeError as error:
                    self.stopped_by = str(error)
                    return
                assert isinstance(state, GetStateResult)
                self.outcomes.append(LineOutcome(line, turn, state))
                self._on_frame(shown_state(state))
                if turn is not None and not self._listening(TURN_TIMEOUT_S):
                    self.stopped_by = "the assistant did not listen any more"
                    return
        finally:
            when_done()

    def _turn(self, timeout_s: float) -> TurnFinished | None:
        notice = self._next(lambda notice: isinstance(notice, TurnFinished), timeout_s)
        return notice if isinstance(notice, TurnFinished) else None

    def _listening(self, timeout_s: float) -> bool:
        wanted = StateChanged(TurnState.LISTENING.value)
        return self._next(lambda notice: notice == wanted, timeout_s) is not None

    def _next(self, wanted: Callable[[Notice], bool], timeout_s: float) -> Notice | None:
        ends = time.monotonic() + timeout_s
        while (left := ends - time.monotonic()) > 0:
            try:
                notice = self._notices.get(timeout=left)
            except queue.Empty:
                return None
            if notice is None:
                self._notices.put(None)  # closing: let every later wait see it too
                return None
            if wanted(notice):
                return notice
        return None
