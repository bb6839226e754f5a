"""`lorgnette demo` as a user runs it: one process, real time, and everything that it leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import RecordedDemo

from lorgnette.cli.demo.session import DemoResult
from lorgnette.cli.jpeg import jpeg_size

STAGES = {"endpointing", "stt", "understanding", "tts", "link", "total"}


@pytest.fixture
def demo(recorded_demo: RecordedDemo) -> tuple[dict[str, Any], Path]:
    return recorded_demo.printed, recorded_demo.folder


def test_it_prints_one_object(demo: tuple[dict[str, Any], Path]) -> None:
    printed, _ = demo
    assert printed["schema"] == 1
    assert {"stt", "tts", "vad", "understanding"} <= {engine["role"] for engine in printed["engines"]}
    assert len(printed["turns"]) >= 5 and len(printed["rejected"]) >= 1
    assert printed["faults"] == []


def test_each_turn_heard_what_was_said_and_answered_aloud(demo: tuple[dict[str, Any], Path]) -> None:
    for turn in demo[0]["turns"]:
        assert turn["heard"].lower() == turn["said"].lower()
        assert turn["outcome"] == "answered"
        assert turn["reply"]
        assert turn["reply_audio_s"] > 0.5
        assert turn["reply_rms_dbfs"] > -60
        assert set(turn["stages_ms"]) >= STAGES
        parts = sum(ms for stage, ms in turn["stages_ms"].items() if stage != "total")
        assert turn["stages_ms"]["total"] == pytest.approx(parts, abs=25)  # the frame's clock ticks in 20 ms


def test_the_acts_are_read_back_from_the_frame(demo: tuple[dict[str, Any], Path]) -> None:
    by_act = {turn["act"]["name"]: turn for turn in demo[0]["turns"] if turn["act"]}
    assert by_act["take_photo"]["frame"]["photos_taken"] == 1
    assert by_act["set_volume"]["frame"]["volume_percent"] == 40
    assert by_act["volume_up"]["frame"]["volume_percent"] == 50
    assert by_act["get_battery"]["act"]["result"]["battery_percent"] == 83


def test_what_is_no_command_is_refused(demo: tuple[dict[str, Any], Path]) -> None:
    for row in demo[0]["rejected"]:
        assert row["outcome"] == "rejected"
        assert row["heard"] == "" and row["act"] is None
        assert row["reply"] == "I did not catch that."


def test_it_leaves_everything_in_its_folder(demo: tuple[dict[str, Any], Path]) -> None:
    printed, out = demo
    assert {path.name for path in out.iterdir()} == {
        "heard.wav",
        "played.wav",
        "photo.jpg",
        "transcript.jsonl",
        "report.html",
    }
    for name in ("heard.wav", "played.wav"):
        with wave.open(str(out / name)) as track:
            assert (track.getframerate(), track.getnchannels(), track.getsampwidth()) == (16000, 1, 2)
            assert track.getnframes() > 20 * 16000
            assert any(track.readframes(track.getnframes()))
    width, height = jpeg_size((out / "photo.jpg").read_bytes())
    assert width >= 64 and height >= 48
    events = [json.loads(line) for line in (out / "transcript.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum(event["event"] == "turn" for event in events) == len(printed["turns"]) + len(printed["rejected"])
    assert (out / "report.html").stat().st_size > 100_000


def test_the_microphone_light_was_on_while_it_listened(demo: tuple[dict[str, Any], Path]) -> None:
    assert demo[0]["frame"]["led_kind"] in ("software", "hardware")
    assert all(turn["frame"]["led"] == "dim" for turn in demo[0]["turns"])


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "lorgnette.cli", "demo", "-o", str(tmp_path / "file" / "below")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("lorgnette: cannot use ") and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM for another process")
def test_what_an_interrupted_demo_heard_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "session"
    demo = subprocess.Popen(
        [sys.executable, "-m", "lorgnette.cli", "demo", "-o", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "the wearer says: Take a photo." in line:  # the first line has been answered
            break
    demo.send_signal(signal.SIGTERM)
    _, stderr = demo.communicate(timeout=60)
    assert demo.returncode == 143, stderr
    assert {"heard.wav", "played.wav", "transcript.jsonl", "report.html"} <= {path.name for path in out.iterdir()}
    with wave.open(str(out / "heard.wav")) as track:
        assert track.getnframes() > 2 * 16000


def test_a_demo_that_ends_early_is_no_success() -> None:
    result = DemoResult([], [], {}, b"", b"", [], [], [], stopped_by="the cable was pulled")
    [fault] = result.faults
    assert "7 of 7 lines" in fault and "the cable was pulled" in fault
