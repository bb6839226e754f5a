"""`lorgnette demo`: a simulated frame hears, understands, acts and answers; a folder keeps what happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..config import load
from ..diagnostics import DIAGNOSTICS
from ..errors import Failure
from ..options import Command, capture_option, diagnostics_options, json_option, offline_option

if TYPE_CHECKING:
    from ..assistant.events import Notice
    from ..demo.session import DemoResult, LineOutcome

DEFAULT_FOLDER = Path("lorgnette-demo")


@click.command(
    cls=Command,
    examples=[
        ("lorgnette demo", "watch the conversation; open lorgnette-demo/report.html"),
        ("lorgnette demo -o /tmp/demo --json", "one JSON object, files in /tmp/demo"),
        ("lorgnette demo --capture demo.pcapng", "then: lorgnette capture replay demo.pcapng"),
    ],
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    metavar="DIR",
    help="The folder for both tracks, the photo, the transcript and the report.",
)
@json_option
@offline_option
@capture_option
@diagnostics_options
def demo(out: Path, as_json: bool, offline: bool) -> None:
    """Let a simulated frame hear seven spoken lines and answer them.

    Nothing is canned: the frame is the firmware's own C core, the speech is synthesised, recognised and answered by the
    engines that are set up, and the frame is read back after each line. It takes about a minute, the time of the talk.
    Fails when a line was misheard, an act was not done on the frame, or a reply was not played.
    """
    from ..console import Console
    from ..demo.session import run_demo
    from ..keeper import Keeper
    from ..session_log import log_notice

    settings = load().settings
    out.mkdir(parents=True, exist_ok=True)
    for name in ("transcript.jsonl", "photo.jpg"):  # of an earlier demo
        (out / name).unlink(missing_ok=True)
    keeper, console = Keeper(out), Console(verbose=DIAGNOSTICS.verbosity)

    def on_notice(notice: Notice) -> None:
        log_notice(notice)
        keeper.on_notice(notice)
        if not as_json:
            console.on_notice(notice)

    def stop_when_closed(stop: Callable[[], None]) -> None:
        console.on_closed = stop

    try:
        result = run_demo(
            settings,
            offline=offline,
            on_notice=on_notice,
            on_engines=console.engines if not as_json else lambda _infos: None,
            on_say=(lambda said: console.note(f"the wearer says: {said}")) if not as_json else lambda _said: None,
            on_frame=console.frame if not as_json else lambda _state: None,
            on_photo=keeper.photo,
            on_start=stop_when_closed,
        )
    finally:
        keeper.close()
        console.close()
    write_folder(out, result)
    if result.interruption is not None:
        raise result.interruption
    if as_json:
        click.echo(json.dumps(as_object(result, out), ensure_ascii=False, indent=2))
    else:
        console.note(f"both tracks, photo, transcript and report: {out}/report.html")
    if result.faults:
        raise Failure(f"the demo did not go as it should: {'; '.join(result.faults)}", "lorgnette doctor")


def write_folder(out: Path, result: DemoResult) -> None:
    """Both tracks and the report; photo and transcript are there already."""
    from ..assistant.audio import wav_bytes
    from ..main import version
    from ..report import Session, write_report

    (out / "heard.wav").write_bytes(wav_bytes(result.heard_pcm))
    (out / "played.wav").write_bytes(wav_bytes(result.played_pcm))
    frame = dict(result.frame)
    battery = frame["battery_percent"]
    session = Session(
        title="lorgnette demo",
        subtitle="A scripted wearer talks to the simulated frame. Pipeline, engines and the frame's core are real.",
        heard_pcm=result.heard_pcm,
        played_pcm=result.played_pcm,
        led=result.led,
        wire=result.wire,
        turns=[o.turn for o in result.outcomes if o.turn is not None],
        said={o.turn.turn_id: o.line.said for o in result.outcomes if o.turn is not None},
        photos=result.photos,
        engines=result.engines,
        frame={
            "name": frame["name"],
            "port": frame["port"],
            "firmware": frame["firmware"],
            "LED": f"{frame['led_kind']}: what the frame claims of its privacy light",
            "volume": f"{frame['volume_percent']} %",
            "battery": "no gauge" if battery is None else f"{battery} %",
        },
        notes=f"lorgnette {version()}. Both tracks run on the frame's sample clock. No board was involved.",
    )
    write_report(out / "report.html", session)


def as_object(result: DemoResult, out: Path) -> dict[str, Any]:
    """What `--json` prints."""
    from ..console import engine_record
    from ..demo.session import SCHEMA

    rows = [(outcome, line_object(outcome)) for outcome in result.outcomes]
    return {
        "schema": SCHEMA,
        "engines": [engine_record(info) for info in result.engines],
        "frame": result.frame,
        "turns": [row for outcome, row in rows if outcome.line.intent],
        "rejected": [row for outcome, row in rows if not outcome.line.intent],
        "faults": result.faults,
        "files": {
            "report": str(out / "report.html"),
            "heard": str(out / "heard.wav"),
            "played": str(out / "played.wav"),
            "photo": str(out / "photo.jpg") if result.photos else None,
            "transcript": str(out / "transcript.jsonl"),
        },
    }


def line_object(outcome: LineOutcome) -> dict[str, Any]:
    """One line of the script: what was said, and everything that came of it."""
    from ..demo.session import shown_state

    turn = outcome.turn
    act = turn.act if turn else None
    return {
        "said": outcome.line.said,
        "heard": turn.heard if turn and turn.outcome != "rejected" else "",
        "outcome": turn.outcome if turn else "unheard",
        "intent": turn.intent.name if turn and turn.intent else None,
        "act": {"name": act.name, "args": dict(act.args), "result": dict(act.result)} if act else None,
        "frame": shown_state(outcome.state),
        "reply": turn.reply if turn else "",
        "reply_audio_s": round(outcome.reply_audio_s, 3),
        "reply_rms_dbfs": round(outcome.reply_rms_dbfs, 1),
        "stages_ms": dict(turn.stages_ms) if turn else {},
        "confidence": {
            "avg_logprob": round(turn.transcript.avg_logprob, 3),
            "no_speech_prob": round(turn.transcript.no_speech_prob, 3),
            "reason": turn.transcript.reason,
        }
        if turn and turn.transcript
        else None,
    }
