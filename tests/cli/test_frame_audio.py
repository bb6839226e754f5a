"""`lorgnette frame record` and `frame play`: what the microphone heard is in the file, what the file holds is heard."""

from __future__ import annotations

import array
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.program import COMMAND, assert_one_sentence, invoke
from tests.support.served_ports import FrameServer
from tests.support.sound import ramp

from lorgnette.cli.assistant.audio import WavWriter, decode_audio, read_audio, wav_bytes
from lorgnette.cli.commands.frame_audio import MAX_GAP_S, Tape
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge.messages import Capability, Led
from lorgnette.firmware_bridge.simulator import Peripherals
from lorgnette.firmware_bridge.simulator.microphone import ScriptedMicrophone

PATIENCE_S = 60.0  # only a failing test waits this long
SECOND = 32_000  # octets


def wait_until(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


# ---- record
def test_the_file_holds_what_the_microphone_heard(tmp_path: Path) -> None:
    file = tmp_path / "talk.wav"
    parts = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))
    with FrameServer(parts) as server:
        result = invoke("frame", "record", "-p", server.url, "-o", str(file), "--seconds", "0.73", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found == {
        "schema": 1,
        "path": str(file),
        "duration_s": 0.73,
        "missing_ms": 0,
        "lost_frames": 0,
        "dropped_frames": 0,
        "absences": 0,
    }
    with wave.open(str(file), "rb") as recorded:
        assert (recorded.getframerate(), recorded.getnchannels(), recorded.getsampwidth()) == (16_000, 1, 2)
        assert recorded.getnframes() == 11_680
        pcm = recorded.readframes(11_680)
    assert pcm == bytes(parts.microphone.recorded[: len(pcm)])
    assert pcm.strip(b"\0")
    assert [level for _, level in parts.led][-2:] == [Led.DIM, Led.OFF]


def test_standard_output_is_a_wav_without_a_length() -> None:
    command = [*COMMAND, "frame", "record", "-p", "sim://", "-o", "-", "--seconds", "0.5"]
    done = subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL)
    assert len(decode_audio(done.stdout, "it")) == SECOND // 2
    assert done.stderr == b"standard output: 0.5 s, nothing lost\n"


def test_what_was_lost_is_silence_of_the_same_length_and_told(tmp_path: Path) -> None:
    file = tmp_path / "talk.wav"
    port = "sim://?lose=0.1&seed=3"
    result = invoke("frame", "record", "-p", port, "-o", str(file), "--seconds", "2", "--json")
    found = json.loads(result.stdout)
    assert len(read_audio(file)) == 2 * SECOND
    assert found["duration_s"] == 2.0
    assert found["lost_frames"] > 0
    assert found["missing_ms"] % 20 == 0 and found["missing_ms"] > 0
    told = invoke("frame", "record", "-p", port, "-o", str(file), "--seconds", "2").stderr
    assert " ms missing (" in told and "lost on the line" in told


class Memory(WavWriter):
    """A file's content, in memory."""

    def __init__(self) -> None:
        self.pcm = b""

    @property
    def samples(self) -> int:
        return len(self.pcm) // 2

    def write(self, pcm: bytes) -> None:
        self.pcm += pcm


def test_gaps_on_the_time_line() -> None:
    file = Memory()
    tape = Tape(file, most_samples=10)
    tape.add(1000, b"aabb")
    tape.add(1002, b"cc")
    tape.add(1005, b"dd")
    assert file.pcm == b"aabbcc" + bytes(4) + b"dd"
    assert tape.missing_samples == 2
    tape.add(3, b"ee")  # another clock: the frame has booted
    tape.add(4 + int(MAX_GAP_S * 16_000) + 1, b"ff")
    assert file.pcm.endswith(b"ddeeff") and tape.missing_samples == 2
    assert not tape.is_full
    tape.add(4 + int(MAX_GAP_S * 16_000) + 2, b"ggooon")
    assert tape.is_full and file.pcm.endswith(b"ffggoo")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no signals for another process")
@pytest.mark.parametrize(
    ("number", "options", "code"),
    [
        (signal.SIGINT, [], ExitCode.OK),
        (signal.SIGINT, ["--seconds", "3000"], ExitCode.INTERRUPTED),
        (signal.SIGTERM, [], ExitCode.TERMINATED),
    ],
)
def test_a_signal_ends_it_and_the_file_is_whole(
    number: signal.Signals, options: list[str], code: ExitCode, tmp_path: Path
) -> None:
    file = tmp_path / "talk.wav"
    parts = Peripherals(microphone=ScriptedMicrophone(ramp(60_000)))
    with FrameServer(parts) as server:
        command = [*COMMAND, "frame", "record", "-p", server.url, "-o", str(file), *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: file.exists() and file.stat().st_size > SECOND // 2)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, errors
        wait_until(lambda: not parts.microphone.on)
    pcm = read_audio(file)
    assert len(pcm) + 44 == file.stat().st_size
    assert pcm == bytes(parts.microphone.recorded[: len(pcm)])
    assert f"{file}: {len(pcm) / SECOND:.1f} s, nothing lost" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("fault", ["unplug=0.5:0.7", "reset=0.7"])
def test_a_frame_that_comes_back_is_recorded_on_and_the_gap_is_silence(fault: str, tmp_path: Path) -> None:
    file = tmp_path / "talk.wav"
    port = f"sim://?{fault}"
    result = invoke("frame", "record", "-p", port, "-o", str(file), "--seconds", "3", "--json")
    assert result.exit_code == ExitCode.OK
    away, back = result.stderr.splitlines()
    assert away.startswith("lorgnette: the frame is away: ")
    assert back == "lorgnette: the frame is back"
    found = json.loads(result.stdout)
    assert (found["duration_s"], found["absences"]) == (3.0, 1)
    assert found["missing_ms"] >= 300
    assert len(read_audio(file)) == 3 * SECOND


def test_a_frame_that_stays_away_leaves_a_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "talk.wav"
    result = invoke("frame", "record", "-p", "sim://?unplug=0.5:600", "-o", str(file), "--seconds", "1")
    assert result.exit_code == ExitCode.DEVICE_LOST
    assert len(read_audio(file)) + 44 == file.stat().st_size
    away, report, *sentence = result.stderr.splitlines()
    assert "is away" in away
    assert report.startswith(f"{file}: ")
    assert_one_sentence("\n".join(sentence))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no signals for another process")
def test_without_a_length_a_frame_is_waited_for_until_ctrl_c(tmp_path: Path) -> None:
    file = tmp_path / "talk.wav"
    command = [*COMMAND, "frame", "record", "-p", "sim://?unplug=0.5:600", "-o", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "is away" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith(f"{file}: ")
        assert process.wait(60) == ExitCode.OK


def test_an_absence_on_the_time_line() -> None:
    file = Memory()
    tape = Tape(file, most_samples=40_000)
    tape.skip(1.0)
    assert file.pcm == b"", "before the first sound there is nothing to keep in time with"
    tape.add(1000, b"aabb")
    tape.skip(1.5)
    tape.add(7, b"cc")
    assert file.pcm == b"aabb" + bytes(48_000) + b"cc"
    assert (tape.missing_samples, tape.absences, tape.is_full) == (24_000, 2, False)
    tape.skip(3600.0)
    assert tape.is_full and len(file.pcm) == 80_000


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], ExitCode.USAGE),
        (["-o", "-", "--json"], ExitCode.USAGE),
        (["-o", "/nowhere/at/all.wav"], ExitCode.FAILURE),
        (["-o", "x.wav", "--seconds", "nan"], ExitCode.USAGE),
    ],
)
def test_what_cannot_be_recorded(options: list[str], code: ExitCode) -> None:
    result = invoke("frame", "record", "-p", "sim://", *options)
    assert result.exit_code == code
    assert_one_sentence(result.stderr)


def test_a_bare_board_is_refused_with_a_way_out(tmp_path: Path) -> None:
    file, sound = tmp_path / "talk.wav", tmp_path / "sound.wav"
    sound.write_bytes(wav_bytes(ramp(100)))
    with FrameServer(Peripherals(without=Capability.MICROPHONE | Capability.SPEAKER)) as server:
        results = [
            invoke("frame", "record", "-p", server.url, "-o", str(file)),
            invoke("frame", "play", str(sound), "-p", server.url),
        ]
    for result in results:
        assert result.exit_code == ExitCode.FRAME_REFUSED
        assert_one_sentence(result.stderr)
        assert len(result.stderr.splitlines()) == 2
    assert not file.exists()


@pytest.mark.skipif(os.name != "posix", reason="needs pseudo terminals")
def test_the_level_is_shown_at_a_terminal(tmp_path: Path) -> None:
    from tests.support.terminal import Terminal

    file, heard = tmp_path / "talk.wav", tmp_path / "heard.wav"
    heard.write_bytes(wav_bytes(b"\x00\x40\x00\xc0" * 16_000))
    command = [*COMMAND, "frame", "record", "-p", f"sim://?mic=file:{heard}", "-o", str(file)]
    with Terminal(*command) as terminal:
        terminal.until("dBFS")
        terminal.until("[##")
        terminal.type(b"\x03")
        assert terminal.news() == "ended 0"
    assert "-6 dBFS" in terminal.shown
    assert terminal.shown.rstrip().endswith("nothing lost")


# ---- play
def sounding(pcm: bytes) -> list[int]:
    """The samples that are no silence: a loaded computer may put gaps between them."""
    return [sample for sample in array.array("h", pcm) if sample]


def test_the_speaker_gets_what_the_file_holds(tmp_path: Path) -> None:
    pcm = random.Random(4).randbytes(2 * 12_345)
    file = tmp_path / "sound.wav"
    file.write_bytes(wav_bytes(pcm))
    parts = Peripherals()
    with FrameServer(parts) as server:
        assert invoke("frame", "volume", "100", "-p", server.url).exit_code == 0
        result = invoke("frame", "play", str(file), "-p", server.url, "--json")
        piped = invoke("frame", "play", "-", "-p", server.url, stdin=wav_bytes(pcm[::-1]))
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert (found["file"], found["duration_s"]) == (str(file), round(12_345 / 16_000, 3))
    assert piped.exit_code == 0
    assert sounding(bytes(parts.speaker.recorded)) == sounding(pcm) + sounding(pcm[::-1])
    assert piped.stderr.startswith("standard input: played 0.8 s")


@pytest.mark.parametrize(
    ("port", "cause", "lost"),
    [
        ("sim://?lose=0.05&seed=2", r": \d+ frames were lost on the line$", True),
        ("sim://?line=uart&rate=115200", ", because it came too late$", False),
    ],
)
def test_gaps_are_told_with_what_is_known_of_them(port: str, cause: str, lost: bool, tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    file.write_bytes(wav_bytes(ramp(SECOND)))
    result = invoke("frame", "play", str(file), "-p", port)
    assert result.exit_code == ExitCode.OK
    assert re.search(rf", with \d+ ms of gaps{cause}", result.stderr)
    found = json.loads(invoke("frame", "play", str(file), "-p", port, "--json").stdout)
    assert (found["lost_frames"] > 0) is lost
    assert found["gaps_ms"] > 0


def test_another_rate_and_two_channels_are_made_fit(tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    with wave.open(str(file), "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(48_000)
        wav.writeframes(b"\x10\x20" * 2 * 48_000)
    result = invoke("frame", "play", str(file), "-p", "sim://", "--json")
    assert json.loads(result.stdout)["duration_s"] == 1.0


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_silences_the_frame(tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    file.write_bytes(wav_bytes(b"\x10\x20" * 16_000 * 60))
    parts = Peripherals()
    with FrameServer(parts) as server:
        process = subprocess.Popen(
            [*COMMAND, "frame", "play", str(file), "-p", server.url], stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: parts.speaker.on)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
        wait_until(lambda: not parts.speaker.on)
    assert process.returncode == ExitCode.INTERRUPTED
    assert errors == "lorgnette: interrupted\n"


@pytest.mark.parametrize("content", [None, b"", b"RIFF\0\0\0\0WAVE", b"this is text, no sound"])
def test_what_cannot_be_played_opens_no_frame(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "sound.wav"
    if content is not None:
        file.write_bytes(content)
    result = invoke("frame", "play", str(file), "-p", "/dev/there-is-no-such-port")
    assert result.exit_code == ExitCode.AUDIO_INPUT
    assert_one_sentence(result.stderr)
