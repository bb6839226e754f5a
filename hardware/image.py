"""What a firmware build leaves behind, as the pieces that go into the chip's flash.

Reads an ESP-IDF build folder or a single image and checks that it is for an ESP32-S3. Knows nothing of how it gets
there.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

CHIP = "esp32s3"
CHIP_ID = 9  # of the ESP32-S3, in the header of every image
IMAGE_MAGIC = 0xE9
HEADER_BYTES = 24
APP_DESCRIPTION_MAGIC = 0xABCD5432  # of an application, behind the header and the first segment's
APP_DESCRIPTION_AT = 32
APP_OFFSET = 0x10000  # of the application in ESP-IDF's usual partition table
MAX_FLASH_BYTES = 16 << 20
FLASHER_ARGS = "flasher_args.json"
MAX_ARGS_BYTES = 1 << 16
SEARCHED = ("build", ".")  # where `idf.py build` puts it, below the folder that was named


class ImageError(ValueError):
    """The file or folder holds no firmware that could be flashed. One sentence."""


@dataclass(frozen=True)
class Segment:
    """One file and where it goes."""

    offset: int
    path: Path

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size


def read_image(path: Path) -> list[Segment]:
    """The pieces of a build folder, or of one `.bin` file, by their place in the flash.

    Raises:
        ImageError: there is no firmware, or it is for another chip, too large, or overlaps itself.
    """
    if path.is_dir():
        segments = _of_folder(path)
    elif path.is_file():
        segments = [Segment(_offset_of(path), path)]
    else:
        raise ImageError(f"there is no file or folder {path}")
    segments.sort(key=lambda segment: segment.offset)
    end = 0
    for segment in segments:
        if segment.offset < end:
            raise ImageError(f"{segment.path.name} overlaps the piece before it")
        end = segment.offset + segment.size_bytes
    if end > MAX_FLASH_BYTES:
        raise ImageError(f"{path} is larger than any flash of this chip")
    return segments


def _of_folder(folder: Path) -> list[Segment]:
    for below in SEARCHED:
        arguments = folder / below / FLASHER_ARGS
        if arguments.is_file():
            return _of_build(arguments)
    raise ImageError(f"{folder} holds no build: there is no {FLASHER_ARGS} in it")


def _of_build(arguments: Path) -> list[Segment]:
    try:
        if arguments.stat().st_size > MAX_ARGS_BYTES:
            raise ValueError("it is too long")
        table = json.loads(arguments.read_text(encoding="utf-8"))
        chip = table["extra_esptool_args"]["chip"]
        files = {int(offset, 0): arguments.parent / name for offset, name in table["flash_files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(f"{arguments} is not what ESP-IDF writes ({error})") from error
    if chip != CHIP:
        raise ImageError(f"{arguments.parent} was built for the {chip}, not for the {CHIP}")
    if not files:
        raise ImageError(f"{arguments} names no file")
    for path in files.values():
        if not path.is_file():
            raise ImageError(f"{path} is missing from the build")
    return [Segment(offset, path) for offset, path in files.items()]


def _offset_of(path: Path) -> int:
    """Where a single image goes: an application to its partition, a merged image to the start."""
    with path.open("rb") as file:
        head = file.read(APP_DESCRIPTION_AT + 4)
    if len(head) < APP_DESCRIPTION_AT + 4 or head[0] != IMAGE_MAGIC:
        raise ImageError(f"{path} is no firmware image")
    (chip,) = struct.unpack_from("<H", head, 12)
    if chip != CHIP_ID:
        raise ImageError(f"{path} is an image for another chip than the ESP32-S3")
    (magic,) = struct.unpack_from("<I", head, APP_DESCRIPTION_AT)
    return APP_OFFSET if magic == APP_DESCRIPTION_MAGIC else 0
