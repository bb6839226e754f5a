"""Every error of the lower layers becomes one sentence and one code."""

from __future__ import annotations

import pytest

from lorgnette.cli.assistant.engines.protocols import EngineError
from lorgnette.cli.errors import ConfigError, Failure, OutputClosed, explain
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge import errors as bridge


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (bridge.DeviceNotFound("no frame", "plug it in"), ExitCode.DEVICE_NOT_FOUND),
        (bridge.DeviceBusy("busy", "x"), ExitCode.DEVICE_BUSY),
        (bridge.DevicePermission("dialout", "x"), ExitCode.DEVICE_PERMISSION),
        (bridge.DeviceLost("gone", "x"), ExitCode.DEVICE_LOST),
        (bridge.SimulatorUnavailable("no core", "x"), ExitCode.NO_SIMULATOR),
        (bridge.VersionMismatch("2 and 1", "x"), ExitCode.VERSION_MISMATCH),
        (bridge.RemoteProtocolError("garbage", "x"), ExitCode.NOT_A_FRAME),
        (bridge.RequestRefused("no camera", 18, "x"), ExitCode.FRAME_REFUSED),
        (bridge.RequestTimeout("no answer", "x"), ExitCode.FRAME_REFUSED),
        (bridge.OutcomeUnknown("who knows", "x"), ExitCode.DEVICE_LOST),
        (bridge.TransportError("strange port", "x"), ExitCode.DEVICE_NOT_FOUND),
        (EngineError("stt", "no weights", "x"), ExitCode.ENGINE),
        (BrokenPipeError(), ExitCode.OUTPUT_CLOSED),
        (OutputClosed(), ExitCode.OUTPUT_CLOSED),
        (ConfigError("x"), ExitCode.CONFIG),
        (FileNotFoundError(2, "No such file or directory", "x.wav"), ExitCode.FAILURE),
        (OSError(28, "No space left on device"), ExitCode.FAILURE),
    ],
)
def test_expected_errors_keep_sentence_and_remedy(error: Exception, code: ExitCode) -> None:
    failure = explain(error)
    assert isinstance(failure, Failure)
    assert failure.code is code
    if hasattr(error, "remedy"):
        assert str(failure) == str(error)
        assert failure.remedy == error.remedy


@pytest.mark.parametrize(
    "error", [KeyError("x"), bridge.LocalProtocolError("x"), OSError("no file named"), TypeError()]
)
def test_bugs_are_not_explained_away(error: Exception) -> None:
    assert explain(error) is None


def test_every_bridge_error_is_known() -> None:
    def below(kind: type[bridge.BridgeError]) -> list[type[bridge.BridgeError]]:
        return [kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))]

    ours = {bridge.BridgeError, bridge.ProtocolError, bridge.LocalProtocolError}
    for kind in set(below(bridge.BridgeError)) - ours:
        error = kind("x", 16) if kind is bridge.RequestRefused else kind("x")  # type: ignore[call-arg]
        assert explain(error) is not None, kind
