"""Why a port could not be opened or does not answer, in one sentence, and the exact command that helps.

Knows the usual culprits on each system. Looks for them only after something failed.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from .errors import BridgeError, DeviceBusy, DeviceNotFound, DevicePermission, TransportError, VersionMismatch
from .port_holder import PROXY, Holder, holder_of, is_running, lorgnette_command

_BRLTTY = "brltty"

# Programs that open every new serial port to see what it is, and what stops them.
_CULPRITS = {
    "ModemManager": "Wait 20 s after plugging in, or stop it: sudo systemctl stop ModemManager",
    _BRLTTY: "Remove it: sudo apt remove brltty",
}

_USE_SIMULATOR = "or use --port sim:// for the simulated frame"


def open_error(port: str, error: Exception) -> TransportError:
    """The error to raise for a port that could not be opened."""
    found = _diagnose(port, error)
    found.remedy = _cu_instead(port) or found.remedy
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
    if is_running(_BRLTTY):
        return DeviceNotFound(
            f"There is no port {port}. {there} The program brltty is running and takes USB serial boards away.",
            "Remove it: sudo apt remove brltty; then plug the board in again",
        )
    return DeviceNotFound(
        f"There is no port {port}. {there}", f"Plug the frame in and look again: lorgnette devices; {_USE_SIMULATOR}"
    )


def unanswered(port: str, error: BridgeError) -> BridgeError:
    """The error to raise for a port that was opened and behind which no frame answered, as `error` says.

    Names a program that reads from the same port, as one can that opened it without claiming it, and macOS's other
    name of the port.
    """
    if "://" in port or isinstance(error, VersionMismatch):
        return error
    if (holder := holder_of(port)) is not None and holder.command != PROXY:
        return DeviceBusy(f"{str(error).rstrip('.')}; it is in use by {holder}, too.", _remedy(holder))
    error.remedy = _cu_instead(port) or error.remedy
    return error


def _cu_instead(port: str) -> str:
    """macOS has two names for each port; /dev/tty.* is for calls that come in."""
    if not port.startswith("/dev/tty."):
        return ""
    return f"Use the port's other name: --port {port.replace('/dev/tty.', '/dev/cu.', 1)}"


def _busy(port: str) -> DeviceBusy:
    holder = holder_of(port)
    if holder is not None:
        return DeviceBusy(f"{port} is in use by {holder}.", _remedy(holder))
    sentence = f"Another program holds {port}."
    for name, remedy in _CULPRITS.items():
        if is_running(name):  # as another user, so that the files that it has open cannot be seen
            return DeviceBusy(f"{sentence} It may be {name}, which opens every new serial port.", remedy)
    if sys.platform == "win32":
        return DeviceBusy(sentence, "Close the serial monitor, or the other lorgnette, and try again")
    return DeviceBusy(sentence, f"Close the serial monitor, or find it: sudo lsof {port}")


def _remedy(holder: Holder) -> str:
    """What to do about a process that is in the way."""
    if holder.command:
        own = lorgnette_command(sys.orig_argv)
        again = f"then: {own}" if own else "then try again"
        instead = "Ask it by voice" if holder.command == "lorgnette run" else "Wait until it ends"
        return f"{instead}, or end it with Ctrl-C in its terminal; {again}"
    return _CULPRITS.get(holder.name, f"Close that program, or end it: kill {holder.pid}")


def _permission(port: str) -> DevicePermission:
    if not sys.platform.startswith("linux"):
        return DevicePermission(f"You may not open {port}.", "Ask whoever administers this computer.")
    group = _group_of(port)
    sentence = f"You may not open {port}; it belongs to the group {group}."
    if group == "root":  # being in that group would be far more than may use a serial port
        return DevicePermission(
            sentence, f"Type: sudo chmod a+rw {port}; it lasts until the port is unplugged, a udev rule for good"
        )
    if group.isdigit():  # it has no name here: this is a container, and the group is the host's
        return DevicePermission(sentence, f"Start the container with --device {port} --group-add {group}")
    if _is_member(group):
        return DevicePermission(
            f"You may not open {port} yet; you have joined its group {group} since you logged in.",
            "Log out and in again",
        )
    return DevicePermission(sentence, f"Type: sudo usermod -aG {group} $USER; then log out and in again")


def _group_of(port: str) -> str:
    """The name of the port's group, or its number where it has no name; the usual one if nothing can be seen."""
    try:
        return Path(port).group()
    except KeyError:
        return str(Path(port).stat().st_gid)
    except (OSError, NotImplementedError):
        return "dialout"


def _is_member(group: str) -> bool:
    """Does the system's list of groups have this user in it? The groups of this login may be older."""
    import grp  # no such thing on Windows, where nobody asks
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name in grp.getgrnam(group).gr_mem
    except KeyError:
        return False


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
