"""Hides torch and openai-whisper from every Python that starts with this folder in PYTHONPATH.

To such a process they look as if they had never been installed: neither importable nor listed.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import sys
from collections.abc import Iterator
from typing import Any

HIDDEN = {"torch", "torchaudio", "whisper", "triton"}
HIDDEN_DISTRIBUTIONS = {"torch", "torchaudio", "openai-whisper", "triton"}


class WithoutTorch(importlib.machinery.PathFinder):
    """The path finder, blind to a few names: `find_spec` gives None for them, exactly as for what is absent."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] in HIDDEN:
            return None
        return super().find_spec(fullname, path, target)

    @classmethod
    def find_distributions(cls, *args: Any, **kwargs: Any) -> Iterator[importlib.metadata.Distribution]:
        for distribution in super().find_distributions(*args, **kwargs):
            if distribution.metadata["Name"] not in HIDDEN_DISTRIBUTIONS:
                yield distribution


sys.meta_path[:] = [WithoutTorch if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
