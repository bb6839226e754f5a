"""Both Whisper engines: the embedded recogniser on real speech, stand-in weights of stock form, and their parity."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.stand_ins import ENGLISH_IDS, MULTILINGUAL_IDS, write_canned_checkpoint

from lorgnette.cli.assistant.engines.checkpoint import AcceptanceRule, Checkpoint, embedded_checkpoint, open_checkpoint
from lorgnette.cli.assistant.engines.faster_whisper_engine import FasterWhisperEngine
from lorgnette.cli.assistant.engines.protocols import EngineError, Transcript
from lorgnette.cli.assistant.engines.whisper_engine import WhisperEngine
from lorgnette.cli.assistant.engines.whisper_vocabulary import read_vocabulary
from lorgnette.cli.assistant.understanding import normalize

from .conftest import needs_torch, spoken

needs_faster_whisper = pytest.mark.skipif(
    importlib.util.find_spec("faster_whisper") is None, reason="faster-whisper is not installed"
)
Engine = WhisperEngine | FasterWhisperEngine
both = pytest.mark.parametrize(
    "engine",
    [
        pytest.param(WhisperEngine, marks=needs_torch, id="whisper"),
        pytest.param(FasterWhisperEngine, marks=needs_faster_whisper, id="faster-whisper"),
    ],
)
COMMANDS = [
    "Take a photo.",
    "What time is it?",
    "Set a timer for five minutes.",
    "How much battery is left?",
    "Mute the sound.",
    "Stop.",
    "Help.",
    "What is the date today?",
    "Cancel the timer.",
    "Repeat that.",
    "Turn the volume up.",
    "Set the volume to fifty percent.",
]


@pytest.fixture(scope="module")
def embedded(shared_cache: Path) -> Callable[[type[Engine]], Engine]:
    """One engine of each kind for all tests here; loading takes longer than recognising."""
    made: dict[type[Engine], Engine] = {}

    def get(kind: type[Engine]) -> Engine:
        if kind not in made:
            made[kind] = kind(embedded_checkpoint())
        return made[kind]

    return get


@pytest.fixture(scope="module")
def canned(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Weights of stock form that always say the same; they need no vocabulary but the embedded one."""
    path = tmp_path_factory.mktemp("weights") / "canned.pt"
    ranks = read_vocabulary(ENGLISH_IDS, embedded_checkpoint().tokens_path).ranks
    write_canned_checkpoint(path, [ranks[b" Take"], ranks[b" a"], ranks[b" photo"], ranks[b"."]])
    tokens = embedded_checkpoint().tokens_path
    path.with_name("canned-tokens.json").write_bytes(tokens.read_bytes())
    return open_checkpoint(path, "base.en")


@both
def test_the_embedded_recogniser_hears_commands(engine: type[Engine], embedded: Callable[..., Engine]) -> None:
    for said in ("Take a photo.", "What time is it?", "Set a timer for five minutes."):
        transcript = embedded(engine).transcribe(spoken(said))
        assert (normalize(transcript.text), transcript.accepted) == (normalize(said), True), transcript
        assert -0.2 < transcript.avg_logprob <= 0
        assert transcript.compression_ratio > 0


@both
def test_the_embedded_recogniser_refuses_what_is_no_command(
    engine: type[Engine], embedded: Callable[..., Engine]
) -> None:
    for said in ("The quick brown fox jumps over the lazy dog near the river.", "I met my brother in Vienna."):
        transcript = embedded(engine).transcribe(spoken(said))
        assert not transcript.accepted, transcript
        assert transcript.reason


@both
def test_silence_is_no_speech_and_nothing_is_no_audio(engine: type[Engine], embedded: Callable[..., Engine]) -> None:
    ear = embedded(engine)
    silence = ear.transcribe(bytes(32_000))
    assert (silence.accepted, silence.reason) == (False, "no speech")
    assert silence.no_speech_prob > 0.3
    assert ear.transcribe(b"") == Transcript("", accepted=False, reason="no audio")
    with pytest.raises(EngineError, match="not whole 16-bit samples"):
        ear.transcribe(b"\0\0\0")


@both
def test_an_ear_may_be_shared_by_threads(engine: type[Engine], embedded: Callable[..., Engine]) -> None:
    ear, heard = embedded(engine), []
    said = ["Take a photo.", "What time is it?"]
    clips = [spoken(text) for text in said]

    def listen(clip: bytes) -> None:
        heard.append(normalize(ear.transcribe(clip).text))

    threads = [threading.Thread(target=listen, args=(clip,)) for clip in clips for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == sorted([normalize(text) for text in said] * 2)


@both
def test_the_engine_prints_and_warns_nothing(
    engine: type[Engine], embedded: Callable[..., Engine], capfd: pytest.CaptureFixture[str]
) -> None:
    embedded(engine).transcribe(spoken("Take a photo."))
    assert capfd.readouterr() == ("", "")


@both
def test_the_card_tells_engine_model_and_type(engine: type[Engine]) -> None:
    info = engine(embedded_checkpoint()).info
    assert (info.role, info.model) == ("stt", "embedded")
    assert info.engine == {WhisperEngine: "whisper", FasterWhisperEngine: "faster-whisper"}[engine]
    assert info.detail["compute_type"] == "float32"
    assert "version" in info.detail


def test_the_card_tells_how_many_sentences_it_knows() -> None:
    checkpoint = Checkpoint("embedded", Path("x.pt"), sentences=1234)
    assert WhisperEngine(checkpoint).info.detail["sentences"] == 1234
    assert "sentences" not in WhisperEngine(Checkpoint("base.en", Path("x.pt"))).info.detail


@both
def test_stock_weights_go_the_same_way(engine: type[Engine], canned: Checkpoint) -> None:
    ear = engine(canned)
    ear.warm()
    transcript = ear.transcribe(spoken("Anything at all."))
    assert (transcript.text, transcript.accepted) == ("Take a photo.", True), transcript
    assert canned.rule == AcceptanceRule()


@both
def test_more_than_thirty_seconds_is_heard_in_windows(engine: type[Engine], canned: Checkpoint) -> None:
    transcript = engine(canned).transcribe(bytes(2 * 16_000 * 45))
    assert transcript.text == "Take a photo. Take a photo."


@both
def test_an_english_model_does_not_pretend_to_know_chinese(engine: type[Engine], canned: Checkpoint) -> None:
    with pytest.raises(EngineError, match=r"base\.en hears English only, not 'zh'") as caught:
        engine(canned, language="zh").warm()
    assert caught.value.remedy == "lorgnette models pull base"


@needs_torch
@needs_faster_whisper
def test_a_multilingual_model_hears_chinese(tmp_path: Path) -> None:
    ranks = read_vocabulary(MULTILINGUAL_IDS).ranks
    path = write_canned_checkpoint(tmp_path / "base.pt", [ranks["你".encode()], ranks["好".encode()]], MULTILINGUAL_IDS)
    for kind in (WhisperEngine, FasterWhisperEngine):
        transcript = kind(open_checkpoint(path, "base"), language="zh").transcribe(bytes(32_000))
        assert transcript.text == "你好", kind


@both
@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x05\x06" + bytes(18)], ids=["empty", "html", "empty-zip"])
def test_damaged_weights_are_said_in_a_sentence(engine: type[Engine], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "base.en.pt"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="is no readable Whisper checkpoint") as caught:
        engine(Checkpoint("base.en", path)).warm()
    assert caught.value.stage == "stt"
    assert "\n" not in str(caught.value)


@needs_torch
@needs_faster_whisper
def test_both_engines_hear_the_same_with_the_same_certainty(embedded: Callable[..., Engine]) -> None:
    """The same file through torch and through CTranslate2: same words, figures equal to rounding."""
    for said in COMMANDS:
        ours = embedded(FasterWhisperEngine).transcribe(spoken(said, "en-us+f3"))
        stock = embedded(WhisperEngine).transcribe(spoken(said, "en-us+f3"))
        assert ours.text == stock.text, said
        assert (ours.accepted, ours.reason) == (stock.accepted, stock.reason), said
        assert ours.avg_logprob == pytest.approx(stock.avg_logprob, abs=1e-3), said
        assert ours.no_speech_prob == pytest.approx(stock.no_speech_prob, abs=1e-3), said
        assert ours.compression_ratio == pytest.approx(stock.compression_ratio, abs=1e-6), said


@needs_faster_whisper
def test_int8_hears_the_same_words(embedded: Callable[..., Engine]) -> None:
    eight_bit = FasterWhisperEngine(embedded_checkpoint(), compute_type="int8")
    assert eight_bit.info.detail["compute_type"] == "int8"
    for said in COMMANDS[:3]:
        assert normalize(eight_bit.transcribe(spoken(said)).text) == normalize(said)


def test_stock_weights_are_quantised_unless_told_otherwise(canned: Checkpoint) -> None:
    assert FasterWhisperEngine(canned).info.detail["compute_type"] == "int8"


@needs_faster_whisper
def test_an_unknown_compute_type_is_an_error(canned: Checkpoint) -> None:
    with pytest.raises(EngineError, match=r"cannot load base\.en"):
        FasterWhisperEngine(canned, compute_type="int3").warm()
