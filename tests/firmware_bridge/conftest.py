"""A frame, the firmware's own core, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.sound import ramp

from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.microphone import ScriptedMicrophone
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals


@pytest.fixture
def peripherals() -> Peripherals:
    """A frame that hears a ramp, so that every sample tells where it belongs."""
    return Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))


@pytest.fixture
def device(peripherals: Peripherals) -> Iterator[LockstepDevice]:
    with LockstepDevice(SimulatedFrame(peripherals), peripherals) as device:
        yield device
