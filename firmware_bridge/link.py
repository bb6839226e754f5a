"""The host's side of the link, without I/O: octets in, Events out, time passed in.

Knows framing and the handshake, and owns the Session between HelloAck and its end. No clock, no thread, no port: the
caller feeds `receive_data` and `tick`, sends what `data_to_send` returns, and drains `next_event`.

    link.start(nonce, now_s)
    loop: link.tick(now_s); write(link.data_to_send()); link.receive_data(read(), now_s); handle(link.next_event())

`now_s` is any monotonic clock in seconds. Errors of the peer arrive as Events; errors of our caller are raised as
LocalProtocolError. Whatever octets come in, `receive_data` never raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .codec import message_of, payload_of, summary_of
from .console import text_in
from .credit import SampleClock
from .errors import BridgeError, DeviceLost, LocalProtocolError
from .frame import DELIMITER, Frame, FrameReader
from .link_events import Connected, ConsoleText, DeviceInfo, Disconnected, Event, LinkStats
from .link_sentences import FRAME_HEAD, echo, fell_silent, no_answer, refused, version_mismatch
from .link_states import TRANSITIONS, Input, State
from .messages import (
    HELLO_INTERVAL_MS,
    HELLO_TIMEOUT_MS,
    MAJOR,
    MINOR,
    SCHEMA_HASH,
    START_BAUD,
    BulkWrite,
    Call,
    Channel,
    Close,
    CloseReason,
    Codec,
    Confirm,
    EventAck,
    Flag,
    Hello,
    HelloAck,
    Message,
    Method,
    ObjectKind,
    Pong,
    RateSet,
    Refuse,
    SetRate,
    SpeakerAudio,
)
from .rate import LineLoad, Rate
from .session import BULK_UP_WINDOW, Session
from .uncredited import Budget, wire_bytes

HELLO_S = HELLO_INTERVAL_MS / 1000
HELLO_TIMEOUT_S = HELLO_TIMEOUT_MS / 1000
CONFIRM_TRIES = 5  # then Hello again

IDLE_S = 0.02  # a pause after which a delimiter goes first: noise on an idle line must not eat the next frame
STALE_S = 1.0  # an unfinished frame this old is text without an end (flash writes stall a frame for 0.4 s)
MAX_EVIDENCE_BYTES = 256  # of what a wrong port sent, kept for the error message


@dataclass(frozen=True, slots=True)
class WireRecord:
    """One frame that went over the wire, for logs and reports."""

    direction: str  # "rx" from the frame, "tx" to it
    host_time_s: float
    channel: int
    size_bytes: int  # as on the wire, delimiter included
    summary: str


class Link:
    """One host's conversation with one frame, over as many sessions as it takes.

    Attributes:
        state: where we are in `TRANSITIONS`.
        stats: counters over all sessions.
        on_frame: called with every valid frame that comes in or goes out; None (the default) costs nothing.
    """

    def __init__(self, port_name: str = "The port", baud: int = START_BAUD) -> None:
        """Make one for a port.

        Args:
            port_name: for the sentences of errors, as in "Nothing answers on /dev/ttyACM0".
            baud: the rate that is wanted, should the line have one; 0 for a port that cannot change its rate.
        """
        self.state = State.IDLE
        self.stats = LinkStats()
        self.on_frame: Callable[[WireRecord], None] | None = None
        self._rate = Rate(baud)
        self._load = LineLoad()
        self._budget = Budget()
        self._unsettled: list[Event] = []  # what came before our caller knows of the session
        self._port_name = port_name
        self._reader = FrameReader()
        self._events: deque[Event] = deque()
        self._farewell: Frame | None = None  # Close, once we are CLOSED
        self._now_s = 0.0
        self._nonce = 0
        self._hello_seq = 0
        self._confirms = 0  # of this session, none answered yet
        self._repeat_s = 0.0  # next Hello or Confirm
        self._give_up_s = 0.0
        self._hello_timeout_s = HELLO_TIMEOUT_S
        self._last_rx_s = self._last_tx_s = -1.0
        self._evidence = bytearray()
        self._session: Session | None = None
        self._info: DeviceInfo | None = None
        self._clock = SampleClock()

    # ------------------------------------------------------------------ what our caller asks for
    def start(self, nonce: int, now_s: float, timeout_s: float = HELLO_TIMEOUT_S) -> None:
        """Begin the handshake. `nonce` is a random u32: a new one ends whatever session the frame has."""
        self._enter(Input.START)
        self._now_s = now_s
        self._end_session()
        self._evidence.clear()
        self._nonce, self._hello_seq = nonce & 0xFFFFFFFF, 0
        self._hello_timeout_s = timeout_s
        self._repeat_s, self._give_up_s = now_s, now_s + timeout_s
        self._last_tx_s = now_s - IDLE_S  # a delimiter goes before the first Hello
        self._rate.reset()

    def close(self, reason: CloseReason = CloseReason.DONE) -> None:
        """End the session for good: the frame stops its sensors. Send what `data_to_send` still returns."""
        session = self._session
        self._enter(Input.CLOSE)
        if session is not None:
            self._farewell = session.farewell(reason, self._now_s)
        self._end_session()

    def port_lost(self, error: BridgeError) -> None:
        """The transport is gone. Ends the session; `start` begins anew over another transport."""
        was_on = self.state not in (State.IDLE, State.CLOSED)
        self._enter(Input.PORT_LOST)
        if self._reader.held_bytes:  # the last words of a frame that took its port along
            self._no_frame(self._reader.take_held())
        if was_on:
            self._disconnect(error)

    def call(self, method: Method, args: Message | None = None, timeout_s: float = 2.0) -> int:
        """Send a request; CallFinished with the returned call_id ends it. FlushSpeaker also empties our own queue."""
        return self._need(Input.CALL).call(method, args, timeout_s, self._now_s)

    def send_audio(self, stream: int, pcm: bytes, last: bool = False) -> None:
        """Queue s16le mono 16 kHz for the speaker, any length; it leaves as credit allows. `last` ends the stream."""
        self._need(Input.SEND_AUDIO).send_audio(stream, pcm, last, self._now_s)

    def read_object(self, object_id: int, have: bytes = b"") -> None:
        """Fetch a bulk object and drop it on the frame; ObjectReceived or ObjectFailed ends it. One at a time.

        `have`: its first octets, from an ObjectFailed.
        """
        self._need(Input.READ_OBJECT).objects.read(object_id, have, self._now_s)

    def abandon_read(self) -> None:
        """Stop reading, if something is being read: no event follows, and the frame may forget the object."""
        if self._session is not None:
            self._session.objects.abandon_read(self._now_s)

    def write_object(self, kind: ObjectKind, data: bytes) -> int:
        """Send a bulk object; ObjectWritten or ObjectFailed with the returned number ends it. One at a time.

        After a broken link the same object written again goes on where the frame stopped.
        """
        return self._need(Input.WRITE_OBJECT).objects.write(kind, data, self._now_s)

    def abandon_write(self) -> None:
        """Stop sending, if something is being sent: no event follows. The frame keeps what it has."""
        if self._session is not None:
            self._session.objects.abandon_write()

    # ------------------------------------------------------------------------------------ the rate
    @property
    def baud(self) -> int:
        """What the port must be set to before the next octets go out."""
        return self._rate.baud

    @property
    def line_baud(self) -> int:
        """The rate of the line in baud; 0 where it has none (USB)."""
        return self._rate.line_baud

    @property
    def codec(self) -> Codec:
        """The codec that fits the line and the frame."""
        return self._session.codec if self._session is not None else Codec.PCM16

    # ---------------------------------------------------------------------------------- octets in
    def receive_data(self, data: bytes, now_s: float) -> None:
        """Take octets as they came from the port. Never raises."""
        self._now_s = max(now_s, self._now_s)
        if not data or self.state is State.CLOSED:
            return
        self._last_rx_s = self._now_s
        self.stats.rx_bytes += len(data)
        for frame, raw in self._reader.receive(data):
            if frame is None:
                self._no_frame(raw)
            else:
                self.stats.rx_frames += 1
                self._log("rx", frame, len(raw) + 1)
                self._receive_frame(frame)

    def _receive_frame(self, frame: Frame) -> None:
        message = message_of(frame)
        match message:
            case HelloAck() if message.nonce == self._nonce and message.session:
                self._hello_ack(message)
            case Refuse() if message.nonce == self._nonce:
                if self._accepts(Input.REFUSED):
                    self._disconnect(refused(message))
            case HelloAck() | Refuse():
                self.stats.rx_foreign_frames += 1
            case Hello() | Confirm() | SetRate() | EventAck() | Call() | SpeakerAudio() | BulkWrite():
                if self._accepts(Input.OUT_OF_ROLE):
                    self._disconnect(echo(self._port_name))
            case _ if self._session is None or frame.session != self._session.id:
                self.stats.rx_foreign_frames += 1
            case Close():
                self._closed_by_peer(message.reason)
            case _:
                self._session_frame(self._session, frame, message)

    def _hello_ack(self, ack: HelloAck) -> None:
        first = self.state is State.GREETING
        if first and ack.major != MAJOR:
            self._accepts(Input.REFUSED)
            self._disconnect(version_mismatch(ack.major, ack.minor))
        elif self._accepts(Input.HELLO_ACK) and first:
            info = DeviceInfo.from_hello_ack(ack)
            if self._info is None or (info.device_id, info.boot_id) != (self._info.device_id, self._info.boot_id):
                self._clock = SampleClock()
            self._info = info
            self._session = Session(ack, self._now_s, self.stats, self._clock, self._rate, self._load)
            self._confirms = 0
            self._confirm()

    def _confirm(self) -> None:
        """Confirm is not answered; the Pong to the Ping behind it shows that it arrived."""
        if self._session is not None:
            self._session.send_link(Confirm(self._nonce, BULK_UP_WINDOW))
            self._session.ping(self._now_s)
        self._confirms += 1
        self._repeat_s = self._now_s + HELLO_S

    def _session_frame(self, session: Session, frame: Frame, message: Message | None) -> None:
        confirmed = self.state is State.CONFIRMING
        if not self._accepts(Input.SESSION_FRAME):
            return
        if confirmed and self._info is not None:
            self.stats.sessions += 1
            self._rate.begin(self._info.max_baud, self._now_s)
        self._tell(session.receive(frame, message, self._now_s))
        if isinstance(message, RateSet):
            if self._rate.answer(message.baud, session.last_ping, self._now_s):
                session.ping(self._now_s)
        elif isinstance(message, Pong) and message.token <= session.last_ping:
            self._rate.pong(message.token)
        self._settle()

    def _tell(self, events: list[Event]) -> None:
        """Our caller hears of what happens in a session only once it knows of the session."""
        (self._unsettled if self.state is State.SETTLING else self._events).extend(events)

    def _settle(self) -> None:
        """Let our caller in, once the rate is settled."""
        if self.state is not State.SETTLING or not self._rate.settled or self._info is None:
            return
        self._accepts(Input.RATE_SETTLED)
        self._events.append(Connected(self._info))
        self._events += self._unsettled
        self._unsettled.clear()
        self._events += self._rate.report()

    def _closed_by_peer(self, reason: int) -> None:
        if reason != CloseReason.NO_SESSION:
            error = DeviceLost("The frame ended the session.", "Start again.")
        elif self.state in (State.CONFIRMING, State.SETTLING):
            self._greet_again()  # it has booted since its HelloAck
            return
        else:
            error = DeviceLost("The frame has started anew and knows the session no more.", "Start again.")
        if self._accepts(Input.PEER_CLOSED):
            self._disconnect(error)

    def _greet_again(self) -> None:
        """Nothing but the nonce's being another one matters to the frame."""
        self._accepts(Input.UNCONFIRMED)
        self._end_session()
        self._rate.reset()
        self._nonce = (self._nonce + 1) & 0xFFFFFFFF
        self._repeat_s = self._now_s

    def _no_frame(self, raw: bytes) -> None:
        self.stats.rx_bad_frames += 1
        if self.state is State.GREETING:
            self._evidence += raw[: MAX_EVIDENCE_BYTES - len(self._evidence)]
            if FRAME_HEAD in raw and FRAME_HEAD not in self._evidence:  # behind a boot log
                self._evidence += FRAME_HEAD
        if text := text_in(raw):
            self._events.append(ConsoleText(text))
        else:
            self.stats.rx_noise_bytes += len(raw)

    # --------------------------------------------------------------------------------------- time
    def tick(self, now_s: float) -> None:
        """Do what is due. Call it after `receive_data` and whenever `next_deadline` has come."""
        now_s = self._now_s = max(now_s, self._now_s)
        if self._reader.held_bytes and now_s >= self._last_rx_s + STALE_S:
            self._no_frame(self._reader.take_held())
        if self.state in (State.GREETING, State.CONFIRMING) and now_s >= self._give_up_s:
            error = self._no_answer()
            self._accepts(Input.TIMED_OUT)
            self._disconnect(error)
        elif self.state is State.CONFIRMING and now_s >= self._repeat_s:
            if self._confirms < CONFIRM_TRIES:
                self._confirm()
            else:
                self._greet_again()
        elif self.state in (State.SETTLING, State.OPEN) and self._session is not None:
            if self._session.silent(now_s):
                self._accepts(Input.SILENT)
                self._disconnect(fell_silent(self._rate.refused))
            else:
                self._follow_rate(self._session, now_s)
                self._tell(self._session.tick(now_s))

    def _follow_rate(self, session: Session, now_s: float) -> None:
        wanted = self._rate.question(now_s)
        if wanted is not None:
            session.send_link(SetRate(wanted))
        if self._rate.tick(session.last_rx_s, session.last_ping, now_s):
            session.ping(now_s)
            if self.state is State.OPEN:
                self._events += self._rate.report()

    def next_deadline(self) -> float | None:
        """When `tick` has something to do; None while nothing is under way. May lie in the past."""
        times = [self._last_rx_s + STALE_S] if self._reader.held_bytes else []
        if self.state in (State.GREETING, State.CONFIRMING):
            times += [self._repeat_s, self._give_up_s]
        elif self._session is not None:
            times += [self._session.next_deadline(), self._rate.next_deadline(self._session.last_rx_s)]
        if self._session is not None and (needed := self._session.link_room_needed()) is not None:
            times.append(self._budget.room_s(needed))
        return min(times, default=None)

    # --------------------------------------------------------------------------------- octets out
    def data_to_send(self) -> bytes:
        """Everything that may be sent now, highest priority first; empty when there is nothing."""
        out = bytearray()
        while (frame := self._next_frame()) is not None:
            if not out and self._now_s >= self._last_tx_s + IDLE_S:
                out += DELIMITER
            octets = frame.encode()
            out += octets
            self._load.sent(len(octets), self.line_baud, self._now_s)
            if frame.channel == Channel.LINK:
                self._budget.spend(len(octets) + len(DELIMITER), self._now_s)  # perhaps with one in front
            self.stats.tx_frames += 1
            self._log("tx", frame, len(octets))
        if out:
            self._last_tx_s = self._now_s
            self.stats.tx_bytes += len(out)
        return bytes(out)

    def next_event(self) -> Event | None:
        """The oldest event that was not yet taken."""
        return self._events.popleft() if self._events else None

    def _next_frame(self) -> Frame | None:
        if self._farewell is not None:
            farewell, self._farewell = self._farewell, None
            return farewell
        room = self._budget.room(self._now_s)
        if self.state is State.GREETING and self._now_s >= self._repeat_s:
            self._repeat_s = self._now_s + HELLO_S
            hello = Hello(MAJOR, MINOR, self._nonce, SCHEMA_HASH)
            if wire_bytes(hello) > room:  # the session before has said so much: 100 ms later
                return None
            self._hello_seq = (self._hello_seq + 1) & 0xFFFF
            return Frame(Channel.LINK, Flag(0), self._hello_seq, 0, payload_of(hello))
        return self._session.next_frame(self._now_s, room) if self._session is not None else None

    # -------------------------------------------------------------------------------------- states
    def _enter(self, happened: Input) -> None:
        if not self._accepts(happened):
            raise LocalProtocolError(f"{happened.value} is not allowed now: the link is {self.state.value}")

    def _accepts(self, happened: Input) -> bool:
        """Move on by the table; False (and counted) when the state has no such key."""
        target = TRANSITIONS[self.state].get(happened)
        if target is None:
            self.stats.rx_unknown_frames += 1
            return False
        self.state = target
        return True

    def _need(self, happened: Input) -> Session:
        self._enter(happened)
        assert self._session is not None
        return self._session

    def _end_session(self) -> None:
        if self._session is not None:
            self._events += self._unsettled
            self._unsettled.clear()
            self._events += self._session.end()
            self._session = None

    def _disconnect(self, error: BridgeError) -> None:
        self._end_session()
        self._events.append(Disconnected(error))

    def _no_answer(self) -> BridgeError:
        if self._reader.held_bytes:
            self._no_frame(self._reader.take_held())
        return no_answer(self._port_name, self._rate.wish != 0, bytes(self._evidence), self._hello_timeout_s)

    def _log(self, direction: str, frame: Frame, size_bytes: int) -> None:
        if self.on_frame is not None:
            self.on_frame(WireRecord(direction, self._now_s, frame.channel, size_bytes, summary_of(frame)))
