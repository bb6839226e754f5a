/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 (IEEE 802.3, reflected), equal to zlib's crc32() and to the ESP32 ROM's esp_rom_crc32_le(0, ...).
 * Threads: pure functions of their arguments; call them from anywhere. */
#ifndef GLINK_CRC32_H
#define GLINK_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Extends a checksum over `n` more octets.
 * `crc` is 0 for the first piece, then what the previous call returned.
 * Returns the checksum of everything so far. */
uint32_t glink_crc32(uint32_t crc, const uint8_t *data, size_t n);

#endif
