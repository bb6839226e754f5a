"""The frame's portable C, compiled in several ways from the same sources.

As a frame:
    cffi     in this process: what `sim://` uses
    asan     a program with address and undefined-behaviour sanitizers
    xtensa   a program for the ESP8266's LX106, the closest relative of the ESP32-S3's core that Debian has a compiler
             for, run by qemu-user
The C unit tests run as the last two, and natively with other sizes of pointers and another sign of `char`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lorgnette.firmware_bridge.simulator import Peripherals, PipeFrame, SimulatedFrame, SteppedFrame
from lorgnette.firmware_bridge.simulator import core as simulated_core

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests/vectors"
FIRMWARE = ROOT / "hardware/firmware"
COMPONENTS = [FIRMWARE / "components/glink", FIRMWARE / "components/frame_app"]
INCLUDES = [*(component / "include" for component in COMPONENTS), FIRMWARE / "host"]
PORTABLE = sorted(source for component in COMPONENTS for source in component.glob("*.c"))
HOST = FIRMWARE / "host"
PIPE_PROGRAM = [*PORTABLE, HOST / "frame_sim.c", HOST / "pipe_server.c", HOST / "program.c"]
UNIT_PROGRAM = [*PORTABLE, *sorted((HOST / "unit").glob("*.c")), HOST / "program.c"]

WARNINGS = [
    *("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Wstrict-prototypes"),
    *("-Wvla", "-Werror"),
]
POSIX = ["-D_POSIX_C_SOURCE=200809L"]
SANITIZERS = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SANITIZER_ENV = {"ASAN_OPTIONS": "exitcode=99:detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
XTENSA = ["-ffreestanding", "-fno-tree-loop-distribute-patterns", "-mlongcalls"]
XTENSA_PROGRAM = ["-O2", *XTENSA, "-nostdlib", "-static", "-DFRAME_QEMU_XTENSA"]
# Espressif's compiler has uint32_t = unsigned long, unlike every compiler here.
ESPRESSIF_TYPES = [
    *("-U__UINT32_TYPE__", "-D__UINT32_TYPE__=long unsigned int"),
    *("-U__INT32_TYPE__", "-D__INT32_TYPE__=long int"),
]

FrameFactory = Callable[[Peripherals], SteppedFrame]


def need_program(name: str, package: str) -> str:
    """The path of a program; without it the test skips and names the Debian package."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name} (apt install {package})")
    return path


def need_xtensa() -> tuple[str, list[str]]:
    """The cross compiler, and the command that runs what it makes."""
    emulator = need_program("qemu-xtensa", "qemu-user")
    return need_program("xtensa-lx106-elf-gcc", "gcc-xtensa-lx106"), [emulator, "-cpu", "lx106"]


def need_flags(folder: Path, flags: Sequence[str], package: str) -> str:
    """The native compiler, if it can make a program with these flags."""
    compiler = need_program("cc", "gcc")
    probe = folder / "probe.c"
    probe.write_text("#include <stdlib.h>\nint main(void) { return 0; }\n", encoding="ascii")
    argv = [compiler, *flags, str(probe), "-o", str(folder / "probe")]
    if subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode != 0:
        pytest.skip(f"needs a compiler that takes {' '.join(flags)} (apt install {package})")
    return compiler


def compile_c(compiler: str, flags: Sequence[str], sources: Sequence[Path], *rest: str) -> str:
    """Compile with the project's warnings, all of them errors. `rest` is -o, and -c for an object.

    Returns:
        What the compiler printed.

    Raises:
        AssertionError: it refused; carries what it said.
    """
    argv = [compiler, *WARNINGS, *flags, *(f"-I{path}" for path in INCLUDES), *map(str, sources), *rest]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def frame_factory(kind: str, folder: Path) -> FrameFactory:
    """Build one of the three frames into `folder`; skips the test where a tool is missing."""
    if kind == "cffi":
        if simulated_core.CORE_MISSING:
            pytest.skip("the C core is not built (python setup.py build_ext --inplace)")
        return SimulatedFrame
    program = folder / "frame"
    if kind == "asan":
        compiler = need_flags(folder, SANITIZERS, "gcc")
        compile_c(compiler, [*SANITIZERS, *POSIX], PIPE_PROGRAM, "-o", str(program))
        return lambda peripherals: PipeFrame([str(program)], peripherals, SANITIZER_ENV)
    compiler, emulator = need_xtensa()
    compile_c(compiler, XTENSA_PROGRAM, PIPE_PROGRAM, "-o", str(program))
    return lambda peripherals: PipeFrame([*emulator, str(program)], peripherals)


def load_vectors(name: str) -> dict[str, Any]:
    """One of the append-only tables of tests/vectors."""
    table: dict[str, Any] = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return table


def _octets(hexadecimal: str) -> str:
    """A C string literal and its length."""
    raw = bytes.fromhex(hexadecimal)
    return '"' + "".join(f"\\x{octet:02x}" for octet in raw) + f'", {len(raw)}u'


def write_vectors(folder: Path) -> None:
    """Write `vectors.inc` for host/unit/test_codec.c."""
    lines = []
    for v in load_vectors("cobs.json")["vectors"]:
        lines.append(f"COBS_VECTOR({_octets(v['raw'])}, {_octets(v['encoded'])})")
    for v in load_vectors("crc32.json")["vectors"]:
        lines.append(f"CRC_VECTOR({_octets(v['data'])}, 0x{v['crc32']}u)")
    for v in load_vectors("messages.json")["framing"]:
        frame = v["frame"] or {"channel": 0, "flags": 0, "seq": 0, "session": 0, "payload": ""}
        header = ", ".join(f"{frame[key]}u" for key in ("channel", "flags", "seq", "session"))
        valid = "false" if v["frame"] is None else "true"
        lines.append(f"SEGMENT_VECTOR({_octets(v['segment'])}, {valid}, {header}, {_octets(frame['payload'])})")
    (folder / "vectors.inc").write_text("\n".join(lines) + "\n", encoding="ascii")
