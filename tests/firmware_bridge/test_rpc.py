"""The table of requests alone: order, retries, and the limits that keep a call from running twice."""

from __future__ import annotations

import pytest

from lorgnette.firmware_bridge.errors import DeviceLost, LocalProtocolError, OutcomeUnknown, RequestRefused
from lorgnette.firmware_bridge.frame import Frame
from lorgnette.firmware_bridge.messages import (
    RPC_MAX_WIRE_BYTES,
    RPC_REPLIES_KEPT,
    RPC_TRIES,
    Call,
    Channel,
    GetStateResult,
    Message,
    Method,
    Reply,
    RpcStatus,
    SetVolumeArgs,
)
from lorgnette.firmware_bridge.rpc import MAX_ARGS_BYTES, CallTable


class Args(Message):
    """Arguments of a given length."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def pack(self) -> bytes:
        return self._packed


def sent(table: CallTable, now_s: float = 0.0) -> list[tuple[int, bool]]:
    """Every call that may go now: (id, is it a retry)."""
    out = []
    while table.wants_to_send:
        call, again = table.next_call(now_s)
        out.append((call.call_id, again))
    return out


def ok(call_id: int) -> Reply:
    return Reply(call_id, Method.GET_STATE, RpcStatus.OK, b"\x01")


def start(table: CallTable, timeout_s: float = 10.0) -> int:
    return table.start(Method.GET_STATE, None, 0.0, timeout_s)


@pytest.mark.parametrize("octet", [0, 0x55])
def test_the_longest_arguments_just_fit_the_wire_limit(octet: int) -> None:
    def wire_bytes(args: int) -> int:
        payload = b"\1" + Call(0x5555, 5, bytes([octet]) * args).pack()
        return 1 + len(Frame(Channel.RPC, 0x55, 0x5555, 0x5555, payload).encode())  # with a leading delimiter

    table = CallTable()
    table.start(Method.SET_VOLUME, Args(bytes(MAX_ARGS_BYTES)), 0.0, 1.0)
    with pytest.raises(LocalProtocolError, match="exceed"):
        table.start(Method.SET_VOLUME, Args(bytes(MAX_ARGS_BYTES + 1)), 0.0, 1.0)
    assert wire_bytes(MAX_ARGS_BYTES) <= RPC_MAX_WIRE_BYTES
    assert RPC_MAX_WIRE_BYTES - wire_bytes(MAX_ARGS_BYTES) <= 1, "not a smaller limit than need be"


@pytest.mark.parametrize("percent", [256, -1])
def test_a_value_that_does_not_fit_its_field_is_our_callers_bug(percent: int) -> None:
    table = CallTable()
    with pytest.raises(LocalProtocolError, match="arguments of set volume do not fit"):
        table.start(Method.SET_VOLUME, SetVolumeArgs(percent), 0.0, 1.0)
    assert not table.wants_to_send
    assert table.next_deadline() is None


def test_answers_out_of_order_find_their_calls() -> None:
    table = CallTable()
    first, second = start(table), start(table)
    sent(table)
    answers = [table.receive(ok(second), 0.1), table.receive(ok(first), 0.1)]
    assert [a.call_id for a in answers if a] == [second, first]
    assert isinstance(answers[0] and answers[0].result, GetStateResult)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(99, Method.GET_STATE, RpcStatus.OK, b""),
        Reply(1, Method.SET_MUTE, RpcStatus.OK, b""),
        Reply(1, Method.GET_STATE, RpcStatus.PENDING, b""),
    ],
    ids=["of another call", "of another method", "pending"],
)
def test_an_answer_that_ends_nothing(reply: Reply) -> None:
    table = CallTable()
    start(table)
    sent(table)
    assert table.receive(reply, 0.0) is None
    assert table.receive(ok(1), 0.0) is not None
    assert table.receive(ok(1), 0.0) is None, "once"


def test_an_answer_to_what_was_not_sent_is_no_answer() -> None:
    table = CallTable()
    call_id = start(table)
    assert table.receive(ok(call_id), 0.0) is None


def test_retries_come_first_and_keep_their_id() -> None:
    table = CallTable()
    first = start(table)
    assert sent(table, 0.0) == [(first, False)]
    second = start(table)
    assert table.tick(0.19) == []
    assert sent(table, 0.19) == [(second, False)]
    table.tick(0.2)
    assert table.next_deadline() == pytest.approx(0.39)
    assert sent(table, 0.2) == [(first, True)]


def test_pending_after_the_last_try_starts_the_tries_anew() -> None:
    table = CallTable()
    call_id = start(table)
    for number in range(RPC_TRIES):
        table.tick(number * 0.2)
        assert sent(table, number * 0.2) == [(call_id, number > 0)]
    table.tick(0.8)
    assert sent(table, 0.8) == [], "no fifth try"
    table.receive(Reply(call_id, Method.GET_STATE, RpcStatus.PENDING, b""), 0.9)
    assert table.next_deadline() == pytest.approx(1.1)
    table.tick(1.1)
    assert sent(table, 1.1) == [(call_id, True)]


def test_pending_while_a_retry_waits_for_credit_asks_no_second_time() -> None:
    table = CallTable()
    call_id = start(table)
    sent(table)
    table.tick(0.2)
    table.receive(Reply(call_id, Method.GET_STATE, RpcStatus.PENDING, b""), 0.25)
    table.tick(0.5)
    assert sent(table, 0.5) == [(call_id, True)]


def test_a_call_never_runs_ahead_of_what_the_frame_remembers() -> None:
    """With one call unanswered, at most 31 newer ones go out: its kept reply cannot be pushed out of the cache."""
    table = CallTable()
    stuck = start(table)
    sent(table)
    ahead = []
    for _ in range(3 * RPC_REPLIES_KEPT):
        call_id = start(table)
        for number, _ in sent(table):
            ahead.append(number)
            table.receive(ok(number), 0.0)
        if call_id not in ahead:
            break
    assert ahead == list(range(stuck + 1, stuck + RPC_REPLIES_KEPT))
    table.receive(ok(stuck), 0.0)
    assert sent(table) == [(stuck + RPC_REPLIES_KEPT, False)]


@pytest.mark.parametrize("status", [s for s in RpcStatus if s >= RpcStatus.UNKNOWN_METHOD])
def test_every_refusal_has_a_sentence_and_a_remedy(status: RpcStatus) -> None:
    table = CallTable()
    call_id = start(table)
    sent(table)
    finished = table.receive(Reply(call_id, Method.GET_STATE, status, b""), 0.0)
    assert finished is not None
    assert isinstance(finished.error, RequestRefused)
    assert finished.error.status == status
    assert '"get state"' in str(finished.error)
    assert finished.error.remedy


def test_a_status_of_a_later_version_is_a_failure() -> None:
    table = CallTable()
    call_id = start(table)
    sent(table)
    finished = table.receive(Reply(call_id, Method.GET_STATE, 200, b""), 0.0)
    assert finished is not None
    assert finished.status == RpcStatus.FAILED


def test_the_end_of_the_session_tells_sent_from_unsent() -> None:
    table = CallTable()
    start(table)
    sent(table)
    start(table)
    first, second = table.fail_all()
    assert isinstance(first.error, OutcomeUnknown)
    assert isinstance(second.error, DeviceLost)
    assert table.next_deadline() is None
    assert not table.wants_to_send
