"""`lorgnette config path|show|set`: what is configured, where each value comes from, and how to change it."""

from __future__ import annotations

import json

import click

from ..config import Loaded, Origin, config_path, from_word, known_key, load, save, unknown_variables
from ..options import Group, diagnostics_options, json_option
from ..settings import KEYS, Key, Value, get
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
    """Print every setting and where it comes from. Secrets are never shown."""
    loaded = load()
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "path": str(loaded.path), "settings": _as_json(loaded)}, indent=2))
        return
    width = max(map(len, KEYS))
    for name, key in KEYS.items():
        value, origin = _shown(key, loaded), loaded.origins[name]
        click.echo(f"{name.ljust(width)}  {printable(_text(value)):<24}  {printable(_source(origin))}".rstrip())
        if everything:
            choices = f": {', '.join(key.choices)}" if key.choices else ""
            click.echo(f"{'':{width}}  # {key.help}{choices}  [{key.variable}]")
    for name, near in unknown_variables().items():
        hint = f"; did you mean {near}?" if near else ""
        click.echo(f"lorgnette: the variable {printable(name)} means nothing here{hint}", err=True)


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
    origin = load().origins[key]
    if origin.kind == "environment":
        click.echo(f"lorgnette: the variable {origin.where} is set and still wins over the file", err=True)


def _shown(key: Key, loaded: Loaded) -> Value:
    value = get(loaded.settings, key.name)
    if key.secret:
        return "(set, not shown)" if value else ""
    return value


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False)
    return f'"{value}"' if value == "" else str(value)


def _source(origin: Origin) -> str:
    return f"{origin.kind} {origin.where}".strip()


def _as_json(loaded: Loaded) -> dict[str, object]:
    return {
        name: {"value": _shown(key, loaded), "origin": loaded.origins[name].kind, "where": loaded.origins[name].where}
        for name, key in KEYS.items()
    }
