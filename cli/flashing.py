"""Running esptool: what it is told, what it says, and what that means for the user.

esptool is a program of its own (GPL-2.0-or-later) and stays one: it is run, not imported.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .errors import Failure
from .exit_codes import ExitCode
from .text import printable

if TYPE_CHECKING:
    from ..hardware.image import Segment

MODULE = "esptool"
INSTALL = 'pip install "lorgnette[flash]"'
BOOTLOADER = "hold BOOT, press and release RESET, release BOOT, and try again"
TAIL_LINES = 8  # of what esptool said, for a failure that we do not know

_WRITING = re.compile(r"Writing at 0x([0-9a-f]+)\b.*?(\d+(?:\.\d+)?)\s*%")
_VERIFIED = "Hash of data verified"

# What esptool says -> what happened, the remedy and the exit status. The first that is found counts.
_CAUSES: tuple[tuple[str, str, str, ExitCode], ...] = (
    (
        "Wrong boot mode",
        "the board on {port} runs its program instead of the bootloader",
        BOOTLOADER,
        ExitCode.NOT_A_FRAME,
    ),
    ("This chip is", "the chip on {port} is no ESP32-S3", "check the board", ExitCode.NOT_A_FRAME),
    ("Failed to connect", "the bootloader on {port} does not answer", BOOTLOADER, ExitCode.NOT_A_FRAME),
    ("No serial data received", "the bootloader on {port} does not answer", BOOTLOADER, ExitCode.NOT_A_FRAME),
    (
        "MD5 of file does not match",
        "what the flash holds is not what was sent",
        "try again; if it stays so, the flash is worn",
        ExitCode.FRAME_REFUSED,
    ),
    ("device disconnected", "{port} went away while it was being flashed", BOOTLOADER, ExitCode.DEVICE_LOST),
)


def need_esptool() -> None:
    """Raises Failure when esptool is not installed."""
    if find_spec(MODULE) is None:
        raise Failure("flashing needs esptool, which is not installed", INSTALL, ExitCode.ENGINE)


def command(port: str, baud: int, segments: Sequence[Segment]) -> list[str]:
    """The command line of esptool that writes `segments` and resets the board."""
    argv = [sys.executable, "-m", MODULE, "--chip", "esp32s3", "--port", port, "--baud", str(baud)]
    argv += ["--before", "default-reset", "--after", "hard-reset", "write-flash"]
    for segment in segments:
        argv += [f"{segment.offset:#x}", str(segment.path)]
    return argv


def flash(port: str, baud: int, segments: Sequence[Segment], progress: Callable[[int], None]) -> None:
    """Write and verify. `progress` gets how many octets are written so far.

    Raises:
        Failure: esptool failed, or verified fewer pieces than it was given.
    """
    said: list[str] = []
    verified = 0
    with subprocess.Popen(
        command(port, baud, segments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                said.append(line.rstrip())
                del said[:-200]
                verified += _VERIFIED in line
                if found := _WRITING.search(line):
                    progress(_written(segments, verified, float(found[2])))
        except BaseException:  # Ctrl-C: esptool gets it too, but must not stay behind
            child.terminate()
            raise
    if child.returncode != 0:
        raise failure(port, said)
    if verified != len(segments):
        raise Failure(f"esptool verified {verified} of {len(segments)} pieces", "flash again", ExitCode.FRAME_REFUSED)


def _written(segments: Sequence[Segment], done: int, percent: float) -> int:
    """Octets so far: whole pieces, and a share of the one that is being written."""
    whole = sum(segment.size_bytes for segment in segments[:done])
    part = segments[done].size_bytes if done < len(segments) else 0
    return whole + round(part * percent / 100)


def failure(port: str, said: Sequence[str]) -> Failure:
    """What esptool's last words mean."""
    text = "\n".join(said)
    for words, message, remedy, code in _CAUSES:
        if words in text:
            return Failure(message.format(port=printable(port)), remedy, code)
    last = " / ".join(printable(line).strip() for line in said[-TAIL_LINES:] if line.strip())
    return Failure(f"esptool failed on {printable(port)}: {last}", BOOTLOADER)
