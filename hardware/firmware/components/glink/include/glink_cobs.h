/* SPDX-License-Identifier: Apache-2.0 */
/* Consistent Overhead Byte Stuffing: any octets in, octets without a zero out, so that a zero can end a frame.
 * Threads: pure functions of their arguments; call them from anywhere. */
#ifndef GLINK_COBS_H
#define GLINK_COBS_H

#include <stddef.h>
#include <stdint.h>

/* Octets that encoding `n` octets takes at most. */
#define GLINK_COBS_MAX_BYTES(n) ((n) + (n) / 254u + 1u)

/* Encodes `n` octets of `src` into `dst`, which has room for `cap`.
 * The two may overlap if `dst + n / 254 + 1 <= src`: writing then never overtakes reading.
 * Returns the octets written, or GLINK_ERR_SPACE; nothing beyond `cap` is touched. */
int32_t glink_cobs_encode(const uint8_t *src, size_t n, uint8_t *dst, size_t cap);

/* Decodes `n` octets of `src` (the closing zero excluded) into `dst`, which has room for `cap`.
 * `dst` may be `src` itself: decoding never grows.
 * Returns the octets written, GLINK_ERR_FORMAT or GLINK_ERR_SPACE; nothing beyond `cap` is touched. */
int32_t glink_cobs_decode(const uint8_t *src, size_t n, uint8_t *dst, size_t cap);

#endif
