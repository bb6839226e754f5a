"""What every engine file needs to deal with packages that are not ours: are they there, and what did they just say?"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec


def installed(package: str) -> bool:
    """Whether `import package` would find something; imports nothing."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # an import hook that forbids it; a half-initialised module without a spec
        return False


def version_of(distribution: str) -> str:
    """The installed version, or "not installed"."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def one_line(error: object, limit: int = 200) -> str:
    """A foreign error's text on one line, short enough for a sentence."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def network_reason(error: BaseException) -> str:
    """Why a connection failed, in the system's words and without its numbers: "connection refused"."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.strerror:
            return _plain(found.strerror)
        found = found.__cause__ or found.__context__
    return _plain(one_line(error))


def _plain(text: str) -> str:
    """Without "[Errno 111]", "[SSL: ...]" and "(_ssl.c:1006)"."""
    plain = re.sub(r"^(\[[^\]]*\]\s*)+|\s*\(_ssl\.c:\d+\)$", "", one_line(text)).rstrip(".")
    return plain[:1].lower() + plain[1:]
