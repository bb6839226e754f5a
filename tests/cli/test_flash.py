"""`lorgnette flash` with the real esptool, which talks to a bootloader on a pseudo terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.firmware_build import PIECES, make_build
from tests.support.program import assert_one_sentence, invoke

from lorgnette.cli import flashing
from lorgnette.cli.commands import flash as flash_command
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

if sys.platform == "win32":
    pytest.skip("pseudo terminals are POSIX", allow_module_level=True)

from tests.support.pty_frame import frame_behind_pty
from tests.support.rom_loader import MD5, RomLoader


@pytest.fixture
def rom() -> Iterator[RomLoader]:
    rom = RomLoader()
    yield rom
    rom.close()


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return make_build(tmp_path / "project")


def test_a_build_is_written_piece_by_piece_and_read_back(rom: RomLoader, build: Path) -> None:
    result = invoke("flash", "-p", rom.port, "--firmware", str(build), "--no-check", "--json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["verified"] is True and said["frame"] is None
    assert [piece["offset"] for piece in said["pieces"]] == [0x0, 0x8000, 0x10000]
    for offset, name in PIECES.items():
        content, at = (build / name).read_bytes(), int(offset, 0)
        assert rom.flash[at : at + len(content)] == content
    assert rom.commands.count(MD5) == 3
    assert "every piece was read back" in result.stderr


def test_what_was_flashed_is_asked_who_it_is(
    rom: RomLoader, build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board boots: its port goes away and comes back with a frame behind it."""
    write = flash_command.write_flash
    port = tmp_path / "ttyTEST0"
    port.symlink_to(rom.port)
    (tmp_path / "frame").mkdir()
    with frame_behind_pty(tmp_path / "frame", Peripherals()) as frame:

        def write_and_boot(*args: object) -> None:
            write(*args)  # type: ignore[arg-type]
            port.unlink()
            port.symlink_to(frame.path.readlink())

        monkeypatch.setattr(flash_command, "write_flash", write_and_boot)
        result = invoke("flash", "-p", str(port), "--firmware", str(build))
    assert result.exit_code == 0, result.stderr
    assert "simulated frame, firmware" in result.stdout
    assert rom.commands.count(MD5) == 3


def test_a_board_that_stays_mute_afterwards_is_an_error(
    rom: RomLoader, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash_command, "BOOT_S", 0.5)
    result = invoke("flash", "-p", rom.port, "--firmware", str(build))
    assert result.exit_code == ExitCode.NOT_A_FRAME
    assert "the firmware is on the board, but nothing answers" in result.stderr
    assert "press RESET" in result.stderr


def test_flash_that_does_not_keep_what_it_is_given_is_noticed(build: Path) -> None:
    rom = RomLoader(damage=0x10800)
    try:
        result = invoke("flash", "-p", rom.port, "--firmware", str(build), "--no-check")
    finally:
        rom.close()
    assert result.exit_code == ExitCode.FRAME_REFUSED
    assert "what the flash holds is not what was sent" in result.stderr


def test_another_chip_is_not_flashed(build: Path) -> None:
    rom = RomLoader(chip_id=5)  # an ESP32-C3
    try:
        result = invoke("flash", "-p", rom.port, "--firmware", str(build), "--no-check")
    finally:
        rom.close()
    assert result.exit_code == ExitCode.NOT_A_FRAME
    assert "is no ESP32-S3" in result.stderr
    assert MD5 not in rom.commands


def test_a_board_that_is_not_in_its_bootloader(build: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    try:
        result = invoke("flash", "-p", os.ttyname(theirs), "--firmware", str(build))
    finally:
        os.close(ours)
        os.close(theirs)
    assert result.exit_code == ExitCode.NOT_A_FRAME
    assert "does not answer" in result.stderr
    assert "hold BOOT" in result.stderr


def test_a_port_that_does_not_exist(build: Path, tmp_path: Path) -> None:
    result = invoke("flash", "-p", str(tmp_path / "nothing"), "--firmware", str(build))
    assert result.exit_code == ExitCode.DEVICE_NOT_FOUND
    assert_one_sentence(result.stderr)


def test_without_an_image_the_build_command_is_named() -> None:
    result = invoke("flash", "-p", "/dev/ttyX")
    assert result.exit_code == ExitCode.USAGE
    assert "no firmware image is published yet" in result.stderr
    assert "idf.py" in result.stderr


def test_a_simulated_frame_is_not_flashed(build: Path) -> None:
    result = invoke("flash", "-p", "sim://", "--firmware", str(build))
    assert result.exit_code == ExitCode.USAGE
    assert "no board" in result.stderr


def test_what_is_no_firmware_is_refused_before_the_port_is_opened(tmp_path: Path) -> None:
    (tmp_path / "notes.bin").write_text("not firmware", encoding="utf-8")
    result = invoke("flash", "-p", "/dev/ttyX", "--firmware", str(tmp_path / "notes.bin"))
    assert result.exit_code == ExitCode.USAGE
    assert "no firmware image" in result.stderr


def test_without_esptool_its_installation_is_named(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flashing, "find_spec", lambda name: None)
    result = invoke("flash", "-p", "/dev/ttyX", "--firmware", str(build))
    assert result.exit_code == ExitCode.ENGINE
    assert 'pip install "lorgnette[flash]"' in result.stderr


def test_what_esptool_says_and_we_do_not_know_is_passed_on() -> None:
    told = flashing.failure("/dev/ttyX", ["esptool v9", "ERROR: the moon is \x1b[31mfull"])
    assert "the moon is" in str(told)
    assert "\x1b" not in str(told)
