"""Files that a program writes are as that program would write them now."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GENERATOR = "firmware_bridge/generate.py"
SCHEMA = "firmware_bridge/schema.toml"
C_HEADER = "hardware/firmware/components/glink/include/glink_schema.h"
PYTHON = "firmware_bridge/messages.py"
VECTORS = "tests/vectors/messages.json"


def check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, GENERATOR, "--check"], cwd=root, capture_output=True, text=True, check=False)


def test_header_messages_and_vectors_are_as_the_schema_says() -> None:
    result = check(ROOT)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("edited", "old", "new"),
    [
        (SCHEMA, "u32", "u16"),  # a field changes its width, and nobody runs the generator
        (C_HEADER, "uint32_t", "uint16_t"),
        (PYTHON, "class ", "class My"),
        (VECTORS, '"message": "Ping"', '"message": "Pong"'),  # a record without a vector, and one that reads otherwise
        (VECTORS, '"allowed": 16', '"allowed": 17'),
        (SCHEMA, '["codec", "u8"]', '["reserved", "u8"], ["codec", "u8"]'),  # a field that moved
    ],
)
def test_the_check_notices_a_stale_file(edited: str, old: str, new: str, tmp_path: Path) -> None:
    for name in (GENERATOR, SCHEMA, C_HEADER, PYTHON, VECTORS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert check(tmp_path).returncode == 0
    path = tmp_path / edited
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert check(tmp_path).returncode != 0
