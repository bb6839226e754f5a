"""How fast and how dear the link is: `python tests/bench/run.py --only link` runs this against the installed wheel.

Three parts, each with its own kind of clock:
- requests to a simulated frame in another process over a pseudo terminal, beside a plain echo there: wall clock, so
  figures of a machine that does other things are upper bounds; the echo says how much of it is the machine's;
- what framing and the whole Link cost: CPU time for each second of full-duplex audio with a picture;
- lines with a rate: virtual time, the same on every machine.

Prints Markdown. Ends with status 1 when the second or the third part is over its budget.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lorgnette.firmware_bridge.codec import message_of, payload_of
from lorgnette.firmware_bridge.device import Device
from lorgnette.firmware_bridge.frame import Frame, FrameReader
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import AudioReceived, Event, ObjectReceived
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import (
    MAJOR,
    MINOR,
    BulkData,
    CaptureStartArgs,
    Channel,
    Credit,
    GetStateResult,
    HelloAck,
    Message,
    Method,
    MicAudio,
    ObjectKind,
    Ping,
    Pong,
    ReadObjectResult,
    Reply,
    RpcStatus,
    SpeakerAudio,
)
from lorgnette.firmware_bridge.sim_transport import SimTransport, simulated_frame
from lorgnette.firmware_bridge.simulator import Peripherals, SimulatedFrame
from lorgnette.firmware_bridge.simulator.url import parse_sim_url

REQUESTS = 2000
ROUND_TRIP_BUDGET_MS = {50: 2.0, 99: 10.0}  # on an idle machine

PICTURE_BYTES = 40_960
CHUNK_BYTES = 1016
AUDIO_BYTES = 640
FRAMES_PER_S = 50
MEASURED_S = 60  # of audio, per kind of payload
FRAMING_BUDGET = 0.02  # of one core

RATES = (460_800, 921_600, 2_000_000)
OBJECT_BYTES = 262_144
GOODPUT_BUDGET = 0.93  # of the line
SLACK = 1.10  # on the arithmetic of a picture beside audio
LATE_BUDGET_MS = 20.0
WIRE_BYTES = {"pcm16": 660, "ima_adpcm": 180}  # of one AudioFrame


def main() -> int:
    if sys.argv[1:] == ["--frame"]:
        serve(SimTransport(SimulatedFrame(Peripherals())))
    if sys.argv[1:] == ["--echo"]:
        serve(None)
    if os.name == "posix":
        round_trips()
    return 0 if all([framing(), lines_with_a_rate()]) else 1


# ---- round trips over a pseudo terminal
def serve(frame: SimTransport | None) -> None:
    """Be the other process: a frame, or an echo, behind a pseudo terminal whose name is printed first."""
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    while True:
        heard = os.read(master, 65_536) if select.select([master], [], [], 0.002)[0] else b""
        if frame is None:
            said = heard
        else:
            frame.write(heard)
            said = frame.read(0)
        if said:
            os.write(master, said)


@contextmanager
def other_process(what: str) -> Iterator[str]:
    """Another process that serves; yields its terminal's name."""
    with subprocess.Popen([sys.executable, __file__, what], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def round_trips() -> None:
    """Print how long a request takes, and how long as many octets take without any protocol."""
    requests_ms: list[float] = []
    echoes_ms: list[float] = []
    with other_process("--frame") as port, other_process("--echo") as plain, Device.open(port) as device:
        before = device.stats().tx_bytes
        device.request(Method.GET_STATE)
        question = bytes(range(1, 1 + device.stats().tx_bytes - before))
        echo = os.open(plain, os.O_RDWR | os.O_NOCTTY)
        for _ in range(REQUESTS):
            begun_s = time.perf_counter()
            device.request(Method.GET_STATE)
            requests_ms.append((time.perf_counter() - begun_s) * 1000)
            begun_s = time.perf_counter()
            os.write(echo, question)
            left = len(question)
            while left:
                left -= len(os.read(echo, left))
            echoes_ms.append((time.perf_counter() - begun_s) * 1000)
        os.close(echo)
    print("## Round trips over a pseudo terminal\n")
    print("| | p50 ms | p99 ms |\n|---|--:|--:|")
    for name, values in (("request", requests_ms), ("plain echo of as many octets", echoes_ms)):
        print(f"| {name} | {percentile(values, 50):.2f} | {percentile(values, 99):.2f} |")
    budget = " | ".join(f"{limit:g}" for limit in ROUND_TRIP_BUDGET_MS.values())
    print(f"| budget on an idle machine | {budget} |")
    ratio = percentile(requests_ms, 50) / percentile(echoes_ms, 50)
    print(f"\n{REQUESTS} interleaved pairs; at p50 a request takes {ratio:.1f} times the echo.\n", flush=True)


def percentile(values: list[float], percent: int) -> float:
    """The nearest-rank percentile: always one of the measured values."""
    ordered = sorted(values)
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


# ---- what framing costs
def framing() -> bool:
    """Print CPU time per second of audio both ways with one picture. True when framing is within its budget."""
    noise = random.Random(1)
    payloads: dict[str, Callable[[int], bytes]] = {
        "random": noise.randbytes,
        "all zero": bytes,
        "soft speech": lambda size: b"".join(
            int(noise.gauss(0, 40)).to_bytes(2, "little", signed=True) for _ in range(size // 2)
        ),
    }
    print("## CPU time of one core for audio both ways and a picture each second\n")
    print("| payload | framing | times CRC-32 alone | whole Link | budget of framing |\n|---|--:|--:|--:|--:|")
    within = True
    for name, make in payloads.items():
        audio = [make(AUDIO_BYTES) for _ in range(FRAMES_PER_S)]
        picture = make(PICTURE_BYTES)
        alone = cpu_share(lambda audio=audio, picture=picture: checksums(audio, picture))
        framed = cpu_share(one_second_of_framing(audio, picture))
        whole = link_share(audio, picture)
        within = within and framed <= FRAMING_BUDGET
        print(f"| {name} | {framed:.2%} | {framed / alone:.1f} | {whole:.2%} | {FRAMING_BUDGET:.0%} |")
    print(f"\nMean of {MEASURED_S} s of audio each.\n", flush=True)
    return within


def cpu_share(one_second: Callable[[], None]) -> float:
    """CPU seconds for each second of the line's time."""
    one_second()  # warm
    begun_s = time.process_time()
    for _ in range(MEASURED_S):
        one_second()
    return (time.process_time() - begun_s) / MEASURED_S


def checksums(audio: list[bytes], picture: bytes) -> None:
    for piece in (*audio, *audio, picture):
        zlib.crc32(piece)


def chunks(picture: bytes) -> list[bytes]:
    return [picture[at : at + CHUNK_BYTES] for at in range(0, len(picture), CHUNK_BYTES)]


def one_second_of_framing(audio: list[bytes], picture: bytes) -> Callable[[], None]:
    """Encode what goes to the frame and decode what comes from it, in reads of one AudioFrame's time."""
    ups = [Frame(Channel.MIC, 0, n + 1, 7, payload_of(MicAudio(320 * n, 0, pcm))) for n, pcm in enumerate(audio)]
    pieces = chunks(picture)
    ups += [
        Frame(Channel.BULK_UP, 0, n + 1, 7, payload_of(BulkData(1, n * CHUNK_BYTES, piece)))
        for n, piece in enumerate(pieces)
    ]
    random.Random(2).shuffle(ups)
    wire = b"".join(frame.encode() for frame in ups)
    reads = [wire[at : at + len(wire) // FRAMES_PER_S] for at in range(0, len(wire), len(wire) // FRAMES_PER_S)]
    downs = [
        Frame(Channel.SPEAKER, 0, n + 1, 7, payload_of(SpeakerAudio(320 * n, 1, pcm))) for n, pcm in enumerate(audio)
    ]

    def one_second() -> None:
        reader = FrameReader()
        found = sum(frame is not None for data in reads for frame, _ in reader.receive(data))
        assert found == len(ups)
        for frame in downs:
            frame.encode()

    return one_second


def link_share(audio: list[bytes], picture: bytes) -> float:
    """CPU seconds of a whole Link for each second of the line's time; the frame's side is prepared outside of it."""
    peer = Peer(picture)
    spent_s, heard, fetched = 0.0, 0, 0
    for second in range(MEASURED_S):
        wire = peer.second(audio)
        begun_s = time.process_time()
        peer.link.read_object(second + 1)
        for n, pcm in enumerate(audio):
            now_s = second + n / FRAMES_PER_S
            peer.link.receive_data(wire[n], now_s)
            peer.link.send_audio(1, pcm)
            peer.link.tick(now_s)
            peer.said += peer.link.data_to_send()
            while (event := peer.link.next_event()) is not None:
                heard += isinstance(event, AudioReceived)
                fetched += isinstance(event, ObjectReceived)
        spent_s += time.process_time() - begun_s
        peer.hear()
    assert heard == FRAMES_PER_S * MEASURED_S and fetched == MEASURED_S, "the measured link did its work"
    return spent_s / MEASURED_S


class Peer:
    """The frame's end of a Link, which sends exactly what is measured."""

    def __init__(self, picture: bytes) -> None:
        self.link = Link("bench")
        self.said = b""
        self._picture = picture
        self._seq = dict.fromkeys(Channel, 0)
        self._reader = FrameReader()
        self._second = 0
        self.link.start(1, 0.0)
        self.link.data_to_send()
        ack = HelloAck(major=MAJOR, minor=MINOR, nonce=1, session=7, rpc_window=8, speaker_window=6)
        self.link.receive_data(self.encoded(Channel.LINK, ack), 0.0)
        self.said = self.link.data_to_send()
        [token] = [ping.token for ping in self.hear() if isinstance(ping, Ping)]
        self.link.receive_data(self.encoded(Channel.LINK, Pong(token, 0)), 0.0)
        while self.link.next_event() is not None:
            pass

    def encoded(self, channel: Channel, message: Message) -> bytes:
        self._seq[channel] = (self._seq[channel] + 1) & 0xFFFF
        return Frame(channel, 0, self._seq[channel], 7, payload_of(message)).encode()

    def hear(self) -> list[Message | None]:
        """What the host sent since the last time."""
        said, self.said = self.said, b""
        return [message_of(frame) for frame, _ in self._reader.receive(said) if frame is not None]

    def second(self, audio: list[bytes]) -> list[bytes]:
        """The octets of one second, one piece for each 20 ms: sound, credit, and the picture that the host asks for."""
        self._second += 1
        pieces = chunks(self._picture)
        found = payload_of(ReadObjectResult(len(self._picture), zlib.crc32(self._picture)))
        call_id = 2 * self._second - 1  # DropObject, of the picture before, has the number between
        answer = Reply(call_id, Method.READ_OBJECT, RpcStatus.OK, found)
        out = []
        for n, pcm in enumerate(audio):
            sent = FRAMES_PER_S * (self._second - 1) + n
            piece = self.encoded(Channel.MIC, MicAudio(320 * sent, 0, pcm))
            piece += self.encoded(Channel.LINK, Credit(Channel.SPEAKER, (sent + 6) & 0xFFFF))
            piece += self.encoded(Channel.LINK, Credit(Channel.RPC, (2 * self._second + 8) & 0xFFFF))
            if n == 1:
                piece += self.encoded(Channel.RPC, answer)
            if 2 <= n < 2 + len(pieces):
                at = (n - 2) * CHUNK_BYTES
                piece += self.encoded(Channel.BULK_UP, BulkData(self._second, at, pieces[n - 2]))
            out.append(piece)
        return out


# ---- lines with a rate, in virtual time
def lines_with_a_rate() -> bool:
    """Print goodput, a picture beside audio, and how late audio came. True when all is within its budget."""
    print("## Lines with a rate, in virtual time\n")
    print("| baud | frame to host | host to frame | 40 KB beside audio, s | arithmetic, s | AudioFrame late, ms |")
    print("|--:|--:|--:|--:|--:|--:|")
    within = True
    for rate in RATES:
        up, down = goodput(rate)
        codec, took_s, late_ms = beside_audio(rate)
        expected_s = arithmetic_s(PICTURE_BYTES, rate, codec)
        within = within and min(up, down) >= GOODPUT_BUDGET
        within = within and took_s <= SLACK * expected_s and late_ms <= LATE_BUDGET_MS
        print(f"| {rate} | {up:.1%} | {down:.1%} | {took_s:.3f} ({codec}) | {expected_s:.3f} | {late_ms:.1f} |")
    print(f"| budget | {GOODPUT_BUDGET:.0%} | {GOODPUT_BUDGET:.0%} | arithmetic + 10 % | | {LATE_BUDGET_MS:g} |\n")
    return within


def arithmetic_s(size_bytes: int, rate: int, codec: str) -> float:
    """How long an object takes on what sound leaves of the line."""
    return size_bytes / (GOODPUT_BUDGET * rate / 10 - WIRE_BYTES[codec] * FRAMES_PER_S)


@contextmanager
def device_at(rate: int) -> Iterator[LockstepDevice]:
    url = f"sim://?line=uart&rate={rate}"
    parts = parse_sim_url(url)
    with LockstepDevice(simulated_frame(url, parts), parts, baud=rate) as device:
        while device.baud != rate:
            device.advance(device.now_s + 0.1)
            assert device.now_s < 5.0, "the line did not get its rate"
        yield device


def goodput(rate: int) -> tuple[float, float]:
    """(frame to host, host to frame), as shares of what the line carries in ten bits for each octet."""
    with device_at(rate) as device:
        begun_s = device.now_s
        device.make_test_object(OBJECT_BYTES)
        between_s = device.now_s
        device.write_object(ObjectKind.TEST, random.Random(rate).randbytes(OBJECT_BYTES))
        carried = OBJECT_BYTES * 10 / rate
        return carried / (between_s - begun_s), carried / (device.now_s - between_s)


def beside_audio(rate: int) -> tuple[str, float, float]:
    """(codec, seconds for an object of 40 KB, the latest AudioFrame in milliseconds behind the least delay)."""
    with device_at(rate) as device:
        lags_s: list[float] = []

        def on_event(event: Event) -> None:
            if isinstance(event, AudioReceived):
                lags_s.append(device.now_s - event.sample / 16_000)

        device.subscribe(on_event)
        device.request(Method.CAPTURE_START, CaptureStartArgs(device.codec))
        device.advance(device.now_s + 0.5)
        begun_s = device.now_s
        device.make_test_object(PICTURE_BYTES)
        took_s = device.now_s - begun_s
        state = device.request(Method.GET_STATE)
        assert isinstance(state, GetStateResult) and state.capturing and state.mic_dropped_frames == 0
        return device.codec.name.lower(), took_s, 1000 * (max(lags_s) - min(lags_s))


if __name__ == "__main__":
    sys.exit(main())
