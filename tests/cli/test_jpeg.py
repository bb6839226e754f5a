"""Pictures from a frame are looked at before anybody decodes them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorgnette.cli.jpeg import jpeg_size
from lorgnette.firmware_bridge.simulator.camera import ImageCamera


def picture() -> bytes:
    camera = ImageCamera()
    camera.start()
    return camera.take()


PICTURE = picture()
HEAD = b"\xff\xd8"
END = b"\xff\xd9"


def frame_header(height: int, width: int) -> bytes:
    return b"\xff\xc0\x00\x0b\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\x00"


def test_a_picture_has_its_size() -> None:
    assert jpeg_size(PICTURE) == (256, 192)
    assert jpeg_size(HEAD + b"\xff\xff" + frame_header(3, 7) + END) == (7, 3)  # a fill octet before a marker


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no JPEG"),
        (b"GIF89a", "no JPEG"),
        (PICTURE[:-1], "cut off"),
        (PICTURE[: len(PICTURE) // 2], "cut off"),
        (HEAD + END, "without a picture"),
        (HEAD + b"\xff\xe0\xff\xff" + END, "runs past its end"),
        (HEAD + b"\xff\xe0\x00\x01" + END, "runs past its end"),
        (HEAD + b"\x00\xe0\x00\x02" + END, "broken marker"),
        (HEAD + b"\xff\xc0\x00\x04\x08\x00" + END, "broken frame header"),
        (HEAD + frame_header(65535, 65535) + END, "65535 x 65535"),
        (HEAD + frame_header(0, 100) + END, "cannot be right"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        jpeg_size(data)


@given(st.binary(max_size=200), st.integers(0, len(PICTURE)))
def test_no_octets_break_it(noise: bytes, at: int) -> None:
    for data in (noise, HEAD + noise + END, PICTURE[:at] + noise + PICTURE[at + len(noise) :]):
        with contextlib.suppress(ValueError):
            width, height = jpeg_size(data)
            assert width * height > 0
