"""A link that was recorded, done again: over good lines and bad ones, in virtual time; and captures that lie."""

from __future__ import annotations

import contextlib
import inspect
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.captures import doctored, is_note, records_of, write_records
from tests.support.sound import ramp

from lorgnette.firmware_bridge import errors, link_events, messages
from lorgnette.firmware_bridge.capture.reader import Note, Octets, Record
from lorgnette.firmware_bridge.capture.recorder import READS, VALUES, LinkRecorder, link_inputs
from lorgnette.firmware_bridge.capture.replay import Difference, LinkReplay
from lorgnette.firmware_bridge.capture.values import Values
from lorgnette.firmware_bridge.capture.writer import CaptureWriter
from lorgnette.firmware_bridge.errors import BridgeError, CaptureError, DeviceLost, RequestRefused
from lorgnette.firmware_bridge.faults import Faults
from lorgnette.firmware_bridge.faulty_frame import FaultyFrame
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import CaptureStartArgs, Method, ObjectKind, SetVolumeArgs
from lorgnette.firmware_bridge.simulator.core import SimulatedFrame
from lorgnette.firmware_bridge.simulator.microphone import ScriptedMicrophone
from lorgnette.firmware_bridge.simulator.peripherals import Peripherals

BAD = Faults(
    flip=2e-5,
    drop=0.01,
    lose=0.02,
    duplicate=0.01,
    reorder=0.01,
    splice=0.01,
    stall=0.01,
    reset_s=(4.0,),
    unplug_s=((6.0, 0.7),),
)


def talk(path: Path, faults: Faults | None = None, seed: int = 0, baud: int = 0) -> None:
    """Ten seconds of everything that a host does with a frame, over USB or at `baud`, recorded into `path`."""
    peripherals = Peripherals(microphone=ScriptedMicrophone(ramp(60_000) * 3), max_baud=2_000_000 if baud else 0)
    frame: Any = FaultyFrame(lambda: SimulatedFrame(peripherals), faults or Faults(), seed, uart=bool(baud))
    writer = CaptureWriter(path, "test", offset_ns=0)
    make_link = LinkRecorder(writer).make_link
    with LockstepDevice(frame, peripherals, seed=seed, baud=baud or 921_600, make_link=make_link) as device:
        for second in range(10):
            for act in (
                lambda: device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec)),
                lambda: device.request(Method.SET_VOLUME, SetVolumeArgs(30 + second)),  # noqa: B023
                device.take_photo,
                lambda: device.write_object(ObjectKind.TEST, ramp(700)),
                lambda: device.make_test_object(3000),
            ):
                with contextlib.suppress(BridgeError):  # of a bad line
                    act()
            stream = device.new_stream()
            device.play(stream, ramp(8000))
            device.play(stream, b"", last=True)
            if second % 3 == 0:
                device.flush(stream)
            device.advance(max(device.now_s, float(second + 1)))
    writer.close()


def replayed(records: list[Record]) -> LinkReplay:
    replay = LinkReplay()
    for record in records:
        replay.take(record)
    replay.finish()
    return replay


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("captures") / "good.pcapng"
    talk(path)
    return path


# ---- the same again
def test_a_good_line_comes_out_the_same(good: Path) -> None:
    records = records_of(good)
    replay = replayed(records)
    sent = [record.data for record in records if isinstance(record, Octets) and not record.inbound]
    assert replay.octets == sum(map(len, sent)) > 100_000
    events = [record for record in records if isinstance(record, Note) and record.kind == "event"]
    assert replay.events == len(events) > 400
    kinds = {event.value["event"]["is"] for event in events}
    assert kinds >= {"Connected", "AudioReceived", "CallFinished", "FrameReported", "ObjectReceived"}


@pytest.mark.parametrize(("seed", "baud"), [(0, 0), (1, 0), (2, 921_600), (3, 230_400)])
def test_a_bad_line_comes_out_the_same(tmp_path: Path, seed: int, baud: int) -> None:
    path = tmp_path / "bad.pcapng"
    talk(path, BAD, seed, baud)
    records = records_of(path)
    replay = replayed(records)
    assert replay.events > 100
    told = [record.value["event"] for record in records if isinstance(record, Note) and record.kind == "event"]
    assert "Disconnected" in {event["is"] for event in told}
    # A line that often stands still loses sound: without a rate that is told with 0 baud.
    assert {event["baud"] > 0 for event in told if event["is"] == "RateChanged"} == {baud > 0}


def test_recording_changes_nothing(tmp_path: Path) -> None:
    octets: list[list[bytes]] = []
    for record in (False, True):
        peripherals = Peripherals()
        seen: list[bytes] = []
        writer = CaptureWriter(tmp_path / "x.pcapng", "test") if record else None
        make_link: Callable[..., Link] = LinkRecorder(writer).make_link if writer else Link
        frame = Listening(SimulatedFrame(peripherals), seen)
        with LockstepDevice(frame, peripherals, seed=3, make_link=make_link) as device:
            device.take_photo()
        if writer:
            writer.close()
        octets.append(seen)
    assert octets[0] == octets[1] != []


class Listening:
    """A frame that notes what it is sent."""

    def __init__(self, frame: SimulatedFrame, seen: list[bytes]) -> None:
        self._frame, self._seen = frame, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frame, name)

    def step(self, now_us: int, rx: bytes, *room: int) -> tuple[bytes, int]:
        self._seen += [rx] if rx else []
        return self._frame.step(now_us, rx, *room)


def test_two_links_in_one_file_are_two(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "two.pcapng", "test", offset_ns=0)
    recorder = LinkRecorder(writer)
    for seed in (1, 2):
        with LockstepDevice(SimulatedFrame(), seed=seed, make_link=recorder.make_link) as device:
            device.request(Method.GET_STATE)
    writer.close()
    assert replayed(records_of(tmp_path / "two.pcapng")).events == 4


# ---- nothing is forgotten
def test_every_public_method_of_link_is_recorded_or_only_reads(tmp_path: Path) -> None:
    public = {name for name in dir(Link) if not name.startswith("_") and callable(getattr(Link, name))}
    assert set(link_inputs()) | READS == public and not set(link_inputs()) & READS
    writer = CaptureWriter(tmp_path / "x.pcapng", "test")
    link = LinkRecorder(writer).make_link("port")
    writer.close()
    assert {name for name in public if name in vars(link)} == set(link_inputs())


def test_what_only_reads_changes_nothing() -> None:
    def looks(link: Link) -> str:
        return repr(
            [
                (name, value)
                for name, value in vars(link).items()
                if not callable(value) and "object at" not in repr(value)
            ]
        )

    link = Link("port")
    link.start(7, 1.0)
    before = looks(link)
    for name in READS:
        getattr(link, name)()
    assert looks(link) == before


# ---- captures that are not what was captured
DOCTORED: dict[str, tuple[Callable[[Record], bool], Callable[[Any], Record]]] = {
    "an octet of audio from the frame": (
        lambda record: isinstance(record, Octets) and record.inbound and len(record.data) > 600,
        lambda octets: replace(octets, data=octets.data[:300] + bytes((octets.data[300] ^ 1,)) + octets.data[301:]),
    ),
    "an octet to the frame": (
        lambda record: isinstance(record, Octets) and not record.inbound and len(record.data) > 600,
        lambda octets: replace(octets, data=octets.data[:300] + bytes((octets.data[300] ^ 1,)) + octets.data[301:]),
    ),
    "the volume that was asked for": (
        lambda record: is_note("call", do="call")(record) and "SetVolumeArgs" in str(record),
        lambda note: _with(note, args={"is": "SetVolumeArgs", "percent": 99}),
    ),
    "the sound that was played": (
        lambda record: is_note("call", do="send_audio")(record) and _given(record, "stream") == 2,
        lambda note: _with(note, pcm=VALUES.encode(bytes(16_000))),
    ),
    "the nonce": (is_note("call", do="start"), lambda note: _with(note, nonce=1)),
    "an event": (
        lambda record: is_note("event")(record) and "PlaybackStarted" in str(record),
        lambda note: replace(note, value={"kind": "event", "event": {"is": "ConsoleText", "text": "ha"}}),
    ),
    "an event that did not come": (
        is_note("event"),
        lambda note: replace(note, value={"kind": "nothing"}),
    ),
    "the id of a call": (
        lambda record: is_note("call", do="call")(record),
        lambda note: replace(note, value={**note.value, "gave": 99}),
    ),
    "the size of what went out": (
        lambda record: is_note("call", do="data_to_send")(record) and record.value["octets"] > 0,  # type: ignore[union-attr]
        lambda note: replace(note, value={**note.value, "octets": 1}),
    ),
    "the time of a tick": (is_note("call", do="tick"), lambda note: _with(note, now_s=4.5)),
}


def _given(record: Record, name: str) -> object:
    assert isinstance(record, Note)
    return record.value["with"][name]


def _with(note: Note, **given: Any) -> Note:
    return replace(note, value={**note.value, "with": {**note.value["with"], **given}})


@pytest.mark.parametrize("what", DOCTORED)
def test_a_doctored_capture_is_not_the_same(good: Path, tmp_path: Path, what: str) -> None:
    doctored(good, tmp_path / "doctored.pcapng", *DOCTORED[what])
    with pytest.raises(Difference):
        replayed(records_of(tmp_path / "doctored.pcapng"))


def test_an_event_too_many_is_found_at_the_end(good: Path) -> None:
    records = records_of(good)
    last = max(number for number, record in enumerate(records) if is_note("event")(record))
    with pytest.raises(Difference, match="expected nothing"):
        replayed(records[:last] + records[last + 1 :])


def test_a_cut_capture_is_the_same_as_far_as_it_goes(good: Path) -> None:
    records = records_of(good)
    for end in random.Random(1).sample(range(len(records)), 8):
        replay = LinkReplay()
        for record in records[:end]:
            replay.take(record)
        assert replay.events == sum(map(is_note("event"), records[:end]))


NONSENSE: list[dict[str, Any]] = [
    {"kind": "call", "do": "tick", "with": {"now_s": 1.0}},  # of no link
    {"kind": "link"},
    {"kind": "link", "with": {"port_name": 7, "colour": "red"}},
    {"kind": "link", "with": {"port_name": {"is": "Popen", "args": ["ls"]}}},
]
LATER: list[dict[str, Any]] = [
    {"kind": "call", "do": "__init__", "with": {}},
    {"kind": "call", "do": "_disconnect", "with": {"error": {"is": "DeviceLost", "message": "x"}}},
    {"kind": "call", "do": 7, "with": {}},
    {"kind": "call", "do": "tick"},
    {"kind": "call", "do": "tick", "with": {"now_s": "soon"}},
    {"kind": "call", "do": "tick", "with": {"later_s": 1.0}},
    {"kind": "call", "do": "call", "with": {"method": {"is": "Method", "name": "EXPLODE"}}},
    {"kind": "call", "do": "call", "with": {"method": {"is": "Method"}}},
    {"kind": "call", "do": "call", "with": {"method": None}},
    {"kind": "call", "do": "send_audio", "with": {"stream": 1, "pcm": {"is": "bytes", "base64": "?"}}},
    {"kind": "call", "do": "send_audio", "with": {"stream": -1, "pcm": {"is": "bytes", "base64": "AAA="}}},
    {"kind": "call", "do": "receive_data", "with": {"now_s": []}, "octets": 0},
    {"kind": "event"},
    {"kind": "event", "event": {"is": "ConsoleText", "text": "x"}},
]


@pytest.mark.parametrize("value", NONSENSE + LATER, ids=str)
def test_nonsense_is_refused_in_a_sentence(value: dict[str, Any]) -> None:
    begin: list[Record] = [] if value in NONSENSE else [Note(0.0, {"kind": "link", "with": {}})]
    with pytest.raises((CaptureError, Difference)):
        replayed([*begin, Note(0.0, value), Octets(0.0, True, b"x")])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["bytes", "map", "Method"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["is", "name", "items", "base64", "message", "now_s", "stream"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
CALLS = st.builds(
    lambda do, given, extra: {"kind": "call", "do": do, "with": given, **extra},
    st.sampled_from(link_inputs()),
    st.dictionaries(
        st.sampled_from(["now_s", "nonce", "method", "args", "stream", "pcm", "error", "timeout_s", "reason"]), JSON
    ),
    st.dictionaries(st.sampled_from(["gave", "raised", "octets"]), JSON, max_size=2),
)
HOSTILE = st.lists(
    CALLS.map(lambda value: Note(0.0, value))
    | JSON.map(lambda value: Note(0.0, {"kind": "event", "event": value}))
    | st.builds(Octets, st.just(0.0), st.booleans(), st.binary(max_size=40)),
    max_size=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE)
def test_a_hostile_capture_crashes_nothing(records: list[Record]) -> None:
    begin = Note(0.0, {"kind": "link", "with": {"port_name": "x"}})
    start = Note(0.0, {"kind": "call", "do": "start", "with": {"nonce": 1, "now_s": 0.0}})
    with contextlib.suppress(CaptureError, Difference):
        replayed([begin, start, *records])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_a_capture_with_its_records_shaken_crashes_nothing(good: Path, rng: random.Random) -> None:
    records = records_of_cached(good)
    at = rng.randrange(len(records))
    piece = records[at : at + 200]
    rng.shuffle(piece)
    with contextlib.suppress(CaptureError, Difference):
        replayed([*records[:20], *piece])


_cache: dict[Path, list[Record]] = {}


def records_of_cached(path: Path) -> list[Record]:
    return _cache.setdefault(path, records_of(path))


# ---- values
def test_every_message_event_and_error_survives() -> None:
    made: list[object] = [b"\0\1", 1.5, None, True, [1, "a"], {"percent": 40}, Method.GET_STATE]
    for module in (messages, link_events):
        for kind in vars(module).values():
            if inspect.isclass(kind) and getattr(kind, "__dataclass_fields__", None):
                with contextlib.suppress(TypeError):  # without defaults
                    made.append(kind())
    made.append(link_events.AudioReceived(320, b"ab", 1))
    assert len(made) > 40
    for value in made:
        assert VALUES.decode(VALUES.encode(value)) == value
    for error in (DeviceLost("gone", "plug it in"), RequestRefused("no", 3, "again")):
        again = VALUES.decode(VALUES.encode(error))
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))


def test_octets_that_are_only_compared_are_short() -> None:
    whole, short = VALUES.encode(bytes(1000)), VALUES.encode(bytes(1000), whole=False)
    assert len(str(short)) < 80 < len(str(whole))
    assert short != VALUES.encode(bytes(999) + b"\1", whole=False)
    with pytest.raises(CaptureError):
        VALUES.decode(short)


def test_what_has_no_form_is_written_as_its_text() -> None:
    plain = Values(errors).encode({"x": object})
    assert "class 'object'" in str(plain)
    with pytest.raises(CaptureError, match="unknown"):
        VALUES.decode(plain["items"]["x"])


def test_a_capture_that_was_written_again_is_the_same(good: Path, tmp_path: Path) -> None:
    """The support for the doctored ones changes nothing by itself."""
    write_records(tmp_path / "again.pcapng", records_of(good))
    assert replayed(records_of(tmp_path / "again.pcapng")).events == replayed(records_of(good)).events
