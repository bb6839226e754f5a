"""Pictures for the simulated camera: what a camera's buffer may hold, good and bad."""

from __future__ import annotations

from lorgnette.firmware_bridge.simulator import ImageCamera
from lorgnette.firmware_bridge.simulator.camera import EXPOSURE_MS


class GivenCamera(ImageCamera):
    """Takes the same octets over and over, in as long as one likes."""

    def __init__(self, octets: bytes) -> None:
        super().__init__()
        self.octets = octets
        self.exposure_ms = EXPOSURE_MS

    def start(self) -> int:
        return self.exposure_ms

    def take(self) -> bytes:
        self.taken += 1
        return self.octets


def plain_jpeg(coded_bytes: int) -> bytes:
    """The smallest thing with a JPEG's markers: SOI, one scan with as many octets of coded data, EOI."""
    coded = bytes(1 + i % 251 for i in range(coded_bytes))  # neither 0x00 nor 0xFF
    return b"\xff\xd8" + b"\xff\xda\0\2" + coded + b"\xff\xd9"
