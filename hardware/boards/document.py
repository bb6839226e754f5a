"""A board's wiring for people: a table and a drawing (SVG), both from the board's data.

Knows how a drawing is laid out; which wires there are is the board's business. Part of the build-time tool.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

ROW, TOP, PAD = 26, 64, 14
BOARD_X, BOARD_W = 20, 220
PART_X, PART_W = 420, 190
THIRD_X, THIRD_W = 790, 150
COLOURS = {"5V": "#c62828", "3V3": "#e57c00", "GND": "#222222"}
SIGNALS = ("#1565c0", "#2e7d32", "#6a1b9a", "#00838f", "#ad1457", "#4e342e")


def pin_table(board: Any) -> str:
    """Every pin that the firmware drives, in Markdown."""
    rows = [f"| {number} | {board.labels.get(number, '')} | {use} |" for number, use in sorted(board.pins().items())]
    return "\n".join(["| GPIO | on the board | use |", "|--:|---|---|", *rows])


def wire_table(board: Any) -> str:
    """What has to be soldered, in Markdown."""
    rows = [f"| {wire.part} | {wire.pin} | {wire.to} |" for wire in board.wires()]
    return "\n".join(["| part | its pin | goes to |", "|---|---|---|", *rows])


def drawing(board: Any) -> str:
    """The same wires as an SVG: the board on the left, the parts on the right, one row each."""
    wires = board.wires()
    to_board = [w for w in wires if w.gpio is not None or w.to in COLOURS]
    to_part = [w for w in wires if w not in to_board]
    out: list[str] = []
    boxes: dict[str, list[int]] = {}
    y, last = TOP, ""
    at: dict[tuple[str, str], int] = {}
    for i, wire in enumerate(to_board):
        if wire.part != last:
            y += ROW if last else 0
            last = wire.part
        boxes.setdefault(wire.part, []).append(y)
        at[wire.part, wire.pin] = y
        colour = COLOURS.get(wire.to, SIGNALS[i % len(SIGNALS)])
        out += _line(BOARD_X + BOARD_W, PART_X, y, colour)
        out += [_text(BOARD_X + BOARD_W - PAD, y, wire.to, "end"), _text(PART_X + PAD, y, wire.pin)]
        y += ROW
    for wire in to_part:  # a part's pin goes to another part's, such as a loudspeaker's to its amplifier
        host, pin = wire.to.rsplit(" ", 1)
        row = boxes[host][0] + ROW * sum(w.to.rsplit(" ", 1)[0] == host for w in to_part[: to_part.index(wire)])
        boxes.setdefault(wire.part, []).append(row)
        out += _line(PART_X + PART_W, THIRD_X, row, SIGNALS[3])
        out += [_text(PART_X + PART_W - PAD, row, pin, "end"), _text(THIRD_X + PAD, row, wire.pin)]
    third = {wire.part for wire in to_part}
    frames = [_box(BOARD_X, BOARD_W, [TOP, y - ROW], board.name)]
    frames += [
        _box(THIRD_X if part in third else PART_X, THIRD_W if part in third else PART_W, rows, part)
        for part, rows in boxes.items()
    ]
    width, height = THIRD_X + THIRD_W + 20, y + PAD
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="Wiring of {escape(board.name)}">'
    )
    background = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, background, *frames, *out, "</svg>", ""])


def _line(x1: int, x2: int, y: int, colour: str) -> list[str]:
    return [
        f'<path d="M{x1} {y}H{x2}" stroke="{colour}" stroke-width="2.5" fill="none"/>',
        *(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x in (x1, x2)),
    ]


def _text(x: int, y: int, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y + 4}" text-anchor="{anchor}">{escape(text)}</text>'


def _box(x: int, width: int, rows: list[int], title: str) -> str:
    top, bottom = min(rows) - ROW // 2, max(rows) + ROW // 2
    return (
        f'<rect x="{x}" y="{top}" width="{width}" height="{bottom - top}" rx="6" fill="#f5f5f5" stroke="#555555"/>'
        f'<text x="{x + width / 2:g}" y="{top - 6}" text-anchor="middle" font-weight="bold">{escape(title)}</text>'
    )
