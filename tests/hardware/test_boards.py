"""The boards' files: what is checked in them, and that the headers are made of them."""

from __future__ import annotations

import copy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lorgnette.hardware.boards import FOLDER, BoardError, boards, parse_board

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "hardware/boards/generate.py"
XIAO = tomllib.loads((FOLDER / "xiao_esp32s3_sense.toml").read_text(encoding="utf-8"))


def test_the_boards_are_read_and_differ() -> None:
    found = {board.id: board for board in boards()}
    assert {"xiao_esp32s3_sense", "freenove_esp32s3_wroom_cam"} <= found.keys()
    xiao, freenove = found["xiao_esp32s3_sense"], found["freenove_esp32s3_wroom_cam"]
    assert xiao.usb_ids == ((0x303A, 0x1001),)
    assert not [wire for wire in xiao.wires() if wire.part == "PDM microphone"]  # it is on the board
    assert [wire for wire in freenove.wires() if wire.part == "PDM microphone"]
    assert {xiao.sections["link"]["transport"], freenove.sections["link"]["transport"]} == {"usb_serial_jtag", "uart"}


def test_every_wire_goes_to_the_pin_that_the_firmware_drives() -> None:
    for board in boards():
        driven = board.pins()
        for wire in board.wires():
            if wire.gpio is not None:
                assert wire.gpio in driven
        solderable = {p for p, use in driven.items() if use.split()[0] in ("speaker", "button")}
        assert solderable <= {wire.gpio for wire in board.wires()}


@pytest.mark.parametrize(
    ("section", "key", "value", "says"),
    [
        ("button", "pin", 9, "used twice: speaker din and button pin"),
        ("button", "pin", 45, "reserved (strap: flash voltage)"),
        ("button", "pin", 28, "no pin of an ESP32-S3"),
        ("button", "pin", "D1", "no pin of an ESP32-S3"),
        ("camera", "data", [15, 17, 18], "8 data pins"),
        ("camera", "frame_size", "SXGA", "frame size"),
        ("link", "transport", "bluetooth", "transport"),
        ("speaker", "kind", "piezo", "kind is one of max98357a, none"),
        ("usb", "ids", ["303A"], "not enough values"),
    ],
)
def test_what_cannot_be_is_refused(section: str, key: str, value: Any, says: str) -> None:
    table = copy.deepcopy(XIAO)
    table[section][key] = value
    with pytest.raises(BoardError, match=r"^mine: ") as error:
        parse_board("mine", table)
    assert says in str(error.value)


def test_a_missing_key_and_an_unknown_section_are_named() -> None:
    table = copy.deepcopy(XIAO)
    del table["speaker"]["ws"]
    with pytest.raises(BoardError, match="'ws' is missing"):
        parse_board("mine", table)
    with pytest.raises(BoardError, match="no section 'radar'"):
        parse_board("mine", {**XIAO, "radar": {"kind": "none"}})


def test_a_part_that_is_not_fitted_needs_no_pins() -> None:
    table = copy.deepcopy(XIAO)
    table["speaker"] = {"kind": "none"}
    board = parse_board("mine", table)
    assert not board.fitted("speaker")
    assert {wire.part for wire in board.wires()} == {"button"}


def test_headers_drawings_and_tables_are_as_the_files_say() -> None:
    result = subprocess.run([sys.executable, GENERATOR, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_the_check_notices_a_board_that_changed(tmp_path: Path) -> None:
    folder = tmp_path / "hardware/boards"
    folder.mkdir(parents=True)
    for path in (*FOLDER.glob("*.py"), *FOLDER.glob("*.toml")):
        (folder / path.name).write_bytes(path.read_bytes())
    (tmp_path / "hardware/README.md").write_bytes((ROOT / "hardware/README.md").read_bytes())
    run = [sys.executable, folder / "generate.py"]
    assert subprocess.run([*run, "--check"], capture_output=True, check=False).returncode == 1  # no header yet
    assert subprocess.run(run, capture_output=True, check=False).returncode == 0
    assert subprocess.run([*run, "--check"], capture_output=True, check=False).returncode == 0
    board = folder / "xiao_esp32s3_sense.toml"
    board.write_text(board.read_text(encoding="utf-8").replace("bclk = 7", "bclk = 5"), encoding="utf-8")
    assert subprocess.run([*run, "--check"], capture_output=True, check=False).returncode == 1


def test_every_wire_is_drawn() -> None:
    import xml.etree.ElementTree as ET

    for board in boards():
        svg = ET.parse(ROOT / f"hardware/wiring/{board.id}.svg").getroot()
        texts = [node.text for node in svg.iter("{http://www.w3.org/2000/svg}text")]
        lines = list(svg.iter("{http://www.w3.org/2000/svg}path"))
        assert len(lines) == len(board.wires())
        for wire in board.wires():
            assert wire.pin in texts
            assert wire.part in texts


def test_the_readme_shows_every_board() -> None:
    text = (ROOT / "hardware/README.md").read_text(encoding="utf-8")
    for board in boards():
        assert f"wiring/{board.id}.svg" in text
        assert f"<!-- generated: wires {board.id} -->" in text
        assert f"<!-- generated: pins {board.id} -->" in text
