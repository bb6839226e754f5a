"""`lorgnette doctor`: every part gets a line, and what is broken gets a remedy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest
from tests.support.program import assert_one_sentence, invoke
from tests.support.served_ports import FrameServer, StrangerServer

from lorgnette.cli import checks
from lorgnette.cli.commands.frame_checks import check_camera, check_microphone
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.cli.settings import Settings
from lorgnette.firmware_bridge import discovery
from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.messages import Capability
from lorgnette.firmware_bridge.simulator.camera import ImageCamera
from lorgnette.firmware_bridge.simulator.microphone import ScriptedMicrophone
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

ON_THE_HOST = ["config", "python", "torch", "disk", "models", "sound card"]
ENGINES = ["speech", "ear", "understanding", "voice", "model"]
ON_THE_FRAME = ["port", "permission", "handshake", "microphone", "camera", "speaker", "battery"]


def found(*arguments: str) -> dict[str, dict[str, str]]:
    shown = json.loads(invoke("doctor", "--json", *arguments).stdout)
    assert shown["schema"] == 1
    assert shown["ok"] == all(check["status"] != "failed" for check in shown["checks"])
    return {check["name"]: check for check in shown["checks"]}


def test_every_part_gets_a_line() -> None:
    result = invoke("doctor", "-p", "sim://")
    assert result.exit_code == 0
    assert result.stderr == ""
    names = [line[7:21].strip() for line in result.stdout.splitlines() if line[:7].strip()]
    assert names == [*ON_THE_HOST, *ENGINES, "core", *ON_THE_FRAME]


def test_what_is_not_fitted_is_no_failure() -> None:
    parts = Capability.CAMERA | Capability.SPEAKER | Capability.BATTERY | Capability.MICROPHONE
    with FrameServer(Peripherals(without=parts, battery_percent=None)) as server:
        shown = found("-p", server.url)
    assert {name: shown[name]["detail"] for name in ON_THE_FRAME[3:]} == {
        "microphone": "not fitted: use --mic host",
        "camera": "not fitted: use --camera FILE",
        "speaker": "not fitted: use --speaker host",
        "battery": "no gauge",
    }
    assert {shown[name]["status"] for name in ON_THE_FRAME[3:]} == {"absent"}


@pytest.mark.parametrize("part", ["mic", "camera", "speaker"])
def test_a_bare_board_is_well_and_what_it_lacks_is_one_line(part: str) -> None:
    result = invoke("doctor", "-p", f"sim://?{part}=none")
    assert (result.exit_code, result.stderr) == (0, "")
    name = {"mic": "microphone"}.get(part, part)
    [at] = [at for at, line in enumerate(result.stdout.splitlines()) if line[7:21].strip() == name]
    line, *after = result.stdout.splitlines()[at:]
    assert line.startswith("-      ") and "not fitted: use --" in line
    assert after[0][:7].strip(), "the next check, no second line"


def test_a_board_that_is_mute_is_told_from_a_port_that_is_none() -> None:
    shown = found("-p", "sim://?mute=0", "--timeout", "0.3")
    assert (shown["port"]["status"], shown["permission"]["status"]) == ("ok", "ok")
    assert shown["handshake"]["status"] == "failed"
    assert "Nothing answers" in shown["handshake"]["detail"]
    assert "RESET" in shown["handshake"]["remedy"] and "unplug it" in shown["handshake"]["remedy"]
    assert "microphone" not in shown


def test_a_loud_microphone_and_its_light() -> None:
    device = Device.open("sim://", peripherals=Peripherals(microphone=ScriptedMicrophone(b"\x00\x10\x00\xf0" * 32_000)))
    with device:
        check = check_microphone(device)
    assert (check.status, check.detail) == ("ok", "-18 dBFS, LED lit by its software")


class BrokenCamera(ImageCamera):
    """Delivers a picture whose header claims more pixels than any camera has."""

    def take(self) -> bytes:
        header = b"\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00"
        return b"\xff\xd8" + header + b"\xff\xda\x00\x02\x00\xff\xd9"


def test_a_camera_that_sends_what_is_no_picture() -> None:
    with Device.open("sim://", peripherals=Peripherals(camera=BrokenCamera())) as device:
        check = check_camera(device)
    assert check.status == "failed"
    assert "65535 x 65535" in check.detail
    assert check.remedy


@pytest.mark.parametrize(("port", "broken"), [("/dev/there-is-no-such-port", "port"), ("socket://127.0.0.1:1", "port")])
def test_a_port_that_was_named_and_is_not_there_fails(port: str, broken: str) -> None:
    result = invoke("doctor", "-p", port)
    assert result.exit_code == ExitCode.FAILURE
    assert_one_sentence(result.stderr)
    assert broken in result.stderr
    assert f"FAILED {broken}" in result.stdout


def test_a_port_with_somebody_else_behind_it() -> None:
    with StrangerServer(answer=lambda heard: b"ERROR\r\n\x00") as stranger:
        shown = found("-p", stranger.url, "--timeout", "0.7")
    assert shown["port"]["status"] == "ok"
    assert shown["handshake"]["status"] == "failed"
    assert shown["handshake"]["remedy"]
    assert "microphone" not in shown


def test_no_frame_at_all_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "list_ports", list)
    shown = found()
    assert shown["port"]["status"] == "absent"
    assert "sim://" in shown["port"]["remedy"]


def test_a_broken_configuration_is_one_line_and_the_rest_is_looked_at(config_file: Path) -> None:
    config_file.write_text("port = 'sim://'\n[tts]\nengine = 'festival'\n", encoding="utf-8")
    shown = found()
    assert shown["config"]["status"] == "failed"
    assert f"{config_file}:3" in shown["config"]["detail"]
    assert shown["voice"]["status"] == "ok"


def test_a_mistyped_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_TTS_ENGIN", "espeak")
    check, settings = checks.check_config()
    assert settings is not None
    assert check.status == "note"
    assert "LORGNETTE_TTS_ENGINE?" in check.detail


def test_an_engine_that_cannot_be_had(config_file: Path) -> None:
    config_file.write_text("[stt]\nmodel = 'base.en'\n[tts]\nvoice = 'nobody'\n", encoding="utf-8")
    shown = found()
    assert shown["ear"]["status"] == "failed"
    assert shown["ear"]["remedy"] == "lorgnette models pull base.en"
    assert shown["voice"]["status"] == "failed"


def test_a_model_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    assert found()["model"]["status"] == "failed"
    assert found("--offline")["model"]["status"] == "note"


class Packages:
    """Installed distributions by name."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __call__(self) -> Iterator[metadata.Distribution]:
        return map(NamedDistribution, self.names)


class NamedDistribution(metadata.Distribution):
    """A distribution that has a name and nothing else."""

    def __init__(self, name: str) -> None:
        self._metadata = Message()
        self._metadata["Name"] = name

    @property
    def metadata(self) -> Message:  # type: ignore[override]
        return self._metadata

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: object) -> Path:  # type: ignore[override]
        raise FileNotFoundError(path)


def test_cuda_packages_are_named_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distributions", Packages("torch", "nvidia-cublas-cu12", "nvidia-cudnn-cu12"))
    check = checks.check_torch()
    assert check.status == "note"
    assert "2 nvidia-* packages" in check.detail
    assert "pip uninstall -y torch nvidia-cublas-cu12 nvidia-cudnn-cu12" in check.remedy


def test_a_full_disk_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MIN_FREE_BYTES", 1 << 62)
    assert checks.check_disk().status == "note"


def test_without_the_compiled_core_only_the_simulator_is_missing() -> None:
    code = """
import sys
sys.modules["lorgnette.firmware_bridge._core"] = None
from lorgnette.cli.commands.frame_checks import check_core
from lorgnette.cli.settings import Settings
for port in ("", "sim://"):
    check = check_core(Settings(port=port))
    print(check.status, "gcc" in check.remedy)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["absent True", "failed True"]


def test_engine_checks_follow_the_settings() -> None:
    names = [check.name for check in checks.engine_checks(Settings(), offline=True)]
    assert names == ENGINES
