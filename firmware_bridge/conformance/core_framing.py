"""Core cases: octets and frames. What is whole is taken, what is broken is dropped, nothing is put together wrongly."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from ..messages import MAX_WIRE_BYTES, Channel, Flag, Method, Ping, Pong
from .cases import case
from .trial import Trial, pong_of

VECTORS = "vectors.json"
"""The framing and the messages of tests/vectors, as far as a frame can show what it makes of them."""
IDLE_MS = 60
"""More than the 20 ms after which a frame puts a zero in front, with what drivers and hubs add."""
BOOT_TEXT = b"\x1b[0;32mI (1234) cpu_start: Starting scheduler on PRO CPU.\x1b[0m\r\n"


def load_vectors() -> dict[str, Any]:
    """`framing`: name, segment (hex), valid. `frames`: name, wire (hex), of messages that belong to `session`."""
    text = resources.files(__package__).joinpath(VECTORS).read_text(encoding="utf-8")
    vectors: dict[str, Any] = json.loads(text)
    return vectors


@case("C-17", "a zero leads after a pause", 2)
def leading_zero(t: Trial) -> None:
    """After 20 ms in which it has sent nothing the frame puts one more zero in front."""
    t.connect()
    for _ in range(3):
        t.host.drain(IDLE_MS, 3000)
        token = t.rng.getrandbits(32)
        mark = t.host.send(Ping(token))
        first = b""
        end_us = t.host.port.now_us + 1_000_000
        while not first and t.host.port.now_us < end_us:
            first = t.host.receive(end_us)
        t.check(first[:1] == b"\0", f"after a pause it began with {first[:1].hex() or 'nothing'}")
        t.expect(Pong, mark, "a Ping got no Pong", where=pong_of(token))


@case("C-18", "zeros between frames mean nothing", 2)
def empty_pieces(t: Trial) -> None:
    """Empty pieces are ignored: neither frames nor bad frames."""
    t.connect()
    before = t.state()
    calls = [t.host.next_call(Method.GET_STATE) for _ in range(2)]
    mark = t.host.write(bytes(40).join([b"", *(t.host.pack(call) for call in calls), b""]))
    for call in calls:
        t.reply(call, mark)
    after = t.state()
    t.check(after.rx_bad_frames == before.rx_bad_frames, "empty pieces were counted as bad frames")
    t.check(after.rx_frames - before.rx_frames == 3, f"3 frames were counted as {after.rx_frames - before.rx_frames}")


@case("C-19", "every vector of the framing", 2)
def framing_vectors(t: Trial) -> None:
    """Each segment of the shared vectors is taken or refused as its table says, by the frame's own count."""
    t.connect()
    for vector in load_vectors()["framing"]:
        segment = bytes.fromhex(vector["segment"])
        pieces = [piece for piece in segment.split(b"\0") if piece]  # damage may have made a zero
        _counted(t, vector["name"], segment + b"\0", (1, 0) if vector["valid"] else (0, len(pieces)))


@case("C-20", "every vector of the messages", 13)
def message_vectors(t: Trial) -> None:
    """Each message of the shared vectors is a valid frame; of another session it is counted and changes nothing."""
    t.connect()
    vectors = load_vectors()
    if t.host.session == vectors["session"]:
        t.connect()
    for vector in vectors["frames"]:
        _counted(t, vector["name"], bytes.fromhex(vector["wire"]), (1, 0))


def _counted(t: Trial, name: str, octets: bytes, expected: tuple[int, int]) -> None:
    """These octets must be counted as so many frames and so many bad ones, and not answered."""
    before = t.state()
    mark = t.host.write(b"\0" + octets)
    after = t.state()
    frames, bad = after.rx_frames - before.rx_frames - 1, after.rx_bad_frames - before.rx_bad_frames
    seen = f"the vector '{name}' was counted as {frames} frames and {bad} bad ones instead of {expected}"
    t.check((frames, bad) == expected, seen)
    own = [r for r in t.host.log[mark:] if r.frame.channel == Channel.RPC]
    t.check(len(own) == 1, f"the vector '{name}' was answered")


@case("C-21", "one wrong bit, and it is no frame", 2)
def wrong_bits(t: Trial) -> None:
    """A frame with one flipped bit, wherever it is, is dropped; the next whole frame is taken."""
    t.connect()
    call = t.host.next_call(Method.GET_STATE)
    whole = t.host.pack(call)[:-1]
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        _dropped(t, bytes(damaged) + b"\0", f"a call with bit {bit} flipped")


@case("C-22", "the next whole frame is taken", 2)
def structure(t: Trial) -> None:
    """Cut short, without its beginning, with text inside, or run together: no such frame is taken, the next one is."""
    t.connect()
    one = t.host.pack(t.host.next_call(Method.GET_STATE))[:-1]
    two = t.host.pack(t.host.next_call(Method.GET_STATE))[:-1]
    for cut in range(1, len(one)):
        _dropped(t, one[:cut] + b"\0", f"a call cut to {cut} octets")
        _dropped(t, one[cut:] + b"\0", f"a call without its first {cut} octets")
        _dropped(t, one[:cut] + BOOT_TEXT + one[cut:] + b"\0", f"a call with text behind octet {cut}")
        _dropped(t, one[:cut] + two[cut:] + b"\0", f"the halves of two calls, cut at {cut}", but=(one, two))
    _dropped(t, one + two + b"\0", "two calls without a zero between them")
    _dropped(t, BOOT_TEXT + b"\0", "boot text")


def _dropped(t: Trial, octets: bytes, what: str, but: tuple[bytes, ...] = ()) -> None:
    if octets[:-1] in but:
        return
    call = t.host.next_call(Method.GET_STATE)
    mark = t.host.write(b"\0" + octets + t.host.pack(call))
    found = t.reply(call, mark)
    others = [reply for _, reply in t.host.since(mark, type(found)) if reply.call_id != call.call_id]
    t.check(not others, f"{what} was taken for a call and answered")


@case("C-23", "what grows too long is no frame", 2)
def oversize(t: Trial) -> None:
    """Octets without a zero, more than any frame has, are dropped; the next frame is taken."""
    t.connect()
    for size in (MAX_WIRE_BYTES, 2000, 6000):
        before = t.state()
        for filler in (b"\x01", b"\xff", b"x"):
            t.host.write(filler * size)
            t.host.write(b"\0")
        after = t.state()
        t.check(after.rx_frames - before.rx_frames == 1, f"{size} octets without a zero were counted as a frame")
        t.check(after.rx_bad_frames > before.rx_bad_frames, f"{size} octets without a zero were not counted as bad")


@case("C-24", "octet by octet", 2)
def octet_by_octet(t: Trial) -> None:
    """How the octets are cut into pieces on their way changes nothing."""
    t.connect()
    call = t.host.next_call(Method.GET_STATE)
    wire = b"\0" + t.host.pack(call)
    mark = len(t.host.log)
    for at in range(len(wire)):
        t.host.write(wire[at : at + 1])
    t.reply(call, mark)


@case("C-25", "unknown channels and types are dropped", 3)
def unknown(t: Trial) -> None:
    """A frame of an unknown channel or type is dropped and counted, with or without the flag 'must understand'."""
    t.connect()
    strange = [
        *((channel, b"\x01abc") for channel in (9, 100, 255)),
        *((Channel.LINK, bytes((kind,)) + b"abcd") for kind in (0, 99, 255)),
        *((Channel.RPC, bytes((kind,)) + b"abcd") for kind in (0, 99, 255)),
        *((channel, b"") for channel in (Channel.LINK, Channel.RPC, Channel.SPEAKER)),
    ]
    for channel, payload in strange:
        for flags in (0, Flag.MUST_UNDERSTAND):
            before = t.state()
            mark = t.host.write(b"\0" + t.host.pack_payload(channel, payload, flags=flags))
            after = t.state()
            what = f"an unknown frame (channel {int(channel)}, payload {payload.hex() or 'empty'})"
            t.check(after.rx_frames - before.rx_frames == 2, f"{what} was not counted")
            answered = [r for r in t.host.log[mark:] if r.frame.channel not in (Channel.LINK, Channel.LOG)]
            t.check(len(answered) == 1, f"{what} was answered")


@case("C-26", "unknown flags are ignored", 3)
def unknown_flags(t: Trial) -> None:
    """Bits that mean nothing change nothing; 'must understand' does not hinder what is understood."""
    t.connect()
    for flags in (0x20, 0x40, 0x60, Flag.MUST_UNDERSTAND):
        call = t.host.next_call(Method.GET_STATE)
        mark = t.host.send(call, flags=flags)
        t.reply(call, mark)
