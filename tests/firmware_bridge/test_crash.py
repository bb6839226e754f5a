"""What a frame printed when it crashed: recognised, told once, kept, and named in whatever error comes of it."""

from __future__ import annotations

import pytest
from tests.support.wire import Hand, events

from lorgnette.firmware_bridge.crash import LEAD_LINES, MAX_CRASH_LINES, MAX_REASON_CHARS, CrashWatch
from lorgnette.firmware_bridge.errors import (
    BridgeError,
    DeviceLost,
    NoAnswer,
    OutcomeUnknown,
    RemoteProtocolError,
    RequestRefused,
    RequestTimeout,
    VersionMismatch,
)
from lorgnette.firmware_bridge.link import Link
from lorgnette.firmware_bridge.link_events import (
    CallFinished,
    Connected,
    ConsoleText,
    Crashed,
    DeviceInfo,
    Disconnected,
    Event,
)
from lorgnette.firmware_bridge.messages import Capability, Method, RpcStatus

PANIC = (
    "\n"
    "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\n"
    "\n"
    "Core  0 register dump:\n"
    "PC      : 0x42008d3a  PS      : 0x00060130  A0      : 0x8200a4f1  A1      : 0x3fc9a2b0\n"
    "EXCVADDR: 0x00000000  LBEG    : 0x40056f5c  LEND    : 0x40056f72  LCOUNT  : 0xffffffff\n"
    "\n"
    "Backtrace: 0x42008d37:0x3fc9a2b0 0x4200a4ee:0x3fc9a2d0 0x4037b9f5:0x3fc9a300\n"
    "\n"
    "Rebooting...\n"
)
BOOT = (
    "ESP-ROM:esp32s3-20210327\n"
    "Build:Mar 27 2021\n"
    "rst:0xc (RTC_SW_CPU_RST),boot:0x8 (SPI_FAST_FLASH_BOOT)\n"
    "Saved PC:0x40375b91\n"
    "SPIWP:0xee\n"
    "entry 0x403c8924\n"
    "I (24) boot: ESP-IDF v5.4 2nd stage bootloader\n"
)
LOST = Disconnected(DeviceLost("The frame has been silent for 3 s."))


def connected(boot_id: int = 1, reset_reason: str = "power_on") -> Connected:
    said = {"device_id": "00", "name": "frame", "firmware_version": "1", "protocol": "1.1", "led_kind": "none"}
    numbers = {"build_hash": 0, "schema_hash": 0, "boot_id": boot_id, "session": 1}
    return Connected(DeviceInfo(**said, **numbers, reset_reason=reset_reason, capabilities=Capability(0)))  # type: ignore[arg-type]


class Watched:
    """A CrashWatch, and everything that came out of it."""

    def __init__(self, where: str = "") -> None:
        self.kept: list[Crashed] = []
        self._where = where
        self.watch = CrashWatch(self._keep)
        self.now_s = 0.0

    def _keep(self, crashed: Crashed) -> str:
        self.kept.append(crashed)
        return self._where

    def on(self, *came: Event) -> list[Event]:
        self.now_s += 1.0
        return [event for one in came for event in self.watch.pass_on(one, self.now_s)]


def crashes(found: list[Event]) -> list[str]:
    return [event.reason for event in found if isinstance(event, Crashed)]


@pytest.mark.parametrize("cut", [1, 7, 64, 1041, 5000])
def test_a_panic_is_one_crash_however_its_text_is_cut(cut: int) -> None:
    watched = Watched()
    text = PANIC + BOOT
    found = watched.on(*(ConsoleText(text[at : at + cut]) for at in range(0, len(text), cut)))
    assert crashes(found) == ["Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled."]
    [kept] = watched.kept
    assert kept.text.splitlines() == [line for line in (PANIC + BOOT).splitlines() if line][:9], "each line once"
    assert "2nd stage" not in kept.text, "the next boot is no part of it"
    assert [event for event in found if isinstance(event, ConsoleText)] != [], "the text itself still passes"


@pytest.mark.parametrize(
    "line",
    [
        "Guru Meditation Error: Core  1 panic'ed (Interrupt wdt timeout on CPU1).",
        "abort() was called at PC 0x4200a1b2 on core 0",
        "assert failed: xQueueSemaphoreTake queue.c:1545 (( pxQueue ))",
        "Brownout detector was triggered",
        "E (9034) task_wdt: Aborting.",
        "***ERROR*** A stack overflow in task main has been detected.",
        "Stack smashing protect failure!",
        "CORRUPT HEAP: Bad tail at 0x3fc9",
        "Backtrace: 0x42008d37:0x3fc9a2b0",
        "Backtrace:0x42008d37:0x3fc9a2b0",
    ],
)
def test_every_way_of_giving_up_is_a_crash(line: str) -> None:
    watched = Watched()
    [reason] = crashes(watched.on(ConsoleText(f"I (1) app: hello\n{line}\n"), LOST))
    assert reason in line
    assert watched.kept[0].text == f"I (1) app: hello\n{line}\n", "with the line before it"


@pytest.mark.parametrize(
    ("name", "word"),
    [("TG0WDT_SYS_RST", "watchdog"), ("RTCWDT_BROWN_OUT_RST", "voltage"), ("POWER_GLITCH_RST", "glitch")],
)
def test_the_rom_names_what_the_firmware_could_not(name: str, word: str) -> None:
    [reason] = crashes(Watched().on(ConsoleText(f"rst:0x7 ({name}),boot:0x8 (SPI_FAST_FLASH_BOOT)\n")))
    assert word in reason and name in reason


@pytest.mark.parametrize(
    "text",
    [
        BOOT,
        "rst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\n",
        "rst:0x15 (USB_UART_CHIP_RESET),boot:0x8 (SPI_FAST_FLASH_BOOT)\n",
        "E (77) task_wdt: Task watchdog got triggered. The following tasks did not reset it in time:\n",
        "W (12) wifi: abort scan\nI (13) app: backtrace of nothing\n",
    ],
)
def test_a_boot_and_a_warning_are_no_crash(text: str) -> None:
    found = Watched().on(ConsoleText(text), LOST)
    assert crashes(found) == []
    assert found[-1] == LOST


def test_a_watchdog_reset_behind_a_panic_is_the_same_crash() -> None:
    watched = Watched()
    watchdog = ConsoleText("rst:0x7 (TG0WDT_SYS_RST),boot:0x8 (SPI_FAST_FLASH_BOOT)\n")
    assert len(crashes(watched.on(ConsoleText(PANIC), watchdog, LOST))) == 1
    assert len(crashes(Watched().on(ConsoleText(PANIC), LOST, watchdog, LOST))) == 1


def test_a_board_that_crashes_at_each_start_is_told_once_and_again_after_it_was_well() -> None:
    watched = Watched()
    loop = ConsoleText("rst:0xf (RTCWDT_BROWN_OUT_RST),boot:0x8 (X)\n")
    assert len(crashes(watched.on(loop, loop, loop, LOST))) == 1
    assert len(crashes(watched.on(connected(), loop, LOST))) == 1


def test_the_lost_frame_says_that_it_crashed_and_where_it_is_kept() -> None:
    watched = Watched("/state/crash-1.txt")
    call = CallFinished(1, Method.SET_VOLUME, None, None, OutcomeUnknown("It may or may not have happened.", "See."))
    found = watched.on(connected(), ConsoleText(PANIC), call, LOST)
    kinds = [type(event) for event in found]
    assert kinds == [Connected, ConsoleText, Crashed, CallFinished, Disconnected]
    finished, gone = found[3], found[4]
    assert isinstance(finished, CallFinished) and isinstance(gone, Disconnected)
    sentence = (
        "The frame crashed: Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled; "
        "what it printed is in /state/crash-1.txt."
    )
    assert type(gone.error) is DeviceLost and str(gone.error) == sentence and gone.error.remedy
    assert type(finished.error) is OutcomeUnknown
    assert str(finished.error) == f"{sentence} It may or may not have happened."
    later = watched.on(connected(boot_id=2), LOST)
    assert later == [connected(boot_id=2), LOST], "the next loss has another cause"


def test_too_little_current_has_its_own_remedy() -> None:
    watched = Watched()
    *_, gone = watched.on(connected(), ConsoleText("Brownout detector was triggered\n"), LOST)
    assert isinstance(gone, Disconnected)
    assert str(gone.error) == "The frame crashed: Brownout detector was triggered."
    assert "current" in gone.error.remedy


def test_a_request_to_a_frame_that_has_crashed_is_lost_and_not_late() -> None:
    late = CallFinished(1, Method.TAKE_PHOTO, None, None, RequestTimeout("The frame did not answer in time."))
    [finished] = [e for e in Watched().on(connected(), ConsoleText(PANIC), late) if isinstance(e, CallFinished)]
    assert type(finished.error) is DeviceLost and "crashed" in str(finished.error)
    assert Watched().on(connected(), late)[-1] == late


def test_a_refusal_is_no_matter_of_a_crash() -> None:
    watched = Watched()
    refused = CallFinished(1, Method.SET_VOLUME, RpcStatus.BUSY, None, RequestRefused("Busy.", RpcStatus.BUSY))
    assert watched.on(connected(), ConsoleText(PANIC), refused) == [connected(), ConsoleText(PANIC), refused]


@pytest.mark.parametrize("reason", ["panic", "brown_out", "watchdog"])
def test_a_crash_of_which_no_text_arrived_is_told_at_the_next_boot(reason: str) -> None:
    watched = Watched()
    assert crashes(watched.on(connected(1, reason))) == [], "an old one, before this program"
    assert len(crashes(watched.on(LOST, connected(2, reason)))) == 1
    assert crashes(watched.on(LOST, connected(2, reason))) == [], "the same boot"
    assert crashes(watched.on(LOST, connected(3, "power_on"))) == []
    assert len(crashes(watched.on(ConsoleText(PANIC), LOST, connected(4, reason)))) == 1, "told by its text already"


def test_what_is_kept_has_an_end() -> None:
    watched = Watched()
    before = "".join(f"I ({n}) app: step\n" for n in range(3 * LEAD_LINES))
    endless = "abort() was called at PC 0x1 " + "x" * 900 + "\n" + "line\n" * 10 * MAX_CRASH_LINES
    watched.on(ConsoleText(before), *(ConsoleText(endless[at : at + 1000]) for at in range(0, len(endless), 1000)))
    watched.on(LOST)
    [kept] = watched.kept
    assert len(kept.reason) == MAX_REASON_CHARS
    assert kept.text.count("\n") == MAX_CRASH_LINES


def test_a_file_that_cannot_be_written_ends_nothing() -> None:
    def full(crashed: Crashed) -> str:
        raise OSError("no space left")

    watch = CrashWatch(full)
    found = [event for one in (connected(), ConsoleText(PANIC), LOST) for event in watch.pass_on(one, 0.0)]
    assert len(crashes(found)) == 1
    gone = found[-1]
    assert isinstance(gone, Disconnected) and "printed" not in str(gone.error)


NOBODY = Disconnected(NoAnswer("Nothing answers on /dev/ttyACM0 within 5 s.", "Check the cable"))
STRANGER = Disconnected(RemoteProtocolError("Something answers, but it is no lorgnette frame."))


@pytest.mark.parametrize("failure", [NOBODY, STRANGER])
@pytest.mark.parametrize(
    ("printed", "kind", "word", "remedy"),
    [
        (
            "rst:0x1 (POWERON),boot:0x0 (DOWNLOAD(USB/UART0))\nwaiting for download\n",
            NoAnswer,
            "download",
            "RESET",
        ),
        ("invalid header: 0xffffffff\ninvalid header: 0xffffffff\n", NoAnswer, "no firmware", "hardware/README"),
        (PANIC + BOOT, DeviceLost, "Guru Meditation", "try again"),
    ],
)
def test_a_board_that_does_not_start_says_why(
    failure: Disconnected, printed: str, kind: type[BridgeError], word: str, remedy: str
) -> None:
    *_, gone = Watched().on(ConsoleText(printed), failure)
    assert isinstance(gone, Disconnected)
    assert type(gone.error) is kind and word in str(gone.error) and remedy in gone.error.remedy


def test_another_version_is_another_matter() -> None:
    differs = Disconnected(VersionMismatch("The frame speaks protocol 2.0."))
    assert Watched().on(ConsoleText(PANIC + BOOT), differs)[-1] == differs


def test_the_last_words_come_before_the_end_of_the_port() -> None:
    hand = Hand(Link("/dev/ttyACM0"))
    hand.connect()
    hand.link.receive_data(PANIC.encode(), 0.1)
    assert events(hand.link) == [], "no delimiter yet: it may be a frame"
    hand.link.port_lost(DeviceLost("/dev/ttyACM0 went away."))
    first, second = events(hand.link)
    assert isinstance(first, ConsoleText) and "LoadProhibited" in first.text
    assert isinstance(second, Disconnected)


def test_a_panic_in_the_middle_of_a_frame_is_read() -> None:
    """The frame was sending a picture when it died: half of it stands before the text."""
    hand = Hand(Link("/dev/ttyACM0"))
    hand.connect()
    half = bytes(range(1, 256)) * 2
    hand.link.receive_data(half + PANIC.encode() + b"\0", 0.1)
    [text] = events(hand.link)
    assert isinstance(text, ConsoleText) and "Backtrace: 0x42008d37:0x3fc9a2b0" in text.text
