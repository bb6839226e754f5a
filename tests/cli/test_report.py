"""The report page: its data, its safety, and (where Chromium is) that a browser really draws it."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from lorgnette.cli.assistant.engines.protocols import EngineInfo
from lorgnette.cli.assistant.events import ActFinished, TurnFinished
from lorgnette.cli.report import Session, WireFrame, ulaw, wire_bins, write_report


def turn(
    turn_id: int, outcome: str = "answered", heard: str = "Take a photo.", reply: str = "I took it."
) -> TurnFinished:
    act = ActFinished(turn_id, "take_photo", {}, {"size_bytes": 1234})
    return TurnFinished(
        turn_id=turn_id,
        outcome=outcome,  # type: ignore[arg-type]
        heard=heard,
        transcript=None,
        intent=None,
        act=act,
        reply=reply,
        stages_ms={"endpointing": 600.0, "stt": 90.5, "tts": 12.0, "link": 80.0, "total": 782.5},
        speech_start_sample=1600,
        speech_end_sample=16000,
        reply_start_sample=30000,
        reply_samples=8000,
    )


def session(**changes: object) -> Session:
    pcm = struct.pack("<48000h", *([0, 1000, -1000] * 16000))
    made = Session("a title", "a subtitle", heard_pcm=pcm, played_pcm=pcm, turns=[turn(1)], led=[(0, 0), (800, 1)])
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def page_data(page: str) -> dict[str, object]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert match
    data = json.loads(match[1])
    assert isinstance(data, dict)
    return data


# ITU-T G.711 reference points: (linear 16-bit, mu-law octet)
@pytest.mark.parametrize(
    ("linear", "octet"),
    [(0, 0xFF), (-1, 0x7F), (32767, 0x80), (-32768, 0x00), (1000, 0xCE), (-1000, 0x4E), (132, 0xEF)],
)
def test_ulaw_reference_points(linear: int, octet: int) -> None:
    assert ulaw(struct.pack("<h", linear)) == bytes([octet])


def test_ulaw_decodes_within_its_step() -> None:
    values = list(range(-32768, 32768, 97))
    for value, octet in zip(values, ulaw(struct.pack(f"<{len(values)}h", *values)), strict=True):
        u = ~octet & 255
        magnitude = (((u & 15) << 3) + 132 << ((u >> 4) & 7)) - 132
        decoded = -magnitude if u & 128 else magnitude
        assert abs(decoded - value) <= max(8, abs(value) * 0.05)


def test_wire_bins_add_up() -> None:
    frames = [WireFrame(0, True, "mic", 660), WireFrame(1599, True, "mic", 660), WireFrame(1600, True, "rpc", 20)]
    frames.append(WireFrame(10, False, "speaker", 100))
    assert wire_bins(frames, upward=True, samples=3200)[:2] == [[1320, 0, 0, 0], [0, 0, 0, 20]]
    assert wire_bins(frames, upward=False, samples=3200)[0] == [0, 100, 0, 0]


def test_page_is_self_contained(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(out, session())
    page = out.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert "import(" not in page and "fetch(" not in page
    data = page_data(page)
    assert data["schema"] == "lorgnette.session/1"


def test_words_from_outside_cannot_leave_the_data_block(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    evil = "</script><script>alert(1)</script>\x1b[31m"
    write_report(out, session(turns=[turn(1, heard=evil, reply=evil)]))
    page = out.read_text(encoding="utf-8")
    assert page.count("<script") == 2  # the data and the page's own code
    [shown] = page_data(page)["turns"]  # type: ignore[misc]
    assert "\x1b" not in shown["heard"] and "alert(1)" in shown["heard"]


def test_an_empty_session_still_makes_a_page(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(out, Session("nothing", "happened"))
    assert page_data(out.read_text(encoding="utf-8"))["turns"] == []


def test_a_browser_draws_it(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed (apt install chromium)")
    out = tmp_path / "report.html"
    engines = [EngineInfo("stt", "whisper", "embedded", {"sentences": 812})]
    write_report(out, session(turns=[turn(1), turn(2, outcome="rejected", heard="")], engines=engines))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=3000"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run([chromium, *flags, out.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.count('class="turn"') == 2
    assert done.stdout.count('class="wf"') == 2
    assert "endpointing 600" in done.stdout and "812" in done.stdout
    assert 'class="span label"' in done.stdout
