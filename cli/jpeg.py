"""Is this a JPEG, and how large is its picture? Read from the markers alone; nothing is decoded.

A frame's bytes are hostile until looked at: every length is checked, and a picture may not have more than MAX_PIXELS.
"""

from __future__ import annotations

MAX_PIXELS = 50_000_000  # decoders allocate by the header's word; no camera of such a frame has more than 5 million
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) in pixels.

    Raises:
        ValueError: no JPEG, cut off, or too large; the message is the end of a sentence.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("is no JPEG: it does not begin like one")
    if data[-2:] != b"\xff\xd9":
        raise ValueError("is a JPEG that is cut off before its end")
    at, size = 2, (0, 0)
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError("is a JPEG with a broken marker")
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(data):
            raise ValueError("is a JPEG with a segment that runs past its end")
        if marker in _SOF:
            if length < 8:
                raise ValueError("is a JPEG with a broken frame header")
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            if not 0 < width * height <= MAX_PIXELS:
                raise ValueError(f"is a JPEG of {width} x {height} pixels, which cannot be right")
            size = (width, height)
        if marker == 0xDA:  # the picture's data follows: what we came for stood before it
            break
        at += 2 + length
    if size == (0, 0):
        raise ValueError("is a JPEG without a picture")
    return size
