"""What can go wrong between host and frame.

A corrupt frame on the wire is counted and skipped, never raised. Each error carries one sentence for the user and,
in `remedy`, what to type or do next.
"""

from __future__ import annotations


class BridgeError(Exception):
    """Base of every error of this package."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class TransportError(BridgeError):
    """The port itself."""


class DeviceNotFound(TransportError):
    """No such port, or no frame among the ports."""


class NoAnswer(DeviceNotFound):
    """The port is there and was opened, but no frame runs behind it."""


class DeviceBusy(TransportError):
    """Another program holds the port."""


class DevicePermission(TransportError):
    """The user may not open the port."""


class DeviceLost(TransportError):
    """The port or the peer went away after it had been there."""


class SimulatorUnavailable(TransportError):
    """The compiled core is missing. Deliberately no ImportError."""


class ProtocolError(BridgeError):
    """The conversation on the wire."""


class LocalProtocolError(ProtocolError):
    """Our caller asked for something that the state table forbids: a bug on this side."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol, or is no frame at all."""


class VersionMismatch(RemoteProtocolError):
    """Major protocol versions differ; the message says which side to update."""


class RequestRefused(BridgeError):
    """The frame answered a request with an error status (`status`, a messages.RpcStatus)."""

    def __init__(self, message: str, status: int, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.status = status


class OutcomeUnknown(BridgeError):
    """The session died while a request was under way: read the state before you repeat it."""


class RequestTimeout(BridgeError):
    """The frame is alive but did not answer this request in time."""


class CaptureError(BridgeError):
    """A file that is no capture, or a capture that cannot be understood."""
