/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_conditioning.h"

/* offset += (x - offset) / 2^8: a corner of 16000 / (2 pi 2^8) = 10 Hz, far below speech. */
#define OFFSET_SHIFT 8
#define Q 14
#define LOWEST (-32768)
#define HIGHEST 32767

void frame_conditioning_init(frame_conditioning_t *c, int32_t gain)
{
    c->offset_q14 = 0;
    c->gain = gain < 1 ? 1 : gain > FRAME_CONDITIONING_MAX_GAIN ? FRAME_CONDITIONING_MAX_GAIN : gain;
}

void frame_conditioning_apply(frame_conditioning_t *c, int16_t *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int32_t x = pcm[i];
        /* |x| < 2^15, so every term stays below 2^30. Division, because a right shift of what is negative is the
         * compiler's to define; it becomes a shift all the same. */
        c->offset_q14 += (x * (1 << Q) - c->offset_q14) / (1 << OFFSET_SHIFT);
        const int32_t y = (x - c->offset_q14 / (1 << Q)) * c->gain;
        pcm[i] = (int16_t)(y < LOWEST ? LOWEST : y > HIGHEST ? HIGHEST : y);
    }
}
