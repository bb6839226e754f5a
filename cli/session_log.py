"""What a session writes into the program's log: states, acts, turns and their times; never what was heard or said.

The log is asked for to find faults and may be sent to others, so it holds no words of the user or of the assistant. The
messages of a model server and of a hook are left out too: either may quote them.
"""

from __future__ import annotations

import logging

from .assistant.events import ActFinished, Notice, Problem, StateChanged, TurnFinished

_MAY_QUOTE = frozenset({"llm", "hook"})
_log = logging.getLogger(__name__)


def log_notice(notice: Notice) -> None:
    """An observer of the pipeline, to be given to the driver beside the others."""
    match notice:
        case StateChanged(state=state):
            _log.debug("state: %s", state)
        case ActFinished(turn_id=turn_id, name=name, error=error):
            _log.info("turn %d: act %s %s", turn_id, name, f"failed: {error}" if error else "done")
        case Problem(stage=stage, message=message):
            _log.warning("problem in %s%s", stage, "" if stage in _MAY_QUOTE else f": {message}")
        case TurnFinished():
            _log_turn(notice)
        case _:
            pass


def _log_turn(turn: TurnFinished) -> None:
    facts: list[str] = [turn.outcome]
    if turn.intent is not None:
        facts.append(f"intent {turn.intent.name}")
    if turn.transcript is not None:
        heard = turn.transcript
        facts.append(f"log probability {heard.avg_logprob:.2f}, no speech {heard.no_speech_prob:.2f}")
    facts += [f"{stage} {ms:.0f} ms" for stage, ms in turn.stages_ms.items()]
    _log.info("turn %d: %s", turn.turn_id, ", ".join(facts))
