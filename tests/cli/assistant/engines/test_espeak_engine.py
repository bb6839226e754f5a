"""espeak-ng: library and program, voices, threads, and Piper's own espeak beside it."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lorgnette.cli.assistant.engines import espeak_engine
from lorgnette.cli.assistant.engines.espeak_engine import EspeakVoice, espeak_available, read_streamed_wav, short_name
from lorgnette.cli.assistant.engines.protocols import EngineError

RATE_HZ = 16_000


@pytest.fixture
def reloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The library or program is looked for anew in this test, and forgotten after it."""
    monkeypatch.setattr(espeak_engine, "_loaded", [])
    yield


def samples(pcm: bytes) -> NDArray[np.int16]:
    return np.frombuffer(pcm, "<i2")


def synthesized(text: str, **how: object) -> bytes:
    return b"".join(EspeakVoice(**how).synthesize(text))  # type: ignore[arg-type]


def loud_samples(pcm: bytes) -> int:
    """From the first to the last sample that can be heard."""
    loud = np.nonzero(np.abs(samples(pcm)) > 300)[0]
    return int(loud[-1] - loud[0])


def pitch_hz(pcm: bytes) -> float:
    """The fundamental of the loudest 100 ms, by autocorrelation."""
    audio = samples(pcm).astype(float)
    at = int(np.argmax(np.convolve(audio**2, np.ones(1600), "valid")))
    part = audio[at : at + 1600] * np.hanning(1600)
    echo = np.correlate(part, part, "full")[1599:]
    lags = range(RATE_HZ // 400, RATE_HZ // 60)
    return RATE_HZ / max(lags, key=lambda lag: echo[lag])


def test_speech_is_16_khz_and_neither_silent_nor_clipped() -> None:
    pcm = synthesized("Take a photo.")
    audio = samples(pcm)
    assert 0.5 < audio.size / RATE_HZ < 2.0
    assert 1000 < np.sqrt(np.mean(audio.astype(float) ** 2)) < 10_000
    assert np.mean(np.abs(audio) >= 32_767) < 0.001
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(audio.size))) ** 2
    hertz = np.fft.rfftfreq(audio.size, 1 / RATE_HZ)
    assert spectrum[hertz < 5_000].sum() > 0.9 * spectrum.sum()


def test_speech_comes_in_whole_samples_of_at_most_200_ms() -> None:
    pieces = list(EspeakVoice().synthesize("One. Two. Three. " * 40))
    assert len(pieces) > 10
    assert all(0 < len(piece) <= 6_400 and len(piece) % 2 == 0 for piece in pieces)


def test_silence_stays_silence() -> None:
    """Nothing adds noise to what espeak-ng made."""

    class SilentVoice(EspeakVoice):
        def _speak(self, text: str) -> tuple[bytes, int]:
            return bytes(44_100), 22_050

    pcm = b"".join(SilentVoice().synthesize("Hello."))
    assert len(pcm) == 32_000
    assert not any(pcm)


def test_words_per_minute_and_pitch_change_the_voice() -> None:
    text = "Set a timer for five minutes."
    assert len(synthesized(text, words_per_minute=120)) > 1.3 * len(synthesized(text, words_per_minute=240))
    assert pitch_hz(synthesized(text, pitch=90)) > 1.2 * pitch_hz(synthesized(text, pitch=10))
    assert pitch_hz(synthesized(text, voice="en-us+f3")) > 1.2 * pitch_hz(synthesized(text, voice="en-us+m3"))


def test_one_voice_does_not_change_another() -> None:
    """The library has one voice, rate and pitch for the whole process."""
    alone = synthesized("Hello there.")
    for voice in ("en-gb", "cmn", "en-us+f3"):
        synthesized("Hello there.", voice=voice, words_per_minute=300, pitch=80)
    again = synthesized("Hello there.")
    assert abs(len(again) - len(alone)) < 200  # espeak-ng's noise is not the same twice


def test_two_threads_may_speak_at_once() -> None:
    lengths: dict[str, list[int]] = {"en-us": [], "en-us+f3": []}
    rates = {"en-us": 120, "en-us+f3": 300}

    def speak(voice: str) -> None:
        for _ in range(5):
            lengths[voice].append(len(synthesized("What time is it?", voice=voice, words_per_minute=rates[voice])))

    threads = [threading.Thread(target=speak, args=(voice,)) for voice in lengths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(made) == 5 and max(made) - min(made) < 400 for made in lengths.values())
    assert min(lengths["en-us"]) > 1.5 * max(lengths["en-us+f3"])


def test_the_caller_may_stop_a_long_text() -> None:
    pieces = EspeakVoice().synthesize("This is one sentence of many. " * 500)
    assert len(next(pieces)) > 0
    pieces.close()  # type: ignore[attr-defined]
    assert synthesized("Hi.")  # the lock is free again


@pytest.mark.parametrize("text", ["", "   ", "\0", "\n\n"])
def test_nothing_to_say_is_no_audio(text: str) -> None:
    assert synthesized(text) == b""


@pytest.mark.parametrize("text", ["<break time='9s'/> hi", "[[h@loU]] hi", "3.14", "a\0b", "\ud800 hi", "你好", "🎧"])
def test_any_text_is_plain_text(text: str) -> None:
    assert len(synthesized(text)) < 2 * RATE_HZ * 10


def test_a_number_is_not_split_into_sentences() -> None:
    whole = list(espeak_engine._pieces("It is 3.5 degrees. " + "And so on: " * 40))
    assert len(whole) > 1
    assert all("3. 5" not in piece for piece in whole)
    assert " ".join(whole).startswith("It is 3.5 degrees.")


@pytest.mark.parametrize("voice", ["en", "en-gb", "EN-US", "en-gb+f3", "en-gb-scotland", "cmn", "zh", "de"])
def test_voices_are_found_by_language_and_by_name(voice: str) -> None:
    assert loud_samples(synthesized("One two three.", voice=voice)) > RATE_HZ // 2


@pytest.mark.parametrize("voice", ["", "en us", "en/../x", "-x", "en+", "en'; rm"])
def test_what_is_no_voice_name_is_refused_at_once(voice: str) -> None:
    with pytest.raises(EngineError, match="is no espeak-ng voice"):
        EspeakVoice(voice)


def test_a_voice_that_does_not_exist_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError, match="espeak-ng has no voice 'xx-yy'") as caught:
        synthesized("hi", voice="xx-yy")
    assert capfd.readouterr() == ("", "")
    suggested = re.findall(r"en-[a-z0-9+-]+", caught.value.remedy)
    assert len(suggested) == 4
    for voice in suggested:
        assert synthesized("hi", voice=voice)


@pytest.mark.parametrize(("words_per_minute", "pitch"), [(79, 50), (451, 50), (160, -1), (160, 100)])
def test_rate_and_pitch_have_limits(words_per_minute: int, pitch: int) -> None:
    with pytest.raises(EngineError, match="not"):
        EspeakVoice(words_per_minute=words_per_minute, pitch=pitch)


def test_the_card() -> None:
    info = EspeakVoice("en-gb", 150, 40).info
    assert (info.role, info.engine, info.model) == ("tts", "espeak", "en-gb")
    assert info.detail["words_per_minute"] == 150


def test_a_deep_environment_gets_a_short_name(reloaded: None, tmp_path: Path) -> None:
    """espeak-ng copies its data folder's name into 160 bytes; beyond, it would speak silence without an error."""
    espeakng_loader = pytest.importorskip("espeakng_loader")
    deep = tmp_path / ("deep" * 30) / ("deeper" * 20)
    deep.mkdir(parents=True)
    data = deep / "espeak-ng-data"
    try:
        data.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
    except (OSError, NotImplementedError):
        pytest.skip("this system has no symbolic links")
    assert len(os.fsencode(short_name(data))) < 140
    library = espeak_engine._Library(Path(espeakng_loader.get_library_path()), data)
    pcm, rate_hz = library.speak("Take a photo.", "en-us", 160, 50)
    assert rate_hz == 22_050
    assert np.abs(samples(pcm)).max() > 5_000
    short = tmp_path / "data"
    assert short_name(short) == short


def test_a_data_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    espeakng_loader = pytest.importorskip("espeakng_loader")
    code = f"""
from pathlib import Path
from lorgnette.cli.assistant.engines import espeak_engine
try:
    espeak_engine._Library(Path({espeakng_loader.get_library_path()!r}), Path({str(tmp_path)!r}))
except OSError as error:
    print(error)
"""
    # In a process of its own, as the library prints about it and keeps the wrong folder.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "does not accept the data folder" in done.stdout


def fake_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An `espeak-ng` that is the only one on the path, and no library."""
    program = tmp_path / "espeak-ng"
    program.write_text(f"#!{sys.executable}\n{script}", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="the espeak-ng program is not installed")
def test_the_program_speaks_as_the_library_does(reloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    library = synthesized("Take a photo.")
    monkeypatch.setattr(espeak_engine, "_loaded", [])
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    program = synthesized("Take a photo.")
    assert isinstance(espeak_engine._loaded[0], espeak_engine._Program)
    assert loud_samples(program) == pytest.approx(loud_samples(library), rel=0.1)  # the program adds a pause
    assert synthesized("--version") != b""  # text is never an option
    with pytest.raises(EngineError, match="espeak-ng has no voice 'xx-yy'"):
        synthesized("hi", voice="xx-yy")


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in program is a script")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; sys.exit(1)", "failed with status 1"),
        ("print('hello')", "wrote no WAV"),
        ("import sys; sys.stdout.buffer.write(b'')", "wrote no WAV"),
    ],
)
def test_a_program_that_fails_is_said(
    reloaded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    fake_program(tmp_path, monkeypatch, script)
    with pytest.raises(EngineError, match=said):
        synthesized("hi")


def test_nothing_installed_names_the_package(reloaded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    assert not espeak_available()
    with pytest.raises(EngineError, match="espeak-ng cannot be used") as caught:
        synthesized("hi")
    assert caught.value.remedy == "python -m pip install espeakng-loader"


def streamed(wav: bytes) -> bytes:
    """As a program writes a WAV that cannot go back: lengths that are not true."""
    return wav[:4] + b"\x24\xf0\xff\x7f" + wav[8:40] + b"\x00\xf0\xff\x7f" + wav[44:]


def plain_wav(rate_hz: int = 22_050, channels: int = 1, width: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(b"\x01\x02" * 100)
    return out.getvalue()


def test_a_wav_whose_lengths_lie_is_read_to_its_end() -> None:
    assert read_streamed_wav(streamed(plain_wav())) == (b"\x01\x02" * 100, 22_050)
    assert read_streamed_wav(streamed(plain_wav(16_000))[:-1]) == (b"\x01\x02" * 99, 16_000)


def test_other_chunks_before_the_data_are_skipped() -> None:
    wav = plain_wav()
    extended = wav[:36] + b"LIST\x04\x00\x00\x00abcd" + wav[36:]
    assert read_streamed_wav(extended) == (b"\x01\x02" * 100, 22_050)


@pytest.mark.parametrize("wav", [b"", b"RIFF", plain_wav(channels=2), plain_wav(width=1), plain_wav(rate_hz=1_000)])
def test_any_other_wav_is_refused(wav: bytes) -> None:
    with pytest.raises(EngineError, match="WAV"):
        read_streamed_wav(wav)


def test_a_cut_header_is_no_audio() -> None:
    assert read_streamed_wav(plain_wav()[:40]) == (b"", 22_050)
