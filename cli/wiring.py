"""From settings to the parts of a session: engines, the pipeline's settings. Shared by every command that talks."""

from __future__ import annotations

from .assistant.endpointing import EndpointingSettings
from .assistant.engines.protocols import SpeechToText, TextToSpeech, VoiceActivity
from .assistant.pipeline import PipelineSettings
from .assistant.turn import TurnSettings
from .assistant.world import Engines
from .loading import load_aside
from .settings import Settings

# hassil prepares each list of numbers when a sentence first needs it, which takes a third of a second.
WARM_UP = ("set a timer for one hour two minutes and three seconds", "set the volume to five percent", "take a photo")


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

    def load() -> tuple[SpeechToText, VoiceActivity]:
        from .assistant.engines import choose
        from .assistant.vad import SileroVad

        ear = choose.speech_to_text(settings)
        ear.warm()
        return ear, SileroVad()

    return load_aside(load)


def build_voice(settings: Settings) -> TextToSpeech:
    """Only what speaks, warm. Raises EngineError."""

    def load() -> TextToSpeech:
        from .assistant.engines import choose

        voice = choose.text_to_speech(settings)
        voice.warm()
        return voice

    return load_aside(load)


def _build_engines(settings: Settings, *, offline: bool, listen: bool, speak: bool) -> Engines:
    from .assistant.engines import choose
    from .assistant.understanding import Understanding
    from .assistant.vad import SileroVad

    understanding = Understanding(settings.language)
    for sentence in WARM_UP:
        understanding.match(sentence)
    stt = choose.speech_to_text(settings) if listen else None
    if stt is not None:
        stt.warm()
    tts = choose.text_to_speech(settings) if speak else None
    if tts is not None:
        tts.warm()
    return Engines(
        understanding=understanding,
        stt=stt,
        tts=tts,
        llm=None if offline else choose.language_model(settings),
        vad=SileroVad() if listen else None,
    )


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
