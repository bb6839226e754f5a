"""A test picture without an imaging library: a baseline JPEG in which each 8x8 block has one colour.

That leaves one number per block and component, its mean, so that the encoder is a Huffman table and a loop.
"""

from __future__ import annotations

import functools
import struct

# A lorgnette: two lenses on a handle, on a bright ground.
_DRAWING = """
................................
................................
................................
.......oooooo........oooooo.....
.....oolllllloo....oolllllloo...
....olllllllllo....olllllllllo..
....olwlllllllloooollwllllllllo.
....ollwlllllllo..ollwlllllllo..
....olllllllllo....olllllllllo..
.....oolllllloo....oolllllloo...
.......oooooo........oooooo.hh..
............................hhh.
.............................hh.
.............................hhh
..............................hh
..............................hh
..............................hh
...............................h
................................
................................
................................
rrrrrrrryyyyyyyyggggggggbbbbbbbb
rrrrrrrryyyyyyyyggggggggbbbbbbbb
rrrrrrrryyyyyyyyggggggggbbbbbbbb
"""
_COLOURS = {  # red, green, blue
    ".": (236, 228, 208),
    "o": (52, 44, 40),
    "l": (150, 196, 214),
    "w": (250, 252, 255),
    "h": (150, 96, 48),
    "r": (200, 52, 44),
    "y": (232, 188, 48),
    "g": (64, 148, 84),
    "b": (52, 92, 168),
}
_BLOCK = 8

# The standard's own table of DC codes (ITU-T T.81, table K.3): how many codes of each length, for categories 0 to 11.
_CODES_BY_LENGTH = (0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)


def _dc_codes() -> list[tuple[int, int]]:
    """(code, length) for each category, in the canonical order of the standard."""
    codes, code = [], 0
    for length, count in enumerate(_CODES_BY_LENGTH, start=1):
        for _ in range(count):
            codes.append((code, length))
            code += 1
        code <<= 1
    return codes


def _ycbcr(red: int, green: int, blue: int) -> tuple[int, int, int]:
    """JFIF's colour space, centred on 0."""
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return round(y - 128), round(0.5643 * (blue - y)), round(0.7133 * (red - y))


def _scan(rows: list[str]) -> bytes:
    bits, n_bits, last = 0, 0, [0, 0, 0]
    codes = _dc_codes()
    for colour in "".join(rows):
        for component, value in enumerate(_ycbcr(*_COLOURS[colour])):
            difference, last[component] = value - last[component], value
            category = abs(difference).bit_length()
            code, length = codes[category]
            bits, n_bits = bits << length | code, n_bits + length
            if category:
                magnitude = difference if difference > 0 else difference + (1 << category) - 1
                bits, n_bits = bits << category | magnitude, n_bits + category
            bits, n_bits = bits << 1, n_bits + 1  # the only AC code: end of block
    padding = -n_bits % 8
    bits = bits << padding | (1 << padding) - 1
    return bits.to_bytes((n_bits + padding) // 8, "big").replace(b"\xff", b"\xff\0")


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


@functools.cache
def built_in_picture() -> bytes:
    """The picture, 256 by 192 pixels, about 1 KB."""
    rows = _DRAWING.split()
    size = struct.pack(">HH", len(rows) * _BLOCK, len(rows[0]) * _BLOCK)
    # A quantiser of 8 turns the mean of a block into its DC coefficient: the transform of 8x8 scales it by 8.
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            _segment(0xDB, b"\0" + bytes([8] * 64)),
            _segment(0xC0, b"\x08" + size + b"\3" + b"\1\x11\0\2\x11\0\3\x11\0"),
            _segment(0xC4, b"\0" + bytes(_CODES_BY_LENGTH) + bytes(range(12))),
            _segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0"),
            _segment(0xDA, b"\3" + b"\1\0\2\0\3\0" + b"\0\x3f\0"),
            _scan(rows),
            b"\xff\xd9",
        )
    )
