"""Whatever a host sends, the frame goes on: no crash, no hang, and the next honest host is served.

The sanitizer build makes this a memory test too.
"""

from __future__ import annotations

import random

import pytest
from tests.support.raw_host import MS, RawHost, all_of, encode, payload_of

from lorgnette.firmware_bridge import messages as m

STEPS = 400
ENDS_A_SESSION = (
    m.Close.TYPE,
    m.HelloAck.TYPE,
    m.Refuse.TYPE,
    m.RateSet.TYPE,
)  # on the link channel; elsewhere in these tests


def serves_an_honest_host(host: RawHost) -> None:
    host.step(b"\0")
    host.connect(0xFFFF_FFFF)
    host.start_capture()
    assert len(all_of(host.advance(100 * MS), m.MicAudio)) == 5
    assert host.state().capturing == 1


@pytest.mark.parametrize("seed", range(3))
def test_noise(host: RawHost, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(STEPS):
        host.now_us += rng.choice([0, 1000, 20_000, 500_000])
        noise = rng.randbytes(rng.randrange(3000))
        host.step(noise if rng.random() < 0.5 else noise.replace(b"\0", b"\1"))
    serves_an_honest_host(host)


@pytest.mark.parametrize("seed", range(8))
def test_valid_frames_with_any_content(host: RawHost, seed: int) -> None:
    """The CRC is right, everything else is not."""
    rng = random.Random(seed)
    host.connect()
    for _ in range(STEPS):
        host.now_us += rng.choice([0, 0, 1000, 20_000])
        wires = []
        for _ in range(rng.randrange(1, 5)):
            chan = rng.choice([0, 0, 1, 1, 1, 4, 4, 6, rng.randrange(256)])
            body = rng.randbytes(rng.choice([0, 1, 3, 7, 12, 300, 650, 1024]))
            if body and chan in (0, 1):
                known = rng.randrange(14) if chan == 0 else 1
                known = 0 if chan == 0 and known in ENDS_A_SESSION else known
                body = bytes([known]) + body[1:]
                if chan == 1 and len(body) > 4:
                    body = body[:3] + bytes([rng.randrange(14)]) + body[4:]
            seq = (host.seq.get(chan, 0) + rng.choice([1, 1, 1, 2, 40_000])) & 0xFFFF
            host.seq[chan] = seq
            session = rng.choice([host.session] * 9 + [0, rng.randrange(0x10000)])
            wires.append(encode(chan, body, flags=rng.randrange(256), seq=seq, session=session))
        host.step(b"".join(wires))
    assert host.junk == []  # whatever was asked, what the frame said was well formed
    serves_an_honest_host(host)


def test_every_message_cut_at_every_length(host: RawHost) -> None:
    host.connect()
    # Close and Hello would end the session; they are hostile elsewhere.
    skipped = (m.Close, m.Hello)
    for message in (kind for kind in [*m.TYPED.values(), *m.UNTYPED.values()] if kind not in skipped):
        whole = payload_of(message()) + b"\xff" * 8
        chan = message.CHANNEL
        assert chan is not None
        for cut in range(len(whole) + 1):
            host.seq[chan] = host.seq.get(chan, 0) + 1
            host.step(encode(chan, whole[:cut], seq=host.seq[chan], session=host.session))
    serves_an_honest_host(host)


def test_a_storm_of_greetings(host: RawHost) -> None:
    hello = [encode(0, payload_of(m.Hello(major=m.MAJOR, nonce=nonce))) for nonce in range(500)]
    got = host.step(b"".join(hello))
    acks = all_of(got, m.HelloAck)
    assert [ack.nonce for ack in acks] == [499]  # only the last one counts
    serves_an_honest_host(host)
