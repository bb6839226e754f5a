"""`--capture` and `lorgnette capture`: what was recorded once comes out the same, and what was changed does not."""

from __future__ import annotations

import importlib
import json
import random
import stat
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result
from tests.cli.conftest import RecordedDemo
from tests.support.captures import doctored, is_note, records_of, write_records
from tests.support.program import assert_one_sentence, invoke, run
from tests.support.served_ports import StrangerServer
from tests.support.voice import ListedEar, MarkedVad, PhraseMatcher, ToneVoice

from lorgnette.cli.assistant.audio import AudioFrame
from lorgnette.cli.assistant.engines.protocols import Transcript
from lorgnette.cli.assistant.events import (
    Intent,
    MicrophoneHeard,
    Notice,
    StateChanged,
    StopRequested,
    TurnFinished,
)
from lorgnette.cli.assistant.pipeline import PipelineSettings
from lorgnette.cli.assistant.recorded import ReplayedPipeline, Step, Unscripted
from lorgnette.cli.assistant.virtual import EngineCosts, VirtualDriver
from lorgnette.cli.assistant.world import Engines
from lorgnette.cli.exit_codes import ExitCode
from lorgnette.cli.glasses.capture import Capture
from lorgnette.cli.glasses.replay import TextRow, replay
from lorgnette.cli.glasses.virtual import VirtualGlasses
from lorgnette.cli.main import COMMANDS
from lorgnette.firmware_bridge.capture.reader import CaptureReader, Note, Octets, Record
from lorgnette.firmware_bridge.capture.writer import CaptureWriter
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.faulty_frame import FaultyFrame
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

PHRASES = {"take a photo": Intent("TakePhoto"), "volume forty percent": Intent("SetVolume", {"percent": 40})}
SAID = ("take a photo", "volume forty percent")
SPOKEN = b"\1\0" * 16_000  # a second that MarkedVad takes for speech
BAD = Faults(flip=1e-5, drop=0.005, lose=0.01, duplicate=0.01, splice=0.005, reset_s=(3.0,), unplug_s=((8.0, 0.6),))


def session(path: Path, faults: Faults | None = None, seed: int = 0) -> list[TurnFinished]:
    """A wearer talks to a frame, maybe over a bad line, in virtual time; everything is recorded into `path`."""
    peripherals = Peripherals()

    def boot() -> SimulatedFrame:
        return SimulatedFrame(peripherals)

    frame: Any = boot() if faults is None else FaultyFrame(boot, faults, seed)
    turns: list[TurnFinished] = []
    left = list(SAID)
    capture = Capture()
    capture.ask(path, "lorgnette test")

    def observe(notice: Notice) -> None:
        if isinstance(notice, TurnFinished):
            turns.append(notice)
        if notice == StateChanged("listening"):
            if not left:
                driver.post_at(max(driver.now_s, 10.0), StopRequested())
            else:
                left.pop(0)
                peripherals.microphone.say(SPOKEN, silence_before_s=0.5)

    engines = Engines(PhraseMatcher(PHRASES), ListedEar(*SAID, *[Transcript("", False)] * 20), ToneVoice())
    device = LockstepDevice(frame, peripherals, seed=seed, make_link=capture.make_link())
    pipeline = capture.pipeline(PipelineSettings(), MarkedVad(), engines)
    driver = VirtualDriver(pipeline, VirtualGlasses(device), engines, EngineCosts(), [observe])
    driver.run(until_s=40.0)
    capture.close()
    return turns


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talk") / "talk.pcapng"
    turns = session(path)
    assert [turn.outcome for turn in turns[:2]] == ["answered", "answered"]
    return path


def replayed(path: Path, *options: str) -> Result:
    return invoke("capture", "replay", str(path), *options)


# ---- the same again
def test_a_demo_comes_out_the_same_as_a_user_sees_it(recorded_demo: RecordedDemo) -> None:
    done = run("capture", "replay", str(recorded_demo.capture))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    for turn in recorded_demo.printed["turns"]:
        assert sum(repr(turn["heard"]) in line and turn["reply"] in line for line in lines) == 1
    *_, last = lines
    assert last.startswith("identical: ") and last.endswith(" of 7 turns")
    assert done.stderr == b""


def test_todays_engines_hear_in_a_demo_what_they_heard(recorded_demo: RecordedDemo) -> None:
    done = run("capture", "replay", str(recorded_demo.capture), "--engines", "live", "--strict", "--offline", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["identical"] and len(found["turns"]) == 7
    assert {row["stage"] for row in found["texts"]} == {"stt", "understanding"}
    assert len(found["texts"]) >= 13 and all(row["same"] for row in found["texts"])


def test_a_demo_of_which_one_octet_was_changed_is_not_the_same(recorded_demo: RecordedDemo, tmp_path: Path) -> None:
    raw = bytearray(recorded_demo.capture.read_bytes())
    audio = max((r for r in records_of(recorded_demo.capture) if isinstance(r, Octets)), key=lambda r: len(r.data)).data
    raw[raw.index(audio) + len(audio) // 2] ^= 1
    (tmp_path / "changed.pcapng").write_bytes(raw)
    done = replayed(tmp_path / "changed.pcapng")
    assert done.exit_code == ExitCode.FAILURE
    assert "is damaged in the middle: octets that are not those that were written" in done.stderr


@pytest.mark.parametrize("seed", range(3))
def test_a_session_over_a_bad_line_comes_out_the_same(tmp_path: Path, seed: int) -> None:
    turns = session(tmp_path / "bad.pcapng", BAD, seed)
    done = replayed(tmp_path / "bad.pcapng", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["identical"] and found["events"] > 100 and found["octets"] > 1000
    assert [turn["turn_id"] for turn in found["turns"]] == [turn.turn_id for turn in turns]
    assert (
        json.loads(invoke("capture", "show", str(tmp_path / "bad.pcapng"), "--json").stdout.splitlines()[-1])[
            "summary"
        ]["sessions"]
        > 1
    )


def test_a_run_is_recorded_as_a_user_runs_it(tmp_path: Path) -> None:
    path = tmp_path / "run.pcapng"
    done = run("run", "-p", "sim://?mic=text:What time is it?", "--offline", "--capture", str(path))
    assert done.returncode == 0, done.stderr
    again = replayed(path)
    assert (
        again.exit_code == 0 and "-> GetTime" in again.stdout and again.stdout.splitlines()[-1].startswith("identical")
    )


def test_sound_that_came_by_no_link_is_in_the_capture(tmp_path: Path) -> None:
    path, wav = tmp_path / "host.pcapng", tmp_path / "answer.wav"
    done = run("run", "--mic", "text:What time is it?", "--speaker", str(wav), "--offline", "--capture", str(path))
    assert done.returncode == 0, done.stderr
    again = replayed(path)
    assert again.exit_code == 0 and again.stdout.splitlines()[-1].startswith("identical: 0 events, 0 octets, ")


def test_a_question_is_recorded_too(tmp_path: Path) -> None:
    path = tmp_path / "ask.pcapng"
    assert (
        invoke("ask", "set the volume to forty percent", "-p", "sim://", "--offline", "--capture", str(path)).exit_code
        == 0
    )
    again = replayed(path)
    assert again.exit_code == 0 and "SetVolume percent=40" in again.stdout


# ---- not the same
def _event_of(record: Record) -> dict[str, Any]:
    event = record.value.get("event") if isinstance(record, Note) else None
    return event if isinstance(event, dict) else {}


def _changed(note: Note, **values: Any) -> Note:
    return Note(note.at_s, {**note.value, **values})


DOCTORED: dict[str, tuple[Callable[[Record], bool], Callable[[Any], Record]]] = {
    "what was heard": (
        lambda record: is_note("step")(record) and _event_of(record).get("is") == "Transcribed",
        lambda note: _changed(
            note, event={**note.value["event"], "transcript": {"is": "Transcript", "text": "x", "accepted": True}}
        ),
    ),
    "what was understood": (
        lambda record: is_note("step")(record) and _event_of(record).get("is") == "Understood",
        lambda note: _changed(note, event={**note.value["event"], "intent": None}),
    ),
    "a probability of speech": (
        lambda record: is_note("step")(record) and record.value.get("speech") == [1.0],  # type: ignore[union-attr]
        lambda note: _changed(note, speech=[0.0]),
    ),
    "an effect": (
        lambda record: is_note("step")(record) and "Transcribe" in str(record),
        lambda note: _changed(note, effects=[]),
    ),
    "a setting": (
        is_note("session"),
        lambda note: Note(
            note.at_s,
            json.loads(json.dumps(note.value).replace('"trailing_silence_ms": 600', '"trailing_silence_ms": 100')),
        ),
    ),
    "sound that is named": (
        lambda record: is_note("step")(record) and "heard" in record.value,  # type: ignore[union-attr]
        lambda note: _changed(note, heard=[7, 0]),
    ),
    "a step that did not happen": (
        lambda record: is_note("step")(record) and _event_of(record).get("is") == "Transcribed",
        lambda note: Note(note.at_s, {"kind": "nothing"}),
    ),
    "the frame's sound": (
        lambda record: isinstance(record, Octets) and record.inbound and len(record.data) > 600,
        lambda octets: Octets(octets.at_s, True, octets.data[:99] + b"!" + octets.data[100:]),
    ),
}


@pytest.mark.parametrize("what", DOCTORED)
def test_a_doctored_session_is_not_the_same(talk: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "doctored.pcapng"
    doctored(talk, path, *DOCTORED[what])
    done = replayed(path)
    assert done.exit_code == ExitCode.FAILURE
    assert_one_sentence(done.stderr)
    assert "identical:" not in done.stdout


def test_the_first_difference_is_shown_with_its_time(talk: Path, tmp_path: Path) -> None:
    path = tmp_path / "doctored.pcapng"
    doctored(talk, path, *DOCTORED["an effect"])
    differs, expected, got = replayed(path).stdout.splitlines()[-3:]
    assert differs.startswith("differs at ") and "MicrophoneHeard" in differs
    assert expected.split() == ["expected", "nothing"] and "StateChanged" in got
    found = json.loads(replayed(path, "--json").stdout)
    assert not found["identical"] and found["difference"]["expected"] == "nothing"
    assert 0 < found["difference"]["time_s"] < 5


def test_engines_that_hear_something_else_are_told_apart(talk: Path) -> None:
    other = Engines(
        PhraseMatcher(PHRASES), ListedEar("take a boat", SAID[1], *[Transcript("", False)] * 9), ToneVoice()
    )
    rows: list[TextRow] = []
    with talk.open("rb") as file:
        replay(CaptureReader(file), on_text=rows.append, engines=other)
    assert [(row.stage, row.captured, row.live) for row in rows if not row.same] == [
        ("stt", "take a photo", "take a boat")
    ]
    assert len(rows) == 4 and isinstance(other.stt, ListedEar) and len(other.stt.utterances[0]) > len(SPOKEN)


def test_a_capture_that_was_cut_is_the_same_as_far_as_it_goes(talk: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.pcapng"
    path.write_bytes(talk.read_bytes()[: talk.stat().st_size // 2 + 1])
    done = replayed(path)
    assert done.exit_code == 0 and done.stdout.splitlines()[-1].startswith("identical: ")
    assert done.stderr.count("\n") == 1 and "ends in the middle of a record" in done.stderr


@pytest.fixture(scope="module")
def undamaged(talk: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(replayed(talk, "--json").stdout)
    return found


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize(
    ("lost_bytes", "instead", "all_of_it"),
    [
        (400, bytes(400), False),
        (400, _noise(400), False),
        (4096, bytes(4096), False),
        (0, _noise(16), True),
        (0, bytes(4096), True),
        (1, b"!", False),
    ],
    ids=["zeros over it", "noise over it", "a page of zeros over it", "noise behind it", "zeros behind it", "an octet"],
)
def test_a_damaged_end_costs_the_end_and_no_more(
    talk: Path, undamaged: dict[str, Any], tmp_path: Path, lost_bytes: int, instead: bytes, all_of_it: bool
) -> None:
    path, raw = tmp_path / "end.pcapng", talk.read_bytes()
    path.write_bytes(raw[: len(raw) - lost_bytes] + instead)
    done = replayed(path, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("\n") == 1 and "is damaged at its end: " in done.stderr
    found = json.loads(done.stdout)
    assert found["identical"] and found["damage"]["only_the_end"]
    assert found["octets"] > 0.9 * undamaged["octets"]
    if all_of_it:
        assert {**found, "damage": None} == {**undamaged, "damage": None}
    assert 9.0 < found["damage"]["whole_until_s"] < 41.0


def _a_longer_block(raw: bytes, at: int) -> bytes:
    size = int.from_bytes(raw[at + 4 : at + 8], "little") + 0x0100_0000
    return raw[: at + 4] + size.to_bytes(4, "little") + raw[at + 8 :]


@pytest.mark.parametrize(
    "harm",
    [
        lambda raw, at: raw[:at] + bytes(400) + raw[at + 400 :],
        lambda raw, at: raw[:at] + _noise(400) + raw[at + 400 :],
        lambda raw, at: raw[:at] + raw[at + 3 :],
        lambda raw, at: raw[:at] + b"!!!" + raw[at:],
        _a_longer_block,
    ],
    ids=["zeros", "noise", "octets that are gone", "octets too many", "a length"],
)
def test_damage_with_whole_records_behind_it_is_no_damaged_end(
    talk: Path, tmp_path: Path, harm: Callable[[bytes, int], bytes]
) -> None:
    path, raw = tmp_path / "middle.pcapng", talk.read_bytes()
    at = 0
    while at < len(raw) // 2:
        at += int.from_bytes(raw[at + 4 : at + 8], "little")
    path.write_bytes(harm(raw, at))
    done = replayed(path, "--json")
    assert done.exit_code == ExitCode.FAILURE
    assert "is damaged in the middle" in done.stderr and "could be replayed" in done.stderr
    damage = json.loads(done.stdout)["damage"]
    assert not damage["only_the_end"] and 1.0 < damage["whole_until_s"] < 40.0


def test_a_capture_without_anything_to_replay_is_no_success(talk: Path, tmp_path: Path) -> None:
    path = tmp_path / "head.pcapng"
    CaptureWriter(path, "test").close()
    raw = path.read_bytes()
    for head in (raw, raw[: raw.rindex(b"\x06\0\0\0")]):  # with the note of its end, and without
        path.write_bytes(head)
        for options in ((), ("--to", "sim://"), ("--json",)):
            done = replayed(path, *options)
            assert done.exit_code == ExitCode.FAILURE and done.stdout == ""
            assert "lorgnette capture show" in done.stderr


def test_what_no_link_said_is_not_asked_of_a_live_frame(tmp_path: Path) -> None:
    """A capture of the conformance suite, whose host has no Link."""
    path = tmp_path / "octets.pcapng"
    writer = CaptureWriter(path, "test")
    writer.octets(b"\0hello\0", 1.0, inbound=True)
    writer.close()
    for options in ((), ("--to", "sim://")):
        done = replayed(path, *options)
        assert done.exit_code == ExitCode.FAILURE and done.stdout == ""
        assert_one_sentence(done.stderr)


# ---- on a live frame
def test_a_live_frame_is_asked_the_same(tmp_path: Path) -> None:
    path = tmp_path / "volume.pcapng"
    assert invoke("frame", "volume", "40", "-p", "sim://", "--capture", str(path)).exit_code == 0
    done = replayed(path, "--to", "sim://")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "2 requests and 0.0 s of sound, 0 differ\n"
    found = json.loads(replayed(path, "--to", "sim://", "--json").stdout)
    assert [(row["method"], row["captured"], row["live"]) for row in found["requests"]] == [
        ("set_volume", "ok", "ok"),
        ("get_state", "ok", "ok"),
    ]


def test_a_live_frame_that_answers_otherwise_is_a_failure(tmp_path: Path) -> None:
    path, asked = tmp_path / "volume.pcapng", tmp_path / "asked.pcapng"
    assert invoke("frame", "volume", "40", "-p", "sim://", "--capture", str(path)).exit_code == 0
    doctored(
        path,
        asked,
        lambda record: is_note("call", do="call")(record) and "SetVolumeArgs" in str(record),
        lambda note: _changed(
            note, **{"with": {**note.value["with"], "args": {"is": "SetVolumeArgs", "percent": 101}}}
        ),
    )
    done = replayed(asked, "--to", "sim://")
    assert done.exit_code == ExitCode.FAILURE
    assert "set_volume: captured ok, now bad_argument" in done.stdout
    assert_one_sentence(done.stderr)


def test_sound_is_played_again_when_it_was_played(tmp_path: Path) -> None:
    path = tmp_path / "speak.pcapng"
    assert invoke("speak", "Yes.", "-p", "sim://", "--capture", str(path)).exit_code == 0
    found = json.loads(replayed(path, "--to", f"sim://?speaker=file:{tmp_path / 'out.wav'}", "--json").stdout)
    assert found["audio_s"] > 0.2
    assert (tmp_path / "out.wav").stat().st_size > found["audio_s"] * 32_000 * 0.5


# ---- the table
def test_the_table_shows_the_line_and_what_was_done(talk: Path) -> None:
    lines = invoke("capture", "show", str(talk)).stdout.splitlines()
    assert any(" tx  link " in line and line.endswith("Hello") for line in lines)
    assert any(" rx  mic " in line for line in lines)
    assert any(" tx  speaker " in line for line in lines)
    assert any("note" in line and "Transcribed" in line for line in lines)
    assert not any("tick" in line for line in lines)
    summary = lines[-1]
    assert "1 session; simulated frame" in summary and "0 damaged bytes" in summary
    plain = invoke("capture", "show", str(talk), "--no-notes").stdout.splitlines()
    every = invoke("capture", "show", str(talk), "--notes").stdout.splitlines()
    assert len(plain) < len(lines) < len(every)
    assert any("call tick" in line for line in every) and not any("note " in line for line in plain)


def test_the_table_can_be_narrowed(talk: Path) -> None:
    def rows(*options: str) -> list[dict[str, Any]]:
        lines = [
            json.loads(line) for line in invoke("capture", "show", str(talk), "--json", *options).stdout.splitlines()
        ]
        assert all(line["schema"] == 1 for line in lines) and "summary" in lines[-1]
        return lines[:-1]

    assert {row["channel"] for row in rows("--channel", "rpc", "--channel", "mic")} == {"rpc", "mic"}
    assert {row["direction"] for row in rows("--direction", "tx")} == {"tx"}
    some = rows("--since", "1", "--until", "2")
    assert some and all(1 <= row["time_s"] <= 2 for row in some)
    assert rows("--damaged") == []
    assert any(row.get("note", {}).get("do") == "tick" for row in rows("--notes"))


def test_damage_and_console_text_have_rows_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "noise.pcapng"
    noise = Octets(1.0, True, b"\0\x9c\xff\xfe\x80\x81\0I (12) boot: \x1b[31mhello\r\n\0")
    write_records(
        path, [noise, Note(1.0, {"kind": "words", "text": "\x1b[2J\u202e"}), Octets(1.5, False, b"\x07\x07\x07")]
    )
    done = invoke("capture", "show", str(path))
    assert "console" in done.stdout and "I (12) boot: hello" in done.stdout
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout
    damaged = [
        json.loads(line) for line in invoke("capture", "show", str(path), "--damaged", "--json").stdout.splitlines()
    ]
    assert [(row["direction"], row["what"]) for row in damaged[:-1]] == [("rx", "9c ff fe 80 81"), ("tx", "07 07 07")]
    assert damaged[-1]["summary"]["damaged_bytes"] == 8
    assert "was not finished" in done.stderr and done.exit_code == 0


def test_a_cut_capture_is_shown_with_one_warning(talk: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.pcapng"
    path.write_bytes(talk.read_bytes()[:-100])
    done = invoke("capture", "show", str(path))
    assert done.exit_code == 0 and done.stderr.count("\n") == 1 and "ends in the middle" in done.stderr
    assert len(done.stdout.splitlines()) > 100


@pytest.mark.parametrize("command", ["show", "replay"])
def test_what_is_no_capture_is_one_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "song.pcapng").write_bytes(b"RIFF" * 100)
    done = invoke("capture", command, str(tmp_path / "song.pcapng"))
    assert done.exit_code == ExitCode.FAILURE
    assert_one_sentence(done.stderr)
    assert invoke("capture", command, str(tmp_path / "none.pcapng")).exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "options",
    [["--to", "sim://", "--engines", "live"], ["--strict"], ["--engines", "dead"]],
)
def test_options_that_do_not_fit_are_refused(talk: Path, options: list[str]) -> None:
    assert replayed(talk, *options).exit_code == ExitCode.USAGE
    assert invoke("capture", "show", str(talk), "--channel", "bbc").exit_code == ExitCode.USAGE
    for option in ("--since", "--until"):
        done = invoke("capture", "show", str(talk), option, "nan")
        assert done.exit_code == ExitCode.USAGE
        assert "'nan' is no number of seconds" in done.stderr


# ---- the option
def _commands(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        return [found for sub, inner in command.commands.items() for found in _commands(inner, f"{name} {sub}")]
    return [(name, command)]


def test_whatever_opens_a_frame_can_be_recorded() -> None:
    seen = []
    for name, entry in COMMANDS.items():
        module, attribute = entry.target.split(":")
        root = getattr(importlib.import_module(f"lorgnette.cli.commands.{module}"), attribute)
        for path, command in _commands(root, name):
            options = {option for param in command.params for option in param.opts}
            if "--timeout" in options and "--baud" in options:
                assert "--capture" in options, path
                seen.append(path)
            elif "--capture" in options:
                seen.append(path)
    assert {"run", "demo", "ask", "speak", "doctor", "frame info", "frame photo", "frame volume"} <= set(seen)


def test_without_a_frame_nothing_is_recorded_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "none.pcapng"
    done = invoke("speak", "Yes.", "-o", str(tmp_path / "yes.wav"), "--capture", str(path))
    assert done.exit_code == 0 and not path.exists()
    assert "nothing was captured" in done.stderr
    again = invoke("speak", "Yes.", "-o", str(tmp_path / "yes.wav"))  # the option is not remembered
    assert "captured" not in again.stderr


def test_a_failed_handshake_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "stranger.pcapng"
    with StrangerServer() as server:
        done = invoke("frame", "info", "-p", server.url, "--timeout", "0.5", "--capture", str(path))
    assert done.exit_code != 0
    again = replayed(path)
    assert again.exit_code == 0 and again.stdout.startswith("identical: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_costs_the_capture_and_not_the_command() -> None:
    done = invoke("frame", "info", "-p", "sim://", "--capture", "/dev/full")
    assert done.exit_code == 0 and "battery_percent" in done.stdout
    assert done.stderr == "lorgnette: the capture /dev/full ends here: no space left on device\n"


def test_a_file_that_cannot_be_made_is_said_before_the_frame_is_opened(tmp_path: Path) -> None:
    done = invoke("frame", "info", "-p", "sim://", "--capture", str(tmp_path / "none" / "x.pcapng"))
    assert done.exit_code == ExitCode.FAILURE
    assert_one_sentence(done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_only_the_wearer_may_read_it(recorded_demo: RecordedDemo) -> None:
    assert stat.S_IMODE(recorded_demo.capture.stat().st_mode) == 0o600
    assert "only you" in invoke("run", "--help").stdout


# ---- the pipeline's own record
@pytest.mark.parametrize("error", [RuntimeError("deaf"), KeyboardInterrupt()], ids=["by itself", "by Ctrl-C"])
def test_a_session_that_an_error_ended_comes_out_the_same(tmp_path: Path, error: BaseException) -> None:
    class Deaf(MarkedVad):
        def speech_probability(self, pcm: bytes) -> float:
            raise error

    capture = Capture()
    capture.ask(tmp_path / "deaf.pcapng", "lorgnette test")
    pipeline = capture.pipeline(PipelineSettings(), Deaf(), Engines(PhraseMatcher({})))
    pipeline.start(0.0)
    with pytest.raises(type(error)):
        pipeline.step(MicrophoneHeard(AudioFrame(0, SPOKEN[:640])), 0.02)
    pipeline.step(StopRequested(), 0.03)
    capture.close()
    done = replayed(tmp_path / "deaf.pcapng")
    assert done.exit_code == 0, done.output
    assert done.stdout == "identical: 0 events, 0 octets, 1 steps of 0 turns\n"


def test_an_error_that_does_not_come_again_is_a_difference(talk: Path, tmp_path: Path) -> None:
    path = tmp_path / "failed.pcapng"
    doctored(talk, path, is_note("step"), lambda note: _changed(note, raised="ValueError"))
    assert "expected  ValueError" in replayed(path).stdout


def test_a_replayed_pipeline_gets_neither_more_nor_less_than_was_recorded() -> None:
    heard = MicrophoneHeard(AudioFrame(0, SPOKEN[:640]))
    for step in (Step(0.02, heard), Step(0.02, heard, (1.0, 1.0)), Step(0.02, heard, (1.0,), (datetime(2026, 1, 1),))):
        pipeline = ReplayedPipeline(PipelineSettings())
        pipeline.take(Step(0.0, None))
        with pytest.raises(Unscripted):
            pipeline.take(step)
