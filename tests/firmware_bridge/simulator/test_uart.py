"""What a UART reads at the wrong rate: other octets, another number of them, and always the same ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.firmware_bridge.simulator.uart import misread

RATES = [115_200, 230_400, 460_800, 921_600, 2_000_000]
EVERY_OCTET = bytes(range(256))


@given(st.binary(max_size=300), st.sampled_from(RATES))
def test_at_the_same_rate_everything_is_read_as_it_was_sent(data: bytes, baud: int) -> None:
    assert misread(data, baud, baud) == data


@given(st.binary(max_size=100), st.floats(0.96, 1.04))
def test_a_clock_that_is_a_little_off_does_no_harm(data: bytes, factor: float) -> None:
    """Half a bit over nine and a half: the tolerance of 8N1 is about five percent."""
    assert misread(data, 115_200, round(115_200 * factor)) == data


def test_a_uart_by_hand() -> None:
    # 0x00 at half the rate: a low of 18 bits. Start, eight zeros, no stop: one zero, and wait for the line to rise.
    assert misread(b"\x00", 100, 200) == b"\x00"
    # 0xFF at half the rate: a start bit twice as long, so the lowest bit reads 0.
    assert misread(b"\xff", 100, 200) == b"\xfe"
    # 0xFF at three times the rate: the start bit is over before its middle. A spike, and nothing else.
    assert misread(b"\xff", 300, 100) == b""
    # 0x00 at twice the rate: low for 4.5 bits, and it rises in the middle of the fourth after the start: three zeros.
    assert misread(b"\x00", 200, 100) == b"\xf8"


@pytest.mark.parametrize("sent", RATES)
@pytest.mark.parametrize("read", RATES)
def test_at_another_rate_nothing_gets_through(sent: int, read: int) -> None:
    if sent == read:
        return
    heard = misread(EVERY_OCTET, sent, read)
    assert heard == misread(EVERY_OCTET, sent, read)
    assert heard not in (b"", EVERY_OCTET)
    assert len(heard) <= len(EVERY_OCTET) * max(1, -(-read // sent))
    if read < sent:
        assert len(heard) <= len(EVERY_OCTET) * read // sent + 1


@given(st.binary(max_size=64), st.integers(1, 10_000), st.integers(1, 10_000))
def test_any_octets_at_any_rates(data: bytes, sent: int, read: int) -> None:
    assert len(misread(data, sent, read)) <= 10 * len(data) * max(1, -(-read // sent))
