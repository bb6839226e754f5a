"""What is said and done without a language model, to the word."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

import pytest

from lorgnette.cli.assistant.events import Intent
from lorgnette.cli.assistant.spoken import (
    date_words,
    duration_words,
    list_words,
    number_words,
    ordinal_words,
    percent_words,
    time_words,
)
from lorgnette.cli.assistant.timers import MAX_TIMERS, Timers
from lorgnette.cli.assistant.tools.builtin import HELP, SKILLS, HostActs, PlannedAct, act_reply, plan, timer_reply

NOW = datetime(2026, 3, 3, 15, 5)


@pytest.mark.parametrize(
    ("intent", "planned"),
    [
        (Intent("GetTime"), "It is three oh five PM."),
        (Intent("GetDate"), "Today is Tuesday, March third."),
        (Intent("Help"), HELP),
        (Intent("TakePhoto"), PlannedAct("take_photo")),
        (Intent("SetVolume", {"percent": 40}), PlannedAct("set_volume", {"percent": 40})),
        (Intent("SetTimer", {"seconds": 300, "noise": 1}), PlannedAct("set_timer", {"seconds": 300})),
        (Intent("VolumeUp"), PlannedAct("volume_up")),
        (Intent("VolumeDown"), PlannedAct("volume_down")),
        (Intent("GetVolume"), PlannedAct("get_volume")),
        (Intent("Mute"), PlannedAct("mute")),
        (Intent("Unmute"), PlannedAct("unmute")),
        (Intent("GetBattery"), PlannedAct("get_battery")),
        (Intent("CancelTimer"), PlannedAct("cancel_timer")),
        (Intent("TimerLeft"), PlannedAct("timer_left")),
        (Intent("MakeCoffee"), None),
    ],
)
def test_plan(intent: Intent, planned: str | PlannedAct | None) -> None:
    assert plan(intent, NOW) == planned


@pytest.mark.parametrize(
    ("act", "result", "reply"),
    [
        ("take_photo", {"size_bytes": 40_000, "path": "photo.jpg"}, "I took a photo."),
        ("set_volume", {"volume_percent": 40, "muted": False}, "The volume is forty percent."),
        (
            "volume_up",
            {"volume_percent": 100, "muted": True},
            "The volume is one hundred percent, and the sound is muted.",
        ),
        ("get_volume", {"volume_percent": 0, "muted": False}, "The volume is zero percent."),
        ("mute", {"volume_percent": 40, "muted": True}, "The sound is off."),
        ("mute", {"volume_percent": 40, "muted": False}, "The sound is on."),  # what is so, not what was asked
        ("unmute", {"volume_percent": 40, "muted": False}, "The sound is on."),
        ("get_battery", {"battery_percent": 7}, "The battery is at seven percent."),
        ("set_timer", {"seconds": 90}, "I set a timer for one minute and thirty seconds."),
        ("cancel_timer", {"cancelled": 0}, "No timer is running."),
        ("cancel_timer", {"cancelled": 1}, "I stopped the timer."),
        ("cancel_timer", {"cancelled": 3}, "I stopped three timers."),
        ("timer_left", {"left_s": []}, "No timer is running."),
        ("timer_left", {"left_s": [61]}, "The timer has one minute and one second left."),
        (
            "timer_left",
            {"left_s": [5, 60]},
            "Two timers are running. They have five seconds and one minute left.",
        ),
    ],
)
def test_reply_from_what_was_read_back(act: str, result: Mapping[str, Any], reply: str) -> None:
    assert act_reply(act, result) == reply


@pytest.mark.parametrize(
    ("act", "result"),
    [
        ("take_photo", {"size_bytes": 0}),
        ("set_volume", {}),
        ("mute", {"volume_percent": 40}),
        ("get_battery", {"battery_percent": None}),
        ("set_timer", {}),
    ],
)
def test_nothing_is_claimed_that_the_result_does_not_show(act: str, result: Mapping[str, Any]) -> None:
    assert act_reply(act, result).startswith("I tried to ")
    assert "nothing confirms" in act_reply(act, result)


@pytest.mark.parametrize("act", [skill.act for skill in SKILLS.values()])
def test_an_error_is_told_and_nothing_is_claimed(act: str) -> None:
    reply = act_reply(act, {"size_bytes": 1, "volume_percent": 1, "muted": 0}, "The frame\x1b did not answer.")
    assert reply.startswith("I could not ")
    assert reply.endswith(": The frame did not answer.")


def test_an_unknown_act_stays_on_the_host_and_fails_there() -> None:
    assert HostActs.owns("dance")
    assert HostActs(Timers()).do("dance", {}, now=0.0) == ({}, "there is no such skill")
    assert act_reply("dance", {}) == "I do not know how to do that: dance."


def test_every_act_has_one_owner() -> None:
    host = {skill.act for skill in SKILLS.values() if HostActs.owns(skill.act)}
    assert host == {"set_timer", "cancel_timer", "timer_left"}


# ---------------------------------------------------------------- timers
def test_timers_run_out_in_their_order() -> None:
    timers = Timers()
    acts = HostActs(timers)
    assert acts.do("set_timer", {"seconds": 60}, now=10.0) == ({"seconds": 60, "running": 1}, "")
    assert acts.do("set_timer", {"seconds": 5}, now=11.0) == ({"seconds": 5, "running": 2}, "")
    assert timers.next_deadline() == 16.0
    assert acts.do("timer_left", {}, now=12.5) == ({"left_s": [4, 58]}, "")
    assert timers.take_due(15.999) == []
    assert [timer.seconds for timer in timers.take_due(16.0)] == [5]
    assert timers.next_deadline() == 70.0
    assert acts.do("cancel_timer", {}, now=17.0) == ({"cancelled": 1}, "")
    assert timers.next_deadline() is None
    assert acts.do("cancel_timer", {}, now=18.0) == ({"cancelled": 0}, "")


@pytest.mark.parametrize("seconds", [0, -5, 24 * 3600 + 1])
def test_a_timer_of_an_impossible_length_is_refused(seconds: int) -> None:
    result, error = HostActs(Timers()).do("set_timer", {"seconds": seconds}, now=0.0)
    assert (result, error) == ({}, "a timer can be one second to twenty four hours long")


def test_there_is_an_end_to_the_timers() -> None:
    acts = HostActs(Timers())
    for _ in range(MAX_TIMERS):
        assert acts.do("set_timer", {"seconds": 60}, now=0.0)[1] == ""
    assert acts.do("set_timer", {"seconds": 60}, now=0.0) == ({}, "there are too many timers already")


def test_what_a_timer_says() -> None:
    assert timer_reply(300, "") == "Your timer for five minutes is done."
    assert timer_reply(300, "tea\x07") == "Your tea is done."


# ---------------------------------------------------------------- words
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (20, "twenty"),
        (42, "forty two"),
        (100, "one hundred"),
        (101, "one hundred and one"),
        (999, "nine hundred and ninety nine"),
        (1000, "one thousand"),
        (1100, "one thousand one hundred"),
        (2026, "two thousand and twenty six"),
        (999_999, "nine hundred and ninety nine thousand nine hundred and ninety nine"),
        (1_000_000, "1000000"),
        (-7, "minus seven"),
    ],
)
def test_number_words(number: int, words: str) -> None:
    assert number_words(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "first"),
        (2, "second"),
        (3, "third"),
        (4, "fourth"),
        (5, "fifth"),
        (8, "eighth"),
        (9, "ninth"),
        (12, "twelfth"),
        (20, "twentieth"),
        (21, "twenty first"),
        (30, "thirtieth"),
    ],
)
def test_ordinal_words(number: int, words: str) -> None:
    assert ordinal_words(number) == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (time(0, 0), "midnight"),
        (time(0, 1), "twelve oh one AM"),
        (time(7, 0), "seven AM"),
        (time(9, 30), "nine thirty AM"),
        (time(12, 0), "noon"),
        (time(12, 9), "twelve oh nine PM"),
        (time(15, 5), "three oh five PM"),
        (time(23, 59), "eleven fifty nine PM"),
    ],
)
def test_time_words(moment: time, words: str) -> None:
    assert time_words(moment) == words


def test_no_time_of_the_day_has_a_digit() -> None:
    for minute in range(24 * 60):
        assert not any(c.isdigit() for c in time_words(time(minute // 60, minute % 60)))


@pytest.mark.parametrize(
    ("day", "words"),
    [(date(2026, 1, 1), "Thursday, January first"), (date(2024, 2, 29), "Thursday, February twenty ninth")],
)
def test_date_words(day: date, words: str) -> None:
    assert date_words(day) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "zero seconds"),
        (1, "one second"),
        (60, "one minute"),
        (5400, "one hour and thirty minutes"),
        (7325, "two hours, two minutes and five seconds"),
    ],
)
def test_duration_words(seconds: int, words: str) -> None:
    assert duration_words(seconds) == words


def test_list_and_percent_words() -> None:
    assert [list_words(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert percent_words(85) == "eighty five percent"
