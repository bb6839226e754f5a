"""Every exit status of the program, in one table. The README's table is compared with this one by a test."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Value, then (in `MEANINGS`) what it says to a script."""

    OK = 0
    FAILURE = 1
    USAGE = 2  # click's own
    OUTPUT_CLOSED = 3
    NOTHING_COLLECTED = 5  # as pytest's
    DEVICE_NOT_FOUND = 10
    DEVICE_BUSY = 11
    DEVICE_PERMISSION = 12
    DEVICE_LOST = 13
    NOT_A_FRAME = 14
    VERSION_MISMATCH = 15
    FRAME_REFUSED = 16
    NO_SIMULATOR = 17
    CONFIG = 20
    AUDIO_INPUT = 21
    NO_SPEECH = 22
    ENGINE = 23
    NETWORK = 24
    OFFLINE = 25
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "it worked",
    ExitCode.FAILURE: "it failed; the sentence on standard error says why",
    ExitCode.USAGE: "the command line was not understood",
    ExitCode.OUTPUT_CLOSED: "the reader of standard output went away",
    ExitCode.NOTHING_COLLECTED: "no test matched",
    ExitCode.DEVICE_NOT_FOUND: "no frame at this port, or no port at all",
    ExitCode.DEVICE_BUSY: "another program holds the port",
    ExitCode.DEVICE_PERMISSION: "the user may not open the port",
    ExitCode.DEVICE_LOST: "the frame went away in the middle",
    ExitCode.NOT_A_FRAME: "something answered, but it is no lorgnette frame",
    ExitCode.VERSION_MISMATCH: "host and frame speak different protocol versions",
    ExitCode.FRAME_REFUSED: "the frame refused or failed the request",
    ExitCode.NO_SIMULATOR: "sim:// needs the compiled core, which this install lacks",
    ExitCode.CONFIG: "the configuration has an error",
    ExitCode.AUDIO_INPUT: "the audio is unreadable or empty",
    ExitCode.NO_SPEECH: "the audio holds no speech",
    ExitCode.ENGINE: "an engine is missing or failed",
    ExitCode.NETWORK: "a hub or a model server could not be reached",
    ExitCode.OFFLINE: "--offline forbids what was asked",
    ExitCode.INTERRUPTED: "Ctrl-C; the frame's capture was stopped",
    ExitCode.TERMINATED: "SIGTERM; the frame's capture was stopped",
}
