"""The frame's portable C, compiled in several ways from the same sources.

`cffi` is the frame in this process, what `sim://` uses. The others (BUILDS) are programs of their own:

    asan     address and undefined-behaviour sanitizers
    asan32   the same where pointers and size_t have 32 bits and `char` has no sign, as on the board
    xtensa   for the ESP8266's LX106, the closest relative of the ESP32-S3's core that Debian has a compiler for
    rv32     for RISC-V, the core of the newer ESP32s; this and xtensa are run by qemu-user

Each runs the tests of a frame and the C unit tests.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
NO_LIBRARY = Path(__file__).parent / "include"
"""A string.h with the four functions that the components may call: a compiler alone is enough to build them."""

WARNINGS = [
    *("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Wstrict-prototypes"),
    *("-Wvla", "-Werror"),
]
POSIX = ["-D_POSIX_C_SOURCE=200809L"]
SANITIZERS = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SANITIZER_ENV = {"ASAN_OPTIONS": "exitcode=99:detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
FREESTANDING = ["-ffreestanding", "-fno-tree-loop-distribute-patterns", f"-isystem{NO_LIBRARY}"]
XTENSA = [*FREESTANDING, "-mlongcalls"]
RV32 = [*FREESTANDING, "-march=rv32imac", "-mabi=ilp32", "-mno-relax"]
QEMU = ["-O2", "-nostdlib", "-static", "-DFRAME_QEMU"]
# Espressif's compiler has uint32_t = unsigned long, unlike every compiler here.
ESPRESSIF_TYPES = [
    *("-U__UINT32_TYPE__", "-D__UINT32_TYPE__=long unsigned int"),
    *("-U__INT32_TYPE__", "-D__INT32_TYPE__=long int"),
]

TEST_CHANNEL = "-DGLINK_TEST_CHANNEL=1"
"""The frames of the tests echo; a release has no such channel."""

FrameFactory = Callable[[Peripherals], SteppedFrame]


@dataclass(frozen=True)
class Build:
    """A way to make a program of the frame's C and to run it."""

    compiler: str
    package: str  # Debian's, of the compiler
    flags: Sequence[str]
    emulator: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def compile(self, sources: Sequence[Path], program: Path, *extra: str) -> list[str]:
        """Make `program`; returns the command that runs it. Skips the test where a tool is missing."""
        emulator = [need_program(self.emulator[0], "qemu-user"), *self.emulator[1:]] if self.emulator else []
        if emulator:
            compiler = need_program(self.compiler, self.package)
        else:
            compiler = need_flags(program.parent, self.flags, self.package)
        compile_c(compiler, [*self.flags, *extra], sources, "-o", str(program))
        return [*emulator, str(program)]


BUILDS = {
    "asan": Build("cc", "gcc", [*SANITIZERS, *POSIX], env=SANITIZER_ENV),
    "asan32": Build("cc", "gcc-multilib", [*SANITIZERS, *POSIX, "-m32", "-funsigned-char"], env=SANITIZER_ENV),
    "xtensa": Build("xtensa-lx106-elf-gcc", "gcc-xtensa-lx106", [*QEMU, *XTENSA], ["qemu-xtensa", "-cpu", "lx106"]),
    "rv32": Build("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf", [*QEMU, *RV32], ["qemu-riscv32"]),
}


def need_program(name: str, package: str) -> str:
    """The path of a program; without it the test skips and names the Debian package."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name} (apt install {package})")
    return path


def need_clang() -> str:
    """The path of clang, under its own name or with a version behind it."""
    for name in ("clang", *(f"clang-{version}" for version in range(25, 13, -1))):
        if (path := shutil.which(name)) is not None:
            return path
    pytest.skip("needs clang (apt install clang)")


def need_flags(folder: Path, flags: Sequence[str], package: str, compiler: str | None = None) -> str:
    """The native compiler, or another one, if it can make a program with these flags."""
    compiler = compiler or need_program("cc", "gcc")
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
    """Build one of the frames into `folder`; skips the test where a tool is missing."""
    if kind == "cffi":
        if simulated_core.CORE_MISSING:
            pytest.skip("the C core is not built (python setup.py build_ext --inplace)")
        return SimulatedFrame
    build = BUILDS[kind]
    argv = build.compile(PIPE_PROGRAM, folder / "frame", TEST_CHANNEL)
    return lambda peripherals: PipeFrame(argv, peripherals, build.env)


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
    adpcm = load_vectors("adpcm.json")
    for v in adpcm["vectors"]:
        octets = ", ".join(_octets(v[key]) for key in ("pcm", "block", "decoded"))
        states = ", ".join(str(v[key]) for key in ("predictor", "index", "predictor_after", "index_after"))
        lines.append(f"ADPCM_VECTOR({octets}, {states})")
    for v in adpcm["refused"]:
        lines.append(f"ADPCM_REFUSED({_octets(v['block'])})")
    (folder / "vectors.inc").write_text("\n".join(lines) + "\n", encoding="ascii")
