"""Rewrite what the conformance suite shares with others; `--check` only compares.

    python tests/update_conformance.py [--check]

- `firmware_bridge/conformance/vectors.json`: of `tests/vectors/messages.json` what a frame can show to have understood.
- The table of cases in `docs/conformance.md`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from lorgnette.firmware_bridge import messages
from lorgnette.firmware_bridge.conformance.cases import every_case
from lorgnette.firmware_bridge.frame import Frame
from lorgnette.firmware_bridge.messages import Hello, Message

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = ROOT / "tests/vectors/messages.json"
VECTORS = ROOT / "firmware_bridge/conformance/vectors.json"
DOCUMENT = ROOT / "docs/conformance.md"
SESSION = 258
"""The session of every message in the table that has one."""
_TABLE = re.compile(r"(<!-- generated: conformance -->\n).*?(<!-- end -->)", re.DOTALL)


def vectors() -> str:
    """The framing, and every message but Hello: that one would begin a session."""
    table = json.loads(MESSAGES.read_text(encoding="utf-8"))
    framing = [{"name": v["name"], "segment": v["segment"], "valid": v["frame"] is not None} for v in table["framing"]]
    frames = [{"name": v["name"], "wire": wire} for v in table["messages"] if (wire := wire_of(v))]
    shown = [
        '  "framing": [\n    ' + ",\n    ".join(map(json.dumps, framing)) + "\n  ]",
        f'  "session": {SESSION}',
        '  "frames": [\n    ' + ",\n    ".join(map(json.dumps, frames)) + "\n  ]",
    ]
    return "{\n" + ",\n".join(shown) + "\n}\n"


def wire_of(vector: dict[str, Any]) -> str:
    """A message as a frame of SESSION, in hex; "" for Hello, and for what is no frame's payload."""
    kind: type[Message] = getattr(messages, vector["message"])
    if kind.CHANNEL is None or kind is Hello:
        return ""
    return str(
        vector.get("wire") or Frame(kind.CHANNEL, 0, 1, SESSION, bytes.fromhex(vector["payload"])).encode().hex()
    )


def table() -> str:
    rows = ["| case | checks | PROTOCOL.md | the frame must |", "|---|---|---|---|"]
    rows += [f"| {c.number} | {c.title} | {c.section} | {c.must} |" for c in every_case()]
    return "\n".join(rows)


def document(text: str) -> str:
    return _TABLE.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", text)


def files() -> dict[Path, str]:
    """What each file should hold."""
    return {VECTORS: vectors(), DOCUMENT: document(DOCUMENT.read_text(encoding="utf-8"))}


def main() -> int:
    stale = [path for path, text in files().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" not in sys.argv[1:]:
        for path in stale:
            path.write_text(files()[path], encoding="utf-8")
        return 0
    for path in stale:
        print(f"{path.relative_to(ROOT)} is stale; run python tests/update_conformance.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
