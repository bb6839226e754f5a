"""The boards that a frame can be built on, as data: pins, USB ids, buffers, and what is fitted.

Reads the `*.toml` beside it and refuses what no board can be (a pin used twice, a strap, a pin of the PSRAM). Knows
nothing of the firmware, which gets a header made from this, nor of the host's ports, which get the USB ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

# GPIO numbers that the ESP32-S3 has; 26 to 32 belong to its flash.
PINS = frozenset({*range(22), *range(33, 49)})
NO_PIN = -1

# Section -> its keys that name pins; a list has one pin per bit.
PIN_KEYS = {
    "link": ("tx", "rx"),
    "microphone": ("clk", "data"),
    "speaker": ("bclk", "ws", "din", "enable"),
    "camera": ("xclk", "sda", "scl", "data", "vsync", "href", "pclk", "pwdn", "reset"),
    "button": ("pin",),
    "led": ("pin",),
}
KINDS = {
    "microphone": ("pdm", "none"),
    "speaker": ("max98357a", "none"),
    "camera": ("dvp", "none"),
    "led": ("software", "hardware", "none"),
    "battery": ("none",),
}
TRANSPORTS = ("usb_serial_jtag", "uart")
FRAME_SIZES = {"VGA": (640, 480), "SVGA": (800, 600), "XGA": (1024, 768), "UXGA": (1600, 1200)}
DATA_BITS = 8
MAX_NAME_CHARS = 24  # of HelloAck's `name`


class BoardError(ValueError):
    """A board file that describes no board that could work. One sentence."""


@dataclass(frozen=True)
class Wire:
    """One wire that somebody solders: a part's pin, as on its silk screen, to where it goes."""

    part: str
    pin: str
    to: str  # "GPIO 7 (D8)", "5V", "3V3", "GND", or another part's pin
    gpio: int | None = None


@dataclass(frozen=True)
class Board:
    """One board. `sections` are the file's tables, checked."""

    id: str  # the file's name, and that of the generated header's folder
    name: str
    short_name: str  # at most 24 ASCII characters: what HelloAck carries
    module: str
    url: str
    usb_ids: tuple[tuple[int, int], ...]
    usb_shared: bool  # other kinds of devices have these ids too: a host must not open one unasked
    sections: dict[str, dict[str, Any]]
    reserved: dict[int, str]
    labels: dict[int, str]

    def fitted(self, part: str) -> bool:
        """Whether the board's firmware drives `part`: a section of the file."""
        section = self.sections.get(part)
        return section is not None and section.get("kind") != "none"

    def pins(self) -> dict[int, str]:
        """GPIO number -> what it is used for, such as "camera data 3"."""
        used: dict[int, str] = {}
        for section, keys in PIN_KEYS.items():
            if section not in self.sections:
                continue
            for key in keys:
                value = self.sections[section].get(key, NO_PIN)
                numbers = value if isinstance(value, list) else [value]
                for bit, number in enumerate(numbers):
                    use = f"{section} {key}" + (f" {bit}" if isinstance(value, list) else "")
                    self._take(used, number, use)
        return used

    def _take(self, used: dict[int, str], number: object, use: str) -> None:
        if number == NO_PIN:
            return
        if not isinstance(number, int) or number not in PINS:
            raise BoardError(f"{self.id}: {use}: {number} is no pin of an ESP32-S3")
        if number in self.reserved:
            raise BoardError(f"{self.id}: {use}: GPIO {number} is reserved ({self.reserved[number]})")
        if number in used:
            raise BoardError(f"{self.id}: GPIO {number} is used twice: {used[number]} and {use}")
        used[number] = use

    def wires(self) -> list[Wire]:
        """What has to be soldered, in the order in which one would."""
        out: list[Wire] = []
        microphone = self.sections.get("microphone", {})
        if self.fitted("microphone") and microphone.get("external"):
            part = "PDM microphone"
            out += [self._gpio(part, "CLK", microphone["clk"]), self._gpio(part, "DAT", microphone["data"])]
            out += [Wire(part, "3V", "3V3"), Wire(part, "GND", "GND"), Wire(part, "SEL", "GND")]
        if self.fitted("speaker"):
            speaker, part = self.sections["speaker"], "MAX98357A"
            for pin, key in (("BCLK", "bclk"), ("LRC", "ws"), ("DIN", "din"), ("SD", "enable")):
                if speaker[key] != NO_PIN:
                    out.append(self._gpio(part, pin, speaker[key]))
            out += [Wire(part, "VIN", "5V"), Wire(part, "GND", "GND")]
            out += [Wire("bone transducer", sign, f"{part} OUT{sign}") for sign in "+-"]
        if "button" in self.sections:
            out += [self._gpio("button", "1", self.sections["button"]["pin"]), Wire("button", "2", "GND")]
        return out

    def _gpio(self, part: str, pin: str, number: int) -> Wire:
        label = self.labels.get(number)
        return Wire(part, pin, f"GPIO {number}" + (f" ({label})" if label else ""), number)


def parse_board(board_id: str, table: dict[str, Any]) -> Board:
    """Check one file's content. Raises BoardError."""
    try:
        board = Board(
            id=board_id,
            name=table["name"],
            short_name=table["short_name"],
            module=table["module"],
            url=table["url"],
            usb_ids=tuple(_usb_id(text) for text in table["usb"]["ids"]),
            usb_shared=bool(table["usb"].get("shared", False)),
            sections={k: v for k, v in table.items() if isinstance(v, dict) and k not in ("usb", "reserved", "labels")},
            reserved={int(pin): why for pin, why in table.get("reserved", {}).items()},
            labels={int(pin): label for pin, label in table.get("labels", {}).items()},
        )
        _check(board)
        board.pins()
        board.wires()
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BoardError):
            raise
        missing = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise BoardError(f"{board_id}: {missing}") from error
    return board


def _usb_id(text: str) -> tuple[int, int]:
    vendor, product = text.split(":")
    return int(vendor, 16), int(product, 16)


def _check(board: Board) -> None:
    if not (board.short_name.isascii() and 0 < len(board.short_name) <= MAX_NAME_CHARS):
        raise BoardError(f"{board.id}: a short name has 1 to {MAX_NAME_CHARS} ASCII characters")
    unknown = sorted(board.sections.keys() - {*PIN_KEYS, *KINDS})
    if unknown:
        raise BoardError(f"{board.id}: there is no section {unknown[0]!r}")
    if board.sections["link"]["transport"] not in TRANSPORTS:
        raise BoardError(f"{board.id}: the transport is one of {', '.join(TRANSPORTS)}")
    for section, kinds in KINDS.items():
        if section in board.sections and board.sections[section]["kind"] not in kinds:
            raise BoardError(f"{board.id}: {section}: the kind is one of {', '.join(kinds)}")
    camera = board.sections.get("camera", {})
    if board.fitted("camera") and len(camera["data"]) != DATA_BITS:
        raise BoardError(f"{board.id}: a camera has {DATA_BITS} data pins")
    if board.fitted("camera") and camera["frame_size"] not in FRAME_SIZES:
        raise BoardError(f"{board.id}: the frame size is one of {', '.join(FRAME_SIZES)}")


@cache
def boards() -> tuple[Board, ...]:
    """Every board of this package, by id. Raises BoardError."""
    import tomllib

    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise BoardError(f"{path.name}: {error}") from error
        found.append(parse_board(path.stem, table))
    return tuple(found)
