"""From settings to the parts of a session: engines, the pipeline's settings. Shared by every command that talks."""

from __future__ import annotations

import logging
import time

from .assistant.endpointing import EndpointingSettings
from .assistant.engines.protocols import EngineInfo, LanguageModel, SpeechToText, TextToSpeech, VoiceActivity
from .assistant.pipeline import PipelineSettings
from .assistant.turn import TurnSettings
from .assistant.world import Engines, IntentMatcher
from .loading import load_aside
from .settings import Settings

# hassil prepares each list of numbers when a sentence first needs it, which takes a third of a second.
WARM_UP = ("set a timer for one hour two minutes and three seconds", "set the volume to five percent", "take a photo")
_log = logging.getLogger(__name__)


def build_engines(settings: Settings, *, offline: bool = False, listen: bool = True, speak: bool = True) -> Engines:
    """The engines of a session, warm: the first utterance does not pay for loading. Ctrl-C ends it at any moment.

    Args:
        offline: leave out whatever needs a network.
        listen: with ear (VAD and speech to text).
        speak: with voice.

    Raises:
        EngineError: one that is needed cannot be had.
    """
    return load_aside(lambda: _build_engines(settings, offline=offline, listen=listen, speak=speak))


def build_ear(settings: Settings) -> tuple[SpeechToText, VoiceActivity]:
    """Only what hears, warm. Raises EngineError."""
    return load_aside(lambda: (_ear(settings), _vad()))


def build_voice(settings: Settings) -> TextToSpeech:
    """Only what speaks, warm. Raises EngineError."""
    return load_aside(lambda: _voice(settings))


def _build_engines(settings: Settings, *, offline: bool, listen: bool, speak: bool) -> Engines:
    return Engines(
        understanding=_understanding(settings),
        stt=_ear(settings) if listen else None,
        tts=_voice(settings) if speak else None,
        llm=None if offline else _model(settings),
        vad=_vad() if listen else None,
    )


def _understanding(settings: Settings) -> IntentMatcher:
    began_s = time.monotonic()
    from .assistant.understanding import Understanding

    understanding = Understanding(settings.language)
    for sentence in WARM_UP:
        understanding.match(sentence)
    _loaded(understanding.info, began_s)
    return understanding


def _ear(settings: Settings) -> SpeechToText:
    began_s = time.monotonic()
    from .assistant.engines import choose

    ear = choose.speech_to_text(settings)
    ear.warm()
    _loaded(ear.info, began_s)
    return ear


def _voice(settings: Settings) -> TextToSpeech:
    began_s = time.monotonic()
    from .assistant.engines import choose

    voice = choose.text_to_speech(settings)
    voice.warm()
    _loaded(voice.info, began_s)
    return voice


def _model(settings: Settings) -> LanguageModel | None:
    began_s = time.monotonic()
    from .assistant.engines import choose

    model = choose.language_model(settings)
    if model is not None:
        _loaded(model.info, began_s)
    return model


def _vad() -> VoiceActivity:
    began_s = time.monotonic()
    from .assistant.vad import SileroVad

    vad = SileroVad()
    _loaded(vad.info, began_s)
    return vad


def _loaded(info: EngineInfo, began_s: float) -> None:
    """Log which engine was chosen and how long its libraries and weights took to load."""
    name = f"{info.engine} {info.model}".strip()
    _log.info("%s: %s, loaded in %.2f s", info.role, name, time.monotonic() - began_s)


def pipeline_settings(settings: Settings, *, has_model: bool, listen: bool = True) -> PipelineSettings:
    """The pipeline's part of the settings."""
    e = settings.endpointing
    return PipelineSettings(
        endpointing=EndpointingSettings(
            start_threshold=e.start_threshold,
            stop_threshold=e.stop_threshold,
            min_speech_ms=e.min_speech_ms,
            trailing_silence_ms=e.trailing_silence_ms,
            pre_roll_ms=e.pre_roll_ms,
            max_utterance_s=e.max_utterance_s,
        ),
        turn=TurnSettings(language_model=has_model, llm_timeout_s=settings.llm.timeout_s),
        listen=listen,
    )
