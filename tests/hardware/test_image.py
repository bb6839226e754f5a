"""What a firmware build leaves behind, and what is refused before anything is written to a board."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from tests.support.firmware_build import APP, BOOTLOADER, image, make_build

from lorgnette.hardware.image import ImageError, read_image


def test_a_build_folder_is_read_by_place(tmp_path: Path) -> None:
    build = make_build(tmp_path)
    segments = read_image(build)
    assert [s.offset for s in segments] == [0x0, 0x8000, 0x10000]
    assert [s.path.name for s in segments] == ["bootloader.bin", "partition-table.bin", "lorgnette_frame.bin"]
    assert read_image(tmp_path) == segments  # the project's folder will do


def test_a_single_image_goes_where_it_belongs(tmp_path: Path) -> None:
    app, merged = tmp_path / "app.bin", tmp_path / "merged.bin"
    app.write_bytes(image(APP))
    merged.write_bytes(image(BOOTLOADER) + image(APP))
    assert [s.offset for s in read_image(app)] == [0x10000]
    assert [s.offset for s in read_image(merged)] == [0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no firmware image"),
        (b"PK\x03\x04" + bytes(100), "no firmware image"),
        (image(APP)[:20], "no firmware image"),
        (image(APP)[:12] + struct.pack("<H", 0) + image(APP)[14:], "another chip"),
    ],
)
def test_what_is_no_image_for_this_chip_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=says):
        read_image(path)


def change(build: Path, **changes: Any) -> None:
    path = build / "flasher_args.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"extra_esptool_args": {"chip": "esp32"}}, "was built for the esp32"),
        ({"extra_esptool_args": []}, "not what ESP-IDF writes"),
        ({"flash_files": {}}, "names no file"),
        ({"flash_files": {"0x0": "gone.bin"}}, "gone.bin is missing"),
        ({"flash_files": {"over there": "bootloader/bootloader.bin"}}, "not what ESP-IDF writes"),
        ({"flash_files": {"0x0": "lorgnette_frame.bin", "0x40": "bootloader/bootloader.bin"}}, "overlaps"),
        ({"flash_files": {"0x2000000": "lorgnette_frame.bin"}}, "larger than any flash"),
    ],
)
def test_a_build_that_cannot_be_flashed_is_refused(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    build = make_build(tmp_path)
    change(build, **changes)
    with pytest.raises(ImageError, match=says):
        read_image(build)


def test_a_folder_without_a_build_and_a_path_without_anything(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no build"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="no file or folder"):
        read_image(tmp_path / "nothing")
    (tmp_path / "flasher_args.json").write_bytes(b"\xff" * 100_000)
    with pytest.raises(ImageError, match="too long"):
        read_image(tmp_path)
