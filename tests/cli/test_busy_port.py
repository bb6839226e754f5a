"""Two programs and one port: the second is refused, and is told which program the first one is."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from tests.cli.test_run import session
from tests.support.program import assert_one_sentence, invoke, run
from tests.support.served_ports import FrameServer

from lorgnette.cli.exit_codes import ExitCode
from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
def test_while_run_holds_the_port_every_other_command_names_it(tmp_path: Path) -> None:
    from tests.support.pty_frame import frame_behind_pty

    with frame_behind_pty(tmp_path, Peripherals()) as frame, session("-p", str(frame.path)) as talk:
        talk.wait_for(event="state", state="listening")
        for command in (["frame", "info"], ["frame", "volume", "30"], ["speak", "hello"]):
            done = run(*command, "-p", str(frame.path))
            stderr = done.stderr.decode()
            assert done.returncode == ExitCode.DEVICE_BUSY, stderr
            assert_one_sentence(stderr)
            first, remedy = stderr.splitlines()
            since = r", since (\d{4}-\d\d-\d\d )?\d\d:\d\d"
            named = rf"lorgnette: {frame.path} is in use by 'lorgnette run' \(process {talk.process.pid}{since}\)\."
            assert re.fullmatch(named if Path("/proc/self").exists() else f"lorgnette: .*{frame.path}.*", first), first
            again = " ".join(["lorgnette", *command[: 2 if command[0] == "frame" else 1]])
            assert remedy.endswith(f"Ask it by voice, or end it with Ctrl-C in its terminal; then: {again}")
        assert talk.process.poll() is None, "the first one has noticed nothing"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only /proc tells without another tool")
def test_a_program_that_took_no_lock_is_named_when_it_eats_the_answers(tmp_path: Path) -> None:
    """A serial monitor opens the port without a lock and reads the frame's octets away: nothing answers then."""
    import subprocess

    master, slave = os.openpty()
    name = os.ttyname(slave)
    os.close(slave)
    monitor = [sys.executable, "-c", "import os, sys; os.open(sys.argv[1], 2); print(flush=True); sys.stdin.read()"]
    with subprocess.Popen([*monitor, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        result = invoke("frame", "info", "-p", name, "--timeout", "0.3")
        process.stdin.close()
    os.close(master)
    assert result.exit_code == ExitCode.DEVICE_BUSY
    assert_one_sentence(result.stderr)
    assert f"Nothing answers on {name}" in result.stderr
    assert f"(process {process.pid}, since " in result.stderr
    assert f"kill {process.pid}" in result.stderr


def test_a_serial_server_with_another_host_is_told_apart_from_a_dead_board() -> None:
    with FrameServer() as server, Device.open(server.url) as first:
        result = invoke("frame", "info", "-p", server.url, "--timeout", "0.3")
        assert first.connected
    assert result.exit_code == ExitCode.DEVICE_NOT_FOUND
    assert_one_sentence(result.stderr)
    assert "another program is connected" in result.stderr


def test_a_simulated_frame_is_everybody_s_own() -> None:
    """sim:// names no port that could be in use: each program makes a frame of its own."""
    with Device.open("sim://") as first, Device.open("sim://") as second:
        assert first.info.session and second.info.session
        assert first.connected and second.connected
