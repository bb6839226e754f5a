"""Every setting there is: its name, type, default, valid values and meaning. One table, as frozen dataclasses.

`KEYS` is read off the dataclasses; the file, the environment, `config show` and `setup` all go by it. Reads nothing.
"""

from __future__ import annotations

import typing
import unicodedata
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from .assistant.endpointing import EndpointingSettings

# The assistant owns these settings and their defaults; only the limits of each alone stand here.
_ENDPOINTING: dict[str, dict[str, Any]] = {
    "trailing_silence_ms": {"help": "silence that ends an utterance", "minimum": 100, "maximum": 5000},
    "min_speech_ms": {"help": "speech shorter than this is a click or a cough", "minimum": 0, "maximum": 2000},
    "pre_roll_ms": {"help": "audio kept from before the speech was noticed", "minimum": 0, "maximum": 2000},
    "max_utterance_s": {"help": "an utterance is cut here", "minimum": 1, "maximum": 30},
    "start_threshold": {"help": "speech probability that begins an utterance", "minimum": 0.01, "maximum": 0.99},
    "stop_threshold": {"help": "speech probability below which silence begins", "minimum": 0.01, "maximum": 0.99},
}

Value = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One setting.

    Attributes:
        name: dotted, "stt.engine".
        kind: str, int, float, bool, or tuple for a list of strings.
        choices: the only valid words; empty when any value of the type is.
        minimum, maximum: inclusive, for numbers.
        secret: never shown and never in the configuration file.
        required: the empty string is no value.
        web_address: an http or https address, or the empty string.
    """

    name: str
    kind: type
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    secret: bool = False
    required: bool = False
    web_address: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that overrides the file."""
        return "LORGNETTE_" + self.name.upper().replace(".", "_")

    def check(self, value: object) -> Value:
        """Return `value` as this key's type. Raises ValueError with the end of a sentence: "must be ..."."""
        if self.kind is tuple:
            if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
                raise ValueError('must be a list of strings, such as ["notify-send", "lorgnette"]')
            # A script of several lines is a word of a command, too.
            _check_characters("".join(value).replace("\n", "").replace("\t", ""))
            return tuple(value)
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not self.kind:
            raise ValueError(f"must be {_A_KIND[self.kind]}, not {_A_KIND.get(type(value), 'a table')}")
        assert isinstance(value, str | int | float | bool)
        if self.choices and value not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}, not {value!r}")
        if isinstance(value, str):
            self._check_text(value)
        elif not isinstance(value, bool):
            self._check_range(value)
        return value

    def _check_text(self, value: str) -> None:
        _check_characters(value)
        if self.required and not value.strip():
            raise ValueError("must not be empty")
        if self.web_address and "@" in value:
            raise ValueError("must not hold a user name or a password: the key belongs into LORGNETTE_LLM_API_KEY")
        if self.web_address and value and not is_web_address(value):
            raise ValueError(f"must be an address such as http://localhost:11434/v1, not {value!r}")

    def _check_range(self, value: float) -> None:
        too_low = self.minimum is not None and not value >= self.minimum
        too_high = self.maximum is not None and not value <= self.maximum
        if too_low or too_high:
            raise ValueError(f"must lie between {self.minimum:g} and {self.maximum:g}, not {value:g}")


def is_web_address(text: str) -> bool:
    """Whether it is http:// or https:// with a host and, where one is given, a possible port."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        possible = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and possible and not any(map(str.isspace, text))


def _check_characters(text: str) -> None:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("must not hold control characters")


_A_KIND: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    tuple: "a list of strings",
}


def _key(default: Value, help: str, **limits: Any) -> Any:
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True, slots=True)
class SttSettings:
    engine: str = _key("auto", "speech to text", choices=("auto", "whisper", "faster-whisper"))
    model: str = _key("auto", "auto, embedded, a Whisper size such as base.en, or a checkpoint file")
    threads: int = _key(0, "CPU threads for speech to text; 0 leaves one core free", minimum=0, maximum=256)


@dataclass(frozen=True, slots=True)
class TtsSettings:
    engine: str = _key("auto", "text to speech", choices=("auto", "piper", "espeak"))
    voice: str = _key("auto", "auto, a Piper voice such as en_US-lessac-medium or its .onnx file, or an espeak voice")


@dataclass(frozen=True, slots=True)
class LlmSettings:
    base_url: str = _key(
        "", "an OpenAI-compatible server, such as http://localhost:11434/v1; empty for none", web_address=True
    )
    model: str = _key("", "the model's name on that server")
    timeout_s: float = _key(30.0, "seconds until an unanswered request fails", minimum=0.1, maximum=600)
    api_key: str = field(default="", repr=False, metadata={"help": "the server's key", "secret": True})


@dataclass(frozen=True, slots=True)
class AudioSettings:
    mic: str = _key("frame", "frame, host or a file", required=True)
    speaker: str = _key("frame", "frame, host or a file", required=True)
    camera: str = _key("frame", "frame, a picture or a folder of pictures", required=True)


@dataclass(frozen=True, slots=True)
class HookSettings:
    """Commands that get one JSON object on standard input. An empty list runs nothing."""

    on_state: tuple[str, ...] = _key((), "runs when the assistant's state changes")
    on_speech: tuple[str, ...] = _key((), "runs when speech starts")
    on_transcript: tuple[str, ...] = _key((), "runs for each transcript")
    on_act: tuple[str, ...] = _key((), "runs when an act was done or failed")
    on_reply: tuple[str, ...] = _key((), "runs for each sentence that is spoken")
    on_problem: tuple[str, ...] = _key((), "runs when something failed")
    on_turn: tuple[str, ...] = _key((), "runs at the end of each turn")


@dataclass(frozen=True, slots=True)
class RememberedSettings:
    serial_number: str = _key("", "the USB serial number of your frame")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything, as the file, the environment and the options say."""

    port: str = _key("", "sim://, /dev/ttyACM0, COM5 or socket://HOST:PORT; empty for the remembered or only frame")
    baud: int = _key(921_600, "rate to switch a UART to; USB boards ignore it", minimum=1200, maximum=20_000_000)
    language: str = _key("en", "the language that is spoken", choices=("en",))
    stt: SttSettings = field(default_factory=SttSettings)
    tts: TtsSettings = field(default_factory=TtsSettings)
    llm: LlmSettings = field(default_factory=LlmSettings)
    endpointing: EndpointingSettings = field(default_factory=EndpointingSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    hooks: HookSettings = field(default_factory=HookSettings)
    remembered: RememberedSettings = field(default_factory=RememberedSettings)


def _keys(cls: type, prefix: str = "") -> dict[str, Key]:
    found: dict[str, Key] = {}
    for item, hint in zip(fields(cls), typing.get_type_hints(cls).values(), strict=True):
        name = prefix + item.name
        if is_dataclass(hint):
            assert isinstance(hint, type)
            found.update(_keys(hint, name + "."))
        else:
            kind = typing.get_origin(hint) or hint
            facts = item.metadata or _ENDPOINTING[item.name]
            found[name] = Key(name=name, kind=kind, default=typing.cast(Value, item.default), **facts)
    return found


KEYS: dict[str, Key] = _keys(Settings)
TABLES: tuple[str, ...] = tuple(dict.fromkeys(name.split(".")[0] for name in KEYS if "." in name))


def build(values: dict[str, Value]) -> Settings:
    """Make Settings of checked values by dotted name; what is absent keeps its default.

    Raises:
        ValueError: values that are valid alone contradict each other.
    """
    flat = {name: value for name, value in values.items() if "." not in name}
    tables = {table: _table(table, values) for table in TABLES}
    return Settings(**flat, **tables)  # type: ignore[arg-type]  # each value went through Key.check


def contradictions(values: dict[str, Value]) -> dict[str, str]:
    """The tables of which valid values contradict each other, each with the sentence that says so."""
    found: dict[str, str] = {}
    for table in TABLES:
        try:
            _table(table, values)
        except ValueError as error:
            found[table] = str(error)
    return found


def _table(table: str, values: dict[str, Value]) -> Any:
    prefix = table + "."
    inner = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    return typing.get_type_hints(Settings)[table](**inner)


def get(settings: Settings, name: str) -> Value:
    """The value of one dotted name."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    assert isinstance(value, str | int | float | bool | tuple)
    return value
