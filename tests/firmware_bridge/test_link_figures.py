"""What the link promises of sound and pictures on a line with a rate, in virtual time.

`python tests/bench/run.py --only link` prints the same figures.
"""

from __future__ import annotations

import pytest
from tests.bench.link import LATE_BUDGET_MS, PICTURE_BYTES, SLACK, arithmetic_s, beside_audio


@pytest.mark.parametrize(("rate", "expected_s"), [(460_800, 1.21), (921_600, 0.78), (2_000_000, 0.27)])
def test_a_picture_beside_sound_takes_no_longer_than_its_share_and_delays_none(rate: int, expected_s: float) -> None:
    codec, took_s, late_ms = beside_audio(rate)
    assert codec == ("pcm16" if rate >= 921_600 else "ima_adpcm")
    assert arithmetic_s(PICTURE_BYTES, rate, codec) == pytest.approx(expected_s, abs=0.005)
    assert took_s <= SLACK * expected_s
    assert late_ms <= LATE_BUDGET_MS
