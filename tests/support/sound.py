"""PCM whose samples tell where they belong."""

from __future__ import annotations

import sys
from array import array


def ramp(samples: int, first: int = 1) -> bytes:
    """s16le: sample `i` is `first + i`, read as unsigned; none of them is silence while it stays below 65536."""
    if first < 1 or first + samples > 65_536:
        raise ValueError("a ramp ends at 65535")
    values = array("H", range(first, first + samples))
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def numbers(pcm: bytes) -> list[int]:
    """The samples of s16le PCM, read as unsigned."""
    values = array("H", pcm)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()
