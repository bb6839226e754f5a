"""PCM as the whole assistant handles it: signed 16-bit little-endian, mono, 16 kHz; and files from and to it.

Knows samples and file formats. Knows nothing of speech. numpy and soxr are imported where they are used.
"""

from __future__ import annotations

import itertools
import math
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from io import FileIO

    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
SAMPLE_BYTES = 2
FRAME_SAMPLES = 320  # 20 ms
_PIECE_BYTES = SAMPLE_RATE_HZ // 5 * SAMPLE_BYTES  # 200 ms
SILENCE_DBFS = -120.0  # what digital silence is called; one step of 16 bits is -90.3

MAX_FILE_BYTES = 1 << 30
MAX_FILE_S = 4 * 3600
DECODE_TIMEOUT_S = 120.0
_READ_BYTES = 1 << 20
_WAV_HEADER_BYTES = 44
_WAV_MAX_DATA_BYTES = 0xFFFF_FFFF - _WAV_HEADER_BYTES  # the format's sizes have 32 bits
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE  # WAVE format tags


class AudioError(Exception):
    """Audio that cannot be used. The message is one sentence for the user; `remedy` is what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """10 to 32 ms of PCM.

    Attributes:
        sample: index of the first sample on the source's own sample clock, which is the turn's clock.
        pcm: s16le mono 16 kHz.
        dropped_frames: AudioFrames that the source lost right before this one.
    """

    sample: int
    pcm: bytes
    dropped_frames: int = 0

    @property
    def samples(self) -> int:
        return len(self.pcm) // SAMPLE_BYTES

    @property
    def end_sample(self) -> int:
        return self.sample + self.samples


def rms_dbfs(pcm: bytes) -> float:
    """Loudness of s16le PCM: 0 is a full-scale square wave, SILENCE_DBFS no signal at all (or no samples)."""
    import numpy as np

    samples = np.frombuffer(pcm[: len(pcm) & ~1], "<i2").astype(np.float64)
    mean_square = float(np.mean(samples**2)) if len(samples) else 0.0
    return max(SILENCE_DBFS, 10 * math.log10(mean_square / 32768**2)) if mean_square else SILENCE_DBFS


class Resampler:
    """A stream of s16le mono PCM at any rate, to 16 kHz."""

    def __init__(self, rate_hz: int) -> None:
        self._stream: Any = None
        if rate_hz != SAMPLE_RATE_HZ:
            import soxr

            # In floats: integers come out dithered, and would depend on how the stream was cut.
            self._stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")

    def push(self, pcm: bytes, *, last: bool = False) -> bytes:
        """Whole samples in; what is ready comes out, and with `last` all that remains."""
        if self._stream is None:
            return pcm
        import numpy as np

        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        return _to_s16(self._stream.resample_chunk(samples, last=last))


def pieces(pcm: bytes) -> Iterator[bytes]:
    """s16le mono 16 kHz cut into pieces of 200 ms, of which the last may be shorter."""
    for at in range(0, len(pcm), _PIECE_BYTES):
        yield pcm[at : at + _PIECE_BYTES]


# ---------------------------------------------------------------- reading files
def read_audio(path: Path) -> bytes:
    """Any audio file as s16le mono 16 kHz. WAV is read here; other formats by ffmpeg or PyAV where one is installed.

    Raises:
        AudioError: missing, unreadable, empty, too long, or of a format that nothing here can decode.
    """
    try:
        with path.open("rb", buffering=0) as file:
            data = read_capped(file, str(path))
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror or error}.", "check the path") from error
    return decode_audio(data, str(path))


def read_capped(file: BinaryIO | FileIO, name: str) -> bytes:
    """All of an open file, which may be a pipe or a device without an end; `name` stands in the error.

    Raises:
        AudioError: it cannot be read, or holds more than MAX_FILE_BYTES.
    """
    pieces: list[bytes] = []
    left = MAX_FILE_BYTES
    try:
        while piece := file.read(_READ_BYTES):
            if len(piece) > left:
                raise AudioError(f"{name} is larger than {MAX_FILE_BYTES >> 20} MiB.", "cut it into shorter files")
            left -= len(piece)
            pieces.append(piece)
    except OSError as error:
        raise AudioError(f"{name} cannot be read: {error.strerror or error}.", "check the path") from error
    return b"".join(pieces)


def decode_audio(data: bytes, name: str) -> bytes:
    """The bytes of an audio file as s16le mono 16 kHz; `name` stands in the error. Raises AudioError."""
    if not data:
        raise AudioError(f"{name} is empty.", "record it again")
    pcm = _decode_wav(data, name) if data[:4] == b"RIFF" and data[8:12] == b"WAVE" else None
    if pcm is None:
        pcm = _decode_with_ffmpeg(data, name)
    if not pcm:
        raise AudioError(f"{name} holds no sound.", "record it again")
    return pcm[: MAX_FILE_S * SAMPLE_RATE_HZ * SAMPLE_BYTES]


def _decode_wav(data: bytes, name: str) -> bytes | None:
    """None for what is no plain PCM or float inside (a compressed WAV). Sizes that lie are cut to what is there."""
    layout: tuple[int, int, int, int] | None = None  # format tag, channels, rate in Hz, bits
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = at + 8
        if kind == b"fmt " and size >= 16 and body + 16 <= len(data):
            tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", data, body)
            if tag == _EXTENSIBLE and size >= 26 and body + 26 <= len(data):
                tag = int.from_bytes(data[body + 24 : body + 26], "little")
            layout = (tag, channels, rate_hz, bits)
        elif kind == b"data":
            if layout is None:
                break
            # A program that writes to a pipe cannot know the length: its header says 0 or 2^31 and more.
            return _convert(data[body : body + size] if size else data[body:], layout, name)
        at = body + size + (size & 1)
    raise AudioError(f"{name} is a damaged WAV file: it has no sound data.", "record it again")


def _convert(data: bytes, layout: tuple[int, int, int, int], name: str) -> bytes | None:
    tag, channels, rate_hz, bits = layout
    if not (1 <= channels <= 32 and 1000 <= rate_hz <= 768_000):
        raise AudioError(f"{name} is a damaged WAV file: {channels} channels at {rate_hz} Hz.", "record it again")
    if (tag, bits) not in _SAMPLE_TYPES:
        return None
    whole = len(data) - len(data) % (channels * bits // 8)
    if (tag, channels, rate_hz, bits) == (_PCM, 1, SAMPLE_RATE_HZ, 16):
        return data[:whole]
    import numpy as np

    samples = _to_float(data[:whole], tag, bits).reshape(-1, channels).mean(axis=1, dtype=np.float32)
    if rate_hz != SAMPLE_RATE_HZ:
        import soxr

        samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)
    return _to_s16(samples)


def _to_s16(samples: NDArray[np.float32]) -> bytes:
    """-1 to 1 as s16le; what is louder is clipped, what is no number is silence."""
    import numpy as np

    bounded = np.clip(np.nan_to_num(samples, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    pcm: NDArray[np.int16] = np.minimum(np.rint(bounded * 32768), 32767).astype("<i2")
    return pcm.tobytes()


_SAMPLE_TYPES = {
    (_PCM, 8): "u1",
    (_PCM, 16): "<i2",
    (_PCM, 24): "",
    (_PCM, 32): "<i4",
    (_FLOAT, 32): "<f4",
    (_FLOAT, 64): "<f8",
}


def _to_float(data: bytes, tag: int, bits: int) -> NDArray[np.float32]:
    """Samples in -1 to 1, shape (n,)."""
    import numpy as np

    if bits == 24:  # into the upper three octets of 32 bits
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    samples = np.frombuffer(data, _SAMPLE_TYPES[tag, bits])
    if tag == _FLOAT:
        return samples.astype(np.float32)
    offset = 128 if bits == 8 else 0  # 8-bit WAV is unsigned
    return ((samples.astype(np.float64) - offset) / 2.0 ** (bits - 1)).astype(np.float32)


def _decode_with_ffmpeg(data: bytes, name: str) -> bytes:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        return _decode_with_av(data, name)
    wanted = ["-t", str(MAX_FILE_S), "-f", "s16le", "-ac", "1", "-ar", str(SAMPLE_RATE_HZ)]
    command = [ffmpeg, "-nostdin", "-v", "error", "-i", "pipe:0", *wanted, "pipe:1"]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=DECODE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AudioError(f"{name} could not be decoded by ffmpeg: {error}.", "convert it to WAV") from error
    if done.returncode != 0:
        raise AudioError(f"{name} is not audio that ffmpeg can decode.", "convert it to WAV")
    return done.stdout


def _decode_with_av(data: bytes, name: str) -> bytes:
    import io

    try:
        import av
    except ImportError as error:
        raise AudioError(
            f"{name} is not a WAV file with plain samples, and other formats need ffmpeg.",
            "install ffmpeg, or convert it to WAV",
        ) from error
    pcm = bytearray()
    try:
        with av.open(io.BytesIO(data), "r") as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
            for frame in itertools.chain(container.decode(audio=0), [None]):
                for piece in resampler.resample(frame):
                    pcm += bytes(piece.planes[0])[: piece.samples * SAMPLE_BYTES]
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise AudioError(f"{name} is not audio that can be decoded.", "convert it to WAV") from error
    return bytes(pcm)


# ---------------------------------------------------------------- writing files
def _wav_header(data_bytes: int, rate_hz: int) -> bytes:
    size = min(data_bytes, _WAV_MAX_DATA_BYTES)
    format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, rate_hz, rate_hz * SAMPLE_BYTES, SAMPLE_BYTES, 16)
    return b"RIFF" + struct.pack("<I", size + 36) + b"WAVE" + format_chunk + b"data" + struct.pack("<I", size)


def wav_bytes(pcm: bytes, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """A whole WAV file of s16le mono PCM."""
    return _wav_header(len(pcm), rate_hz) + pcm


class WavPipe:
    """A WAV file into something that cannot be wound back. Its header promises more than comes, as is usual there."""

    def __init__(self, file: BinaryIO, rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """Raises OSError."""
        self.samples = 0
        self._file = file
        self._file.write(_wav_header(_WAV_MAX_DATA_BYTES, rate_hz))
        self._file.flush()

    def write(self, pcm: bytes) -> None:
        """Send s16le mono PCM on at once."""
        self._file.write(pcm)
        self._file.flush()
        self.samples += len(pcm) // SAMPLE_BYTES

    def close(self) -> None:
        """Whoever opened the file closes it."""


class WavWriter:
    """A WAV file that grows. After every `write` it is whole on disk, so a process that dies loses nothing written."""

    def __init__(self, path: Path, rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """Creates or empties the file. Raises OSError."""
        self._rate_hz = rate_hz
        self._data_bytes = 0
        self._file = path.open("wb", buffering=0)
        self._file.write(_wav_header(0, rate_hz))

    @property
    def samples(self) -> int:
        return self._data_bytes // SAMPLE_BYTES

    def write(self, pcm: bytes) -> None:
        """Append s16le mono PCM, then say so in the header: in this order the header never promises too much."""
        self._file.seek(0, 2)
        self._file.write(pcm)
        self._data_bytes += len(pcm)
        self._file.seek(0)
        self._file.write(_wav_header(self._data_bytes, self._rate_hz))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
