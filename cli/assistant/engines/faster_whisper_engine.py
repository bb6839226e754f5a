"""faster-whisper: the same checkpoints on CTranslate2, several times as fast and without torch.

Knows faster_whisper, imported on first use, and the model folder that ct2_convert.py makes. Never asks a model hub: the
folder is complete.
"""

from __future__ import annotations

import threading
from typing import Any

from ..audio import SAMPLE_BYTES
from .checkpoint import Checkpoint, Segment, check_language, describe_stt, pcm_to_float32
from .foreign import one_line
from .protocols import EngineError, EngineInfo, Transcript

STOCK_COMPUTE_TYPE = "int8"  # half to a third of float32's time on a CPU
CLOSED_COMPUTE_TYPE = "float32"  # a closed-domain checkpoint refuses by small differences of the log probability


class FasterWhisperEngine:
    """Speech to text by faster-whisper. Safe to call from several threads; utterances are recognised one at a time.

    Args:
        checkpoint: the weights, an openai-whisper `.pt` file.
        language: code such as "en"; an English-only checkpoint accepts no other.
        threads: CTranslate2's threads for one utterance.
        compute_type: "int8", "float32" or another of CTranslate2's; "" for the one that suits the checkpoint.
    """

    def __init__(self, checkpoint: Checkpoint, language: str = "en", threads: int = 1, compute_type: str = "") -> None:
        self._checkpoint = checkpoint
        self._language = language
        self._threads = threads
        self._compute_type = compute_type or (CLOSED_COMPUTE_TYPE if checkpoint.rule.closed else STOCK_COMPUTE_TYPE)
        self._lock = threading.Lock()
        self._model: Any = None

    @property
    def info(self) -> EngineInfo:
        return describe_stt("faster-whisper", "faster-whisper", self._checkpoint, self._compute_type)

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
                results, _ = model.transcribe(
                    audio,
                    language=self._language if model.model.is_multilingual else "en",
                    beam_size=1,
                    best_of=1,
                    temperature=0.0,
                    without_timestamps=True,
                    condition_on_previous_text=False,
                    # The rule judges, and keeps the figures of what it refuses.
                    no_speech_threshold=None,
                    log_prob_threshold=None,
                    compression_ratio_threshold=None,
                )
                segments = [
                    Segment(
                        result.text.strip(),
                        float(result.avg_logprob),
                        float(result.no_speech_prob),
                        float(result.compression_ratio),
                    )
                    for result in results  # this is where it runs
                ]
            except (RuntimeError, ValueError) as error:
                raise EngineError(
                    "stt", f"faster-whisper ({self._checkpoint.name}) failed on this audio: {one_line(error)}"
                ) from error
        return self._checkpoint.rule.judge(segments)

    def _loaded(self) -> Any:
        if self._model is None:
            self._model = self._load()
        return self._model

    def _load(self) -> Any:
        try:
            import faster_whisper
        except ImportError as error:
            raise EngineError(
                "stt", f"faster-whisper cannot be imported: {error}", "python -m pip install faster-whisper"
            ) from error
        from .ct2_convert import converted

        folder = converted(self._checkpoint)
        try:
            model = faster_whisper.WhisperModel(
                str(folder), device="cpu", compute_type=self._compute_type, cpu_threads=self._threads
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineError(
                "stt", f"faster-whisper cannot load {self._checkpoint.name}: {one_line(error)}", f"rm -r {folder}"
            ) from error
        check_language(self._checkpoint, self._language, multilingual=bool(model.model.is_multilingual))
        return model
