"""The frames as Python objects: steps, failures of peripherals, and programs that die."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.support.frame_builds import SANITIZER_ENV, SANITIZERS, FrameFactory, compile_c, need_flags
from tests.support.raw_host import MS, RawHost, all_of, one

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.errors import DeviceLost, SimulatorUnavailable
from lorgnette.firmware_bridge.simulator import (
    NEVER,
    Peripherals,
    PipeFrame,
    ScriptedMicrophone,
    SimulatedFrame,
)
from lorgnette.firmware_bridge.simulator import core as simulated_core


def scenario(host: RawHost) -> list[tuple[int, m.Message]]:
    """A little of everything; what the frame said, and when."""
    host.connect()
    host.start_capture()
    host.frame.peripherals.button.press(80)
    for i in range(5):
        host.send(m.SpeakerAudio(sample=320 * i, stream=1, pcm=bytes(range(1, 161)) * 4), flags=m.Flag.LAST * (i == 4))
    host.advance(300 * MS)
    host.call(m.Method.TAKE_PHOTO)
    host.advance(200 * MS)
    host.call(m.Method.READ_OBJECT, m.ReadObjectArgs(1, 0))
    host.advance(1000 * MS)
    # The build hash tells the builds apart; nothing else may.
    return [(r.at_us, r.message) for r in host.log if not isinstance(r.message, m.HelloAck)]


def test_every_build_says_the_same(make_frame: FrameFactory) -> None:
    if simulated_core.CORE_MISSING:
        pytest.skip("the C core is not built (python setup.py build_ext --inplace)")

    def parts() -> Peripherals:
        return Peripherals(microphone=ScriptedMicrophone(bytes(range(256)) * 40), seed=3)

    this, reference = make_frame(parts()), SimulatedFrame(parts())
    assert scenario(RawHost(this)) == scenario(RawHost(reference))
    assert this.peripherals.speaker.recorded == reference.peripherals.speaker.recorded
    assert this.peripherals.microphone.recorded == reference.peripherals.microphone.recorded
    assert this.peripherals.changes == reference.peripherals.changes


def test_a_long_step_and_many_short_ones_hear_the_same(make_frame: FrameFactory) -> None:
    heard = []
    for pause_us in (1_000, 7_777, 500_000):
        host = RawHost(make_frame(Peripherals(microphone=ScriptedMicrophone(bytes(range(256)) * 60))))
        host.connect()
        host.start_capture()
        while host.now_us < 500_000:
            host.now_us = min(host.now_us + pause_us, 500_000)
            host.step()
        heard.append([(audio.sample, audio.pcm) for audio in all_of(host.log, m.MicAudio)])
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) == 25


def test_any_clock_will_do(make_frame: FrameFactory) -> None:
    frame = make_frame(Peripherals())
    start = 1 << 62
    assert frame.step(start) == (b"", NEVER)
    host = RawHost(frame)
    host.now_us = start + 1_000_000
    host.connect()
    assert host.state().mic_sample == 16_000  # since the first step


def test_more_octets_than_a_step_can_hear(make_frame: FrameFactory) -> None:
    host = RawHost(make_frame(Peripherals()))
    host.connect()
    wire = b"x" * 70_000 + b"\0" + host.pack(m.Call(call_id=999, method=m.Method.SET_VOLUME, args=b"\x09"))
    host.step(wire.rjust(131_072, b"\0"))
    assert host.state().volume_percent == 9


class BrokenMicrophone(ScriptedMicrophone):
    def read(self, n_samples: int, sample: int = 0) -> bytes:
        raise OSError("the script is gone")


def test_a_failure_of_a_peripheral_reaches_the_caller() -> None:
    if simulated_core.CORE_MISSING:
        pytest.skip("the C core is not built (python setup.py build_ext --inplace)")
    host = RawHost(SimulatedFrame(Peripherals(microphone=BrokenMicrophone())))
    host.connect()
    host.start_capture()
    with pytest.raises(OSError, match="the script is gone"):
        host.advance(40 * MS)
    host.frame.peripherals.microphone = ScriptedMicrophone()
    assert host.state().capturing == 1  # the frame itself is well


def test_without_the_core_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_core, "CORE_MISSING", True)
    with pytest.raises(SimulatorUnavailable, match="needs the compiled core") as caught:
        SimulatedFrame()
    assert "compiler" in caught.value.remedy


def python(code: str) -> list[str]:
    return [sys.executable, "-c", f"import sys\nout, inp = sys.stdout.buffer, sys.stdin.buffer\n{code}"]


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SimulatorUnavailable, match="No such file"):
        PipeFrame([str(tmp_path / "frame")])


@pytest.mark.parametrize("code", ["out.write(b'HAL9' + bytes(99))", "out.write(b'HA')", "pass"])
def test_a_program_that_is_no_frame(code: str) -> None:
    with pytest.raises(SimulatorUnavailable, match="is no simulated frame"):
        PipeFrame(python(code))


def test_a_program_that_dies_is_quoted() -> None:
    frame = PipeFrame(python("out.write(b'HAL3'); out.flush(); inp.read(24); sys.exit('stack overflow in audio task')"))
    with pytest.raises(DeviceLost, match=r"status 1\nstack overflow in audio task"):
        frame.step(0)
    frame.close()  # once it has been said, closing is quiet


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("b'?'", "unknown message"),
        ("b'M' + bytes(4) + b'\\xff' * 4", "block of 4294967295 samples"),
        ("b'D' + bytes(8) + b'\\xff' * 4", "announced 4294967295 octets"),
    ],
)
def test_a_program_that_breaks_the_stream(answer: str, complaint: str) -> None:
    frame = PipeFrame(python(f"out.write(b'HAL3'); out.flush(); inp.read(24 + 17); out.write({answer})"))
    with pytest.raises(DeviceLost, match=complaint):
        frame.step(0)
    frame.close()


OVERFLOW = """
#include <stdio.h>
#include <stdlib.h>
int main(int n, char **names)
{
    (void)names;
    char *block = malloc(8);
    fputs("HAL3", stdout);
    fflush(stdout);
    (void)getchar();
    if (block != NULL) block[7 + n] = 'x';
    return 0;
}
"""


@pytest.mark.cross
def test_a_sanitizers_report_is_quoted(tmp_path: Path) -> None:
    """The tests on the sanitizer build can fail: one octet too many, and the step says so."""
    compiler = need_flags(tmp_path, SANITIZERS, "gcc")
    (tmp_path / "overflow.c").write_text(OVERFLOW, encoding="ascii")
    compile_c(compiler, SANITIZERS, [tmp_path / "overflow.c"], "-o", str(tmp_path / "overflow"))
    frame = PipeFrame([str(tmp_path / "overflow")], env=SANITIZER_ENV)
    with pytest.raises(DeviceLost, match=r"status [1-9]\d*\n.*overflow\.c:11"):  # whichever sanitizer sees it first
        frame.step(0)


def test_a_frame_says_why_it_has_booted_and_what_the_boot_before_noted(make_frame: FrameFactory) -> None:
    parts = Peripherals()
    assert RawHost(make_frame(parts)).connect().reset_reason == m.ResetReason.POWER_ON
    assert RawHost(make_frame(parts)).connect().reset_reason == m.ResetReason.SOFTWARE
    parts.reset(m.ResetReason.PANIC, "crashed: " + "x" * 200)
    host = RawHost(make_frame(parts))
    assert host.connect().reset_reason == m.ResetReason.PANIC
    assert one(host.log, m.LogText).text == b"crashed: " + b"x" * (m.MAX_LOG_BYTES - 9)
    again = RawHost(make_frame(parts))
    assert again.connect().reset_reason == m.ResetReason.SOFTWARE
    assert all_of(again.log + again.advance(1_000_000), m.LogText) == []


def test_a_frame_that_boots_again_is_the_same_one_with_nothing_on(make_frame: FrameFactory) -> None:
    parts = Peripherals(microphone=ScriptedMicrophone(b"\1\0" * 16_000))
    host = RawHost(make_frame(parts))
    first = host.connect()
    host.start_capture()
    host.advance(100 * MS)
    again = RawHost(make_frame(parts))
    second = again.connect()
    assert (first.device_id, first.reset_reason) == (second.device_id, m.ResetReason.POWER_ON)
    assert second.reset_reason == m.ResetReason.SOFTWARE
    assert (first.boot_id, first.session) != (second.boot_id, second.session)
    assert not parts.microphone.on
    assert parts.led[-1] == (0, m.Led.OFF)
    assert parts.boots == 2


def test_a_button_that_moved_while_there_was_no_frame_does_not_move_its_clock(make_frame: FrameFactory) -> None:
    parts = Peripherals()
    make_frame(parts).step(0)
    parts.button.press(80)
    parts.button.changes(0)
    frame = make_frame(parts)
    frame.step(1_000_000)
    host = RawHost(frame)
    host.now_us = 1_000_000
    host.connect()
    host.advance(100 * MS)
    assert host.state().mic_sample == 1_600
