"""PROTOCOL.md against the program: every octet, every table and every number that it states."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cobs import cobs  # type: ignore[import-untyped]

from lorgnette.firmware_bridge import messages
from lorgnette.firmware_bridge.codec import message_of, payload_of
from lorgnette.firmware_bridge.frame import Frame, FrameReader
from lorgnette.firmware_bridge.messages import MAX_PAYLOAD_BYTES, Flag, Message

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "firmware_bridge/PROTOCOL.md").read_text(encoding="utf-8")
SCHEMA = tomllib.loads((ROOT / "firmware_bridge/schema.toml").read_text(encoding="utf-8"))

EXAMPLE = re.compile(
    r"^(?P<way>->|<-) (?P<name>\w+)\((?P<fields>[^)]*)\)\n"
    r" +session=(?P<session>\w+) seq=(?P<seq>\d+) flags=(?P<flags>\w+)\n"
    r"(?P<octets>(?: +(?:[0-9a-f]{2} ?)+\n)+)",
    re.MULTILINE,
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def examples() -> Iterator[re.Match[str]]:
    for block in blocks("wire"):
        yield from EXAMPLE.finditer(block)


EXAMPLES = list(examples())


def value_of(text: str, default: object) -> Any:
    if isinstance(default, bytes):
        return b"" if text == '""' else bytes.fromhex(text)
    return text.strip('"') if isinstance(default, str) else int(text, 0)


def message_in(example: re.Match[str]) -> Message:
    kind: type[Message] = getattr(messages, example["name"])
    pairs = (pair.split("=", 1) for pair in re.split(r",\s+", example["fields"].strip()))
    return kind(**{name: value_of(text, getattr(kind(), name)) for name, text in pairs})


def table_rows(heading: str) -> list[list[str]]:
    """The rows of the table whose first line begins so."""
    match = re.search(rf"^\| {heading} \|[^\n]*\n\|[-|]+\|\n((?:\|[^\n]*\n)+)", DOCUMENT, re.MULTILINE)
    assert match, f"no table that begins with {heading}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in match[1].splitlines()]


def test_the_examples_are_all_read() -> None:
    """The pattern above skips nothing: what stands in the blocks is what was matched."""
    text = "".join(re.sub(r"\s", "", block) for block in blocks("wire"))
    assert text == "".join(re.sub(r"\s", "", example[0]) for example in EXAMPLES)
    assert len(EXAMPLES) > 20


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e["name"])
def test_example(example: re.Match[str]) -> None:
    message = message_in(example)
    octets = bytes.fromhex(example["octets"])
    session, seq, flags = int(example["session"], 16), int(example["seq"]), int(example["flags"], 16)
    assert Frame(type(message).CHANNEL or 0, Flag(flags), seq, session, payload_of(message)).encode() == octets
    ((frame, _),) = FrameReader().receive(octets)
    assert frame is not None
    assert message_of(frame) == message
    assert (frame.session, frame.seq, frame.flags) == (session, seq, flags)
    assert {f.name for f in dataclasses.fields(message)} == set(re.findall(r"(\w+)=", example["fields"]))  # type: ignore[arg-type]
    sender = next(m["from"] for m in SCHEMA["message"] if m["name"] == example["name"])
    assert sender in ("both", "host" if example["way"] == "->" else "frame")


def test_the_cobs_examples() -> None:
    (block,) = blocks("cobs")
    pairs = re.findall(r"raw +([0-9a-f ]+)\ncobs +([0-9a-f ]+)\n", block)
    assert len(pairs) == block.count("raw")
    for raw, stuffed in pairs:
        assert cobs.encode(bytes.fromhex(raw)) == bytes.fromhex(stuffed)
        assert cobs.decode(bytes.fromhex(stuffed)) == bytes.fromhex(raw)


def test_the_crc() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926
    assert "CBF43926" in DOCUMENT


def test_the_sizes_of_a_frame() -> None:
    longest = Frame(1, 1, 0x0101, 0x0101, b"\1" * MAX_PAYLOAD_BYTES).encode()
    shortest = Frame(1, 1, 0x0101, 0x0101, b"").encode()
    assert f"{len(shortest) - 1} .. {len(longest) - 1} octets, no 00" in DOCUMENT


def fields_of(fields: list[list[str]]) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in fields) or "none"


def test_the_table_of_messages() -> None:
    assert table_rows("message") == [
        [f"`{m['name']}`", m["channel"], str(m.get("id", "")), m["from"], fields_of(m["fields"])]
        for m in SCHEMA["message"]
    ]


def test_the_table_of_methods() -> None:
    assert table_rows("method") == [
        [f"`{m['name']}`", str(m["id"]), fields_of(m["args"]), fields_of(m["result"])] for m in SCHEMA["method"]
    ]


def test_the_table_of_enums() -> None:
    assert table_rows("name") == [
        [f"`{name}`", ", ".join(f"{number} {word}" for word, number in members.items())]
        for name, members in SCHEMA["enums"].items()
    ]


def test_the_table_of_channels() -> None:
    assert {row[0]: int(row[1]) for row in table_rows("channel")} == SCHEMA["channels"]


def test_the_table_of_constants() -> None:
    assert {row[0].strip("`"): int(row[1]) for row in table_rows("constant")} == SCHEMA["protocol"]


def test_flags_and_capabilities() -> None:
    for name, value in SCHEMA["flags"].items():
        assert f"{value:02x} {name.replace('_', ' ')}" in DOCUMENT.lower().replace("ack_req", "ack req")
    for name, bit in SCHEMA["capabilities"].items():
        assert f"{bit} {name.replace('_', ' ')}" in re.sub(r"\s+", " ", DOCUMENT)


def test_the_links_inside_the_document() -> None:
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", DOCUMENT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", DOCUMENT)) <= anchors
    for target in re.findall(r"\]\(([^#)][^)]*)\)", DOCUMENT):
        assert (ROOT / "firmware_bridge" / target).exists()
