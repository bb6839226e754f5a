"""One session: what exists between HelloAck and its end. Heartbeat, credit, requests, events, audio.

Sans-I/O: frames in, Events out, time passed in. Knows messages and their channels; must not know the handshake,
octets, ports or threads. A new session is a new object, so nothing of the old one can leak into it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar, cast

from . import adpcm
from .adpcm import AdpcmState
from .codec import payload_of
from .console import printable_text
from .credit import ReceiveWindow, SampleClock, SendWindow, seq_after
from .crowding import REASON, Crowding
from .errors import LocalProtocolError, RequestRefused
from .frame import Frame
from .link_events import (
    AudioReceived,
    CallFinished,
    ConsoleText,
    Event,
    FrameMessage,
    FrameReported,
    LinkStats,
    RateChanged,
)
from .messages import (
    DEAD_AFTER_MS,
    HEARTBEAT_MS,
    HIGHEST_SENT_INTERVAL_MS,
    BulkData,
    Capability,
    CaptureStartArgs,
    CaptureStartResult,
    CaptureStopResult,
    Channel,
    Close,
    CloseReason,
    Codec,
    Credit,
    EventAck,
    Flag,
    FlushSpeakerArgs,
    GetStateResult,
    HelloAck,
    HighestSent,
    LogText,
    Message,
    Method,
    MicAudio,
    ObjectEvent,
    PhotoEvent,
    Ping,
    PlaybackEnded,
    Pong,
    RateSet,
    Reply,
    SpeakerAudio,
    Underrun,
)
from .objects import QUESTION_TIMEOUT_S, Objects
from .rate import LineLoad, Rate
from .rpc import CallTable
from .speaker import PlaybackWatch, SpeakerQueue
from .uncredited import LinkQueue

HEARTBEAT_S = HEARTBEAT_MS / 1000
DEAD_AFTER_S = DEAD_AFTER_MS / 1000
HIGHEST_SENT_S = HIGHEST_SENT_INTERVAL_MS / 1000

# Once the frame has been silent for a heartbeat, ask faster: one lost ping must not look like a dead frame.
WORRIED_PING_S = HEARTBEAT_S / 4

# Our slots for BulkData, 130 KB: at the speed of USB so many come in 150 ms, and a grant must not be due more often
# than the budget of what goes without credit allows.
BULK_UP_WINDOW = 128

_Clocked = TypeVar("_Clocked", bound=FrameMessage | GetStateResult | CaptureStartResult | CaptureStopResult)

_SEQUENCED = frozenset((Channel.RPC, Channel.EVENT, Channel.MIC, Channel.BULK_UP, Channel.LOG))


class Session:
    """The host's half of one session, from HelloAck on."""

    def __init__(
        self, ack: HelloAck, now_s: float, stats: LinkStats, clock: SampleClock, rate: Rate, load: LineLoad
    ) -> None:
        """`clock`, `rate` and `load` outlive the session: they belong to the frame and to the line."""
        self.id = ack.session
        self.last_rx_s = now_s  # the latest valid frame of the session
        self.last_ping = 0  # the number, and token, of the latest Ping
        self._stats = stats
        self._clock = clock
        self._rate = rate
        self._load = load
        self._calls = CallTable()
        self._speaker = SpeakerQueue()
        self._playback = PlaybackWatch()
        self._link_queue = LinkQueue()
        self._link_seq = 0
        self._send = {
            Channel.RPC: SendWindow(ack.rpc_window),
            Channel.SPEAKER: SendWindow(ack.speaker_window),
            Channel.BULK_DOWN: SendWindow(ack.bulk_window),
        }
        self._receive = {channel: ReceiveWindow() for channel in _SEQUENCED}
        self._receive[Channel.BULK_UP] = ReceiveWindow(BULK_UP_WINDOW)
        self.objects = Objects(self._calls, self.send_link, self._receive[Channel.BULK_UP], stats)
        self._stuck_s: dict[Channel, float] = {}  # since when a channel has had frames but no credit
        self._last_tx_s = now_s
        self._last_ping_s = now_s - HEARTBEAT_S
        self._mic_dropped = 0
        self._capturing = False  # our caller has asked for it
        self._recode: int | None = None  # our own CaptureStart, while it is under way
        self._encoder = AdpcmState()
        self._crowding = Crowding()
        self._knows_adpcm = bool(ack.capabilities & Capability.ADPCM)

    @property
    def codec(self) -> Codec:
        """What fits the line, as far as the frame knows it."""
        if not self._knows_adpcm:
            return Codec.PCM16
        return Codec.IMA_ADPCM if self._crowding.found else self._rate.codec

    # ------------------------------------------------------------------ what our caller asks for
    def call(self, method: Method, args: Message | None, timeout_s: float, now_s: float) -> int:
        if self._calls.full:
            raise LocalProtocolError("too many requests wait already")
        call_id = self._calls.start(method, args, now_s, timeout_s)
        if method in (Method.CAPTURE_START, Method.CAPTURE_STOP):
            self._capturing = method == Method.CAPTURE_START
        if method == Method.CAPTURE_STOP:  # a CaptureStart that is repeated behind it would light the microphone again
            self._calls.give_up(Method.CAPTURE_START)
        if isinstance(args, FlushSpeakerArgs):
            self._playback.flushed(args.stream, self._speaker.flush(args.stream), now_s)
        self._stats.rpc_calls += 1
        return call_id

    def send_audio(self, stream: int, pcm: bytes, last: bool, now_s: float) -> None:
        if not self._speaker.append(stream, pcm, last):
            self._playback.dropped(stream, now_s)

    def send_link(self, message: Message) -> None:
        """Queue a message of the link channel, which goes before everything else, as soon as the budget allows."""
        self._link_queue.put(message)

    def farewell(self, reason: CloseReason, now_s: float) -> Frame:
        """The session's last frame."""
        return self._link_frame(Close(reason), now_s)

    def ping(self, now_s: float) -> None:
        self.last_ping = (self.last_ping + 1) & 0xFFFFFFFF
        self._last_ping_s = self._last_tx_s = now_s
        self.send_link(Ping(self.last_ping))

    # --------------------------------------------------------------------------------- frames in
    def receive(self, frame: Frame, message: Message | None, now_s: float) -> list[Event]:
        """Take a frame of this session; `message` is its payload, None when unknown."""
        self.last_rx_s = now_s
        if frame.channel == Channel.EVENT and frame.flags & Flag.ACK_REQ:
            self.send_link(EventAck(frame.seq))  # also of one that we have: its acknowledgement was lost
        if frame.channel in _SEQUENCED:
            lost = self._receive[Channel(frame.channel)].receive(frame.seq)
            if lost is None:
                self._stats.rx_duplicate_frames += 1
                return []
            self._stats.rx_lost_frames += lost
            if frame.channel == Channel.MIC:
                self._stats.mic_lost_frames += lost
        match message:
            case MicAudio():
                return self._heard(message, frame.flags, now_s)
            case Reply():
                finished = self._calls.receive(message, now_s)
                return self._finished(finished, now_s) if finished else []
            case BulkData():
                return self.objects.receive_data(message, now_s)
            case ObjectEvent():
                return self.objects.receive_report(message, now_s)
            case Ping():
                self.send_link(Pong(message.token, 0))
            case Pong():
                if message.token == self.last_ping:
                    self._stats.round_trip_s = now_s - self._last_ping_s
                self._clock.unwrap(message.mic_sample)
            case Credit():
                for channel, window in self._send.items():
                    if channel == message.channel and window.grant(message.allowed):
                        self._stuck_s.pop(channel, None)
            case HighestSent():
                if message.channel == Channel.BULK_UP:
                    self.objects.skip_to(message.seq, now_s)
            case RateSet():
                pass  # the link's own affair
            case LogText():
                return [ConsoleText(printable_text(message.text).rstrip("\n") + "\n")]  # each is a whole line
            case Underrun() if self._speaker:  # sound waits here, so it is the line that was late
                return [FrameReported(self._unwrapped(message)), *self._missing(1, now_s)]
            case _ if isinstance(message, FrameMessage):
                if isinstance(message, PlaybackEnded):
                    self._speaker.flush(message.stream)  # it may have starved with the rest still here
                    if not self._playback.ended(message.stream):
                        return []
                return [FrameReported(self._unwrapped(message))]
            case _:
                self._stats.rx_unknown_frames += 1
        return []

    def _heard(self, audio: MicAudio, flags: int, now_s: float) -> list[Event]:
        codec = Codec.IMA_ADPCM if flags & Flag.ADPCM else Codec.PCM16
        try:
            pcm = adpcm.decode(audio.pcm) if codec is Codec.IMA_ADPCM else audio.pcm[: len(audio.pcm) & ~1]
        except ValueError:
            self._stats.rx_unknown_frames += 1
            return []
        dropped = (audio.dropped_frames - self._mic_dropped) & 0xFFFF
        self._mic_dropped += dropped
        self._stats.mic_frames += 1
        self._stats.mic_dropped_frames = self._mic_dropped
        changed = self._missing(dropped, now_s) if codec is Codec.PCM16 else []
        needs_other = self._crowding.found or self._rate.refused is not None
        if codec is not self.codec and needs_other and self._capturing and self._recode is None:
            args = CaptureStartArgs(self.codec)  # the line is not what it was when our caller chose
            self._recode = self._calls.start(Method.CAPTURE_START, args, now_s, QUESTION_TIMEOUT_S)
        return [AudioReceived(self._clock.unwrap(audio.sample), pcm, self._mic_dropped), *changed]

    def _missing(self, frames: int, now_s: float) -> list[Event]:
        """PCM AudioFrames did not get through. A line that has a rate has its own way to the other codec."""
        if self._rate.line_baud or not self._knows_adpcm:
            return []
        return [RateChanged(0, REASON)] if self._crowding.missing(frames, now_s) else []

    def _unwrapped(self, message: _Clocked) -> _Clocked:
        """The same message with its 32-bit sample clock as an int that does not overflow."""
        if isinstance(message, PhotoEvent):
            return message
        changed: Any = message
        return cast("_Clocked", replace(changed, mic_sample=self._clock.unwrap(changed.mic_sample)))

    def _finished(self, finished: CallFinished, now_s: float) -> list[Event]:
        if (events := self.objects.finished(finished, now_s)) is not None:
            return events
        if finished.call_id == self._recode:
            self._recode = None
            self._capturing = self._capturing and not isinstance(finished.error, RequestRefused)
            return []
        if isinstance(finished.result, GetStateResult | CaptureStartResult | CaptureStopResult):
            finished = replace(finished, result=self._unwrapped(finished.result))
        return [finished]

    # -------------------------------------------------------------------------------------- time
    def silent(self, now_s: float) -> bool:
        """No valid frame of this session for so long that the peer is gone."""
        return now_s >= self.last_rx_s + DEAD_AFTER_S

    def tick(self, now_s: float) -> list[Event]:
        events: list[Event] = []
        for finished in self._calls.tick(now_s):
            events += self._finished(finished, now_s)
        events += [FrameReported(ended) for ended in self._playback.tick(now_s, self._clock.sample)]
        end = self._playback.end_to_repeat(now_s)
        if end is not None and not self._speaker:
            self._speaker.repeat_end(end)
        events += self.objects.tick(now_s)
        if now_s >= self._ping_due():
            self.ping(now_s)
        for channel, waiting in self._waiting():
            if not waiting or self._send[channel].free:
                self._stuck_s.pop(channel, None)
            elif now_s >= self._stuck_s.setdefault(channel, now_s) + HIGHEST_SENT_S:
                self._stuck_s[channel] = now_s
                self.send_link(HighestSent(channel, self._send[channel].sent))
        return events

    def next_deadline(self) -> float:
        times = [self.last_rx_s + DEAD_AFTER_S, self._ping_due()]
        times += [since + HIGHEST_SENT_S for since in self._stuck_s.values()]
        if self.objects.wants_to_send and self._send[Channel.BULK_DOWN].free:
            times.append(self._load.takes_bulk_s)
        perhaps = [self._calls.next_deadline(), self._playback.next_deadline(), self.objects.next_deadline()]
        return min([*times, *(t for t in perhaps if t is not None)])

    def link_room_needed(self) -> int | None:
        """Octets of the budget that the next link message waits for; None when none waits."""
        return self._link_queue.needed()

    def end(self) -> list[Event]:
        """The session is over: answer everything that waits for it."""
        events: list[Event] = [
            finished
            for finished in self._calls.fail_all()
            if finished.call_id != self._recode and not self.objects.owns(finished.call_id)
        ]
        return events + self.objects.end()

    def _ping_due(self) -> float:
        due_s = min(
            self._last_tx_s + HEARTBEAT_S, max(self.last_rx_s + HEARTBEAT_S, self._last_ping_s + WORRIED_PING_S)
        )
        pace_s = self._rate.ping_s
        return due_s if pace_s is None else min(due_s, self._last_ping_s + pace_s)

    # -------------------------------------------------------------------------------- frames out
    def _waiting(self) -> tuple[tuple[Channel, bool], ...]:
        """The credited channels by priority, and whether something waits there."""
        return (
            (Channel.SPEAKER, bool(self._speaker)),
            (Channel.RPC, self._calls.wants_to_send),
            (Channel.BULK_DOWN, self.objects.wants_to_send),
        )

    def next_frame(self, now_s: float, room: int) -> Frame | None:
        """The next frame to send, by priority, credit and `room` octets for link messages; None when there is none."""
        if (message := self._link_queue.pop(room)) is not None:
            return self._link_frame(message, now_s)
        for channel, waiting in self._waiting():
            window = self._send[channel]
            if not waiting:
                continue
            if not window.free:
                self._stuck_s.setdefault(channel, now_s)
            elif channel == Channel.SPEAKER:
                audio, flags = self._speaker.pop()
                self._playback.sent(audio, flags, now_s)
                audio, flags = self._encoded(audio, flags)
                return self._frame(channel, flags, window.spend(), payload_of(audio), now_s)
            elif channel == Channel.RPC:
                call, again = self._calls.next_call(now_s)
                self._stats.rpc_retries += again
                return self._frame(channel, Flag.RETRY if again else Flag(0), window.spend(), payload_of(call), now_s)
            elif now_s >= self._load.takes_bulk_s:
                piece = self.objects.next_piece(self._rate.chunk_bytes, now_s)
                return self._frame(channel, Flag(0), window.spend(), payload_of(piece), now_s)
        return None

    def _encoded(self, audio: SpeakerAudio, flags: Flag) -> tuple[SpeakerAudio, Flag]:
        """The AudioFrame with the codec that fits the line now."""
        if not audio.pcm or self.codec is Codec.PCM16:
            return audio, flags
        before = AdpcmState() if flags & Flag.FIRST else self._encoder
        block, self._encoder = adpcm.encode(audio.pcm, before)
        return replace(audio, pcm=block), flags | Flag.ADPCM

    def _link_frame(self, message: Message, now_s: float) -> Frame:
        self._link_seq = seq_after(self._link_seq)
        return self._frame(Channel.LINK, Flag(0), self._link_seq, payload_of(message), now_s)

    def _frame(self, channel: Channel, flags: Flag, seq: int, payload: bytes, now_s: float) -> Frame:
        self._last_tx_s = now_s
        return Frame(channel, flags, seq, self.id, payload)
