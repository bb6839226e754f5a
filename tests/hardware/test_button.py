"""The button: what reaches the host. How gestures are told apart in time is tested in C (host/unit/test_parts.c)."""

from __future__ import annotations

import pytest
from tests.support.raw_host import MS, RawHost, all_of, one

from lorgnette.firmware_bridge import messages as m


def pressed(host: RawHost, *durations_ms: float, gap_ms: float = 120) -> list[m.Button]:
    for i, duration_ms in enumerate(durations_ms):
        host.frame.peripherals.button.press(duration_ms, after_ms=gap_ms if i else 0)
    return [m.Button(event.kind) for event in all_of(host.advance(1500 * MS), m.ButtonEvent)]


def test_gestures(host: RawHost) -> None:
    host.connect()
    assert pressed(host, 80) == [m.Button.TAP]
    assert pressed(host, 80, 80) == [m.Button.DOUBLE_TAP]
    assert pressed(host, 80, 80, gap_ms=400) == [m.Button.TAP, m.Button.TAP]
    assert pressed(host, 700) == [m.Button.LONG_PRESS]
    assert pressed(host, 10) == []


@pytest.mark.parametrize(
    ("gap_ms", "gestures"),
    [
        (281, [m.Button.DOUBLE_TAP]),
        (299, [m.Button.DOUBLE_TAP]),
        (301, [m.Button.TAP, m.Button.TAP]),
        (319, [m.Button.TAP, m.Button.TAP]),
    ],
)
def test_the_second_press_of_a_double_tap_counts_from_its_beginning(
    host: RawHost, gap_ms: float, gestures: list[m.Button]
) -> None:
    host.connect()
    assert pressed(host, 80, 80, gap_ms=gap_ms) == gestures


def test_a_contact_that_trembles_at_the_last_moment_is_no_second_press(host: RawHost) -> None:
    host.connect()
    host.frame.peripherals.button.script([(0, True), (80, False), (295, True), (3, False)])
    assert [event.kind for event in all_of(host.advance(1000 * MS), m.ButtonEvent)] == [m.Button.TAP]


def test_a_bouncing_contact(host: RawHost) -> None:
    host.connect()
    host.frame.peripherals.button.script([(0, True), (1, False), (2, True), (1, False), (3, True), (90, False)])
    assert [event.kind for event in all_of(host.advance(1000 * MS), m.ButtonEvent)] == [m.Button.TAP]


def test_an_event_tells_when_the_press_began(host: RawHost) -> None:
    host.connect()
    host.advance(400 * MS)
    host.frame.peripherals.button.press(80)
    host.step()  # from here on it is pressed
    (event,) = (r for r in host.advance(1000 * MS) if r.chan == m.Channel.EVENT)
    assert one([event], m.ButtonEvent).mic_sample == 400 * 16
    assert event.at_us == (400 + 80 + 300) * MS  # a tap is known once no second one follows


def test_a_long_press_is_reported_while_it_lasts(host: RawHost) -> None:
    host.connect()
    host.frame.peripherals.button.press(2000)
    host.step()
    event = next(r for r in host.advance(1500 * MS) if r.chan == m.Channel.EVENT)
    assert event.at_us == 600 * MS


def test_without_a_session_nobody_hears_of_it(host: RawHost) -> None:
    assert pressed(host, 80) == []
    host.connect()
    assert all_of(host.advance(500 * MS), m.ButtonEvent) == []
