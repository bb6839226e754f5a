"""What a UART reads of octets that were sent at another rate than it listens at.

Knows start bits, data bits and stop bits (8N1); nothing of what the octets mean.
"""

from __future__ import annotations

DATA_BITS = 8
_OCTET_BITS = [bytes([0, *(octet >> i & 1 for i in range(DATA_BITS)), 1]) for octet in range(256)]
"""The levels of the line for each octet, one per bit: start, data from the lowest bit on, stop."""


def misread(data: bytes, sent_baud: int, read_baud: int) -> bytes:
    """The octets that arrive: none of them may be what was sent, and there may be more or fewer.

    Args:
        data: octets that follow one another without a pause; the line is idle before and behind them.
        sent_baud, read_baud: bits per second.
    """
    line = b"".join(map(_OCTET_BITS.__getitem__, data))
    # Time counts in halves of 1 / (sent_baud * read_baud) seconds: then all that matters is whole.
    sent_bit, half_read_bit = 2 * read_baud, sent_baud

    def level(at: int) -> int:
        bit = at // sent_bit
        return line[bit] if bit < len(line) else 1

    out = bytearray()
    bit = line.find(0)  # the edge that begins a start bit
    while bit >= 0:
        edge = bit * sent_bit
        if level(edge + half_read_bit):  # a spike: shorter than half a bit
            bit = _next_edge(line, (edge + half_read_bit) // sent_bit)
            continue
        out.append(sum(level(edge + (2 * i + 3) * half_read_bit) << i for i in range(DATA_BITS)))
        bit = _next_edge(line, (edge + (2 * DATA_BITS + 3) * half_read_bit) // sent_bit)
    return bytes(out)


def _next_edge(line: bytes, bit: int) -> int:
    """The next fall of the line from `bit` on; -1 when it stays high. A line that is low must rise first."""
    high = line.find(1, bit)
    return line.find(0, high) if high >= 0 else -1
