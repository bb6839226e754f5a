"""A simulated frame in another process, in lock-step over its standard input and output.

The same C sources as in `core.py`, built as a program: with sanitizers, or for another instruction set and run in an
emulator. Its peripherals are messages in between:

    start      child: "HAL3"          parent: u32 seed, u32 boot, u32 capabilities, u32 max_baud, u32 reset_reason,
                                              u32 n, n characters that the boot before this one left for the log
    step       parent: u64 now_us, u8 button, u32 room, u32 n, n octets for the frame
    meanwhile  child: one letter and its arguments, as often as it needs a peripheral; the parent answers some
    end        child: "D", u64 next_us, u32 m, m <= room octets of the frame

All integers are little-endian. The letters stand in `hardware/firmware/host/pipe_server.c`, and below in `_OPS`.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence

from ..errors import DeviceLost, SimulatorUnavailable
from .peripherals import Peripherals
from .stepped import SteppedFrame

GREETING = b"HAL3"
MAX_BLOCK_SAMPLES = 4096
"""The frame moves blocks of 320 samples; more than this is a broken stream."""
_EXIT_TIMEOUT_S = 30.0


class PipeFrame(SteppedFrame):
    """A frame in a program of its own.

    Args:
        argv: the program, with its emulator if it needs one.
        env: added to the environment.

    Raises:
        SimulatorUnavailable: the program cannot be started, or is no simulated frame.
        DeviceLost: it ended, by a sanitizer's report for instance; the message carries what it wrote.
    """

    def __init__(
        self, argv: Sequence[str], peripherals: Peripherals | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(peripherals or Peripherals())
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                env={**os.environ, **(env or {})},
            )
        except OSError as error:
            self._complaints.close()
            raise SimulatorUnavailable(f"{argv[0]}: {error.strerror}") from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to, self._from = self._child.stdin, self._child.stdout
        if self._from.read(len(GREETING)) != GREETING:
            self._end(kill=True)
            raise SimulatorUnavailable(f"{argv[-1]} is no simulated frame, or one of another version")
        parts = self.peripherals
        start = (parts.seed & 0xFFFF_FFFF, parts.boots, int(parts.capabilities), parts.max_baud)
        self._write(struct.pack("<IIIIII", *start, parts.reset_reason, len(parts.note)) + parts.note)

    def _run(self, now_us: int, button: bool, rx: bytes, room: int) -> tuple[bytes, int]:
        try:
            return self._step(now_us, button, rx, room)
        except BaseException:  # also a failed peripheral: the child waits for an answer that will not come
            self._end(kill=True)
            raise

    def _step(self, now_us: int, button: bool, rx: bytes, room: int) -> tuple[bytes, int]:
        self._write(struct.pack("<QBII", now_us, button, room, len(rx)) + rx)
        while (op := self._read(1)) != b"D":
            if op not in _OPS:
                raise DeviceLost(f"the simulated frame's program sent an unknown message {op!r}")
            _OPS[op](self)
        next_us, n = self._take("<QI")
        if n > room:
            raise DeviceLost(f"the simulated frame's program announced {n} octets")
        return self._read(n), next_us

    def close(self) -> None:
        """End the program.

        Raises:
            DeviceLost: it did not end cleanly.
        """
        super().close()
        status, complaints = self._end()
        if status != 0 or complaints:
            raise DeviceLost(_obituary(status, complaints))

    def _end(self, *, kill: bool = False) -> tuple[int, str]:
        """End the child and give back what it holds; a second time does nothing.

        Returns:
            Its exit status, and what it wrote to its standard error.
        """
        if self._complaints.closed:
            return 0, ""
        with contextlib.suppress(BrokenPipeError):
            self._to.close()
        if kill:
            self._child.kill()
        try:
            status = self._child.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self._child.wait()
        self._from.close()
        self._complaints.seek(0)
        complaints = self._complaints.read().decode(errors="replace")
        self._complaints.close()
        return status, complaints

    def _read(self, n: int) -> bytes:
        data = self._from.read(n) if n else b""
        if len(data) < n:
            raise DeviceLost(_obituary(*self._end()))
        return data

    def _write(self, data: bytes) -> None:
        try:
            self._to.write(data)
            self._to.flush()
        except BrokenPipeError:
            raise DeviceLost(_obituary(*self._end())) from None

    def _take(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self._read(struct.calcsize(layout)))

    # The messages, in the order of pipe_server.c.

    def _on_led(self) -> None:
        self.peripherals.on_led(*self._take("<IB"))

    def _on_mic_enable(self) -> None:
        self.peripherals.on_mic_enable(*self._take("<IB"))

    def _on_mic_read(self) -> None:
        sample, n = self._take_block()
        self._write(self.peripherals.on_mic_read(sample, n))

    def _on_speaker_enable(self) -> None:
        self.peripherals.on_speaker_enable(*self._take("<IB"))

    def _on_speaker_write(self) -> None:
        sample, n = self._take_block()
        self.peripherals.on_speaker_write(sample, self._read(2 * n))

    def _on_camera_start(self) -> None:
        self._write(struct.pack("<i", self.peripherals.on_camera_start(*self._take("<I"))))

    def _on_camera_read(self) -> None:
        picture = self.peripherals.on_camera_read(*self._take("<II"))
        if isinstance(picture, int):
            self._write(struct.pack("<i", picture))
        else:
            self._write(struct.pack("<i", len(picture)) + picture)

    def _on_camera_stop(self) -> None:
        self._write(struct.pack("<i", self.peripherals.on_camera_stop(*self._take("<I"))))

    def _on_battery_percent(self) -> None:
        self._write(struct.pack("<i", self.peripherals.on_battery_percent()))

    def _on_set_rate(self) -> None:
        self.peripherals.on_set_rate(*self._take("<II"))

    def _take_block(self) -> tuple[int, int]:
        sample, n = self._take("<II")
        if n > MAX_BLOCK_SAMPLES:
            raise DeviceLost(f"the simulated frame's program asked for a block of {n} samples")
        return sample, n


def _obituary(status: int, complaints: str) -> str:
    return f"the simulated frame's program ended with status {status}\n{complaints}".rstrip()


_OPS: dict[bytes, Callable[[PipeFrame], None]] = {
    b"L": PipeFrame._on_led,
    b"m": PipeFrame._on_mic_enable,
    b"M": PipeFrame._on_mic_read,
    b"s": PipeFrame._on_speaker_enable,
    b"S": PipeFrame._on_speaker_write,
    b"C": PipeFrame._on_camera_start,
    b"J": PipeFrame._on_camera_read,
    b"c": PipeFrame._on_camera_stop,
    b"B": PipeFrame._on_battery_percent,
    b"R": PipeFrame._on_set_rate,
}
