"""What the documents say is what the program does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lorgnette.cli.assistant.understanding import Understanding
from lorgnette.cli.exit_codes import MEANINGS, ExitCode
from lorgnette.cli.main import COMMANDS, cli

from .update_readme import DOCUMENTS, PARTS, ROOT, every_command, rewrite

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_the_generated_parts_are_fresh(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert rewrite(text) == text, "run python tests/update_readme.py"


def test_every_generated_part_stands_in_a_document() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert set(re.findall(r"<!-- generated: ([\w:-]+) -->", text)) == set(PARTS)
    assert text.count("<!-- generated:") == text.count("<!-- end -->")


def test_a_stale_part_is_noticed() -> None:
    text = README.read_text(encoding="utf-8")
    stale = text.replace(MEANINGS[ExitCode.VERSION_MISMATCH], "something else")
    assert stale != text
    assert rewrite(stale) == text


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)


def test_every_command_has_a_help_that_says_what_it_does() -> None:
    paths = dict(every_command())
    assert {f"lorgnette {name}" for name in COMMANDS} <= set(paths)
    for path, command in paths.items():
        assert command.get_short_help_str(), path


def lines_shown() -> Iterator[tuple[str, str]]:
    """(document, command line) of each line of a shell block that begins with `lorgnette`."""
    for path in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                line = line.removeprefix(".venv/bin/")
                if line.startswith("lorgnette "):
                    yield name_of(path), line


@pytest.mark.parametrize(("document", "line"), list(lines_shown()))
def test_the_program_knows_every_command_line_that_is_shown(document: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"{document}: there is no command {name}"
        command = found
    options = {opt for parameter in command.params for opt in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("-") and word != "-":
            assert word.split("=")[0] in options, f"{document}: {line}"


def test_the_sentences_that_are_quoted_are_understood() -> None:
    quoted = re.findall(r'\*"([^"]+)"\*', " ".join(README.read_text(encoding="utf-8").split()))
    assert len(quoted) >= 3
    understanding = Understanding("en")
    assert not [sentence for sentence in quoted if understanding.match(sentence) is None]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_into_the_tree_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    inside = [target.split("#")[0] for target in targets if not target.startswith(("http://", "https://", "#"))]
    assert not [target for target in inside if not (path.parent / target).exists()]


def command_after(marker: str) -> str:
    found = re.search(rf"<!-- command: {marker} -->\n```sh\n(.*?)```\n", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_both_commands_take_torch_alone_from_its_own_index() -> None:
    """Every further name asked of an index that cannot be reached costs pip 7.5 s of retries."""
    for marker in ("demo", "test"):
        with_index = [line for line in command_after(marker).splitlines() if "index-url" in line]
        assert len(with_index) == 1
        assert "--no-deps" in with_index[0]
        assert re.search(r"https://download\.pytorch\.org/whl/cpu torch\b", with_index[0])


def test_the_gate_runs_the_command_of_the_readme() -> None:
    gate = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "<!-- command: test -->" in gate
    assert "LORGNETTE_REQUIRE_ALL=1" in gate
    assert command_after("test").splitlines()[-1] == "tests/check.sh"
    packages = re.search(r"apt-get install -y ([\w -]+)'", command_after("test"))
    assert packages is not None
    assert all(re.search(rf"\b{re.escape(name)}\b", gate) for name in packages[1].split())
