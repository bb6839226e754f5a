"""A frame behind a serial port that panics and takes its port along, as one with its own USB does."""

from __future__ import annotations

import os
import queue
from pathlib import Path

import pytest

if os.name != "posix":
    pytest.skip("needs pseudo terminals", allow_module_level=True)
from tests.support.pty_frame import frame_behind_pty

from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.errors import DeviceLost
from lorgnette.firmware_bridge.link_events import Connected, ConsoleText, Crashed, Disconnected, Event
from lorgnette.firmware_bridge.simulator import Peripherals

PATIENCE_S = 30.0  # only a failing test waits this long
PANIC = b"assert failed: i2s_read i2s.c:77 (dma)\r\nBacktrace: 0x42008d37:0x3fc9a2b0\r\nReboot"


def test_the_crash_is_told_before_the_port_and_kept(tmp_path: Path) -> None:
    kept: list[Crashed] = []

    def keep(crashed: Crashed) -> str:
        kept.append(crashed)
        return "the log book"

    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with (
        frame_behind_pty(tmp_path, Peripherals()) as port,
        Device.open(str(port.path), timeout_s=PATIENCE_S, keep_crash=keep) as device,
    ):
        device.subscribe(events.put)
        port.say(PANIC)  # no delimiter behind it: nobody is left to send one
        seen: list[Event] = [events.get(timeout=PATIENCE_S)]
        while not isinstance(seen[-1], ConsoleText):
            seen.append(events.get(timeout=PATIENCE_S))
        port.unplug()
        while not isinstance(seen[-1], Disconnected):
            seen.append(events.get(timeout=PATIENCE_S))
        assert isinstance(seen[-2], Crashed)
        error = seen[-1].error
        port.plug()
        while not isinstance(seen[-1], Connected):
            seen.append(events.get(timeout=PATIENCE_S))
        lines = [line.text for line in device.console.lines]
    assert type(error) is DeviceLost
    assert str(error) == (
        "The frame crashed: assert failed: i2s_read i2s.c:77 (dma); what it printed is in the log book."
    )
    assert len(kept) == 1 and "Backtrace" in kept[0].text
    assert lines == ["assert failed: i2s_read i2s.c:77 (dma)", "Backtrace: 0x42008d37:0x3fc9a2b0", "Reboot"]
