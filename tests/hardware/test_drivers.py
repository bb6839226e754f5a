"""The driver layer compiles for every board, warnings being errors, against stand-ins for ESP-IDF's headers.

That shows that each call has the arguments that we read in the headers, and nothing about a board.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.support.analysers import clang_tidy, cppcheck
from tests.support.frame_builds import COMPONENTS, ESPRESSIF_TYPES, FIRMWARE, need_program

from lorgnette.hardware.boards import Board, boards

MAIN = FIRMWARE / "main"
STUBS = Path(__file__).parent / "idf_stubs"
SOURCES = sorted(MAIN.glob("*.c"))


def includes(board: Board) -> list[Path]:
    return [STUBS, *(component / "include" for component in COMPONENTS), FIRMWARE / "boards" / board.id]


def flags(board: Board) -> list[str]:
    own = ["-std=gnu17", "-ffreestanding", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
    return [*own, *(f"-I{path}" for path in includes(board))]


def compile_quietly(compiler: str, flags: list[str], source: Path, out: Path) -> None:
    argv = [compiler, *flags, "-c", str(source), "-o", str(out)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.cross
@pytest.mark.parametrize("board", boards(), ids=lambda board: board.id)
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_for_the_frames_instruction_set(source: Path, board: Board, tmp_path: Path) -> None:
    """With Espressif's idea of uint32_t, which is `unsigned long`."""
    compiler = need_program("xtensa-lx106-elf-gcc", "gcc-xtensa-lx106")
    compile_quietly(compiler, [*flags(board), *ESPRESSIF_TYPES, "-mlongcalls", "-Os"], source, tmp_path / "out.o")


@pytest.mark.cross
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_gccs_analyser(source: Path, tmp_path: Path) -> None:
    compiler = need_program("cc", "gcc")
    compile_quietly(compiler, [*flags(boards()[0]), "-O2", "-fanalyzer"], source, tmp_path / "out.o")


@pytest.mark.cross
@pytest.mark.parametrize("board", boards(), ids=lambda board: board.id)
def test_cppcheck(board: Board) -> None:
    cppcheck([MAIN], includes(board))


@pytest.mark.cross
@pytest.mark.parametrize("board", boards(), ids=lambda board: board.id)
def test_clang_tidy(board: Board) -> None:
    """But for the names that the linker's --wrap makes, which are reserved."""
    reserved = ["bugprone-reserved-identifier", "cert-dcl37-c", "cert-dcl51-cpp"]
    clang_tidy(SOURCES, includes(board), ["-std=gnu17"], without=reserved)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_on_a_bare_board(source: Path, tmp_path: Path) -> None:
    """A board without any part but its port needs no C change: the header alone decides."""
    (tmp_path / "board.h").write_text(
        '#define BOARD_NAME "bare"\n#define BOARD_LED_KIND GLINK_LED_KIND_NONE\n#define BOARD_LINK_IS_UART 0\n'
        "#define BOARD_LINK_RX_RING_BYTES 16384\n#define BOARD_LINK_TX_RING_BYTES 4096\n"
        + "".join(f"#define BOARD_HAS_{part} 0\n" for part in ("MICROPHONE", "SPEAKER", "CAMERA", "BUTTON", "LED")),
        encoding="ascii",
    )
    compiler = need_program("cc", "gcc")
    bare = [flag for flag in flags(boards()[0]) if "/boards/" not in flag]
    compile_quietly(compiler, [*bare, f"-I{tmp_path}"], source, tmp_path / "out.o")


def test_the_table_of_tasks_is_what_the_code_says() -> None:
    """The comment in tasks.h is documentation that people read; the numbers below it are what runs."""
    text = (MAIN / "tasks.h").read_text(encoding="utf-8")
    number = dict(re.findall(r"#define TASK_(\w+) (\d+)", text))
    rows = {row[0]: row[1:] for row in re.findall(r"\* \| (\w+) +\| +(\d+) \| +(\d+) \| +(\d+) \|", text)}
    names = {"app": "APP", "mic": "MICROPHONE", "speaker": "SPEAKER", "rx": "RECEIVE", "camera": "CAMERA"}
    assert rows.keys() == names.keys()
    for task, name in names.items():
        core = number.get(f"{name}_CORE", number["DRIVER_CORE"])
        stack = number.get(f"{name}_STACK_BYTES", number["DRIVER_STACK_BYTES"])
        assert rows[task] == (number[f"{name}_PRIORITY"], core, stack)
    made = "".join(source.read_text(encoding="utf-8") for source in SOURCES)
    assert set(re.findall(r'xTaskCreatePinnedToCore\(\w+, "(\w+)"', made)) == names.keys()


def test_every_receive_ring_holds_what_the_host_may_send() -> None:
    for board in boards():
        assert board.sections["link"]["rx_ring_bytes"] >= 16_384
