"""espeak-ng, the voice that is always there: the library of the espeakng-loader wheel, or the `espeak-ng` program.

Knows ctypes, the C API (speak_lib.h) and the program's WAV output. The library is global state, so one process-wide
lock holds it from the choice of the voice to the last sample.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import itertools
import os
import re
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from ..audio import Resampler, pieces
from .foreign import installed, version_of
from .protocols import EngineError, EngineInfo

# speak_lib.h
_OUTPUT_SYNCHRONOUS = 2  # espeak_Synth returns when all is synthesised; the callback runs on the caller's thread
_INITIALIZE_DONT_EXIT = 0x8000  # without it a missing data folder ends the process
_MAX_PATH_BYTES = 140  # it copies the data folder's name into 160 bytes, and appends file names to it
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_RATE, _PITCH = 1, 3
_OK = 0
_RATE_RANGE_WPM = (80, 450)  # what espeak-ng accepts
_PIECE_CHARACTERS = 300  # synthesised under the lock at once, a few milliseconds; between pieces the caller may stop
_PIECE_END = re.compile(r"(?<=[.!?;:])\s+|(?<=[\u3002\uff01\uff1f\uff1b])\s*")  # the second for Chinese
_PROGRAM_TIMEOUT_S = 30.0
_REMEDY = "python -m pip install espeakng-loader"
# Names, for the wheel brings no program that could list them.
_OTHER_VOICE = "choose another, such as en-us, en-gb, en-gb-scotland or en-us+f3, or let 'auto' choose"
_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _VoiceRecord(ctypes.Structure):
    """speak_lib.h, espeak_VOICE."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class _Espeak(Protocol):
    version: str

    def speak(self, text: str, voice: str, words_per_minute: int, pitch: int) -> tuple[bytes, int]:
        """Return (s16le mono, sample rate in hertz). Raises EngineError."""
        ...


class EspeakVoice:
    """Text to speech by espeak-ng.

    Args:
        voice: an espeak-ng voice, with a variant if wanted: "en-us", "en-gb+f3", "cmn".
        words_per_minute: 80 to 450.
        pitch: 0 to 99.
    """

    def __init__(self, voice: str = "en-us", words_per_minute: int = 160, pitch: int = 50) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*(\+[A-Za-z0-9_]+)?", voice):
            raise EngineError("tts", f"{voice!r} is no espeak-ng voice", _OTHER_VOICE)
        low, high = _RATE_RANGE_WPM
        if not low <= words_per_minute <= high:
            raise EngineError("tts", f"espeak-ng speaks {low} to {high} words per minute, not {words_per_minute}")
        if not 0 <= pitch <= 99:
            raise EngineError("tts", f"espeak-ng takes a pitch of 0 to 99, not {pitch}")
        self._voice = voice
        self._words_per_minute = words_per_minute
        self._pitch = pitch

    @property
    def info(self) -> EngineInfo:
        detail: dict[str, str | int | float] = {
            "words_per_minute": self._words_per_minute,
            "pitch": self._pitch,
            "version": version_of("espeakng-loader"),
        }
        return EngineInfo("tts", "espeak", self._voice, detail)

    def warm(self) -> None:
        """Load the library, so that the first sentence does not pay for it. Raises EngineError."""
        self._speak("a")

    def synthesize(self, text: str) -> Iterator[bytes]:
        """Yield s16le mono 16 kHz of `text` as it is made. Blocking; raises EngineError."""
        resampler = None
        for piece in _pieces(text):
            pcm, rate_hz = self._speak(piece)
            if resampler is None:
                resampler = Resampler(rate_hz)
            yield from pieces(resampler.push(pcm))
        if resampler is not None:
            yield from pieces(resampler.push(b"", last=True))

    def _speak(self, text: str) -> tuple[bytes, int]:
        with _LOCK:
            return _espeak().speak(text, self._voice, self._words_per_minute, self._pitch)


def espeak_available() -> bool:
    """Whether a library or a program is there, without loading either."""
    return installed("espeakng_loader") or shutil.which("espeak-ng") is not None


class _Library:
    """libespeak-ng through ctypes. Used under the lock only."""

    def __init__(self, library: Path, data: Path) -> None:
        self._lib = ctypes.CDLL(str(library))
        self._lib.espeak_Info.restype = ctypes.c_char_p
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        used = short_name(data)
        self._rate_hz: int = self._lib.espeak_Initialize(
            _OUTPUT_SYNCHRONOUS, 0, os.fsencode(used), _INITIALIZE_DONT_EXIT
        )
        found = ctypes.c_char_p()
        self.version = str(self._lib.espeak_Info(ctypes.byref(found)).decode("ascii", "replace"))
        # A folder that it cannot use is no error to espeak-ng: it takes the one it was built with, and speaks silence.
        if self._rate_hz <= 0 or found.value != os.fsencode(used):
            raise OSError(f"espeak-ng does not accept the data folder {data}")
        self._voices = self._list_voices()
        self._pieces: list[bytes] = []
        # ctypes frees a callback that nobody holds, while C still calls it.
        self._callback = _SynthCallback(self._collect)

    def _list_voices(self) -> dict[str, bytes]:
        """The identifier of each voice, by its own name and by the languages that it speaks best.

        espeak_SetVoiceByName knows files only: without this table the British voice would be "en" and never "en-gb".
        """
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceRecord))
        records = self._lib.espeak_ListVoices(None)
        named: dict[str, bytes] = {}
        speaking: dict[str, tuple[int, bytes]] = {}
        for record in itertools.takewhile(bool, (records[number] for number in itertools.count())):
            identifier = bytes(record.contents.identifier)
            named[identifier.decode("ascii", "replace").rpartition("/")[2].lower()] = identifier
            for priority, language in _languages(record.contents.languages):
                if priority < speaking.get(language, (256, b""))[0]:
                    speaking[language] = (priority, identifier)
        return {language: identifier for language, (_, identifier) in speaking.items()} | named

    def _collect(self, samples: Any, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, count * 2))
        return 0  # go on

    def speak(self, text: str, voice: str, words_per_minute: int, pitch: int) -> tuple[bytes, int]:
        name, plus, variant = voice.partition("+")
        identifier = self._voices.get(name.lower())
        if identifier is None or self._lib.espeak_SetVoiceByName(identifier + (plus + variant).encode()) != _OK:
            raise _unknown_voice(voice)
        # Each time: the loaded library is one for the process, and another object of this class may have been there.
        self._lib.espeak_SetSynthCallback(self._callback)
        self._lib.espeak_SetParameter(_RATE, words_per_minute, 0)
        self._lib.espeak_SetParameter(_PITCH, pitch, 0)
        self._pieces = []
        encoded = text.encode("utf-8", "replace") + b"\0"
        status = self._lib.espeak_Synth(encoded, len(encoded), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        if status != _OK:
            raise EngineError("tts", f"espeak-ng failed with status {status}")
        return b"".join(self._pieces), self._rate_hz


def _languages(address: int | None) -> Iterator[tuple[int, str]]:
    """(priority, language code) pairs: each is one byte and a string; a priority of 0 ends the list."""
    while address:
        priority = ctypes.string_at(address, 1)[0]
        if priority == 0:
            return
        code = ctypes.string_at(address + 1)
        yield priority, code.decode("ascii", "replace").lower()
        address += 1 + len(code) + 1


def short_name(data: Path) -> Path:
    """Another name of the data folder where its own is too long for espeak-ng's buffer.

    espeak-ng reads the data now and whenever a voice is chosen, so the name lasts as long as the process.
    """
    if len(os.fsencode(data)) < _MAX_PATH_BYTES:
        return data
    folder = tempfile.TemporaryDirectory(prefix="espeak-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    short = Path(folder.name) / data.name
    with contextlib.suppress(NotImplementedError):
        short.symlink_to(data, target_is_directory=True)
    return short


class _Program:
    """The `espeak-ng` program."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.version = "program"

    def speak(self, text: str, voice: str, words_per_minute: int, pitch: int) -> tuple[bytes, int]:
        command = [self._path, "--stdin", "--stdout", "-b", "1", "-v", voice]
        command += ["-s", str(words_per_minute), "-p", str(pitch)]
        try:
            done = subprocess.run(
                command, input=text.encode("utf-8", "replace"), capture_output=True, timeout=_PROGRAM_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError("tts", f"{self._path} failed: {error}", _REMEDY) from error
        if done.returncode != 0:
            if b"voice" in done.stderr:
                raise _unknown_voice(voice)
            raise EngineError("tts", f"{self._path} failed with status {done.returncode}", _REMEDY)
        return read_streamed_wav(done.stdout)


def read_streamed_wav(wav: bytes) -> tuple[bytes, int]:
    """Return (s16le mono, sample rate in hertz) of a WAV that was written to a pipe.

    Its writer could not go back to fill in the lengths, so the data runs to the end of the file whatever they say.
    """
    if len(wav) < 12 or wav[:4] != b"RIFF" or wav[8:12] != b"WAVE":
        raise EngineError("tts", "espeak-ng wrote no WAV")
    at, rate_hz = 12, 0
    while at + 8 <= len(wav):
        name, length = struct.unpack_from("<4sI", wav, at)
        at += 8
        if name == b"data":
            pcm = wav[at:]
            return pcm[: len(pcm) // 2 * 2], rate_hz or 22_050
        if name == b"fmt " and length >= 16 and at + 16 <= len(wav):
            kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", wav, at)
            if (kind, channels, bits) != (1, 1, 16) or not 8_000 <= rate_hz <= 48_000:
                raise EngineError("tts", "espeak-ng wrote a WAV that is not 16-bit mono")
        at += length
    return b"", rate_hz or 22_050


_LOCK = threading.Lock()
_loaded: list[_Espeak] = []


def _espeak() -> _Espeak:
    if not _loaded:
        _loaded.append(_load())
    return _loaded[0]


def _load() -> _Espeak:
    tried = "the espeakng-loader package is not installed"
    try:
        import espeakng_loader

        return _Library(Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path()))
    except ImportError:
        pass
    except (OSError, RuntimeError, AttributeError) as error:
        tried = str(error)
    program = shutil.which("espeak-ng")
    if program is not None:
        return _Program(program)
    raise EngineError("tts", f"espeak-ng cannot be used: {tried}, and there is no espeak-ng program", _REMEDY)


def _unknown_voice(voice: str) -> EngineError:
    return EngineError("tts", f"espeak-ng has no voice {voice!r}", _OTHER_VOICE)


def _pieces(text: str) -> Iterator[str]:
    """Split a long text at its sentence ends; a short one stays whole, so that its intonation does."""
    piece = ""
    plain = text.replace("[[", "[").replace("]]", "]").replace("\0", " ")  # [[...]] are phonemes to the program
    for part in _PIECE_END.split(" ".join(plain.split())):
        if piece and len(piece) + len(part) > _PIECE_CHARACTERS:
            yield piece
            piece = ""
        piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece
