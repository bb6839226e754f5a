"""Frames that break one rule each: the real simulated frame behind something that meddles with what is said.

The conformance suite must find each of them out, by the case that is about the rule.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from cobs import cobs  # type: ignore[import-untyped]

from lorgnette.firmware_bridge import messages as m
from lorgnette.firmware_bridge.codec import message_of, payload_of
from lorgnette.firmware_bridge.frame import Frame
from lorgnette.firmware_bridge.sim_transport import Steppable

MS = 1000
"""Microseconds in a millisecond."""


class Meddler:
    """Passes everything on, frame by frame, as it came. A subclass changes what `down` and `up` return.

    Attributes:
        now_us: the time of the step that is under way.
        repeated: the frame of the link channel that is heard has an old number.
    """

    def __init__(self, frame: Steppable) -> None:
        self._frame = frame
        self.now_us = 0
        self.repeated = False
        self._down_rest = self._up_rest = b""
        self._injected = 0
        self._link_seq = 0
        self._session = 0

    def step(self, now_us: int, rx: bytes, *room: int) -> tuple[bytes, int]:
        self.now_us = now_us
        *pieces, self._down_rest = (self._down_rest + rx).split(b"\0")
        heard = b"".join(self._heard(piece) + b"\0" for piece in pieces) + self.unasked()
        tx, next_us = self._frame.step(now_us, heard, *room)
        *pieces, self._up_rest = (self._up_rest + tx).split(b"\0")
        said = b"".join(self._said(piece) for piece in pieces)
        return self.delivered(said), min(next_us, self.next_us())

    def set_baud(self, baud: int) -> None:
        self._frame.set_baud(baud)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._frame.close()

    # What a subclass changes.

    def down(self, frame: Frame) -> list[Frame]:
        """What the frame hears instead of `frame`."""
        return [frame]

    def damaged(self, piece: bytes) -> bytes:
        """What the frame hears instead of a piece that is no frame."""
        return piece

    def up(self, frame: Frame) -> list[Frame]:
        """What the host hears instead of `frame`."""
        return [frame]

    def unasked(self) -> bytes:
        """What the frame hears though nobody said it."""
        return b""

    def delivered(self, said: bytes) -> bytes:
        """What of `said`, and of what was said before, reaches the host now."""
        return said

    def next_us(self) -> int:
        """When this must be stepped again."""
        return 1 << 62

    # What a subclass may use.

    def inject(self, message: m.Message) -> Frame:
        """A frame of the link channel in the host's name; what the host says later is counted behind it."""
        self._injected += 1
        seq = (self._link_seq + self._injected) & 0xFFFF
        return Frame(m.Channel.LINK, 0, seq, self._session, payload_of(message))

    def _heard(self, piece: bytes) -> bytes:
        self.repeated = False
        if not piece:
            return b""
        frame = Frame.decode(piece)
        if frame is None:
            return self.damaged(piece)
        if frame.channel == m.Channel.LINK and frame.session == self._session and frame.session:
            ahead = (frame.seq - self._link_seq) & 0xFFFF
            self.repeated = ahead == 0 or ahead >= 0x8000
            if not self.repeated:
                self._link_seq = frame.seq
            frame = replace(frame, seq=(frame.seq + self._injected) & 0xFFFF)
        return _octets(self.down(frame))

    def _said(self, piece: bytes) -> bytes:
        if not piece:
            return b"\0"
        frame = Frame.decode(piece)
        if frame is None:
            return piece + b"\0"
        message = message_of(frame)
        if isinstance(message, m.HelloAck) and message.session != self._session:
            self._session, self._link_seq, self._injected = message.session, 0, 0
        said = self.up(frame)
        return _octets(said) + b"\0" if said else b""


def _octets(frames: list[Frame]) -> bytes:
    """Without the closing zero of the last one."""
    return b"".join(frame.encode() for frame in frames).removesuffix(b"\0")


def said(frame: Frame, kind: type[m.Message]) -> bool:
    return isinstance(message_of(frame), kind)


def instead(frame: Frame, message: m.Message) -> Frame:
    return replace(frame, payload=payload_of(message))


# ---- core ------------------------------------------------------------------------------------------------------------


class RunsRetries(Meddler):
    """Runs a call again when it comes again: to the frame a retry is a new call."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._ids: dict[int, int] = {}

    def down(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if not isinstance(message, m.Call) or not frame.flags & m.Flag.RETRY:
            return [frame]
        fresh = 0x4000 + len(self._ids) % 0x3000
        self._ids[fresh] = message.call_id
        return [instead(frame, replace(message, call_id=fresh))]

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, m.Reply) and message.call_id in self._ids:
            return [instead(frame, replace(message, call_id=self._ids[message.call_id]))]
        return [frame]


class RepairsDamage(Meddler):
    """Takes a frame whose CRC is wrong for one whose CRC was hurt."""

    def damaged(self, piece: bytes) -> bytes:
        try:
            body = bytes(cobs.decode(piece))[:-4]
        except cobs.DecodeError:
            return piece
        if not 6 <= len(body) <= 6 + m.MAX_PAYLOAD_BYTES:
            return piece
        return bytes(cobs.encode(body + zlib.crc32(body).to_bytes(4, "little")))


class KeepsItsSession(Meddler):
    """Answers every Hello with its first session."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._first = self._now = 0

    def down(self, frame: Frame) -> list[Frame]:
        if frame.session == self._first and self._first:
            return [replace(frame, session=self._now)]
        return [frame]

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, m.HelloAck):
            self._now = message.session
            self._first = self._first or message.session
            frame = instead(frame, replace(message, session=self._first))
        return [replace(frame, session=self._first) if frame.session == self._now else frame]


class TakesEveryMajor(Meddler):
    """Knows no other major version than its own, so it takes every one for it."""

    def down(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        return [instead(frame, replace(message, major=m.MAJOR))] if isinstance(message, m.Hello) else [frame]


class NeedsNoConfirm(Meddler):
    """Is open with Hello: it confirms its own session."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._open = 0
        self._confirm: Frame | None = None

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, m.HelloAck) and message.session != self._open:
            self._open = message.session
            self._confirm = self.inject(m.Confirm(message.nonce))
        return [frame]

    def down(self, frame: Frame) -> list[Frame]:
        if said(frame, m.Close):
            self._confirm = None
        return [frame]

    def unasked(self) -> bytes:
        confirm, self._confirm = self._confirm, None
        return confirm.encode() if confirm else b""

    def next_us(self) -> int:
        return self.now_us + MS if self._confirm else 1 << 62


class HearsEverySession(Meddler):
    """Does not look at the session's number."""

    def down(self, frame: Frame) -> list[Frame]:
        return [frame if said(frame, m.Hello) else replace(frame, session=self._session)]


class SaysNothingWithoutSession(Meddler):
    """Leaves a host of an old session waiting."""

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        return [] if isinstance(message, m.Close) and message.reason == m.CloseReason.NO_SESSION else [frame]


class NeverLeads(Meddler):
    """Puts no zero in front of what it says after a pause."""

    def delivered(self, said: bytes) -> bytes:
        return said.lstrip(b"\0")


class MiscountsFrames(Meddler):
    """Counts damage as frames."""

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, m.Reply) and message.method == m.Method.GET_STATE and message.result:
            state = m.GetStateResult.unpack(message.result)
            state = replace(state, rx_frames=state.rx_frames + state.rx_bad_frames)
            return [instead(frame, replace(message, result=state.pack()))]
        return [frame]


class GrantsOnce(Meddler):
    """Says what it grants when the session begins, and never again."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._granted: set[tuple[int, int]] = set()

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if not isinstance(message, m.Credit):
            return [frame]
        if (frame.session, message.channel) in self._granted:
            return [instead(frame, m.Pong(0, 0))]  # something must have its number
        self._granted.add((frame.session, message.channel))
        return [frame]


class NeverResendsEvents(Meddler):
    """Sends an event once, whether it arrives or not."""

    def up(self, frame: Frame) -> list[Frame]:
        lost = frame.channel == m.Channel.EVENT and frame.flags & m.Flag.RETRY
        return [] if lost else [frame]


class RunsAheadWithEvents(Meddler):
    """Waits for no acknowledgement before it sends the next event."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._acks: deque[Frame] = deque()

    def up(self, frame: Frame) -> list[Frame]:
        if frame.channel == m.Channel.EVENT and frame.flags & m.Flag.ACK_REQ and not frame.flags & m.Flag.RETRY:
            self._acks.append(self.inject(m.EventAck(frame.seq)))
        return [frame]

    def unasked(self) -> bytes:
        acks = b"".join(frame.encode() for frame in self._acks)
        self._acks.clear()
        return acks

    def next_us(self) -> int:
        return self.now_us + MS if self._acks else 1 << 62


class EchoesInRelease(Meddler):
    """Declares no test channel, and has one."""

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, m.HelloAck):
            rest = message.capabilities & ~m.Capability.TEST_CHANNEL
            return [instead(frame, replace(message, capabilities=rest, test_window=0))]
        return [frame]


class HoldsShortFrames(Meddler):
    """A USB bridge that keeps a packet which is not full for 200 ms."""

    HELD_MS = 200
    PACKET_BYTES = 64

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._held = b""
        self._held_us = 0

    def delivered(self, said: bytes) -> bytes:
        if said and not self._held:
            self._held_us = self.now_us + self.HELD_MS * MS
        self._held += said
        whole = len(self._held) // self.PACKET_BYTES * self.PACKET_BYTES
        if self._held and self.now_us >= self._held_us:
            whole = len(self._held)
        out, self._held = self._held[:whole], self._held[whole:]
        return out

    def next_us(self) -> int:
        return self._held_us if self._held else 1 << 62


# ---- media -----------------------------------------------------------------------------------------------------------


class _Late(Meddler):
    """Holds some events back until the first AudioFrame is out."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._held: list[Frame] = []
        self._acks: list[Frame] = []

    def late(self, message: m.Message | None) -> bool:
        raise NotImplementedError

    def up(self, frame: Frame) -> list[Frame]:
        if self.late(message_of(frame)):
            if not frame.flags & m.Flag.RETRY:
                self._held.append(frame)
                self._acks.append(self.inject(m.EventAck(frame.seq)))  # or the frame would wait for it
            return []
        if frame.channel == m.Channel.MIC:
            held, self._held = self._held, []
            return [frame, *held]
        return [frame]

    def unasked(self) -> bytes:
        acks, self._acks = self._acks, []
        return b"".join(frame.encode() for frame in acks)

    def next_us(self) -> int:
        return self.now_us + MS if self._acks else 1 << 62


class AudioBeforeCaptureEvent(_Late):
    """Sends what it hears before it says that it listens."""

    def late(self, message: m.Message | None) -> bool:
        return isinstance(message, m.CaptureEvent) and bool(message.on)


class LedAfterAudio(_Late):
    """Lights the LED when the microphone runs already."""

    def late(self, message: m.Message | None) -> bool:
        return isinstance(message, m.LedEvent) and message.level == m.Led.DIM


class WrongSampleClock(Meddler):
    """Counts 321 samples an AudioFrame."""

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, m.MicAudio):
            sample = message.sample + message.sample // m.FRAME_SAMPLES
            return [instead(frame, replace(message, sample=sample & 0xFFFFFFFF))]
        return [frame]


class HidesDrops(Meddler):
    """Drops audio as it must, and does not say so."""

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        return [instead(frame, replace(message, dropped_frames=0))] if isinstance(message, m.MicAudio) else [frame]


class IgnoresFlush(Meddler):
    """Answers a flush, and plays on."""

    def down(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, m.Call) and message.method == m.Method.FLUSH_SPEAKER:
            return [instead(frame, replace(message, args=m.FlushSpeakerArgs(0x9000).pack()))]
        return [frame]


class TakesEveryVolume(Meddler):
    """Caps a volume that is too high instead of refusing it."""

    def down(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, m.Call) and message.method == m.Method.SET_VOLUME:
            percent = min(100, m.SetVolumeArgs.unpack(message.args).percent)
            return [instead(frame, replace(message, args=m.SetVolumeArgs(percent).pack()))]
        return [frame]


class ForgetsOffset(Meddler):
    """Reads an object from its beginning, wherever it is asked to begin."""

    def down(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        if isinstance(message, m.Call) and message.method == m.Method.READ_OBJECT:
            wanted = m.ReadObjectArgs.unpack(message.args)
            return [instead(frame, replace(message, args=m.ReadObjectArgs(wanted.object, 0).pack()))]
        return [frame]


class NeedsNoBulkCredit(Meddler):
    """Sends objects as fast as it can, whatever it was granted."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._grant: Frame | None = None

    def up(self, frame: Frame) -> list[Frame]:
        if frame.channel == m.Channel.BULK_UP:
            self._grant = self.inject(m.Credit(m.Channel.BULK_UP, (frame.seq + 8) & 0xFFFF))
        return [frame]

    def unasked(self) -> bytes:
        grant, self._grant = self._grant, None
        return grant.encode() if grant else b""

    def next_us(self) -> int:
        return self.now_us + MS if self._grant else 1 << 62


class ForgetsAdpcmFlag(Meddler):
    """Sends ADPCM blocks that look like PCM."""

    def up(self, frame: Frame) -> list[Frame]:
        return [replace(frame, flags=frame.flags & ~m.Flag.ADPCM)]


class SilentAboutHoles(Meddler):
    """Drops what comes behind a hole, and says to be content with what it has."""

    def up(self, frame: Frame) -> list[Frame]:
        message = message_of(frame)
        hole = isinstance(message, m.ObjectEvent) and message.status == m.ObjectStatus.MISSING
        return [replace(frame, channel=m.Channel.LOG)] if hole else [frame]


# ---- robust ----------------------------------------------------------------------------------------------------------


class ListensInSilence(Meddler):
    """Keeps the microphone on when the host is gone: it pings itself."""

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._heard_us = 0

    def down(self, frame: Frame) -> list[Frame]:
        self._heard_us = self.now_us
        return [frame]

    def unasked(self) -> bytes:
        if not self._session or self.now_us - self._heard_us < 2000 * MS:
            return b""
        self._heard_us = self.now_us
        return self.inject(m.Pong(0)).encode()

    def next_us(self) -> int:
        return self._heard_us + 2000 * MS if self._session else 1 << 62


class HearsReplays(Meddler):
    """Takes a frame that it had already for a new one."""

    def down(self, frame: Frame) -> list[Frame]:
        return [frame, self.inject(m.Pong(0))] if self.repeated else [frame]


class FallsOverNoise(Meddler):
    """Ends its session when it hears something that is no frame."""

    def damaged(self, piece: bytes) -> bytes:
        return self.inject(m.Close(m.CloseReason.DONE)).encode().removesuffix(b"\0")


class SlowWithCredit(Meddler):
    """Grants 300 ms late."""

    LATE_MS = 300

    def __init__(self, frame: Steppable) -> None:
        super().__init__(frame)
        self._late: deque[tuple[int, bytes]] = deque()

    def up(self, frame: Frame) -> list[Frame]:
        if said(frame, m.Credit):
            self._late.append((self.now_us + self.LATE_MS * MS, b"\0" + frame.encode()))
            return []
        return [frame]

    def delivered(self, said: bytes) -> bytes:
        while self._late and self._late[0][0] <= self.now_us:
            said += self._late.popleft()[1]
        return said

    def next_us(self) -> int:
        return self._late[0][0] if self._late else 1 << 62


BROKEN: dict[str, Callable[[Steppable], Meddler]] = {
    kind.__name__: kind
    for kind in (
        *(RunsRetries, RepairsDamage, KeepsItsSession, TakesEveryMajor, NeedsNoConfirm, HearsEverySession),
        *(SaysNothingWithoutSession, NeverLeads, MiscountsFrames, GrantsOnce, NeverResendsEvents, RunsAheadWithEvents),
        *(EchoesInRelease, HoldsShortFrames),
        *(AudioBeforeCaptureEvent, LedAfterAudio, WrongSampleClock, HidesDrops, IgnoresFlush, TakesEveryVolume),
        *(ForgetsOffset, NeedsNoBulkCredit, ForgetsAdpcmFlag, SilentAboutHoles),
        *(ListensInSilence, HearsReplays, FallsOverNoise, SlowWithCredit),
    )
}
