"""Load engines without losing Ctrl-C.

Their libraries run Python code of their own while they are imported. An exception that a signal raises in there is
swallowed by one (the session would go on) and ends the process in another (its C++ cannot pass it on). So they load on
a thread of their own, where no signal arrives, and the caller waits where one always does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
WAKE_S = 0.1  # Windows lets no signal handler run while a thread waits without end


def load_aside(load: Callable[[], T]) -> T:
    """Run `load` on another thread and return what it returns, or raise what it raises.

    When a signal ends the wait, the thread is left behind: nothing can stop an import. It is a daemon and takes nothing
    from the caller; what it loads is forgotten.
    """
    loaded: list[T] = []
    failed: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            loaded.append(load())
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="loader", daemon=True).start()
    while not done.wait(WAKE_S):
        pass
    if failed:
        raise failed[0]
    return loaded[0]
