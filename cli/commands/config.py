"""`lorgnette config path|show|set`: what is configured, where each value comes from, and how to change it."""

from __future__ import annotations

import json

import click

from ..config import Origin, Survey, config_path, from_word, known_key, save, survey, unknown_variables
from ..errors import ConfigError
from ..options import Group, diagnostics_options, json_option
from ..settings import KEYS, Key
from ..text import printable

SCHEMA = 1


@click.group(
    cls=Group,
    examples=[
        ("lorgnette config show", "every setting and where it comes from"),
        ("lorgnette config set tts.engine espeak", "change one"),
        ("lorgnette config set hooks.on_turn 'logger -t lorgnette'", "run a command after each turn"),
    ],
)
def config() -> None:
    """Show and change the settings.

    A setting comes from the command line, else from a variable such as LORGNETTE_STT_ENGINE, else from the
    file, else it is the default. LORGNETTE_CONFIG names another file.
    """


@config.command()
@diagnostics_options
def path() -> None:
    """Print the path of the configuration file."""
    file = config_path()
    click.echo(str(file))
    if not file.exists():
        click.echo("There is no file yet; 'lorgnette setup' or 'lorgnette config set' writes it.", err=True)


@config.command()
@json_option
@click.option("--all", "everything", is_flag=True, help="Also explain every setting.")
@diagnostics_options
def show(as_json: bool, everything: bool) -> None:
    """Print every setting and where it comes from. Secrets are never shown.

    What is wrong is shown beside its value, and the exit status is then 20.
    """
    found = survey()
    if as_json:
        content = {"schema": SCHEMA, "path": str(found.path), "settings": _as_json(found)}
        content["problems"] = [{"name": name, "message": str(error)} for name, error in found.faults.items()]
        click.echo(json.dumps(content, indent=2, default=str))
    else:
        _print(found, everything)
    for name, near in unknown_variables().items():
        hint = f"; did you mean {near}?" if near else ""
        click.echo(f"lorgnette: the variable {printable(name)} means nothing here{hint}", err=True)
    for error in found.faults.values():
        remedy = error.remedy if "config show" not in error.remedy else ""
        raise ConfigError(str(error), remedy or f"'lorgnette config set KEY VALUE', or edit {found.path}")


def _print(found: Survey, everything: bool) -> None:
    width = max(map(len, KEYS))
    for name, key in KEYS.items():
        shown, origin = printable(_text(_shown(key, found))), printable(_source(found.origins[name]))
        click.echo(f"{name.ljust(width)}  {shown:<24}  {origin}".rstrip())
        if everything:
            choices = f": {', '.join(key.choices)}" if key.choices else ""
            click.echo(f"{'':{width}}  # {key.help}{choices}  [{key.variable}]")
        if name in found.faults:
            click.echo(f"{'':{width}}  ! {printable(found.faults[name])}")
    for name, error in found.faults.items():
        if name not in KEYS:
            click.echo(f"{printable(name).ljust(width)}  ! {printable(error)}")


@config.command(name="set")
@click.argument("key")
@click.argument("value")
@diagnostics_options
def set_(key: str, value: str) -> None:
    """Write one setting into the file; its comments and everything else in it stay.

    KEY is dotted, such as tts.engine. A list is written as a shell would: 'notify-send hello'.
    """
    known = known_key(key)
    checked = from_word(known, value, "")
    file = config_path()
    save({key: checked}, file)
    click.echo(f"{key} = {printable(_text(checked))}")
    now = survey()
    if now.origins[key].kind == "environment":
        click.echo(f"lorgnette: the variable {now.origins[key].where} is set and still wins over the file", err=True)
    for error in list(now.faults.values())[:1]:
        click.echo(f"lorgnette: there is still an error elsewhere: {printable(error)}", err=True)


def _shown(key: Key, found: Survey) -> object:
    """The value that counts; where that is wrong, what was given."""
    value = found.wrong.get(key.name, found.values.get(key.name, key.default))
    if key.secret:
        return "(set, not shown)" if value else ""
    return value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return f'"{value}"' if value == "" else str(value)


def _source(origin: Origin) -> str:
    return f"{origin.kind} {origin.where}".strip()


def _as_json(found: Survey) -> dict[str, object]:
    return {
        name: {"value": _shown(key, found), "origin": found.origins[name].kind, "where": found.origins[name].where}
        for name, key in KEYS.items()
    }
