/* SPDX-License-Identifier: Apache-2.0 */
/* Where a JPEG ends. Camera buffers hold several pictures in a row, half of one, or none; only markers tell.
 * Threads: a pure function of its arguments. */
#ifndef FRAME_JPEG_H
#define FRAME_JPEG_H

#include <stddef.h>
#include <stdint.h>

/* Walks the markers of the picture at the start of `data`, from SOI over at least one scan to the first EOI outside
 * a segment (a thumbnail's EOI lies inside one). The picture itself is not decoded.
 * Returns its length up to and including EOI, at most `n`, or GLINK_ERR_FORMAT. */
int32_t frame_jpeg_length(const uint8_t *data, size_t n);

#endif
