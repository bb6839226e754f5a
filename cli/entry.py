"""The console script. Imports nothing at first, so that Ctrl-C during the program's own imports is quiet too."""

import os
import sys


def entry() -> None:
    """Run `lorgnette` and exit with its status."""
    try:
        from .main import entry as run

        run()
    except KeyboardInterrupt:
        # Before the front door stands, or after it has closed: the same words as in between.
        if sys.stderr is not None:
            sys.stderr.write("lorgnette: interrupted\n")
            sys.stderr.flush()
        os._exit(130)  # `python -m` might end the process by the signal instead, and a second Ctrl-C would
