"""What a session leaves behind: whole at every moment, and never in the way of the sound."""

from __future__ import annotations

import json
import wave
from datetime import datetime
from pathlib import Path

import pytest

from lorgnette.cli.assistant.audio import AudioFrame
from lorgnette.cli.assistant.events import Problem, ReplySpoken, StateChanged
from lorgnette.cli.keeper import Keeper

LOUD = b"\x10\x20" * 320


def samples(path: Path) -> bytes:
    with wave.open(str(path)) as wav:
        return wav.readframes(wav.getnframes())


def test_the_transcript_is_whole_before_the_end(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "new" / "folder")
    keeper.on_notice(StateChanged("listening"))
    keeper.on_notice(ReplySpoken(1, "It is noon."))
    [line] = (tmp_path / "new" / "folder" / "transcript.jsonl").read_text(encoding="utf-8").splitlines()
    kept = json.loads(line)
    assert kept["text"] == "It is noon."
    assert datetime.fromisoformat(kept["session"]) <= datetime.fromisoformat(kept["time"])
    keeper.close()


def test_a_second_session_loses_nothing_of_the_first(tmp_path: Path) -> None:
    for text in ("one", "two"):
        keeper = Keeper(tmp_path)
        keeper.on_notice(ReplySpoken(1, text))
        keeper.heard(AudioFrame(0, LOUD))
        keeper.spoken(LOUD)
        keeper.spoken(LOUD)
        keeper.photo(text.encode())
        keeper.close()
    assert len((tmp_path / "transcript.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert (tmp_path / "photo.jpg").read_bytes() == b"one"
    assert (tmp_path / "photo-2.jpg").read_bytes() == b"two"
    assert samples(tmp_path / "spoken.wav") == samples(tmp_path / "spoken-2.wav") == LOUD + LOUD
    assert samples(tmp_path / "heard.wav") == samples(tmp_path / "heard-2.wav") == LOUD


def test_a_hole_in_the_sample_clock_is_silence(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.heard(AudioFrame(3200, LOUD))
    keeper.heard(AudioFrame(3840, LOUD, dropped_frames=1))
    keeper.close()
    assert samples(tmp_path / "heard.wav") == LOUD + bytes(640) + LOUD


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keeper = Keeper(None)
    keeper.on_notice(ReplySpoken(1, "x"))
    keeper.heard(AudioFrame(0, LOUD))
    assert keeper.photo(b"jpeg") == {}
    keeper.close()
    assert list(tmp_path.iterdir()) == []


def test_sound_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    problems: list[Problem] = []
    keeper = Keeper(tmp_path / "gone", problems.append)
    (tmp_path / "gone" / "transcript.jsonl").unlink()
    (tmp_path / "gone").rmdir()
    for number in range(5):
        keeper.heard(AudioFrame(320 * number, LOUD))
    keeper.close()
    [problem] = problems
    assert "heard.wav" in problem.message


def test_a_transcript_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "transcript.jsonl").symlink_to("/dev/full")
    problems: list[Problem] = []
    keeper = Keeper(tmp_path, problems.append)
    for _ in range(3):
        keeper.on_notice(ReplySpoken(1, "It is noon."))
    keeper.close()
    [problem] = problems
    assert "transcript.jsonl" in problem.message and "no space left" in problem.message
