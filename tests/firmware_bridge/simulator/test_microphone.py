"""The scripted microphone, sample by sample."""

from __future__ import annotations

from array import array

import pytest

from lorgnette.firmware_bridge.simulator import ScriptedMicrophone
from lorgnette.firmware_bridge.simulator.microphone import mix


def pcm(*samples: int) -> bytes:
    return array("h", samples).tobytes()


def test_speech_is_heard_in_the_order_it_was_said() -> None:
    mic = ScriptedMicrophone(pcm(1, 2))
    mic.say(pcm(3))
    mic.say(pcm(4, 5))
    assert mic.busy
    assert [mic.read(2, 10), mic.read(2, 12), mic.read(2, 14)] == [pcm(1, 2), pcm(3, 4), pcm(5, 0)]
    assert not mic.busy
    assert mic.said_at == [(10, 12), (12, 13), (13, 15)]
    assert mic.read(2, 16) == pcm(0, 0)


def test_what_is_said_later_comes_after_what_is_queued() -> None:
    mic = ScriptedMicrophone(pcm(1, 2, 3))
    assert mic.read(2) == pcm(1, 2)
    mic.say(pcm(9))
    assert mic.read(3, 2) == pcm(3, 9, 0)


def test_leading_silence_is_not_part_of_what_was_said() -> None:
    mic = ScriptedMicrophone()
    mic.say(pcm(7), silence_before_s=3 / 16_000)
    assert mic.read(6, 100) == pcm(0, 0, 0, 7, 0, 0)
    assert mic.said_at == [(103, 104)]


def test_noise_loops_under_everything_and_clips() -> None:
    mic = ScriptedMicrophone(pcm(100, 32_000, -32_000), noise=pcm(1, 2_000, -3_000))
    assert mic.read(3) == pcm(101, 32_767, -32_768)
    assert mic.read(4, 3) == pcm(1, 2_000, -3_000, 1)
    assert mic.read(1, 7) == pcm(2_000)
    assert mic.recorded == pcm(101, 32_767, -32_768, 1, 2_000, -3_000, 1, 2_000)


def test_mix_needs_pieces_of_one_length() -> None:
    with pytest.raises(ValueError, match="longer"):
        mix(pcm(1), pcm(1, 2))


def test_the_recording_remembers_its_gaps() -> None:
    mic = ScriptedMicrophone(pcm(1, 2, 3, 4))
    mic.enable(True)
    mic.read(1, 50)
    mic.read(1, 51)
    mic.enable(False)
    mic.enable(True)
    mic.read(1, 60)
    assert mic.recorded == pcm(1, 2, 3)
    assert mic.recorded_at == [(50, 0), (60, 2)]


def test_a_finite_recording_ends_after_its_last_sample() -> None:
    mic = ScriptedMicrophone(pcm(1, 2, 3), finite=True)
    mic.read(2)
    assert not mic.ended
    mic.read(2, 2)
    assert mic.ended
    endless = ScriptedMicrophone(pcm(1))
    endless.read(2)
    assert not endless.ended


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="half a sample"):
        ScriptedMicrophone().say(b"\0\0\0")
