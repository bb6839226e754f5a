"""Every message of the schema: round trip, short and long payloads, hostile text, and the append-only vectors."""

from __future__ import annotations

import dataclasses
import json
import struct
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.firmware_bridge import messages
from lorgnette.firmware_bridge.codec import message_of, payload_of, summary_of
from lorgnette.firmware_bridge.frame import Frame
from lorgnette.firmware_bridge.messages import (
    MAX_PAYLOAD_BYTES,
    TYPED,
    UNTYPED,
    Channel,
    Credit,
    HighestSent,
    Message,
)

ROOT = Path(__file__).parents[2]
SCHEMA = tomllib.loads((ROOT / "firmware_bridge/schema.toml").read_text(encoding="utf-8"))
VECTORS = json.loads((ROOT / "tests/vectors/messages.json").read_text(encoding="utf-8"))


def schema_records() -> dict[str, list[list[str]]]:
    """Name of every record on the wire -> its fields, read from the schema independently of the generator."""
    records = {m["name"]: m["fields"] for m in SCHEMA["message"]}
    for method in SCHEMA["method"]:
        records |= {method["name"] + part: method[key] for part, key in (("Args", "args"), ("Result", "result"))}
    return {name: fields for name, fields in records.items() if fields}


RECORDS = schema_records()


def values_of(fields: list[list[str]]) -> st.SearchStrategy[dict[str, Any]]:
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "u8": st.integers(0, 2**8 - 1),
        "u16": st.integers(0, 2**16 - 1),
        "u32": st.integers(0, 2**32 - 1),
        "tail": st.binary(max_size=40),
        "bytes8": st.binary(min_size=8, max_size=8),
        "text16": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=16),
        "text24": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=24),
    }
    return st.fixed_dictionaries({name: kinds[kind] for name, kind in fields})


@pytest.mark.parametrize("name", RECORDS)
@given(data=st.data())
def test_round_trip(name: str, data: st.DataObject) -> None:
    kind: type[Message] = getattr(messages, name)
    message = kind(**data.draw(values_of(RECORDS[name])))
    packed = message.pack()
    assert kind.unpack(packed) == message
    has_tail = RECORDS[name][-1][1] == "tail"
    assert (kind.unpack(packed + b"later fields") == message) is not has_tail
    assert kind.unpack(packed[:1]).pack()[:1] == packed[:1]  # short: what is missing reads as zeros
    if kind.CHANNEL is not None:
        frame = Frame(kind.CHANNEL, 0, 1, 1, payload_of(message))
        assert message_of(frame) == message
        assert name in summary_of(frame)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Credit(Channel.SPEAKER, 14), "Credit speaker 14"),
        (HighestSent(Channel.BULK_UP, 65535), "HighestSent bulk_up 65535"),
        (Credit(99, 1), "Credit 99 1"),
    ],
)
def test_credit_names_its_channel(message: Message, text: str) -> None:
    assert summary_of(Frame(Channel.LINK, 0, 1, 1, payload_of(message))) == text


def test_every_message_is_reachable_by_its_octets() -> None:
    reachable = {kind.__name__ for kind in (*TYPED.values(), *UNTYPED.values())}
    assert reachable == {m["name"] for m in SCHEMA["message"]}


@given(st.integers(0, 255), st.binary(max_size=MAX_PAYLOAD_BYTES))
def test_any_payload_can_be_looked_at(channel: int, payload: bytes) -> None:
    frame = Frame(channel, 0, 1, 1, payload)
    message = message_of(frame)
    assert summary_of(frame)
    if message is not None:
        assert type(message).unpack(message.pack()) == message


@given(st.binary(min_size=24, max_size=24))
def test_text_from_the_frame_cannot_act_on_a_terminal(raw: bytes) -> None:
    name = messages.HelloAck.unpack(messages.HelloAck(name="x").pack()[:-24] + raw).name
    assert name.isprintable() and name.isascii()


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(struct.error):
        messages.Ping(2**32).pack()


# ---- tests/vectors/messages.json: append-only, also read by the C tests
def test_the_vectors_name_every_record() -> None:
    assert {vector["message"] for vector in VECTORS["messages"]} == set(RECORDS)


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda v: v["name"])
def test_vector(vector: dict[str, Any]) -> None:
    kind: type[Message] = getattr(messages, vector["message"])
    fields = {
        key: bytes.fromhex(value) if isinstance(getattr(kind(), key), bytes) else value
        for key, value in vector["fields"].items()
    }
    message = kind(**fields)
    names = [f.name for f in dataclasses.fields(message)]  # type: ignore[arg-type]
    assert list(fields) == names[: len(fields)]
    payload = bytes.fromhex(vector["payload"])
    added = len(payload_of(message)) - len(payload)  # octets of fields that came with a later version
    assert payload_of(message) == payload + bytes(added)
    assert kind.unpack(payload if kind.TYPE is None else payload[1:]) == message
    if "wire" in vector:
        frame = Frame(kind.CHANNEL or 0, vector["flags"], vector["seq"], vector["session"], payload)
        assert frame.encode().hex() == vector["wire"]
        assert Frame.decode(bytes.fromhex(vector["wire"])[:-1]) == frame
        assert message_of(frame) == message


@pytest.mark.parametrize("vector", VECTORS["framing"], ids=lambda v: v["name"])
def test_framing_vector(vector: dict[str, Any]) -> None:
    frame = Frame.decode(bytes.fromhex(vector["segment"]))
    if vector["frame"] is None:
        assert frame is None
    else:
        expected = vector["frame"]
        payload = bytes.fromhex(expected["payload"])
        assert frame == Frame(expected["channel"], expected["flags"], expected["seq"], expected["session"], payload)
        assert frame.encode().hex() == vector["segment"] + "00"
