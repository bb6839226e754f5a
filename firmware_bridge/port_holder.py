"""Which process has a port open, as far as this system tells: /proc on Linux, lsof and ps on macOS, nobody on Windows.

Asked only after something failed. Sees the user's own processes, and everybody's when run as root. Tells another
lorgnette's command, but never what it was given: that may be the user's words.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

PROC = Path("/proc")
TOOL_TIMEOUT_S = 3.0  # lsof looks at every process, and at file systems that may hang
MAX_WORDS = 8  # of a command line: an interpreter, its options, a script, a command and its subcommand
MAX_COMMAND_BYTES = 4096

PROXY = "lorgnette frame proxy"

_MODULES = frozenset({"lorgnette", "lorgnette.cli"})
_GROUPS = frozenset({"frame", "capture"})  # commands whose next word is a command, too
_COMMAND = re.compile(r"[a-z][a-z-]*")
_PYTHON = re.compile(r"(python|pypy)[\d.]*(\.exe)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port open.

    Attributes:
        name: of its program or, for a Python program, of its script or module.
        command: such as "lorgnette run" when it is this program, else "".
        since_s: when it began, as time.time() counts; None when the system did not say.
    """

    pid: int
    name: str
    command: str
    since_s: float | None

    def __str__(self) -> str:
        what = f"'{self.command}'" if self.command else self.name or "a program"
        if self.since_s is None:
            return f"{what} (process {self.pid})"
        begun, now = time.localtime(self.since_s), time.localtime()
        pattern = "%H:%M" if begun[:3] == now[:3] else "%Y-%m-%d %H:%M"
        return f"{what} (process {self.pid}, since {time.strftime(pattern, begun)})"


def holder_of(port: str) -> Holder | None:
    """A process, other than this one, that has `port` open; another lorgnette first. None when nobody is seen.

    A proxy that serves a pseudo terminal has it open without using it, so it comes last.
    """
    if sys.platform == "win32":
        return None
    found = list(_on_linux(port) if PROC.joinpath("self").exists() else _by_lsof(port))
    return min(found, key=lambda holder: (holder.command == PROXY, not holder.command), default=None)


def is_running(program: str) -> bool:
    """Does a process of this name run? Always False where there is no /proc."""
    return any(_comm(entry) == program for entry in _processes())


def lorgnette_command(argv: Sequence[str]) -> str:
    """The command of this program that `argv` runs, such as "lorgnette frame photo"; "" for another program's."""
    words = list(argv[:MAX_WORDS])
    for at, word in enumerate(words):
        script = PurePath(word).name.removesuffix(".exe") == "lorgnette"
        module = at > 0 and words[at - 1] == "-m" and word in _MODULES
        if (script and at == 0) or ((script or module) and _is_python(words[0])):
            command = ["lorgnette"]
            for given in words[at + 1 : at + 3]:
                if not _COMMAND.fullmatch(given) or (len(command) == 2 and command[1] not in _GROUPS):
                    break
                command.append(given)
            return " ".join(command)
    return ""


def _is_python(word: str) -> bool:
    return _PYTHON.fullmatch(PurePath(word).name) is not None


def _program(argv: Sequence[str], fallback: str) -> str:
    """What people call the program: `idf_monitor.py` rather than python."""
    if argv and _is_python(argv[0]):
        for at, word in enumerate(argv[1:MAX_WORDS], 1):
            if word == "-c":  # what follows is a program, not its name
                break
            if word == "-m" and at + 1 < len(argv):
                return argv[at + 1]
            if not word.startswith("-"):
                return PurePath(word).name
    return fallback


# ---- Linux
def _on_linux(port: str) -> Iterator[Holder]:
    try:
        wanted = Path(port).stat()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return
    if not stat.S_ISCHR(wanted.st_mode):
        return
    for entry in _processes():
        if int(entry.name) != os.getpid() and _has_open(entry, wanted.st_rdev):
            argv = _argv(entry)
            name = _program(argv, _comm(entry))
            yield Holder(int(entry.name), name, lorgnette_command(argv), _begun_s(entry))


def _has_open(entry: Path, device: int) -> bool:
    """By the device's number, since a container may have the port under another name."""
    with contextlib.suppress(OSError):  # another user's process, or one that has just ended
        for link in (entry / "fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                if str(link.readlink()).startswith("/dev/") and link.stat().st_rdev == device:
                    return True
    return False


def _processes() -> list[Path]:
    try:
        return [entry for entry in PROC.iterdir() if entry.name.isdigit()]
    except OSError:
        return []


def _comm(entry: Path) -> str:
    try:
        return (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _argv(entry: Path) -> list[str]:
    try:
        with (entry / "cmdline").open("rb") as file:
            raw = file.read(MAX_COMMAND_BYTES)
    except OSError:
        return []
    return [word.decode(errors="replace") for word in raw.rstrip(b"\0").split(b"\0")]


def _begun_s(entry: Path) -> float | None:
    """From the process's start in ticks since boot, and the time of the boot."""
    try:
        ticks = int((entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19])
        lines = (PROC / "stat").read_text(encoding="ascii").splitlines()
        boot_s = int(next(line for line in lines if line.startswith("btime ")).split()[1])
        return boot_s + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return None


# ---- macOS, and any system with lsof and ps but without /proc
def _by_lsof(port: str) -> Iterator[Holder]:
    for number in _said_by("lsof", "-t", "--", port).split():
        if number.isdigit() and int(number) != os.getpid():
            # `-o lstart=` is "Mon Nov 23 06:58:01 2026" in the C locale, `-o args=` the words joined by spaces.
            begun = _said_by("ps", "-p", number, "-o", "lstart=").strip()
            argv = _said_by("ps", "-p", number, "-o", "args=").split()
            name = _program(argv, PurePath(argv[0]).name if argv else "")
            yield Holder(int(number), name, lorgnette_command(argv), _parsed_s(begun))


def _said_by(*command: str) -> str:
    """A tool's standard output; "" when it is missing, hangs or fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TOOL_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return done.stdout[:MAX_COMMAND_BYTES].decode(errors="replace")


def _parsed_s(begun: str) -> float | None:
    try:
        return time.mktime(time.strptime(begun, "%a %b %d %H:%M:%S %Y"))
    except ValueError:
        return None
