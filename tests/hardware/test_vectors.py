"""The codec's vectors, in Python and in C: append-only tables, every output buffer length, a canary behind it."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from cobs import cobs  # type: ignore[import-untyped]
from tests.support.frame_builds import load_vectors

COBS = load_vectors("cobs.json")["vectors"]
CRC = load_vectors("crc32.json")["vectors"]
CANARY = 0xC5
GLINK_ERR_SPACE = -1


@pytest.mark.parametrize("vector", COBS, ids=[v["name"] for v in COBS])
def test_cobs_in_python(vector: dict[str, str]) -> None:
    raw, encoded = bytes.fromhex(vector["raw"]), bytes.fromhex(vector["encoded"])
    assert cobs.encode(raw) == encoded
    assert cobs.decode(encoded) == raw


@pytest.mark.parametrize("vector", COBS, ids=[v["name"] for v in COBS])
def test_cobs_in_c(native: Any, vector: dict[str, str]) -> None:
    lib, ffi = native
    raw, encoded = bytes.fromhex(vector["raw"]), bytes.fromhex(vector["encoded"])
    for function, source, want in (
        (lib.glink_cobs_encode, raw, encoded),
        (lib.glink_cobs_decode, encoded, raw),
    ):
        for cap in range(len(want) + 3):
            room = bytearray([CANARY]) * (len(want) + 16)
            out = ffi.from_buffer("uint8_t[]", room)
            assert function(source, len(source), out, cap) == (len(want) if cap >= len(want) else GLINK_ERR_SPACE)
            assert room[cap:].count(CANARY) == len(room) - cap
            if cap >= len(want):
                assert room[: len(want)] == want


@pytest.mark.parametrize("vector", CRC, ids=[v["name"] for v in CRC])
def test_crc32(native: Any, vector: dict[str, str]) -> None:
    lib, _ = native
    data, crc = bytes.fromhex(vector["data"]), int(vector["crc32"], 16)
    assert zlib.crc32(data) == crc
    assert lib.glink_crc32(0, data, len(data)) == crc


def test_the_tables_reach_the_limits() -> None:
    lengths = {len(v["raw"]) // 2 for v in COBS}
    assert {0, 1, 253, 254, 255, 508, 1034} <= lengths  # block boundaries, and the longest frame
