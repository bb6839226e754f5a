"""Why a port could not be opened, in one sentence, and the exact command that helps.

Knows the usual culprits on each system. Looks at /proc only where there is one and only after something failed.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from .errors import DeviceBusy, DeviceNotFound, DevicePermission, TransportError

# Programs that open every new serial port to see what it is.
_MODEM_MANAGER = "ModemManager"
_BRLTTY = "brltty"

_USE_SIMULATOR = "or use --port sim:// for the simulated frame"


def open_error(port: str, error: Exception) -> TransportError:
    """The error to raise for a port that could not be opened."""
    found = _diagnose(port, error)
    if port.startswith("/dev/tty."):  # macOS has two names for each port, and this one is for calls that come in
        found.remedy = f"Use the port's other name: --port {port.replace('/dev/tty.', '/dev/cu.', 1)}"
    return found


def _diagnose(port: str, error: Exception) -> TransportError:
    number = _number(error)
    text = str(error)
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text:
        return _busy(port)
    if isinstance(error.__cause__ or error.__context__, PermissionError) or number in (errno.EACCES, errno.EPERM):
        return _permission(port)
    if sys.platform == "win32" and "PermissionError" in text:
        return _busy(port)  # Windows says "Access is denied" for a port in use
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV) or "FileNotFoundError" in text:
        return not_found(port)
    if number in (errno.ENOTTY, errno.EISDIR):
        return DeviceNotFound(f"{port} is no serial port.", "See: lorgnette devices")
    return DeviceNotFound(f"{port} cannot be used as a serial port: {_reason(error)}.", "See: lorgnette devices")


def not_found(port: str) -> DeviceNotFound:
    """No such port: says which ones exist."""
    from .transport import list_serial_ports

    names = [p.device for p in list_serial_ports()]
    there = f"There is {', '.join(names)}." if names else "There is no serial port at all."
    if _running(_BRLTTY):
        return DeviceNotFound(
            f"There is no port {port}. {there} The program brltty is running and takes USB serial boards away.",
            "Remove it: sudo apt remove brltty; then plug the board in again",
        )
    return DeviceNotFound(
        f"There is no port {port}. {there}", f"Plug the frame in and look again: lorgnette devices; {_USE_SIMULATOR}"
    )


def _busy(port: str) -> DeviceBusy:
    holder = process_holding(port)
    if holder is None:
        return DeviceBusy(f"Another program holds {port}.", f"Close the serial monitor, or find it: fuser {port}")
    name, pid = holder
    if name == _MODEM_MANAGER:
        remedy = "Wait 20 s after plugging in, or stop it: sudo systemctl stop ModemManager"
    elif name == _BRLTTY:
        remedy = "Remove it: sudo apt remove brltty"
    else:
        remedy = f"Close that program, or end it: kill {pid}"
    return DeviceBusy(f"{name} (process {pid}) holds {port}.", remedy)


def _permission(port: str) -> DevicePermission:
    if sys.platform.startswith("linux"):
        group = _group_of(port) or "dialout"
        return DevicePermission(
            f"You may not open {port}; it belongs to the group {group}.",
            f"Type: sudo usermod -aG {group} $USER; then log out and in again",
        )
    if sys.platform == "win32":
        return DevicePermission(f"Windows denied access to {port}.", "Close other programs that use the port.")
    return DevicePermission(f"You may not open {port}.", "Ask whoever administers this computer.")


def process_holding(port: str) -> tuple[str, int] | None:
    """(name, pid) of a process that has `port` open, as far as /proc lets us see; None elsewhere."""
    target = os.path.realpath(port)
    for entry in _processes():
        if int(entry.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(fd) == target for fd in (entry / "fd").iterdir()):
                return _name(entry), int(entry.name)
        except OSError:  # another user's process, or one that has just ended
            continue
    return None


def _running(name: str) -> bool:
    return any(_name(entry) == name for entry in _processes())


def _processes() -> list[Path]:
    proc = Path("/proc")
    return [p for p in proc.iterdir() if p.name.isdigit()] if proc.is_dir() else []


def _name(entry: Path) -> str:
    try:
        return (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _group_of(port: str) -> str:
    try:
        return Path(port).group()
    except (OSError, KeyError, NotImplementedError):
        return ""


def _number(error: BaseException | None) -> int | None:
    """The system's number for what went wrong; pyserial may hide it in the error that it was raised from."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else next(iter(error.args), None)  # termios.error has none
        if isinstance(number, int):
            return number
        error = error.__cause__ or error.__context__
    return None


def _reason(error: Exception) -> str:
    number = _number(error)
    return os.strerror(number).lower() if number else str(error).split(":")[-1].strip().rstrip(".").lower()
