/* SPDX-License-Identifier: Apache-2.0 */
#include "glink_frame.h"

#include <string.h>

#include "glink_crc32.h"
#include "glink_err.h"

static void put_u16(uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
}

static uint16_t get_u16(const uint8_t *in)
{
    return (uint16_t)(in[0] | (uint16_t)(in[1] << 8));
}

size_t glink_frame_seal(uint8_t wire[GLINK_MAX_WIRE_BYTES], const glink_header_t *header, size_t n)
{
    uint8_t *raw = wire + GLINK_HEADER_AT;
    const size_t crc_at = GLINK_HEADER_BYTES + n;

    raw[0] = header->chan;
    raw[1] = header->flags;
    put_u16(raw + 2, header->seq);
    put_u16(raw + 4, header->session);

    const uint32_t crc = glink_crc32(0u, raw, crc_at);
    put_u16(raw + crc_at, (uint16_t)crc);
    put_u16(raw + crc_at + 2u, (uint16_t)(crc >> 16));

    /* Cannot fail: the static asserts of the header give it room for the longest frame. */
    const int32_t encoded = glink_cobs_encode(raw, crc_at + GLINK_CRC_BYTES, wire + 1, GLINK_MAX_WIRE_BYTES - 2u);
    const size_t end = 1u + (size_t)encoded;
    wire[0] = 0u;
    wire[end] = 0u;
    return end + 1u;
}

int32_t glink_frame_open(uint8_t *raw, size_t n, glink_header_t *header, const uint8_t **payload)
{
    const int32_t length = glink_cobs_decode(raw, n, raw, n);
    if (length < (int32_t)(GLINK_HEADER_BYTES + GLINK_CRC_BYTES)) return GLINK_ERR_FORMAT;
    if (length > (int32_t)GLINK_MAX_RAW_BYTES) return GLINK_ERR_FORMAT;

    const size_t crc_at = (size_t)length - GLINK_CRC_BYTES;
    const uint32_t crc = get_u16(raw + crc_at) | (uint32_t)get_u16(raw + crc_at + 2u) << 16;
    if (crc != glink_crc32(0u, raw, crc_at)) return GLINK_ERR_CRC;

    header->chan = raw[0];
    header->flags = raw[1];
    header->seq = get_u16(raw + 2);
    header->session = get_u16(raw + 4);
    *payload = raw + GLINK_HEADER_BYTES;
    return (int32_t)(crc_at - GLINK_HEADER_BYTES);
}

glink_cut_t glink_deframer_push(glink_deframer_t *d, const uint8_t *bytes, size_t n, size_t *used)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != 0u) {
            if (d->n == sizeof d->buf) d->overflow = true;
            else d->buf[d->n++] = bytes[i];
            continue;
        }
        if (d->n == 0u) continue; /* a leading zero, or two in a row */
        *used = i + 1u;
        if (!d->overflow) return GLINK_CUT_FRAME;
        glink_deframer_next(d);
        return GLINK_CUT_OVERFLOW;
    }
    *used = n;
    return GLINK_CUT_MORE;
}

void glink_deframer_next(glink_deframer_t *d)
{
    d->n = 0u;
    d->overflow = false;
}
