"""What Link tells its caller. Frozen values, no behaviour beyond reading them.

`*_sample` counts samples of the frame's 16 kHz clock since its boot, unwrapped to an int that does not overflow.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import BridgeError
from .messages import (
    ButtonEvent,
    Capability,
    CaptureEvent,
    HelloAck,
    LedEvent,
    LedKind,
    Message,
    Method,
    PhotoEvent,
    PlaybackEnded,
    PlaybackStarted,
    ResetReason,
    RpcStatus,
    Underrun,
)

FrameMessage = ButtonEvent | LedEvent | CaptureEvent | PlaybackStarted | PlaybackEnded | Underrun | PhotoEvent


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What the frame said of itself in the handshake. Text is printable ASCII."""

    device_id: str  # 16 hex digits
    name: str
    firmware_version: str
    protocol: str  # "major.minor"
    build_hash: int
    schema_hash: int
    boot_id: int  # differs after each boot
    session: int
    reset_reason: str
    led_kind: str  # what the frame claims about its privacy LED: none, software, hardware
    capabilities: Capability
    max_baud: int = 0  # the highest rate that the line can have; 0 where it has none (USB)

    @classmethod
    def from_hello_ack(cls, ack: HelloAck) -> DeviceInfo:
        return cls(
            device_id=ack.device_id.hex(),
            name=ack.name,
            firmware_version=ack.firmware_version,
            protocol=f"{ack.major}.{ack.minor}",
            build_hash=ack.build_hash,
            schema_hash=ack.schema_hash,
            boot_id=ack.boot_id,
            session=ack.session,
            reset_reason=_name(ResetReason, ack.reset_reason),
            led_kind=_name(LedKind, ack.led_kind),
            capabilities=Capability(ack.capabilities & sum(Capability)),  # bits of later versions are dropped
            max_baud=ack.max_baud,
        )

    def has(self, part: Capability) -> bool:
        return part in self.capabilities

    @property
    def has_microphone(self) -> bool:
        return self.has(Capability.MICROPHONE)

    @property
    def has_speaker(self) -> bool:
        return self.has(Capability.SPEAKER)

    @property
    def has_camera(self) -> bool:
        return self.has(Capability.CAMERA)

    @property
    def has_battery(self) -> bool:
        return self.has(Capability.BATTERY)


def _name(enum: type[ResetReason] | type[LedKind], value: int) -> str:
    return enum(value).name.lower() if value in {int(m) for m in enum} else "unknown"


@dataclass(frozen=True, slots=True)
class Connected:
    """The handshake is done: audio and requests may flow. Capture is off until asked for."""

    info: DeviceInfo


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The session is over, or the handshake failed. Every pending request has been answered before."""

    error: BridgeError


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """One AudioFrame of the microphone.

    Attributes:
        sample: position of its first sample.
        pcm: s16le mono 16 kHz.
        dropped_frames: AudioFrames that the frame had to drop since the session began, in all.
    """

    sample: int
    pcm: bytes
    dropped_frames: int


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A request's end. `error` is None for the statuses ok and accepted, and only then `result` may be given.

    Attributes:
        status: the frame's `messages.RpcStatus`, or None when no answer came.
    """

    call_id: int
    method: Method
    status: RpcStatus | None
    result: Message | None
    error: BridgeError | None


@dataclass(frozen=True, slots=True)
class FrameReported:
    """Something happened on the frame."""

    message: FrameMessage


@dataclass(frozen=True, slots=True)
class ObjectReceived:
    """A bulk object (a photo) is complete and its CRC-32 is right."""

    object_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ObjectWritten:
    """A bulk object is complete on the frame, and its CRC-32 is right there."""

    object_id: int


@dataclass(frozen=True, slots=True)
class ObjectProgress:
    """How far a bulk object has come, either way; told at most once per tick."""

    object_id: int
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class ObjectFailed:
    """A bulk object did not arrive.

    Attributes:
        received: of an object from the frame whose session ended, the octets that came: `read_object` goes on there.
    """

    object_id: int
    error: BridgeError
    received: bytes = b""


@dataclass(frozen=True, slots=True)
class ConsoleText:
    """Text beside the frames: boot log, panic, the frame's own log. Printable characters and line feeds only."""

    text: str


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The line is slower than was wanted; the session goes on. A UART went back to another rate, or sound gets lost on
    a line without a rate, and the link goes over to ADPCM by itself.

    Attributes:
        baud: the rate that the line has now; 0 where it has none.
        reason: one sentence for people, with what to do about it.
    """

    baud: int
    reason: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """The frame's firmware gave up, as its console or the reset reason of its next boot says.

    Attributes:
        reason: such as "Guru Meditation Error: Core  0 panic'ed (LoadProhibited)". Printable ASCII, short.
        text: what the frame printed of it, and the lines before. Empty when nothing of it arrived.
    """

    reason: str
    text: str


Event = (
    Connected
    | Disconnected
    | AudioReceived
    | CallFinished
    | FrameReported
    | ObjectReceived
    | ObjectWritten
    | ObjectProgress
    | ObjectFailed
    | RateChanged
    | ConsoleText
    | Crashed
)


@dataclass(slots=True)
class LinkStats:
    """Counters since the Link was made (all sessions). Frames of either direction, octets as on the wire."""

    rx_bytes: int = 0
    rx_frames: int = 0
    rx_bad_frames: int = 0  # segments between delimiters that were no valid frame
    rx_noise_bytes: int = 0  # octets of those in which there was no text either
    rx_foreign_frames: int = 0  # of another session
    rx_duplicate_frames: int = 0
    rx_lost_frames: int = 0  # gaps in a channel's sequence
    rx_unknown_frames: int = 0  # valid, but of a type, channel or direction that we do not take
    mic_frames: int = 0
    mic_lost_frames: int = 0  # lost on the wire
    mic_dropped_frames: int = 0  # the frame's own count, this session
    tx_bytes: int = 0
    tx_frames: int = 0
    rpc_calls: int = 0
    rpc_retries: int = 0
    bulk_restarts: int = 0  # ReadObject asked again after a hole or a stall
    sessions: int = 0
    round_trip_s: float = 0.0  # the latest ping
