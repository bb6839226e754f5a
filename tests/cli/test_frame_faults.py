"""A simulated frame with a fault, typed as a tester types it: one sentence, a remedy and an exit code each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.program import assert_one_sentence, invoke

from lorgnette.cli.exit_codes import ExitCode


@pytest.mark.parametrize(
    ("options", "status", "sentence", "remedy"),
    [
        ("camera=fault:no-eoi", ExitCode.FRAME_REFUSED, "delivered no valid JPEG", "doctor"),
        ("camera=fault:null", ExitCode.FRAME_REFUSED, "camera failed", "doctor"),
        ("camera=fault:brownout", ExitCode.DEVICE_LOST, "Brownout detector was triggered", "another port"),
        ("mute=0", ExitCode.DEVICE_NOT_FOUND, "Nothing answers", "RESET"),
        ("panic=0.1", ExitCode.DEVICE_LOST, "The frame crashed: Guru Meditation Error", "restarts by itself"),
    ],
)
def test_a_photo_that_does_not_come(options: str, status: ExitCode, sentence: str, remedy: str, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    done = invoke("frame", "photo", "-p", f"sim://?{options}", "-o", str(photo), "--timeout", "1")
    assert done.exit_code == status, done.stderr
    assert_one_sentence(done.stderr)
    assert sentence in done.stderr
    assert remedy in done.stderr
    assert not photo.exists()


def test_a_buffer_with_several_pictures_is_one_photo(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    assert invoke("frame", "photo", "-p", "sim://", "-o", str(whole)).exit_code == 0
    assert invoke("frame", "photo", "-p", "sim://?camera=fault:concatenated", "-o", str(cut)).exit_code == 0
    assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("fault", "reason"), [("reset", "software"), ("panic", "panic"), ("brownout", "brown_out"), ("bootlog", "power_on")]
)
def test_the_frames_own_word_for_its_last_reset(fault: str, reason: str, tmp_path: Path) -> None:
    """The fault strikes before the first greeting, which is repeated until the frame has booted."""
    at = "1" if fault == "bootlog" else "0.0001"
    log = tmp_path / "log.txt"
    done = invoke("frame", "info", "-p", f"sim://?{fault}={at}", "--json", "--log-file", str(log))
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["reset_reason"] == reason
    kept = "the frame prints: crashed: LoadProhibited at 0x" in log.read_text(encoding="utf-8")
    assert kept == (fault == "panic")
