"""The link's state table, as data: what each state accepts and where it leads. Knows no message, octet or time."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    IDLE = "no session"
    GREETING = "saying Hello"
    CONFIRMING = "waiting for the session's first frame"
    SETTLING = "settling the rate"
    OPEN = "open"
    CLOSED = "closed for good"


class Input(Enum):
    # what our caller does
    START = "start()"
    CLOSE = "close()"
    PORT_LOST = "port_lost()"
    CALL = "call()"
    SEND_AUDIO = "send_audio()"
    READ_OBJECT = "read_object()"
    WRITE_OBJECT = "write_object()"
    # what the peer does, or fails to do
    HELLO_ACK = "HelloAck"
    REFUSED = "Refuse"
    UNCONFIRMED = "the frame does not know the session"
    SESSION_FRAME = "a frame of the session"
    RATE_SETTLED = "the rate is settled"
    PEER_CLOSED = "Close"
    OUT_OF_ROLE = "a message that only hosts send"
    TIMED_OUT = "no answer"
    SILENT = "silence"


# What each state accepts and where it leads. A missing key is the error: LocalProtocolError for our caller; for the
# peer the frame is counted and dropped, since it may be late or meant for somebody else.
TRANSITIONS: dict[State, dict[Input, State]] = {
    State.IDLE: {
        Input.START: State.GREETING,
        Input.PORT_LOST: State.IDLE,
        Input.CLOSE: State.CLOSED,
    },
    State.GREETING: {
        Input.START: State.GREETING,
        Input.HELLO_ACK: State.CONFIRMING,
        Input.REFUSED: State.IDLE,
        Input.OUT_OF_ROLE: State.IDLE,
        Input.TIMED_OUT: State.IDLE,
        Input.PORT_LOST: State.IDLE,
        Input.CLOSE: State.CLOSED,
    },
    State.CONFIRMING: {
        Input.START: State.GREETING,
        Input.HELLO_ACK: State.CONFIRMING,  # the answer to a Hello that was repeated: nothing new
        Input.SESSION_FRAME: State.SETTLING,
        Input.UNCONFIRMED: State.GREETING,  # the frame may have booted since its HelloAck, and know no session
        Input.PEER_CLOSED: State.IDLE,
        Input.TIMED_OUT: State.IDLE,
        Input.PORT_LOST: State.IDLE,
        Input.CLOSE: State.CLOSED,
    },
    State.SETTLING: {  # confirmed; our caller does not know yet, so that nothing is under way while the rate changes
        Input.START: State.GREETING,
        Input.HELLO_ACK: State.SETTLING,
        Input.SESSION_FRAME: State.SETTLING,
        Input.RATE_SETTLED: State.OPEN,
        Input.UNCONFIRMED: State.GREETING,
        Input.PEER_CLOSED: State.IDLE,
        Input.SILENT: State.IDLE,
        Input.OUT_OF_ROLE: State.IDLE,
        Input.PORT_LOST: State.IDLE,
        Input.CLOSE: State.CLOSED,
    },
    State.OPEN: {
        Input.START: State.GREETING,
        Input.HELLO_ACK: State.OPEN,
        Input.SESSION_FRAME: State.OPEN,
        Input.CALL: State.OPEN,
        Input.SEND_AUDIO: State.OPEN,
        Input.READ_OBJECT: State.OPEN,
        Input.WRITE_OBJECT: State.OPEN,
        Input.PEER_CLOSED: State.IDLE,
        Input.SILENT: State.IDLE,
        Input.OUT_OF_ROLE: State.IDLE,
        Input.PORT_LOST: State.IDLE,
        Input.CLOSE: State.CLOSED,
    },
    State.CLOSED: {
        Input.PORT_LOST: State.CLOSED,
        Input.CLOSE: State.CLOSED,
    },
}
