"""Robust cases: damage. Nothing that was not sent is taken, and nothing that was asked runs twice."""

from __future__ import annotations

from ..frame import Frame
from ..messages import (
    MAX_PAYLOAD_BYTES,
    TYPED,
    UNTYPED,
    Call,
    Channel,
    Close,
    Flag,
    Hello,
    Method,
    Reply,
)
from .cases import case
from .trial import Trial

FLOOD_BYTES = 3000
DAMAGED = 1000
BATCH = 8
BOOT_LOG = (
    b"ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\nrst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n"
    b"\x1b[0;32mI (24) boot: ESP-IDF v5.4 2nd stage bootloader\x1b[0m\r\n"
)
COMMANDS = b"AT\r\n", b"AT+GCAP\r\n", b"ATQ0 V1 E1 S0=0\r\n", b"~~~\x00\x78\xf0\x7e"
FROM_A_FRAME = {Channel.EVENT, Channel.MIC, Channel.BULK_UP, Channel.LOG}
SESSION_ENDS = {Close, Hello}


@case("R-10", "floods of noise", 2)
def noise(t: Trial) -> None:
    """Noise, with zeros and without, hurts nothing: the next call is answered, in the same session."""
    t.connect()
    before = t.state()
    for number in range(24):
        octets = t.rng.randbytes(t.rng.randrange(1, FLOOD_BYTES))
        if number % 2:
            octets = octets.replace(b"\0", b"\1")
        t.host.write(octets + b"\0")
        t.alive("noise")
    after = t.state()
    t.figures["bad_frames_counted"] = after.rx_bad_frames - before.rx_bad_frames
    t.check(after.rx_frames - before.rx_frames == 25, "noise was counted as frames")


@case("R-11", "boot logs and modem commands", 1)
def text(t: Trial) -> None:
    """What others say on the line is no frame, before, between and inside frames."""
    t.connect()
    for octets in (BOOT_LOG * 20, *COMMANDS):
        t.host.write(octets)
        t.host.write(b"\0")
        t.alive("text on the line")
    call = t.host.pack(t.host.next_call(Method.GET_STATE))
    for at in range(1, len(call) - 1):
        mark = t.host.write(b"\0" + call[:at] + COMMANDS[at % 3] + call[at:])
        t.check(not t.answers(mark), f"a call with a command behind octet {at} was run")


@case("R-12", "a thousand damaged calls", 2)
def damaged(t: Trial) -> None:
    """Of 1,000 calls with flipped bits, lost, doubled or exchanged octets none is run."""
    t.connect()
    survived = 0
    for _ in range(0, DAMAGED, BATCH):
        octets = b""
        for _ in range(BATCH):
            # Ids far from those of the barriers, so that a damaged one cannot pass for one of them.
            call = Call(0x8000 | t.rng.getrandbits(14), t.rng.choice(list(Method)), t.rng.randbytes(6))
            whole = t.host.pack(call)[:-1]
            hurt = _hurt(t, whole)
            pieces = [piece for piece in hurt.split(b"\0") if piece]
            if any(Frame.decode(piece) is not None for piece in pieces):
                survived += 1  # the damage undid itself: it is the frame that was sent
                continue
            octets += hurt + b"\0"
        mark = t.host.write(b"\0" + octets)
        answered = t.answers(mark)
        t.check(not answered, f"a damaged call was answered: {len(answered)} runs of what nobody asked for")
    t.figures["damaged_calls"] = DAMAGED - survived


def _hurt(t: Trial, whole: bytes) -> bytes:
    rng = t.rng
    octets = bytearray(whole)
    kind = rng.randrange(6)
    at = rng.randrange(len(octets))
    if kind == 0:
        for _ in range(rng.randint(1, 8)):
            octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del octets[at : at + rng.randint(1, 8)]
    elif kind == 2:
        octets[at:at] = octets[at : at + rng.randint(1, 8)]
    elif kind == 3:
        octets[at:at] = rng.randbytes(rng.randint(1, 40))
    elif kind == 4:
        octets = octets[at:] + octets[:at]
    else:
        del octets[at:]
    return bytes(octets)


@case("R-13", "duplicates and reordering", 8)
def reordered(t: Trial) -> None:
    """Frames that come twice or in another order run no call twice, and no call's reply changes."""
    t.connect()
    for _ in range(40):
        calls = [t.host.next_call(Method.GET_STATE) for _ in range(4)]
        wires = [t.host.pack(call) for call in calls]
        wires += [t.host.pack(call, flags=Flag.RETRY) for call in t.rng.sample(calls, 2)]
        wires += t.rng.sample(wires, 2)
        t.rng.shuffle(wires)
        mark = t.host.write(b"\0" + b"".join(wires))
        replies: dict[int, set[bytes]] = {}
        for reply in t.answers(mark):
            replies.setdefault(reply.call_id, set()).add(reply.result)
        t.check(bool(replies), "of six calls in some order none was run")
        t.check(all(len(results) == 1 for results in replies.values()), "a call ran twice: its replies differ")
        mark = t.host.write(b"\0" + b"".join(wires))
        t.check(not t.answers(mark), "old frames were answered when they came again")


@case("R-14", "hostile lengths", 15)
def hostile_lengths(t: Trial) -> None:
    """Every message that a host may send, cut at every length and with a tail, does no harm."""
    t.connect()
    kinds = [kind for kind in [*TYPED.values(), *UNTYPED.values()] if kind not in SESSION_ENDS]
    for kind in kinds:
        channel = kind.CHANNEL
        if channel is None or channel in FROM_A_FRAME or _only_a_frame_says(kind):
            continue
        whole = (b"" if kind.TYPE is None else bytes((kind.TYPE,))) + kind().pack() + b"\xff" * 12
        for cut in range(len(whole) + 1):
            t.host.write(b"\0" + t.host.pack_payload(channel, whole[:cut]))
        t.alive(f"{kind.__name__} of every length")
        t.host.idle(20)
    for channel in (Channel.LINK, Channel.SPEAKER, Channel.BULK_DOWN, Channel.TEST, 100):
        longest = b"\xff" * MAX_PAYLOAD_BYTES
        t.host.write(b"\0" + t.host.pack_payload(channel, longest))
        t.alive("the longest frame of every channel")


def _only_a_frame_says(kind: type) -> bool:
    return kind.__name__ in ("HelloAck", "Refuse", "RateSet", "Reply")


@case("R-15", "valid frames with any content", 16)
def any_content(t: Trial) -> None:
    """Whatever stands in frames whose CRC is right, the frame lives, and serves the next honest host."""
    t.connect()
    for _ in range(100):
        octets = b""
        for _ in range(t.rng.randrange(1, 4)):
            channel = t.rng.choice([0, 1, 1, 1, 4, 4, 6, 8, 9, 200])
            payload = bytearray(t.rng.randbytes(t.rng.choice([0, 1, 3, 7, 12, 30, 250])))
            if payload and channel == Channel.LINK and payload[0] in (Close.TYPE, Hello.TYPE, 2, 9):
                payload[0] = 99
            if len(payload) > 4 and channel == Channel.RPC:
                payload[0], payload[3] = Call.TYPE or 0, t.rng.choice(list(Method))
            octets += t.host.pack_payload(channel, bytes(payload), flags=t.rng.randrange(256))
        t.host.write(b"\0" + octets)
        t.host.idle(10)
    t.host.end_session()
    t.host.junk.clear()
    t.connect()
    state = t.state()
    t.check(state.capturing == 0, "the microphone is on in a new session")
    mark = len(t.host.log)
    t.check(not t.host.since(mark, Reply), "a reply of the last session came")
    t.check(not [piece for piece in t.host.junk if len(piece) > 1], "it sends what is no frame")
