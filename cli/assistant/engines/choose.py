"""From settings to engines: which one a user gets, and why.

Knows every engine's name and what each needs; imports an engine's file only to build it. `describe` answers without
loading anything, for `doctor` and `models list`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from .catalog import Model, find_model, is_present, local_paths, models_folder, of_kind
from .checkpoint import EMBEDDED, Checkpoint, check_language, embedded_checkpoint, open_checkpoint
from .foreign import installed
from .protocols import EngineError, EngineInfo, LanguageModel, SpeechToText, TextToSpeech

AUTO = "auto"
_ESPEAK_VOICES = {"en": "en-us", "zh": "cmn"}  # where the language's own code is not the best voice


class SttChoice(Protocol):
    @property
    def engine(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def threads(self) -> int: ...


class TtsChoice(Protocol):
    @property
    def engine(self) -> str: ...
    @property
    def voice(self) -> str: ...


class LlmChoice(Protocol):
    @property
    def base_url(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...


class EngineSettings(Protocol):
    """The part of the settings that decides over engines."""

    @property
    def language(self) -> str: ...
    @property
    def stt(self) -> SttChoice: ...
    @property
    def tts(self) -> TtsChoice: ...
    @property
    def llm(self) -> LlmChoice: ...


class SpeechToTextEngine(SpeechToText, Protocol):
    def warm(self) -> None:
        """Load now what the first call would load. Raises EngineError."""
        ...


class TextToSpeechEngine(TextToSpeech, Protocol):
    def warm(self) -> None:
        """Load now what the first call would load. Raises EngineError."""
        ...


class LanguageModelEngine(LanguageModel, Protocol):
    def close(self) -> None:
        """Let go of the connections."""
        ...


def speech_to_text(settings: EngineSettings) -> SpeechToTextEngine:
    """Build the ear. Raises EngineError when none can be had."""
    checkpoint = choose_checkpoint(settings.stt.model, settings.language)
    threads = settings.stt.threads or default_threads()
    if choose_stt_engine(settings.stt.engine) == "whisper":
        from .whisper_engine import WhisperEngine

        return WhisperEngine(checkpoint, settings.language, threads)
    from .faster_whisper_engine import FasterWhisperEngine

    return FasterWhisperEngine(checkpoint, settings.language, threads)


def text_to_speech(settings: EngineSettings) -> TextToSpeechEngine:
    """Build the voice. Raises EngineError when none can be had."""
    engine, voice = choose_voice(settings)
    if engine == "piper":
        from .piper_engine import PiperEngine

        return PiperEngine(Path(voice), default_threads())
    from .espeak_engine import EspeakVoice

    return EspeakVoice(voice)


def language_model(settings: EngineSettings) -> LanguageModelEngine | None:
    """Build the client of the model server, or return None when none is configured. Raises EngineError."""
    llm = settings.llm
    if not llm.base_url:
        return None
    from .chat_engine import ChatEngine

    return ChatEngine(llm.base_url, llm.model, api_key=llm.api_key, timeout_s=llm.timeout_s)


def describe(settings: EngineSettings) -> list[EngineInfo | EngineError]:
    """What would be used, by role, or why nothing can be; loads no weights and asks no server."""
    found: list[EngineInfo | EngineError] = []
    for build in (speech_to_text, text_to_speech, language_model):
        try:
            engine = build(settings)
        except EngineError as error:
            found.append(error)
        else:
            if engine is not None:
                found.append(engine.info)
    return found


def default_threads() -> int:
    """Threads when the settings leave it open: one core stays free for audio, and more than four gain nothing."""
    import os

    return max(1, min(4, (os.cpu_count() or 2) - 1))


def choose_stt_engine(wanted: str) -> str:
    """ "whisper" or "faster-whisper", whichever is wanted and installed. Raises EngineError."""
    needs = {"whisper": ("torch", "whisper"), "faster-whisper": ("faster_whisper", "ctranslate2")}
    remedies = {
        "whisper": "python -m pip install openai-whisper",
        "faster-whisper": "python -m pip install faster-whisper",
    }
    for engine in needs if wanted == AUTO else [wanted]:
        if engine not in needs:
            raise EngineError("stt", f"there is no speech recogniser {engine!r}", f"choose one of {', '.join(needs)}")
        if all(installed(package) for package in needs[engine]):
            return engine
    if wanted == AUTO:
        remedy = f"{remedies['whisper']}, or without torch: {remedies['faster-whisper']}"
        raise EngineError("stt", "no speech recogniser is installed: neither whisper nor faster-whisper", remedy)
    raise EngineError("stt", f"the speech recogniser {wanted} is not installed", remedies[wanted])


def choose_checkpoint(wanted: str, language: str) -> Checkpoint:
    """The Whisper weights of a name, a file, or for "auto" the best that is downloaded, else the embedded ones.

    Raises:
        EngineError: not downloaded, no such file, or weights that do not know the language.
    """
    if wanted == AUTO:
        for model in of_kind("whisper"):
            if is_present(model) and model.language in ("", language):
                return _downloaded(model)
        wanted = EMBEDDED
    if wanted == EMBEDDED:
        checkpoint = embedded_checkpoint()
        check_language(checkpoint, language, multilingual=False)
        return checkpoint
    if _is_path(wanted, ".pt"):
        return open_checkpoint(Path(wanted).expanduser())
    model = find_model(wanted)
    if model.kind != "whisper":
        raise EngineError("stt", f"{wanted} is a voice, not a Whisper model", "lorgnette models list")
    if not is_present(model):
        raise EngineError("stt", f"the Whisper model {wanted} is not downloaded", f"lorgnette models pull {wanted}")
    checkpoint = _downloaded(model)
    check_language(checkpoint, language, multilingual=model.language == "")
    return checkpoint


def choose_voice(settings: EngineSettings) -> tuple[str, str]:
    """("piper", path of the .onnx) or ("espeak", voice). Raises EngineError."""
    wanted, engine = settings.tts.voice, settings.tts.engine
    if engine not in (AUTO, "piper", "espeak"):
        raise EngineError("tts", f"there is no voice engine {engine!r}", "choose one of auto, piper, espeak")
    if engine != "espeak":
        path = _piper_path(wanted, settings.language, required=engine == "piper")
        if path is not None:
            if installed("piper"):
                return "piper", str(path)
            if engine == "piper" or wanted != AUTO:
                raise EngineError("tts", "piper-tts is not installed", "python -m pip install piper-tts")
    from .espeak_engine import espeak_available

    if not espeak_available():
        raise EngineError("tts", "no voice can be had: espeak-ng is missing", "python -m pip install espeakng-loader")
    return "espeak", _ESPEAK_VOICES.get(settings.language, settings.language) if wanted == AUTO else wanted


def _piper_path(wanted: str, language: str, *, required: bool) -> Path | None:
    """The voice's file; None when nothing asks for Piper. A voice that was named and is missing is an error."""
    if wanted == AUTO:
        for model in of_kind("piper"):
            if model.language == language and is_present(model):
                return local_paths(model)[0]
        if required:
            name = next((model.name for model in of_kind("piper") if model.language == language), "")
            remedy = f"lorgnette models pull {name}" if name else "set tts.voice to a voice's .onnx file"
            raise EngineError("tts", f"no Piper voice for {language!r} is downloaded", remedy)
        return None
    if _is_path(wanted, ".onnx"):
        path = Path(wanted).expanduser()
        if not path.is_file():
            raise EngineError("tts", f"there is no Piper voice at {path}", "lorgnette models list")
        return path
    placed = models_folder() / "piper" / f"{wanted}.onnx"  # downloaded, or put there by the user
    if "/" not in wanted and "\\" not in wanted and placed.is_file():
        return placed
    if required or (wanted.count("-") == 2 and "_" in wanted):  # en_US-lessac-medium; espeak has no such names
        model = find_model(wanted, "tts")
        raise EngineError("tts", f"the Piper voice {wanted} is not downloaded", f"lorgnette models pull {model.name}")
    return None


def _downloaded(model: Model) -> Checkpoint:
    return open_checkpoint(local_paths(model)[0], model.name)


def _is_path(name: str, suffix: str) -> bool:
    return name.endswith(suffix) or "/" in name or "\\" in name
