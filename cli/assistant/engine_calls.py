"""From an engine effect to the events that it brings: the one place where both drivers call the engines.

Knows no thread and no clock. Whatever an engine raises becomes EngineFailed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from .engines.protocols import EngineError, ReplyStream
from .events import (
    EngineFailed,
    Event,
    ReplyText,
    SpeechMade,
    Stage,
    Synthesize,
    Think,
    Transcribe,
    Transcribed,
    Understand,
    Understood,
)
from .world import Engines

EngineEffect = Transcribe | Understand | Think | Synthesize

STAGES: dict[type, Stage] = {Transcribe: "stt", Understand: "understanding", Think: "llm", Synthesize: "tts"}

_Engine = TypeVar("_Engine")
logger = logging.getLogger(__name__)


def call_engine(
    engines: Engines, effect: EngineEffect, on_stream: Callable[[ReplyStream], None] = lambda _stream: None
) -> Generator[Event, None, None]:
    """Do the work of one effect. Blocking; yields the events as they come, EngineFailed as the last one if it fails.

    `on_stream` is given a reply before the first piece is waited for: another thread may close it. Closing what is
    returned here closes the reply too.
    """
    stage = STAGES[type(effect)]
    try:
        yield from _call(engines, effect, on_stream)
    except EngineError as error:
        yield EngineFailed(effect.turn_id, EngineError(stage, str(error), error.remedy))
    except Exception as error:  # an engine's own bug must end a turn, never the session
        logger.exception("the %s engine raised", stage)
        yield EngineFailed(effect.turn_id, EngineError(stage, f"{type(error).__name__}: {error}", "lorgnette doctor"))


def _call(
    engines: Engines, effect: EngineEffect, on_stream: Callable[[ReplyStream], None]
) -> Generator[Event, None, None]:
    turn_id = effect.turn_id
    if isinstance(effect, Transcribe):
        yield Transcribed(turn_id, _present(engines.stt, "stt", "speech recognition").transcribe(effect.pcm))
    elif isinstance(effect, Understand):
        yield Understood(turn_id, engines.understanding.match(effect.text))
    elif isinstance(effect, Think):
        with closing(_present(engines.llm, "llm", "language model").reply(effect.messages)) as reply:
            on_stream(reply)
            for text in reply:
                yield ReplyText(turn_id, text)
        yield ReplyText(turn_id, "", last=True)
    else:
        for pcm in _present(engines.tts, "tts", "voice").synthesize(effect.text):
            yield SpeechMade(turn_id, pcm)
        yield SpeechMade(turn_id, b"", last=True)


def _present(engine: _Engine | None, stage: Stage, name: str) -> _Engine:
    if engine is None:
        raise EngineError(stage, f"No {name} is set up.", "lorgnette setup")
    return engine
