"""The serial bootloader of an ESP32-S3, as far as flashing needs it: what a real esptool talks to in the tests.

Written after Espressif's description of the protocol: SLIP packets, a command octet, little-endian fields. It keeps
what was flashed and answers checksums from that, so that a wrong octet anywhere shows. POSIX only: it lives on a pty.
"""

from __future__ import annotations

import hashlib
import os
import select
import struct
import threading
import tty
import zlib

CHIP_ID_S3 = 9
FLASH_BYTES = 8 << 20
JEDEC_8MB = 0x1740EF  # Winbond, 8 MB: what the flash's own id command answers

SYNC, WRITE_REG, READ_REG, SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUDRATE = 0x08, 0x09, 0x0A, 0x0B, 0x0D, 0x0F
MEM_BEGIN, MEM_END, MEM_DATA = 0x05, 0x06, 0x07
FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
DEFL_BEGIN, DEFL_DATA, DEFL_END, MD5, SECURITY_INFO = 0x10, 0x11, 0x12, 0x13, 0x14
SPI_W0 = 0x60002058  # where an answer of the flash chip is read


class RomLoader:
    """A chip in its bootloader.

    Attributes:
        port: what to open.
        flash: everything that was written, FF where nothing was.
        damage: flip a bit of what is written at this address, as a worn flash would.
        commands: the command octets that came, in order.
    """

    def __init__(self, *, damage: int | None = None, chip_id: int = CHIP_ID_S3) -> None:
        self.flash = bytearray(b"\xff" * FLASH_BYTES)
        self.damage = damage
        self._chip_id = chip_id
        self.commands: list[int] = []
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._ours)
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self._stub = False
        self._at = 0
        self._inflate = zlib.decompressobj()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rom", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        os.close(self._ours)
        os.close(self._theirs)

    # ---- packets
    def _run(self) -> None:
        held = b""
        while not self._stop.is_set():
            if not select.select([self._ours], [], [], 0.05)[0]:
                continue
            held += os.read(self._ours, 65536)
            *packets, held = held.split(b"\xc0")
            for packet in packets:
                raw = packet.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
                if len(raw) >= 8 and raw[0] == 0:
                    self._command(raw[1], raw[8:])

    def _send(self, raw: bytes) -> None:
        packet = b"\xc0" + raw.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"
        while packet:
            packet = packet[os.write(self._ours, packet) :]

    def _answer(self, command: int, value: int = 0, data: bytes = b"") -> None:
        body = data + bytes(2 if self._stub else 4)
        self._send(struct.pack("<BBHI", 1, command, len(body), value) + body)

    # ---- commands
    def _command(self, command: int, data: bytes) -> None:
        self.commands.append(command)
        if command == SYNC:
            for _ in range(8):
                self._answer(command, 0x20120707)
        elif command == READ_REG:
            (register,) = struct.unpack("<I", data)
            self._answer(command, JEDEC_8MB if register == SPI_W0 else 0)
        elif command == SECURITY_INFO:
            self._answer(command, 0, struct.pack("<IB7sII", 0, 0, bytes(7), self._chip_id, 0))
        elif command == MEM_END:
            self._answer(command)
            if struct.unpack_from("<I", data)[0] == 0:  # run what was loaded
                self._stub = True
                self._send(b"OHAI")
        elif command in (FLASH_BEGIN, DEFL_BEGIN):
            self._at, self._inflate = struct.unpack_from("<I", data, 12)[0], zlib.decompressobj()
            self._answer(command)
        elif command in (FLASH_DATA, DEFL_DATA):
            payload = data[16:]
            self._write(self._inflate.decompress(payload) if command == DEFL_DATA else payload)
            self._answer(command)
        elif command == MD5:
            address, size = struct.unpack_from("<II", data)
            digest = hashlib.md5(self.flash[address : address + size])
            self._answer(command, 0, digest.digest() if self._stub else digest.hexdigest().encode())
        else:  # registers, parameters, a new rate, the end: nothing to do but to say yes
            self._answer(command)

    def _write(self, octets: bytes) -> None:
        if self.damage is not None and self._at <= self.damage < self._at + len(octets):
            octets = bytearray(octets)
            octets[self.damage - self._at] ^= 1
        self.flash[self._at : self._at + len(octets)] = octets
        self._at += len(octets)
