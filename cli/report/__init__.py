"""`report.html`: one self-contained page of a session, readable at a glance.

Both tracks as waveforms that play, the transcript, each turn's latency waterfall, the LED and a lane of wire traffic,
all on the frame's sample clock. The page loads nothing from anywhere. Knows what happened only through `Session`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ..assistant.audio import SAMPLE_BYTES, SAMPLE_RATE_HZ
from ..assistant.engines.protocols import EngineInfo
from ..assistant.events import TurnFinished
from ..text import printable

SCHEMA = "lorgnette.session/1"
WIRE_BIN_S = 0.1
# How the page groups the wire's channels; anything else is "control".
_WIRE_GROUPS = {"mic": 0, "speaker": 1, "bulk_up": 2, "bulk_down": 2}
_WIRE_CONTROL = 3


@dataclass(frozen=True, slots=True)
class WireFrame:
    """One frame on the wire.

    Attributes:
        sample: when, on the microphone's sample clock.
        upward: from the frame to the host.
        channel: the channel's name.
        size_bytes: octets on the wire, framing included.
    """

    sample: int
    upward: bool
    channel: str
    size_bytes: int


@dataclass(slots=True)
class Session:
    """What a report shows. PCM is s16le mono 16 kHz; both tracks start at sample 0."""

    title: str
    subtitle: str
    heard_pcm: bytes = b""
    played_pcm: bytes = b""
    led: list[tuple[int, int]] = field(default_factory=list)  # (sample, messages.Led value)
    wire: list[WireFrame] = field(default_factory=list)
    turns: list[TurnFinished] = field(default_factory=list)
    said: dict[int, str] = field(default_factory=dict)  # turn id -> what the script said, where there was one
    photos: list[bytes] = field(default_factory=list)  # JPEG
    engines: list[EngineInfo] = field(default_factory=list)
    frame: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""


def ulaw(pcm: bytes) -> bytes:
    """Encode s16le PCM as G.711 mu-law (ITU-T G.711, bias 132): half the size, and the page needs no codec."""
    import numpy as np

    x = np.frombuffer(pcm, "<i2").astype(np.int32)
    sign = np.where(x < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(x), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    encoded: bytes = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()
    return encoded


def wire_bins(frames: Sequence[WireFrame], *, upward: bool, samples: int) -> list[list[int]]:
    """Octets per WIRE_BIN_S and channel group, for the traffic lane."""
    width = int(WIRE_BIN_S * SAMPLE_RATE_HZ)
    bins = [[0, 0, 0, 0] for _ in range(samples // width + 1)]
    for f in frames:
        if f.upward == upward and 0 <= f.sample <= samples:
            bins[f.sample // width][_WIRE_GROUPS.get(f.channel, _WIRE_CONTROL)] += f.size_bytes
    return bins


def act_line(turn: TurnFinished) -> str:
    """The act as a reader sees it: what was asked, what came back."""
    if turn.act is None:
        return ""
    args = ", ".join(f"{k}={v}" for k, v in turn.act.args.items())
    result = turn.act.error or ", ".join(f"{k}={v}" for k, v in turn.act.result.items())
    return printable(f"{turn.act.name}({args}) → {result}" if result else f"{turn.act.name}({args})")


def _words(text: str) -> str:
    return text.rstrip(".?!").lower()


def _turn(turn: TurnFinished, said: str) -> dict[str, Any]:
    heard = "" if turn.outcome == "rejected" else printable(turn.heard)  # what it refused, it did not hear
    return {
        "said": said,
        "said_differs": _words(said) != _words(heard),
        "heard": heard,
        "outcome": turn.outcome,
        "act": act_line(turn),
        "reply": printable(turn.reply),
        "stages_ms": {k: round(v, 2) for k, v in turn.stages_ms.items()},
        "speech_start_sample": turn.speech_start_sample,
        "speech_end_sample": turn.speech_end_sample,
        "reply_start_sample": turn.reply_start_sample,
        "reply_samples": turn.reply_samples,
    }


def _tiles(session: Session) -> list[tuple[str, str]]:
    totals = sorted(t.stages_ms["total"] for t in session.turns if "total" in t.stages_ms)
    tiles = [
        (str(sum(t.outcome == "answered" for t in session.turns)), "turns answered"),
        (str(sum(t.outcome == "rejected" for t in session.turns)), "refused: not a command"),
    ]
    if totals:
        tiles.append((f"{totals[len(totals) // 2]:.0f} ms", "median, voice to voice"))
        tiles.append((f"{totals[-1]:.0f} ms", "slowest, voice to voice"))
    known = next(
        (str(e.detail["sentences"]) for e in session.engines if e.role == "stt" and "sentences" in e.detail), ""
    )
    if known:
        tiles.append((known, "sentences the ear knows"))
    tiles += [(value, name) for name, value in session.frame.items() if name in ("volume", "battery")]
    return tiles


def write_report(path: Path, session: Session) -> None:
    """Write the page.

    Raises:
        OSError: the file cannot be written.
    """
    samples = max(len(session.heard_pcm), len(session.played_pcm)) // SAMPLE_BYTES
    data = {
        "schema": SCHEMA,
        "title": session.title,
        "subtitle": session.subtitle,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "tiles": _tiles(session),
        "mic_ulaw": base64.b64encode(ulaw(session.heard_pcm)).decode(),
        "speaker_ulaw": base64.b64encode(ulaw(session.played_pcm)).decode(),
        "led": session.led,
        "wire": {
            "bin_s": WIRE_BIN_S,
            "up": wire_bins(session.wire, upward=True, samples=samples),
            "down": wire_bins(session.wire, upward=False, samples=samples),
        },
        "turns": [_turn(t, session.said.get(t.turn_id, "")) for t in session.turns],
        "photos": ["data:image/jpeg;base64," + base64.b64encode(p).decode() for p in session.photos],
        "engines": [
            (e.role, f"{e.engine}, {e.model}", ", ".join(f"{k} {v}" for k, v in e.detail.items()))
            for e in session.engines
        ]
        + [("frame", name, printable(value)) for name, value in session.frame.items()],
        "foot": session.notes,
    }
    # Inside <script> only "</" could end the data early; escaping "<" keeps it inert.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    page = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    path.write_text(page.replace("/*DATA*/", text), encoding="utf-8")
