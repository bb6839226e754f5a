"""Piper: a voice file, spoken sentence by sentence.

Knows piper and onnxruntime, both imported on first use. Knows nothing of where voices come from.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..audio import Resampler, pieces
from .espeak_engine import short_name
from .foreign import one_line, version_of
from .protocols import EngineError, EngineInfo

_MAX_CONFIG_BYTES = 1 << 20  # a voice's configuration has 5 kB, with many speakers 50
_REMEDY = "lorgnette models list"


class PiperEngine:
    """Text to speech by one Piper voice. Safe to call from several threads.

    Args:
        voice: the `.onnx` file; its `.onnx.json` lies beside it.
        threads: onnxruntime's threads for one sentence.
    """

    def __init__(self, voice: Path, threads: int = 1) -> None:
        self._path = voice
        self._threads = threads
        self._lock = threading.Lock()
        self._voice: Any = None

    @property
    def info(self) -> EngineInfo:
        detail: dict[str, str | int | float] = {"version": version_of("piper-tts"), "threads": self._threads}
        return EngineInfo("tts", "piper", self._path.stem, detail)

    def warm(self) -> None:
        """Load the voice and run once, so that the first sentence does not pay for it. Raises EngineError."""
        for _ in self.synthesize("a"):
            pass

    def synthesize(self, text: str) -> Iterator[bytes]:
        """Yield s16le mono 16 kHz of `text`, each sentence as soon as it is made. Blocking; raises EngineError."""
        # Piper reads [[...]] as phonemes; a language model that writes brackets means brackets.
        spoken = " ".join(text.replace("[[", "[").replace("]]", "]").replace("\0", " ").split())
        if not spoken:
            return
        voice = self._loaded()
        resampler = Resampler(voice.config.sample_rate)
        try:
            for sentence in voice.synthesize(spoken):
                yield from pieces(resampler.push(sentence.audio_int16_bytes))
        except (RuntimeError, ValueError, KeyError) as error:
            raise EngineError("tts", f"the voice {self._path.stem} failed: {one_line(error)}", _REMEDY) from error
        yield from pieces(resampler.push(b"", last=True))

    def _loaded(self) -> Any:
        with self._lock:
            if self._voice is None:
                self._voice = self._load()
            return self._voice

    def _load(self) -> Any:
        try:
            import onnxruntime
            import piper
            from piper.config import PhonemeType, PiperConfig
            from piper.phonemize_espeak import ESPEAK_DATA_DIR
        except ImportError as error:
            raise EngineError("tts", f"piper cannot be imported: {error}", "python -m pip install piper-tts") from error
        config = self._read_config(PiperConfig)
        if config.phoneme_type not in (PhonemeType.ESPEAK, PhonemeType.TEXT):
            # Piper would fetch the pronunciation model of such a voice by itself, without asking.
            raise EngineError(
                "tts",
                f"the voice {self._path.stem} needs a pronunciation model of its own ({config.phoneme_type.value})",
                "choose a voice that is pronounced by espeak-ng: lorgnette models list",
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        try:
            session = onnxruntime.InferenceSession(
                str(self._path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's error types share no base but this one
            raise EngineError("tts", f"{self._path} is no readable voice: {one_line(error)}", _REMEDY) from error
        return piper.PiperVoice(session=session, config=config, espeak_data_dir=short_name(Path(ESPEAK_DATA_DIR)))

    def _read_config(self, config_type: Any) -> Any:
        path = self._path.with_name(f"{self._path.name}.json")
        try:
            if path.stat().st_size > _MAX_CONFIG_BYTES:
                raise ValueError("it is too long")
            config = config_type.from_dict(json.loads(path.read_text("utf-8")))
            if not 8_000 <= config.sample_rate <= 48_000:
                raise ValueError(f"its sample rate is {config.sample_rate} Hz")
        except FileNotFoundError as error:
            raise EngineError("tts", f"the voice {self._path.stem} lacks its {path.name}", _REMEDY) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError("tts", f"{path} is no voice's configuration: {one_line(error)}", _REMEDY) from error
        return config
