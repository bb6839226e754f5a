"""An object that the frame has already: it says so at once, and nothing is sent or waited for."""

from __future__ import annotations

from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import OBJECT_STALL_MS, ObjectKind
from lorgnette.firmware_bridge.simulator import Peripherals
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame


def test_what_is_there_is_not_sent_again() -> None:
    with LockstepDevice(SimulatedFrame(Peripherals())) as device:
        data = bytes(range(256)) * 40
        device.write_object(ObjectKind.TEST, data)
        sent_bytes, now_s = device.stats().tx_bytes, device.now_s
        device.write_object(ObjectKind.TEST, data)
        assert device.stats().tx_bytes - sent_bytes < 200
        assert device.now_s - now_s < OBJECT_STALL_MS / 1000, "no stall on the way"
        assert device.stats().bulk_restarts == 0
