"""The fuzz targets of hardware/firmware/host/fuzz: how they are built, what they start from, how they are run.

`python -m tests.support.fuzzers FOLDER SECONDS` runs each for so long and keeps what it learns in FOLDER;
tests/fuzz.sh says it shorter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.codec import payload_of
from lorgnette.firmware_bridge.frame import Frame
from lorgnette.firmware_bridge.messages import Channel, Method

from .frame_builds import (
    HOST,
    PORTABLE,
    ROOT,
    SANITIZER_ENV,
    SANITIZERS,
    TEST_CHANNEL,
    compile_c,
    load_vectors,
    need_clang,
    need_flags,
)

TARGETS = ["receive", "dispatch"]
CRASHES = ROOT / "tests/vectors/fuzz"
"""Inputs that once broke something, by target: each is run for ever after."""
FLAGS = [*SANITIZERS, "-fsanitize=fuzzer", TEST_CHANNEL]
MAX_INPUT_BYTES = {"receive": 1500, "dispatch": 600}
INPUT_TIMEOUT_S = 20  # of one input, which takes milliseconds: a hang

HOST_SAYS = "Ping Pong Credit HighestSent Call SpeakerAudio BulkWrite Echo SetRate EventAck".split()

# fuzz_dispatch.c: verbs, arguments and indices.
GREET, BUTTON, ACKS, NOISE, CAMERA, TEAR, STALL = range(9, 16)
FORGE = 0x40
MS_20, MS_100, MS_500, S_1, S_3 = 4, 8, 11, 12, 15
FULL_AUDIO, ADPCM_BLOCK, FULL_CHUNK = 9, 4, 12


def build(target: str, folder: Path) -> Path:
    """Compile one target into `folder`; skips the test without clang."""
    program = folder / f"fuzz_{target}"
    sources = [*PORTABLE, *(HOST / "fuzz" / name for name in ("board.c", "hearing.c", f"fuzz_{target}.c"))]
    compiler = need_flags(folder, SANITIZERS, "clang libclang-rt-dev", need_clang())
    compile_c(compiler, FLAGS, sources, "-o", str(program))
    return program


def run(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a target with libFuzzer's arguments; raises nothing."""
    target = program.name.removeprefix("fuzz_")
    argv = [program, f"-max_len={MAX_INPUT_BYTES[target]}", f"-timeout={INPUT_TIMEOUT_S}", *arguments]
    return subprocess.run(
        [str(a) for a in argv],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, **SANITIZER_ENV},
    )


def known_crashes(program: Path) -> list[Path]:
    """The inputs that once broke this target."""
    return sorted((CRASHES / program.name.removeprefix("fuzz_")).glob("*"))


# What the targets start from.


def _record(what: int, payload: bytes = b"", *, how: int = 0, when: int = 0, where: int = 0, again: int = 0) -> bytes:
    return bytes((what | again << 4, how, when, where, len(payload))) + payload


def _call(method: Method, args: bytes = b"", *, when: int = MS_20) -> bytes:
    return _record(Channel.RPC, bytes((method,)) + args, when=when)


def _dispatch_seeds() -> dict[str, bytes]:
    usb, uart, old_host = bytes((0, 0x7F)), bytes((4, 0x7F)), bytes((8, 0x7F))
    wait = _record(BUTTON, when=S_1)
    audio = _record(Channel.SPEAKER, how=0x02, where=FULL_AUDIO << 4) + _record(
        Channel.SPEAKER, where=FULL_AUDIO << 4, again=4
    )
    end = _record(Channel.SPEAKER, how=0x04, when=MS_500)
    block = _record(Channel.SPEAKER, how=0x12, where=ADPCM_BLOCK << 4) + _record(
        Channel.SPEAKER, how=0x14, where=ADPCM_BLOCK << 4, when=MS_500
    )
    photo = _record(CAMERA) + _call(Method.TAKE_PHOTO, when=MS_500)
    read = _call(Method.READ_OBJECT, when=MS_100)
    credit = _record(Channel.LINK, bytes((6, Channel.BULK_UP, 200, 0)), how=FORGE, when=MS_500)
    ping = _record(Channel.LINK, bytes((4, 1, 0, 0, 0)), how=FORGE, when=MS_500)
    listen = _call(Method.CAPTURE_START) + ping
    write = _call(Method.WRITE_OBJECT, bytes((1, 0, 8))) + _record(
        Channel.BULK_DOWN, where=FULL_CHUNK << 4, again=2, when=MS_100
    )
    made = _call(Method.MAKE_TEST_OBJECT, bytes((0, 32, 0, 0)))
    rate = _record(Channel.LINK, b"\x0a" + (921600).to_bytes(4, "little"), how=FORGE, when=MS_20)
    calls = b"".join(_call(method) for method in Method)
    return {
        "listen": usb + listen + _call(Method.CAPTURE_STOP) + wait,
        "listen-alone": usb + listen + _record(BUTTON, when=S_3) + wait,
        "listen-adpcm": uart + _call(Method.CAPTURE_START, b"\1") + ping + _call(Method.CAPTURE_START, b"\0") + ping,
        "listen-old-host": old_host + listen + _record(GREET) + listen,
        "listen-unacknowledged": usb + _record(ACKS, how=1) + listen + ping + ping + ping,
        "speak": usb + audio + end + audio + end,
        "speak-adpcm": usb + block + block,
        "speak-flush": usb + audio + _call(Method.FLUSH_SPEAKER, b"\1\0") + end,
        "photo": usb + photo + read + credit + _call(Method.DROP_OBJECT),
        "photo-dropped": usb + photo + read + _call(Method.DROP_OBJECT) + credit + photo + credit,
        "photo-uart": uart + photo + read + credit,
        "photo-hostile": usb + b"".join(
            _record(CAMERA, picture, how=1) + _call(Method.TAKE_PHOTO, when=MS_500)
            for picture in (b"", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xda\0\2\1\2\xff\xd9", b"\xff\xd8\xff\xe0\0\4\1\2")
        ),
        "photo-refused": usb + b"".join(
            _record(CAMERA, how=how) + _call(Method.TAKE_PHOTO, when=MS_500) for how in (2, 3, 4)
        ) + ping,
        "write": usb + write + write,
        "write-hole": usb + write + _record(Channel.BULK_DOWN, how=0x20, where=FULL_CHUNK << 4, when=MS_100) + write,
        "test-object": usb + made + read + credit + made,
        "echo": usb + _record(Channel.TEST, b"\1hello", how=FORGE, when=MS_20, again=3),
        "rate": uart + rate + ping + ping + listen + _record(BUTTON, when=S_3),
        "rate-alone": uart + rate + wait + ping,
        "calls": usb + calls + calls,
        "button": usb + (_record(BUTTON, how=1, when=MS_100) + _record(BUTTON, how=0, when=MS_100)) * 3 + wait,
        "slow-line": usb + listen + _record(BUTTON, when=2 << 4 | MS_500) + audio + read,
        "torn": usb + listen + _record(BUTTON, when=2 << 4 | MS_20) + _record(TEAR) + ping,
        "stall": usb + listen + audio + _record(STALL, when=MS_500) + ping + _record(STALL, when=S_3) + ping,
        "again": usb + _record(GREET, how=9) + _record(GREET, how=3) + listen + _record(GREET, how=5) + ping,
    }  # fmt: skip


def write_seeds(target: str, folder: Path) -> None:
    """Fill `folder` with the inputs that a target starts from: the vectors of the wire, and whole conversations."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = _dispatch_seeds() if target == "dispatch" else {}
    kinds = {kind.__name__: kind for kind in (*m.TYPED.values(), *m.UNTYPED.values())}
    sensible: list[Frame] = []
    for v in (v for v in load_vectors("messages.json")["messages"] if v["message"] in kinds):
        channel, payload = kinds[v["message"]].CHANNEL, bytes.fromhex(v["payload"])
        assert channel is not None
        frame = Frame(channel, v.get("flags", 0), len(sensible) + 2, 0x102, payload)
        if v["message"] in HOST_SAYS:
            sensible.append(frame)
        if target == "receive":
            seeds[v["name"]] = _pieces([frame])
        elif len(payload) < 256:
            record = _record(channel, payload, how=FORGE | frame.flags, when=MS_20)
            seeds[f"vector-{v['name']}"] = bytes((4, 0x7F)) + record
    if target == "receive":
        calls = [Frame(Channel.RPC, 0, 100 + method, 0x102, bytes((1, method, 0, method))) for method in Method]
        seeds["conversation"] = _pieces([*sensible, *calls])
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed)


def _pieces(frames: Sequence[Frame]) -> bytes:
    """The input of fuzz_receive that begins a session and then sends these, 1 ms apart."""
    hello, confirm = m.Hello(major=m.MAJOR, minor=m.MINOR, nonce=7), m.Confirm(nonce=7)
    greeting = [Frame(Channel.LINK, 0, 1, 0, payload_of(hello)), Frame(Channel.LINK, 0, 1, 0x102, payload_of(confirm))]
    out = b""
    for wire in (frame.encode() for frame in (*greeting, *frames)):
        for at in range(0, len(wire), 127):
            piece = wire[at : at + 127]
            out += bytes((len(piece), 2)) + piece
    return out


def main(folder: Path, seconds: int) -> int:
    """Fuzz each target for `seconds`; returns 1 when one of them broke."""
    broken = []
    for target in TARGETS:
        home = folder / target
        (home / "corpus").mkdir(parents=True, exist_ok=True)
        write_seeds(target, home / "seeds")
        program = build(target, home)
        print(f"{target}: {seconds} s, {len(list((home / 'corpus').iterdir()))} inputs known", flush=True)
        again = run(program, "-runs=0", *known_crashes(program))
        done = (
            again
            if again.returncode != 0
            else run(
                program,
                f"-max_total_time={seconds}",
                f"-artifact_prefix={home}/",
                "-print_final_stats=1",
                *(home / "corpus", home / "seeds"),
            )
        )
        lines = done.stderr.splitlines()
        print("\n".join(line for line in lines if line.startswith("stat::")))
        if done.returncode != 0:
            print("\n".join(lines[-60:]))
            broken.append(target)
    print(f"broken: {', '.join(broken)}" if broken else "nothing broke")
    return 1 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
    except pytest.skip.Exception as missing:
        sys.exit(str(missing))
