"""What the user reads when a session cannot begin or ends: one sentence each, and what to type next.

Knows what went wrong, as the link tells it; must not know frames, states or time.
"""

from __future__ import annotations

from .console import one_line
from .errors import BridgeError, DeviceLost, NoAnswer, RemoteProtocolError, VersionMismatch
from .messages import DEAD_AFTER_MS, MAJOR, MINOR, START_BAUD, CloseReason, Refuse

# How an answer to Hello begins on the wire, also one that is damaged further on: channel link, no flags, a number below
# 256. No text has it.
FRAME_HEAD = b"\1\1\2"


def no_answer(port_name: str, has_rate: bool, evidence: bytes, timeout_s: float) -> BridgeError:
    """The handshake failed; `evidence` is what came instead of an answer."""
    where = f"{port_name} at {START_BAUD} baud" if has_rate else port_name
    if FRAME_HEAD in evidence:
        return NoAnswer(
            f"A lorgnette frame answers on {where}, but nothing that it says arrives whole.",
            "Use another, shorter cable, away from what disturbs it; behind a proxy or sim://, milder faults",
        )
    if evidence:
        shown = one_line(evidence)
        sample = f' ("{shown}")' if shown else f" ({len(evidence)} bytes that are no text)"
        return RemoteProtocolError(
            f"Something answers on {where}, but it is no lorgnette frame{sample}.",
            "Choose another port (lorgnette devices), or put the firmware on it (hardware/README.md)",
        )
    # Some resets leave an ESP32-S3's USB port open and dead until its power is cycled (esp-idf issue 18996).
    remedy = "Press the board's RESET button, then unplug it for a moment; see that it runs lorgnette's firmware"
    if port_name.startswith("socket://"):
        remedy = "See whether another program is connected to it: a serial server serves one at a time"
    return NoAnswer(
        f"Nothing answers on {where} within {timeout_s:g} s.", f"{remedy}; without a board use --port sim://"
    )


def fell_silent(rate_refused: str | None) -> DeviceLost:
    """No frame of the session for too long. `rate_refused`: why the line is not at the rate that was wanted."""
    sentence = f"The frame has been silent for {DEAD_AFTER_MS / 1000:.0f} s"
    remedy = "Check the cable and the frame's power, or press its RESET button"
    if rate_refused is None:
        return DeviceLost(f"{sentence}.", f"{remedy}; lorgnette doctor looks at each part.")
    return DeviceLost(
        f"{sentence}; before that {rate_refused}.", f"{remedy}; or stay at the first rate: --baud {START_BAUD}"
    )


def echo(port_name: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"{port_name} sends our own messages back: it is an echo, or another host.",
        "Check the wiring and the port's name: lorgnette devices",
    )


def refused(refusal: Refuse) -> BridgeError:
    """The frame answered Hello with Refuse."""
    if refusal.reason == CloseReason.VERSION:
        return version_mismatch(refusal.major, refusal.minor)
    return RemoteProtocolError(
        f"The frame refused the session for a reason that this program does not know ({refusal.reason}).",
        "Compare the versions: lorgnette doctor",
    )


def version_mismatch(major: int, minor: int) -> VersionMismatch:
    """Names the side to update: the one with the lower major version."""
    sentence = f"The frame speaks protocol {major}.{minor}, this program {MAJOR}.{MINOR}."
    if major > MAJOR:
        return VersionMismatch(sentence, "Update this program: pip install --upgrade lorgnette")
    return VersionMismatch(sentence, "Update the frame's firmware (hardware/README.md)")
