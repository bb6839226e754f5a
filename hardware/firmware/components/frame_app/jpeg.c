/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_jpeg.h"

#include <stdbool.h>

#include "glink_err.h"

#define SOI 0xD8u
#define EOI 0xD9u
#define SOS 0xDAu
#define TEM 0x01u

static bool is_restart(uint8_t marker)
{
    return marker >= 0xD0u && marker <= 0xD7u;
}

/* Returns where the next marker's 0xFF stands, at `at` or after the coded data that begins there; `n` if nowhere.
 * In coded data 0xFF is stuffed with a zero, and restart markers are part of it. */
static size_t skip_coded_data(const uint8_t *data, size_t n, size_t at)
{
    for (; at + 1u < n; at++) {
        const uint8_t next = data[at + 1u];
        if (data[at] == 0xFFu && next != 0u && next != 0xFFu && !is_restart(next)) return at;
    }
    return n;
}

int32_t frame_jpeg_length(const uint8_t *data, size_t n)
{
    if (n > (size_t)INT32_MAX || n < 4u || data[0] != 0xFFu || data[1] != SOI) return GLINK_ERR_FORMAT;

    bool scanned = false;
    for (size_t at = 2; at + 1u < n;) {
        if (data[at] != 0xFFu) return GLINK_ERR_FORMAT;
        const uint8_t marker = data[at + 1u];
        if (marker == 0xFFu) { /* fill before a marker */
            at++;
            continue;
        }
        at += 2u;
        if (marker == EOI) return scanned ? (int32_t)at : GLINK_ERR_FORMAT;
        if (marker == TEM) continue;
        if (marker == 0u || marker == SOI || is_restart(marker)) return GLINK_ERR_FORMAT;

        if (n - at < 2u) return GLINK_ERR_FORMAT;
        const size_t length = (size_t)data[at] << 8 | data[at + 1u]; /* its own two octets included */
        if (length < 2u || length > n - at) return GLINK_ERR_FORMAT;
        at += length;
        if (marker == SOS) {
            scanned = true;
            at = skip_coded_data(data, n, at);
        }
    }
    return GLINK_ERR_FORMAT;
}
