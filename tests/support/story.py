"""One seed's story: a host and the firmware's own core over a bad cable, and what must hold whatever the cable does.

Everything happens in virtual time on one thread, and everything is drawn from the seed: the faults, what the wearer and
the program do, and when. Nothing is expected of the bad times except that what gets through is true, that what must
happen once happens once, and that the sensors obey. Afterwards the cable is good, and everything must work.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from lorgnette.firmware_bridge import adpcm
from lorgnette.firmware_bridge.errors import BridgeError
from lorgnette.firmware_bridge.fault_line import ENDLESS
from lorgnette.firmware_bridge.faults import FAULTS, Faults
from lorgnette.firmware_bridge.faulty_frame import FaultyFrame, Unplugged
from lorgnette.firmware_bridge.frame import DELIMITER, Frame, FrameReader, channel_name
from lorgnette.firmware_bridge.link_events import (
    AudioReceived,
    CallFinished,
    Connected,
    Disconnected,
    Event,
    FrameReported,
)
from lorgnette.firmware_bridge.lockstep import LockstepDevice
from lorgnette.firmware_bridge.messages import (
    FRAME_SAMPLES,
    STALL_MS,
    START_BAUD,
    UNCREDITED_BYTES,
    ButtonEvent,
    Call,
    CaptureStartArgs,
    Channel,
    CloseReason,
    Codec,
    Flag,
    FlushSpeakerArgs,
    GetStateResult,
    Led,
    Message,
    Method,
    MicAudio,
    ObjectKind,
    PlaybackEnded,
    PlaybackStarted,
    Reply,
    RpcStatus,
    SetVolumeArgs,
    SetVolumeResult,
    SpeakerAudio,
    Window,
)
from lorgnette.firmware_bridge.sim_transport import Steppable
from lorgnette.firmware_bridge.simulator import (
    ImageCamera,
    Peripherals,
    ScriptedButton,
    ScriptedMicrophone,
    SimulatedFrame,
)
from lorgnette.firmware_bridge.simulator.picture import built_in_picture
from lorgnette.firmware_bridge.simulator.url import MAX_BAUD
from tests.support.sound import numbers, ramp

BAD_S = 2.5
"""How long the cable is bad, unless it is out for longer."""
RECOVERY_S = 5.5
"""Until everything works again on a good cable: a dead session is noticed after 3 s; then back-off and timeouts."""
SILENCE_US = 3_000_000 + 25_000
"""The longest that a microphone is on without a word from the host; sensors are switched between blocks of 20 ms."""
PHOTO_TIMEOUT_S = 3.0
SPEAKER_SAMPLES = 50_000
"""The most that is played on a bad cable: all of it is one ramp, so that no number comes twice."""

HEARD = ramp(60_320)
"""What the microphone hears, over and over."""

SOUND_BYTES = 2 * FRAME_SAMPLES
SILENCE = bytes(SOUND_BYTES)

Mutation = Callable[[Steppable], Steppable]


class Broken(AssertionError):
    """An invariant does not hold."""


def claim(holds: object, what: str) -> None:
    if not holds:
        raise Broken(what)


def channel_of(piece: bytes) -> int | None:
    """The first octet of a frame, through COBS; None where there is none."""
    return None if len(piece) < 2 else piece[1] if piece[0] > 1 else 0


def is_adpcm(piece: bytes) -> bool:
    """Whether the second octet of a frame says so, through COBS, if neither of the two is 0."""
    return len(piece) > 2 and piece[0] > 2 and bool(piece[2] & Flag.ADPCM)


def faults_of(rng: random.Random) -> Faults:
    """Each seed its own mixture, from nearly clean to hopeless."""
    strength = rng.choice([0.002, 0.01, 0.03, 0.1, 0.3])

    def chance() -> float:
        return strength * rng.choice([0, 0, 1, 1, 2])

    def now_and_then(share: float) -> bool:
        return rng.random() < share

    befalls = rng.choice(["reset_s", "panic_s", "brownout_s"])
    drawn = Faults(
        flip=rng.choice([0, 1e-6, 1e-5, 1e-4, 1e-3]),
        drop=chance(),
        lose=chance(),
        truncate=chance(),
        duplicate=chance(),
        reorder=chance(),
        splice=(splice := chance()),
        noise=splice,
        stall=chance(),
        stall_ms=rng.choice([5, 50, 400]),
        delay_ms=rng.choice([0, 0, 0, 1, 20]),
        rate_baud=rng.choice([115_200, 460_800, 921_600, 2_000_000]) if now_and_then(0.12) else 0,
        latency_ms=16 if now_and_then(0.1) else 0,
        unplug_s=((rng.uniform(0.2, 2.5), rng.uniform(0.1, 4.0)),) if now_and_then(0.1) else (),
        bootlog=now_and_then(0.2),
    )
    return replace(drawn, **{befalls: (rng.uniform(0.2, 2.5),)}) if now_and_then(0.1) else drawn


class Camera(ImageCamera):
    """Takes another picture each time."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.pictures: list[bytes] = []
        self._rng = rng

    def _next(self) -> bytes:
        plain = built_in_picture()
        comment = len(self.pictures).to_bytes(2, "big") + self._rng.randbytes(self._rng.choice([0, 500, 6000]))
        picture = plain[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + plain[2:]
        self.pictures.append(picture)
        return picture


class Button(ScriptedButton):
    """Tells when it goes down."""

    def __init__(self, on_press: Callable[[int], None]) -> None:
        super().__init__()
        self._on_press = on_press

    def changes(self, now_us: int) -> list[tuple[int, bool]]:
        due = super().changes(now_us)
        for at_us, level in due:
            if level:
                self._on_press(at_us)
        return due


class Parts(Peripherals):
    """Peripherals that know by boot what the microphone delivered."""

    def __init__(self, rng: random.Random, max_baud: int, on_press: Callable[[int], None]) -> None:
        super().__init__(microphone=ScriptedMicrophone(keep=False), camera=Camera(rng), max_baud=max_baud)
        self.button = Button(on_press)
        self.blocks: dict[tuple[int, int], tuple[int, bytes]] = {}  # (boot, sample) -> its number, what was heard

    def on_mic_read(self, sample: int, n_samples: int) -> bytes:
        number = len(self.blocks)
        at = 2 * (number * n_samples % 60_000)
        block = HEARD[at : at + 2 * n_samples]
        self.blocks[self.boots, sample] = number, block
        return block

    def check_sensors(self) -> None:
        """The LED is lit before a sensor starts and dark only after it has stopped, in every state between."""
        microphone = camera = level = 0
        for change in self.changes:
            match change.part:
                case "microphone":
                    microphone = change.value
                case "camera":
                    camera = change.value
                case "led":
                    level = change.value
            if level == Led.OFF and (microphone or camera):
                raise Broken(f"a sensor ran with the LED off: {self.changes}")
            if level != Led.SOLID and camera:
                raise Broken(f"the camera ran without its light: {self.changes}")
        claim(level == (Led.SOLID if camera else Led.DIM if microphone else Led.OFF), f"a wrong light: {self.changes}")


class FrameSide:
    """Between line and frame, for one boot: what the frame hears and says."""

    def __init__(self, frame: Steppable, parts: Parts) -> None:
        self.adpcm: dict[int, bytes] = {}  # sample -> the block that was sent
        self.began_us: int | None = None
        self.cameras: set[tuple[int, int]] = set()
        """(session, call id) of each TakePhoto that was heard and not refused."""
        self._frame = frame
        self._parts = parts
        self._heard = FrameReader()
        self._heard_us = 0
        self._rest = b""

    def step(self, now_us: int, rx: bytes, room: int = ENDLESS) -> tuple[bytes, int]:
        self.began_us = now_us if self.began_us is None else self.began_us
        for frame, _ in self._heard.receive(rx):
            if frame is not None:
                self._heard_us = now_us
                self._hear(frame)
        tx, next_us = self._frame.step(now_us, rx, room)
        if self._parts.microphone.on:
            claim(now_us <= self._heard_us + SILENCE_US, "the microphone outlived 3 s of silence")
        if tx:
            *pieces, self._rest = (self._rest + tx).split(DELIMITER)
            for piece in pieces:
                channel = channel_of(piece)
                of_interest = channel == Channel.RPC or (channel == Channel.MIC and is_adpcm(piece))
                if of_interest and (frame := Frame.decode(piece)) is not None:
                    self._say(frame)
        return tx, next_us

    def _hear(self, frame: Frame) -> None:
        if frame.channel == Channel.RPC and (call := Call.unpack(frame.payload[1:])).method == Method.TAKE_PHOTO:
            self.cameras.add((frame.session, call.call_id))

    def _say(self, frame: Frame) -> None:
        if frame.channel == Channel.MIC:
            audio = MicAudio.unpack(frame.payload)
            self.adpcm[audio.sample] = audio.pcm
        elif (reply := Reply.unpack(frame.payload[1:])).status not in (RpcStatus.ACCEPTED, RpcStatus.PENDING):
            self.cameras.discard((frame.session, reply.call_id))

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def close(self) -> None:
        self._frame.close()


class HostSide:
    """Between host and line: what the host sends, and when. Closing leaves the frame alone: it outlives its hosts."""

    def __init__(self, frame: Steppable) -> None:
        self.now_us = 0
        self.burst: Counter[int] = Counter()
        """Frames per channel in the largest piece that the host sent at once, since this was cleared."""
        self.after_step: Callable[[], None] | None = None
        self._frame = frame
        self._offset_us = 0
        self._next_us = 0
        self._uncredited: deque[tuple[int, int]] = deque()
        self._sum = 0
        self._rest = b""
        self._sound: list[bytes] = []
        self._is_adpcm = False

    def new_host(self) -> None:
        """The next one's time begins at 0, and its port at the start rate; the frame's time goes on."""
        self.set_baud(START_BAUD)
        self._offset_us = self.now_us
        self._rest = b""

    def without_host(self, for_s: float) -> None:
        """Nobody has the port open."""
        end_us = self.now_us + round(1e6 * for_s)
        while self.now_us < end_us:
            with contextlib.suppress(Unplugged):
                self._step(min(end_us, max(self._next_us, self.now_us + 100)), b"")

    def step(self, now_us: int, rx: bytes, room: int = ENDLESS) -> tuple[bytes, int]:
        if rx:
            self._look_at(now_us + self._offset_us, rx)
        try:
            tx, next_us = self._step(now_us + self._offset_us, rx)
        except Unplugged as gone:
            raise Unplugged(gone.next_us - self._offset_us) from None
        return tx, max(0, next_us - self._offset_us)

    def _step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        self.now_us = now_us
        try:
            tx, self._next_us = self._frame.step(now_us, rx)
        except Unplugged as gone:
            self._next_us = gone.next_us
            raise
        finally:
            if self.after_step is not None:
                self.after_step()
        return tx, self._next_us

    def _look_at(self, now_us: int, rx: bytes) -> None:
        *pieces, self._rest = (self._rest + rx).split(DELIMITER)
        burst: Counter[int] = Counter()
        for piece in filter(None, pieces):
            channel = channel_of(piece)
            burst[channel] += 1
            if channel == Channel.SPEAKER:
                self._sound.append(piece)
                self._is_adpcm |= is_adpcm(piece)
            if channel == Channel.LINK:
                self._uncredited.append((now_us, len(piece) + 1))
                self._sum += len(piece) + 1
        self.burst |= burst
        while self._uncredited and self._uncredited[0][0] <= now_us - 1000 * STALL_MS:
            self._sum -= self._uncredited.popleft()[1]
        claim(self._sum <= UNCREDITED_BYTES, f"the host sent {self._sum} bytes without credit in {STALL_MS} ms")

    @property
    def decoded(self) -> list[int]:
        """The samples that were sent to the speaker, when some of them went as ADPCM; else none."""
        sound = bytearray()
        for piece in self._sound if self._is_adpcm else ():
            frame = Frame.decode(piece)
            assert frame is not None
            pcm = SpeakerAudio.unpack(frame.payload).pcm
            sound += adpcm.decode(pcm) if frame.flags & Flag.ADPCM else pcm
        return numbers(bytes(sound))

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)

    def close(self) -> None:
        pass


@dataclass
class Press:
    """The button went down: when, on which boot's clock, and whether its report may be missing."""

    boot: int
    sample: int
    excused: bool = False


@dataclass
class SoundCount:
    """What the AudioFrames of a session must add up to."""

    blocks: int  # what the microphone had delivered before the session
    received: int  # what the host had counted by then
    lost: int
    last: tuple[int, int] | None = None  # (boot, sample) of the newest AudioFrame
    dropped: int = 0


class Story:
    """One life of a frame, of the hosts that use it, and of the cable between them."""

    def __init__(
        self,
        seed: int,
        faults: Faults | None = None,
        *,
        mutate: Mutation | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """The story of `seed`.

        Args:
            faults: instead of those that the seed draws.
            mutate: wraps every boot of the frame.
            say: is given the story line by line.
        """
        self.seed = seed
        self.counts: Counter[str] = Counter()  # of all hosts
        self.photos: list[bytes | BridgeError] = []
        self.events: list[Event] = []
        self._rng = random.Random(seed)
        self._mutate = mutate
        self._say = say
        self._codec = Codec.IMA_ADPCM if seed % 6 == 0 else Codec.PCM16
        self._baud = self._rng.choice([460_800, 921_600, 2_000_000]) if self._rng.random() < 0.15 else 0
        self.parts = Parts(self._rng, MAX_BAUD["uart"] if self._baud else 0, self._on_press)
        drawn = faults_of(self._rng)
        self.faults = drawn if faults is None else faults
        if self._baud:  # its rate is the one that host and frame agree on
            self.faults = replace(self.faults, rate_baud=0)
        self._frames: list[FrameSide] = []  # one for each boot
        self.cable = FaultyFrame(self._boot, self.faults, seed, uart=self._baud > 0)
        self.host_side = HostSide(self.cable)
        self._hosts = 0
        self._hosted = False
        self._calls = self._photos_asked = self._objects_asked = self._captures = 0  # what was asked for
        self._objects: list[bytes | BridgeError] = []
        self._ended: list[CallFinished] = []
        self._presses: list[Press] = []
        self._pressed_s = -9.0
        self._reports: Counter[tuple[int, int]] = Counter()  # (boot, sample) of ButtonEvents
        self._heard = (0, -1)  # (boot, sample) of the newest AudioFrame
        self._sound: SoundCount | None = None  # None where it cannot be known: capture has stopped with some waiting
        self._played = 0  # samples of the ramp that were given to the hosts
        self._loud = False
        self._streams: dict[int, int] = {}  # of this host -> its first number
        self._over: set[int] = set()  # of them, those that have ended
        self._started: list[tuple[int, int]] = []  # (place in the recording, number that must stand there)
        self._told: Counter[str] = Counter()
        self._tell(f"seed {seed}: {self.faults}")
        if say is not None:
            self.host_side.after_step = self._tell_faults
        self._connect()

    @property
    def now_s(self) -> float:
        return self.host_side.now_us / 1e6

    def all_counts(self) -> Counter[str]:
        """What happened: of the faults by their words, and to the hosts."""
        return self.counts + self.cable.down.counts + self.cable.up.counts + self.cable.counts

    # ---------------------------------------------------------------------------------- the course
    def live(self) -> None:
        """The whole story. Raises Broken."""
        self._bad_times()
        self._good_times()
        self._everything_works()

    def _bad_times(self) -> None:
        rng = self._rng
        acts = [self._start_capture, self._ask, self._ask, self._play, self._play, self._photo, self._flush]
        acts += [self._press, self._press, self._stop_capture, self._measure, self._next_host]
        self._start_capture()
        if rng.random() < 0.05:  # for longer than a session lives
            self._later(rng.uniform(0.3, 1.0))
            self._tell("nothing passes")
            self.cable.cut()
            self._later(rng.uniform(3.1, 4.0))
            self._tell("something passes")
            for line in (self.cable.down, self.cable.up):
                line.set_faults(self.faults)
        end_s = max(self.now_s + BAD_S, *(at_s + for_s for at_s, for_s in self.faults.unplug_s), 0.0)
        while self.now_s < end_s:
            self._later(rng.uniform(0.02, 0.5))
            rng.choice(acts)()

    def _good_times(self) -> None:
        self._tell("the cable is good")
        self.cable.repair()
        self._stop_capture()
        self._later(RECOVERY_S)
        self._check_ends()
        if self._baud:  # a session that has fallen back to the start rate stays there
            claim(self.device.connected, "there is no session though the line is good")
            self._retire()
            self.device.close()
            self._connect()
            claim(self.device.baud == self._baud, f"the line is good, and runs at {self.device.baud} baud")

    def _everything_works(self) -> None:
        """On a good cable nothing is left of the bad times."""
        device, burst = self.device, self.host_side.burst
        claim(device.connected, "there is no session though the cable is good")
        volume: list[CallFinished] = []
        device.post(Method.SET_VOLUME, SetVolumeArgs(100), volume.append)
        self._later(0.3)
        claim([v.error for v in volume] == [None], f"a request on a good cable: {volume}")
        self._loud = True
        self._play(FRAME_SAMPLES, last=True)  # a grant that was lost is made up for when the channel is used again
        self._later(0.6)
        retries = device.stats().rpc_retries
        answers: list[CallFinished] = []
        burst.clear()
        device.post(Method.GET_STATE, None, answers.append)
        for _ in range(Window.RPC - 1):
            device.post(Method.SET_VOLUME, SetVolumeArgs(100), answers.append)
        self._later(0.3)
        claim(burst[Channel.RPC] == Window.RPC, f"credit for requests has leaked: {burst}")
        claim([a.error for a in answers] == [None] * Window.RPC, f"requests fail on a good cable: {answers}")
        claim(device.stats().rpc_retries == retries, "a request was repeated on a good cable")
        state = answers[0].result
        assert isinstance(state, GetStateResult)
        claim(state.speaker_queued_samples == 0, f"sound is left over: {state}")

        seen = len(self.events)
        self._play(20 * FRAME_SAMPLES, last=True)
        self._start_capture()
        self._press()
        self._later(0.6)
        claim(burst[Channel.SPEAKER] == Window.SPEAKER, f"credit for sound has leaked: {burst}")
        fresh = self.events[seen:]
        ends = [e.message for e in fresh if isinstance(e, FrameReported) and isinstance(e.message, PlaybackEnded)]
        claim([end.played_samples for end in ends] == [20 * FRAME_SAMPLES], f"a stream on a good cable: {ends}")
        samples = [e.sample for e in fresh if isinstance(e, AudioReceived)]
        claim(len(samples) >= 25, f"{len(samples)} AudioFrames in 0.6 s on a good cable")
        claim(samples == list(range(samples[0], samples[-1] + 1, FRAME_SAMPLES)), "the sound has holes on a good cable")
        self._stop_capture()
        self._photo(timeout_s=10.0, alone=True)
        self._later(1.0)
        claim(isinstance(self.photos[-1], bytes), f"no photo on a good cable: {self.photos[-1]}")
        self._check_ends()
        self._check_truth()
        self._check_buttons(state.tx_dropped_frames)
        self._retire()
        device.close()
        self.parts.check_sensors()
        claim(not self.parts.microphone.on, "the microphone is on after the end")

    # ------------------------------------------------------------------------------------- the acts
    def _later(self, by_s: float) -> None:
        self.device.advance(self.device.now_s + by_s)
        self._check_sound()

    def _post(self, method: Method, args: Message | None = None) -> None:
        self._calls += 1
        self._tell(f"ask {method.name.lower()}")
        self.device.post(method, args, self._ended.append)

    def _start_capture(self) -> None:
        self._captures += 1
        self._post(Method.CAPTURE_START, CaptureStartArgs(self.device.codec if self._baud else self._codec))

    def _stop_capture(self) -> None:
        self._sound = None
        self._post(Method.CAPTURE_STOP)

    def _ask(self) -> None:
        for _ in range(self._rng.choice([1, 1, 3, 12])):
            self._post(*self._rng.choice([(Method.GET_STATE, None), (Method.SET_VOLUME, SetVolumeArgs(100))]))

    def _play(self, samples: int = 0, last: bool | None = None) -> None:
        samples = samples or min(self._rng.randint(1, 6_000), SPEAKER_SAMPLES - self._played)
        last = self._rng.random() < 0.8 if last is None else last
        if not self._loud or samples <= 0:  # at another volume nobody could tell the samples apart
            return
        stream = self.device.new_stream()
        self._tell(f"play {samples} samples as stream {stream}" + (" and end it" if last else ""))
        self._streams[stream] = 1 + self._played
        self.device.play(stream, ramp(samples, 1 + self._played), last)
        self._played += samples

    def _flush(self) -> None:
        self._post(Method.FLUSH_SPEAKER, FlushSpeakerArgs(self.device.new_stream()))

    def _photo(self, timeout_s: float = PHOTO_TIMEOUT_S, alone: bool = False) -> None:
        self._photos_asked += 1
        self._tell("ask for a photo")
        self.device.post_photo(self.photos.append, timeout_s=timeout_s)
        if not alone and self._rng.random() < 0.2:
            self._post(Method.TAKE_PHOTO)

    def _measure(self) -> None:
        """Send an object to the frame, or read one that the frame makes."""
        self._objects_asked += 1
        size = self._rng.randint(0, 20_000)
        self._tell(f"test object of {size} octets")
        core, done = self.device._core, self._objects.append
        if self._rng.random() < 0.5:
            data = self._rng.randbytes(size)
            self.device._submit(lambda: core.post_object(ObjectKind.TEST, data, done, None, PHOTO_TIMEOUT_S))
        else:
            self.device._submit(lambda: core.post_test_object(size, done, None, PHOTO_TIMEOUT_S))

    def _press(self) -> None:
        if self.now_s < self._pressed_s + 1.2:  # or it would be a double one
            return
        self._pressed_s = self.now_s
        self.parts.button.press(80)

    def _next_host(self) -> None:
        """The program ends, or is killed, and is started again."""
        killed = self._rng.random()
        if killed > 0.4:
            return
        self._retire()
        self._hosted = False  # until the next one is connected nobody is there to whom a press could be told
        if killed < 0.2:
            self._tell("the host is killed")
            self._calls, self._photos_asked = len(self._ended), len(self.photos)  # nobody is told how these end
            self._objects_asked = len(self._objects)
        else:
            self.device.close(CloseReason.INTERRUPTED)
            self._check_ends()
        self._connect()

    # -------------------------------------------------------------------------------- what happens
    def _boot(self) -> Steppable:
        frame: Steppable = SimulatedFrame(self.parts)
        self.frame = FrameSide(self._mutate(frame) if self._mutate else frame, self.parts)
        self._frames.append(self.frame)
        return self.frame

    def _connect(self) -> None:
        """On a hopeless cable a handshake may take several attempts; one that is out must come back first."""
        for attempt in range(4):
            self._hosts += 1
            self.host_side.new_host()
            if attempt == 3:
                self.cable.repair()
            with contextlib.suppress(BridgeError):
                seed = 1000 * self.seed + self._hosts
                self.device = LockstepDevice(self.host_side, self.parts, seed=seed, baud=self._baud)
                break
            self.host_side.without_host(0.5)
        else:
            raise Broken("no handshake on a good cable")
        self._tell(f"host {self._hosts} is connected" + (f" at {self.device.baud} baud" if self._baud else ""))
        self._hosted = True
        self._streams, self._over = {}, set()
        self.device.subscribe(self._on_event)
        if self._say is not None:
            self.device.wire_log = self._tell_frame
        self._on_connected()

    def _on_press(self, at_us: int) -> None:
        assert self.frame.began_us is not None
        sample = (at_us - self.frame.began_us) * 16 // 1000
        self._tell(f"the button goes down at sample {sample}")
        self._presses.append(Press(self.parts.boots, sample, excused=not (self._hosted and self.device.connected)))

    def _on_connected(self) -> None:
        stats, blocks = self.device.stats(), len(self.parts.blocks)
        self._sound = SoundCount(blocks, stats.mic_frames, stats.mic_lost_frames)
        self._calls += 1
        self.device.post(Method.SET_VOLUME, SetVolumeArgs(100), self._on_volume)

    def _on_volume(self, finished: CallFinished) -> None:
        self._ended.append(finished)
        self._loud = isinstance(finished.result, SetVolumeResult)

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        match event:
            case Connected():
                self._tell("connected")
                self._on_connected()
            case Disconnected(error):
                self._tell(f"disconnected: {error}")
                self._session_died()
            case AudioReceived():
                self._on_audio(event)
            case FrameReported(ButtonEvent() as press):
                self._reports[self.parts.boots, press.mic_sample] += 1
            case FrameReported(PlaybackStarted() as started) if started.stream in self._streams:
                place = self.parts.speaker.origin + started.mic_sample
                self._started.append((place, self._streams[started.stream] + started.speaker_sample))
            case FrameReported(PlaybackEnded() as ended):
                claim(ended.stream not in self._over, f"stream {ended.stream} ended twice")
                self._over.add(ended.stream)
            case _:
                pass

    def _session_died(self) -> None:
        self._loud, self._sound = False, None
        for press in self._presses:
            press.excused = True

    def _retire(self) -> None:
        """This host is not heard of any more."""
        self._session_died()
        stats = self.device.stats()
        self.counts.update(
            hosts=1,
            sessions=stats.sessions,
            retries=stats.rpc_retries,
            restarts=stats.bulk_restarts,
            audio=stats.mic_frames,
            lost_audio=stats.mic_lost_frames,
            bad_frames=stats.rx_bad_frames,
        )

    # ------------------------------------------------------------------------------- what must hold
    def _on_audio(self, audio: AudioReceived) -> None:
        """Every AudioFrame is what the microphone delivered at that place of its clock, once, in order."""
        at = self.parts.boots, audio.sample
        claim(at in self.parts.blocks, f"an AudioFrame of sample {audio.sample}, which the microphone did not deliver")
        number, heard = self.parts.blocks[at]
        if (block := self.frame.adpcm.get(audio.sample)) is None:
            claim(audio.pcm == heard, f"the AudioFrame of sample {audio.sample} is not what the microphone delivered")
        elif number % 8 == 0:  # all of them would take longer than the rest of the story
            head = adpcm.AdpcmState(int.from_bytes(block[:2], "little", signed=True), block[2])
            claim(adpcm.encode(heard, head)[0] == block, f"sample {audio.sample} was not encoded from what was heard")
            claim(adpcm.decode(block) == audio.pcm, f"the AudioFrame of sample {audio.sample} was not decoded well")
        claim(at > self._heard, f"the AudioFrame of sample {audio.sample} came behind that of {self._heard}")
        self._heard = at
        if self._sound is not None:
            self._sound.last, self._sound.dropped = at, audio.dropped_frames

    def _check_sound(self) -> None:
        """Each AudioFrame of a session was received, lost on the wire, or dropped by the frame: and all are counted."""
        count, stats = self._sound, self.device.stats()
        if count is None or count.last is None:
            return
        made = self.parts.blocks[count.last][0] + 1 - count.blocks
        received, lost = stats.mic_frames - count.received, stats.mic_lost_frames - count.lost
        self.counts["dropped_audio"] = max(self.counts["dropped_audio"], count.dropped)
        claim(
            made == received + lost + count.dropped,
            f"of {made} AudioFrames {received} came, {lost} count as lost and {count.dropped} as dropped",
        )

    def _check_ends(self) -> None:
        """Whatever was asked for has ended, one way or the other, and once."""
        claim(len(self._ended) == self._calls, f"{len(self._ended)} ends of {self._calls} requests")
        claim(len(self.photos) == self._photos_asked, f"{len(self.photos)} ends of {self._photos_asked} photos")
        claim(len(self._objects) == self._objects_asked, f"{len(self._objects)} ends of {self._objects_asked} objects")
        for finished in self._ended:
            claim((finished.error is None) == isinstance(finished.result, Message), f"half an end: {finished}")
            if isinstance(finished.result, SetVolumeResult):
                claim(finished.result.percent == 100, f"a wrong answer: {finished}")

    def _check_truth(self) -> None:
        switched = Counter((c.part, c.value) for c in self.parts.changes)
        asked = sum(len(frame.cameras) for frame in self._frames)
        claim(switched["camera", 1] <= asked, f"the camera ran {switched['camera', 1]} times for {asked} requests")
        claim(switched["microphone", 1] <= self._captures, "the microphone was switched on more often than asked")
        photos = [photo for photo in self.photos if isinstance(photo, bytes)]
        assert isinstance(self.parts.camera, Camera)
        claim(set(photos) <= set(self.parts.camera.pictures), "a photo is none that the camera took")
        claim(len(set(photos)) == len(photos), "two photos are the same picture")
        recorded = self.parts.speaker.recorded
        blocks = (recorded[at : at + SOUND_BYTES] for at in range(0, len(recorded), SOUND_BYTES))
        played = [number for block in blocks if block != SILENCE for number in numbers(bytes(block)) if number]
        if decoded := self.host_side.decoded:  # what ADPCM made of the ramp; some of it may be missing
            rest = iter(decoded)
            claim(all(number in rest for number in played), "something was played that nobody sent, or twice")
            return
        claim(all(a < b for a, b in itertools.pairwise(played)), "a sample was played twice, or too late")
        claim(not played or played[-1] <= self._played, "something was played that nobody sent")
        for place, number in self._started:
            (began,) = numbers(bytes(recorded[2 * place : 2 * place + 2]))
            claim(began == number, f"playback did not start where it was said to: {began}, {number}")

    def _check_buttons(self, given_up: int) -> None:
        """Each press is reported once; only a frame that was tried ten times and counted as given up may be missing."""
        missing = 0
        left = Counter(self._reports)
        for press in self._presses:
            near = [at for at in left if at[0] == press.boot and abs(at[1] - press.sample) <= 2 * FRAME_SAMPLES]
            reports = sum(left.pop(at) for at in near)
            claim(reports <= 1, f"{reports} reports of the press at sample {press.sample}")
            missing += not (reports or press.excused)
        claim(missing <= given_up, f"{missing} presses were not reported, {given_up} frames given up")
        claim(not left, f"reports of presses that were none: {left}")

    # ---------------------------------------------------------------------------------- replaying it
    def _tell(self, text: str) -> None:
        if self._say is not None:
            self._say(f"{self.now_s:9.4f}  {text}")

    def _tell_frame(self, direction: str, _at_s: float, channel: int, size: int, summary: str) -> None:
        self._tell(f"{'<-' if direction == 'rx' else '->'} {channel_name(channel):9} {size:4}  {summary}")

    def _tell_faults(self) -> None:
        for name, counts in (("to the frame", self.cable.down.counts), ("to the host", self.cable.up.counts)):
            for word in (*FAULTS,):
                if (times := counts[word]) != self._told[name + word]:
                    self._told[name + word] = times
                    self._tell(f"     ~~ {word} on the way {name}")
        for word, times in self.cable.counts.items():
            if times != self._told[word]:
                self._told[word] = times
                self._tell(f"     ~~ {word}")
