"""`lorgnette ask TEXT`: one turn with typed words, through the same pipeline as a spoken one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import click

from ..assistant.engines.protocols import ChatMessage, EngineError, EngineInfo, LanguageModel, ReplyStream
from ..assistant.events import (
    Act,
    ActDone,
    Event,
    FrameLost,
    MicrophoneEnded,
    Notice,
    Problem,
    ReplySpoken,
    TextEntered,
    TurnFinished,
)
from ..config import Loaded, load
from ..errors import Failure, explain
from ..exit_codes import ExitCode
from ..options import Command, diagnostics_options, json_option, offline_option, out_option, port_option
from ..records import record
from ..settings import Settings
from ..standard_input import read_text
from ..text import printable

if TYPE_CHECKING:
    from ...firmware_bridge.device import Device
    from ...firmware_bridge.errors import BridgeError
    from ...firmware_bridge.link_events import CallFinished
    from ...firmware_bridge.messages import Message, Method
    from ..assistant.world import WorldEffect
    from ..glasses.world import FrameDevice, Glasses

STDIN = "-"
MAX_TEXT_CHARS = 20_000


@click.command(
    cls=Command,
    examples=[
        ('lorgnette ask "what time is it"', "one question, one answer"),
        ('lorgnette ask -p sim:// "take a photo" -o photo.jpg', "act on a frame"),
        ("lorgnette ask --json - < question.txt", "from a file, as JSON"),
    ],
)
@click.argument("text")
@port_option
@out_option("Keep a photo that is taken in FILE.")
@json_option
@offline_option
@diagnostics_options
def ask(
    text: str,
    port: str | None,
    baud: int | None,
    timeout_s: float,
    out: Path | None,
    as_json: bool,
    offline: bool,
) -> None:
    """Type one question, read the answer.

    TEXT '-' is standard input. A frame named by -p or LORGNETTE_PORT is opened at once, any other only when
    the answer needs it. A timer is waited for.
    """
    loaded = load({"port": port, "baud": baud})
    words = _words(text)
    from ..glasses.ports import open_frame
    from ..glasses.world import Glasses

    def connect() -> Glasses:
        device = WatchedDevice(open_frame(loaded.settings, timeout_s)[0], world.note_error)
        return Glasses(cast("FrameDevice", device), on_photo=_photo_keeper(out))

    world = FrameOnDemand(connect)
    answer = Answer(as_json)
    with closing(world):
        if loaded.origins["port"].kind in ("option", "environment"):
            world.connect()
        try:
            model = _talk(loaded, words, world, answer, offline)
        finally:
            answer.print_json()
    _conclude(answer, model, world, loaded.settings, offline)


def _words(text: str) -> str:
    words = read_text() if text == STDIN else text
    if len(words) > MAX_TEXT_CHARS:
        raise click.BadParameter(f"more than {MAX_TEXT_CHARS} characters are no question")
    from ..assistant.sentences import without_controls

    words = without_controls(words)
    if not words:
        raise click.BadParameter("there is no question in it")
    return words


def _talk(loaded: Loaded, words: str, world: FrameOnDemand, answer: Answer, offline: bool) -> WatchedModel | None:
    from ..assistant.driver import LiveDriver
    from ..glasses.capture import CAPTURE
    from ..hooks import HookRunner
    from ..session_log import log_notice
    from ..wiring import build_engines, pipeline_settings

    engines = build_engines(loaded.settings, offline=offline, listen=False, speak=False)
    model = WatchedModel(engines.llm) if engines.llm is not None else None
    wanted = pipeline_settings(loaded.settings, has_model=model is not None, listen=False)
    # The model's own error says more than the turn's "took too long": let it come first.
    turn = replace(wanted.turn, voice=False, llm_timeout_s=loaded.settings.llm.timeout_s + 2)
    pipeline = CAPTURE.pipeline(replace(wanted, turn=turn), None, engines)
    hooks = HookRunner(loaded.settings.hooks, _warn)
    driver = LiveDriver(pipeline, world, replace(engines, llm=model), [answer.on_notice, hooks.on_notice, log_notice])
    answer.when_done = lambda: driver.post(MicrophoneEnded())
    driver.post(TextEntered(words))
    try:
        driver.run()
    finally:
        hooks.close()
    return model


def _warn(problem: Problem) -> None:
    """A hook that fails does not make the answer wrong."""
    click.echo(f"lorgnette: {printable(problem.message)}", err=True)


class FrameOnDemand:
    """A world that opens the frame when the first act needs it: what time it is needs no frame."""

    def __init__(self, connect: Callable[[], Glasses]) -> None:
        self._connect = connect
        self._glasses: Glasses | None = None
        self._post: Callable[[Event], None] | None = None
        self.error: Exception | None = None

    def connect(self) -> None:
        """Open the frame now. Raises BridgeError."""
        self._glasses = self._connect()
        if self._post is not None:
            self._glasses.start(self._pass_on)

    def note_error(self, error: Exception) -> None:
        """Keep what the exit code needs; the first one is what everything after it came of."""
        self.error = self.error or error

    def start(self, post: Callable[[Event], None]) -> None:
        self._post = post
        if self._glasses is not None:
            self._glasses.start(self._pass_on)

    def _pass_on(self, event: Event) -> None:
        """To the pipeline. A frame that has gone is not waited for: this is one turn, and it has failed."""
        assert self._post is not None
        if isinstance(event, FrameLost):
            from ...firmware_bridge.errors import DeviceLost

            self.note_error(DeviceLost(event.message, "lorgnette doctor"))
        self._post(event)
        if isinstance(event, FrameLost):
            self._post(MicrophoneEnded())

    def execute(self, effect: WorldEffect) -> None:
        if self._glasses is None and isinstance(effect, Act):
            try:
                self.connect()
            except Exception as error:
                if explain(error) is None:
                    raise
                self.note_error(error)
                assert self._post is not None
                self._post(ActDone(effect.turn_id, {}, str(error)))
                return
        if self._glasses is not None:
            self._glasses.execute(effect)

    def close(self) -> None:
        if self._glasses is not None:
            self._glasses.close()


class WatchedDevice:
    """A frame whose failed requests are told to `note`: the pipeline turns them into words, the exit code needs the
    kind. The end of the requests under way comes before the news that the frame is gone."""

    def __init__(self, device: Device, note: Callable[[Exception], None]) -> None:
        self._device = device
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def post(self, method: Method, args: Message | None, done: Callable[[CallFinished], None]) -> None:
        def watched(finished: CallFinished) -> None:
            if finished.error is not None:
                self._note(finished.error)
            done(finished)

        self._device.post(method, args, watched)

    def post_photo(self, done: Callable[[bytes | BridgeError], None]) -> None:
        def watched(outcome: bytes | BridgeError) -> None:
            if not isinstance(outcome, bytes):
                self._note(outcome)
            done(outcome)

        self._device.post_photo(watched)


class WatchedModel:
    """A language model whose error is kept: the pipeline turns it into words, the exit code needs its kind."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.error: EngineError | None = None

    @property
    def info(self) -> EngineInfo:
        return self._model.info

    def reply(self, messages: Sequence[ChatMessage]) -> WatchedReply:
        return WatchedReply(self, self._model.reply(messages))

    def close(self) -> None:
        close = getattr(self._model, "close", None)
        if close is not None:
            close()


class WatchedReply:
    """One reply of a watched model. No generator: `close` has to reach the model from another thread."""

    def __init__(self, model: WatchedModel, pieces: ReplyStream) -> None:
        self._model = model
        self._pieces = pieces

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        try:
            return next(self._pieces)
        except EngineError as error:
            self._model.error = error
            raise

    def close(self) -> None:
        self._pieces.close()


class Answer:
    """Prints the reply sentence by sentence and keeps what the exit code needs. Called on the observer's thread."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self.when_done: Callable[[], None] = lambda: None
        self.turn: TurnFinished | None = None
        self.announcement: TurnFinished | None = None  # of the timer that the turn has set
        self.problems: list[Problem] = []
        self.failed_to_print: OSError | None = None

    def on_notice(self, notice: Notice) -> None:
        match notice:
            case ReplySpoken(text=text) if not self._json:
                self._print(printable(text))
            case Problem() if self.turn is None:  # what is lost later does not make the answer wrong
                self.problems.append(notice)
            case TurnFinished():
                if self.turn is None:
                    self.turn = notice
                else:
                    self.announcement = notice
                if not self._waits_for_timer(notice):
                    self.when_done()
            case _:
                pass

    def print_json(self) -> None:
        """One object, at the end, when everything that belongs to it is known."""
        if self._json and self.turn is not None:
            announced = record(self.announcement) if self.announcement is not None else None
            self._print(json.dumps({**record(self.turn), "announcement": announced}))

    def _waits_for_timer(self, notice: TurnFinished) -> bool:
        """A timer that was set would be lost if the program ended now."""
        act = notice.act
        if act is None or act.name != "set_timer" or act.error or self.failed_to_print:
            return False
        click.echo("lorgnette: waiting for the timer; Ctrl-C drops it", err=True)
        return True

    def _print(self, line: str) -> None:
        try:
            click.echo(line)
            sys.stdout.flush()
        except OSError as error:
            self.failed_to_print = error
            self.when_done()


def _conclude(
    answer: Answer, model: WatchedModel | None, world: FrameOnDemand, settings: Settings, offline: bool
) -> None:
    """The exit status is that of what was asked for, though the reply has told it in words already."""
    if answer.failed_to_print is not None:
        raise answer.failed_to_print
    if world.error is not None:
        raise world.error
    if model is not None and model.error is not None:
        raise model.error
    turn = answer.turn
    if answer.problems:
        problem = answer.problems[0]
        raise Failure(problem.message, problem.remedy)
    if turn is not None and turn.act is not None and turn.act.error:
        raise Failure(turn.act.error, code=ExitCode.FRAME_REFUSED)
    if offline and turn is not None and turn.intent is None and settings.llm.base_url:
        raise Failure(
            f"--offline forbids asking the model server {settings.llm.base_url}",
            "ask again without --offline",
            ExitCode.OFFLINE,
        )


def _photo_keeper(out: Path | None) -> Callable[[bytes], Mapping[str, Any]]:
    def keep(jpeg: bytes) -> Mapping[str, Any]:
        if out is None:
            return {}
        out.write_bytes(jpeg)
        return {"path": str(out)}

    return keep
