"""Sequence numbers and credit: who may send how far.

All numbers are modulo 2**16 and compared as signed differences. Knows neither frames nor time nor what is sent.
`allowed` is absolute (the highest number that may be sent), so that a lost or repeated grant does no harm.
"""

from __future__ import annotations

# A grant further ahead than this is no grant: windows are one octet in HelloAck.
MAX_WINDOW = 255


def seq_after(seq: int, steps: int = 1) -> int:
    return (seq + steps) & 0xFFFF


def seq_diff(a: int, b: int) -> int:
    """How far `a` lies ahead of `b`: -32768 .. 32767."""
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000


class SendWindow:
    """The sender's half of one credited channel."""

    def __init__(self, window: int) -> None:
        """`window`: the receiver's slots, which the handshake lets a sender assume."""
        self.allowed = window
        self.sent = 0  # highest number sent; a session's first frame is 1

    @property
    def free(self) -> int:
        """Frames that may be sent now."""
        return max(0, seq_diff(self.allowed, self.sent))

    def spend(self) -> int:
        """The number of the next frame. Only with credit left."""
        if self.free == 0:
            raise ValueError("no credit left")
        self.sent = seq_after(self.sent)
        return self.sent

    def grant(self, allowed: int) -> bool:
        """Take the receiver's word; True when it brought credit. What lies behind or absurdly far ahead is ignored."""
        if seq_diff(allowed, self.allowed) <= 0 or not 0 < seq_diff(allowed, self.sent) <= MAX_WINDOW:
            return False
        self.allowed = allowed & 0xFFFF
        return True


class ReceiveWindow:
    """The receiver's half: tells duplicates, counts what was lost, and says how far the sender may go."""

    def __init__(self, window: int = 0) -> None:
        """`window`: slots of our queue; 0 for a channel without credit."""
        self.window = window
        self.highest = 0
        self.granted = window  # the last `allowed` that went out

    def receive(self, seq: int) -> int | None:
        """Count a frame. Returns how many were lost right before it, or None when it is a duplicate."""
        ahead = seq_diff(seq, self.highest)
        if ahead <= 0:
            return None
        self.highest = seq & 0xFFFF
        return ahead - 1

    def skip_to(self, seq: int) -> int:
        """The sender says that it sent up to `seq`: count it all as received. Returns how many were lost."""
        ahead = seq_diff(seq, self.highest)
        if ahead <= 0:
            return 0
        self.highest = seq & 0xFFFF
        return ahead

    def grant(self) -> int:
        """The `allowed` to send now: every slot of ours is free, since the host consumes at once."""
        self.granted = seq_after(self.highest, self.window)
        return self.granted

    @property
    def spent(self) -> int:
        """Frames received since the last grant went out."""
        return seq_diff(seq_after(self.highest, self.window), self.granted)


class SampleClock:
    """Unwraps the frame's 32-bit sample clock (74 hours at 16 kHz) to an int that never jumps back by 2**32."""

    def __init__(self) -> None:
        self.sample = 0

    def unwrap(self, wire: int) -> int:
        """The sample nearest to the last one seen whose low 32 bits are `wire`."""
        ahead = ((wire - self.sample + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        value = self.sample + ahead
        if value < 0:  # before the first sample: only a stray value of a clock that has just begun
            value = wire & 0xFFFFFFFF
        self.sample = max(self.sample, value)
        return value
