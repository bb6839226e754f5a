"""What the assistant can do without a language model: from an intent to a reply, or to an act and then a reply.

A reply about an act is made from what was read back from whoever did it, and claims no more than that.
Knows no turn, no wire and no voice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ..events import Intent
from ..sentences import without_controls
from ..spoken import date_words, duration_words, list_words, number_words, percent_words, time_words
from ..timers import Timers

HELP = (
    "I can take a photo, tell the time and the date, set timers, change the volume and read the battery. "
    "Say repeat to hear my last answer again."
)
NO_ANSWER = "I have no answer to that without a language model. Run lorgnette setup to choose one."


@dataclass(frozen=True, slots=True)
class Skill:
    """One thing to do in the world.

    Attributes:
        act: the name in events.Act and events.ActFinished.
        place: who does it. What belongs to the frame goes to the world; what belongs to the host is done here.
        aim: "I could not ..." continues with it.
        slots: the intent's slots that go along as arguments.
        claim: the reply from the result that was read back, or None when the result does not show that it was done.
    """

    act: str
    place: Literal["frame", "host"]
    aim: str
    claim: Callable[[Mapping[str, Any]], str | None]
    slots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedAct:
    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


def _photo_claim(result: Mapping[str, Any]) -> str | None:
    return "I took a photo." if result.get("size_bytes", 0) > 0 else None


def _volume_claim(result: Mapping[str, Any]) -> str | None:
    if "volume_percent" not in result:
        return None
    sentence = f"The volume is {percent_words(int(result['volume_percent']))}"
    return f"{sentence}, and the sound is muted." if result.get("muted") else f"{sentence}."


def _mute_claim(result: Mapping[str, Any]) -> str | None:
    if "muted" not in result:
        return None
    return "The sound is off." if result["muted"] else "The sound is on."


def _battery_claim(result: Mapping[str, Any]) -> str | None:
    percent = result.get("battery_percent")
    return None if percent is None else f"The battery is at {percent_words(int(percent))}."


def _timer_set_claim(result: Mapping[str, Any]) -> str | None:
    if "seconds" not in result:
        return None
    return f"I set a timer for {duration_words(int(result['seconds']))}."


def _timer_cancelled_claim(result: Mapping[str, Any]) -> str | None:
    count = int(result.get("cancelled", 0))
    if count == 0:
        return "No timer is running."
    return "I stopped the timer." if count == 1 else f"I stopped {number_words(count)} timers."


def _timer_left_claim(result: Mapping[str, Any]) -> str | None:
    left = [duration_words(seconds) for seconds in result.get("left_s", [])]
    if not left:
        return "No timer is running."
    if len(left) == 1:
        return f"The timer has {left[0]} left."
    return f"{number_words(len(left)).capitalize()} timers are running. They have {list_words(left)} left."


# Intent -> what is done. The results that the frame's acts must bring:
#   take_photo: size_bytes (and path, width, height where known); set_volume, volume_up, volume_down, get_volume, mute,
#   unmute: volume_percent and muted, as the frame itself reports them afterwards; get_battery: battery_percent.
SKILLS: Mapping[str, Skill] = {
    "TakePhoto": Skill("take_photo", "frame", "take the photo", _photo_claim),
    "SetVolume": Skill("set_volume", "frame", "change the volume", _volume_claim, ("percent",)),
    "VolumeUp": Skill("volume_up", "frame", "change the volume", _volume_claim),
    "VolumeDown": Skill("volume_down", "frame", "change the volume", _volume_claim),
    "GetVolume": Skill("get_volume", "frame", "read the volume", _volume_claim),
    "Mute": Skill("mute", "frame", "turn the sound off", _mute_claim),
    "Unmute": Skill("unmute", "frame", "turn the sound on", _mute_claim),
    "GetBattery": Skill("get_battery", "frame", "read the battery", _battery_claim),
    "SetTimer": Skill("set_timer", "host", "set the timer", _timer_set_claim, ("seconds",)),
    "CancelTimer": Skill("cancel_timer", "host", "stop the timer", _timer_cancelled_claim),
    "TimerLeft": Skill("timer_left", "host", "look at the timer", _timer_left_claim),
}
_BY_ACT: Mapping[str, Skill] = {skill.act: skill for skill in SKILLS.values()}

# Intent -> a reply that needs nothing but the clock. Stop and Repeat are about the turn itself: turn.py has them.
_REPLIES: Mapping[str, Callable[[datetime], str]] = {
    "GetTime": lambda now: f"It is {time_words(now.time())}.",
    "GetDate": lambda now: f"Today is {date_words(now.date())}.",
    "Help": lambda now: HELP,
}


def plan(intent: Intent, now: datetime) -> str | PlannedAct | None:
    """What an intent asks for: a reply, an act, or None when there is no such skill."""
    if intent.name in _REPLIES:
        return _REPLIES[intent.name](now)
    skill = SKILLS.get(intent.name)
    if skill is None:
        return None
    return PlannedAct(skill.act, {slot: intent.slots[slot] for slot in skill.slots if slot in intent.slots})


def act_reply(name: str, result: Mapping[str, Any], error: str = "") -> str:
    """The sentence after the act `name`, from what was read back; with `error`, what could not be done and why."""
    skill = _BY_ACT.get(name)
    if skill is None:
        return f"I do not know how to do that: {without_controls(name)}."
    if error:
        return f"I could not {skill.aim}: {without_controls(error).rstrip('.')}."
    return skill.claim(result) or f"I tried to {skill.aim}, but nothing confirms that it worked."


def timer_reply(seconds: int, label: str) -> str:
    """What is said when a timer has run out."""
    name = without_controls(label) or f"timer for {duration_words(seconds)}"
    return f"Your {name} is done."


class HostActs:
    """Does the acts whose place is the host. Synchronous: nothing here waits."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    @staticmethod
    def owns(name: str) -> bool:
        skill = _BY_ACT.get(name)
        return skill is None or skill.place == "host"

    def do(self, name: str, args: Mapping[str, Any], now: float) -> tuple[Mapping[str, Any], str]:
        """Returns what was done, read back, and an error sentence ("" when it worked)."""
        if name == "set_timer":
            try:
                timer = self._timers.set(int(args.get("seconds", 0)), now)
            except ValueError as error:
                return {}, str(error)
            return {"seconds": timer.seconds, "running": len(self._timers.running())}, ""
        if name == "cancel_timer":
            return {"cancelled": len(self._timers.cancel())}, ""
        if name == "timer_left":
            return {"left_s": [timer.left_s(now) for timer in self._timers.running()]}, ""
        return {}, "there is no such skill"
