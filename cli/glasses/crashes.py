"""What a frame printed when it crashed, as files for whoever has to find out why.

In the user's state folder, readable by the user alone: a crash may quote what the firmware held in its memory. The
oldest files go when there are too many.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..diagnostics import version

if TYPE_CHECKING:
    from ...firmware_bridge.link_events import Crashed

MAX_FILES = 20
MAX_FILE_CHARS = 65_536
_PREFIX = "frame-crash-"


def crash_folder() -> Path:
    """Where the files are, whether it exists or not."""
    from platformdirs import user_state_path

    return user_state_path("lorgnette", appauthor=False) / "crashes"


def keep_crash(port: str, crashed: Crashed) -> str:
    """Write what the frame behind `port` printed to a new file. Returns its path, or "" when nothing was printed.

    Raises:
        OSError: the file cannot be written.
    """
    if not crashed.text:
        return ""
    folder = crash_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    head = f"{datetime.now():%Y-%m-%d %H:%M:%S} lorgnette {version()}, port {port}\n{crashed.reason}\n\n"
    path = _write_new(folder, (head + crashed.text)[:MAX_FILE_CHARS])
    for old in sorted(folder.glob(f"{_PREFIX}*.txt"))[:-MAX_FILES]:
        with contextlib.suppress(OSError):  # another process was faster
            old.unlink()
    return str(path)


def _write_new(folder: Path, text: str) -> Path:
    """A file of its own for each crash, named after the time so that names sort by age."""
    path = folder / f"{_PREFIX}{datetime.now():%Y%m%d-%H%M%S-%f}.txt"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return path
