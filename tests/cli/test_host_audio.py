"""The host's sound card as routes, on ALSA's null device: PortAudio's real streams, nobody listening."""

from __future__ import annotations

import importlib.util
import json
import queue
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.program import run

NULL_DEVICE = "pcm.!default { type null }\nctl.!default { type hw card 0 }\n"

# In a process of its own: PortAudio reads the sound configuration once, when it is loaded.
_MICROPHONE = """
import queue
from lorgnette.cli.glasses.routes import HostMicrophone
heard = queue.SimpleQueue()
microphone = HostMicrophone()
microphone.start(heard.put)
microphone.start(heard.put)
frames = [heard.get(timeout=30).frame for _ in range(50)]
microphone.stop()
assert microphone.now_sample() >= frames[-1].end_sample
print([frame.sample for frame in frames], {frame.samples for frame in frames})
"""


@pytest.fixture
def null_device(tmp_path: Path) -> dict[str, str]:
    """Environment in which the default sound card is ALSA's null device."""
    if not sys.platform.startswith("linux"):
        pytest.skip("ALSA is Linux's")
    if importlib.util.find_spec("sounddevice") is None:
        pytest.skip("sounddevice is not installed (pip install sounddevice)")
    (tmp_path / ".asoundrc").write_text(NULL_DEVICE)
    environment = {"HOME": str(tmp_path)}
    probe = [sys.executable, "-c", "import sounddevice; sounddevice.check_output_settings()"]
    found = subprocess.run(probe, capture_output=True, text=True, env=environment, timeout=60)
    if found.returncode:
        pytest.skip(f"PortAudio has no default device here (apt install libportaudio2): {found.stderr[-200:]}")
    return environment


def test_the_microphone_counts_its_samples(null_device: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MICROPHONE], capture_output=True, text=True, env=null_device, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{list(range(0, 50 * 320, 320))} {{320}}"


def test_a_reply_leaves_through_the_sound_card(null_device: dict[str, str]) -> None:
    done = run("run", "--mic", "text:What time is it?", "--speaker", "host", "--json", env=null_device)
    assert done.returncode == 0, done.stderr
    [turn] = [event for line in done.stdout.splitlines() if (event := json.loads(line))["event"] == "turn"]
    assert turn["outcome"] == "answered" and turn["reply_samples"] > 8000
    assert turn["stages_ms"]["total"] > turn["stages_ms"]["endpointing"]


def test_speech_while_nothing_is_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from lorgnette.cli.assistant.engines.protocols import EngineError
    from lorgnette.cli.glasses.routes import HostMicrophone, HostSpeaker

    monkeypatch.setitem(sys.modules, "sounddevice", None)
    for build in (HostMicrophone, lambda: HostSpeaker(lambda: 0, queue.SimpleQueue().put)):
        with pytest.raises(EngineError, match="sound card cannot be used") as caught:
            build()
        assert "lorgnette[audio]" in caught.value.remedy
