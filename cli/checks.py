"""What `doctor` and `setup` look at on this computer: one line and, where something is wrong, one remedy each.

Each check really does the thing: an engine is loaded and runs once, a model server is asked. Knows no frame.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from .assistant.engines.protocols import ChatMessage, EngineError, EngineInfo
from .config import load, unknown_variables
from .errors import ConfigError, Failure, explain
from .loading import load_aside
from .settings import Settings

Status = Literal["ok", "note", "absent", "failed"]
MIN_FREE_BYTES = 500_000_000  # Whisper base and a voice, with room to spare
SERVER_PATIENCE_S = 15.0  # a local model may have to be loaded first


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found.

    Attributes:
        status: ok; note: works, with something to know; absent: optional and not there; failed: needed and broken.
        detail: one line.
        remedy: what to do, "" when there is nothing to do.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def failed(name: str, error: Exception) -> Check:
    """A check that ended in an expected error. Anything else is a bug and goes on up."""
    failure = explain(error)
    if failure is None:
        raise error
    return Check(name, "failed", str(failure), failure.remedy)


def check_config() -> tuple[Check, Settings | None]:
    """The configuration, and the settings when it can be read."""
    try:
        loaded = load()
    except ConfigError as error:
        return failed("config", error), None
    unknown = unknown_variables()
    if unknown:
        names = ", ".join(f"{name} ({near}?)" if near else name for name, near in unknown.items())
        return Check("config", "note", f"variables that mean nothing: {names}", "unset them"), loaded.settings
    there = str(loaded.path) if loaded.path.exists() else f"defaults; there is no {loaded.path}"
    return Check("config", "ok", there), loaded.settings


def host_checks(settings: Settings, *, offline: bool) -> Iterator[Check]:
    """Everything that needs no frame, cheap ones first."""
    yield check_python()
    yield check_torch()
    yield check_disk()
    yield check_models()
    yield check_sound_card()
    yield from engine_checks(settings, offline=offline)


def engine_checks(settings: Settings, *, offline: bool) -> Iterator[Check]:
    """Each engine that would run: is it there, and does it work?"""
    yield _engine("speech", _run_vad)
    yield _engine("ear", lambda: _run_ear(settings))
    yield _engine("understanding", lambda: _run_understanding(settings))
    yield _engine("voice", lambda: _run_voice(settings))
    yield check_model_server(settings, offline=offline)


def check_python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{version} at {sys.executable}")


def check_torch() -> Check:
    """Is torch there, and did it draw in CUDA packages that nothing here uses?"""
    from importlib.metadata import distributions
    from importlib.util import find_spec

    names = {str(item.metadata["Name"] or "").lower() for item in distributions()}
    nvidia = sorted(name for name in names if name.startswith("nvidia-"))
    if nvidia:
        return Check(
            "torch",
            "note",
            f"torch drew in {len(nvidia)} nvidia-* packages, gigabytes that nothing here uses",
            f"pip uninstall -y torch {' '.join(nvidia)}; "
            "pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu",
        )
    if find_spec("torch") is None:
        return Check("torch", "note", "not installed: faster-whisper is the ear that needs none")
    return Check("torch", "ok", "without CUDA packages")


def check_disk() -> Check:
    from .assistant.engines.catalog import models_folder

    folder = models_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < MIN_FREE_BYTES:
        remedy = f"free some space, or name another folder in LORGNETTE_DATA_DIR instead of {folder}"
        return Check("disk", "note", f"{free / 1e6:.0f} MB free: too little for a download", remedy)
    return Check("disk", "ok", f"{free / 1e9:.0f} GB free for models")


def check_models() -> Check:
    from .assistant.engines.catalog import MODELS, is_present

    here = [name for name, model in MODELS.items() if is_present(model)]
    if not here:
        return Check(
            "models",
            "absent",
            "none downloaded: the built-in ear knows commands only, and espeak-ng speaks",
            "lorgnette models list",
        )
    return Check("models", "ok", ", ".join(here))


def check_sound_card() -> Check:
    """The extra `audio`, for --mic host and --speaker host."""
    try:
        import sounddevice
    except ImportError:
        return Check("sound card", "absent", "the extra 'audio' is not installed", 'pip install "lorgnette[audio]"')
    except OSError as error:  # the wheel is there, PortAudio is not
        return Check("sound card", "absent", f"PortAudio is missing: {error}", "apt install libportaudio2")
    found = [str(device["name"]) for device in sounddevice.query_devices()]
    if not found:
        return Check("sound card", "absent", "this computer has none", "use --mic frame, a file or text:WORDS")
    return Check("sound card", "ok", f"{len(found)} devices, {found[0]} first")


def check_model_server(settings: Settings, *, offline: bool) -> Check:
    """Ask the configured server for one word."""
    llm = settings.llm
    if not llm.base_url:
        return Check(
            "model",
            "absent",
            "no language model is set up: commands work, free questions get an honest no",
            "lorgnette setup",
        )
    if offline:
        return Check("model", "note", f"{llm.base_url} was not asked: --offline")
    from .assistant.engines.chat_engine import ChatEngine

    try:
        patience_s = min(llm.timeout_s, SERVER_PATIENCE_S)
        server = ChatEngine(llm.base_url, llm.model, api_key=llm.api_key, timeout_s=patience_s)
        try:
            list(server.reply([ChatMessage("user", "Say yes.")]))
        finally:
            server.close()
    except EngineError as error:
        return failed("model", error)
    return Check("model", "ok", f"{llm.model} at {llm.base_url} answers")


def _engine(name: str, run: Callable[[], EngineInfo]) -> Check:
    from .console import describe

    try:
        return Check(name, "ok", describe(load_aside(run)))
    except (EngineError, Failure) as error:
        return failed(name, error)


def _run_vad() -> EngineInfo:
    from .assistant.vad import SileroVad

    vad = SileroVad()
    vad.speech_probability(bytes(2048))
    return vad.info


def _run_ear(settings: Settings) -> EngineInfo:
    from .assistant.engines.choose import speech_to_text

    ear = speech_to_text(settings)
    ear.warm()
    return ear.info


def _run_understanding(settings: Settings) -> EngineInfo:
    from .assistant.understanding import Understanding

    understanding = Understanding(settings.language)
    if understanding.match("what time is it") is None and settings.language == "en":
        raise EngineError("understanding", "the sentence templates do not work", "install lorgnette again")
    return understanding.info


def _run_voice(settings: Settings) -> EngineInfo:
    from .assistant.engines.choose import text_to_speech

    voice = text_to_speech(settings)
    if not any(voice.synthesize("Yes.")):
        raise EngineError("tts", f"the voice {voice.info.model} makes no sound", "lorgnette config set tts.voice auto")
    return voice.info
