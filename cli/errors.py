"""What the user is told when something fails: one sentence, one remedy, one exit code.

Knows every error type of the program; imports each only once something has failed. Prints nothing.
"""

from __future__ import annotations

import errno

from .exit_codes import ExitCode

# By name: nothing here may import what raised them.
_NETWORK_ERRORS = frozenset(
    {"builtins.ConnectionError", "builtins.TimeoutError", "socket.gaierror", "httpx.TransportError", "urllib.URLError"}
)


class Failure(Exception):
    """An expected failure of a command.

    Args:
        message: one sentence, what happened and what was tried. No full stop is added.
        remedy: the next command or step, "" when there is none.
        code: the exit status.
    """

    def __init__(self, message: str, remedy: str = "", code: ExitCode = ExitCode.FAILURE) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.code = code


class ConfigError(Failure):
    """The configuration file, a variable or a value for it is not valid."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy, ExitCode.CONFIG)


class OutputClosed(Failure):
    """Nobody reads standard output any more."""

    def __init__(self) -> None:
        super().__init__("standard output is closed", "", ExitCode.OUTPUT_CLOSED)


def explain(error: BaseException) -> Failure | None:
    """Translate an error of any layer, or return None when it is a bug of this program."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, BrokenPipeError):
        return OutputClosed()
    return _explain_bridge(error) or _explain_assistant(error) or _explain_os(error)


def _explain_bridge(error: BaseException) -> Failure | None:
    from ..firmware_bridge import errors as bridge

    if not isinstance(error, bridge.BridgeError):
        return None
    codes: tuple[tuple[type[bridge.BridgeError], ExitCode], ...] = (  # the most special first
        (bridge.DeviceNotFound, ExitCode.DEVICE_NOT_FOUND),
        (bridge.DeviceBusy, ExitCode.DEVICE_BUSY),
        (bridge.DevicePermission, ExitCode.DEVICE_PERMISSION),
        (bridge.DeviceLost, ExitCode.DEVICE_LOST),
        (bridge.SimulatorUnavailable, ExitCode.NO_SIMULATOR),
        (bridge.VersionMismatch, ExitCode.VERSION_MISMATCH),
        (bridge.RemoteProtocolError, ExitCode.NOT_A_FRAME),
        (bridge.RequestRefused, ExitCode.FRAME_REFUSED),
        (bridge.OutcomeUnknown, ExitCode.DEVICE_LOST),
        (bridge.RequestTimeout, ExitCode.FRAME_REFUSED),
        (bridge.TransportError, ExitCode.DEVICE_NOT_FOUND),
        (bridge.CaptureError, ExitCode.FAILURE),
    )
    for kind, code in codes:
        if isinstance(error, kind):
            return Failure(str(error), error.remedy, code)
    return None  # LocalProtocolError: our own bug


def _explain_assistant(error: BaseException) -> Failure | None:
    from .assistant.audio import AudioError
    from .assistant.engines.protocols import EngineError

    if isinstance(error, AudioError):
        return Failure(str(error), error.remedy, ExitCode.AUDIO_INPUT)
    if isinstance(error, EngineError):
        return Failure(str(error), error.remedy, ExitCode.NETWORK if _came_of_network(error) else ExitCode.ENGINE)
    return None


def _came_of_network(error: BaseException) -> bool:
    """True when a connection was refused, lost, timed out or not found on the way to this error."""
    cause: BaseException | None = error
    while cause is not None:
        names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(cause).__mro__}
        if names & _NETWORK_ERRORS:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _explain_os(error: BaseException) -> Failure | None:
    """A file that the user named and that cannot be used. An OSError without a file name is a bug of ours."""
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ENOSPC:
        return Failure("there is no space left to write to", "free some disk space and try again")
    if error.filename is None or error.strerror is None:
        return None
    return Failure(f"cannot use {error.filename!s}: {error.strerror.lower()}")
