"""The link knows no clock, no thread and no port: that is what makes every fault replayable."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

BRIDGE = Path(__file__).parents[2] / "firmware_bridge"
SANS_IO = (
    *("bulk", "codec", "console", "crash", "credit", "device_api", "device_core", "frame", "link", "link_events"),
    *("link_sentences", "link_states", "messages", "object_jobs", "object_write", "objects", "photo", "rate", "rpc"),
    *("session", "speaker", "uncredited"),
)
FORBIDDEN = {
    *("asyncio", "datetime", "os", "queue", "random", "secrets", "select", "serial", "signal", "socket", "subprocess"),
    *("sys", "threading", "time"),
}
LATER_LAYERS = {
    "device",
    "discovery",
    "lockstep",
    "port_errors",
    "port_holder",
    "sim_transport",
    "socket_transport",
    "transport",
}


def imports(name: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((BRIDGE / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("name", SANS_IO)
def test_no_clock_no_thread_no_port(name: str) -> None:
    assert not imports(name) & (FORBIDDEN | LATER_LAYERS)


def test_what_does_io_is_seen_to_do_it() -> None:
    assert {"threading", "time"} <= imports("device")
    assert "select" in imports("socket_transport")
