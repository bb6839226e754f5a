"""`lorgnette setup`: choose frame, language, engines and model; download what was agreed to; test; write the file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from ..assistant.engines.protocols import EngineError
from ..checks import Check, engine_checks, failed
from ..config import config_path, flatten, load, parse, read_text, save
from ..errors import Failure
from ..options import Command, diagnostics_options, offline_option
from ..settings import KEYS, Settings, Value, build, get
from ..text import printable
from .doctor import show

if TYPE_CHECKING:
    from ..assistant.engines.catalog import Model

NONE = "none"
AUTO = "auto"
EMBEDDED = "embedded"
SIM = "sim://"


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the set-up, which an option can answer beforehand.

    Attributes:
        option: the command-line option, as it is written.
        text: what is asked.
        answers: (answer, what it means). Others may be typed where `free` says so.
        current: what is configured now; suggested where it is an answer, else the first one is.
        free: any other text is an answer, too.
        complaint: says what is wrong with an answer that a person typed, "" when nothing is.
    """

    option: str
    text: str
    answers: tuple[tuple[str, str], ...]
    current: str = ""
    free: bool = False
    complaint: Callable[[str], str] = lambda answer: ""

    @property
    def valid(self) -> list[str]:
        return [answer for answer, _ in self.answers]

    @property
    def suggested(self) -> str:
        return self.current if self.accepts(self.current) else self.valid[0]

    def accepts(self, answer: str) -> bool:
        return answer in self.valid or (self.free and answer != "")


class Asker:
    """Puts questions: an option answers first, then a person at a terminal, then, with --yes, the suggestion."""

    def __init__(self, yes: bool) -> None:
        self._yes = yes
        self._interactive = sys.stdin is not None and sys.stdin.isatty() and not yes

    def ask(self, question: Question, given: str | None) -> str:
        """Return the answer. Raises Failure naming the option when there is nobody to ask."""
        if given is not None:
            if not question.accepts(given):
                known = ", ".join(question.valid)
                raise click.BadParameter(f"one of {known}, not '{given}'", param_hint=question.option)
            return given
        if self._yes:
            return question.suggested
        if not self._interactive:
            raise click.UsageError(
                f"There is no terminal to ask '{question.text}': answer with {question.option}, or --yes takes "
                f"'{question.suggested}'."
            )
        return self._ask_person(question)

    def agree(self, text: str) -> bool:
        """A yes to something that costs the user something. Raises Failure when there is nobody to ask."""
        if self._yes:
            return True
        if not self._interactive:
            raise click.UsageError(f"There is no terminal to ask '{text}': --yes agrees, --dry-run only shows.")
        return click.confirm(text, default=False, err=True)

    def _ask_person(self, question: Question) -> str:
        click.echo(f"\n{question.text}", err=True)
        for answer, meaning in question.answers:
            click.echo(f"  {printable(answer):<24} {printable(meaning)}".rstrip(), err=True)
        while True:
            typed = str(click.prompt("Your choice", default=question.suggested, err=True)).strip()
            if not question.accepts(typed):
                click.echo(f"One of {', '.join(question.valid)}, please.", err=True)
            elif complaint := question.complaint(typed):
                click.echo(printable(complaint), err=True)
            else:
                return typed


@click.command(
    cls=Command,
    examples=[
        ("lorgnette setup", "ask everything"),
        ("lorgnette setup --yes", "take every suggestion, download nothing"),
        ("lorgnette setup --yes -p sim:// -m base.en --voice en_US-ljspeech-medium", "from a script"),
        ("lorgnette setup --dry-run --yes -m base.en", "show what would happen"),
    ],
)
@click.option("-p", "--port", metavar="PORT", help="The frame: a serial port, socket://HOST:PORT, sim:// or auto.")
@click.option("--language", metavar="CODE", help="The language that is spoken.")
@click.option("--stt", metavar="ENGINE", help="Speech to text: auto, whisper or faster-whisper.")
@click.option("-m", "--model", metavar="NAME", help="Speech model: embedded, or a Whisper size such as base.en.")
@click.option("--tts", metavar="ENGINE", help="Text to speech: auto, piper or espeak.")
@click.option("--voice", metavar="VOICE", help="auto, a Piper voice or an espeak voice.")
@click.option("--llm-url", metavar="URL", help="An OpenAI-compatible model server, or none.")
@click.option("--llm-model", metavar="NAME", help="The model's name on that server.")
@click.option("-y", "--yes", is_flag=True, help="Take the suggestion where no option answers, and agree to downloads.")
@click.option("--dry-run", is_flag=True, help="Show what would be downloaded and written; do neither.")
@click.option("--test/--no-test", default=True, show_default=True, help="Try each part before the file is written.")
@offline_option
@diagnostics_options
def setup(
    port: str | None,
    language: str | None,
    stt: str | None,
    model: str | None,
    tts: str | None,
    voice: str | None,
    llm_url: str | None,
    llm_model: str | None,
    yes: bool,
    dry_run: bool,
    test: bool,
    offline: bool,
) -> None:
    """Choose frame, language, engines and model.

    Asks what no option answers, says size and licence before any download and asks for a yes, tests each part and
    writes the configuration file. Without a terminal every question needs its option, or --yes.
    """
    now = load().settings  # a file with an error stops here, before any question
    asker = Asker(yes)
    chosen: dict[str, Value] = {}
    chosen.update(_choose_frame(asker, port, now, test))
    chosen["language"] = asker.ask(_language(now), language)
    chosen.update(_choose_ear(asker, stt, model, str(chosen["language"]), now))
    chosen.update(_choose_voice(asker, tts, voice, str(chosen["language"]), now))
    chosen.update(_choose_model(asker, llm_url, llm_model, now))
    for name, value in chosen.items():
        _check(name, value)
    downloads = [item for item in _downloads(chosen) if item is not None]
    changes = _changes(chosen)
    _show_plan(changes, downloads)
    if dry_run:
        click.echo("\nNothing was downloaded or written: --dry-run.", err=True)
        return
    for item in downloads:
        _download(asker, item, offline)
    if test:
        _test(chosen, now, offline)
    if changes:
        save(changes, config_path())
        click.echo(f"\nWritten: {config_path()}", err=True)
    click.echo("Now try: lorgnette run", err=True)


# ---------------------------------------------------------------- the questions
def _choose_frame(asker: Asker, given: str | None, now: Settings, test: bool) -> dict[str, Value]:
    """A frame with a serial number is remembered by that: its port's name changes."""
    from ...firmware_bridge.discovery import list_ports

    ports = {port.device: port for port in list_ports()}
    candidates = [port for port in ports.values() if port.is_frame_candidate]
    answers = [(port.device, f"{port.description} {port.serial_number}".strip()) for port in candidates]
    # Without a board the suggestion is to look for one each time: the simulation is chosen, never fallen into.
    answers.append((AUTO, "whichever single frame is plugged in"))
    answers.append((SIM, "the simulated frame, no board needed"))
    serial = now.remembered.serial_number
    current = now.port or next((port.device for port in ports.values() if serial and port.serial_number == serial), "")

    def complaint(typed: str) -> str:
        return "" if typed == AUTO or not test else _port_complaint(typed, now)

    text = "Which frame? (or type another port)"
    question = Question("--port", text, tuple(answers), current, free=True, complaint=complaint)
    answer = asker.ask(question, given)
    known = ports.get(answer)
    if answer == AUTO:
        return {"port": "", "remembered.serial_number": ""}
    if known is not None and known.serial_number:
        return {"port": "", "remembered.serial_number": known.serial_number}
    return {"port": answer, "remembered.serial_number": ""}


def _port_complaint(port: str, now: Settings) -> str:
    """Why no frame can be opened at this port, "" when one can."""
    from ...firmware_bridge.errors import BridgeError
    from ..glasses.ports import open_frame

    click.echo(f"trying {printable(port)}", err=True)
    try:
        open_frame(replace(now, port=port), remember=False)[0].close()
    except (BridgeError, EngineError) as error:
        return str(error)
    return ""


def _language(now: Settings) -> Question:
    answers = tuple((code, "") for code in KEYS["language"].choices)
    return Question("--language", "Which language?", answers, now.language)


def _choose_ear(asker: Asker, stt: str | None, model: str | None, language: str, now: Settings) -> dict[str, Value]:
    from ..assistant.engines.catalog import is_present, of_kind

    answers = [(AUTO, "the best that is downloaded, else the built-in one")]
    if language == "en":
        answers.append((EMBEDDED, "built in: hears this program's commands, nothing else"))
    for item in of_kind("whisper"):
        if item.language in ("", language):
            here = "here already" if is_present(item) else f"{_megabytes(item)}, {item.licence}"
            answers.append((item.name, f"hears anything; {here}"))
    text = "Which speech model? (or type a checkpoint file)"
    chosen = asker.ask(Question("--model", text, tuple(answers), now.stt.model, free=True), model)
    engines = (
        (AUTO, "whichever is installed"),
        ("whisper", "openai-whisper, on torch"),
        ("faster-whisper", "the same weights without torch, several times as fast"),
    )
    engine = asker.ask(Question("--stt", "Which engine runs it?", engines, now.stt.engine), stt)
    return {"stt.model": chosen, "stt.engine": engine}


def _choose_voice(asker: Asker, tts: str | None, voice: str | None, language: str, now: Settings) -> dict[str, Value]:
    from ..assistant.engines.catalog import is_present, of_kind

    answers = [(AUTO, "a downloaded Piper voice if there is one, else espeak-ng")]
    for item in of_kind("piper"):
        if item.language == language:
            here = "here already" if is_present(item) else f"{_megabytes(item)}, {item.licence}"
            answers.append((item.name, f"natural; {here}"))
    text = "Which voice? (or type another)"
    chosen = asker.ask(Question("--voice", text, tuple(answers), now.tts.voice, free=True), voice)
    engines = ((AUTO, "whichever fits the voice"), ("piper", "Piper"), ("espeak", "espeak-ng"))
    engine = asker.ask(Question("--tts", "Which engine speaks?", engines, now.tts.engine), tts)
    return {"tts.voice": chosen, "tts.engine": engine}


def _choose_model(asker: Asker, url: str | None, model: str | None, now: Settings) -> dict[str, Value]:
    servers = (
        (NONE, "commands only: photo, time, timers, volume and so on"),
        ("http://localhost:11434/v1", "Ollama on this computer"),
        ("http://localhost:8080/v1", "llama.cpp on this computer"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "Qwen, over the network"),
    )
    text = "A language model for free questions? (or type an address)"
    question = Question("--llm-url", text, servers, now.llm.base_url, free=True, complaint=_address_complaint)
    chosen = asker.ask(question, url)
    if chosen == NONE:
        if model is not None:
            raise click.UsageError(f"--llm-model {model} is of no use without a server: name one with --llm-url.")
        return {"llm.base_url": "", "llm.model": ""}
    _check("llm.base_url", chosen)
    key = KEYS["llm.api_key"].variable
    click.echo(f"A server that wants a key gets it from the variable {key}; it is not written here.", err=True)
    names = (("qwen3:1.7b", "small, and good with tools"),)
    name = asker.ask(Question("--llm-model", "Its name on that server?", names, now.llm.model, free=True), model)
    return {"llm.base_url": chosen, "llm.model": name}


def _address_complaint(typed: str) -> str:
    try:
        KEYS["llm.base_url"].check("" if typed == NONE else typed)
    except ValueError as error:
        return f"It {error}."
    return ""


# ---------------------------------------------------------------- what follows from the answers
def _check(name: str, value: Value) -> None:
    try:
        KEYS[name].check(value)
    except ValueError as error:
        raise click.UsageError(f"{name} {error}.") from error


def _downloads(chosen: dict[str, Value]) -> Iterator[Model | None]:
    """The models that were chosen by name and are not here."""
    from ..assistant.engines.catalog import MODELS, is_present

    for name in (str(chosen["stt.model"]), str(chosen["tts.voice"])):
        item = MODELS.get(name)
        yield item if item is not None and not is_present(item) else None


def _changes(chosen: dict[str, Value]) -> dict[str, Value]:
    """What the file does not say yet. A default that was never written stays unwritten."""
    path = config_path()
    written = flatten(parse(read_text(path), path))
    return {name: value for name, value in chosen.items() if written.get(name, KEYS[name].default) != value}


def _show_plan(changes: dict[str, Value], downloads: list[Model]) -> None:
    click.echo("\nTo be downloaded:" if downloads else "\nNothing is to be downloaded.", err=True)
    for item in downloads:
        checked = "" if item.verified else "; no checksum is published"
        click.echo(f"  {item.name:<24} {_megabytes(item)}, licence: {item.licence}{checked}", err=True)
    click.echo(f"To be written into {config_path()}:" if changes else "Nothing is to be changed.", err=True)
    for name, value in changes.items():
        click.echo(f"  {name:<24} {printable(value) or '(empty)'}", err=True)


def _download(asker: Asker, item: Model, offline: bool) -> None:
    from .models import pull_model

    if not offline and not asker.agree(f"Download {item.name} ({_megabytes(item)}, {item.licence})?"):
        raise Failure(f"{item.name} was not downloaded, so nothing was written", "choose another: lorgnette setup")
    pull_model(item, yes=True, offline=offline)


def _test(chosen: dict[str, Value], now: Settings, offline: bool) -> None:
    """Try each part that was chosen. Raises Failure when one does not work."""
    settings = build({**{name: get(now, name) for name in KEYS}, **chosen})
    click.echo("\nTrying each part:", err=True)
    broken = []
    for check in _tests(settings, offline):
        show(check, err=True)
        if check.status == "failed":
            broken.append(check.name)
    if broken:
        raise Failure(
            f"not everything works ({', '.join(broken)}), so nothing was written",
            "choose otherwise, or write it all the same: --no-test",
        )


def _tests(settings: Settings, offline: bool) -> Iterator[Check]:
    from ...firmware_bridge.errors import BridgeError
    from ..glasses.ports import open_frame

    yield from engine_checks(settings, offline=offline)
    if not settings.port and not settings.remembered.serial_number:
        return  # whichever frame will be there
    try:
        device, _ = open_frame(settings, remember=False)  # the file is written last, or not at all
    except BridgeError as error:
        yield failed("frame", error)
        return
    with device:
        yield Check("frame", "ok", f"{device.info.name}, firmware {device.info.firmware_version}")


def _megabytes(item: Model) -> str:
    return f"{item.size_bytes / 1e6:.0f} MB"
