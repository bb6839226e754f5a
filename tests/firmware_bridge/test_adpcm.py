"""IMA ADPCM: Python, the frame's C and the standard agree in every bit, and speech survives it."""

from __future__ import annotations

import math
import random
import warnings
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.frame_builds import load_vectors

from lorgnette.firmware_bridge.adpcm import LAST_INDEX, AdpcmState, decode, encode
from lorgnette.firmware_bridge.messages import ADPCM_BLOCK_BYTES, FRAME_SAMPLES

VECTORS = load_vectors("adpcm.json")
CANARY = 1111
GLINK_ERR_FORMAT = -2

samples = st.one_of(
    st.lists(st.integers(-32768, 32767), max_size=40),
    st.lists(st.sampled_from([-32768, -32767, -1, 0, 1, 32766, 32767]), max_size=40),
    st.integers(0, 2**32).map(lambda seed: [random.Random(seed + i).randrange(-32768, 32768) for i in range(320)]),
)
states = st.builds(AdpcmState, st.integers(-32768, 32767), st.integers(0, LAST_INDEX))
blocks = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda state, body: state.predictor.to_bytes(2, "little", signed=True) + bytes((state.step_index, 0)) + body,
        states,
        st.binary(max_size=160),
    ),
)


def s16(values: list[int]) -> bytes:
    return b"".join(value.to_bytes(2, "little", signed=True) for value in values)


def numbers(pcm: bytes) -> list[int]:
    return [int.from_bytes(pcm[i : i + 2], "little", signed=True) for i in range(0, len(pcm), 2)]


def in_c_encoded(native: Any, pcm: bytes, state: AdpcmState) -> tuple[bytes, AdpcmState]:
    lib, ffi = native
    after = ffi.new("glink_adpcm_t *", tuple(state))
    block = ffi.new("uint8_t[]", ADPCM_BLOCK_BYTES)
    n = lib.glink_adpcm_encode(after, ffi.new("int16_t[]", numbers(pcm)), len(pcm) // 2, block)
    return ffi.buffer(block, n)[:], AdpcmState(after.predictor, after.index)


def in_c_decoded(native: Any, block: bytes) -> bytes | None:
    """What C makes of a block; None when it refuses."""
    lib, ffi = native
    out = ffi.new("int16_t[]", [CANARY] * (FRAME_SAMPLES + 1))
    n = lib.glink_adpcm_decode(ffi.from_buffer(block), len(block), out)
    assert out[max(n, 0)] == CANARY
    if n < 0:
        assert n == GLINK_ERR_FORMAT
        return None
    return s16(list(out[0:n]))


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=[v["name"] for v in VECTORS["vectors"]])
def test_vectors(vector: dict[str, Any]) -> None:
    pcm, block, decoded = (bytes.fromhex(vector[key]) for key in ("pcm", "block", "decoded"))
    before = AdpcmState(vector["predictor"], vector["index"])
    assert encode(pcm, before) == (block, AdpcmState(vector["predictor_after"], vector["index_after"]))
    assert decode(block) == decoded
    for cut in range(4, len(block)):
        assert decode(block[:cut]) == decoded[: 4 * (cut - 4)]


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=[v["name"] for v in VECTORS["refused"]])
def test_blocks_that_are_none(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no ADPCM block"):
        decode(bytes.fromhex(vector["block"]))


@pytest.mark.parametrize("pcm", [b"\0", bytes(639), bytes(642)])
def test_what_is_no_audio_frame_is_not_encoded(pcm: bytes) -> None:
    with pytest.raises(ValueError, match="not the samples of an AudioFrame"):
        encode(pcm, AdpcmState())


@given(samples, states)
def test_python_encodes_as_c_does(native: Any, values: list[int], state: AdpcmState) -> None:
    assert encode(s16(values), state) == in_c_encoded(native, s16(values), state)


@given(blocks)
def test_python_decodes_as_c_does(native: Any, block: bytes) -> None:
    in_c = in_c_decoded(native, block)
    if in_c is None:
        with pytest.raises(ValueError, match="no ADPCM block"):
            decode(block)
    else:
        assert decode(block) == in_c


@given(samples, states)
def test_the_encoder_knows_what_the_decoder_hears(values: list[int], state: AdpcmState) -> None:
    block, after = encode(s16(values), state)
    heard = decode(block)
    assert len(heard) // 2 == len(values) + len(values) % 2
    assert after.predictor == (numbers(heard)[-1] if heard else state.predictor)


@given(samples, states)
def test_the_standard_library_agrees(values: list[int], state: AdpcmState) -> None:
    """`audioop` (until Python 3.12) puts the first sample in the high half and has no blocks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="Python 3.13 dropped audioop")
    even = s16(values + [0] * (len(values) % 2))
    reference, after = audioop.lin2adpcm(even, 2, tuple(state))
    block, ours = encode(s16(values), state)
    assert bytes(octet >> 4 | (octet & 15) << 4 for octet in block[4:]) == reference
    assert tuple(ours) == after
    assert decode(block) == audioop.adpcm2lin(reference, 2, tuple(state))[0]


def voice(seconds: int) -> list[int]:
    """Like speech: a pitch that glides, formants that move, syllables and pauses, a little breath."""
    rng = random.Random(5)
    made, phase = array("h"), 0.0
    for i in range(16_000 * seconds):
        t = i / 16_000
        pitch = 120 + 30 * math.sin(2 * math.pi * 0.7 * t)
        phase += 2 * math.pi * pitch / 16_000
        formants = (500 + 250 * math.sin(2 * math.pi * 2.1 * t), 1500 + 400 * math.sin(2 * math.pi * 1.3 * t), 2500)
        sound = sum(
            math.sin(harmonic * phase) * sum(math.exp(-(((harmonic * pitch - f) / 150) ** 2)) for f in formants)
            for harmonic in range(1, 28)
        )
        syllable = max(0.0, math.sin(2 * math.pi * 1.9 * t))
        made.append(round(6000 * syllable * sound / 3 + rng.gauss(0, 20)))
    return made.tolist()


def blocks_of(values: list[int]) -> list[bytes]:
    state, made = AdpcmState(), []
    for at in range(0, len(values), FRAME_SAMPLES):
        block, state = encode(s16(values[at : at + FRAME_SAMPLES]), state)
        made.append(block)
    return made


def test_speech_survives() -> None:
    """20 dB is what four bits a sample can be asked for where the step has to follow a voice."""
    said = voice(2)
    heard = numbers(b"".join(map(decode, blocks_of(said))))
    noise = sum((a - b) ** 2 for a, b in zip(said, heard, strict=True))
    assert 10 * math.log10(sum(a * a for a in said) / noise) > 20


def test_decoding_starts_at_any_block() -> None:
    """A block's head is what a decoder that heard everything before it has come to."""
    state = AdpcmState()
    said = voice(1)
    for at in range(0, len(said), FRAME_SAMPLES):
        block, after = encode(s16(said[at : at + FRAME_SAMPLES]), state)
        assert len(block) == ADPCM_BLOCK_BYTES
        assert block[:4] == state.predictor.to_bytes(2, "little", signed=True) + bytes((state.step_index, 0))
        assert numbers(decode(block))[-1] == after.predictor
        state = after
