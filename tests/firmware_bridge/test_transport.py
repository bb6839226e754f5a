"""Ports that cannot be opened, or that behave badly: each gives one sentence and a command that helps."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import serial

from lorgnette.firmware_bridge import port_errors, transport
from lorgnette.firmware_bridge.errors import (
    DeviceBusy,
    DeviceLost,
    DeviceNotFound,
    DevicePermission,
    SimulatorUnavailable,
    TransportError,
    VersionMismatch,
)
from lorgnette.firmware_bridge.port_errors import open_error, unanswered
from lorgnette.firmware_bridge.port_holder import Holder
from lorgnette.firmware_bridge.sim_transport import SimTransport
from lorgnette.firmware_bridge.simulator import core
from lorgnette.firmware_bridge.socket_transport import SocketTransport
from lorgnette.firmware_bridge.transport import SerialPort, SerialTransport, open_transport

posix = pytest.mark.skipif(os.name != "posix", reason="needs pseudo terminals")

HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def terminal() -> tuple[int, str]:
    master, slave = os.openpty()
    return master, os.ttyname(slave)


# ---- opening
def test_a_missing_port_names_what_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "list_serial_ports", lambda: [SerialPort("/dev/ttyS9", "", None, None, "")])
    with pytest.raises(DeviceNotFound, match=r"There is no port /dev/ttyNOPE\. There is /dev/ttyS9\.") as caught:
        open_transport("/dev/ttyNOPE")
    assert "lorgnette devices" in caught.value.remedy
    assert "sim://" in caught.value.remedy


def test_a_missing_port_on_a_machine_without_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "list_serial_ports", list)
    with pytest.raises(DeviceNotFound, match=r"There is no serial port at all\."):
        open_transport("COM77" if os.name == "nt" else "/dev/ttyNOPE")


def test_brltty_is_named_when_it_may_have_taken_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_errors, "is_running", lambda name: name == "brltty")
    with pytest.raises(DeviceNotFound, match="brltty") as caught:
        open_transport("/dev/ttyNOPE")
    assert "sudo apt remove brltty" in caught.value.remedy


@posix
def test_a_file_is_no_serial_port(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hello")
    for port in (str(file), str(tmp_path), "/dev/null"):
        with pytest.raises(DeviceNotFound) as caught:
            open_transport(port)
        assert str(caught.value) == f"{port} is no serial port."
    assert file.read_bytes() == b"hello"


def test_a_reason_is_told_in_words() -> None:
    assert str(open_error("/dev/ttyS0", OSError(errno.ENOMEM, "x"))) == (
        f"/dev/ttyS0 cannot be used as a serial port: {os.strerror(errno.ENOMEM).lower()}."
    )
    try:
        try:
            raise RuntimeError(errno.EIO, "Input/output error")  # as termios.error, which is no OSError
        except RuntimeError:
            raise serial.SerialException("Could not configure port: (5, 'Input/output error')")  # noqa: B904
    except serial.SerialException as error:
        told = str(open_error("/dev/ttyS0", error))
    assert told == f"/dev/ttyS0 cannot be used as a serial port: {os.strerror(errno.EIO).lower()}."


@posix
def test_a_port_that_another_program_holds_is_named_with_it(terminal: tuple[int, str]) -> None:
    _, name = terminal
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DeviceBusy, match=rf"^{name} is in use by .*\(process {holder.pid}, since ") as caught:
            open_transport(name)
        assert caught.value.remedy == f"Close that program, or end it: kill {holder.pid}"
        assert holder.stdin is not None
        holder.stdin.close()


@posix
def test_a_port_that_we_hold_ourselves_is_busy(terminal: tuple[int, str]) -> None:
    _, name = terminal
    first = open_transport(name)
    with pytest.raises(DeviceBusy, match="Another program holds"):
        open_transport(name)
    first.close()
    open_transport(name).close()


@pytest.mark.parametrize(("program", "remedy"), [("ModemManager", "systemctl stop ModemManager"), ("brltty", "apt")])
def test_the_usual_culprits_have_their_own_remedy(program: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_errors, "holder_of", lambda port: Holder(42, program, "", None))
    error = open_error("/dev/ttyACM0", OSError(errno.EBUSY, "busy"))
    assert str(error) == f"/dev/ttyACM0 is in use by {program} (process 42)."
    assert remedy in error.remedy
    # It runs as root: what it has open cannot be seen, but that it runs can.
    monkeypatch.setattr(port_errors, "holder_of", lambda port: None)
    monkeypatch.setattr(port_errors, "is_running", lambda name: name == program)
    error = open_error("/dev/ttyACM0", OSError(errno.EBUSY, "busy"))
    assert str(error).startswith(f"Another program holds /dev/ttyACM0. It may be {program},")
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("argv", "again"), [(["/usr/bin/python3", "/bin/lorgnette", "frame", "photo"], "lorgnette frame photo"), ([], "")]
)
@pytest.mark.parametrize(
    ("command", "instead"), [("lorgnette run", "Ask it by voice"), ("lorgnette speak", "Wait until it ends")]
)
def test_another_lorgnette_is_asked_or_waited_for(
    command: str, instead: str, argv: list[str], again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", argv)
    monkeypatch.setattr(port_errors, "holder_of", lambda port: Holder(4242, "lorgnette", command, None))
    error = open_error("/dev/ttyACM0", OSError(errno.EBUSY, "busy"))
    assert str(error) == f"/dev/ttyACM0 is in use by '{command}' (process 4242)."
    then = f"then: {again}" if again else "then try again"
    assert error.remedy == f"{instead}, or end it with Ctrl-C in its terminal; {then}"


def test_a_program_that_reads_along_is_named_when_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = DeviceNotFound("Nothing answers on /dev/ttyACM0 within 5 s.", "Check the cable")
    monkeypatch.setattr(port_errors, "holder_of", lambda port: None)
    assert unanswered("/dev/ttyACM0", nobody) is nobody
    monkeypatch.setattr(port_errors, "holder_of", lambda port: Holder(42, "idf_monitor.py", "", None))
    told = unanswered("/dev/ttyACM0", nobody)
    assert type(told) is DeviceBusy
    assert str(told) == (
        "Nothing answers on /dev/ttyACM0 within 5 s; it is in use by idf_monitor.py (process 42), too."
    )
    assert told.remedy == "Close that program, or end it: kill 42"
    differs = VersionMismatch("The frame speaks protocol 2.0.")
    assert unanswered("/dev/ttyACM0", differs) is differs
    assert unanswered("socket://127.0.0.1:99", nobody) is nobody
    monkeypatch.setattr(port_errors, "holder_of", lambda port: Holder(42, "lorgnette", port_errors.PROXY, None))
    assert unanswered("/dev/pts/4", nobody) is nobody, "the proxy that serves a pseudo terminal has it open, too"
    monkeypatch.setattr(port_errors, "holder_of", lambda port: None)
    assert "/dev/cu.usbserial" in unanswered("/dev/tty.usbserial", nobody).remedy


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EACCES, errno.ENOENT])
def test_the_wrong_one_of_two_names_on_macos(number: int) -> None:
    error = open_error("/dev/tty.usbmodem1101", OSError(number, "x"))
    assert error.remedy == "Use the port's other name: --port /dev/cu.usbmodem1101"


linux = pytest.mark.skipif(sys.platform != "linux", reason="groups of device files are Linux's way")
FORBIDDEN = serial.SerialException(errno.EACCES, "Permission denied")


@linux
def test_a_forbidden_port_names_the_group() -> None:
    error = open_error("/dev/there-is-no-such-port", FORBIDDEN)
    assert type(error) is DevicePermission
    assert "dialout" in str(error)
    assert "sudo usermod -aG dialout $USER" in error.remedy


@linux
@pytest.mark.parametrize(
    ("group", "member", "remedy"),
    [
        ("uucp", False, "sudo usermod -aG uucp $USER"),
        ("uucp", True, "Log out and in again"),
        ("root", False, "sudo chmod a+rw /dev/ttyACM0"),
        ("20", False, "--device /dev/ttyACM0 --group-add 20"),
    ],
)
def test_each_way_of_being_forbidden_has_its_remedy(
    group: str, member: bool, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_errors, "_group_of", lambda port: group)
    monkeypatch.setattr(port_errors, "_is_member", lambda name: member)
    error = open_error("/dev/ttyACM0", FORBIDDEN)
    assert type(error) is DevicePermission
    assert group in str(error) and remedy in error.remedy
    assert "usermod -aG root" not in error.remedy, "that would be far more than may use a serial port"


@linux
def test_a_group_without_a_name_is_told_by_its_number(tmp_path: Path) -> None:
    device = tmp_path / "port"
    device.touch()
    assert port_errors._group_of(str(device)) == device.group()
    assert port_errors._is_member("there-is-no-such-group") is False
    if os.geteuid() == 0:
        os.chown(device, -1, 59_999)
        assert port_errors._group_of(str(device)) == "59999"


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENXIO, errno.ENODEV])
def test_what_counts_as_missing(number: int) -> None:
    assert isinstance(open_error("/dev/x", OSError(number, "x")), DeviceNotFound)


@pytest.mark.parametrize(
    "url",
    [
        "http://x",
        "socket:///",
        "socket://host",
        "socket://host:99999",
        "socket://[",
        "x://",
        "socket://a..b:99",
        "socket://a\0b:99",
    ],
)
def test_a_malformed_address(url: str) -> None:
    with pytest.raises(DeviceNotFound) as caught:
        open_transport(url)
    assert "socket://host:port" in caught.value.remedy


def test_a_socket_that_nobody_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    with pytest.raises(DeviceNotFound, match="connection refused"):
        open_transport(f"socket://127.0.0.1:{number}")


def test_a_connection_that_cannot_be_set_up_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more_files() -> tuple[socket.socket, socket.socket]:
        raise OSError(errno.EMFILE, "Too many open files")

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(socket, "socketpair", no_more_files)
        with pytest.raises(DeviceNotFound, match="too many open files"):
            open_transport(f"socket://127.0.0.1:{server.getsockname()[1]}")
        peer, _ = server.accept()
        with peer:
            peer.settimeout(10.0)
            assert peer.recv(1) == b"", "closed, not left to the garbage collector"


@posix
def test_a_terminal_that_refuses_its_settings(terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    import termios

    def refuses(*_: object) -> None:
        raise termios.error(errno.EIO, "Input/output error")

    monkeypatch.setattr(termios, "tcsetattr", refuses)
    with pytest.raises(DeviceNotFound, match=r"(?i)cannot be used as a serial port.*input/output error"):
        open_transport(terminal[1])


def test_a_simulator_without_its_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "CORE_MISSING", True)
    with pytest.raises(SimulatorUnavailable):
        open_transport("sim://")


def test_a_simulator_with_an_unknown_option() -> None:
    with pytest.raises(TransportError, match="micc"):
        open_transport("sim://?micc=file:x")


# ---- the rate of a serial port
@posix
def test_a_port_begins_at_the_start_rate_and_follows(terminal: tuple[int, str]) -> None:
    import termios

    master, name = terminal
    port = SerialTransport(name)
    assert termios.tcgetattr(master)[5] == termios.B115200
    for baud, speed in ((921_600, termios.B921600), (115_200, termios.B115200)):
        port.set_baud(baud)
        assert termios.tcgetattr(master)[5] == speed
    port.close()


@posix
def test_a_rate_that_the_port_cannot_do_changes_nothing(
    terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import termios

    master, name = terminal
    port = SerialTransport(name)
    with monkeypatch.context() as broken:

        def refuses(*_: object) -> None:
            raise termios.error(errno.EINVAL, "Invalid argument")

        broken.setattr(termios, "tcsetattr", refuses)
        port.set_baud(921_600)
    assert termios.tcgetattr(master)[5] == termios.B115200
    port.write(b"still there")
    assert os.read(master, 64) == b"still there"
    port.set_baud(460_800)
    assert termios.tcgetattr(master)[5] == termios.B460800
    port.close()


@posix
def test_the_rate_of_a_port_that_is_gone_is_no_error_of_its_own(terminal: tuple[int, str]) -> None:
    port = SerialTransport(terminal[1])
    port.close()
    port.set_baud(921_600)


# ---- lines of a serial port
class Lines(serial.Serial):
    """pyserial's own port; its modem lines, which a pty has not, are written down instead of driven."""

    log: list[tuple[str, bool]] = []  # noqa: RUF012 - one log for one test, cleared by it

    def open(self) -> None:
        self.log.append(("open", bool(self.exclusive)))
        super().open()

    def _update_dtr_state(self) -> None:
        self.log.append(("dtr", self._dtr_state))  # type: ignore[attr-defined]

    def _update_rts_state(self) -> None:
        self.log.append(("rts", self._rts_state))  # type: ignore[attr-defined]


@posix
def test_the_lines_never_make_the_pattern_of_a_reset(
    terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial, "Serial", Lines)
    Lines.log.clear()
    port = SerialTransport(terminal[1])
    assert Lines.log == [("open", True), ("dtr", True), ("rts", True)], "exclusive, and both lines up at once"
    port.close()
    assert Lines.log[3:] == [("rts", False), ("dtr", False)]


@linux
def test_a_port_is_claimed_so_that_even_a_program_without_a_lock_is_refused(
    terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    slave = os.open(terminal[1], os.O_RDWR | os.O_NOCTTY)

    def is_claimed() -> bool:
        flag = bytearray(4)
        fcntl.ioctl(slave, 0x80045440, flag)  # TIOCGEXCL, which the module termios does not know
        return any(flag)

    port = open_transport(terminal[1])
    assert not is_claimed(), "a pseudo terminal would stay so when this process is killed"
    port.close()
    monkeypatch.setattr(os, "ttyname", lambda descriptor: "/dev/ttyACM0")
    port = open_transport(terminal[1])
    assert is_claimed()
    port.close()
    os.close(slave)


# ---- reading and writing
def transports(kind: str) -> tuple[transport.Transport, int | socket.socket]:
    """An open transport and the other end of it."""
    if kind == "serial":
        master, slave = os.openpty()
        return SerialTransport(os.ttyname(slave)), master
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = SocketTransport(f"socket://127.0.0.1:{server.getsockname()[1]}")
        return client, server.accept()[0]


def send(end: int | socket.socket, data: bytes) -> None:
    if isinstance(end, int):
        os.write(end, data)
    else:
        end.sendall(data)


def receive(end: int | socket.socket) -> bytes:
    return os.read(end, 4096) if isinstance(end, int) else end.recv(4096)


def hang_up(end: int | socket.socket) -> None:
    if isinstance(end, int):
        os.close(end)
    else:
        end.close()


kinds = pytest.mark.parametrize("kind", [pytest.param("serial", marks=posix), "socket"])


@kinds
def test_octets_pass_both_ways(kind: str) -> None:
    port, end = transports(kind)
    send(end, b"\0\xff\x11\x13hello")  # XON and XOFF among them
    got = b""
    while len(got) < 9:
        got += port.read(10.0)
    assert got == b"\0\xff\x11\x13hello"
    port.write(b"\0\x03\x04\r\n")
    assert receive(end) == b"\0\x03\x04\r\n"
    assert port.read(0.0) == b""
    port.close()
    hang_up(end)


@kinds
def test_wake_ends_a_read_that_waits_and_one_that_comes(kind: str) -> None:
    port, end = transports(kind)
    port.wake()
    assert port.read(1e6) == b""
    threading.Timer(0.05, port.wake).start()
    assert port.read(1e6) == b""
    port.close()
    port.wake()
    hang_up(end)


@kinds
def test_a_port_that_goes_is_lost(kind: str) -> None:
    port, end = transports(kind)
    hang_up(end)
    with pytest.raises(DeviceLost, match="went away"):
        for _ in range(1000):
            port.read(0.01)
            port.write(b"x")
    port.close()
    port.close()
    with pytest.raises(DeviceLost):
        port.read(0.0)


@kinds
def test_a_port_that_takes_nothing_is_lost_in_bounded_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port, end = transports(kind)
    if isinstance(port, SerialTransport):
        port._port.write_timeout = 0.05  # type: ignore[attr-defined]
    else:
        port._socket.settimeout(0.05)  # type: ignore[attr-defined]
    with pytest.raises(DeviceLost):
        for _ in range(10_000):
            port.write(bytes(65_536))
    port.close()
    hang_up(end)


class Slow:
    """A port, or a socket, that takes a little at a time; nothing that waits for everything."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def send(self, data: memoryview) -> int:
        return self.write(bytes(data[:1000]))


@kinds
def test_the_time_limit_is_for_each_piece_and_not_for_everything(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port, end = transports(kind)
    slow, data = Slow(), os.urandom(10_001)
    with monkeypatch.context() as swapped:
        swapped.setattr(port, "_port" if kind == "serial" else "_socket", slow)
        port.write(data)
    assert b"".join(slow.pieces) == data
    assert max(len(piece) for piece in slow.pieces) <= 4096
    port.close()
    hang_up(end)


@kinds
def test_a_wake_never_reaches_what_is_closed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port's descriptors may be another file's already."""
    port, end = transports(kind)
    inner = getattr(port, "_port" if kind == "serial" else "_wake_out")
    closing, closed = threading.Event(), threading.Event()
    woken_late: list[bool] = []
    close = inner.close

    class Watched:
        in_waiting = 0

        def close(self) -> None:
            closing.set()
            threading.Event().wait(0.05)  # room for a wake that does not wait for us
            close()
            closed.set()

        def cancel_read(self) -> None:
            woken_late.append(closing.is_set())

        def send(self, _: bytes) -> int:
            woken_late.append(closing.is_set())
            return 1

    monkeypatch.setattr(port, "_port" if kind == "serial" else "_wake_out", Watched())
    port.wake()
    closer = threading.Thread(target=port.close)
    closer.start()
    assert closing.wait(10.0)
    port.wake()
    assert closed.is_set(), "it waited"
    closer.join(10.0)
    assert woken_late == [False]
    hang_up(end)


# ---- the simulated port
class Recorder:
    """A frame that writes down when it was stepped, and wants to be stepped every 20 ms."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, bytes]] = []
        self.closed = False

    def step(self, now_us: int, rx: bytes) -> tuple[bytes, int]:
        self.steps.append((now_us, rx))
        return rx.upper(), now_us - now_us % 20_000 + 20_000

    def close(self) -> None:
        self.closed = True


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_late_reader_leaves_out_no_deadline_of_the_frame() -> None:
    frame, clock = Recorder(), Clock()
    port = SimTransport(frame, clock=clock)
    port.read(0.0)
    clock.now_s += 0.0905
    port.write(b"hi")
    assert port.read(0.0) == b"HI"
    assert [at_us for at_us, _ in frame.steps] == [0, 20_000, 40_000, 60_000, 80_000, 90_500]


def test_the_last_octets_arrive_before_the_frame_is_switched_off() -> None:
    frame = Recorder()
    port = SimTransport(frame)
    port.write(b"close")
    port.close()
    assert frame.closed
    assert b"close" in [rx for _, rx in frame.steps]
    port.close()
    with pytest.raises(DeviceLost):
        port.write(b"x")
    with pytest.raises(DeviceLost):
        port.read(0.0)
