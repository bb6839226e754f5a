"""A PDM microphone's samples on their way to speech: offset gone, gain exact, saturation instead of overflow."""

from __future__ import annotations

import math
from array import array
from typing import Any

import pytest

from lorgnette.firmware_bridge.simulator import core

RATE_HZ = 16_000
SETTLED = RATE_HZ // 2  # half a second: 30 time constants of the high-pass


@pytest.fixture
def condition() -> Any:
    if core.CORE_MISSING:
        pytest.skip("the C core is not built (python setup.py build_ext --inplace)")
    from lorgnette.firmware_bridge import _core

    def run(samples: list[int], gain: int, piece: int = 320) -> list[int]:
        state = _core.ffi.new("frame_conditioning_t *")
        _core.lib.frame_conditioning_init(state, gain)
        pcm = array("h", samples)
        room = _core.ffi.from_buffer("int16_t[]", pcm)
        for at in range(0, len(pcm), piece):
            _core.lib.frame_conditioning_apply(state, room + at, min(piece, len(pcm) - at))
        return list(pcm)

    return run


def tone(hz: float, amplitude: float, offset: int = 0, n: int = RATE_HZ) -> list[int]:
    return [round(offset + amplitude * math.sin(2 * math.pi * hz * i / RATE_HZ)) for i in range(n)]


def rms(samples: list[int]) -> float:
    return math.sqrt(sum(s * s for s in samples) / len(samples))


@pytest.mark.parametrize("offset", [-20_000, -300, 0, 300, 20_000])
def test_an_offset_goes_away(condition: Any, offset: int) -> None:
    out = condition([offset] * RATE_HZ, 8)
    assert max(abs(s) for s in out[SETTLED:]) <= 8  # one step of the input, amplified


@pytest.mark.parametrize("gain", [1, 8, 64])
def test_speech_passes_with_the_gain(condition: Any, gain: int) -> None:
    quiet = tone(440, 200, offset=1000)
    out = condition(quiet, gain)
    assert rms(out[SETTLED:]) / (200 / math.sqrt(2)) == pytest.approx(gain, rel=0.01)


def test_rumble_below_speech_is_weaker(condition: Any) -> None:
    assert rms(condition(tone(2, 5000), 1)[SETTLED:]) < 0.25 * rms(tone(2, 5000))
    assert rms(condition(tone(100, 5000), 1)[SETTLED:]) > 0.98 * rms(tone(100, 5000))


def test_what_does_not_fit_saturates_on_both_sides(condition: Any) -> None:
    out = condition(tone(440, 30_000), 8)
    assert (max(out), min(out)) == (32_767, -32_768)
    steep = [(-32_768, 32_767)[i // 40 % 2] for i in range(RATE_HZ)]  # the hardest that 16 bits can ask
    out = condition(steep, 64)
    assert all((s < 0) == (t < 0) for s, t in zip(steep[SETTLED:], out[SETTLED:], strict=True))


def test_the_gain_is_kept_within_reason(condition: Any) -> None:
    quiet = tone(440, 100)
    assert condition(quiet, 0) == condition(quiet, 1) == condition(quiet, -5)
    assert condition(quiet, 1000) == condition(quiet, 64)


def test_the_size_of_the_pieces_does_not_matter(condition: Any) -> None:
    sound = tone(440, 3000, offset=-700, n=4000)
    assert condition(sound, 8, 1) == condition(sound, 8, 320) == condition(sound, 8, 4000)
