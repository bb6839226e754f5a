"""What other packages' errors become in a sentence."""

from __future__ import annotations

import errno
import socket

import pytest

from lorgnette.cli.assistant.engines.foreign import network_reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (RuntimeError("[Errno 111] Connection refused"), "connection refused"),
        (RuntimeError("[SSL: WRONG_VERSION] wrong version number (_ssl.c:1006)"), "wrong version number"),
        (
            RuntimeError("Server disconnected without sending a response."),
            "server disconnected without sending a response",
        ),
    ],
)
def test_a_reason_is_words_without_numbers(error: Exception, reason: str) -> None:
    assert network_reason(error) == reason


def test_the_systems_own_words_are_found_behind_what_wrapped_them() -> None:
    wrapped = RuntimeError("all attempts failed")
    wrapped.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert network_reason(wrapped) == "connection refused"
