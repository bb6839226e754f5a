"""`lorgnette capture show|replay`: what `--capture` recorded, as a table, and done again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import load
from ..errors import Failure
from ..options import Group, Seconds, diagnostics_options, json_option, offline_option
from ..text import printable, shortened

if TYPE_CHECKING:
    from ...firmware_bridge.capture.line_view import LineView, Row
    from ...firmware_bridge.capture.reader import CaptureReader, Note
    from ..assistant.events import TurnFinished
    from ..glasses.replay import TextRow

SCHEMA = 1
NOTE_CHARS = 100
# Notes that say no more than the octets beside them.
CLOCKWORK = frozenset({"tick", "receive_data", "data_to_send"})

TOO_LONG = "a record that is longer than the rest of the file"
LOOK = "see what it holds: lorgnette capture show {file}"

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(
    cls=Group,
    examples=[
        ("lorgnette run --capture talk.pcapng", "record a session: only you can read the file"),
        ("lorgnette capture show talk.pcapng", "what the line carried"),
        ("lorgnette capture replay talk.pcapng", "the same again, without frame and engines"),
    ],
)
def capture() -> None:
    """Look at what a line carried, and do it again.

    A capture is a pcapng file. It holds the wearer's voice, what was understood of it and what was answered.
    """


@capture.command(
    examples=[
        ("lorgnette capture show talk.pcapng --channel rpc", "requests and their answers"),
        ("lorgnette capture show talk.pcapng --damaged", "what arrived broken"),
        ("lorgnette capture show talk.pcapng --since 3 --json", "one JSON object a line"),
    ],
)
@click.argument("file", type=FILE)
@click.option("--channel", "channels", metavar="NAME", multiple=True, help="Only this channel, or console. Repeatable.")
@click.option("--direction", type=click.Choice(["rx", "tx"]), help="Only from the frame (rx) or to it (tx).")
@click.option("--since", type=Seconds(min=0), metavar="SECONDS", help="From this time of the capture on.")
@click.option("--until", type=Seconds(min=0), metavar="SECONDS", help="Up to this time of the capture.")
@click.option("--notes/--no-notes", default=None, help="All notes or none; otherwise those that say something new.")
@click.option("--damaged", is_flag=True, help="Only octets that arrived as neither frame nor text.")
@json_option
@diagnostics_options
def show(
    file: Path,
    channels: tuple[str, ...],
    direction: str | None,
    since: float | None,
    until: float | None,
    notes: bool | None,
    damaged: bool,
    as_json: bool,
) -> None:
    """Print what a capture holds, one line each: time, direction, channel, sequence number, octets, what it is."""
    from ...firmware_bridge.capture.line_view import DAMAGED, LineView
    from ...firmware_bridge.capture.reader import Octets
    from ...firmware_bridge.frame import channel_name
    from ...firmware_bridge.messages import Channel

    known = [channel_name(channel) for channel in Channel] + ["console"]
    if wrong := [name for name in channels if name not in known]:
        raise click.UsageError(f"There is no channel '{printable(wrong[0])}': {', '.join(known)}.")
    wanted = {DAMAGED} if damaged else set(channels)
    hide_notes = notes is False or bool(wanted) or direction is not None
    view = LineView()
    last_s = 0.0

    def in_time(at_s: float) -> bool:
        return (since is None or at_s >= since) and (until is None or at_s <= until)

    def print_rows(rows: list[Row]) -> None:
        for row in rows:
            fits = (not wanted or row.channel in wanted) and direction in (None, "rx" if row.inbound else "tx")
            if fits and in_time(row.at_s - reader.first_s):
                click.echo(row_json(row, reader.first_s) if as_json else row_line(row, reader.first_s))

    with opened(file) as reader:
        for record in reader:
            last_s = record.at_s
            if isinstance(record, Octets):
                print_rows(view.take(record))
                continue
            if record.kind == "link":
                print_rows(view.finish())
                view.begin()
            telling = notes or says_something(record)
            if not hide_notes and telling and in_time(record.at_s - reader.first_s):
                click.echo(note_json(record, reader.first_s) if as_json else note_line(record, reader.first_s))
        print_rows(view.finish())
        facts = summary(reader, view, last_s)
        warn_of_the_end(file, reader)
    click.echo(json.dumps({"schema": SCHEMA, "summary": facts}) if as_json else summary_line(facts))


@capture.command(
    examples=[
        ("lorgnette capture replay talk.pcapng", "the same events, the same octets?"),
        ("lorgnette capture replay talk.pcapng --engines live", "what today's engines make of it"),
        ("lorgnette capture replay talk.pcapng --to sim://", "ask a live frame the same"),
    ],
)
@click.argument("file", type=FILE)
@click.option(
    "--engines",
    type=click.Choice(["captured", "live"]),
    default="captured",
    show_default=True,
    help="live: also run the engines that are set up, and lay their texts beside the captured ones.",
)
@click.option("--strict", is_flag=True, help="With --engines live: fail when a text differs.")
@click.option(
    "--to", metavar="PORT", help="Make the captured requests of, and play the captured speech on, a live frame."
)
@json_option
@offline_option
@diagnostics_options
def replay(file: Path, engines: str, strict: bool, to: str | None, as_json: bool, offline: bool) -> None:
    """Do what a capture holds again, and say whether the same came of it.

    What the frame sent goes into a fresh link at the captured times. The same events must come out, the same octets
    must go to the frame, and a fresh pipeline must take the same steps. Ends with 1 at the first difference. A capture
    whose end is damaged is done again up to there; one that is damaged within as well, but ends with 1.
    """
    if to is not None and (engines == "live" or strict):
        raise click.UsageError("--to and --engines exclude each other: a live frame, or the captured one.")
    if strict and engines != "live":
        raise click.UsageError("--strict is for --engines live.")
    if to is not None:
        _replay_to(file, to, as_json)
    else:
        _replay(file, live=engines == "live", strict=strict, as_json=as_json, offline=offline)


def _replay(file: Path, *, live: bool, strict: bool, as_json: bool, offline: bool) -> None:
    from ...firmware_bridge.capture.replay import Difference
    from ..glasses.replay import replay as replay_capture
    from ..records import record
    from ..wiring import build_engines

    turns: list[dict[str, Any]] = []
    texts: list[TextRow] = []

    def on_turn(turn: TurnFinished) -> None:
        if as_json:
            turns.append(record(turn))
        else:
            click.echo(turn_line(turn))

    found: dict[str, Any] = {"schema": SCHEMA, "identical": True}
    difference: Difference | None = None
    at_s = 0.0
    with opened(file) as reader:
        ready = build_engines(load().settings, offline=offline, speak=False) if live else None
        try:
            done = replay_capture(reader, on_turn, texts.append, ready)
            found |= asdict(done)
        except Difference as error:
            difference = error
            at_s = error.at_s - reader.first_s
            facts = {"time_s": round(at_s, 9), "what": error.what, "expected": error.expected, "got": error.got}
            found |= {"identical": False, "difference": facts}
        else:
            warn_of_the_end(file, reader)
            if done.nothing:
                raise Failure(f"{file}: there is nothing to replay before its end", LOOK.format(file=file))
        if reader.damage or reader.cut:
            found["damage"] = damage_facts(reader)
    found["turns"] = turns if as_json else found.get("turns", 0)
    if live:
        found["texts"] = [{**asdict(row), "same": row.same} for row in texts]
    differing = sum(not row.same for row in texts)
    if as_json:
        click.echo(json.dumps(found))
    elif live:
        for line in text_table(texts):
            click.echo(line)
    if difference is not None:
        if not as_json:
            click.echo(f"differs at {at_s:.6f} s: {printable(difference.what)}")
            click.echo(f"  expected  {printable(shortened(difference.expected, 400))}")
            click.echo(f"  got       {printable(shortened(difference.got, 400))}")
        around = f"lorgnette capture show {file} --notes --since {max(0.0, at_s - 1):.3f}"
        raise Failure("the replay is not identical", f"what stood around it: {around}")
    if not as_json:
        said = f"identical: {found['events']} events, {found['octets']} octets"
        click.echo(said + (f", {found['steps']} steps of {found['turns']} turns" if found["steps"] else ""))
    if reader.damaged_within:
        raise Failure(
            f"only the first {reader.last_s - reader.first_s:.3f} s could be replayed: it goes on behind damage",
            LOOK.format(file=file),
        )
    if strict and differing:
        raise Failure(f"{differing} of {len(texts)} texts differ from the captured ones")


def _replay_to(file: Path, port: str, as_json: bool) -> None:
    from ..glasses.ports import open_frame
    from ..glasses.replay_to import asks_something, replay_to

    with opened(file) as reader:  # whatever is wrong with it is said before a frame is opened
        for _ in reader.before_damage():
            pass
        warn_of_the_end(file, reader)
    if not asks_something(file):
        raise Failure(f"{file}: no request and no sound for a frame stands in it", LOOK.format(file=file))
    with open_frame(load({"port": port}).settings, remember=False)[0] as device:
        redone = replay_to(file, device)
    audio_s = redone.audio_samples / 16_000
    if as_json:
        rows = [{**asdict(request), "same": request.captured == request.live} for request in redone.requests]
        click.echo(json.dumps({"schema": SCHEMA, "requests": rows, "audio_s": audio_s}))
    else:
        for request in redone.differing:
            what = f"{request.method}: captured {request.captured}, now {request.live}"
            click.echo(f"{request.at_s:12.6f}  {printable(what)}")
        click.echo(f"{len(redone.requests)} requests and {audio_s:.1f} s of sound, {len(redone.differing)} differ")
    if redone.differing:
        count = len(redone.differing)
        raise Failure(f"{count} of {len(redone.requests)} requests ended otherwise than in the capture")


@contextmanager
def opened(file: Path) -> Iterator[CaptureReader]:
    """Raises CaptureError, with the file's name, when it is no capture."""
    from ...firmware_bridge.capture.reader import CaptureReader
    from ...firmware_bridge.errors import CaptureError

    with file.open("rb") as octets:
        try:
            reader = CaptureReader(octets)
        except CaptureError as error:
            raise Failure(
                f"{file}: {str(error).rstrip('.').lower()}", "make one: lorgnette demo --capture FILE"
            ) from error
        yield reader


def warn_of_the_end(file: Path, reader: CaptureReader) -> None:
    """One line about what is missing or wrong, if anything is."""
    if reader.damage or reader.damaged_within:
        where = "in the middle" if reader.damaged_within else "at its end"
        said = f"is damaged {where}: {reader.damage or TOO_LONG}"
    elif reader.cut:
        said = "ends in the middle of a record; everything before it is whole"
    elif reader.early_end:
        said = f"ended early: {reader.early_end}"
    elif not reader.ended:
        said = "was not finished: the program that wrote it was ended"
    else:
        return
    click.echo(f"lorgnette: the capture {printable(file)} {printable(said)}", err=True)


def damage_facts(reader: CaptureReader) -> dict[str, Any]:
    """What is wrong, up to when everything is right, and whether only the end is lost."""
    return {
        "what": reader.damage or TOO_LONG,
        "whole_until_s": round(reader.last_s - reader.first_s, 9),
        "only_the_end": not reader.damaged_within,
    }


# ------------------------------------------------------------------------------------------------ lines
def row_line(row: Row, zero_s: float) -> str:
    seq = "" if row.seq is None else str(row.seq)
    arrow = "rx" if row.inbound else "tx"
    return f"{row.at_s - zero_s:12.6f}  {arrow}  {row.channel:<9} {seq:>5} {row.size_bytes:>6}  {printable(row.what)}"


def row_json(row: Row, zero_s: float) -> str:
    facts = {
        "time_s": round(row.at_s - zero_s, 9),
        "direction": "rx" if row.inbound else "tx",
        "channel": row.channel,
        "seq": row.seq,
        "bytes": row.size_bytes,
        "what": row.what,
    }
    return json.dumps({"schema": SCHEMA, **facts})


def note_line(note: Note, zero_s: float) -> str:
    text = printable(shortened(note_text(note), NOTE_CHARS))
    return f"{note.at_s - zero_s:12.6f}      {'note':<9} {'':>5} {'':>6}  {text}"


def note_json(note: Note, zero_s: float) -> str:
    return json.dumps({"schema": SCHEMA, "time_s": round(note.at_s - zero_s, 9), "note": note.value})


def says_something(note: Note) -> bool:
    """Not what merely moves octets and sound on."""
    value = note.value
    if note.kind == "call":
        return value.get("do") not in CLOCKWORK
    if note.kind == "event":
        event = value.get("event")
        return not (isinstance(event, dict) and event.get("is") == "AudioReceived")
    return note.kind != "step" or "effects" in value


def note_text(note: Note) -> str:
    """`call get_state(...)`, `event CallFinished(...)`, `step Transcribed(...): Understand(...)`."""
    value = note.value
    match note.kind:
        case "call":
            given = {"is": str(value.get("do")), **as_fields(value.get("with"))}
            outcome = "".join(f", {name} {brief(value[name])}" for name in ("gave", "raised") if name in value)
            return f"call {brief(given)}{outcome}"
        case "event":
            return f"event {brief(value.get('event'))}"
        case "step":
            event = "sound" if "heard" in value else brief(value.get("event")) if "event" in value else "start"
            effects = value.get("effects")
            made = ", ".join(map(brief, effects)) if isinstance(effects, list) else ""
            return f"step {event}: {made}"
        case "session":
            return f"session with {brief(value.get('engines'))}"
    return " ".join([note.kind, *(f"{name}={brief(item)}" for name, item in value.items() if name != "kind")])


def as_fields(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def brief(plain: Any) -> str:
    """A value of a note as a person reads it: `SetVolumeArgs(percent=40)`."""
    if isinstance(plain, list):
        return f"[{', '.join(map(brief, plain))}]"
    if not isinstance(plain, dict):
        return repr(plain) if isinstance(plain, str) else str(plain)
    kind, fields = str(plain.get("is", "")), {name: item for name, item in plain.items() if name != "is"}
    if kind == "bytes":
        text = str(fields.get("base64", ""))
        size = len(text) * 3 // 4 - text.count("=") if text else fields.get("size", 0)
        return f"{size} octets"
    if kind == "map":
        kind, fields = "", as_fields(fields.get("items"))
    elif list(fields) == ["name"]:
        return str(fields["name"]).lower()
    return f"{kind}({', '.join(f'{name}={brief(item)}' for name, item in fields.items())})"


def summary(reader: CaptureReader, view: LineView, last_s: float) -> dict[str, Any]:
    """What `show` ends with."""
    began = datetime.fromtimestamp(max(0.0, reader.first_s + reader.offset_ns / 1e9)).astimezone()
    return {
        "began": began.isoformat(timespec="milliseconds"),
        "duration_s": round(last_s - reader.first_s, 6),
        "rx_frames": view.frames[True],
        "tx_frames": view.frames[False],
        "damaged_bytes": view.damaged_bytes,
        "sessions": view.sessions,
        "device": view.device,
        "written_by": f"{reader.application}, {reader.facts.get('command', '')}".removesuffix(", "),
        "whole": reader.ended and not reader.damage,
    }


def summary_line(facts: dict[str, Any]) -> str:
    sessions = "1 session" if facts["sessions"] == 1 else f"{facts['sessions']} sessions"
    parts = (
        f"{facts['duration_s']:.3f} s from {facts['began']}",
        f"{facts['rx_frames']} frames in, {facts['tx_frames']} out",
        f"{facts['damaged_bytes']} damaged bytes",
        sessions,
        facts["device"] or "no device",
        facts["written_by"],
    )
    return printable("; ".join(parts))


def turn_line(turn: TurnFinished) -> str:
    from ..glasses.replay import intent_text

    understood = intent_text(turn.intent) if turn.intent is not None else turn.outcome
    return printable(f"turn {turn.turn_id:<3} {turn.heard!r} -> {understood}: {turn.reply!r}")


def text_table(texts: list[TextRow]) -> list[str]:
    """Captured and live texts side by side, a mark where they differ."""
    width = max((min(len(row.captured), 60) for row in texts), default=8)
    lines = [f"  {'turn':<5} {'engine':<13} {'captured':<{width}}  live"]
    for row in texts:
        captured = printable(shortened(row.captured, width))
        mark, live = (" ", "the same") if row.same else ("!", printable(shortened(row.live, 60)))
        lines.append(f"{mark} {row.turn_id:<5} {row.stage:<13} {captured:<{width}}  {live}")
    return lines
