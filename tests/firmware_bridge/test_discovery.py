"""Which port is chosen, and what is said when none can be."""

from __future__ import annotations

import pytest

from lorgnette.firmware_bridge import discovery
from lorgnette.firmware_bridge.discovery import PortInfo, find_port, list_ports, same_port_again
from lorgnette.firmware_bridge.errors import DeviceNotFound
from lorgnette.firmware_bridge.transport import SerialPort, list_serial_ports

BOARD = SerialPort("/dev/ttyACM1", "USB JTAG/serial debug unit", 0x303A, 0x1001, "7C:DF:A1:E2:C3:B4")
OTHER_BOARD = SerialPort("/dev/ttyACM0", "USB JTAG/serial debug unit", 0x303A, 0x1001, "7C:DF:A1:00:00:01")
PRINTER = SerialPort("/dev/ttyUSB0", "Thermal printer", 0x1A86, 0x7523, "")
ON_BOARD = SerialPort("/dev/ttyS0", "", None, None, "")


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> list[SerialPort]:
    """The serial ports of this machine; change the list to plug and unplug."""
    ports: list[SerialPort] = []
    monkeypatch.setattr(discovery, "list_serial_ports", lambda: ports)
    return ports


def test_candidates_come_first(plugged: list[SerialPort]) -> None:
    plugged += [ON_BOARD, PRINTER, BOARD]
    assert list_ports() == [
        PortInfo("/dev/ttyACM1", "USB JTAG/serial debug unit", "303A:1001", "7C:DF:A1:E2:C3:B4", True),
        PortInfo("/dev/ttyS0", "", "", "", False),
        PortInfo("/dev/ttyUSB0", "Thermal printer", "1A86:7523", "", False),
    ]


def test_the_only_candidate_is_chosen(plugged: list[SerialPort]) -> None:
    plugged += [PRINTER, BOARD]
    assert find_port().device == BOARD.device


def test_the_remembered_device_is_chosen_under_whatever_name(plugged: list[SerialPort]) -> None:
    plugged += [OTHER_BOARD, BOARD, PRINTER]
    assert find_port(BOARD.serial_number).device == BOARD.device


def test_a_remembered_device_that_is_away_does_not_stand_in_the_way(plugged: list[SerialPort]) -> None:
    plugged += [OTHER_BOARD]
    assert find_port(BOARD.serial_number).device == OTHER_BOARD.device


def test_among_several_only_the_user_can_choose(plugged: list[SerialPort]) -> None:
    plugged += [OTHER_BOARD, BOARD]
    with pytest.raises(DeviceNotFound, match=r"/dev/ttyACM0 \(7C:DF:A1:00:00:01\), /dev/ttyACM1") as caught:
        find_port()
    assert "--port" in caught.value.remedy


def test_an_unknown_port_is_named_and_left_alone(plugged: list[SerialPort]) -> None:
    plugged += [PRINTER]
    with pytest.raises(DeviceNotFound, match=r"/dev/ttyUSB0 \(Thermal printer\)") as caught:
        find_port()
    assert "--port /dev/ttyUSB0" in caught.value.remedy
    assert "sim://" in caught.value.remedy


def test_no_port_at_all(plugged: list[SerialPort]) -> None:
    with pytest.raises(DeviceNotFound, match="there is no serial port") as caught:
        find_port()
    assert "sim://" in caught.value.remedy


def test_ports_that_were_looked_up_before_are_not_looked_up_again() -> None:
    port = PortInfo("COM5", "", "303A:1001", "", True)
    assert find_port(ports=[port]) is port


def test_a_replugged_device_is_found_by_its_serial_number(plugged: list[SerialPort]) -> None:
    plugged += [BOARD]
    find = same_port_again(BOARD.device)
    plugged[:] = [OTHER_BOARD, SerialPort("/dev/ttyACM7", "", 0x303A, 0x1001, BOARD.serial_number)]
    assert find() == "/dev/ttyACM7"
    plugged[:] = [OTHER_BOARD]
    with pytest.raises(DeviceNotFound, match=BOARD.serial_number):
        find()


@pytest.mark.parametrize("name", ["/dev/ttyUSB0", "/dev/ttyS0", "sim://", "socket://127.0.0.1:1"])
def test_a_port_without_a_serial_number_keeps_its_name(name: str, plugged: list[SerialPort]) -> None:
    plugged += [PRINTER, ON_BOARD]
    assert same_port_again(name)() == name


def test_the_real_list_can_be_read() -> None:
    assert all(port.device for port in list_serial_ports())
