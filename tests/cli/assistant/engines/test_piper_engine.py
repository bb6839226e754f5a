"""Piper's real path, with a voice whose audio can be read back to the phonemes it was asked for."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.support.stand_ins import tone_ids, write_tone_voice

pytest.importorskip("piper", reason="piper-tts is not installed")

from lorgnette.cli.assistant.audio import Resampler
from lorgnette.cli.assistant.engines.espeak_engine import EspeakVoice
from lorgnette.cli.assistant.engines.piper_engine import PiperEngine
from lorgnette.cli.assistant.engines.protocols import EngineError


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tone_voice(tmp_path_factory.mktemp("voices") / "en_US-tone-medium.onnx")


def expected_ids(voice: Path, text: str) -> list[int]:
    """What Piper itself makes of the text."""
    from piper import PiperVoice

    loaded = PiperVoice.load(voice)
    return [number for sentence in loaded.phonemize(text) for number in loaded.phonemes_to_ids(sentence)]


def test_every_phoneme_arrives_at_16_khz(voice: Path) -> None:
    text = "Five minutes are left."
    assert tone_ids(b"".join(PiperEngine(voice).synthesize(text))) == expected_ids(voice, text)


def test_the_onnx_package_agrees_that_the_stand_in_is_a_model(voice: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnx.checker.check_model(onnx.load(voice), full_check=True)


def test_sentences_are_streamed_one_by_one(voice: Path) -> None:
    engine = PiperEngine(voice)
    engine.warm()
    made: list[str] = []
    real = engine._voice.phoneme_ids_to_audio
    engine._voice.phoneme_ids_to_audio = lambda *args, **kwargs: made.append("sentence") or real(*args, **kwargs)
    pieces = engine.synthesize("The first sentence is here. The second comes later. The third is last.")
    assert len(next(pieces)) > 0
    assert made == ["sentence"]  # the others are not made before they are asked for
    rest = list(pieces)
    assert made == ["sentence"] * 3
    assert all(0 < len(piece) <= 6_400 and len(piece) % 2 == 0 for piece in rest)


def test_what_is_heard_does_not_depend_on_how_it_was_cut_and_nothing_is_added(voice: Path) -> None:
    from piper import PiperVoice

    text = "One is here. Two comes later."
    loaded = PiperVoice.load(voice)
    made = b"".join(sentence.audio_int16_bytes for sentence in loaded.synthesize(text))
    expected = np.frombuffer(Resampler(loaded.config.sample_rate).push(made, last=True), "<i2").astype(int)
    heard = np.frombuffer(b"".join(PiperEngine(voice).synthesize(text)), "<i2").astype(int)
    assert heard.size == expected.size
    assert np.abs(heard - expected).max() <= 1
    assert np.mean(heard != expected) < 0.01  # where a float falls between two steps


def test_double_brackets_are_not_piper_phonemes(voice: Path) -> None:
    engine = PiperEngine(voice)
    heard = tone_ids(b"".join(engine.synthesize("Press [[aaaa]] now.")))
    assert heard == expected_ids(voice, "Press [aaaa] now.")
    assert heard != expected_ids(voice, "Press [[aaaa]] now.")


@pytest.mark.parametrize("text", ["", " \n", "\0"])
def test_nothing_to_say_is_no_audio(voice: Path, text: str) -> None:
    assert list(PiperEngine(voice).synthesize(text)) == []


def test_a_voice_of_16_khz_passes_unchanged_in_length(tmp_path: Path) -> None:
    path = write_tone_voice(tmp_path / "x.onnx", sample_rate_hz=16_000)
    pcm = b"".join(PiperEngine(path).synthesize("Hello."))
    assert len(pcm) == 2 * 1_102 * len(expected_ids(path, "Hello."))


def test_pipers_espeak_and_ours_live_in_one_process(voice: Path) -> None:
    """Two copies of espeak-ng, each with its own data and its own global state, one after another and at once."""
    engine, text = PiperEngine(voice), "What time is it?"
    ours = len(b"".join(EspeakVoice("en-us+f3").synthesize(text)))
    ids = expected_ids(voice, text)
    failures: list[str] = []

    def piper() -> None:
        for _ in range(5):
            if tone_ids(b"".join(engine.synthesize(text))) != ids:
                failures.append("piper")

    def espeak() -> None:
        for _ in range(20):
            if abs(len(b"".join(EspeakVoice("en-us+f3").synthesize(text))) - ours) > 400:
                failures.append("espeak")

    threads = [threading.Thread(target=target) for target in (piper, espeak)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_threads_are_capped(voice: Path) -> None:
    engine = PiperEngine(voice, threads=1)
    engine.warm()
    assert engine._voice.session.get_session_options().intra_op_num_threads == 1
    assert engine.info.detail["threads"] == 1
    assert (engine.info.engine, engine.info.model) == ("piper", "en_US-tone-medium")


def test_a_voice_without_its_configuration_is_said(voice: Path, tmp_path: Path) -> None:
    lonely = tmp_path / "lonely.onnx"
    lonely.write_bytes(voice.read_bytes())
    with pytest.raises(EngineError, match=r"the voice lonely lacks its lonely\.onnx\.json"):
        PiperEngine(lonely).warm()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"audio": {"sample_rate": 1e9}}', "{" + " " * 2_000_000])
def test_a_damaged_configuration_is_said(voice: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(voice.read_bytes())
    path.with_name("x.onnx.json").write_text(content, encoding="utf-8")
    with pytest.raises(EngineError, match="is no voice's configuration"):
        PiperEngine(path).warm()


def test_an_impossible_sample_rate_is_said(voice: Path, tmp_path: Path) -> None:
    path = write_tone_voice(tmp_path / "x.onnx", sample_rate_hz=1)
    with pytest.raises(EngineError, match="its sample rate is 1 Hz"):
        PiperEngine(path).warm()


@pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>"])
def test_a_damaged_voice_is_said(tmp_path: Path, content: bytes) -> None:
    path = write_tone_voice(tmp_path / "x.onnx")
    path.write_bytes(content)
    with pytest.raises(EngineError, match="is no readable voice") as caught:
        PiperEngine(path).warm()
    assert "\n" not in str(caught.value)


def test_a_voice_that_would_download_by_itself_is_refused(tmp_path: Path) -> None:
    path = write_tone_voice(tmp_path / "x.onnx", phoneme_type="pinyin")
    with pytest.raises(EngineError, match=r"needs a pronunciation model of its own \(pinyin\)"):
        PiperEngine(path).warm()


def test_a_voice_that_cannot_say_a_phoneme_still_speaks(tmp_path: Path) -> None:
    path = write_tone_voice(tmp_path / "x.onnx")
    config_path = path.with_name("x.onnx.json")
    config = json.loads(config_path.read_text("utf-8"))
    del config["phoneme_id_map"]["t"]
    config_path.write_text(json.dumps(config), encoding="utf-8")
    assert b"".join(PiperEngine(path).synthesize("Take two."))
