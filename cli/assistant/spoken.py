"""Numbers, times, dates and durations in words, so that no voice has to guess how "3:05" is said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = ("January February March April May June July August September October November December").split()


def number_words(number: int) -> str:
    """-999,999 to 999,999 in words: 42 is "forty two"; anything larger stays digits."""
    if number < 0:
        return f"minus {number_words(-number)}"
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f" {_SMALL[ones]}" if ones else "")
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if size <= number < 1_000_000:
            whole, rest = divmod(number, size)
            joint = " and " if rest < 100 else " "
            return f"{number_words(whole)} {name}" + (f"{joint}{number_words(rest)}" if rest else "")
    return str(number)


def ordinal_words(number: int) -> str:
    """1 is "first", 21 is "twenty first"."""
    *before, last = number_words(number).split()
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = f"{last[:-1]}ieth"
    else:
        last = "twelfth" if last == "twelve" else f"{last}th"
    return " ".join([*before, last])


def time_words(moment: time) -> str:
    """Twelve-hour: "three oh five PM", "twelve o'clock PM" is said "noon", 0:00 "midnight"."""
    if moment.minute == 0 and moment.hour in (0, 12):
        return "midnight" if moment.hour == 0 else "noon"
    hour = number_words((moment.hour - 1) % 12 + 1)
    half = "AM" if moment.hour < 12 else "PM"
    if moment.minute == 0:
        return f"{hour} {half}"
    oh = "oh " if moment.minute < 10 else ""
    return f"{hour} {oh}{number_words(moment.minute)} {half}"


def date_words(day: date) -> str:
    """ "Tuesday, March fifth"."""
    return f"{_WEEKDAYS[day.weekday()]}, {_MONTHS[day.month - 1]} {ordinal_words(day.day)}"


def duration_words(seconds: int) -> str:
    """5400 is "one hour and thirty minutes"; zero is "zero seconds"."""
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [
        f"{number_words(count)} {unit}{'' if count == 1 else 's'}"
        for count, unit in ((hours, "hour"), (minutes, "minute"), (seconds, "second"))
        if count
    ]
    return list_words(parts) if parts else "zero seconds"


def percent_words(percent: int) -> str:
    return f"{number_words(percent)} percent"


def list_words(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
