"""What every engine file needs to deal with packages that are not ours: are they there, and what did they just say?"""

from __future__ import annotations

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
