"""The seeds of the simulation, all of them; and that its cable hurts, and that its invariants can fail."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.simulate import Outcome, main, play, play_all, report
from tests.support.story import Broken, Story

from lorgnette.firmware_bridge.codec import payload_of
from lorgnette.firmware_bridge.fault_line import ENDLESS
from lorgnette.firmware_bridge.faults import FAULTS, Faults
from lorgnette.firmware_bridge.frame import Frame, FrameReader
from lorgnette.firmware_bridge.messages import (
    Call,
    Channel,
    Credit,
    EventAck,
    HelloAck,
    Message,
    Method,
    Ping,
    SpeakerAudio,
)
from lorgnette.firmware_bridge.sim_transport import Steppable

SEEDS = int(os.environ.get("LORGNETTE_SEEDS", "10000"))


@pytest.mark.timeout(1800)  # five minutes on two cores; a busy machine may take longer
def test_every_story_ends_well() -> None:
    total = Outcome()
    for outcome in play_all(0, SEEDS, os.cpu_count() or 1):
        total.add(outcome)
    print(total)
    assert not total.failed, report(total.failed)
    assert total.seeds == SEEDS


def test_the_cable_does_hurt() -> None:
    """The invariants would hold on a good cable too; this one is bad in every way that there is."""
    total = Outcome()
    for outcome in play_all(0, 150, os.cpu_count() or 1):
        total.add(outcome)
    struck = {"flip", "drop", "lose", "truncate", "duplicate", "reorder", "splice", "noise", "stall", "unplug"}
    struck |= {"reset", "panic", "brownout"}
    assert struck < set(FAULTS), "the others are no matter of chance"
    rare = {"unplug": 5, "reset": 2, "panic": 2, "brownout": 2}
    least = {"restarts": 20, "retries": 300, "lost_audio": 1000, "dropped_audio": 50} | rare
    least |= dict.fromkeys(struck - rare.keys(), 300)
    assert {word: count for word, count in least.items() if total.counts[word] < count} == {}
    assert total.counts["sessions"] > total.counts["hosts"] > 170, "hosts come and go, and their sessions die"


@pytest.mark.parametrize("option", ["--seeds=0", "--seeds=-1", "--jobs=0"])
def test_no_seeds_are_no_success(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["simulate.py", option])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    with pytest.raises(ValueError, match="are none"):
        list(play_all(0, 0, 1))


def test_a_failure_says_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: Story) -> None:
        raise Broken("a photo is none that the camera took")

    monkeypatch.setattr(Story, "live", breaks)
    told = report(play(range(123, 140)).failed)
    assert "seed 123: a photo is none that the camera took\n  again: python tests/simulate.py --seed 123 -v" in told
    assert told.endswith("and 7 more")


def test_the_same_seed_tells_the_same_story() -> None:
    def told() -> list[str]:
        lines: list[str] = []
        Story(7, say=lines.append).live()
        return lines

    assert told() == told()


# ---- frames that break a rule: each must be found out
class Meddler:
    """Sits between the line and the frame, and changes what they say."""

    def __init__(self, frame: Steppable) -> None:
        self.now_us = 0
        self._frame = frame
        self._down, self._up = FrameReader(), FrameReader()

    def step(self, now_us: int, rx: bytes, room: int = ENDLESS) -> tuple[bytes, int]:
        self.now_us = now_us
        to_frame = changed(self._down, rx, self.to_frame) + self.more_to_frame()
        tx, next_us = self._frame.step(now_us, to_frame, room)
        return changed(self._up, tx, self.to_host), next_us

    def to_frame(self, frame: Frame) -> list[Frame]:
        return [frame]

    def to_host(self, frame: Frame) -> list[Frame]:
        return [frame]

    def more_to_frame(self) -> bytes:
        return b""

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def close(self) -> None:
        self._frame.close()


def changed(reader: FrameReader, octets: bytes, change: Callable[[Frame], list[Frame]]) -> bytes:
    """The valid frames among the octets, changed."""
    valid = [frame for frame, _ in reader.receive(octets) if frame is not None]
    return b"".join(b"\0" + new.encode() for frame in valid for new in change(frame))


def rewritten(frame: Frame, message: Message) -> Frame:
    return replace(frame, payload=frame.payload[:1] + message.pack())


class Repeats(Meddler):
    """Runs a call a second time, under another id, half a second later."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._again: deque[tuple[int, Frame]] = deque()
        self._added = self._seq = 0

    def to_frame(self, frame: Frame) -> list[Frame]:
        if frame.session == 0:
            self._again.clear()
            self._added = self._seq = 0
        if frame.channel != Channel.RPC:
            return [frame]
        call = Call.unpack(frame.payload[1:])
        if call.method == Method.TAKE_PHOTO:
            again = rewritten(frame, replace(call, call_id=call.call_id ^ 0x8000))
            self._again.append((self.now_us + 500_000, again))
        self._seq = frame.seq + self._added & 0xFFFF
        return [replace(frame, seq=self._seq)]

    def more_to_frame(self) -> bytes:
        if not self._again or self.now_us < self._again[0][0]:
            return b""
        self._added += 1
        self._seq += 1
        return replace(self._again.popleft()[1], seq=self._seq & 0xFFFF).encode()


class FlipsAndSigns(Meddler):
    """Turns over one bit of some sound, and makes the CRC right again."""

    def to_host(self, frame: Frame) -> list[Frame]:
        if frame.channel != Channel.MIC or frame.seq % 32:
            return [frame]
        return [replace(frame, payload=frame.payload[:-1] + bytes((frame.payload[-1] ^ 1,)))]


class SwallowsCredit(Meddler):
    """Grants one request less than there is room for, from the tenth on."""

    def to_host(self, frame: Frame) -> list[Frame]:
        if frame.channel != Channel.LINK or frame.payload[0] != Credit.TYPE:
            return [frame]
        credit = Credit.unpack(frame.payload[1:])
        if credit.channel != Channel.RPC or credit.allowed < 18:
            return [frame]
        return [rewritten(frame, replace(credit, allowed=credit.allowed - 1))]


class NeverAlone(Meddler):
    """Pings in the host's name, so that the microphone never falls silent."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._session = self._seq = 0
        self._due_us = 0

    def to_frame(self, frame: Frame) -> list[Frame]:
        if frame.channel == Channel.LINK:
            self._session, self._seq, self._due_us = frame.session, frame.seq, self.now_us + 2_000_000
        return [frame]

    def more_to_frame(self) -> bytes:
        if not self._session or self.now_us < self._due_us:
            return b""
        self._due_us = self.now_us + 500_000
        self._seq += 1
        return b"\0" + Frame(Channel.LINK, 0, self._seq, self._session, payload_of(Ping(9))).encode()


class SaysTwice(Meddler):
    """Reports every event once more, as a new one."""

    def to_host(self, frame: Frame) -> list[Frame]:
        if frame.channel != Channel.EVENT:
            return [frame]
        first = replace(frame, seq=2 * frame.seq & 0xFFFF)
        return [first, replace(first, seq=first.seq + 1 & 0xFFFF)]

    def to_frame(self, frame: Frame) -> list[Frame]:
        if frame.channel != Channel.LINK or frame.payload[0] != EventAck.TYPE:
            return [frame]
        return [rewritten(frame, EventAck(EventAck.unpack(frame.payload[1:]).seq // 2))]


class PlaysTwice(Meddler):
    """Hands an AudioFrame to the speaker again, as the next one of its stream."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._last: SpeakerAudio | None = None

    def to_frame(self, frame: Frame) -> list[Frame]:
        if frame.channel != Channel.SPEAKER:
            return [frame]
        audio, self._last = SpeakerAudio.unpack(frame.payload), self._last or SpeakerAudio.unpack(frame.payload)
        same = audio.stream == self._last.stream and len(audio.pcm) == len(self._last.pcm)
        return [replace(frame, payload=replace(audio, pcm=self._last.pcm).pack())] if same else [frame]


class HidesLosses(Meddler):
    """Takes some sound away and closes the gap, so that nobody counts it."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._taken = 0

    def to_host(self, frame: Frame) -> list[Frame]:
        if frame.channel == Channel.LINK and frame.payload[0] == HelloAck.TYPE:
            self._taken = 0
        if frame.channel != Channel.MIC:
            return [frame]
        if frame.seq % 10 == 9:
            self._taken += 1
            return []
        return [replace(frame, seq=frame.seq - self._taken & 0xFFFF)]


FINDS: dict[type[Meddler], tuple[Faults, str]] = {
    Repeats: (Faults(), "the camera ran"),
    FlipsAndSigns: (Faults(), "is not what the microphone delivered"),
    SwallowsCredit: (Faults(), "credit for requests has leaked"),
    NeverAlone: (Faults(unplug_s=((0.5, 9.0),)), "the microphone outlived 3 s of silence"),
    SaysTwice: (Faults(), "2 reports of the press"),
    PlaysTwice: (Faults(), "a sample was played twice"),
    HidesLosses: (Faults(), "count as lost"),
}


@pytest.mark.parametrize("meddler", FINDS)
def test_a_frame_that_breaks_a_rule_is_found_out(meddler: type[Meddler]) -> None:
    faults, words = FINDS[meddler]
    found = []
    for seed in (1, 2, 3, 5, 8, 10, 11):  # without ADPCM
        try:
            Story(seed, faults, mutate=meddler).live()
        except Broken as broken:
            found.append(str(broken))
    assert len(found) >= 3, "it goes unnoticed"
    assert any(words in why for why in found), found


@pytest.mark.parametrize("faults", [Faults(), Faults(unplug_s=((0.5, 9.0),))], ids=["good", "unplugged"])
def test_a_frame_that_keeps_the_rules_is_not(faults: Faults) -> None:
    for seed in range(1, 7):
        Story(seed, faults, mutate=Meddler).live()
