"""`lorgnette run` as processes: routes, signals, a frame that goes away, and what is left behind."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.program import COMMAND, assert_one_sentence, run
from tests.support.served_ports import FrameServer

from lorgnette.cli.commands import run as run_command
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge.messages import Capability, Led
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

PATIENCE_S = 90  # for a loaded machine; nothing waits this long when all is well


class Session:
    """`lorgnette run --json` as a process whose lines are read as they come."""

    def __init__(self, *args: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "run", "--json", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def wait_for(self, **wanted: object) -> dict[str, Any]:
        """The next event that has these values."""
        while (event := self._lines.get(timeout=PATIENCE_S)) is not None:
            if all(event.get(name) == value for name, value in wanted.items()):
                return event
        raise AssertionError(
            f"the program ended without {wanted}: {self.process.stderr and self.process.stderr.read()!r}"
        )

    def ends(self) -> tuple[int, str]:
        """Exit status and standard error."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(10)
        assert self.process.stderr is not None
        return code, self.process.stderr.read().decode()


@contextmanager
def session(*args: str, env: dict[str, str] | None = None) -> Iterator[Session]:
    started = Session(*args, env=env)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.wait(10)
        for stream in (started.process.stdout, started.process.stderr):
            assert stream is not None
            stream.close()


def test_no_board_at_all(tmp_path: Path) -> None:
    """Words in, a WAV file out: no port is opened, and the session ends with its microphone."""
    out, spoken = tmp_path / "kept", tmp_path / "answer.wav"
    done = run("run", "--mic", "text:What time is it?", "--speaker", str(spoken), "-o", str(out), "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    [turn] = [event for event in events if event["event"] == "turn"]
    assert turn["heard"] == "What time is it?" and turn["reply"].startswith("It is")
    with wave.open(str(spoken)) as answer:
        assert answer.getnframes() == turn["reply_samples"] > 8000
    kept = [json.loads(line) for line in (out / "transcript.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any(turn.items() <= line.items() for line in kept)
    with wave.open(str(out / "heard.wav")) as heard:
        assert heard.getnframes() > 16000


def test_an_act_needs_a_frame_and_says_so(tmp_path: Path) -> None:
    done = run("run", "--mic", "text:Take a photo.", "--speaker", str(tmp_path / "a.wav"), "--json")
    assert done.returncode == 0
    [turn] = [event for line in done.stdout.splitlines() if (event := json.loads(line))["event"] == "turn"]
    assert turn["reply"] == "I could not take the photo: there is no frame."


def test_a_file_as_camera(tmp_path: Path) -> None:
    picture = tmp_path / "view.jpg"
    picture.write_bytes(Peripherals().camera.take())
    out = tmp_path / "kept"
    arguments = ["--mic", "text:Take a photo.", "--speaker", str(tmp_path / "a.wav"), "--camera", str(picture)]
    done = run("run", *arguments, "-o", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert (out / "photo.jpg").read_bytes() == picture.read_bytes()


def test_the_simulated_microphone_ends_the_session(tmp_path: Path) -> None:
    out = tmp_path / "kept"
    done = run("run", "-p", "sim://?mic=text:Take a photo.", "-o", str(out), "--json")
    assert done.returncode == 0, done.stderr
    [turn] = [event for line in done.stdout.splitlines() if (event := json.loads(line))["event"] == "turn"]
    assert turn["outcome"] == "answered" and turn["act"]["result"]["size_bytes"] > 0
    assert (out / "photo.jpg").read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM for another process")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_a_signal_stops_the_microphone_of_the_frame(number: signal.Signals, code: ExitCode, tmp_path: Path) -> None:
    with FrameServer() as server, session("-p", server.url, "-o", str(tmp_path)) as talk:
        talk.wait_for(event="state", state="listening")
        talk.process.send_signal(number)
        status, stderr = talk.ends()
        assert status == code
        assert_one_sentence(stderr)
    assert not server.peripherals.microphone.on  # the server has handled everything that was sent
    assert [level for _, level in server.peripherals.led] == [Led.OFF, Led.DIM, Led.OFF]
    assert (tmp_path / "transcript.jsonl").exists()


def test_a_frame_that_stays_away_ends_the_session(tmp_path: Path) -> None:
    server = FrameServer()
    with session("-p", server.url) as talk:
        with server:
            talk.wait_for(event="state", state="listening")
        problem = talk.wait_for(event="problem", stage="link")
        assert problem["message"]
        status, stderr = talk.ends()
    assert status == ExitCode.DEVICE_LOST
    assert_one_sentence(stderr)
    assert f"{run_command.ABSENCE_S:.0f} seconds" in stderr


@pytest.mark.parametrize(
    ("lacks", "option"), [(Capability.MICROPHONE, "--mic host"), (Capability.SPEAKER, "--speaker host")]
)
def test_a_bare_board_is_refused_with_the_way_out(lacks: Capability, option: str) -> None:
    with FrameServer(Peripherals(without=lacks)) as server:
        done = run("run", "-p", server.url)
    assert done.returncode == ExitCode.FRAME_REFUSED
    assert_one_sentence(done.stderr.decode())
    assert option in done.stderr.decode()


def test_another_microphone_beside_a_frame_that_has_been_up_for_long() -> None:
    """Two sample clocks: the reply's beginning must be told on the clock of the microphone that was listened to."""
    with FrameServer() as server:
        time.sleep(3)  # the frame's clock is ahead by this and by the time that the engines take to load
        done = run("run", "-p", server.url, "--mic", "text:What time is it?", "--json")
    assert done.returncode == 0, done.stderr
    [turn] = [event for line in done.stdout.splitlines() if (event := json.loads(line))["event"] == "turn"]
    said_for = turn["speech_end_sample"] - turn["speech_start_sample"]
    assert 0 < turn["reply_start_sample"] - turn["speech_end_sample"] < 16000 * 30
    assert turn["reply_start_sample"] < 16000 + said_for + 16000 * (turn["stages_ms"]["total"] / 1000 + 0.1)


def test_silence_to_the_end_is_called_so(tmp_path: Path) -> None:
    silence = tmp_path / "silence.wav"
    with wave.open(str(silence), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(bytes(32000))
    done = run("run", "--mic", str(silence), "--speaker", str(tmp_path / "a.wav"))
    assert done.returncode == ExitCode.NO_SPEECH
    assert_one_sentence(done.stderr.decode())


def test_a_camera_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "view.jpg").write_bytes(b"RIFF and no picture")
    arguments = ["--mic", "text:Take a photo.", "--speaker", str(tmp_path / "a.wav")]
    done = run("run", *arguments, "--camera", str(tmp_path / "view.jpg"))
    assert done.returncode == ExitCode.FAILURE
    assert_one_sentence(done.stderr.decode())


def test_a_hook_gets_each_transcript(tmp_path: Path) -> None:
    heard = tmp_path / "heard.jsonl"
    config = tmp_path / "config.toml"
    script = f"import sys; open({str(heard)!r}, 'a').write(sys.stdin.read())"
    config.write_text(f"[hooks]\non_transcript = {json.dumps([sys.executable, '-c', script])}\n", encoding="utf-8")
    done = run(
        *("run", "--mic", "text:What time is it?", "--speaker", str(tmp_path / "a.wav")),
        env={"LORGNETTE_CONFIG": str(config)},
    )
    assert done.returncode == 0, done.stderr
    [event] = [json.loads(line) for line in heard.read_text(encoding="utf-8").splitlines()]
    assert event["event"] == "transcript" and event["transcript"]["text"] == "What time is it?"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--mic", "missing.wav", "--speaker", "out.wav"], ExitCode.AUDIO_INPUT),
        (["--mic", "text:hello", "--speaker", "missing/folder/out.wav"], ExitCode.FAILURE),
        (["--mic", "text:hello", "--speaker", "out.wav", "--camera", "missing.jpg"], ExitCode.FAILURE),
        (["-p", "sim://?mick=1"], ExitCode.DEVICE_NOT_FOUND),
        (["-p", "/dev/no-such-port"], ExitCode.DEVICE_NOT_FOUND),
        (["-p", "sim://", "-m", "no-such-model"], ExitCode.ENGINE),
        (["--mic", "text: ", "--speaker", "out.wav"], ExitCode.USAGE),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], code: ExitCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("run", *arguments)
    assert done.returncode == code, done.stderr
    assert_one_sentence(done.stderr.decode())
