"""A line without a rate that turns out too slow for PCM, as a slow USB driver or a serial server makes it.

Sans-I/O: what went missing comes in with its time. Knows neither frames nor codecs; once crowded, a line stays so.
"""

from __future__ import annotations

from collections import deque

# More than this many AudioFrames within so long, and the line is crowded.
MISSING_FRAMES = 5
WITHIN_S = 2.0

# What goes missing at once counts as no more than this: one gap, however long, is a host that did not read for a while.
MOST_AT_ONCE = 3

REASON = (
    "sound gets lost on this line, so it is sent compressed (ADPCM) until the end of the session; "
    "another cable, port or hub may carry it whole"
)


class Crowding:
    """Of one session.

    Attributes:
        found: sound went missing often enough.
    """

    def __init__(self) -> None:
        self.found = False
        self._missing_s: deque[float] = deque(maxlen=MISSING_FRAMES + 1)

    def missing(self, frames: int, now_s: float) -> bool:
        """AudioFrames are missing that sound was there for. True once: the line is found to be crowded."""
        if self.found:
            return False
        self._missing_s.extend([now_s] * min(frames, MOST_AT_ONCE))
        self.found = len(self._missing_s) > MISSING_FRAMES and self._missing_s[0] > now_s - WITHIN_S
        return self.found
