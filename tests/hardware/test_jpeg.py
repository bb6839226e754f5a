"""Where a picture ends in a camera's buffer: at its own first EOI, and nowhere when it is none."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.firmware_bridge.simulator.picture import built_in_picture

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
NOT_JPEG = -2


def segment(marker: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


APP0 = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
SOF = segment(0xC0, b"\x08\0\x08\0\x08\1\1\x11\0")
SOS = segment(0xDA, b"\1\1\0\0\x3f\0")
CODED = b"\x12\x34\xff\0\x56"
SCAN = SOS + CODED
PLAIN = SOI + APP0 + SOF + SCAN + EOI
THUMBNAIL = SOI + SOF + SOS + b"thumb\xff\0nail" + EOI


@pytest.fixture(scope="module")
def length(native: Any) -> Any:
    """frame_jpeg_length() of some octets; what lies behind them must make no difference."""
    lib, _ = native

    def measure(data: bytes) -> int:
        found = {int(lib.frame_jpeg_length(data + behind, len(data))) for behind in (b"\0" * 8, EOI * 4, b"\xff" * 8)}
        assert len(found) == 1, "it looked behind the end"
        return found.pop()

    return measure


GOOD = {
    "plain": PLAIN,
    "the smallest": SOI + segment(0xDA) + EOI,
    "an empty scan": SOI + SOS + EOI,
    "markers' octets in a segment": SOI + segment(0xFE, SOI + SOS + EOI + b"\xff" * 9) + SCAN + EOI,
    "a thumbnail": SOI + segment(0xE1, b"Exif\0\0" + THUMBNAIL) + SOF + SCAN + EOI,
    "a thumbnail with a thumbnail": SOI + segment(0xE1, SOI + segment(0xE1, THUMBNAIL) + SCAN + EOI) + SCAN + EOI,
    "thumbnails in several segments": SOI + 3 * segment(0xE2, THUMBNAIL) + SCAN + EOI,
    "the longest segment": SOI + segment(0xE1, EOI * 32_766 + b"x") + SCAN + EOI,
    "stuffed zeros": SOI + SOS + b"\xff\0" * 50 + EOI,
    "restart markers": SOI
    + segment(0xDD, b"\0\1")
    + SOS
    + b"".join(CODED + bytes([0xFF, 0xD0 + i % 8]) for i in range(20))
    + EOI,
    "restart markers in a row": SOI + SOS + b"".join(bytes([0xFF, 0xD0 + i]) for i in range(8)) + EOI,
    "two scans": SOI + SOF + SCAN + segment(0xC4, b"table") + SCAN + EOI,
    "a scan behind a scan": SOI + SOF + SCAN + SCAN + EOI,
    "the number of lines behind a scan": SOI + SOF + SCAN + segment(0xDC, b"\0\x08") + EOI,
    "fill before a marker": SOI + b"\xff\xff\xff" + APP0 + b"\xff" + SCAN + b"\xff\xff" + EOI,
    "fill before EOI": SOI + SCAN + b"\xff" * 40 + EOI,
    "fill behind stuffing": SOI + SOS + b"\xff\0\xff\xff\0" + EOI,
    "fill before a restart": SOI + SOS + b"a\xff\xff\xd0b" + EOI,
    "a marker that stands alone": SOI + b"\xff\x01" + SCAN + EOI,
    "a segment without content": SOI + segment(0xFE) + SCAN + EOI,
}

BAD = {
    "nothing": b"",
    "one octet": b"\xff",
    "SOI": SOI,
    "SOI and EOI": SOI + EOI,
    "no scan": SOI + APP0 + SOF + EOI,
    "no SOI": PLAIN[2:],
    "shifted": b"\0" + PLAIN,
    "SOI twice": SOI + PLAIN,
    "no EOI": PLAIN[:-2],
    "half an EOI": PLAIN[:-1],
    "EOI within a segment only": SOI + SCAN + segment(0xFE, EOI),
    "another picture instead of EOI": PLAIN[:-2] + PLAIN,
    "a segment of length 0": SOI + b"\xff\xe0\0\0" + SCAN + EOI,
    "a segment of length 1": SOI + b"\xff\xe0\0\1" + SCAN + EOI,
    "a segment beyond the end": SOI + b"\xff\xe0\xff\xff" + SCAN + EOI,
    "a segment without length": SOI + b"\xff\xe0",
    "half a length": SOI + b"\xff\xe0\0",
    "octets between segments": SOI + APP0 + b"\0" + SCAN + EOI,
    "a stuffed zero outside a scan": SOI + b"\xff\0" + SCAN + EOI,
    "a restart outside a scan": SOI + b"\xff\xd0" + SCAN + EOI,
    "zeros": bytes(100),
    "ones": b"\xff" * 100,
    "only fill": SOI + b"\xff" * 100,
    "text": b"GIF89a and so on",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_ends_with_its_eoi(length: Any, name: str) -> None:
    data = GOOD[name]
    assert length(data) == len(data)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_whole_picture(length: Any, name: str) -> None:
    assert length(BAD[name]) == NOT_JPEG


@pytest.mark.parametrize("name", GOOD)
def test_whatever_follows_is_cut_off(length: Any, name: str) -> None:
    data = GOOD[name]
    for behind in (b"\0" * 7, EOI, SOI, PLAIN, b"\xff" * 3, data, bytes(range(256))):
        assert length(data + behind) == len(data)


@pytest.mark.parametrize("name", [name for name, data in GOOD.items() if len(data) < 1000])
def test_no_beginning_of_a_picture_is_one(length: Any, name: str) -> None:
    data = GOOD[name]
    assert {length(data[:cut]) for cut in range(len(data))} == {NOT_JPEG}


def test_the_simulated_cameras_own(length: Any) -> None:
    assert length(built_in_picture() * 3) == len(built_in_picture())


# ---- as others write them
def saved(mode: str = "RGB", size: tuple[int, int] = (97, 61), **options: Any) -> bytes:
    """A noisy picture, as Pillow writes it."""
    from PIL import Image

    noise = Image.effect_noise(size, 90).convert(mode)
    out = io.BytesIO()
    noise.save(out, "JPEG", **options)
    return out.getvalue()


WRITTEN: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimized": {"optimize": True},
    "grey": {"mode": "L"},
    "four colours": {"mode": "CMYK"},
    "best": {"quality": 100, "subsampling": 0},
    "worst": {"quality": 1},
    "restart markers": {"restart_marker_blocks": 1},
    "progressive with restart markers": {"progressive": True, "restart_marker_blocks": 2},
    "comment": {"comment": SOI + EOI + b"\xff\xff"},
    "colour profile of several segments": {"icc_profile": EOI * 50_000},
    "Exif thumbnail": {"exif": b"Exif\0\0" + THUMBNAIL},
    "Exif thumbnail of Pillow's": {"exif": b"Exif\0\0" + saved(size=(16, 16))},
    "one pixel": {"size": (1, 1)},
    "large": {"size": (1600, 1200), "quality": 95},
}


@pytest.mark.parametrize("name", WRITTEN)
def test_files_of_an_encoder(length: Any, name: str) -> None:
    data = saved(**WRITTEN[name])
    assert data.endswith(EOI)
    if "restart" in name:
        assert b"\xff\xd1" in data
    if "progressive" in name:
        assert data.count(b"\xff\xda") > 2
    if "thumbnail" in name:
        assert data.count(SOI) == 2
    assert length(data) == len(data)
    assert length(data + data) == len(data)
    assert length(data + bytes(64)) == len(data)
    assert length(data[:-2]) == NOT_JPEG
    assert length(data[:-2] + data) == NOT_JPEG


def test_a_file_of_several_pictures_is_cut_behind_the_first(length: Any) -> None:
    from PIL import Image

    pictures = [Image.effect_noise((64, 48), 50 + i).convert("RGB") for i in range(3)]
    out = io.BytesIO()
    pictures[0].save(out, "MPO", save_all=True, append_images=pictures[1:])
    data = out.getvalue()
    n = length(data)
    assert 0 < n < len(data) / 2
    with Image.open(io.BytesIO(data[:n])) as cut, Image.open(io.BytesIO(data)) as whole:
        assert cut.convert("RGB").tobytes() == whole.convert("RGB").tobytes()


# ---- anything
BODIES = st.one_of(st.binary(max_size=40), st.just(THUMBNAIL), st.just(EOI))
SEGMENTS = st.builds(segment, st.sampled_from([0xC0, 0xC4, 0xDB, 0xDD, 0xE0, 0xE1, 0xFE]), BODIES)
FILL = st.integers(0, 3).map(lambda n: b"\xff" * n)
COMMON_OCTETS = st.sampled_from([b"\xff\0", b"\xff\xd0", b"\xff\xd7", b"\xff\xff\0", b"a", b"\0", b"\xfe"])
CODED_DATA = st.lists(COMMON_OCTETS, max_size=20).map(b"".join)
SCANS = st.builds(lambda fill, coded: fill + SOS + coded, FILL, CODED_DATA)
PARTS = st.lists(st.one_of(SEGMENTS, SCANS), max_size=6).map(b"".join)
PICTURES = st.builds(lambda a, scan, b, fill: SOI + a + scan + b + fill + EOI, PARTS, SCANS, PARTS, FILL)


@given(data=PICTURES, behind=st.binary(max_size=40))
def test_any_picture_is_cut_at_its_end(length: Any, data: bytes, behind: bytes) -> None:
    assert length(data + behind) == len(data)


@given(data=PICTURES, cut=st.integers(0, 10_000))
def test_any_picture_without_its_end_is_none(length: Any, data: bytes, cut: int) -> None:
    assert length(data[: cut % len(data)]) == NOT_JPEG


@given(
    st.lists(
        st.one_of(st.sampled_from([SOI, EOI, SOS, SOF, CODED, b"\xff", b"\0"]), st.binary(max_size=8)), max_size=20
    )
)
def test_anything_at_all(length: Any, pieces: list[bytes]) -> None:
    """What is found is a whole picture: it begins with SOI, ends with EOI, and is found again when it is alone."""
    data = b"".join(pieces)
    n = length(data)
    if n != NOT_JPEG:
        found = data[:n]
        assert found.startswith(SOI)
        assert found.endswith(EOI)
        assert b"\xff\xda" in found
        assert length(found) == n
