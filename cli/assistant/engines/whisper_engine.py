"""openai-whisper: the stock model, loaded by `whisper.load_model` and run by its own `transcribe`.

Knows torch and whisper, both imported on first use. Knows nothing of where weights come from.
"""

from __future__ import annotations

import threading
import warnings
from typing import Any

from ..audio import SAMPLE_BYTES
from .checkpoint import Checkpoint, Segment, check_language, describe_stt, pcm_to_float32
from .foreign import one_line
from .protocols import EngineError, EngineInfo, Transcript


class WhisperEngine:
    """Speech to text by openai-whisper. Safe to call from several threads; utterances are recognised one at a time.

    Args:
        checkpoint: the weights.
        language: code such as "en"; an English-only checkpoint accepts no other.
        threads: torch's threads. Torch keeps one figure for the whole process.
    """

    def __init__(self, checkpoint: Checkpoint, language: str = "en", threads: int = 1) -> None:
        self._checkpoint = checkpoint
        self._language = language
        self._threads = threads
        self._lock = threading.Lock()
        self._model: Any = None

    @property
    def info(self) -> EngineInfo:
        return describe_stt("whisper", "openai-whisper", self._checkpoint, "float32")

    def warm(self) -> None:
        """Load the weights and run once, so that the first utterance does not pay for it. Raises EngineError."""
        self.transcribe(b"\0" * (SAMPLE_BYTES * 1600))

    def transcribe(self, pcm: bytes) -> Transcript:
        """Recognise one utterance (s16le mono 16 kHz). Blocking; raises EngineError."""
        audio = pcm_to_float32(pcm)
        if audio.size == 0:
            return Transcript("", accepted=False, reason="no audio")
        with self._lock:
            model = self._loaded()
            try:
                result = model.transcribe(
                    audio,
                    language=self._language if model.is_multilingual else "en",
                    temperature=0.0,
                    without_timestamps=True,
                    condition_on_previous_text=False,
                    fp16=False,
                    # transcribe() drops what it calls silence without its figures; the rule judges, and keeps them.
                    no_speech_threshold=None,
                    logprob_threshold=None,
                    compression_ratio_threshold=None,
                )
            except (RuntimeError, ValueError) as error:
                raise EngineError(
                    "stt", f"Whisper ({self._checkpoint.name}) failed on this audio: {one_line(error)}"
                ) from error
        segments = [
            Segment(
                segment["text"].strip(),
                float(segment["avg_logprob"]),
                float(segment["no_speech_prob"]),
                float(segment["compression_ratio"]),
            )
            for segment in result["segments"]
        ]
        return self._checkpoint.rule.judge(segments)

    def _loaded(self) -> Any:
        if self._model is None:
            self._model = self._load()
        return self._model

    def _load(self) -> Any:
        try:
            import torch
            import whisper
        except ImportError as error:
            raise EngineError(
                "stt", f"openai-whisper cannot be imported: {error}", "python -m pip install openai-whisper"
            ) from error
        path = self._checkpoint.path
        try:
            torch.set_num_threads(self._threads)
            model = whisper.load_model(str(path), device="cpu")
            with warnings.catch_warnings():
                # whisper leaves its vocabulary file to the garbage collector; read it here, once, where that is silent.
                warnings.simplefilter("ignore", ResourceWarning)
                whisper.tokenizer.get_tokenizer(bool(model.is_multilingual), num_languages=model.num_languages)
        except Exception as error:  # torch and pickle raise a dozen unrelated types for a damaged file
            raise EngineError(
                "stt", f"{path} is no readable Whisper checkpoint: {one_line(error)}", "lorgnette models list"
            ) from error
        check_language(self._checkpoint, self._language, multilingual=bool(model.is_multilingual))
        return model
