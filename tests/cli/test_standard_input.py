"""What comes from outside as octets: standard input, and arguments in another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.program import COMMAND, assert_one_sentence, invoke

from lorgnette.cli.assistant import audio
from lorgnette.cli.exit_codes import ExitCode


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_recording_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MAX_FILE_BYTES", 5 << 20)
    result = invoke("transcribe", "/dev/zero")
    assert result.exit_code == ExitCode.AUDIO_INPUT
    assert_one_sentence(result.stderr)
    assert "/dev/zero is larger than 5 MiB" in result.stderr
    piped = invoke("transcribe", "-", stdin=bytes((5 << 20) + 1))
    assert piped.exit_code == ExitCode.AUDIO_INPUT
    assert "standard input is larger than 5 MiB" in piped.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX descriptors")
@pytest.mark.parametrize("words", [["ask", "-"], ["speak", "-", "-o", "-"], ["transcribe", "-"]])
def test_standard_input_that_is_closed(words: list[str]) -> None:
    done = subprocess.run([*COMMAND, *words], capture_output=True, preexec_fn=lambda: os.close(0), check=False)
    assert done.returncode == ExitCode.USAGE
    assert_one_sentence(done.stderr.decode())
    assert b"standard input, and that is closed" in done.stderr


@pytest.mark.parametrize("words", [["ask", "-"], ["speak", "-", "-o", "-"]])
@pytest.mark.parametrize(
    ("given", "says"), [(b"caf\xe9", "not UTF-8 text: octet 3"), (b"ha " * 22_000, "more than 64 KiB")]
)
def test_text_that_cannot_be_read(words: list[str], given: bytes, says: str) -> None:
    result = invoke(*words, stdin=given)
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)
    assert says in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs arguments made of octets")
@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["config", "set", "tts.voice", b"\xff"], "VALUE"),
        (["ask", b"caf\xe9"], "TEXT"),
        (["speak", "-o", "-", "--voice", b"\xff", "hello"], "--voice"),
    ],
)
def test_an_argument_in_another_encoding(words: list[str | bytes], name: str) -> None:
    done = subprocess.run([*COMMAND, *words], capture_output=True, check=False)
    assert done.returncode == ExitCode.USAGE
    assert_one_sentence(done.stderr.decode())
    assert f"'{name}': this is not UTF-8 text" in done.stderr.decode()


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names made of octets")
def test_a_file_whose_name_is_in_another_encoding(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/\xff.wav"
    Path(os.fsdecode(file)).write_bytes(audio.wav_bytes(bytes(32_000)))
    done = subprocess.run([*COMMAND, "transcribe", file], capture_output=True, check=False)
    assert done.returncode == ExitCode.NO_SPEECH
    assert b"\\udcff.wav holds no speech" in done.stderr
