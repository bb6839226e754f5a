/* SPDX-License-Identifier: Apache-2.0 */
/* IMA ADPCM: an AudioFrame of 16-bit samples in a quarter of its octets. Each block begins with the decoder's state, so
 * that it needs none of those before it.
 * Threads: functions of their arguments alone; call them from anywhere. */
#ifndef GLINK_ADPCM_H
#define GLINK_ADPCM_H

#include <stddef.h>
#include <stdint.h>

#include "glink_schema.h"

#define GLINK_ADPCM_HEAD_BYTES 4u /* predictor, index, 0 */
_Static_assert(GLINK_ADPCM_HEAD_BYTES + GLINK_FRAME_SAMPLES / 2u == GLINK_ADPCM_BLOCK_BYTES, "one AudioFrame");

/* What encoder and decoder agree on between two samples; zeros before the first one. */
typedef struct glink_adpcm {
    int16_t predictor; /* the last sample as it was decoded */
    uint8_t index;     /* into the table of steps, 0 to 88 */
} glink_adpcm_t;

/* Encodes `n` <= GLINK_FRAME_SAMPLES samples into a block, and moves `state` over them. An odd number is made even by a
 * sample of silence. Returns the octets written. */
size_t glink_adpcm_encode(glink_adpcm_t *state, const int16_t *pcm, size_t n, uint8_t block[GLINK_ADPCM_BLOCK_BYTES]);

/* Decodes a block of `n` octets, whatever they are; no octets are no samples.
 * Returns the samples written, or GLINK_ERR_FORMAT: too short for its head, too long for an AudioFrame, or an index
 * beyond the table. */
int32_t glink_adpcm_decode(const uint8_t *block, size_t n, int16_t pcm[GLINK_FRAME_SAMPLES]);

#endif
