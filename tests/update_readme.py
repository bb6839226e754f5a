"""Rewrite the generated parts of README.md and docs/help.md from the program; `--check` only compares.

    python tests/update_readme.py [--check]

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is a key of `PARTS`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from lorgnette.cli.assistant.engines.catalog import MODELS
from lorgnette.cli.assistant.understanding import Understanding
from lorgnette.cli.exit_codes import MEANINGS
from lorgnette.cli.main import COMMANDS, SECTIONS, cli
from lorgnette.cli.settings import KEYS
from lorgnette.firmware_bridge.faults import FAULTS
from lorgnette.firmware_bridge.simulator.camera import CAMERA_FAULTS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "docs/help.md")
HELP_WIDTH = 96
_PART = re.compile(r"(<!-- generated: ([\w:-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands_table() -> str:
    rows = ["| | command | what it does |", "|---|---|---|"]
    for section in SECTIONS:
        names = [name for name, entry in COMMANDS.items() if entry.section == section]
        for number, name in enumerate(names):
            rows.append(f"| {section if not number else ''} | `{name}` | {COMMANDS[name].summary} |")
    return "\n".join(rows)


def settings_table() -> str:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for key in KEYS.values():
        if key.name.startswith(("hooks.", "remembered.")):
            continue
        default = f"`{key.default}`" if key.default not in ("", ()) else ""
        choices = f" ({', '.join(f'`{choice}`' for choice in key.choices)})" if len(key.choices) > 1 else ""
        rows.append(f"| `{key.name}` | {default} | {key.help}{choices} |")
    return "\n".join(rows)


def hooks_table() -> str:
    rows = ["| hook | when |", "|---|---|"]
    for key in KEYS.values():
        if key.name.startswith("hooks."):
            rows.append(f"| `{key.name.removeprefix('hooks.')}` | {key.help} |")
    return "\n".join(rows)


def faults_table() -> str:
    rows = ["| fault | value | meaning |", "|---|---|---|"]
    rows += [f"| `{word}` | {option.kind.what} | {option.meaning} |" for word, option in FAULTS.items()]
    rows += [f"| `camera` | fault:{word} | {meaning} |" for word, meaning in CAMERA_FAULTS.items()]
    return "\n".join(rows)


def exit_code_table() -> str:
    rows = ["| code | meaning |", "|--:|---|"]
    rows += [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(rows)


def sentence_counts() -> str:
    understanding = Understanding("en")
    templates = sum(1 for _ in understanding.sentences())
    facts = json.loads((ROOT / "cli/assistant/engines/embedded/lorgnette-en.json").read_text(encoding="utf-8"))
    return (
        f"The templates make {templates:,} sentences, counting a number once. The built-in ear was trained on "
        f"{facts['sentences']:,} of them, with the numbers that people say."
    )


def models_table() -> str:
    rows = ["| model | for | download | licence |", "|---|---|--:|---|"]
    use = {"whisper": "hearing", "piper": "speaking"}
    for model in MODELS.values():
        rows.append(f"| `{model.name}` | {use[model.kind]} | {model.size_bytes / 1e6:.0f} MB | {model.licence} |")
    return "\n".join(rows)


def every_command() -> Iterator[tuple[str, click.Command]]:
    """(command line up to the command's name, command), groups before what is in them."""
    yield "lorgnette", cli
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield from _with_subcommands(f"lorgnette {name}", command)


def _with_subcommands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from _with_subcommands(f"{path} {name}", inner)


def help_text(path: str, command: click.Command) -> str:
    """What `PATH --help` prints on a terminal of HELP_WIDTH columns."""
    context = click.Context(command, info_name=path, **{**command.context_settings, "terminal_width": HELP_WIDTH})
    return f"```\n{command.get_help(context).rstrip()}\n```"


def one_help(name: str) -> str:
    return help_text(name, dict(every_command())[name])


def all_helps() -> str:
    return "\n\n".join(f"## `{path}`\n\n{help_text(path, command)}" for path, command in every_command())


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands_table,
    "exit-codes": exit_code_table,
    "faults": faults_table,
    "help": all_helps,
    "help:demo": lambda: one_help("lorgnette demo"),
    "help:run": lambda: one_help("lorgnette run"),
    "hooks": hooks_table,
    "models": models_table,
    "sentences": sentence_counts,
    "settings": settings_table,
}


def rewrite(text: str) -> str:
    """`text` with every generated part as the program would have it now. Raises KeyError for an unknown name."""
    return _PART.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}\n{found[3]}", text)


def main() -> int:
    stale = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        new = rewrite(text)
        if new != text:
            stale.append(path.relative_to(ROOT).as_posix())
            if "--check" not in sys.argv[1:]:
                path.write_text(new, encoding="utf-8")
    if stale and "--check" in sys.argv[1:]:
        print(f"{', '.join(stale)}: not as the program says; run python tests/update_readme.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
