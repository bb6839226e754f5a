/* SPDX-License-Identifier: Apache-2.0 */
#include "glink_cobs.h"

#include "glink_err.h"

/* A block is one code octet and up to 254 octets of data; the code says where the next code stands. */
#define FULL_BLOCK 0xFFu /* the one code that stands for no zero behind its data */

int32_t glink_cobs_encode(const uint8_t *src, size_t n, uint8_t *dst, size_t cap)
{
    size_t code_at = 0;
    size_t out = 1;
    uint8_t code = 1;

    if (cap == 0u) return GLINK_ERR_SPACE;
    for (size_t i = 0; i < n; i++) {
        const uint8_t octet = src[i];
        if (octet != 0u) {
            if (out == cap) return GLINK_ERR_SPACE;
            dst[out++] = octet;
            code++;
        }
        if (octet == 0u || (code == FULL_BLOCK && i + 1u < n)) {
            if (out == cap) return GLINK_ERR_SPACE;
            dst[code_at] = code;
            code_at = out++;
            code = 1;
        }
    }
    dst[code_at] = code;
    return (int32_t)out;
}

int32_t glink_cobs_decode(const uint8_t *src, size_t n, uint8_t *dst, size_t cap)
{
    size_t in = 0;
    size_t out = 0;

    while (in < n) {
        const uint8_t code = src[in++];
        if (code == 0u || code - 1u > n - in) return GLINK_ERR_FORMAT;
        if (code - 1u > cap - out) return GLINK_ERR_SPACE;
        for (size_t end = in + code - 1u; in < end; in++) {
            if (src[in] == 0u) return GLINK_ERR_FORMAT;
            dst[out++] = src[in];
        }
        if (code != FULL_BLOCK && in < n) {
            if (out == cap) return GLINK_ERR_SPACE;
            dst[out++] = 0u;
        }
    }
    return (int32_t)out;
}
