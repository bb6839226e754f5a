"""A frame under watch: whatever it is told, no sensor runs in the dark, in secret, or for a host that is gone.

`Watched` stands between a host and a frame, sees every octet both ways, and judges. `WatchedParts` are told of every
switch before anything else happens. `Provocation` does everything that a host, a wearer, a line and a camera can do, in
an order that its seed decides.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

from cobs import cobs  # type: ignore[import-untyped]

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.simulator import CameraFailed, ImageCamera, Peripherals, SteppedFrame

from .pictures import plain_jpeg
from .raw_host import MS, RawHost, encode, payload_of

DEAD_US = m.DEAD_AFTER_MS * MS
Frames = Callable[[Peripherals], SteppedFrame]


class Indiscreet(AssertionError):
    """A sensor ran as it must not."""


def demand(holds: bool, what: str) -> None:
    if not holds:
        raise Indiscreet(what)


class FickleCamera(ImageCamera):
    """Takes as long as it likes, and gives what it likes."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.exposure_ms = 0
        self._rng = rng

    def start(self) -> int:
        self.exposure_ms = self._rng.choice([0, 30, 100, 100, 100, 700, 2900, 6000])
        return self.exposure_ms

    def take(self) -> bytes:
        whole = plain_jpeg(self._rng.choice([0, 50, 3000, 30_000]))
        kind = self._rng.choice(["whole"] * 6 + ["none", "cut", "two"])
        if kind == "none":
            raise CameraFailed("no frame buffer")
        return {"whole": whole, "cut": whole[:-2], "two": 2 * whole}[kind]


class WatchedParts(Peripherals):
    """Judges each switch at the moment in which it happens."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(camera=FickleCamera(rng), seed=rng.getrandbits(16))
        self.level = m.Led.OFF
        self.heard: list[list[int]] = []
        """[first, last] sample of each time that the microphone was on; last is -1 while it is."""

    def check(self) -> None:
        demand(self.level != m.Led.OFF or not self.microphone.on, "the microphone is on and the LED is off")
        demand(self.level == m.Led.SOLID or not self.camera_on, "the camera is on and the LED is not solid")

    def check_at_rest(self) -> None:
        """Between two steps the LED also says no more than is true."""
        self.check()
        truth = m.Led.SOLID if self.camera_on else m.Led.DIM if self.microphone.on else m.Led.OFF
        demand(self.level == truth, f"the LED shows {self.level!r}, and the truth is {truth!r}")

    def on_boot(self) -> None:
        super().on_boot()
        self.heard.clear()

    def on_led(self, sample: int, level: int) -> None:
        self.level = m.Led(level)
        super().on_led(sample, level)
        if sample or level:  # at a boot the parts are switched off one by one
            self.check()

    def on_mic_enable(self, sample: int, on: int) -> None:
        super().on_mic_enable(sample, on)
        if on:
            self.heard.append([sample, -1])
        elif self.heard:
            self.heard[-1][1] = sample
        self.check()

    def on_mic_read(self, sample: int, n_samples: int) -> bytes:
        demand(self.microphone.on, "the microphone was read while it was off")
        self.check()
        return super().on_mic_read(sample, n_samples)

    def on_camera_start(self, sample: int) -> int:
        demand(not self.camera_on, "the camera was started twice")
        ms = super().on_camera_start(sample)
        self.check()
        return ms

    def on_camera_read(self, sample: int, cap: int) -> bytes | int:
        demand(self.camera_on, "the camera was read while it was off")
        self.check()
        return super().on_camera_read(sample, cap)


def open_frame(piece: bytes) -> tuple[int, int, int, bytes] | None:
    """(channel, seq, session, payload) of what stood between two zeros, None if it is no frame."""
    try:
        raw = cobs.decode(piece)
    except cobs.DecodeError:
        return None
    if len(raw) < 10 or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
        return None
    return raw[0], int.from_bytes(raw[2:4], "little"), int.from_bytes(raw[4:6], "little"), raw[6:-4]


class Watched:
    """A frame whose line is listened to; steps like one."""

    def __init__(self, make: Frames, parts: WatchedParts, rng: random.Random) -> None:
        self.peripherals = parts
        self.sensor_bytes = 0
        """Octets of sound and pictures that came over the line."""
        self.led_events = 0
        self.widths = [65_536]
        """What the line takes at a time: one of these."""
        self._make, self._rng = make, rng
        self.boot()

    def boot(self) -> None:
        """Power off and on."""
        self._frame = self._make(self.peripherals)
        self._heard_us: int | None = None  # the newest valid frame of a session
        self._exposed_us = 0  # when the camera was started
        self._rx = self._tx = b""
        self._told = {m.Led.DIM: False, m.Led.SOLID: False}  # since it was dark, in this session
        self._session = 0
        self._photos: set[int] = set()  # objects of this session that are pictures
        self._seen: set[tuple[int, int, int]] = set()  # (channel, seq, session) of what the host has said
        self._sessions: set[int] = set()  # those that the frame has begun

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def step(self, now_us: int, rx: bytes = b"") -> tuple[bytes, int]:
        self._listen(now_us, rx)
        was_on = self.peripherals.camera_on
        tx, next_us = self._frame.step(now_us, rx, self._rng.choice(self.widths))
        self.peripherals.check_at_rest()
        if self.peripherals.camera_on and not was_on:
            self._exposed_us = now_us
        self._judge_silence(now_us)
        self._overhear(tx)
        return tx, max(next_us, now_us + MS) if tx else next_us

    def _judge_silence(self, now_us: int) -> None:
        """The frame has just been told the time: what a host that is gone has left on must be off."""
        parts = self.peripherals
        gone = self._heard_us is None or now_us - self._heard_us >= DEAD_US
        demand(not (gone and parts.microphone.on), "the microphone is on three seconds after the host's last frame")
        assert isinstance(parts.camera, FickleCamera)
        # It came in later than the step in which it was started at the earliest.
        exposed = now_us - self._exposed_us > (parts.camera.exposure_ms * MS)
        demand(not (gone and parts.camera_on and exposed), "the camera is on for a host that is gone")

    def _listen(self, now_us: int, rx: bytes) -> None:
        """To the host: each valid frame of a session that was not heard before keeps that session alive."""
        *pieces, self._rx = (self._rx + rx).split(b"\0")
        for piece in pieces:
            frame = open_frame(piece)
            if frame is None or frame[2] == 0 or frame[:3] in self._seen:
                continue
            self._seen.add(frame[:3])
            self._heard_us = now_us

    def _overhear(self, tx: bytes) -> None:
        """To the frame."""
        *pieces, self._tx = (self._tx + tx).split(b"\0")
        for piece in pieces:
            frame = open_frame(piece)
            if frame is None:
                continue
            chan, _, session, payload = frame
            if session != self._session:
                self._session = session
                self._told = dict.fromkeys(self._told, False)
                self._photos.clear()
            if chan == m.Channel.LINK and payload[:1] == bytes([m.HelloAck.TYPE]) and session not in self._sessions:
                self._sessions.add(session)  # from here on its frames count, whatever was said before it began
                self._seen = {frame for frame in self._seen if frame[2] != session}
            elif chan == m.Channel.EVENT:
                self._on_event(m.TYPED[chan, payload[0]].unpack(payload[1:]))
            elif chan == m.Channel.RPC:
                self._on_reply(m.Reply.unpack(payload[1:]))
            elif chan == m.Channel.MIC:
                self._on_sound(m.MicAudio.unpack(payload))
            elif chan == m.Channel.BULK_UP:
                self._on_octets(m.BulkData.unpack(payload))

    def _on_event(self, event: m.Message) -> None:
        if isinstance(event, m.LedEvent):
            self.led_events += 1
            if event.level == m.Led.SOLID:
                self._told[m.Led.SOLID] = True
            elif event.level == m.Led.OFF:
                self._told[m.Led.DIM] = False
            if event.level != m.Led.OFF:
                self._told[m.Led.DIM] = True

    def _on_reply(self, reply: m.Reply) -> None:
        if (reply.method, reply.status) == (m.Method.TAKE_PHOTO, m.RpcStatus.ACCEPTED):
            self._photos.add(m.TakePhotoResult.unpack(reply.result).object)

    def _on_sound(self, audio: m.MicAudio) -> None:
        demand(self._told[m.Led.DIM], "sound came before the LED's event")
        self.sensor_bytes += len(audio.pcm)
        first, end = audio.sample, audio.sample + m.FRAME_SAMPLES
        inside = any(on <= first and (off < 0 or end <= off) for on, off in self.peripherals.heard)
        demand(inside, "sound came of a time in which the microphone was off")

    def _on_octets(self, data: m.BulkData) -> None:
        if data.object in self._photos:
            demand(self._told[m.Led.SOLID], "a picture came before the LED's event")
            self.sensor_bytes += len(data.data)


class Provocation:
    """Does everything, in any order."""

    def __init__(self, make: Frames, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.parts = WatchedParts(rng)
        self.frame = Watched(make, self.parts, rng)
        self.host = RawHost(self.frame)  # type: ignore[arg-type]
        self._nonce = 0
        self._object = 0
        self._stream = 0
        self._last = b""

    def run(self, acts: int) -> None:
        """Raises Indiscreet."""
        usual = [self._capture] * 4 + [self._photo] * 3 + [self._read] * 3 + [self._state] * 2 + [self._button]
        usual += [self._play, self._make_object, self._drop]
        strange = [
            self._deaf,
            self._burst,
            self._noise,
            self._valid_nonsense,
            self._again,
            self._narrow,
            self._forget,
            self._leave,
        ]
        rare = [self._boot, self._fall_silent, self._greet, self._take_over]
        self._greet()
        for _ in range(acts):
            kind = self.rng.choices([usual, strange, rare], [80, 15, 5])[0]
            self.rng.choice(kind)()
            self._wait()
        self.host.advance(10_000 * MS, keep_alive=False)
        demand(not (self.parts.microphone.on or self.parts.camera_on), "a sensor is on at the end")

    def _wait(self) -> None:
        if self.rng.random() < 0.2:
            return
        self.host.advance(self.rng.choice([1, 5, 20, 60, 150, 400, 1200]) * MS, keep_alive=self.rng.random() < 0.9)

    def _call(self, method: m.Method, args: m.Message | bytes = b"") -> None:
        packed = args if isinstance(args, bytes) else args.pack()
        call = m.Call(call_id=self.rng.randrange(0x10000), method=method, args=packed)
        self._last = self.host.pack(call)
        for received in self.host.step(self._last):
            reply = received.message if received.chan == m.Channel.RPC else None
            if isinstance(reply, m.Reply) and reply.status == m.RpcStatus.ACCEPTED:
                self._object = m.TakePhotoResult.unpack(reply.result).object

    def _capture(self) -> None:
        on = self.rng.random() < 0.6
        args = m.CaptureStartArgs(self.rng.randrange(3)) if on else b""
        self._call(m.Method.CAPTURE_START if on else m.Method.CAPTURE_STOP, args)

    def _photo(self) -> None:
        self._call(m.Method.TAKE_PHOTO)

    def _read(self) -> None:
        self._call(m.Method.READ_OBJECT, m.ReadObjectArgs(self._object, 0))
        sent = max((r.seq for r in self.host.log[-200:] if r.chan == m.Channel.BULK_UP), default=0)
        self.host.send(m.Credit(channel=m.Channel.BULK_UP, allowed=(sent + 8) & 0xFFFF))

    def _state(self) -> None:
        self._call(self.rng.choice([m.Method.GET_STATE, m.Method.GET_STATS]))

    def _make_object(self) -> None:
        self._call(m.Method.MAKE_TEST_OBJECT, m.MakeTestObjectArgs(self.rng.choice([0, 100, 50_000])))

    def _drop(self) -> None:
        self._call(m.Method.DROP_OBJECT, m.DropObjectArgs(self._object))

    def _play(self) -> None:
        self._stream = (self._stream + 1) & 0xFFFF
        n = self.rng.randrange(1, 7)
        sound = [m.SpeakerAudio(sample=320 * i, stream=self._stream, pcm=bytes(640)) for i in range(n)]
        self.host.send(*sound, flags=self.rng.choice([0, m.Flag.LAST]))
        if self.rng.random() < 0.3:
            self._call(m.Method.FLUSH_SPEAKER, m.FlushSpeakerArgs(self._stream))

    def _button(self) -> None:
        for _ in range(self.rng.randrange(1, 4)):
            self.parts.button.press(self.rng.choice([2, 30, 90, 700]), after_ms=self.rng.choice([0, 50, 200, 500]))

    def _burst(self) -> None:
        """All that the windows hold, at once: each of these makes events."""
        calls = []
        for _ in range(8):
            method = self.rng.choice([m.Method.CAPTURE_START, m.Method.CAPTURE_STOP, m.Method.TAKE_PHOTO])
            calls.append(m.Call(call_id=self.rng.randrange(0x10000), method=method))
        self.host.send(*calls)

    def _deaf(self) -> None:
        """The host takes events and says nothing, or does again."""
        self.host.acks_events = not self.host.acks_events

    def _noise(self) -> None:
        self.host.step(self.rng.randbytes(self.rng.randrange(300)))

    def _valid_nonsense(self) -> None:
        chan = self.rng.choice([0, 1, 4, 6, 8, self.rng.randrange(256)])
        body = self.rng.randbytes(self.rng.choice([0, 1, 3, 7, 12, 300]))
        if chan == 0 and body:
            body = bytes([self.rng.choice([m.Ping.TYPE, m.Pong.TYPE, m.Credit.TYPE, m.EventAck.TYPE])]) + body[1:]
        seq = self.host.seq[chan] = (self.host.seq.get(chan, 0) + 1) & 0xFFFF
        session = self.rng.choice([self.host.session, self.host.session, 0, self.rng.randrange(0x10000)])
        self.host.step(encode(chan, body, flags=self.rng.randrange(256), seq=seq, session=session))

    def _again(self) -> None:
        """The line repeats what it has carried, for as long as it likes: nobody is there."""
        for _ in range(self.rng.randrange(1, 40)):
            self.host.step(self._last)
            self.host.advance(100 * MS, keep_alive=False)

    def _narrow(self) -> None:
        self.frame.widths = self.rng.choice([[65_536], [0, 30, 200], [2000], [0, 0, 0, 65_536]])

    def _forget(self) -> None:
        """The host loses its place: what it says now belongs to no session."""
        self.host.session = self.rng.choice([0, self.host.session + 1 & 0xFFFF])

    def _leave(self) -> None:
        self.host.send(m.Close(reason=m.CloseReason.DONE))
        if self.rng.random() < 0.7:
            self._greet()

    def _fall_silent(self) -> None:
        self.host.advance(self.rng.choice([1500, 2990, 3010, 5000]) * MS, keep_alive=False)
        self._greet()

    def _take_over(self) -> None:
        """Another host, in the middle of everything; sometimes it goes no further than its greeting."""
        self._greet(confirm=self.rng.random() < 0.8)

    def _greet(self, confirm: bool = True) -> None:
        self._nonce += 1
        self.frame.widths = [65_536]
        acks = [r.message for r in self.host.hello(self._nonce, minor=self.rng.choice([0, 1, 1, 1]))]
        ack = next((a for a in acks if isinstance(a, m.HelloAck)), None)
        if ack is None:
            return  # something longer was on its way
        self.host.session = ack.session
        self.host.seq.clear()
        self._last = encode(m.Channel.LINK, payload_of(m.Confirm(nonce=self._nonce)), session=ack.session)
        if confirm:
            self.host.send(m.Confirm(nonce=self._nonce))

    def _boot(self) -> None:
        self.frame.boot()
        if self.rng.random() < 0.8:
            self._greet()
