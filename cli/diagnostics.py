"""Where the program's own log goes: nowhere, standard error (`-v`, `-vv`), a file (`--log-file`).

The log names ports, engines, sizes and times. It holds no audio and no words of the user.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from .text import printable

if TYPE_CHECKING:
    import logging
    from pathlib import Path


class Diagnostics:
    """What -v and --log-file asked for. One per process: `DIAGNOSTICS`."""

    def __init__(self) -> None:
        self.verbosity = 0
        self.log_file: Path | None = None
        self._handlers: list[logging.Handler] = []

    def log(self, message: str, *values: object) -> None:
        """What the program as a whole does, for whoever asked for a log. Formatted like logging's messages."""
        if self._handlers:
            _logger().info(message, *values)

    def quiet(self) -> None:
        """Log nowhere until an option says where: by default logging prints warnings on standard error."""
        import logging

        if not _logger().handlers:
            _logger().addHandler(logging.NullHandler())

    def set_verbosity(self, verbosity: int) -> None:
        """1 logs what happens, 2 logs everything and shows tracebacks."""
        self.verbosity = verbosity
        if verbosity > 0:
            import logging

            level = logging.DEBUG if verbosity > 1 else logging.INFO
            self._attach(logging.StreamHandler(sys.stderr), level)

    def set_log_file(self, path: Path) -> None:
        """Append everything to `path`. Raises OSError when that cannot be opened."""
        import logging

        self._attach(logging.FileHandler(path, encoding="utf-8"), logging.DEBUG)
        self.log_file = path

    def reset(self) -> None:
        """Close what was opened and forget the options."""
        for handler in self._handlers:
            _logger().removeHandler(handler)
            with contextlib.suppress(OSError):  # what could not be written is lost
                handler.close()
        self._handlers.clear()
        self.verbosity, self.log_file = 0, None

    def keep_traceback(self, error: BaseException, version: str) -> Path | None:
        """Append the traceback of a bug to the log file, or to `crash.log` in the user's log folder.

        Returns:
            The file, or None when no file could be written.
        """
        import traceback  # slow to load, and needed only once something has gone wrong

        when = time.strftime("%Y-%m-%d %H:%M:%S")
        report = f"--- {when} lorgnette {version} python {sys.version.split()[0]} {sys.platform}\n"
        report += "".join(traceback.format_exception(error))
        try:
            path = self.log_file or _crash_file()
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(report)
        except (OSError, ImportError):
            return None
        return path

    def _attach(self, handler: logging.Handler, level: int) -> None:
        handler.setLevel(level)
        # A log that cannot be written disturbs nobody: logging's own way is a traceback on standard error per line.
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        handler.setFormatter(_formatter())
        logger = _logger()
        logger.addHandler(handler)
        logger.setLevel(min(level, logger.level or level))
        logger.propagate = False
        self._handlers.append(handler)


def version() -> str:
    """The installed distribution's version."""
    from importlib.metadata import PackageNotFoundError, version  # 10 ms: only when asked

    try:
        return version("lorgnette")
    except PackageNotFoundError:
        return "(not installed)"


def _formatter() -> logging.Formatter:
    import logging  # here and not above: most runs of the program log nothing

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return printable(super().format(record), newlines=True)

    return Formatter("%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")


def _logger() -> logging.Logger:
    import logging

    return logging.getLogger("lorgnette")


def _crash_file() -> Path:
    from platformdirs import user_log_path

    return user_log_path("lorgnette", appauthor=False) / "crash.log"


DIAGNOSTICS = Diagnostics()
