"""Runs cases against a port and says how each went.

Each case gets a frame without a session. Afterwards the frame is greeted once more: it must be there, and must not have
booted. Whatever happens, the frame is left without a session: microphone and camera off.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import BridgeError, DeviceLost
from ..messages import START_BAUD, Capability, HelloAck, LedKind
from .cases import Case
from .host import Host
from .port import Port
from .report import Report, Result, Verdict
from .trial import Absent, Trial, Violated, first_greeting

DRAIN_QUIET_MS = 40
"""Nothing for so long: what an old session had to say is over."""
DRAIN_MOST_MS = 1000


def declared_facts(ack: HelloAck) -> dict[str, Any]:
    """What a HelloAck says, as plain JSON."""
    parts = [part.name.lower() for part in Capability(ack.capabilities) if part.name]
    led_kinds = {int(kind): kind.name.lower() for kind in LedKind}
    return {
        "name": ack.name,
        "device_id": ack.device_id.hex(),
        "firmware_version": ack.firmware_version,
        "protocol": f"{ack.major}.{ack.minor}",
        "build_hash": f"{ack.build_hash:08x}",
        "schema_hash": f"{ack.schema_hash:08x}",
        "parts": parts,
        "led_kind": led_kinds.get(ack.led_kind, str(ack.led_kind)),
        "windows": {
            "rpc": ack.rpc_window,
            "speaker": ack.speaker_window,
            "bulk": ack.bulk_window,
            "test": ack.test_window,
        },
        "max_baud": ack.max_baud,
    }


class Conformance:
    """A run of cases.

    Args:
        port: is closed by `close`, and when there is no frame to test.
        seed: of nonces and damage.
        timeout_s: for the first greeting, and for a frame that may have to boot.
        wanted_baud: the highest rate to try; None: the highest that the frame declares.

    Raises:
        DeviceNotFound, RemoteProtocolError, DeviceLost: there is no frame to test.
    """

    def __init__(self, port: Port, *, seed: int = 1, timeout_s: float = 5.0, wanted_baud: int | None = None) -> None:
        self._port = port
        self._seed = seed
        self._timeout_s = timeout_s
        self._rng = random.Random(seed)
        port.set_baud(START_BAUD)
        self._host = Host(port)
        try:
            self.declared = self._greet()
        except BaseException:  # nobody else has the port
            port.close()
            raise
        self._wanted_baud = self.declared.max_baud if wanted_baud is None else min(wanted_baud, self.declared.max_baud)

    def run(self, cases: Sequence[Case], level: str, on_start: Callable[[Case], None] = lambda _: None) -> Report:
        """Run them all. Use `steps` to see each result as it comes."""
        report = self.new_report(level)
        for _ in self.steps(report, cases, on_start):
            pass
        return report

    def new_report(self, level: str) -> Report:
        return Report(declared_facts(self.declared), self._port.name, self._port.clock, level, self._seed)

    def steps(
        self, report: Report, cases: Sequence[Case], on_start: Callable[[Case], None] = lambda _: None
    ) -> Iterator[Result]:
        """Run one case after the other into `report`. Raises DeviceLost when the frame is gone for good."""
        for case in cases:
            on_start(case)
            result, gone = self._judge(case)
            report.results.append(result)
            yield result
            if gone is not None:
                raise gone
        report.complete = True

    def close(self) -> None:
        """End the session, whichever it is, and close the port."""
        with contextlib.suppress(BridgeError):
            self._leave()
        self._port.close()

    def _judge(self, case: Case) -> tuple[Result, BridgeError | None]:
        """Run one case; returns its result, and the error of a frame that is not there any more."""
        started_us = self._port.now_us
        trial = Trial(self._fresh_host(), self.declared, self._rng, self._wanted_baud)
        verdict, detail, gone = Verdict.OK, "", None
        try:
            case.run(trial)
            if trial.departures:
                verdict, detail = Verdict.NON_STRICT, "; ".join(trial.departures)
        except Absent as absent:
            verdict, detail = Verdict.UNIMPLEMENTED, str(absent)
        except Violated as violated:
            verdict, detail = Verdict.FAILED, str(violated)
        except BridgeError as error:
            verdict, detail, gone = Verdict.FAILED, str(error), error
        took_ms = (self._port.now_us - started_us) / 1000
        if gone is None:
            try:
                again = self._greet()
                if again.boot_id != self.declared.boot_id:
                    verdict, detail = Verdict.FAILED, f"the frame booted during this case. {detail}".rstrip()
                    self.declared = again
            except BridgeError:
                verdict = Verdict.FAILED
                detail = f"the frame does not answer Hello after this case. {detail}".rstrip()
                gone = DeviceLost(
                    f"The frame on {self._port.name} answers no more since case {case.number}.",
                    "Reset the frame; --json FILE keeps what was seen",
                )
        figures = dict(trial.figures)
        return (
            Result(case.number, case.title, case.section, str(case.level), verdict, detail, figures, took_ms),
            gone,
        )

    def _greet(self) -> HelloAck:
        """Who is there? A new session, which is closed again."""
        self._leave()
        self._host = Host(self._port)
        ack = first_greeting(self._host, self._rng, self._timeout_s)
        self._leave()
        return ack

    def _fresh_host(self) -> Host:
        self._host = Host(self._port)
        self._host.has_rate = self.declared.max_baud > 0
        return self._host

    def _leave(self) -> None:
        """Close the session of the present host, if it has one, and let the line fall silent."""
        self._host.end_session()
        self._host.keep_alive = self._host.acks_events = False
        self._host.drain(DRAIN_QUIET_MS, DRAIN_MOST_MS)
