"""`ask`, `transcribe` and `speak`: the real engines, the simulated frame, and every kind of bad input."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.support.program import COMMAND, assert_one_sentence, invoke, run
from tests.support.served_ports import FrameServer

from lorgnette.cli import wiring
from lorgnette.cli.assistant.audio import read_audio, rms_dbfs, wav_bytes
from lorgnette.cli.assistant.engines.espeak_engine import EspeakVoice
from lorgnette.cli.assistant.engines.protocols import EngineError
from lorgnette.cli.commands import playback
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.cli.jpeg import jpeg_size
from lorgnette.firmware_bridge import discovery, speaker
from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.link_events import FrameReported
from lorgnette.firmware_bridge.messages import PlaybackEnd, PlaybackEnded, PlaybackStarted, Underrun
from lorgnette.firmware_bridge.simulator.camera import ImageCamera
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

SECOND = bytes(32_000)


def spoken(text: str) -> bytes:
    """s16le mono 16 kHz with half a second of silence around it."""
    return SECOND[:16_000] + b"".join(EspeakVoice("en-us", 150).synthesize(text)) + SECOND[:16_000]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One spoken command."""
    file = tmp_path_factory.mktemp("speech") / "photo.wav"
    file.write_bytes(wav_bytes(spoken("take a photo")))
    return file


@pytest.fixture
def no_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "list_ports", list)


# ---------------------------------------------------------------- transcribe
def test_a_command_is_heard(recording: Path) -> None:
    result = invoke("transcribe", str(recording))
    assert (result.exit_code, result.stdout) == (0, "Take a photo.\n")


def test_figures_and_engine_as_json(recording: Path) -> None:
    shown = json.loads(invoke("transcribe", "--json", "-", stdin=recording.read_bytes()).stdout)
    assert (shown["schema"], shown["text"]) == (1, "Take a photo.")
    assert shown["engine"]["model"] == "embedded"
    assert shown["engine"]["engine"] in ("whisper", "faster-whisper")
    [utterance] = shown["utterances"]
    assert utterance["accepted"] is True
    assert -0.2 < utterance["avg_logprob"] <= 0
    assert 0 <= utterance["no_speech_prob"] < 0.3
    assert 0.3 < utterance["start_s"] < utterance["end_s"] < shown["duration_s"]


def test_each_utterance_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "two.wav"
    file.write_bytes(wav_bytes(spoken("take a photo") + SECOND + spoken("what time is it")))
    assert invoke("transcribe", str(file)).stdout == "Take a photo.\nWhat time is it?\n"


def test_what_is_no_command_is_not_caught(tmp_path: Path) -> None:
    file = tmp_path / "other.wav"
    file.write_bytes(wav_bytes(spoken("the old barn behind our house was painted in a dull shade of red")))
    result = invoke("transcribe", "--json", str(file))
    assert result.exit_code == ExitCode.NO_SPEECH
    assert "I did not catch that" in result.stderr
    shown = json.loads(result.stdout)
    assert shown["text"] == ""
    assert not any(utterance["accepted"] for utterance in shown["utterances"])


def test_silence_is_called_so(tmp_path: Path) -> None:
    file = tmp_path / "silence.wav"
    file.write_bytes(wav_bytes(SECOND * 2))
    result = invoke("transcribe", str(file))
    assert result.exit_code == ExitCode.NO_SPEECH
    assert_one_sentence(result.stderr)
    assert "holds no speech" in result.stderr


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", wav_bytes(b""), wav_bytes(SECOND)[:44], b"RIFF\xff\xff\xff\xffWAVE" + bytes(100), b"\x00" * 5000],
    ids=["empty", "4 octets", "no samples", "header only", "nonsense", "zeros"],
)
def test_audio_that_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "evil\x1b[2J.wav"
    file.write_bytes(content)
    result = invoke("transcribe", str(file))
    assert result.exit_code == ExitCode.AUDIO_INPUT
    assert_one_sentence(result.stderr)
    assert "\x1b" not in result.stderr
    assert invoke("transcribe", "-", stdin=content).exit_code == ExitCode.AUDIO_INPUT


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.wav", tmp_path):
        result = invoke("transcribe", str(path))
        assert result.exit_code == ExitCode.AUDIO_INPUT
        assert_one_sentence(result.stderr)


def test_a_wav_whose_length_lies(recording: Path) -> None:
    wav = bytearray(recording.read_bytes())
    struct.pack_into("<I", wav, 40, 0xFFFFFFFF)  # as a program writes it into a pipe
    assert invoke("transcribe", "-", stdin=bytes(wav)).stdout == "Take a photo.\n"


def test_a_model_that_is_not_here(recording: Path) -> None:
    result = invoke("transcribe", "-m", "base.em", str(recording))
    assert result.exit_code == ExitCode.ENGINE
    assert_one_sentence(result.stderr)
    assert "base.en" in result.stderr
    missing = invoke("transcribe", "-m", "base.en", str(recording))
    assert missing.exit_code == ExitCode.ENGINE
    assert "lorgnette models pull base.en" in missing.stderr


# ---------------------------------------------------------------- speak
def test_speech_into_a_file_and_back(tmp_path: Path) -> None:
    file = tmp_path / "hello.wav"
    result = invoke("speak", "Set a timer for five minutes.", "-o", str(file))
    assert result.exit_code == 0
    assert result.stdout == ""
    pcm = read_audio(file)
    assert rms_dbfs(pcm) > -40
    assert invoke("transcribe", str(file)).stdout == "Set a timer for five minutes.\n"


def test_speech_into_a_pipe() -> None:
    done = run("speak", "-", "-o", "-", stdin=b"What time is it?")
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout[:4] == b"RIFF"
    assert struct.unpack_from("<I", done.stdout, 40)[0] == len(done.stdout) - 44


def test_speech_out_of_the_frame(tmp_path: Path) -> None:
    file = tmp_path / "played.wav"
    result = invoke("speak", "Hello there. How are you?", "-p", f"sim://?speaker=file:{file}")
    assert (result.exit_code, result.output) == (0, "")
    played = read_audio(file)
    assert rms_dbfs(played) > -50
    assert len(played) > 2 * 16_000


def test_more_than_the_link_can_hold_is_spoken_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker, "MAX_QUEUED_FRAMES", 50)  # one second
    monkeypatch.setattr(playback, "AHEAD_S", 0.5)
    voice = EspeakVoice("en-us", 120)
    monkeypatch.setattr(wiring, "build_voice", lambda settings: voice)
    text = "One two three four five six seven. Eight nine ten."
    made = b"".join(voice.synthesize(text))
    assert len(made) > 3 * 32_000
    file = tmp_path / "played.wav"
    result = invoke("speak", text, "-p", f"sim://?speaker=file:{file}")
    assert (result.exit_code, result.output) == (0, "")
    played = read_audio(file)
    assert len(played.strip(b"\0")) > len(made) - 16_000  # less the silence at both ends


def test_what_is_left_to_play_follows_the_reports_of_the_frame() -> None:
    now = [10.0]
    stream = playback.Playback(7, lambda: now[0])
    stream.sent(SECOND * 8)
    now[0] = 11.0
    stream.on_event(FrameReported(PlaybackStarted(7)))
    assert stream.left_s == 8.0
    now[0] = 14.0
    stream.on_event(FrameReported(Underrun(8, missing_samples=16_000)))  # of another stream
    assert stream.left_s == 5.0
    stream.on_event(FrameReported(Underrun(7, missing_samples=32_000)))
    stream.on_event(FrameReported(PlaybackStarted(7)))
    assert stream.left_s == 7.0
    assert not stream.ended
    stream.on_event(FrameReported(PlaybackEnded(7, PlaybackEnd.STARVED)))
    assert stream.wait(0.0) == PlaybackEnd.STARVED


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("", "-o", "x.wav"), ExitCode.USAGE),
        (("** --", "-o", "x.wav"), ExitCode.USAGE),
        (("hello", "-o", "x.wav", "-p", "sim://"), ExitCode.USAGE),
        (("hello", "-o", "/nowhere/x.wav"), ExitCode.FAILURE),
        (("hello", "-o", "x.wav", "--voice", "nobody"), ExitCode.ENGINE),
        (("hello", "-o", "x.wav", "--voice", "en_US-lessac-medium"), ExitCode.ENGINE),
        (("hello", "-o", "x.wav", "--voice", "missing.onnx"), ExitCode.ENGINE),
        (("hello", "-p", "/dev/there-is-no-such-port"), ExitCode.DEVICE_NOT_FOUND),
    ],
)
def test_what_cannot_be_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: ExitCode
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("speak", *arguments)
    assert result.exit_code == code
    assert_one_sentence(result.stderr)
    assert list(tmp_path.iterdir()) == []


LONG = "This is a long sentence that takes some seconds to say aloud, even for a voice in a hurry. " * 3


def wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def wait_until_it_plays(server: FrameServer) -> None:
    wait_until(lambda: server.peripherals.speaker.on, "the frame never began to play")


def test_the_frame_goes_away_in_the_middle_of_a_sentence() -> None:
    with FrameServer() as server:

        def unplug() -> None:
            wait_until_it_plays(server)
            server.unplug()

        thread = threading.Thread(target=unplug)
        thread.start()
        result = invoke("speak", LONG, "-p", server.url)
        thread.join()
    assert result.exit_code == ExitCode.DEVICE_LOST
    assert_one_sentence(result.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_a_signal_silences_the_frame(number: signal.Signals, code: ExitCode) -> None:
    with FrameServer() as server:
        process = subprocess.Popen([*COMMAND, "speak", LONG, "-p", server.url], stderr=subprocess.PIPE)
        wait_until_it_plays(server)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == code
        assert_one_sentence(errors.decode())
        wait_until(lambda: not server.peripherals.speaker.on, "the frame still plays")


# ---------------------------------------------------------------- ask
def test_a_question_that_needs_no_frame(no_ports: None) -> None:
    result = invoke("ask", "what time is it")
    assert result.exit_code == 0
    assert result.stdout.startswith("It is ")
    assert result.stderr == ""


def test_a_turn_as_json() -> None:
    shown = json.loads(invoke("ask", "--json", "-", "-p", "sim://", stdin="set the volume to 30 percent").stdout)
    assert (shown["event"], shown["outcome"]) == ("turn", "answered")
    assert shown["intent"] == {"name": "SetVolume", "slots": {"percent": 30}}
    assert shown["act"]["result"] == {"volume_percent": 30, "muted": False}


def test_a_photo_is_kept_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("ask", "take a photo", "-p", "sim://").stdout == "I took a photo.\n"
    assert list(tmp_path.iterdir()) == []
    invoke("ask", "take a photo", "-p", "sim://", "-o", "kept.jpg")
    assert jpeg_size((tmp_path / "kept.jpg").read_bytes()) == (256, 192)


def test_an_act_without_a_frame_is_an_error(no_ports: None) -> None:
    result = invoke("ask", "take a photo")
    assert result.exit_code == ExitCode.DEVICE_NOT_FOUND
    assert result.stdout.startswith("I could not take the photo: ")
    assert_one_sentence(result.stderr)
    assert "sim://" in result.stderr


def test_a_frame_that_was_named_is_opened_at_once() -> None:
    result = invoke("ask", "what time is it", "-p", "/dev/there-is-no-such-port")
    assert result.exit_code == ExitCode.DEVICE_NOT_FOUND
    assert result.stdout == ""


def test_a_frame_that_refuses(no_ports: None) -> None:
    result = invoke("ask", "what is the battery level", "-p", "sim://?battery=none")
    assert result.exit_code == ExitCode.FRAME_REFUSED
    assert "no battery gauge" in result.stderr


def test_a_timer_is_waited_for() -> None:
    result = invoke("ask", "set a timer for one second")
    assert result.stdout.splitlines() == ["I set a timer for one second.", "Your timer for one second is done."]


def test_json_is_one_object_also_when_a_timer_is_announced() -> None:
    shown = json.loads(invoke("ask", "--json", "set a timer for one second").stdout)
    assert shown["reply"] == "I set a timer for one second."
    assert shown["announcement"]["reply"] == "Your timer for one second is done."


class UnpluggedCamera(ImageCamera):
    """Pulls the cable when it is to take a photo."""

    server: FrameServer

    def take(self) -> bytes:
        self.server.unplug()
        return super().take()


def test_the_frame_goes_away_in_the_middle_of_an_act() -> None:
    camera = UnpluggedCamera()
    with FrameServer(Peripherals(camera=camera)) as server:
        camera.server = server
        result = invoke("ask", "take a photo", "-p", server.url)
    assert result.exit_code == ExitCode.DEVICE_LOST
    assert_one_sentence(result.stderr)


def test_the_frame_goes_away_while_a_timer_runs() -> None:
    with FrameServer() as server:
        command = [*COMMAND, "ask", "set a timer for ten hours", "-p", server.url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stderr is not None
        assert b"waiting for the timer" in process.stderr.readline()
        server.unplug()
        output, errors = process.communicate(timeout=60)
    assert output == b"I set a timer for ten hours.\n"
    assert process.returncode == ExitCode.DEVICE_LOST
    assert_one_sentence(errors.decode())


def test_a_frame_is_let_go_when_the_engines_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    close = Device.close

    def note(device: Device) -> None:
        closed.append(device.info.name)
        close(device)

    def broken(*_: object, **__: object) -> None:
        raise EngineError("llm", "there is no model", "lorgnette setup")

    monkeypatch.setattr(Device, "close", note)
    monkeypatch.setattr(wiring, "build_engines", broken)
    assert invoke("ask", "what time is it", "-p", "sim://").exit_code == ExitCode.ENGINE
    assert closed


@pytest.mark.parametrize("text", ["", "  \n", "\u200b", "\x1b\x00", "x" * 20_001])
def test_a_question_that_is_none(text: str) -> None:
    result = invoke("ask", text)
    assert result.exit_code == ExitCode.USAGE
    assert_one_sentence(result.stderr)


def test_a_question_of_bytes_that_are_no_text() -> None:
    done = run("ask", "-", stdin=b"\xff\xfe")
    assert done.returncode == ExitCode.USAGE
    assert_one_sentence(done.stderr.decode())
    assert done.stdout == b""


def test_without_a_model_the_answer_is_honest() -> None:
    result = invoke("ask", "who was Ada Lovelace")
    assert result.exit_code == 0
    assert "without a language model" in result.stdout
    assert "lorgnette setup" in result.stdout


class Model(BaseHTTPRequestHandler):
    """A model server that streams two sentences, one of them hostile."""

    asked: list[dict[str, object]]

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for piece in ("She wrote the first ", "program. ", "\x1b[2JFor a machine."):
            event = {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        self.wfile.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def model_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, object]]]:
    """A configured model server; yields the requests that it got."""
    asked: list[dict[str, object]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Asked", (Model,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("LORGNETTE_LLM_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("LORGNETTE_LLM_MODEL", "small")
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_free_question_goes_to_the_model(model_server: list[dict[str, object]]) -> None:
    result = invoke("ask", "who was Ada Lovelace")
    assert result.exit_code == 0
    assert "She wrote the first program." in result.stdout
    assert "For a machine." in result.stdout
    assert "\x1b" not in result.stdout
    assert [request["model"] for request in model_server] == ["small"]


def test_a_command_never_reaches_the_model(model_server: list[dict[str, object]]) -> None:
    assert invoke("ask", "what time is it").exit_code == 0
    assert model_server == []


def test_offline_asks_nobody(model_server: list[dict[str, object]]) -> None:
    result = invoke("ask", "--offline", "who was Ada Lovelace")
    assert result.exit_code == ExitCode.OFFLINE
    assert_one_sentence(result.stderr)
    assert model_server == []
    assert invoke("ask", "--offline", "what time is it").exit_code == 0


def test_a_model_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("LORGNETTE_LLM_MODEL", "any")
    result = invoke("ask", "who was Ada Lovelace")
    assert result.exit_code == ExitCode.NETWORK
    assert_one_sentence(result.stderr)


def test_a_model_server_whose_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_LLM_BASE_URL", "localhost")
    result = invoke("ask", "who was Ada Lovelace")
    assert result.exit_code == ExitCode.CONFIG
    assert_one_sentence(result.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes")
def test_a_reader_of_the_answer_that_goes_away() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*COMMAND, "ask", "what time is it"], stdout=write_end, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(write_end)
    assert done.returncode == ExitCode.OUTPUT_CLOSED
    assert done.stderr == b""
