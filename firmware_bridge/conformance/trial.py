"""What a case gets: a host on the port, what the frame declared, and the words for a verdict.

Knows how to open a session and how to ask and wait; which rules there are is the cases' business.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..link_sentences import echo, no_answer, refused
from ..messages import (
    HELLO_INTERVAL_MS,
    MINOR,
    START_BAUD,
    Call,
    Capability,
    Confirm,
    Credit,
    GetStateResult,
    Hello,
    HelloAck,
    Message,
    Method,
    Ping,
    Pong,
    Refuse,
    Reply,
    RpcStatus,
    Window,
)
from .host import Host, Received

M = TypeVar("M", bound=Message)

ANSWER_MS = 2000
"""What must come is waited for this long. Only a wait that fails takes so long; how long an answer took is a figure."""
QUIET_MS = 150
"""What must not come is waited for this long; a frame acts on what it hears within its 20 ms."""


class Violated(Exception):
    """The frame broke the rule; the text says what was seen."""


class Absent(Exception):
    """The frame does not declare what the case is about."""


@dataclass
class Trial:
    """One case's dealings with the frame.

    Attributes:
        declared: what the frame said of itself when the run began.
        departures: what works, but departs from a SHOULD or a figure.
        figures: measured; units in the names.
        wanted_baud: the highest rate to try.
    """

    host: Host
    declared: HelloAck
    rng: random.Random
    wanted_baud: int
    departures: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    # Verdicts.

    def check(self, holds: bool, seen: str) -> None:
        """A MUST. `seen` says what the frame did instead."""
        if not holds:
            raise Violated(seen)

    def should(self, holds: bool, seen: str) -> None:
        """A SHOULD, or a figure."""
        if not holds:
            self.departures.append(seen)

    def need(self, capability: Capability) -> None:
        """The case is about a part that the frame may lack."""
        if not self.declared.capabilities & capability:
            raise Absent(f"it declares no {capability.name.lower().replace('_', ' ') if capability.name else '?'}")

    def need_minor(self, minor: int) -> None:
        """The case is about what came with a later minor version."""
        if self.declared.minor < minor:
            raise Absent(f"it speaks protocol {self.declared.major}.{self.declared.minor}")

    def has(self, capability: Capability) -> bool:
        return bool(self.declared.capabilities & capability)

    def line_us(self, octets: int) -> float:
        """How long so many octets of payload take on the line, one way; 0 where it has no rate."""
        return 10e6 * (octets + 16) / self.host.baud if self.declared.max_baud else 0.0

    # Sessions.

    def nonce(self) -> int:
        return self.rng.getrandbits(32)

    def greet(self, nonce: int, minor: int = MINOR) -> HelloAck:
        """Hello until HelloAck; the host's frames belong to its session from now on."""
        if self.host.baud != START_BAUD:
            self.host.end_session()
        deadline_us = self.host.port.now_us + ANSWER_MS * 1000
        while self.host.port.now_us < deadline_us:
            mark = self.host.hello(nonce, minor=minor)
            found = self.host.wait(mark, HelloAck, HELLO_INTERVAL_MS, lambda ack: ack.nonce == nonce)
            if found is not None:
                self.host.begin_session(found[1].session)
                return found[1]
        raise Violated("Hello got no HelloAck")

    def connect(self, *, nonce: int | None = None, minor: int = MINOR, bulk_window: int = 0) -> HelloAck:
        """A session that is confirmed: Hello, HelloAck, Confirm, and the answer to a Ping."""
        nonce = self.nonce() if nonce is None else nonce
        self.host.keep_alive = False
        self.host.bulk_window = bulk_window or int(Window.BULK_UP)
        ack = self.greet(nonce, minor)
        mark = self.host.send(Confirm(nonce, bulk_window), Ping(1))
        self.expect(Credit, mark, "Confirm was not answered by a grant")
        self.host.keep_alive = True
        return ack

    # Asking and waiting.

    def find(
        self, kind: type[M], mark: int, timeout_ms: float = ANSWER_MS, where: Callable[[M], bool] = lambda _: True
    ) -> tuple[Received, M] | None:
        return self.host.wait(mark, kind, timeout_ms, where)

    def expect(
        self,
        kind: type[M],
        mark: int,
        missing: str = "",
        *,
        timeout_ms: float = ANSWER_MS,
        where: Callable[[M], bool] = lambda _: True,
    ) -> M:
        """What must come behind the mark. Raises Violated with `missing`."""
        found = self.host.wait(mark, kind, timeout_ms, where)
        if found is None:
            raise Violated(missing or f"no {kind.__name__} came within {timeout_ms:g} ms")
        return found[1]

    def call(self, method: Method | int, args: Message | bytes = b"") -> Reply:
        """Call once, without a retry, and wait for the reply."""
        call, mark = self.host.call(method, args)
        return self.reply(call, mark)

    def reply(self, call: Call, mark: int) -> Reply:
        """The reply to one call."""
        missing = f"the call {_name(call.method)} got no reply within {ANSWER_MS} ms"
        return self.expect(Reply, mark, missing, where=lambda reply: reply.call_id == call.call_id)

    def ok(self, method: Method, args: Message | bytes = b"") -> bytes:
        """A call that must succeed; returns its result."""
        reply = self.call(method, args)
        done = reply.status in (RpcStatus.OK, RpcStatus.ACCEPTED)
        self.check(done, f"{_name(method)} was answered by {status_name(reply.status)}")
        return reply.result

    def refused(self, status: RpcStatus, method: Method | int, args: Message | bytes = b"") -> None:
        """A call that must be answered by this error."""
        reply = self.call(method, args)
        seen = f"{_name(method)} was answered by {status_name(reply.status)} instead of {status_name(status)}"
        self.check(reply.status == status, seen)

    def state(self) -> GetStateResult:
        """What the frame says of itself. As replies keep their order, everything asked before has been answered."""
        return GetStateResult.unpack(self.ok(Method.GET_STATE))

    def answers(self, mark: int) -> list[Reply]:
        """Every reply behind the mark, once everything that was sent has had its chance; the last GetState excluded."""
        call, barrier = self.host.call(Method.GET_STATE)
        self.reply(call, barrier)
        return [reply for _, reply in self.host.since(mark, Reply) if reply.call_id != call.call_id]

    def alive(self, after: str) -> None:
        """The session goes on: a call is answered."""
        call, mark = self.host.call(Method.GET_STATE)
        found = self.find(Reply, mark, where=lambda reply: reply.call_id == call.call_id)
        self.check(found is not None, f"after {after} a call is not answered any more")

    def silent(self, mark: int, kinds: Sequence[type[Message]], after: str, quiet_ms: float = QUIET_MS) -> None:
        """None of these kinds may come behind the mark."""
        self.host.idle(quiet_ms)
        for kind in kinds:
            self.check(not self.host.since(mark, kind), f"{kind.__name__} came after {after}")


def first_greeting(host: Host, rng: random.Random, timeout_s: float) -> HelloAck:
    """Say Hello until somebody answers.

    Raises:
        DeviceNotFound: nobody does.
        RemoteProtocolError: what answers is no frame, or of another major version.
    """
    nonce = rng.getrandbits(32)
    deadline_us = host.port.now_us + round(timeout_s * 1e6)
    while host.port.now_us < deadline_us:
        mark = host.hello(nonce)
        found = host.wait(mark, Message, HELLO_INTERVAL_MS, lambda m: getattr(m, "nonce", None) == nonce)
        match found and found[1]:
            case HelloAck(session=session) as ack:
                host.begin_session(session)
                return ack
            case Refuse() as refusal:
                raise refused(refusal)
            case Hello():
                raise echo(host.port.name)
    raise no_answer(host.port.name, False, host.evidence(), timeout_s)


def grant_of(channel: int, allowed: int) -> Callable[[Credit], bool]:
    """Whether a grant is this one."""
    return lambda credit: credit.channel == channel and credit.allowed == allowed & 0xFFFF


def grant_beyond(channel: int, allowed: int) -> Callable[[Credit], bool]:
    """Whether a grant lets go what `allowed` did not."""
    return lambda credit: credit.channel == channel and 0 < (credit.allowed - allowed) & 0xFFFF < 0x8000


def pong_of(token: int) -> Callable[[Pong], bool]:
    """Whether a Pong answers the Ping with this token."""
    return lambda pong: pong.token == token


def status_name(status: int) -> str:
    known = {int(s): s.name for s in RpcStatus}
    return known.get(status, f"status {status}")


def _name(method: int) -> str:
    known = {int(m): "".join(word.capitalize() for word in m.name.split("_")) for m in Method}
    return known.get(method, f"method {method}")
