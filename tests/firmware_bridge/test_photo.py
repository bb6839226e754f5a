"""Taking a photo when its messages come in another order, or not at all."""

from __future__ import annotations

import zlib

import pytest
from tests.support.wire import Hand

from lorgnette.firmware_bridge.device_core import DeviceCore
from lorgnette.firmware_bridge.errors import BridgeError, DeviceLost, RequestRefused, RequestTimeout
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.messages import (
    BulkData,
    Call,
    Close,
    Hello,
    Message,
    Method,
    PhotoEvent,
    PhotoStatus,
    Ping,
    Pong,
    ReadObjectResult,
    Reply,
    RpcStatus,
    TakePhotoResult,
)

PICTURE = b"\xff\xd8 a picture \xff\xd9"


class Rig:
    """A device's core with a hand at the other end of the wire, and one photo asked for."""

    def __init__(self, timeout_s: float = 10.0) -> None:
        self.core = DeviceCore(Link(), lambda: 5, 5.0)
        self.hand = Hand(self.core.link)
        self.outcomes: list[bytes | BridgeError] = []
        self.core.port_opened(0.0)
        (hello,) = [m for m in self.hand.pull() if isinstance(m, Hello)]
        self.hand.send(self.hand.ack(hello.nonce, rpc_window=200))
        (ping,) = [m for m in self.hand.pull() if isinstance(m, Ping)]
        self.send(Pong(ping.token, 0))
        self.core.post_photo(self.outcomes.append, timeout_s)
        (self.take,) = self.calls()

    def send(self, *messages: Message) -> None:
        self.hand.send(*messages)
        self.core.deliver()

    def calls(self) -> list[Call]:
        return [m for m in self.hand.pull() if isinstance(m, Call)]

    def at(self, now_s: float) -> list[Call]:
        """Let time pass in small steps, the frame alive; returns the calls that the host made."""
        made: list[Call] = []
        while self.hand.now_s < now_s:
            self.hand.now_s = min(now_s, self.hand.now_s + 0.1)
            self.hand.send(Pong(0, 0))
            self.core.tick(self.hand.now_s)
            self.core.deliver()
            made += self.calls()
        return made

    def accept(self, object_id: int = 1) -> None:
        self.send(Reply(self.take.call_id, Method.TAKE_PHOTO, RpcStatus.ACCEPTED, TakePhotoResult(object_id).pack()))

    def answer_read(self, call: Call) -> None:
        assert call.method == Method.READ_OBJECT
        result = ReadObjectResult(len(PICTURE), zlib.crc32(PICTURE)).pack()
        self.send(Reply(call.call_id, Method.READ_OBJECT, RpcStatus.OK, result), BulkData(1, 0, PICTURE))

    def refuse(self, call: Call, status: RpcStatus) -> None:
        self.send(Reply(call.call_id, call.method, status, b""))

    @property
    def error(self) -> BridgeError:
        (outcome,) = self.outcomes
        assert isinstance(outcome, BridgeError)
        return outcome


def test_as_it_should_be() -> None:
    rig = Rig()
    rig.accept()
    assert rig.calls() == []
    rig.send(PhotoEvent(1, PhotoStatus.OK, len(PICTURE), 0))
    (read,) = rig.calls()
    rig.answer_read(read)
    assert rig.outcomes == [PICTURE]


def test_the_event_may_overtake_the_reply() -> None:
    rig = Rig()
    rig.send(PhotoEvent(1, PhotoStatus.OK, len(PICTURE), 0))
    rig.accept()
    (read,) = rig.calls()
    rig.answer_read(read)
    assert rig.outcomes == [PICTURE]


def test_the_event_of_another_photo_is_not_ours() -> None:
    rig = Rig()
    rig.send(PhotoEvent(7, PhotoStatus.NO_CAMERA, 0, 0))
    rig.accept()
    rig.send(PhotoEvent(8, PhotoStatus.OK, 9, 0))
    assert rig.calls() == []
    assert rig.outcomes == []


def test_a_lost_event_is_made_up_for_by_asking() -> None:
    rig = Rig()
    rig.accept()
    assert rig.at(1.4) == []
    (read,) = rig.at(1.6)
    rig.answer_read(read)
    assert rig.outcomes == [PICTURE]


@pytest.mark.parametrize("status", [RpcStatus.BUSY, RpcStatus.NOT_FOUND])
def test_asking_too_early_is_asking_again(status: RpcStatus) -> None:
    rig = Rig()
    rig.accept()
    (read,) = rig.at(1.6)
    rig.refuse(read, status)
    assert rig.at(2.0) == [], "above all no DropObject: it could arrive when the photo has just become ready"
    (again,) = rig.at(2.3)
    rig.answer_read(again)
    assert rig.outcomes == [PICTURE]


@pytest.mark.parametrize("status", [s for s in PhotoStatus if s != PhotoStatus.OK])
@pytest.mark.parametrize("asked", [False, True], ids=["at once", "while the picture is asked for"])
def test_a_failed_photo_says_why(status: PhotoStatus, asked: bool) -> None:
    rig = Rig()
    rig.accept()
    assert len(rig.at(1.6 if asked else 0.5)) == asked
    rig.send(PhotoEvent(1, status, 0, 0))
    assert isinstance(rig.error, RequestRefused)
    assert rig.error.remedy


def test_a_status_of_a_later_version_is_a_failure() -> None:
    rig = Rig()
    rig.accept()
    rig.send(PhotoEvent(1, 99, 0, 0))
    assert isinstance(rig.error, RequestRefused)


def test_a_refused_photo() -> None:
    rig = Rig()
    rig.refuse(rig.take, RpcStatus.UNSUPPORTED)
    assert isinstance(rig.error, RequestRefused)
    assert rig.error.status == RpcStatus.UNSUPPORTED


def test_a_photo_that_never_comes_ends_with_its_timeout() -> None:
    rig = Rig(timeout_s=1.0)
    rig.accept()
    rig.at(1.1)
    assert isinstance(rig.error, RequestTimeout)


def test_a_photo_that_comes_too_slowly_is_let_go() -> None:
    rig = Rig(timeout_s=1.0)
    rig.accept()
    rig.send(PhotoEvent(1, PhotoStatus.OK, 9, 0))
    made = rig.calls() + rig.at(1.1)
    assert isinstance(rig.error, RequestTimeout)
    assert (made[0].method, made[-1].method) == (Method.READ_OBJECT, Method.DROP_OBJECT)
    outcomes: list[bytes | BridgeError] = []
    rig.core.post_photo(outcomes.append, 5.0)
    (rig.take,) = rig.calls()
    rig.accept()
    rig.send(PhotoEvent(1, PhotoStatus.OK, 9, 0))
    (read,) = rig.calls()
    rig.answer_read(read)
    assert outcomes == [PICTURE], "the next photo finds the way free"


@pytest.mark.parametrize("reached", ["asked", "exposing", "reading"])
def test_a_session_that_ends_ends_the_photo(reached: str) -> None:
    rig = Rig()
    if reached != "asked":
        rig.accept()
    if reached == "reading":
        rig.send(PhotoEvent(1, PhotoStatus.OK, 9, 0))
        rig.calls()
    rig.send(Close(0))
    assert isinstance(rig.error, BridgeError)


def test_closing_ends_the_photo() -> None:
    rig = Rig()
    rig.accept()
    rig.core.link.close()
    rig.core.end()
    assert isinstance(rig.error, DeviceLost)
