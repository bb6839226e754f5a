"""Audio files in every shape, and files that are none."""

from __future__ import annotations

import array
import itertools
import math
import os
import struct
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from lorgnette.cli.assistant.audio import (
    SAMPLE_RATE_HZ,
    SILENCE_DBFS,
    AudioError,
    AudioFrame,
    Resampler,
    WavWriter,
    decode_audio,
    read_audio,
    rms_dbfs,
    wav_bytes,
)


def tone(
    rate_hz: int = SAMPLE_RATE_HZ, seconds: float = 0.5, level: float = 0.5, frequency_hz: float = 440
) -> list[float]:
    step = 2 * math.pi * frequency_hz / rate_hz
    return [level * math.sin(step * index) for index in range(round(rate_hz * seconds))]


def s16(samples: list[float]) -> bytes:
    return array.array("h", [round(sample * 32767) for sample in samples]).tobytes()


def riff(
    tag: int, channels: int, rate_hz: int, bits: int, data: bytes, extra: bytes = b"", size: int | None = None
) -> bytes:
    """A WAV file with any header; `size` is what it claims of its data."""
    block = channels * bits // 8
    body = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(body)) + body
    chunks += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk, padded
    chunks += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def frequency_hz(pcm: bytes) -> float:
    """By counting where the wave crosses zero upwards."""
    samples = array.array("h", pcm)
    ups = sum(a < 0 <= b for a, b in itertools.pairwise(samples))
    return ups * SAMPLE_RATE_HZ / len(samples)


def packed(samples: list[float], tag: int, bits: int) -> bytes:
    if tag == 3:
        return array.array("f" if bits == 32 else "d", samples).tobytes()
    full = 2 ** (bits - 1) - 1
    if bits == 8:
        return bytes(round(sample * full) + 128 for sample in samples)
    return b"".join(round(sample * full).to_bytes(bits // 8, "little", signed=True) for sample in samples)


@pytest.mark.parametrize(("tag", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100, 48_000])
def test_every_plain_wav_is_read(tag: int, bits: int, rate_hz: int) -> None:
    pcm = decode_audio(riff(tag, 1, rate_hz, bits, packed(tone(rate_hz), tag, bits)), "x.wav")
    assert len(pcm) // 2 == pytest.approx(8000, abs=1)
    assert frequency_hz(pcm) == pytest.approx(440, abs=4)
    assert rms_dbfs(pcm) == pytest.approx(-9.03, abs=0.1)  # half of full scale, and a sine


def test_channels_are_averaged() -> None:
    left, right = tone(), [0.0] * 8000
    both = s16([sample for pair in zip(left, right, strict=True) for sample in pair])
    pcm = decode_audio(riff(1, 2, SAMPLE_RATE_HZ, 16, both), "x.wav")
    assert len(pcm) == 16_000
    assert rms_dbfs(pcm) == pytest.approx(-15.05, abs=0.1)


def test_our_own_format_is_passed_on_to_the_bit() -> None:
    pcm = s16(tone())
    assert decode_audio(wav_bytes(pcm), "x.wav") == pcm


def test_extensible_wav() -> None:
    extra = struct.pack("<HHIH14s", 22, 16, 0, 1, b"\0" * 14)
    pcm = s16(tone())
    assert decode_audio(riff(0xFFFE, 1, SAMPLE_RATE_HZ, 16, pcm, extra), "x.wav") == pcm


@pytest.mark.parametrize("claimed", [0, 0x7FFF_F000, 0xFFFF_FFFF, 99_999])
def test_a_header_that_lies_about_the_length_is_not_believed(claimed: int) -> None:
    pcm = s16(tone())
    assert decode_audio(riff(1, 1, SAMPLE_RATE_HZ, 16, pcm, size=claimed), "x.wav") == pcm


def test_a_file_cut_in_the_middle_of_a_sample_is_read_as_far_as_it_goes() -> None:
    pcm = s16(tone())
    assert decode_audio(wav_bytes(pcm)[:-3], "x.wav") == pcm[:-4]


def test_too_loud_floats_are_clipped_and_no_numbers_are_silence() -> None:
    data = array.array("f", [2.0, -2.0, math.nan, math.inf]).tobytes()
    assert array.array("h", decode_audio(riff(3, 1, SAMPLE_RATE_HZ, 32, data), "x")).tolist() == [
        32767,
        -32768,
        0,
        32767,
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x is empty."),
        (wav_bytes(b""), "x holds no sound."),
        (wav_bytes(b"\0"), "x holds no sound."),
        (wav_bytes(b"\0\0")[:40], "x is a damaged WAV file: it has no sound data."),
        (wav_bytes(b"\0\0")[:14], "x is a damaged WAV file: it has no sound data."),
        (b"RIFF\4\0\0\0WAVEdata\2\0\0\0\0\0", "x is a damaged WAV file: it has no sound data."),
        (riff(1, 0, 16_000, 16, b"\0\0"), "x is a damaged WAV file: 0 channels at 16000 Hz."),
        (riff(1, 1, 0, 16, b"\0\0"), "x is a damaged WAV file: 1 channels at 0 Hz."),
    ],
)
def test_unusable_wav(data: bytes, message: str) -> None:
    with pytest.raises(AudioError) as caught:
        decode_audio(data, "x")
    assert str(caught.value) == message
    assert caught.value.remedy


@pytest.mark.parametrize("data", [b"hello, this is text" * 20, os.urandom(300), b"\xff\xd8\xff\xe0" + bytes(500)])
def test_what_is_no_audio_is_an_audio_error_with_a_remedy(data: bytes) -> None:
    with pytest.raises(AudioError) as caught:
        decode_audio(data, "x.bin")
    assert str(caught.value).startswith("x.bin ")
    assert "WAV" in caught.value.remedy


def test_without_a_decoder_the_sentence_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match="need ffmpeg"):
        decode_audio(b"ID3 something", "x.mp3")


def test_other_formats_are_decoded_where_pyav_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    file = tmp_path / "x.flac"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("flac", rate=48_000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=48_000)
        frame.planes[0].update(s16(tone(48_000, 1.0)))
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    monkeypatch.setenv("PATH", "")  # not by ffmpeg
    pcm = read_audio(file)
    assert len(pcm) // 2 == pytest.approx(16_000, abs=100)
    assert frequency_hz(pcm) == pytest.approx(440, abs=4)


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for ffmpeg is a shell script")
def test_other_formats_are_decoded_by_ffmpeg_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text('#!/bin/sh\necho "$@" > "$0.args"\nexec /bin/cat\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert decode_audio(b"OggS and so on!!", "x.ogg") == b"OggS and so on!!"
    arguments = (tmp_path / "ffmpeg.args").read_text().split()
    assert arguments[arguments.index("-f") :] == ["-f", "s16le", "-ac", "1", "-ar", "16000", "pipe:1"]
    stand_in.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(AudioError, match="not audio that ffmpeg can decode"):
        decode_audio(b"OggS", "x.ogg")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(AudioError) as caught:
            read_audio(path)
        assert str(caught.value).startswith(f"{path} cannot be read: ")
        assert caught.value.remedy


# ---------------------------------------------------------------- writing
def test_written_is_read_by_the_standard_library(tmp_path: Path) -> None:
    path, pcm = tmp_path / "x.wav", s16(tone())
    with WavWriter(path) as writer:
        writer.write(pcm[:1000])
        writer.write(pcm[1000:])
        assert writer.samples == 8000
    with wave.open(str(path), "rb") as file:
        assert file.getparams()[:4] == (1, 2, SAMPLE_RATE_HZ, 8000)
        assert file.readframes(8000) == pcm
    assert read_audio(path) == pcm


def test_the_file_is_whole_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    writer = WavWriter(path)
    for count in range(1, 4):
        writer.write(b"\1\2" * 320)
        assert path.read_bytes() == wav_bytes(b"\1\2" * 320 * count)
    writer.close()


def test_a_process_that_dies_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    code = (
        "import os, pathlib, sys\n"
        "from lorgnette.cli.assistant.audio import WavWriter\n"
        "writer = WavWriter(pathlib.Path(sys.argv[1]))\n"
        "writer.write(b'\\1\\2' * 16000)\n"
        "os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert read_audio(path) == b"\1\2" * 16_000


# ---------------------------------------------------------------- figures
@pytest.mark.parametrize(
    ("pcm", "level"),
    [
        (b"", SILENCE_DBFS),
        (bytes(640), SILENCE_DBFS),
        (b"\0\x80" * 100, 0.0),
        (b"\1\0" * 100, -90.3),
        (s16(tone(level=0.1)), -23.0),
    ],
)
def test_rms(pcm: bytes, level: float) -> None:
    assert rms_dbfs(pcm) == pytest.approx(level, abs=0.05)


def test_a_frame_knows_its_end() -> None:
    assert AudioFrame(1000, bytes(640)).end_sample == 1320


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000])
def test_resampling_in_pieces_is_resampling_at_once(rate_hz: int) -> None:
    pcm = s16(tone(rate_hz))
    whole = Resampler(rate_hz).push(pcm, last=True)
    assert len(whole) // 2 == pytest.approx(8000, abs=1)
    assert frequency_hz(whole) == pytest.approx(440, abs=4)
    resampler = Resampler(rate_hz)
    pieces = b"".join(resampler.push(pcm[at : at + 1000]) for at in range(0, len(pcm), 1000))
    pieces += resampler.push(b"", last=True)
    assert len(pieces) == len(whole)
    assert max(abs(a - b) for a, b in zip(array.array("h", pieces), array.array("h", whole), strict=True)) <= 1
