"""A frame whose firmware crashes: the command says so, and what the frame printed is kept for its owner alone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from tests.support.program import assert_one_sentence, invoke
from tests.support.served_ports import FrameServer, StrangerServer

from lorgnette.cli.exit_codes import ExitCode
from lorgnette.cli.glasses.crashes import MAX_FILES, crash_folder, keep_crash
from lorgnette.firmware_bridge.link_events import Crashed
from lorgnette.firmware_bridge.simulator.camera import ImageCamera
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

PANIC = (
    "I (51234) camera: \x1b[0;32mexposure 12 ms\x1b[0m\r\n"
    "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n"
    "Backtrace: 0x42008d37:0x3fc9a2b0 0x4200a4ee:0x3fc9a2d0\r\n\r\nRebooting...\r\n"
)
BOOT = "ESP-ROM:esp32s3-20210327\r\nrst:0xc (RTC_SW_CPU_RST),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n"


class CrashingCamera(ImageCamera):
    """A camera whose driver takes the whole firmware down."""

    server: FrameServer

    def start(self) -> int:
        self.server.crash(PANIC + BOOT)
        return super().start()


@pytest.fixture
def crashing() -> FrameServer:
    camera = CrashingCamera()
    camera.server = FrameServer(Peripherals(camera=camera))
    return camera.server


def test_the_error_names_the_crash_and_the_file(crashing: FrameServer, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with crashing:
        url = crashing.url
        result = invoke("frame", "photo", "-p", url, "-o", str(tmp_path / "photo.jpg"), "--log-file", str(log))
    assert result.exit_code == ExitCode.DEVICE_LOST, result.stderr
    assert_one_sentence(result.stderr)
    assert "The frame crashed: Guru Meditation Error: Core  0 panic'ed (LoadProhibited)" in result.stderr
    [file] = crash_folder().iterdir()
    assert f"what it printed is in {file}." in result.stderr
    kept = file.read_text(encoding="utf-8")
    assert url in kept and "exposure 12 ms" in kept and "Backtrace: 0x42008d37" in kept
    assert "\x1b" not in kept
    assert not (tmp_path / "photo.jpg").exists()
    written = log.read_text(encoding="utf-8")
    assert "the frame prints: ESP-ROM:esp32s3-20210327" in written
    assert "\x1b" not in written


@pytest.mark.skipif(os.name != "posix", reason="needs file modes")
def test_only_the_user_may_read_it(crashing: FrameServer, tmp_path: Path) -> None:
    with crashing:
        invoke("frame", "photo", "-p", crashing.url, "-o", str(tmp_path / "photo.jpg"))
    [file] = crash_folder().iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(crash_folder().stat().st_mode) == 0o700


def test_only_so_many_files_are_kept_and_the_newest_stay() -> None:
    paths = [keep_crash("/dev/ttyACM0", Crashed("abort()", f"crash {number}\n")) for number in range(MAX_FILES + 5)]
    assert sorted(str(path) for path in crash_folder().iterdir()) == paths[5:]
    huge = keep_crash("/dev/ttyACM0", Crashed("abort()", "x" * 1_000_000))
    assert Path(huge).stat().st_size == 65_536


def test_nothing_printed_is_nothing_kept() -> None:
    assert keep_crash("/dev/ttyACM0", Crashed("it has restarted after a panic", "")) == ""
    assert not crash_folder().exists()


def test_a_boot_log_is_shown_on_request_with_one_prefix() -> None:
    greeting = (BOOT + "I (31) boot: \x1b[32mhello\x1b[0m\r\n").encode()
    with StrangerServer(greeting=greeting) as stranger:
        arguments = ("frame", "info", "-p", stranger.url, "--timeout", "0.4")
        quiet, loud = invoke(*arguments), invoke(*arguments, "-v")
    assert quiet.exit_code == loud.exit_code == ExitCode.NOT_A_FRAME
    assert "ESP-ROM:esp32s3" in quiet.stderr, "a failed handshake quotes what came"
    assert "the frame prints: I (31) boot: hello\n" in loud.stderr
    assert "\x1b" not in quiet.stderr + loud.stderr


def test_a_board_that_waits_for_a_download_is_told_from_one_that_is_no_frame() -> None:
    with StrangerServer(
        greeting=b"rst:0x1 (POWERON),boot:0x0 (DOWNLOAD(USB/UART0))\r\nwaiting for download\r\n"
    ) as board:
        result = invoke("frame", "info", "-p", board.url, "--timeout", "0.4")
    assert result.exit_code == ExitCode.DEVICE_NOT_FOUND
    assert_one_sentence(result.stderr)
    assert "waits for a download" in result.stderr and "RESET" in result.stderr


def test_a_session_goes_on_after_a_crash_and_has_said_so(tmp_path: Path) -> None:
    """`run` shows the crash as a problem of the link, and takes the frame again once it has booted."""
    from tests.cli.test_run import session

    with FrameServer() as server, session("-p", server.url) as talk:
        talk.wait_for(event="state", state="listening")
        server.crash(PANIC + BOOT)
        problem = talk.wait_for(event="problem", stage="link")
        assert "The frame crashed: Guru Meditation Error" in json.dumps(problem)
        assert "what it printed is in " in problem["message"]
        assert talk.process.poll() is None
