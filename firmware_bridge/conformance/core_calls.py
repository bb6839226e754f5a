"""Core cases: requests. Each runs at most once, and its reply says what became of it."""

from __future__ import annotations

from ..messages import (
    RPC_MAX_WIRE_BYTES,
    RPC_REPLIES_KEPT,
    Call,
    Capability,
    Channel,
    DropObjectArgs,
    Flag,
    GetStatsResult,
    Method,
    ReadObjectArgs,
    Reply,
    RpcStatus,
    SetVolumeArgs,
    Window,
)
from .cases import case
from .trial import Trial, status_name

CALL_OVERHEAD_BYTES = 17
"""Of a call's frame on the wire without its arguments: header, type, id, method, CRC, COBS and the zero."""
PARTS = {
    Capability.MICROPHONE: (Method.CAPTURE_START, Method.CAPTURE_STOP),
    Capability.SPEAKER: (Method.SET_VOLUME, Method.SET_MUTE, Method.FLUSH_SPEAKER),
    Capability.CAMERA: (Method.TAKE_PHOTO,),
}


@case("C-29", "a call runs at most once", 8)
def at_most_once(t: Trial) -> None:
    """A call_id that the frame knows is not run again: the kept reply comes again, whatever the retry says."""
    t.connect()
    call, mark = t.host.call(Method.GET_STATE)
    first = t.reply(call, mark)
    t.host.idle(100)  # were it run again, uptime and counts would differ
    for method, args in ((Method.GET_STATE, b""), (Method.SET_VOLUME, b"\x0b"), (Method.DROP_OBJECT, b"\1\0")):
        mark = t.host.send(Call(call.call_id, method, args), flags=Flag.RETRY)
        again = t.reply(call, mark)
        t.check(again == first, f"the retry of a call was answered by another reply: it ran again ({again.method})")


@case("C-30", "the last 32 replies are kept", 8)
def replies_kept(t: Trial) -> None:
    """A retry of any of the last 32 calls gets the reply that was kept."""
    t.connect()
    kept = []
    for _ in range(RPC_REPLIES_KEPT):
        call, mark = t.host.call(Method.GET_STATE)
        kept.append((call, t.reply(call, mark)))
    for age, (call, first) in enumerate(reversed(kept)):
        mark = t.host.send(call, flags=Flag.RETRY)
        t.check(t.reply(call, mark) == first, f"the reply of {age + 1} calls ago was not kept")


@case("C-31", "a whole window of calls at once", 8)
def whole_window(t: Trial) -> None:
    """As many calls as the window holds, sent in one piece, are all run and answered in their order."""
    ack = t.connect()
    t.check(ack.rpc_window <= Window.RPC, f"a window of {ack.rpc_window} slots does not fit the receive ring")
    for _ in range(3):
        calls = [t.host.next_call(Method.GET_STATE) for _ in range(ack.rpc_window)]
        mark = t.host.send(*calls)
        t.reply(calls[-1], mark)
        answered = [reply.call_id for _, reply in t.host.since(mark, Reply)]
        t.check(answered == [call.call_id for call in calls], f"{len(calls)} calls were answered as {answered}")


@case("C-32", "an unknown method is answered", 8)
def unknown_method(t: Trial) -> None:
    """A method that the frame does not know gets a reply with UNKNOWN_METHOD, its number, and no result."""
    t.connect()
    for method in (0, 99, 200, 255):
        reply = t.call(method, b"abc")
        seen = f"method {method} was answered by {status_name(reply.status)}, method {reply.method}"
        t.check((reply.method, reply.status) == (method, RpcStatus.UNKNOWN_METHOD), seen)
        t.check(reply.result == b"", f"method {method} has a result")


@case("C-33", "bad arguments are refused", 8)
def bad_arguments(t: Trial) -> None:
    """Arguments that name nothing or lie outside their range are answered by an error, and change nothing."""
    t.connect()
    t.refused(RpcStatus.NOT_FOUND, Method.READ_OBJECT, ReadObjectArgs(0xFFFE, 0))
    t.refused(RpcStatus.NOT_FOUND, Method.READ_OBJECT)  # no argument reads as object 0, which there never is
    t.refused(RpcStatus.NOT_FOUND, Method.DROP_OBJECT, DropObjectArgs(0))
    if t.has(Capability.SPEAKER):
        before = t.state().volume_percent
        for percent in (101, 255):
            t.refused(RpcStatus.BAD_ARGUMENT, Method.SET_VOLUME, SetVolumeArgs(percent))
        t.check(t.state().volume_percent == before, "a refused volume was set all the same")


@case("C-34", "the longest call", 8)
def longest_call(t: Trial) -> None:
    """A call of 280 octets on the wire is run; a longer one is dropped, and the session goes on."""
    t.connect()
    longest = RPC_MAX_WIRE_BYTES - CALL_OVERHEAD_BYTES - 1  # COBS adds one octet to what is longer than 254
    t.ok(Method.GET_STATE, bytes(longest))
    for args in (longest + 2, 500, 1000):
        mark = t.host.send(t.host.next_call(Method.GET_STATE, bytes(args)))
        t.check(not t.answers(mark), f"a call with {args} octets of arguments, more than its slot holds, was run")


@case("C-35", "the parts are what it declares", 8)
def parts(t: Trial) -> None:
    """The methods of a part that is not declared answer UNSUPPORTED; those of a declared one do not."""
    t.connect()
    for part, methods in PARTS.items():
        for method in methods:
            if t.has(part):
                if method in (Method.CAPTURE_STOP, Method.FLUSH_SPEAKER):  # they change nothing here
                    t.ok(method)
            else:
                t.refused(RpcStatus.UNSUPPORTED, method)
    window = t.declared.speaker_window
    t.check(bool(window) == t.has(Capability.SPEAKER), f"the window for speaker audio is {window}")


@case("C-36", "replies keep their order", 8)
def reply_order(t: Trial) -> None:
    """Replies leave in the order in which the calls came, errors among them."""
    t.connect()
    methods = (Method.GET_STATE, 99, Method.DROP_OBJECT, Method.GET_STATE, 200, Method.GET_STATE)
    calls = [t.host.next_call(method) for method in methods]
    mark = t.host.send(*calls)
    t.reply(calls[-1], mark)
    answered = [reply.call_id for _, reply in t.host.since(mark, Reply)]
    t.check(answered == [call.call_id for call in calls], "replies came in another order than their calls")


@case("C-37", "GetStats counts", 8)
def statistics(t: Trial) -> None:
    """GetStats counts frames, damage, duplicates and foreign frames since boot, and agrees with GetState."""
    t.need_minor(1)
    t.connect()
    before = GetStatsResult.unpack(t.ok(Method.GET_STATS))
    call = t.host.pack(t.host.next_call(Method.GET_STATE))
    foreign = t.host.pack(t.host.next_call(Method.GET_STATE), seq=3, session=t.host.session ^ 0x5555)
    t.host.write(b"\0" + call + call + foreign + b"no frame\0" + t.host.pack_payload(200, b"x"))
    after = GetStatsResult.unpack(t.ok(Method.GET_STATS))
    counted = {
        "rx_frames": (after.rx_frames - before.rx_frames, 5),
        "rx_bad_frames": (after.rx_bad_frames - before.rx_bad_frames, 1),
        "rx_foreign_frames": (after.rx_foreign_frames - before.rx_foreign_frames, 1),
        "rx_duplicate_frames": (after.rx_duplicate_frames - before.rx_duplicate_frames, 1),
        "rx_refused_frames": (after.rx_refused_frames - before.rx_refused_frames, 1),
    }
    for name, (seen, expected) in counted.items():
        t.check(seen == expected, f"{name} went up by {seen} instead of {expected}")
    t.check(after.sessions > 0, "it has counted no session")
    t.host.skip_to(Channel.RPC, t.host.last_seq(Channel.RPC) + 3)
    lost = GetStatsResult.unpack(t.ok(Method.GET_STATS)).rx_lost_frames - after.rx_lost_frames
    t.check(lost == 3, f"rx_lost_frames went up by {lost} where 3 numbers were left out")
    state = t.state()
    last = GetStatsResult.unpack(t.ok(Method.GET_STATS))
    t.check(last.rx_frames - state.rx_frames == 1, "GetState and GetStats count frames differently")
    t.figures["loop_worst_ms"] = last.loop_worst_us / 1000
    t.figures["rx_overruns"] = last.rx_overruns
    t.should(last.rx_overruns == 0, f"its receive ring lost octets {last.rx_overruns} times since boot")
