"""Endpointing: exact tables of frames and what they must yield. One character is one 20 ms AudioFrame."""

from __future__ import annotations

import itertools
from collections.abc import Container, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.cli.assistant.audio import FRAME_SAMPLES, SAMPLE_BYTES, AudioFrame
from lorgnette.cli.assistant.endpointing import (
    Endpointing,
    EndpointingSettings,
    Found,
    UtteranceCut,
    UtteranceEnded,
    UtteranceStarted,
)

# One frame each: '.' silence, '#' speech, '-' between the two thresholds.
PROBABILITY = {".": 0.1, "#": 0.9, "-": 0.4}
SETTINGS = EndpointingSettings(
    start_threshold=0.5,
    stop_threshold=0.35,
    min_speech_ms=60,
    trailing_silence_ms=100,
    pre_roll_ms=40,
    max_utterance_s=0.4,
)


def frame(number: int) -> AudioFrame:
    """AudioFrame `number`, every sample of which is the number plus one."""
    return AudioFrame(number * FRAME_SAMPLES, (number % 30000 + 1).to_bytes(2, "little") * FRAME_SAMPLES)


def run(track: str, settings: EndpointingSettings = SETTINGS) -> list[str]:
    """What a track yields: 'started@frame' and 'ended start:end speech start:end reason', in frames, with the frame
    at which each was decided in front."""
    endpointing = Endpointing(settings)
    found = []
    for number, character in enumerate(track):
        for event in endpointing.push(frame(number), PROBABILITY[character]):
            found.append(f"{number}: {brief(event)}")
    flushed = endpointing.flush()
    return found + ([f"flush: {brief(flushed)}"] if flushed else [])


def brief(event: Found) -> str:
    if isinstance(event, UtteranceCut):
        return "cut"
    if isinstance(event, UtteranceStarted):
        return f"started {event.speech_start_sample / FRAME_SAMPLES:g}"
    samples = (event.start_sample, event.end_sample, event.speech_start_sample, event.speech_end_sample)
    start, end, speech_start, speech_end = (sample / FRAME_SAMPLES for sample in samples)
    return f"{start:g}-{end:g} speech {speech_start:g}-{speech_end:g} {event.reason}"


@pytest.mark.parametrize(
    ("track", "expected"),
    [
        ("", []),
        ("..........", []),
        # Three frames are 60 ms: speech. Five frames of silence end it. Two frames of pre-roll belong to it.
        ("....###.....", ["6: started 4", "11: 2-12 speech 4-7 silence"]),
        # Two frames are a click.
        ("....##......", []),
        # At the very beginning there is no pre-roll to be had, and after one frame only one.
        ("###.....", ["2: started 0", "7: 0-8 speech 0-3 silence"]),
        (".###.....", ["3: started 1", "8: 0-9 speech 1-4 silence"]),
        # Between the thresholds: not enough to begin, enough to go on (hysteresis).
        ("----------", []),
        (".#--.....", ["3: started 1", "8: 0-9 speech 1-4 silence"]),
        ("###------.....", ["2: started 0", "13: 0-14 speech 0-9 silence"]),
        # A pause shorter than the trailing silence is part of the utterance.
        ("###....##.....", ["2: started 0", "13: 0-14 speech 0-9 silence"]),
        # A click and then speech: the click is in the pre-roll at most.
        ("#..###.....", ["5: started 3", "10: 1-11 speech 3-6 silence"]),
        # 0.4 s is twenty frames: cut there, and what follows is an utterance of its own, without any overlap.
        (
            "#" * 23 + ".....",
            ["2: started 0", "19: 0-20 speech 0-20 max_length", "22: started 20", "27: 20-28 speech 20-23 silence"],
        ),
        # The pre-roll counts into the longest utterance.
        ("...." + "#" * 18, ["6: started 4", "21: 2-22 speech 4-22 max_length"]),
        # Two utterances: the second one's pre-roll is the silence between them.
        (
            "###.....###.....",
            ["2: started 0", "7: 0-8 speech 0-3 silence", "10: started 8", "15: 6-16 speech 8-11 silence"],
        ),
        # The source ends.
        ("..####", ["4: started 2", "flush: 0-6 speech 2-6 source_ended"]),
        ("..##", []),
    ],
)
def test_table(track: str, expected: list[str]) -> None:
    assert run(track) == expected


def test_no_speech_is_in_two_utterances_when_the_pre_roll_is_longer_than_the_trailing_silence() -> None:
    settings = EndpointingSettings(min_speech_ms=20, trailing_silence_ms=20, pre_roll_ms=200, max_utterance_s=1)
    assert run("#.#.", settings) == [
        "0: started 0",
        "1: 0-2 speech 0-1 silence",
        "2: started 2",
        "3: 1-4 speech 2-3 silence",
    ]


def test_the_pcm_is_exactly_the_samples_it_claims() -> None:
    endpointing = Endpointing(SETTINGS)
    found = [
        event for number, c in enumerate("....###.....") for event in endpointing.push(frame(number), PROBABILITY[c])
    ]
    ended = found[-1]
    assert isinstance(ended, UtteranceEnded)
    assert ended.pcm == b"".join(frame(number).pcm for number in range(2, 12))


def test_pre_roll_of_an_odd_number_of_milliseconds_cuts_inside_a_frame() -> None:
    settings = EndpointingSettings(min_speech_ms=20, trailing_silence_ms=20, pre_roll_ms=30, max_utterance_s=1)
    endpointing = Endpointing(settings)
    found = [event for number, c in enumerate("....#.") for event in endpointing.push(frame(number), PROBABILITY[c])]
    ended = found[-1]
    assert isinstance(ended, UtteranceEnded)
    assert ended.start_sample == 4 * FRAME_SAMPLES - 480
    assert ended.pcm == frame(2).pcm[-320:] + b"".join(frame(number).pcm for number in (3, 4, 5))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        # Two frames lost in the middle of speech: silence in their place.
        ([0, 1, 2, 3, 6, 7, 8, 9, 10], ["started 0", "0-9 speech 0-4 silence"]),
        # As many lost as the trailing silence is long: nobody knows how the sentence ended.
        ([0, 1, 2, 3, 9], ["started 0", "cut"]),
        # The clock runs backwards: the frame has booted.
        ([100, 101, 102, 103, 0], ["started 100", "cut"]),
    ],
)
def test_holes_in_the_sample_clock(numbers: list[int], expected: list[str]) -> None:
    endpointing = Endpointing(SETTINGS)
    found = []
    for index, number in enumerate(numbers):
        found += endpointing.push(frame(number), 0.9 if index < 4 else 0.0)
    assert [brief(event) for event in found] == expected
    for event in found:
        if isinstance(event, UtteranceEnded):
            assert len(event.pcm) == (event.end_sample - event.start_sample) * SAMPLE_BYTES


def heard_over(numbers: Sequence[int], spoken: Container[int], settings: EndpointingSettings = SETTINGS) -> list[str]:
    """What these AudioFrames yield, of which some are speech and those in between were lost."""
    endpointing = Endpointing(settings)
    return [brief(e) for n in numbers for e in endpointing.push(frame(n), 0.9 if n in spoken else 0.0)]


@pytest.mark.parametrize(("lost", "reads"), [(9, "0-40 speech 0-10 silence"), (10, "cut")])
def test_a_hole_that_could_hide_a_word_cuts_the_sentence_however_long_the_silence_that_ends_one(
    lost: int, reads: str
) -> None:
    settings = EndpointingSettings(pre_roll_ms=0)
    spoken = range(10)
    assert heard_over([*spoken, *range(10 + lost, 60)], spoken, settings) == ["started 0", reads]


def test_the_rest_of_a_sentence_that_was_cut_is_not_a_sentence() -> None:
    rest, again = range(20, 30), range(40, 44)
    numbers = [*range(4), *range(12, 50)]  # frames 4 to 11 are lost, and somebody goes on speaking
    assert heard_over(numbers, {*range(4), *range(12, 16), *rest}) == ["started 0", "cut"]
    # After the pause that ends any sentence the next one is heard, whole and with its pre-roll.
    assert heard_over(numbers, {*range(4), *range(12, 30), *again}) == [
        "started 0",
        "cut",
        "started 40",
        "38-49 speech 40-44 silence",
    ]


def test_the_pause_behind_a_cut_is_heard_without_long_holes() -> None:
    lost_again = [*range(4), *range(12, 15), *range(25, 29)]  # 60 ms of silence, a hole, 80 ms of silence
    assert heard_over([*lost_again, *range(29, 40)], {*range(4), 29, 30, 31}) == ["started 0", "cut"]
    short_hole = [*range(4), *range(12, 15), *range(17, 40)]
    assert heard_over(short_hole, {*range(4), *range(29, 33)})[2:] == ["started 29", "27-38 speech 29-33 silence"]


def test_sound_that_stops_coming_cuts_what_was_under_way_and_nothing_else() -> None:
    endpointing = Endpointing(SETTINGS)
    assert endpointing.cut() == []
    found = [event for number in range(5) for event in endpointing.push(frame(number), 0.9)]
    assert [brief(event) for event in [*found, *endpointing.cut()]] == ["started 0", "cut"]
    assert endpointing.cut() == []
    assert endpointing.flush() is None
    assert endpointing.push(frame(5), 0.9) + endpointing.push(frame(6), 0.9) + endpointing.push(frame(7), 0.9) == []


def test_a_hole_reads_as_silence() -> None:
    endpointing = Endpointing(SETTINGS)
    found = []
    for number in (0, 1, 2, 5, 6, 7):
        found += endpointing.push(frame(number), 0.9 if number < 3 else 0.0)
    ended = found[-1]
    assert isinstance(ended, UtteranceEnded)
    hole = bytes(2 * FRAME_SAMPLES * SAMPLE_BYTES)
    assert ended.pcm == b"".join(frame(n).pcm for n in (0, 1, 2)) + hole + b"".join(frame(n).pcm for n in (5, 6, 7))


def test_reset_forgets_speech_and_pre_roll() -> None:
    endpointing = Endpointing(SETTINGS)
    for number in range(4):
        endpointing.push(frame(number), 0.9)
    assert endpointing.speaking
    endpointing.reset()
    assert not endpointing.speaking
    assert endpointing.flush() is None
    found = [event for number in range(4, 12) for event in endpointing.push(frame(number), 0.9 if number < 7 else 0.0)]
    assert brief(found[-1]) == "4-12 speech 4-7 silence"


@pytest.mark.parametrize(
    "settings",
    [
        {"start_threshold": 0.3, "stop_threshold": 0.5},
        {"stop_threshold": 0.0},
        {"start_threshold": 1.0},
        {"min_speech_ms": -1},
        {"trailing_silence_ms": 0},
        {"max_utterance_s": 0.5},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"endpointing|max_utterance_s"):
        EndpointingSettings(**settings)  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 0, 0, 1, 4, 50, -3]), st.sampled_from([160, 320, 512]), st.sampled_from(".#-")
        ),
        max_size=120,
    )
)
def test_whatever_comes_the_utterances_are_whole_ordered_and_bounded(frames: list[tuple[int, int, str]]) -> None:
    endpointing = Endpointing(SETTINGS)
    now = 10_000
    events: list[Found] = []
    for skipped, samples, character in frames:
        now += skipped * FRAME_SAMPLES
        events += endpointing.push(AudioFrame(now, bytes(samples * SAMPLE_BYTES)), PROBABILITY[character])
        now += samples
    if (last := endpointing.flush()) is not None:
        events.append(last)
    assert all(isinstance(event, UtteranceStarted) for event in events[::2])
    assert all(isinstance(event, UtteranceEnded | UtteranceCut) for event in events[1::2])
    assert len(events) % 2 == 0
    ended = [event for event in events if isinstance(event, UtteranceEnded)]
    for event in ended:
        assert event.start_sample <= event.speech_start_sample < event.speech_end_sample <= event.end_sample
        assert len(event.pcm) == (event.end_sample - event.start_sample) * SAMPLE_BYTES
        assert event.end_sample - event.start_sample < 0.4 * 16000 + 512
    if all(skipped >= 0 for skipped, _, _ in frames):
        assert all(a.speech_end_sample <= b.start_sample for a, b in itertools.pairwise(ended))
