"""Reading an object against a sender that skips, repeats, stalls and lies."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from lorgnette.firmware_bridge.bulk import ObjectRead
from lorgnette.firmware_bridge.errors import BridgeError, RemoteProtocolError, RequestRefused, RequestTimeout
from lorgnette.firmware_bridge.link_events import CallFinished, ObjectFailed, ObjectReceived
from lorgnette.firmware_bridge.messages import MAX_OBJECT_BYTES, BulkData, Method, ReadObjectResult, RpcStatus
from lorgnette.firmware_bridge.transfer import MAX_FRUITLESS, STALL_S

DATA = bytes(range(256)) * 20
CRC = zlib.crc32(DATA)


def answer(call_id: int, size: int = len(DATA), crc: int = CRC, error: BridgeError | None = None) -> CallFinished:
    result = ReadObjectResult(size, crc) if error is None else None
    return CallFinished(call_id, Method.READ_OBJECT, RpcStatus.OK, result, error)


def asked(read: ObjectRead, call_id: int) -> int | None:
    """Ask if there is something to ask; returns the offset."""
    offset = read.offset_to_ask()
    if offset is not None:
        read.asked(call_id)
    return offset


def error_of(read: ObjectRead) -> BridgeError:
    assert isinstance(read.outcome, ObjectFailed)
    return read.outcome.error


def reading() -> ObjectRead:
    read = ObjectRead(1)
    assert asked(read, 10) == 0
    read.receive_reply(answer(10), 0.0)
    return read


@given(st.lists(st.tuples(st.integers(0, 24), st.integers(1, 900)), max_size=60), st.randoms())
def test_whatever_is_lost_the_object_is_right(losses: list[tuple[int, int]], rng: object) -> None:
    """Frames vanish here and there; asking again from the first missing octet always completes the object."""
    read, now_s, call_id = ObjectRead(1), 0.0, 0
    lost = iter(losses)
    while read.outcome is None:
        call_id += 1
        offset = asked(read, call_id)
        if offset is None:
            now_s += STALL_S
            read.tick(now_s)
            continue
        read.receive_reply(answer(call_id), now_s)
        skip, size = next(lost, (999, 256))
        for number, at in enumerate(range(offset, len(DATA), size)):
            if number != skip:
                read.receive_data(BulkData(1, at, DATA[at : at + size]), now_s)
    assert read.outcome == ObjectReceived(1, DATA)


def test_data_before_the_answer_counts() -> None:
    read = ObjectRead(1)
    asked(read, 10)
    read.receive_data(BulkData(1, 0, DATA), 0.0)
    assert read.outcome is None
    read.receive_reply(answer(10), 0.0)
    assert read.outcome == ObjectReceived(1, DATA)


def test_an_empty_object() -> None:
    read = ObjectRead(1)
    asked(read, 10)
    read.receive_reply(answer(10, 0, 0), 0.0)
    assert read.outcome == ObjectReceived(1, b"")


def test_a_hole_is_asked_for_once_and_its_stragglers_are_tolerated() -> None:
    read = reading()
    read.receive_data(BulkData(1, 0, DATA[:256]), 0.0)
    for at in range(512, 2048, 256):
        read.receive_data(BulkData(1, at, DATA[at : at + 256]), 0.0)
    assert asked(read, 11) == 256
    read.receive_data(BulkData(1, 2048, DATA[2048:2304]), 0.0)
    read.receive_reply(answer(11), 0.0)
    read.receive_data(BulkData(1, 2304, DATA[2304:2560]), 0.0)
    assert asked(read, 12) is None
    read.receive_data(BulkData(1, 256, DATA[256:]), 0.0)
    assert read.outcome == ObjectReceived(1, DATA)
    assert read.restarts == 1


def test_pieces_that_overlap_are_fitted() -> None:
    read = reading()
    read.receive_data(BulkData(1, 0, DATA[:1000]), 0.0)
    read.receive_data(BulkData(1, 0, DATA[:500]), 0.0)
    read.receive_data(BulkData(1, 900, DATA[900:]), 0.0)
    assert read.outcome == ObjectReceived(1, DATA)


def test_pieces_of_another_object_are_none_of_ours() -> None:
    read = reading()
    read.receive_data(BulkData(2, 0, DATA), 0.0)
    assert read.outcome is None


def test_a_stall_asks_again_and_gives_up_in_the_end() -> None:
    read, now_s = reading(), 0.0
    for call_id in range(11, 11 + MAX_FRUITLESS):
        assert read.next_deadline() == now_s + STALL_S
        now_s += STALL_S
        read.tick(now_s)
        assert asked(read, call_id) == 0
        read.receive_reply(answer(call_id), now_s)
    read.tick(now_s + STALL_S)
    assert isinstance(error_of(read), RequestTimeout)
    assert read.next_deadline() is None


def test_a_wrong_checksum_is_read_once_more_and_then_reported() -> None:
    read = ObjectRead(1)
    for call_id in (10, 11):
        assert asked(read, call_id) == 0
        read.receive_reply(answer(call_id, crc=CRC ^ 1), 0.0)
        read.receive_data(BulkData(1, 0, DATA), 0.0)
    assert isinstance(error_of(read), RemoteProtocolError)


def test_a_frame_that_promises_too_much() -> None:
    read = ObjectRead(1)
    asked(read, 10)
    read.receive_reply(answer(10, MAX_OBJECT_BYTES + 1), 0.0)
    assert isinstance(error_of(read), RemoteProtocolError)


def test_a_frame_that_sends_more_than_it_promised() -> None:
    read = reading()
    read.receive_data(BulkData(1, 0, DATA + b"x"), 0.0)
    assert isinstance(error_of(read), RemoteProtocolError)


def test_a_frame_that_never_says_how_much_cannot_fill_the_memory() -> None:
    read = ObjectRead(1)
    asked(read, 10)
    at = 0
    while read.outcome is None:
        read.receive_data(BulkData(1, at, bytes(65_536)), 0.0)
        at += 65_536
    assert at <= MAX_OBJECT_BYTES + 65_536
    assert isinstance(error_of(read), RemoteProtocolError)


def test_a_frame_that_changes_its_mind() -> None:
    read = reading()
    read.tick(STALL_S)
    asked(read, 11)
    read.receive_reply(answer(11, 7), STALL_S)
    assert isinstance(error_of(read), RemoteProtocolError)


def test_a_refusal_ends_the_read_and_a_timeout_does_not() -> None:
    read = ObjectRead(1)
    asked(read, 10)
    read.receive_reply(answer(10, error=RequestTimeout("late")), 0.0)
    assert asked(read, 11) == 0
    read.receive_reply(answer(11, error=RequestRefused("gone", RpcStatus.NOT_FOUND)), 0.0)
    assert isinstance(error_of(read), RequestRefused)
