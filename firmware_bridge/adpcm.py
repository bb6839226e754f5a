"""IMA ADPCM, one block per AudioFrame: what the frame's C does in `glink/adpcm.c`, bit for bit.

Knows samples and blocks; neither who sends them nor when ADPCM is the codec to choose.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from typing import Final, NamedTuple

from .messages import ADPCM_BLOCK_BYTES, FRAME_SAMPLES

HEAD_BYTES: Final = 4
"""Predictor (i16, little-endian), index, 0."""
LAST_INDEX: Final = 88

# The standard's: each step is 1.1 times the one before it.
_STEPS = (
    *(7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107),
    *(
        118,
        130,
        143,
        157,
        173,
        190,
        209,
        230,
        253,
        279,
        307,
        337,
        371,
        408,
        449,
        494,
        544,
        598,
        658,
        724,
        796,
        876,
        963,
    ),
    *(1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894),
    *(6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794),
    32767,
)
_INDEX_CHANGES = (-1, -1, -1, -1, 2, 4, 6, 8)


def _parts(step: int, magnitude: int) -> int:
    """The smallest difference that is encoded as `magnitude`, a nibble without its sign."""
    return (magnitude >> 2 & 1) * step + (magnitude >> 1 & 1) * (step >> 1) + (magnitude & 1) * (step >> 2)


# Per index, so that a sample costs few steps of the interpreter: at which difference each magnitude begins, by how much
# each nibble changes the predictor, and which index follows it.
_BEGINS = [[_parts(step, magnitude) for magnitude in range(1, 8)] for step in _STEPS]
_CHANGES = [
    [sign * ((step >> 3) + _parts(step, magnitude)) for sign in (1, -1) for magnitude in range(8)] for step in _STEPS
]
_NEXT = [[min(max(i + change, 0), LAST_INDEX) for change in _INDEX_CHANGES * 2] for i in range(LAST_INDEX + 1)]


class AdpcmState(NamedTuple):
    """What encoder and decoder agree on between two samples."""

    predictor: int = 0
    """The last sample as it was decoded."""
    step_index: int = 0
    """Into the table of steps, 0 .. 88."""


def encode(pcm: bytes, state: AdpcmState) -> tuple[bytes, AdpcmState]:
    """Encode one AudioFrame.

    Args:
        pcm: s16le mono, up to 320 samples; an odd number is made even by a sample of silence.
        state: `AdpcmState()` before the first block of a stream, then what the last call returned.

    Returns:
        The block, and the state behind it.

    Raises:
        ValueError: half a sample, or more than one AudioFrame.
    """
    if len(pcm) % 2 or len(pcm) > 2 * FRAME_SAMPLES:
        raise ValueError(f"{len(pcm)} octets are not the samples of an AudioFrame")
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    if len(samples) % 2:
        samples.append(0)
    predictor, index = state
    nibbles = bytearray()
    for sample in samples:
        difference = sample - predictor
        if difference >= 0:
            nibble = bisect_right(_BEGINS[index], difference)
        else:
            nibble = bisect_right(_BEGINS[index], -difference) + 8
        predictor += _CHANGES[index][nibble]
        if predictor > 32767:
            predictor = 32767
        elif predictor < -32768:
            predictor = -32768
        index = _NEXT[index][nibble]
        nibbles.append(nibble)
    head = (state.predictor & 0xFFFF).to_bytes(2, "little") + bytes((state.step_index, 0))
    pairs = zip(nibbles[::2], nibbles[1::2], strict=True)
    return head + bytes(low | high << 4 for low, high in pairs), AdpcmState(predictor, index)


def decode(block: bytes) -> bytes:
    """Decode a block of any origin.

    Returns:
        s16le mono: two samples for each octet behind the head; none for no octets at all.

    Raises:
        ValueError: too short for its head, too long for an AudioFrame, or an index beyond the table.
    """
    if not block:
        return b""
    if not HEAD_BYTES <= len(block) <= ADPCM_BLOCK_BYTES or block[2] > LAST_INDEX:
        raise ValueError(f"{len(block)} octets are no ADPCM block")
    predictor = int.from_bytes(block[:2], "little", signed=True)
    index = block[2]
    samples = array("h")
    for octet in block[HEAD_BYTES:]:
        for nibble in (octet & 15, octet >> 4):
            predictor += _CHANGES[index][nibble]
            if predictor > 32767:
                predictor = 32767
            elif predictor < -32768:
                predictor = -32768
            index = _NEXT[index][nibble]
            samples.append(predictor)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
