"""The frame's portable C, compiled three ways from the same sources.

cffi     in this process: what `sim://` uses
asan     a program with address and undefined-behaviour sanitizers
xtensa   a program for the ESP8266's LX106, the closest relative of the ESP32-S3's core that Debian has a compiler for,
         run by qemu-user
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lorgnette.firmware_bridge.simulator import Peripherals, PipeFrame, SimulatedFrame, SteppedFrame
from lorgnette.firmware_bridge.simulator import core as simulated_core

FIRMWARE = Path(__file__).resolve().parents[2] / "hardware/firmware"
COMPONENTS = [FIRMWARE / "components/glink", FIRMWARE / "components/frame_app"]
INCLUDES = [*(component / "include" for component in COMPONENTS), FIRMWARE / "host"]
PORTABLE = sorted(source for component in COMPONENTS for source in component.glob("*.c"))
PIPE_PROGRAM = [*PORTABLE, FIRMWARE / "host/frame_sim.c", FIRMWARE / "host/pipe_server.c"]
UNIT_TESTS = [*PORTABLE, FIRMWARE / "host/unit_tests.c"]

WARNINGS = ("-std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Wstrict-prototypes -Wvla -Werror").split()
SANITIZERS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all".split()
XTENSA = "-ffreestanding -fno-tree-loop-distribute-patterns -mlongcalls".split()
SANITIZER_ENV = {"ASAN_OPTIONS": "exitcode=99:detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1"}

FrameFactory = Callable[[Peripherals], SteppedFrame]


def need_program(name: str, package: str) -> str:
    """The path of a program; without it the test skips and names the Debian package."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name} (apt install {package})")
    return path


def compile_c(compiler: str, flags: Sequence[str], sources: Sequence[Path], out: Path, *, link: bool = True) -> None:
    """Compile with the project's warnings, all of them errors.

    Raises:
        AssertionError: the compiler refused; carries what it said.
    """
    includes = [f"-I{path}" for path in INCLUDES]
    names = [str(path) for path in sources]
    result = subprocess.run(
        [compiler, *WARNINGS, *flags, *includes, *names, *([] if link else ["-c"]), "-o", str(out)]
        + (["-lgcc"] if link and "-nostdlib" in flags else []),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr


def sanitizers_work(folder: Path) -> bool:
    """Whether the compiler brings the sanitizers' runtime."""
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n", encoding="ascii")
    done = subprocess.run(
        ["cc", *SANITIZERS, str(probe), "-o", str(folder / "probe")], capture_output=True, timeout=60, check=False
    )
    return done.returncode == 0


def frame_factory(kind: str, folder: Path) -> FrameFactory:
    """Build one of the three into `folder`; skips the test where a tool is missing."""
    if kind == "cffi":
        if simulated_core.CORE_MISSING:
            pytest.skip("the C core is not built (python setup.py build_ext --inplace)")
        return SimulatedFrame
    program = folder / "frame"
    if kind == "asan":
        need_program("cc", "gcc")
        if not sanitizers_work(folder):
            pytest.skip("needs the sanitizers' runtime (apt install gcc libasan8 libubsan1)")
        compile_c("cc", [*SANITIZERS, "-D_POSIX_C_SOURCE=200809L"], PIPE_PROGRAM, program)
        return lambda peripherals: PipeFrame([str(program)], peripherals, SANITIZER_ENV)
    compiler = need_program("xtensa-lx106-elf-gcc", "gcc-xtensa-lx106")
    emulator = need_program("qemu-xtensa", "qemu-user")
    compile_c(compiler, ["-O2", *XTENSA, "-nostdlib", "-static", "-DFRAME_QEMU_XTENSA"], PIPE_PROGRAM, program)
    return lambda peripherals: PipeFrame([emulator, "-cpu", "lx106", str(program)], peripherals)
