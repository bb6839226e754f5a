"""Where the settings come from: default < file < environment < option, each value with its origin.

An unknown key or a wrong type is an error that names file, line, key and the nearest valid word. Writes are atomic and
keep comments. Secrets come from the environment or a file of their own and are never shown.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .config_file import line_of, literal_of, with_value
from .errors import ConfigError
from .settings import KEYS, TABLES, Key, Settings, Value, build, contradictions
from .text import nearest, printable

PATH_VARIABLE = "LORGNETTE_CONFIG"
# Variables of the program that are no settings.
OTHER_VARIABLES = frozenset(
    {PATH_VARIABLE, "LORGNETTE_DATA_DIR", "LORGNETTE_CACHE_DIR", "LORGNETTE_MODELS_URL", "LORGNETTE_REQUIRE_ALL"}
)
MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from; `where` is "FILE:LINE", a variable's name or an option's."""

    kind: Literal["default", "file", "environment", "option"]
    where: str = ""


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings and, by dotted name, their origins."""

    settings: Settings
    origins: Mapping[str, Origin]
    path: Path


@dataclass(frozen=True, slots=True)
class Survey:
    """What every source says, right or wrong.

    Attributes:
        values: what is valid, by dotted name; a default is absent.
        wrong: what was given for a setting and is not valid for it, by dotted name.
        origins: of every setting there is.
        faults: by dotted name, or by table where its values contradict each other; in the order found.
    """

    values: dict[str, Value]
    wrong: dict[str, object]
    origins: dict[str, Origin]
    faults: dict[str, ConfigError]
    path: Path

    def note(self, name: str, given: object, error: ConfigError) -> None:
        """Keep what is not valid for `name`."""
        self.wrong[name] = given
        self.faults.setdefault(name, error)


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """The configuration file, whether it exists or not."""
    if named := environment.get(PATH_VARIABLE):
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("lorgnette", appauthor=False) / "config.toml"


def secret_path(path: Path) -> Path:
    """The file that may hold the model server's key, beside the configuration file."""
    return path.parent / "llm-api-key"


def load(
    options: Mapping[str, object] | None = None,
    *,
    path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Loaded:
    """Read every source.

    Args:
        options: values from the command line by dotted name; None means not given.

    Raises:
        ConfigError: a source has an error. One sentence; the first error found.
    """
    found = survey(options, path=path, environment=environment)
    for error in found.faults.values():
        raise error
    return Loaded(build(found.values), found.origins, found.path)


def survey(
    options: Mapping[str, object] | None = None,
    *,
    path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Survey:
    """Read every source as `load` does, but keep what is wrong instead of stopping there.

    Raises:
        ConfigError: the file cannot be read, or is no TOML.
    """
    path = path or config_path(environment)
    found = _survey_file(read_text(path), path)
    for name, key in KEYS.items():
        if (given := environment.get(key.variable, "")) != "":
            found.origins[name] = Origin("environment", key.variable)
            try:
                found.values[name] = from_word(key, given, key.variable)
            except ConfigError as error:
                found.note(name, given, error)
    _survey_secret(found)
    for name, given_option in (options or {}).items():
        if given_option is not None:
            found.origins[name] = Origin("option")
            try:
                found.values[name] = _checked(KEYS[name], given_option, "the command line")
            except ConfigError as error:
                found.note(name, given_option, error)
    _note_contradictions(found)
    return found


def _survey_file(text: str, path: Path) -> Survey:
    found = Survey({}, {}, dict.fromkeys(KEYS, DEFAULT), {}, path)
    for name, raw in flatten(parse(text, path)).items():
        where = f"{path}:{line_of(text, name)}"
        if name in KEYS:
            found.origins[name] = Origin("file", where)
        try:
            found.values[name] = _checked(_known(name, where), raw, where)
        except ConfigError as error:
            found.note(name, raw, error)
    return found


def _survey_secret(found: Survey) -> None:
    secret = secret_path(found.path)
    try:
        content = "" if "llm.api_key" in found.values else _read_secret(secret)
        if content:
            found.values["llm.api_key"] = _checked(KEYS["llm.api_key"], content, str(secret))
            found.origins["llm.api_key"] = Origin("file", str(secret))
    except ConfigError as error:
        found.note("llm.api_key", "", error)


def _note_contradictions(found: Survey) -> None:
    for table, message in contradictions(found.values).items():
        found.faults[table] = ConfigError(message, "'lorgnette config show' prints every value and where it comes from")


def read_text(path: Path) -> str:
    """The file's text, "" when there is no file. Line ends stay as they are."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {(error.strerror or 'error').lower()}", _other_file()) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is no configuration file: it has {len(data)} bytes", _other_file())
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line} is not UTF-8 text", "save the file as UTF-8") from error


def parse(text: str, path: Path) -> dict[str, Any]:
    """Read TOML. Raises ConfigError with the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"^(.*) \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        what = found[1] if found else str(error)
        line = found[2] if found and found[2] else str(text.count("\n") + 1)
        raise ConfigError(f"{path}:{line} is no valid TOML: {what[:1].lower()}{what[1:]}", f"edit {path}") from error


def flatten(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables to dotted names. An empty table that may be there says nothing."""
    flat: dict[str, Any] = {}
    for name, value in tables.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{name}."))
        elif not (value == {} and not prefix and name in TABLES):
            flat[prefix + name] = value
    return flat


def known_key(name: str) -> Key:
    """The key of a dotted name as a user typed it. Raises ConfigError with the nearest valid name."""
    return _known(name, "")


def from_word(key: Key, word: str, where: str) -> Value:
    """Read a value from one word of a command line or a variable: `12`, `true`, `["notify-send", "x"]`.

    A list may also be written as a shell would: `notify-send x`.
    """
    value: object = word
    try:
        if key.kind is bool:
            value = {"true": True, "false": False, "1": True, "0": False}.get(word.lower(), word)
        elif key.kind in (int, float):
            value = key.kind(word)
        elif key.kind is tuple:
            value = json.loads(word) if word.lstrip().startswith("[") else shlex.split(word)
    except ValueError:
        value = word
    return _checked(key, value, where)


def save(values: Mapping[str, Value], path: Path) -> None:
    """Write the values of these dotted names into the file and leave everything else in it as it is.

    An error that the file has elsewhere stays and is no reason to refuse: this may be the first of several repairs.

    Raises:
        ConfigError: the file is no TOML, its way of writing a key is one that cannot be edited safely, or what would
            be written is not valid or contradicts the rest. Nothing was written.
        OSError: the file cannot be written.
    """
    text = read_text(path)
    expected = flatten(parse(text, path))
    before = _file_faults(text, path)
    for name, value in values.items():
        if KEYS[name].secret:
            raise _no_secret(KEYS[name], "", path)
        text = with_value(text, name, literal_of(value))
        expected[name] = list(value) if isinstance(value, tuple) else value
    try:
        written = flatten(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        written = {}
    if written != expected:
        raise ConfigError(f"cannot change {', '.join(values)} in {path} without risk", f"edit {path} by hand")
    for place, error in _file_faults(text, path).items():
        touched = any(name == place or name.startswith(place + ".") for name in values)
        if touched or place not in before:
            raise ConfigError(str(error), "nothing was written; 'lorgnette config show' prints the other values")
    replace_file(path, text)


def _file_faults(text: str, path: Path) -> dict[str, ConfigError]:
    found = _survey_file(text, path)
    _note_contradictions(found)
    return found.faults


def replace_file(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a power cut, sees the old text or the new one, never a part.

    Raises:
        OSError: it cannot be written; the error names `path`.
    """
    try:
        _replace_file(path, text)
    except OSError as error:  # it may name the temporary file, which nobody asked for
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace_file(path: Path, text: str) -> None:
    import tempfile

    target = path.resolve()  # a linked file (dotfiles) stays a link
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    descriptor, name = tempfile.mkstemp(prefix=target.name, dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def unknown_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """LORGNETTE_ variables that mean nothing, each with the nearest that does (or "")."""
    valid = {key.variable for key in KEYS.values()} | OTHER_VARIABLES
    names = [name for name in environment if name.startswith("LORGNETTE_") and name not in valid]
    return {name: nearest(name, {word.lower() for word in valid}).upper() for name in names}


def _known(name: str, where: str) -> Key:
    if name in KEYS:
        key = KEYS[name]
        if key.secret and where:
            raise _no_secret(key, where, config_path())
        return key
    inside = [key for key in KEYS if key.startswith(name + ".")]
    at = f"{where}: " if where else ""
    if inside:
        raise ConfigError(f"{at}'{name}' is a table, not a value", f"its keys are {', '.join(inside)}")
    table, _, last = name.rpartition(".")
    same_table = {key.rpartition(".")[2]: key for key in KEYS if table and key.startswith(table + ".")}
    close = same_table.get(nearest(last, same_table)) or nearest(name, KEYS)
    hint = f"did you mean '{close}'?" if close else "'lorgnette config show' lists the keys"
    raise ConfigError(f"{at}there is no setting '{printable(name)}'", hint)


def _checked(key: Key, value: object, where: str) -> Value:
    try:
        return key.check(value)
    except ValueError as error:
        at = f"{where}: " if where else ""
        close = nearest(value, key.choices) if isinstance(value, str) else ""
        raise ConfigError(f"{at}{key.name} {error}", f"did you mean '{close}'?" if close else "") from error


def _no_secret(key: Key, where: str, path: Path) -> ConfigError:
    at = f"{where}: " if where else ""
    return ConfigError(
        f"{at}{key.name} is a secret and does not belong into the configuration file",
        f"put it into the variable {key.variable} or into {secret_path(path)} (chmod 600)",
    )


def _read_secret(path: Path) -> str:
    try:
        # Windows keeps the user's folder private by itself and has no such mode bits.
        if sys.platform != "win32" and path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} holds a secret, but others may read it", f"chmod 600 {shlex.quote(str(path))}")
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {type(error).__name__}") from error


def _other_file() -> str:
    return f"set {PATH_VARIABLE} to use another file"
