"""What an address describes: `sim://?mic=file:X&camera=PATH&speaker=file:X&battery=N&seed=N&line=uart`.

The peripherals, and the faults of the cable (their words stand in ../faults.py).
"""

from __future__ import annotations

import difflib
import wave
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from ..errors import DeviceNotFound
from ..faults import EXAMPLE as FAULTS_EXAMPLE
from ..faults import FAULTS, Faults, parse_faults
from ..messages import SAMPLE_RATE_HZ, Capability
from .camera import CAMERA_FAULTS, CameraFailed, FaultyCamera, ImageCamera
from .microphone import ScriptedMicrophone
from .peripherals import Peripherals
from .speaker import SpeakerRecorder

SCHEME = "sim"
OPTIONS = ("mic", "camera", "speaker", "battery", "seed", "line")
ALL_OPTIONS = (*OPTIONS, *FAULTS)
PARTS = {"mic": Capability.MICROPHONE, "camera": Capability.CAMERA, "speaker": Capability.SPEAKER}
"""What a frame need not have: `mic=none`."""
EXAMPLE = "sim://?mic=file:question.wav&camera=photo.jpg&speaker=file:answer.wav&battery=80&seed=1"
MAX_WAV_BYTES = 1 << 30
MAX_BAUD = {"usb": 0, "uart": 2_000_000}
"""The highest rate of each kind of line; 0: it has none. A UART's is what the usual USB bridges reach."""


def parse_sim_url(url: str, *, microphone: ScriptedMicrophone | None = None) -> Peripherals:
    """Read the address of a simulated frame and open the files that it names.

    Such a frame may run for hours: what it hears and plays is not kept in memory.

    Args:
        url: `sim://`, with options after a `?`.
        microphone: used instead of the option `mic`, which may then be anything: `text:` and `host` need parts that
            this layer does not have.

    Raises:
        DeviceNotFound: the address is malformed, or a file cannot be used; the remedy says how to write it.
    """
    options = _options(url)
    _faults(options)
    without = Capability(0)
    for word, part in PARTS.items():
        if options.get(word) == "none":
            del options[word]
            without |= part
    return Peripherals(
        microphone=microphone or _microphone(options.get("mic")),
        camera=_camera(options.get("camera")),
        speaker=_speaker(options.get("speaker")),
        battery_percent=_battery(options.get("battery", "80")),
        seed=_number("seed", options.get("seed", "0"), 0xFFFF_FFFF),
        without=without,
        max_baud=_max_baud(options.get("line", "usb")),
    )


def sim_faults(url: str) -> Faults:
    """What the address says of the cable. Raises DeviceNotFound as `parse_sim_url`."""
    return _faults(_options(url))


def _options(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.scheme != SCHEME or parts.netloc or parts.path not in ("", "/"):
        raise DeviceNotFound(f"{url!r} is no address of a simulated frame", f"write it like {EXAMPLE}")
    options: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in ALL_OPTIONS:
            raise DeviceNotFound(f"sim:// has no option {name!r}", _nearest(name))
        if name in options:
            raise DeviceNotFound(f"the option {name!r} of sim:// is given twice", f"write it like {EXAMPLE}")
        options[name] = value
    return options


def _faults(options: dict[str, str]) -> Faults:
    try:
        return parse_faults({name: value for name, value in options.items() if name in FAULTS})
    except ValueError as error:
        raise DeviceNotFound(f"sim://: {error}", f"write a cable's faults like sim://?{FAULTS_EXAMPLE}") from error


def read_wav(path: Path) -> bytes:
    """PCM of a WAV file: s16le, mono, 16 kHz.

    Raises:
        DeviceNotFound: it cannot be read, or is of another format.
    """
    try:
        if path.stat().st_size > MAX_WAV_BYTES:
            raise DeviceNotFound(f"{path} is too long for a script", "cut it below 1 GiB")
        with wave.open(str(path), "rb") as wav:
            rate, channels, width = wav.getframerate(), wav.getnchannels(), wav.getsampwidth()
            pcm = wav.readframes(wav.getnframes())
    except OSError as error:
        raise DeviceNotFound(f"{path}: {error.strerror}", "name a WAV file: 16 kHz, mono, 16-bit") from error
    except (wave.Error, EOFError) as error:
        raise DeviceNotFound(f"{path} is no WAV file ({error})", _convert(path)) from error
    if (rate, channels, width) != (SAMPLE_RATE_HZ, 1, 2):
        found = f"{rate} Hz, {channels} channel{'s' if channels > 1 else ''}, {8 * width} bits"
        raise DeviceNotFound(f"{path} has {found}; the frame hears 16 kHz, mono, 16-bit", _convert(path))
    return pcm


def _convert(path: Path) -> str:
    return f"convert it: sox {path} -r 16000 -c 1 -b 16 {path.stem}-16k.wav"


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, ALL_OPTIONS, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"it has {', '.join(ALL_OPTIONS)}: {EXAMPLE}"


def _microphone(value: str | None) -> ScriptedMicrophone:
    if value is None:
        return ScriptedMicrophone(keep=False)
    kind, _, name = value.partition(":")
    if kind != "file" or not name:
        raise DeviceNotFound(
            f"mic={value}: not something that a frame can hear here", "write mic=file:question.wav, or mic=none"
        )
    return ScriptedMicrophone(read_wav(Path(name)), finite=True, keep=False)


def _speaker(value: str | None) -> SpeakerRecorder:
    if value is None:
        return SpeakerRecorder(keep=False)
    kind, _, name = value.partition(":")
    if kind != "file" or not name:
        raise DeviceNotFound(
            f"speaker={value}: not something that a frame can play to", "write speaker=file:answer.wav, or speaker=none"
        )
    try:
        return SpeakerRecorder(Path(name))
    except OSError as error:
        raise DeviceNotFound(f"speaker={value}: {error.strerror}", "name a WAV file in a folder that exists") from error


def _camera(value: str | None) -> ImageCamera | None:
    if value is None:
        return None
    kind, _, fault = value.partition(":")
    if kind == "fault":
        if fault not in CAMERA_FAULTS:
            raise DeviceNotFound(
                f"camera={value}: not a fault that a camera has", f"write camera=fault: and {', '.join(CAMERA_FAULTS)}"
            )
        return FaultyCamera(fault)
    path, remedy = Path(value), "name a JPEG file or a folder of JPEG files, or write camera=none"
    if not (path.is_file() or path.is_dir()):  # a device such as /dev/zero has no end
        raise DeviceNotFound(f"camera={value}: no such file or folder", remedy)
    camera = ImageCamera(path)
    try:
        camera.look()
    except CameraFailed as error:
        raise DeviceNotFound(f"camera={error}", remedy) from error
    return camera


def _battery(value: str) -> int | None:
    return None if value == "none" else _number("battery", value, 100)


def _max_baud(line: str) -> int:
    if line not in MAX_BAUD:
        raise DeviceNotFound(f"line={line}: not a line that a frame has", "write line=usb or line=uart")
    return MAX_BAUD[line]


def _number(name: str, value: str, most: int) -> int:
    if not (value.isascii() and value.isdigit() and int(value) <= most):
        also = " or none" if name == "battery" else ""
        raise DeviceNotFound(f"{name}={value}: not a number from 0 to {most}", f"write {name}=0 to {name}={most}{also}")
    return int(value)
