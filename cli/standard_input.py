"""What a command reads from standard input, for arguments that are '-'. Never more than a command can use."""

from __future__ import annotations

import sys
from typing import BinaryIO

from .errors import Failure
from .exit_codes import ExitCode

NAME = "standard input"
MAX_TEXT_BYTES = 64 << 10


def binary_input() -> BinaryIO:
    """Standard input's octets. Raises Failure when the program was started without one."""
    if sys.stdin is None:
        raise Failure("'-' means standard input, and that is closed", "name a file or give the text", ExitCode.USAGE)
    return sys.stdin.buffer


def read_text() -> str:
    """All of standard input as text. Raises Failure when it is closed, too long or in another encoding."""
    source = binary_input()
    encoding = sys.stdin.encoding or "utf-8"
    try:
        data = source.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Failure(f"standard input cannot be read: {reason}", "", ExitCode.USAGE) from error
    if len(data) > MAX_TEXT_BYTES:
        what = f"standard input holds more than {MAX_TEXT_BYTES >> 10} KiB of text"
        raise Failure(what, "cut it into smaller parts", ExitCode.USAGE)
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        what = f"standard input is not {encoding.upper()} text: octet {error.start} is no character"
        raise Failure(what, "convert it with iconv", ExitCode.USAGE) from error
