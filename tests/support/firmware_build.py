"""A folder like the one that `idf.py build` leaves: the right names and headers around octets that mean nothing."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

APP, BOOTLOADER = 0xABCD5432, 0x50
PIECES = {
    "0x0": "bootloader/bootloader.bin",
    "0x8000": "partition_table/partition-table.bin",
    "0x10000": "lorgnette_frame.bin",
}


def image(description: int, size: int = 9000) -> bytes:
    """An image of the ESP32-S3: header, the description's magic number, and noise."""
    head = struct.pack("<BBBBI", 0xE9, 1, 2, 0x3F, 0x40374000) + struct.pack("<BBBBH", 0xEE, 0, 0, 0, 9)
    return head.ljust(32, b"\0") + struct.pack("<I", description) + random.Random(description).randbytes(size)


def make_build(project: Path) -> Path:
    """Write a build of three pieces below `project`; returns its folder."""
    build = project / "build"
    for name, content in zip(PIECES.values(), (image(BOOTLOADER), b"\xaa\x50" + bytes(94), image(APP)), strict=True):
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_bytes(content)
    table = {"flash_files": PIECES, "extra_esptool_args": {"chip": "esp32s3", "stub": True}}
    (build / "flasher_args.json").write_text(json.dumps(table), encoding="utf-8")
    return build
