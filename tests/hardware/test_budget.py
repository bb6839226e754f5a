"""What the portable components may need: symbols, program memory, RAM, stack; and that strict compilers take them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.analysers import clang_tidy, cppcheck
from tests.support.frame_builds import (
    COMPONENTS,
    ESPRESSIF_TYPES,
    FIRMWARE,
    INCLUDES,
    NO_LIBRARY,
    PIPE_PROGRAM,
    PORTABLE,
    POSIX,
    ROOT,
    XTENSA,
    compile_c,
    need_clang,
    need_flags,
    need_program,
)

MAX_TEXT_BYTES = 24 * 1024
MAX_STATIC_BYTES = 48 * 1024
MAX_STACK_BYTES = 1024
"""Of one function; the deepest chain has about ten."""
ALLOWED_SYMBOLS = {"memcpy", "memset", "memmove", "memcmp"}


def need_xtensa() -> str:
    return need_program("xtensa-lx106-elf-gcc", "gcc-xtensa-lx106")


def objects(folder: Path, compiler: str, *flags: str) -> list[Path]:
    """Compile each source on its own."""
    made = []
    for source in PORTABLE:
        made.append(folder / f"{source.stem}.o")
        compile_c(compiler, flags, [source], "-c", "-o", str(made[-1]))
    return made


@pytest.fixture(scope="module")
def xtensa_objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return objects(tmp_path_factory.mktemp("objects"), need_xtensa(), "-Os", *XTENSA, "-fstack-usage", *ESPRESSIF_TYPES)


def output(*argv: str | Path) -> str:
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.cross
def test_nothing_is_called_but_four_functions(xtensa_objects: list[Path]) -> None:
    """No allocation, no soft float, no division, no atomic: each would show as a symbol."""
    listing = output("xtensa-lx106-elf-nm", *xtensa_objects)
    defined = set(re.findall(r"^[0-9a-f]+ [TRDB] (\w+)$", listing, re.MULTILINE))
    undefined = set(re.findall(r"^ +U (\w+)$", listing, re.MULTILINE))
    assert defined > {"frame_app_init", "glink_receive", "glink_transmit"}
    assert undefined - defined <= ALLOWED_SYMBOLS


@pytest.mark.cross
def test_every_name_is_the_components_own(xtensa_objects: list[Path]) -> None:
    listing = output("xtensa-lx106-elf-nm", "--defined-only", "--extern-only", *xtensa_objects)
    names = re.findall(r"^[0-9a-f]+ \w (\w+)$", listing, re.MULTILINE)
    assert [name for name in names if not name.startswith(("glink_", "frame_"))] == []


@pytest.mark.cross
def test_program_memory(xtensa_objects: list[Path]) -> None:
    total = output("xtensa-lx106-elf-size", "--totals", *xtensa_objects).splitlines()[-1].split()
    text, data, bss = map(int, total[:3])
    assert 0 < text <= MAX_TEXT_BYTES
    assert (data, bss) == (0, 0)  # all state is in the caller's frame_app_t


@pytest.mark.cross
def test_static_memory(tmp_path: Path) -> None:
    probe = tmp_path / "probe.c"
    probe.write_text('#include "frame_app.h"\nextern frame_app_t app;\nframe_app_t app;\n', encoding="ascii")
    compile_c(need_xtensa(), ["-Os", *XTENSA], [probe], "-c", "-o", str(tmp_path / "probe.o"))
    bss = int(output("xtensa-lx106-elf-size", tmp_path / "probe.o").splitlines()[1].split()[2])
    assert 0 < bss <= MAX_STATIC_BYTES


@pytest.mark.cross
def test_stack(xtensa_objects: list[Path]) -> None:
    usage = {}
    for made in xtensa_objects:
        for line in made.with_suffix(".su").read_text(encoding="utf-8").splitlines():
            place, size, kind = line.split("\t")
            assert kind == "static", place  # no alloca, no array of variable length
            usage[place.rsplit(":", 1)[1]] = int(size)
    assert len(usage) > 100
    assert max(usage.values()) <= MAX_STACK_BYTES, sorted(usage.items(), key=lambda item: item[1])[-3:]


@pytest.mark.cross
@pytest.mark.parametrize("flags", [["-O2", "-fanalyzer"], ["-O2", "-m32"], ["-O2", "-funsigned-char"]], ids=" ".join)
def test_strict_compilers(flags: list[str], tmp_path: Path) -> None:
    compiler = need_flags(tmp_path, flags, "gcc gcc-multilib")
    objects(tmp_path, compiler, *flags)


# What the wheel compiles on every system, Windows with its own compiler included.
WHEEL = [*PORTABLE, FIRMWARE / "host/frame_sim.c"]


@pytest.mark.cross
def test_no_extension_that_only_some_compilers_have(tmp_path: Path) -> None:
    """Clang reads as for Windows, where `long` is half as long, and takes no GNU extension."""
    target = ["--target=x86_64-pc-windows-msvc", "-ffreestanding", f"-isystem{NO_LIBRARY}", "-fsyntax-only", "-Wgnu"]
    compiler = need_clang()
    compile_c(compiler, target, WHEEL)
    extended = tmp_path / "extended.c"
    extended.write_text("int f(int x);\nint f(int x) { return x ?: 1; }\n", encoding="ascii")
    with pytest.raises(AssertionError, match="GNU"):
        compile_c(compiler, target, [extended])


def test_no_word_that_only_some_compilers_know() -> None:
    """Clang knows them for Windows too."""
    for path in [*WHEEL, *(header for folder in INCLUDES for header in folder.glob("*.h"))]:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"\b(?:__attribute|__asm|__builtin|__extension|__typeof|__inline|typeof)\w*", text) == [], (
            path
        )


@pytest.mark.cross
def test_cppcheck() -> None:
    cppcheck(COMPONENTS, INCLUDES)


@pytest.mark.cross
def test_clang_tidy() -> None:
    sources = [*PORTABLE, *(path for path in PIPE_PROGRAM if path not in PORTABLE)]
    clang_tidy(sources, INCLUDES, ["-std=c11", *POSIX])


@pytest.mark.cross
@pytest.mark.parametrize("read", [cppcheck, lambda sources, includes: clang_tidy(sources, includes, [])])
def test_an_analyser_sees_a_mistake(read: Callable[[list[Path], list[Path]], None], tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text("int f(void);\nint f(void) { const int *p = 0; return *p; }\n", encoding="ascii")
    with pytest.raises(AssertionError, match=r"bad\.c"):
        read([tmp_path / "bad.c"], INCLUDES)


def test_the_components_include_only_what_every_compiler_has() -> None:
    """No C library beyond string.h, no operating system, no ESP-IDF."""
    own = {path.name for component in COMPONENTS for path in component.rglob("*.h")}
    for path in (p for component in COMPONENTS for p in component.rglob("*.[ch]")):
        text = path.read_text(encoding="utf-8")
        included = re.findall(r'^#include [<"](.+)[>"]', text, re.MULTILINE)
        assert set(included) <= own | {"stdbool.h", "stddef.h", "stdint.h", "string.h"}, path
        assert "SPDX-License-Identifier: Apache-2.0" in text, path


def test_every_header_states_its_thread_contract() -> None:
    headers = [h for component in COMPONENTS for h in component.rglob("*.h")]
    stated = {"glink_schema.h", "glink_err.h"}  # generated structs; an enum
    for header in headers:
        text = header.read_text(encoding="utf-8")
        assert header.name in stated or "Threads: " in text or "Same task" in text, header


def test_the_licence_is_the_whole_one() -> None:
    text = (ROOT / "hardware/LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
