"""The simulated frame in this process: the firmware's own C core, called through cffi.

Knows the core's functions and memory; what the peripherals do is none of its business. Callbacks move whole blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import SimulatorUnavailable
from ..messages import MAX_OBJECT_BYTES
from .button import NEVER
from .peripherals import Peripherals
from .stepped import MAX_TX_BYTES, SteppedFrame

if TYPE_CHECKING:
    from .._core import _CData

try:
    from .. import _core
except ImportError:  # installed without a C compiler: SimulatedFrame says so
    CORE_MISSING = True
else:
    CORE_MISSING = False

__all__ = ["NEVER", "SimulatedFrame"]


class SimulatedFrame(SteppedFrame):
    """A frame in this process.

    Raises:
        SimulatorUnavailable: this installation lacks the compiled core.
    """

    def __init__(self, peripherals: Peripherals | None = None) -> None:
        if CORE_MISSING:
            raise SimulatorUnavailable(
                "the simulated frame needs the compiled core, which this installation lacks; real ports work",
                "install a C compiler (Debian: apt install gcc python3-dev), then install lorgnette again",
            )
        super().__init__(peripherals or Peripherals())
        lib, ffi = _core.lib, _core.ffi
        self._error: BaseException | None = None
        self._handle = ffi.new_handle(self)  # keeps the callbacks' `ctx` alive as long as the frame
        self._hal = ffi.new(
            "frame_sim_hal_t *",
            {
                "ctx": self._handle,
                "led": lib.hal_led,
                "mic_enable": lib.hal_mic_enable,
                "mic_read": lib.hal_mic_read,
                "speaker_enable": lib.hal_speaker_enable,
                "speaker_write": lib.hal_speaker_write,
                "camera_start": lib.hal_camera_start,
                "camera_read": lib.hal_camera_read,
                "camera_stop": lib.hal_camera_stop,
                "battery_percent": lib.hal_battery_percent,
                "set_rate": lib.hal_set_rate,
            },
        )
        self._memory = ffi.new("uint64_t[]", (lib.frame_sim_bytes() + 7) // 8)
        self._sim = ffi.cast("frame_sim_t *", self._memory)
        self._jpeg = ffi.new("uint8_t[]", MAX_OBJECT_BYTES)
        self._out = ffi.new("uint8_t[]", MAX_TX_BYTES)
        self._out_buffer = ffi.buffer(self._out)
        note = ffi.new("char[]", self.peripherals.note)
        boot = ffi.new(
            "frame_sim_boot_t *",
            {
                "seed": self.peripherals.seed & 0xFFFF_FFFF,
                "number": self.peripherals.boots,
                "capabilities": int(self.peripherals.capabilities),
                "max_baud": self.peripherals.max_baud,
                "reset_reason": int(self.peripherals.reset_reason),
                "note": note,
                "note_n": len(self.peripherals.note),
            },
        )
        lib.frame_sim_init(self._sim, self._hal, self._jpeg, MAX_OBJECT_BYTES, boot)
        self._raise_if_failed()

    def _run(self, now_us: int, button: bool, rx: bytes, room: int) -> tuple[bytes, int]:
        lib = _core.lib
        n = lib.frame_sim_step(self._sim, now_us, button, rx, len(rx), self._out, room)
        self._raise_if_failed()
        return self._out_buffer[:n] if n else b"", lib.frame_sim_next_us(self._sim)

    def _raise_if_failed(self) -> None:
        """An exception cannot pass through C: it was kept by the callback."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error


def _define_callbacks() -> None:
    ffi = _core.ffi

    def define(name: str, call: Callable[..., Any], on_error: int | None) -> None:
        def callback(ctx: _CData, *args: Any) -> Any:
            frame: SimulatedFrame = ffi.from_handle(ctx)
            try:
                return call(frame.peripherals, *args)
            except BaseException as error:  # also KeyboardInterrupt: raised again when the step returns
                frame._error = frame._error or error
                return on_error

        ffi.def_extern(name=name)(callback)

    def mic_read(parts: Peripherals, sample: int, pcm: _CData, n: int) -> None:
        ffi.buffer(pcm, 2 * n)[:] = parts.on_mic_read(sample, n)

    def speaker_write(parts: Peripherals, sample: int, pcm: _CData, n: int) -> None:
        parts.on_speaker_write(sample, ffi.buffer(pcm, 2 * n)[:])

    def camera_read(parts: Peripherals, sample: int, jpeg: _CData, cap: int) -> int:
        picture = parts.on_camera_read(sample, cap)
        if isinstance(picture, int):
            return picture
        ffi.buffer(jpeg, cap)[: len(picture)] = picture
        return len(picture)

    define("hal_led", lambda parts, *args: parts.on_led(*args), None)
    define("hal_mic_enable", lambda parts, *args: parts.on_mic_enable(*args), None)
    define("hal_mic_read", mic_read, None)
    define("hal_speaker_enable", lambda parts, *args: parts.on_speaker_enable(*args), None)
    define("hal_speaker_write", speaker_write, None)
    define("hal_camera_start", lambda parts, *args: parts.on_camera_start(*args), -1)
    define("hal_camera_read", camera_read, -1)
    define("hal_camera_stop", lambda parts, *args: parts.on_camera_stop(*args), 1)
    define("hal_battery_percent", lambda parts, *args: parts.on_battery_percent(*args), -1)
    define("hal_set_rate", lambda parts, *args: parts.on_set_rate(*args), None)


if not CORE_MISSING:
    _define_callbacks()
