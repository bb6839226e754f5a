"""Which port is the frame? Looks at what the system says of its ports; opens none.

Knows USB ids. Must not know the protocol: a port that is not ours may be a printer or a machine tool, and even opening
it could move something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..hardware.boards import boards
from .errors import DeviceNotFound
from .transport import list_serial_ports

SIMULATOR_HINT = "without a board use --port sim:// for the simulated frame"


@dataclass(frozen=True, slots=True)
class PortInfo:
    """One serial port of this machine.

    Attributes:
        device: what to open, such as /dev/ttyACM0 or COM5.
        usb_id: "303A:1001", or "" for a port that is not on USB.
        serial_number: of the USB device, or "": the only name that survives replugging.
        is_frame_candidate: it has a frame's USB id. Other boards of that chip have it too.
    """

    device: str
    description: str
    usb_id: str
    serial_number: str
    is_frame_candidate: bool


def list_ports() -> list[PortInfo]:
    """Every serial port, candidates first, then by name."""
    frames = {usb_id for board in boards() if not board.usb_shared for usb_id in board.usb_ids}
    ports = []
    for p in list_serial_ports():
        usb = p.vendor_id is not None and p.product_id is not None
        usb_id = f"{p.vendor_id:04X}:{p.product_id:04X}" if usb else ""
        candidate = (p.vendor_id, p.product_id) in frames
        ports.append(PortInfo(p.device, p.description, usb_id, p.serial_number, candidate))
    return sorted(ports, key=lambda p: (not p.is_frame_candidate, p.device))


def find_port(remembered_serial: str = "", ports: list[PortInfo] | None = None) -> PortInfo:
    """The remembered device, or the only candidate.

    Args:
        remembered_serial: USB serial number of the frame that was used before, if any.
        ports: what `list_ports` returned; None looks anew.

    Raises:
        DeviceNotFound: none, or several among which only the user can choose.
    """
    found = list_ports() if ports is None else ports
    if remembered_serial:
        for port in found:
            if port.serial_number == remembered_serial:
                return port
    candidates = [p for p in found if p.is_frame_candidate]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(f"{p.device} ({p.serial_number or 'no serial number'})" for p in candidates)
        raise DeviceNotFound(f"Several boards may be the frame: {names}.", "Choose one: --port NAME")
    if found:
        names = ", ".join(f"{p.device} ({p.description or p.usb_id or 'unknown'})" for p in found)
        raise DeviceNotFound(
            f"No frame found. These serial ports exist, but none says that it is one: {names}.",
            f"If one of them is, name it: --port {found[0].device}; {SIMULATOR_HINT}",
        )
    raise DeviceNotFound("No frame found: there is no serial port.", f"Plug the frame in, or {SIMULATOR_HINT}")


def same_port_again(port: str) -> Callable[[], str]:
    """A function that finds the device behind `port` again after it was replugged, perhaps under another name.

    A port without a USB serial number, and any URL, keeps its name.
    """
    serial_number = ""
    if "://" not in port:
        serial_number = next((p.serial_number for p in list_serial_ports() if p.device == port), "")

    def find() -> str:
        if not serial_number:
            return port
        for p in list_serial_ports():
            if p.serial_number == serial_number:
                return p.device
        raise DeviceNotFound(f"The device with the USB serial number {serial_number} is not there.", "Plug it in.")

    return find
