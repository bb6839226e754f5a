"""What of the driver layer is logic: the note of a crash, why the chip was reset, the volume that outlives a reset.

Compiled for this computer against the stand-ins of `idf_stubs` and run; nothing here is about a board.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.support.frame_builds import COMPONENTS, FIRMWARE, SANITIZER_ENV, SANITIZERS, need_flags

from lorgnette.firmware_bridge.faulty_frame import RESETS
from lorgnette.firmware_bridge.messages import Capability, ResetReason
from lorgnette.hardware.boards import Board, boards

HERE = Path(__file__).parent
SOURCES = [
    HERE / "driver_logic/main.c",
    *(FIRMWARE / f"main/{name}.c" for name in ("identity", "panic_note", "settings")),
]
FLAGS = [*SANITIZERS, "-std=gnu17", "-Wall", "-Wextra", "-Werror"]


def run(board: Board, folder: Path, *words: str) -> dict[str, str]:
    """The facts that the program prints, by their names."""
    compiler = need_flags(folder, FLAGS, "gcc")
    includes = [HERE / "idf_stubs", FIRMWARE / "main", FIRMWARE / "boards" / board.id]
    includes += [component / "include" for component in COMPONENTS]
    program = folder / "driver_logic"
    argv = [compiler, *FLAGS, *(f"-I{path}" for path in includes), *map(str, SOURCES), "-o", str(program)]
    made = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stderr
    env = {**os.environ, **SANITIZER_ENV}
    done = subprocess.run([str(program), *words], capture_output=True, text=True, timeout=60, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.fixture(scope="module", params=boards(), ids=lambda board: board.id)
def board(request: pytest.FixtureRequest) -> Board:
    found: Board = request.param
    return found


@pytest.fixture(scope="module")
def facts(board: Board, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run(board, tmp_path_factory.mktemp("logic"))


def test_a_crash_leaves_one_line_and_once(facts: dict[str, str]) -> None:
    note = "crashed: LoadProhibited at 0x4037a6f1, core 1, 7654 s after boot"
    assert facts["none"] == facts["again"] == "0|"
    assert facts["panic"] == f"{len(note)}|{note}"
    assert facts["panics"] == "5", "ESP-IDF's own handler runs behind ours each time"
    assert "crashed: assert failed: run_app main.c:166 at" in facts["abort"], "what an assertion says, not its trap"


def test_the_note_is_cut_and_never_empty(facts: dict[str, str]) -> None:
    assert facts["long"].endswith(
        "|crashed: a description because there is no reaso at 0x00000000, core 0, 7654 s after boot"
    )
    assert facts["silent"].endswith("|crashed: unknown at 0x00000000, core 0, 7654 s after boot")
    assert facts["short"] == "9|crashed: "


def test_the_simulated_frame_notes_a_crash_in_the_same_words(facts: dict[str, str]) -> None:
    _, _, note = RESETS["panic"]
    assert note.format(7654).replace("core 0", "core 1") == facts["panic"].partition("|")[2]


def test_why_the_chip_was_reset(facts: dict[str, str]) -> None:
    words = "UNKNOWN POWER_ON UNKNOWN SOFTWARE PANIC WATCHDOG WATCHDOG WATCHDOG UNKNOWN BROWN_OUT UNKNOWN USB"
    assert [facts[f"reset{i}"] for i in range(12)] == [str(int(ResetReason[word])) for word in words.split()]


def test_what_the_frame_says_of_itself(facts: dict[str, str], board: Board) -> None:
    assert facts["name"] == board.short_name
    assert facts["device"] == "1020304050600000"
    assert facts["build"] == "deadbeef"
    parts = Capability(int(facts["parts"]))
    fitted = {Capability.MICROPHONE: "microphone", Capability.SPEAKER: "speaker", Capability.CAMERA: "camera"}
    assert {part for part in fitted if part in parts} == {
        part for part, name in fitted.items() if name in board.sections
    }


def test_the_volume_is_stored_when_it_changes_and_only_then(facts: dict[str, str]) -> None:
    assert facts["fresh"] == "70"
    assert facts["kept"] == "70 writes 1 commits 1"
    assert facts["zero"] == "0 writes 2"
    assert facts["odd"] == "70"
    assert facts["broken"] == "opens 1", "a store that does not work is not asked again and again"
    assert facts["forgotten"] == "70"
    assert facts["handles"] == "0 inits 1 erases 0"


def test_a_damaged_store_is_emptied(tmp_path: Path) -> None:
    assert run(boards()[0], tmp_path, "damaged")["handles"] == "0 inits 2 erases 1"
