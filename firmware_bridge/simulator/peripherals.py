"""What a simulated frame has instead of a board: scripted parts, and a record of what the frame did with them.

This is plain Python without a clock of its own: the frame's sample clock comes with every call. It knows neither link
nor firmware; `core.py` and `pipe.py` connect it to one of the frame's builds.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..messages import MAX_LOG_BYTES, START_BAUD, Capability, Led, PhotoStatus, ResetReason
from .button import ScriptedButton
from .camera import CameraFailed, ImageCamera
from .microphone import ScriptedMicrophone
from .speaker import SpeakerRecorder

NOTHING = Capability(0)
HAS = Capability.MICROPHONE | Capability.SPEAKER | Capability.CAMERA | Capability.BUTTON


@dataclass(frozen=True, slots=True)
class PartChange:
    """The frame switched a part.

    Attributes:
        sample: the frame's sample clock.
        part: "led", "microphone", "speaker" or "camera".
        value: the LED's level (messages.Led), else 1 for on and 0 for off.
    """

    sample: int
    part: str
    value: int


class Peripherals:
    """The scripted parts of one simulated frame.

    Args:
        microphone, camera, speaker: None gives the plainest one: silence, a test picture, a recording in memory.
        battery_percent: None is a frame without a gauge.
        seed: the frame's identity: same seed, same device id and session numbers.
        without: parts that this frame does not have.
        max_baud: the highest rate of its line; 0: the line has none, as with USB.
    """

    def __init__(
        self,
        *,
        microphone: ScriptedMicrophone | None = None,
        camera: ImageCamera | None = None,
        speaker: SpeakerRecorder | None = None,
        battery_percent: int | None = 80,
        seed: int = 0,
        without: Capability = NOTHING,
        max_baud: int = 0,
    ) -> None:
        self.microphone = microphone or ScriptedMicrophone()
        self.camera = camera or ImageCamera()
        self.speaker = speaker or SpeakerRecorder()
        self.button = ScriptedButton()
        self.battery_percent = battery_percent
        self.seed = seed
        self.max_baud = max_baud
        self.baud = 0
        """The rate that the frame's side of the line has now; 0 where it has none."""
        self.boots = 0
        """How many frames have been made with these parts: each is another boot of the same frame."""
        self.reset_reason = ResetReason.UNKNOWN
        """Why the frame booted last."""
        self.note = b""
        """The line that the boot before left for the frame's log: ASCII, at most MAX_LOG_BYTES of it."""
        self._coming: tuple[ResetReason, bytes] = (ResetReason.POWER_ON, b"")  # of the next boot
        self.changes: list[PartChange] = []
        """What the frame switched, in the order in which it did."""
        self.camera_on = False
        """Whether the sensor is."""
        self._without = without

    @property
    def capabilities(self) -> Capability:
        """What the frame announces. Read once, when it boots."""
        gauge = NOTHING if self.battery_percent is None else Capability.BATTERY
        return (HAS | gauge) & ~self._without

    @property
    def led(self) -> list[tuple[int, int]]:
        """(sample clock, level) of each change of the privacy LED."""
        return [(change.sample, change.value) for change in self.changes if change.part == "led"]

    def close(self) -> None:
        """Finish what is being written."""
        self.speaker.close()

    def reset(self, reason: ResetReason, note: str = "") -> None:
        """The frame ends here, for this reason, and leaves a line for its log; another one is made with these parts."""
        self._coming = reason, note.encode("ascii")[:MAX_LOG_BYTES]

    # What a frame calls when it is made, and while it is stepped.

    def on_boot(self) -> None:
        """The frame starts, perhaps again: its sample clock is 0, and nothing is on."""
        self.boots += 1
        (self.reset_reason, self.note), self._coming = self._coming, (ResetReason.SOFTWARE, b"")
        self.baud = START_BAUD if self.max_baud else 0
        if self.microphone.on:
            self.on_mic_enable(0, 0)
        if self.speaker.on:
            self.on_speaker_enable(0, 0)
        if self.camera_on:
            self._camera_off(0)
        if self.led and self.led[-1][1] != Led.OFF:
            self.on_led(0, Led.OFF)
        self.speaker.restart()

    def on_led(self, sample: int, level: int) -> None:
        self.changes.append(PartChange(sample, "led", level))

    def on_mic_enable(self, sample: int, on: int) -> None:
        self.changes.append(PartChange(sample, "microphone", on))
        self.microphone.enable(bool(on))

    def on_mic_read(self, sample: int, n_samples: int) -> bytes:
        return self.microphone.read(n_samples, sample)

    def on_speaker_enable(self, sample: int, on: int) -> None:
        self.changes.append(PartChange(sample, "speaker", on))
        self.speaker.enable(bool(on))

    def on_speaker_write(self, sample: int, pcm: bytes) -> None:
        self.speaker.write(pcm, sample)

    def on_camera_start(self, sample: int) -> int:
        self.changes.append(PartChange(sample, "camera", 1))
        self.camera_on = True
        return self.camera.start()

    def on_camera_read(self, sample: int, cap: int) -> bytes | int:
        """A picture of at most `cap` octets, or minus a messages.PhotoStatus. The sensor is off with it."""
        self._camera_off(sample)
        try:
            picture = self.camera.take()
        except CameraFailed:
            return -PhotoStatus.CAPTURE_FAILED
        return picture if len(picture) <= cap else -PhotoStatus.TOO_LARGE

    def on_camera_stop(self, sample: int) -> int:
        """Whether the sensor still runs: an exposure goes on to its end."""
        return int(self.camera_on)

    def _camera_off(self, sample: int) -> None:
        self.camera_on = False
        self.changes.append(PartChange(sample, "camera", 0))

    def on_battery_percent(self) -> int:
        return -1 if self.battery_percent is None else self.battery_percent

    def on_set_rate(self, sample: int, baud: int) -> None:
        self.baud = baud
