"""Core cases: the test channel, which a release has not, and which shows whether the line holds frames back."""

from __future__ import annotations

from ..messages import MAX_PAYLOAD_BYTES, Capability, Channel, Credit, Echo
from .cases import case
from .rates import faster
from .trial import ANSWER_MS, QUIET_MS, Absent, Trial, Violated, grant_of

ECHO_MS = 100
"""The longest that the line may hold a frame back: a full 64-octet USB packet that waits for a next one, say."""
SLOW_BAUD = 460_800
SOME_SIZES = (*range(1, 129), *range(MAX_PAYLOAD_BYTES - 63, MAX_PAYLOAD_BYTES + 1))
"""On a line that is slower not every size, which takes minutes, but every remainder of 64-octet packets, thrice."""
TRIES = 3
"""A delay that comes back as often is the frame's; one that does not is this computer's."""


@case("C-27", "a release has no test channel", 17)
def no_echo(t: Trial) -> None:
    """A frame that declares no test channel has no window for it, and drops and counts what comes there."""
    if t.has(Capability.TEST_CHANNEL):
        raise Absent("it is built for tests")
    ack = t.connect()
    t.check(ack.test_window == 0, f"test_window is {ack.test_window}")
    before = t.state()
    mark = t.host.send(Echo(1, b"is anybody there?"))
    t.host.idle(QUIET_MS)
    after = t.state()
    t.check(after.rx_frames - before.rx_frames == 2, "an Echo was not counted")
    answered = [r for r in t.host.log[mark:] if r.frame.channel == Channel.TEST]
    t.check(not answered, "it declares no test channel, and answers Echo")


@case("C-28", "every size comes back at once", 17)
def echo(t: Trial) -> None:
    """On a test build a payload of every size from 1 to 1,024 comes back as it is, within 100 ms beyond its time on
    the line, and the slot is granted again."""
    t.need(Capability.TEST_CHANNEL)
    ack = t.connect()
    t.check(ack.test_window == 1, f"test_window is {ack.test_window}")
    with faster(t):
        slow = t.declared.max_baud > 0 and t.host.baud < SLOW_BAUD
        sizes = SOME_SIZES if slow else range(1, MAX_PAYLOAD_BYTES + 1)
        took_ms = sorted(_echo(t, size) for size in sizes)
    t.figures["echo_p50_ms"] = took_ms[len(took_ms) // 2]
    t.figures["echo_worst_ms"] = took_ms[-1]


def _echo(t: Trial, size: int) -> float:
    """The best of some tries, in milliseconds, time on the line excluded."""
    best_ms = float("inf")
    for _ in range(TRIES):
        sent = Echo(size & 0xFF, t.rng.randbytes(size - 1))
        asked_us = t.host.port.now_us
        mark = t.host.send(sent)
        found = t.find(Echo, mark)
        if found is None:
            raise Violated(f"a payload of {size} octets did not come back within {ANSWER_MS} ms")
        t.check(found[1] == sent, f"a payload of {size} octets came back as another one")
        missing = f"after a payload of {size} octets the slot was not granted again"
        t.expect(Credit, mark, missing, where=grant_of(Channel.TEST, t.host.last_seq(Channel.TEST) + 1))
        best_ms = min(best_ms, (found[0].at_us - asked_us - 2 * t.line_us(size)) / 1000)
        if best_ms <= ECHO_MS:
            return best_ms
    raise Violated(f"a payload of {size} octets came back after {best_ms:.0f} ms, {TRIES} times in a row")
