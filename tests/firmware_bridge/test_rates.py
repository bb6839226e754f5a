"""The host's rate: how it is asked for, tried, settled and given up, against a hand that plays the frame's part."""

from __future__ import annotations

import pytest
from tests.support.wire import Hand, events, of

from lorgnette.firmware_bridge.errors import DeviceLost, OutcomeUnknown
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import (
    CallFinished,
    Connected,
    Disconnected,
    FrameReported,
    RateChanged,
)
from lorgnette.firmware_bridge.link_states import State
from lorgnette.firmware_bridge.messages import (
    BAUD_SILENCE_MS,
    BAUD_TRIAL_MS,
    LIVELY_MS,
    SET_RATE_TRIES,
    START_BAUD,
    ButtonEvent,
    Call,
    Capability,
    Close,
    CloseReason,
    Codec,
    Flag,
    Hello,
    Message,
    Method,
    Ping,
    Pong,
    RateSet,
    SetRate,
)
from lorgnette.firmware_bridge.rate import LineLoad, Rate

WANTED = 921_600
TRIAL_S, SILENCE_S = BAUD_TRIAL_MS / 1000, BAUD_SILENCE_MS / 1000


class Uart(Hand):
    """A hand at a line with a rate. What either side says at another rate than the other has is lost."""

    def __init__(self, link: Link, max_baud: int = 2_000_000) -> None:
        super().__init__(link)
        self.max_baud = max_baud
        self.baud = START_BAUD  # the frame's
        self.deaf = False

    @property
    def understood(self) -> bool:
        return not self.deaf and self.link.baud == self.baud

    def meet(self) -> None:
        """Up to the point where the host knows that it is in a session."""
        self.connect(max_baud=self.max_baud, capabilities=int(Capability.ADPCM | Capability.MICROPHONE))

    def pass_time(self, until_s: float, *, answer_rate: bool = True, pong: bool = True) -> list[Message | None]:
        """Let the frame do what a frame does, every 10 ms; returns what the host sent and the frame understood."""
        heard: list[Message | None] = []
        while self.now_s < until_s:
            sent = self.at(round(self.now_s + 0.01, 3))
            if not self.understood:
                continue
            heard += sent
            for message in sent:
                if isinstance(message, SetRate) and answer_rate:
                    self.send(RateSet(message.baud))
                    self.baud = message.baud
                elif isinstance(message, Ping) and pong and self.understood:
                    self.send(Pong(message.token, 0))
        return heard


@pytest.fixture
def uart() -> Uart:
    uart = Uart(Link("/dev/ttyUSB0", WANTED))
    uart.meet()
    return uart


@pytest.fixture
def switched(uart: Uart) -> Uart:
    uart.pass_time(0.1)
    assert [type(e) for e in events(uart.link)] == [Connected]
    assert (uart.link.baud, uart.link.line_baud, uart.link.codec) == (WANTED, WANTED, Codec.PCM16)
    return uart


# ---- the way up
def test_the_caller_hears_of_the_session_when_the_rate_is_settled(uart: Uart) -> None:
    assert uart.link.state is State.SETTLING
    assert events(uart.link) == []
    assert of(SetRate, uart.at(0.0)) == [SetRate(WANTED)]
    assert uart.link.baud == START_BAUD, "until the frame has said that it follows"
    uart.send(ButtonEvent(1, 5), flags=Flag.ACK_REQ)
    uart.send(RateSet(WANTED))
    assert uart.link.baud == WANTED
    (ping,) = of(Ping, uart.pull())
    assert events(uart.link) == []
    uart.send(Pong(ping.token, 0))
    connected, button = events(uart.link)
    assert isinstance(connected, Connected)
    assert connected.info.max_baud == 2_000_000
    assert button == FrameReported(ButtonEvent(1, 5)), "and what came meanwhile"


@pytest.mark.parametrize(
    ("wish", "max_baud"), [(START_BAUD, 2_000_000), (0, 2_000_000), (WANTED, 0), (WANTED, 115_200)]
)
def test_nothing_is_asked_where_there_is_nothing_to_change(wish: int, max_baud: int) -> None:
    uart = Uart(Link("/dev/ttyUSB0", wish), max_baud)
    uart.meet()
    assert uart.link.state is State.OPEN
    assert not of(SetRate, uart.pass_time(1.0))
    assert uart.link.baud == START_BAUD
    assert uart.link.line_baud == (START_BAUD if max_baud else 0)
    assert uart.link.codec == (Codec.IMA_ADPCM if max_baud else Codec.PCM16)


def test_the_wish_is_capped_by_what_the_line_can_do() -> None:
    uart = Uart(Link("/dev/ttyUSB0", 3_000_000), max_baud=460_800)
    uart.meet()
    assert of(SetRate, uart.at(0.0)) == [SetRate(460_800)]


def test_what_came_late_from_before_the_switch_proves_nothing(uart: Uart) -> None:
    uart.at(0.0)
    uart.send(RateSet(WANTED))
    uart.pull()
    uart.send(Pong(1, 0), RateSet(WANTED), Pong(0xFFFFFFFF, 0))
    assert uart.link.state is State.SETTLING


def test_a_lost_answer_is_asked_for_again(uart: Uart) -> None:
    asked = of(SetRate, uart.pass_time(0.25, answer_rate=False))
    assert len(asked) == 3
    uart.pass_time(0.4)
    assert [type(e) for e in events(uart.link)] == [Connected]


def test_a_rate_that_was_not_asked_for_is_not_taken(uart: Uart) -> None:
    uart.at(0.0)
    uart.send(RateSet(57_600))
    assert uart.link.baud == START_BAUD
    assert uart.link.state is State.SETTLING


def test_the_next_rate_is_pinged_every_50_ms(uart: Uart) -> None:
    uart.at(0.0)
    uart.send(RateSet(WANTED))
    uart.deaf = True
    pings = sum(len(of(Ping, uart.at(step * 0.01))) for step in range(1, 46))
    assert 8 <= pings <= 10


# ---- ways back
def test_a_frame_that_refuses_the_rate_stays_where_it_is(uart: Uart) -> None:
    uart.at(0.0)
    uart.send(RateSet(START_BAUD))
    connected, changed = events(uart.link)
    assert isinstance(connected, Connected)
    assert isinstance(changed, RateChanged)
    assert (changed.baud, uart.link.baud) == (START_BAUD, START_BAUD)
    assert changed.reason == (
        "the frame refuses 921600 baud, so the line is at 115200 baud; a lower rate may hold: --baud 460800"
    )


def test_a_frame_that_never_answers_keeps_the_first_rate(uart: Uart) -> None:
    asked = of(SetRate, uart.pass_time(1.0, answer_rate=False))
    assert len(asked) == SET_RATE_TRIES
    connected, changed = events(uart.link)
    assert isinstance(connected, Connected)
    assert isinstance(changed, RateChanged)
    assert "did not say whether it can do 921600 baud" in changed.reason
    assert uart.link.codec is Codec.IMA_ADPCM


@pytest.mark.parametrize("frame_back_s", [0.0, 0.5, 1.5])
def test_a_rate_at_which_nothing_comes_through_is_given_up(uart: Uart, frame_back_s: float) -> None:
    """A baud mismatch: 115200 again within 2 s, and the message names it."""
    uart.at(0.0)
    uart.send(RateSet(WANTED))
    uart.baud = 2_000_000  # whatever it is, not what the host has
    uart.pass_time(TRIAL_S - 0.01)
    assert uart.link.baud == WANTED
    uart.pass_time(TRIAL_S + 0.01)
    assert uart.link.baud == START_BAUD
    uart.pass_time(TRIAL_S + frame_back_s)
    assert not events(uart.link), "not before the frame is heard"
    uart.baud = START_BAUD
    uart.pass_time(TRIAL_S + frame_back_s + 0.12)
    assert uart.now_s < 2.2
    connected, changed = events(uart.link)
    assert isinstance(connected, Connected)
    assert changed == RateChanged(
        START_BAUD,
        "nothing came through at 921600 baud, so the line is at 115200 baud; a lower rate may hold: --baud 460800",
    )


def test_a_frame_that_is_lost_with_the_switch_is_reported_with_the_rate(uart: Uart) -> None:
    uart.at(0.0)
    uart.send(RateSet(WANTED))
    uart.deaf = True
    uart.pass_time(3.1)
    (lost,) = events(uart.link)
    assert isinstance(lost, Disconnected)
    assert isinstance(lost.error, DeviceLost)
    assert "921600" in str(lost.error)
    assert lost.error.remedy.endswith("or stay at the first rate: --baud 115200")


def test_a_switched_rate_that_breaks_goes_back_and_the_session_goes_on(switched: Uart) -> None:
    call_id = switched.link.call(Method.GET_STATE, timeout_s=5.0)
    switched.pass_time(0.3)
    silent_since_s = switched.now_s
    switched.baud = 2_000_000
    switched.pass_time(silent_since_s + SILENCE_S - LIVELY_MS / 1000 - 0.05)
    assert switched.link.baud == WANTED
    switched.pass_time(silent_since_s + SILENCE_S + 0.02)
    assert switched.link.baud == START_BAUD
    switched.baud = START_BAUD
    switched.pass_time(silent_since_s + 6.0)
    changed, finished = events(switched.link)
    assert changed == RateChanged(
        START_BAUD,
        "nothing was understood at 921600 baud for 1 s, so the line is at 115200 baud;"
        " a lower rate may hold: --baud 460800",
    )
    assert isinstance(finished, CallFinished), "which the hand never answers"
    assert finished.call_id == call_id
    assert switched.link.state is State.OPEN
    assert switched.link.line_baud == START_BAUD


def test_a_switched_rate_is_pinged_at_least_every_250_ms(switched: Uart) -> None:
    since_s = switched.now_s
    heard = switched.pass_time(since_s + 5.0)
    assert 20 <= len(of(Ping, heard)) <= 21
    switched.link.send_audio(1, bytes(640), last=False)
    assert len(of(Ping, switched.pass_time(since_s + 10.0))) >= 20, "also while other things are sent"


def test_a_line_without_a_rate_has_a_heartbeat_only() -> None:
    hand = Hand(Link())
    hand.connect()
    pings = 0
    for step in range(1, 301):
        pings += len(of(Ping, hand.at(step * 0.01)))
        hand.send(Pong(0, 0))
    assert pings in (2, 3)


# ---- resets
def test_a_frame_that_is_reset_at_a_switched_rate_is_back_within_5_s(switched: Uart) -> None:
    call_id = switched.link.call(Method.SET_VOLUME, timeout_s=10.0)
    switched.pull()
    reset_s, switched.baud = switched.now_s, START_BAUD
    hello: list[Hello] = []
    while not hello:
        for message in switched.at(round(switched.now_s + 0.01, 3)):
            if not switched.understood:
                continue
            if isinstance(message, Ping):
                switched.send(Close(CloseReason.NO_SESSION))
                finished, lost = (e for e in events(switched.link) if not isinstance(e, RateChanged))
                assert isinstance(finished, CallFinished)
                assert (finished.call_id, type(finished.error)) == (call_id, OutcomeUnknown)
                assert isinstance(lost, Disconnected)
                assert "started anew" in str(lost.error)
                switched.link.start(0x77, switched.now_s)
            elif isinstance(message, Hello):
                hello.append(message)
        assert switched.now_s < reset_s + 3.0
    switched.session = 8
    switched._seq.clear()
    switched.send(switched.ack(0x77, boot_id=2, max_baud=2_000_000))
    switched.pass_time(switched.now_s + 0.2)
    assert [type(e) for e in events(switched.link)] == [Connected]
    assert switched.link.baud == WANTED
    assert switched.now_s < reset_s + 5.0


def test_a_frame_that_does_not_know_the_session_is_greeted_anew_at_once(uart: Uart) -> None:
    """Before our caller knows of a session there is nothing to tell."""
    uart.at(0.0)
    uart.send(Close(CloseReason.NO_SESSION))
    assert events(uart.link) == []
    (hello,) = of(Hello, uart.pull())
    assert hello.nonce != 0x1234
    assert uart.link.baud == START_BAUD


def test_a_handshake_is_always_at_the_first_rate(switched: Uart) -> None:
    switched.link.port_lost(DeviceLost("gone"))
    switched.link.start(9, switched.now_s)
    assert switched.link.baud == START_BAUD
    assert switched.link.line_baud == 0, "nobody has said yet that the line has one"


def test_the_farewell_goes_at_the_rate_of_the_session(switched: Uart) -> None:
    switched.link.close()
    assert switched.pull() == [Close(CloseReason.DONE)]
    assert switched.link.baud == WANTED


def test_our_own_question_coming_back_is_an_echo(switched: Uart) -> None:
    switched.send(SetRate(WANTED))
    (lost,) = events(switched.link)
    assert isinstance(lost, Disconnected)
    assert "echo" in str(lost.error)


def test_calls_wait_until_the_rate_is_settled(uart: Uart) -> None:
    with pytest.raises(Exception, match="settling the rate"):
        uart.link.call(Method.GET_STATE)
    uart.pass_time(0.1)
    uart.link.call(Method.GET_STATE)
    assert of(Call, uart.pull())


# ---- what follows from the rate
@pytest.mark.parametrize(
    ("baud", "chunk_bytes"), [(115_200, 92), (460_800, 368), (921_600, 737), (2_000_000, 1016), (57_600, 64)]
)
def test_a_chunk_is_8_ms_of_the_line(baud: int, chunk_bytes: int) -> None:
    rate = Rate(baud)
    rate.begin(2_000_000, 0.0)
    if baud != START_BAUD:
        rate.question(0.0)
        rate.answer(baud, 0, 0.0)
    assert rate.chunk_bytes == chunk_bytes


def test_a_chunk_of_a_line_without_a_rate_is_the_largest() -> None:
    assert Rate(WANTED).chunk_bytes == 1016


def test_the_line_takes_bulk_while_little_waits() -> None:
    load = LineLoad()
    assert load.takes_bulk_s < 0
    load.sent(1152, 115_200, 5.0)  # 100 ms
    assert load.takes_bulk_s == pytest.approx(5.075)
    load.sent(1152, 115_200, 5.05)
    assert load.takes_bulk_s == pytest.approx(5.175)
    load.sent(10_000, 0, 6.0)
    assert load.takes_bulk_s < 6.0
