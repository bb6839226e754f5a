"""One session: what exists between HelloAck and its end. Heartbeat, credit, requests, audio, bulk reads.

Sans-I/O: frames in, Events out, time passed in. Knows messages and their channels; must not know the handshake,
octets, ports or threads. A new session is a new object, so nothing of the old one can leak into it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, TypeVar, cast

from .bulk import ObjectRead
from .codec import payload_of
from .console import printable_text
from .credit import ReceiveWindow, SampleClock, SendWindow, seq_after
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
    ObjectFailed,
)
from .messages import (
    CREDIT_INTERVAL_MS,
    DEAD_AFTER_MS,
    HEARTBEAT_MS,
    HIGHEST_SENT_INTERVAL_MS,
    BulkData,
    CaptureStartResult,
    CaptureStopResult,
    Channel,
    Close,
    CloseReason,
    Credit,
    DropObjectArgs,
    Flag,
    FlushSpeakerArgs,
    GetStateResult,
    HelloAck,
    HighestSent,
    LogText,
    Message,
    Method,
    MicAudio,
    PhotoEvent,
    Ping,
    PlaybackEnded,
    Pong,
    ReadObjectArgs,
    Reply,
    Window,
)
from .rpc import CallTable
from .speaker import PlaybackWatch, SpeakerQueue

HEARTBEAT_S = HEARTBEAT_MS / 1000
DEAD_AFTER_S = DEAD_AFTER_MS / 1000
CREDIT_S = CREDIT_INTERVAL_MS / 1000
HIGHEST_SENT_S = HIGHEST_SENT_INTERVAL_MS / 1000

# Once the frame has been silent for a heartbeat, ask faster: one lost ping must not look like a dead frame.
WORRIED_PING_S = HEARTBEAT_S / 4

# Link messages that wait to be pulled. More means that nobody pulls; they repeat themselves, so dropping is harmless.
MAX_LINK_QUEUE = 64

# A read request of its own has its retries; this bounds one question, not the whole object.
READ_TIMEOUT_S = 1.0

_Clocked = TypeVar("_Clocked", bound=FrameMessage | GetStateResult | CaptureStartResult | CaptureStopResult)

_SEQUENCED = frozenset((Channel.RPC, Channel.EVENT, Channel.MIC, Channel.BULK_UP, Channel.LOG))


class Session:
    """The host's half of one session, from HelloAck on."""

    def __init__(self, ack: HelloAck, now_s: float, stats: LinkStats, clock: SampleClock) -> None:
        self.id = ack.session
        self._stats = stats
        self._clock = clock
        self._calls = CallTable()
        self._own_calls: set[int] = set()  # asked by this object, not by our caller
        self._speaker = SpeakerQueue()
        self._playback = PlaybackWatch()
        self._read: ObjectRead | None = None
        self._link_queue: deque[Message] = deque()
        self._seq = {Channel.LINK: 0}
        self._send = {Channel.RPC: SendWindow(ack.rpc_window), Channel.SPEAKER: SendWindow(ack.speaker_window)}
        self._receive = {channel: ReceiveWindow() for channel in _SEQUENCED}
        self._receive[Channel.BULK_UP] = ReceiveWindow(Window.BULK_UP)
        self._stuck_s: dict[Channel, float] = {}  # since when a channel has had frames but no credit
        self._last_rx_s = self._last_tx_s = now_s
        self._last_ping_s = now_s - HEARTBEAT_S
        self._ping_token = 0
        self._credit_s: float | None = None  # next grant for bulk up, while a read is in progress
        self._mic_dropped = 0

    # ------------------------------------------------------------------ what our caller asks for
    def call(self, method: Method, args: Message | None, timeout_s: float, now_s: float) -> int:
        if self._calls.full:
            raise LocalProtocolError("too many requests wait already")
        call_id = self._calls.start(method, args, now_s, timeout_s)
        if isinstance(args, FlushSpeakerArgs):
            self._playback.flushed(args.stream, self._speaker.flush(args.stream), now_s)
        self._stats.rpc_calls += 1
        return call_id

    def send_audio(self, stream: int, pcm: bytes, last: bool) -> None:
        self._speaker.append(stream, pcm, last)

    def read_object(self, object_id: int, now_s: float) -> None:
        if self._read is not None:
            raise LocalProtocolError(f"object {self._read.object_id} is being read already")
        self._read = ObjectRead(object_id)
        self._read_progress(now_s)
        self._grant_bulk(now_s)

    def abandon_object(self, now_s: float) -> None:
        """Stop reading; the frame may forget the object. No event follows."""
        if self._read is not None:
            self._drop(self._read, now_s)

    def send_link(self, message: Message) -> None:
        """Queue a message of the link channel, which goes before everything else."""
        if len(self._link_queue) < MAX_LINK_QUEUE:
            self._link_queue.append(message)

    def farewell(self, reason: CloseReason, now_s: float) -> Frame:
        """The session's last frame."""
        self._link_queue.clear()
        self._link_queue.append(Close(reason))
        frame = self.next_frame(now_s)
        assert frame is not None
        return frame

    def ping(self, now_s: float) -> None:
        self._ping_token = (self._ping_token + 1) & 0xFFFFFFFF
        self._last_ping_s = self._last_tx_s = now_s
        self.send_link(Ping(self._ping_token))

    # --------------------------------------------------------------------------------- frames in
    def receive(self, frame: Frame, message: Message | None, now_s: float) -> list[Event]:
        """Take a frame of this session; `message` is its payload, None when unknown."""
        self._last_rx_s = now_s
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
                return [self._heard(message)]
            case Reply():
                finished = self._calls.receive(message, now_s)
                return self._finished(finished, now_s) if finished else []
            case BulkData():
                return self._bulk_data(message, now_s)
            case Ping():
                self.send_link(Pong(message.token, 0))
            case Pong():
                if message.token == self._ping_token:
                    self._stats.round_trip_s = now_s - self._last_ping_s
                self._clock.unwrap(message.mic_sample)
            case Credit():
                for channel, window in self._send.items():
                    if channel == message.channel and window.grant(message.allowed):
                        self._stuck_s.pop(channel, None)
            case HighestSent():
                self._highest_sent(message, now_s)
            case LogText():
                return [ConsoleText(printable_text(message.text))]
            case _ if isinstance(message, FrameMessage):
                if isinstance(message, PlaybackEnded):
                    self._speaker.flush(message.stream)  # it may have starved with the rest still here
                    if not self._playback.ended(message.stream):
                        return []
                return [FrameReported(self._unwrapped(message))]
            case _:
                self._stats.rx_unknown_frames += 1
        return []

    def _heard(self, audio: MicAudio) -> AudioReceived:
        self._mic_dropped += (audio.dropped_frames - self._mic_dropped) & 0xFFFF
        self._stats.mic_frames += 1
        self._stats.mic_dropped_frames = self._mic_dropped
        pcm = audio.pcm[: len(audio.pcm) & ~1]
        return AudioReceived(self._clock.unwrap(audio.sample), pcm, self._mic_dropped)

    def _unwrapped(self, message: _Clocked) -> _Clocked:
        """The same message with its 32-bit sample clock as an int that does not overflow."""
        if isinstance(message, PhotoEvent):
            return message
        changed: Any = message
        return cast("_Clocked", replace(changed, mic_sample=self._clock.unwrap(changed.mic_sample)))

    def _finished(self, finished: CallFinished, now_s: float) -> list[Event]:
        if self._read is not None and self._read.call_id == finished.call_id:
            self._read.receive_reply(finished, now_s)
            return self._read_progress(now_s)
        if finished.call_id in self._own_calls:
            self._own_calls.discard(finished.call_id)
            return []
        if isinstance(finished.result, GetStateResult | CaptureStartResult | CaptureStopResult):
            finished = replace(finished, result=self._unwrapped(finished.result))
        return [finished]

    def _highest_sent(self, message: HighestSent, now_s: float) -> None:
        if message.channel == Channel.BULK_UP:
            self._stats.rx_lost_frames += self._receive[Channel.BULK_UP].skip_to(message.seq)
            self._grant_bulk(now_s)

    # -------------------------------------------------------------------------------- bulk reads
    def _bulk_data(self, data: BulkData, now_s: float) -> list[Event]:
        window = self._receive[Channel.BULK_UP]
        if window.spent * 2 >= window.window:  # sooner than the interval, or 8 frames per 100 ms would be the limit
            self._grant_bulk(now_s)
        if self._read is None:
            return []
        self._read.receive_data(data, now_s)
        return self._read_progress(now_s)

    def _grant_bulk(self, now_s: float) -> None:
        self.send_link(Credit(Channel.BULK_UP, self._receive[Channel.BULK_UP].grant()))
        if self._read is not None:  # what comes when nothing is read is granted once, as far as it got
            self._credit_s = now_s + CREDIT_S

    def _read_progress(self, now_s: float) -> list[Event]:
        read = self._read
        if read is None:
            return []
        if read.outcome is not None:
            if isinstance(read.outcome, ObjectFailed) and isinstance(read.outcome.error, RequestRefused):
                self._read, self._credit_s = None, None  # not there yet, perhaps: a drop could meet it when it is
            else:
                self._drop(read, now_s)
            return [read.outcome]
        offset = read.offset_to_ask()
        if offset is not None:
            args = ReadObjectArgs(read.object_id, offset)
            read.asked(self._calls.start(Method.READ_OBJECT, args, now_s, READ_TIMEOUT_S))
            self._stats.bulk_restarts += bool(read.restarts)
        return []

    def _drop(self, read: ObjectRead, now_s: float) -> None:
        self._read, self._credit_s = None, None
        args = DropObjectArgs(read.object_id)
        self._own_calls.add(self._calls.start(Method.DROP_OBJECT, args, now_s, READ_TIMEOUT_S))
        if (call_id := read.call_id) is not None:  # its answer is nobody's any more
            self._own_calls.add(call_id)

    # -------------------------------------------------------------------------------------- time
    def silent(self, now_s: float) -> bool:
        """No valid frame of this session for so long that the peer is gone."""
        return now_s >= self._last_rx_s + DEAD_AFTER_S

    def tick(self, now_s: float) -> list[Event]:
        events: list[Event] = []
        for finished in self._calls.tick(now_s):
            events += self._finished(finished, now_s)
        events += [FrameReported(ended) for ended in self._playback.tick(now_s, self._clock.sample)]
        if self._read is not None:
            self._read.tick(now_s)
            events += self._read_progress(now_s)
        if self._read is not None and (self._credit_s is None or now_s >= self._credit_s):
            self._grant_bulk(now_s)
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
        times = [self._last_rx_s + DEAD_AFTER_S, self._ping_due()]
        times += [since + HIGHEST_SENT_S for since in self._stuck_s.values()]
        perhaps = [self._calls.next_deadline(), self._playback.next_deadline(), self._credit_s]
        if self._read is not None:
            perhaps.append(self._read.next_deadline())
        return min([*times, *(t for t in perhaps if t is not None)])

    def end(self) -> list[Event]:
        """The session is over: answer everything that waits for it."""
        events: list[Event] = []
        for finished in self._calls.fail_all():
            if self._read is not None and self._read.call_id == finished.call_id:
                continue
            if finished.call_id not in self._own_calls:
                events.append(finished)
        if self._read is not None:
            events.append(self._read.link_lost())
            self._read = None
        return events

    def _ping_due(self) -> float:
        return min(
            self._last_tx_s + HEARTBEAT_S, max(self._last_rx_s + HEARTBEAT_S, self._last_ping_s + WORRIED_PING_S)
        )

    # -------------------------------------------------------------------------------- frames out
    def _waiting(self) -> tuple[tuple[Channel, bool], ...]:
        """The credited channels by priority, and whether something waits there."""
        return (Channel.SPEAKER, bool(self._speaker)), (Channel.RPC, self._calls.wants_to_send)

    def next_frame(self, now_s: float) -> Frame | None:
        """The next frame to send, by priority and credit; None when there is none."""
        if self._link_queue:
            self._seq[Channel.LINK] = seq_after(self._seq[Channel.LINK])
            payload = payload_of(self._link_queue.popleft())
            return self._frame(Channel.LINK, Flag(0), self._seq[Channel.LINK], payload, now_s)
        for channel, waiting in self._waiting():
            window = self._send[channel]
            if not waiting:
                continue
            if not window.free:
                self._stuck_s.setdefault(channel, now_s)
            elif channel == Channel.SPEAKER:
                audio, flags = self._speaker.pop()
                self._playback.sent(audio, flags, now_s)
                return self._frame(channel, flags, window.spend(), payload_of(audio), now_s)
            else:
                call, again = self._calls.next_call(now_s)
                self._stats.rpc_retries += again
                return self._frame(channel, Flag.RETRY if again else Flag(0), window.spend(), payload_of(call), now_s)
        return None

    def _frame(self, channel: Channel, flags: Flag, seq: int, payload: bytes, now_s: float) -> Frame:
        self._last_tx_s = now_s
        return Frame(channel, flags, seq, self.id, payload)
