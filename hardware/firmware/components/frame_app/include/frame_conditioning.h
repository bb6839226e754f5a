/* SPDX-License-Identifier: Apache-2.0 */
/* What a PDM microphone's samples need before they are speech: its offset taken away, and gain with saturation.
 * The ESP32-S3's PDM receiver has neither a high-pass nor a gain, and its level is low.
 * Threads: each object belongs to one task. */
#ifndef FRAME_CONDITIONING_H
#define FRAME_CONDITIONING_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_CONDITIONING_MAX_GAIN 64

typedef struct frame_conditioning {
    int32_t offset_q14; /* the microphone's mean, in 1/16384 of a sample */
    int32_t gain;
} frame_conditioning_t;

/* Begins with no offset known. `gain` is cut to 1 .. FRAME_CONDITIONING_MAX_GAIN. */
void frame_conditioning_init(frame_conditioning_t *c, int32_t gain);

/* Conditions `n` samples in place: a high-pass of first order at 10 Hz, then the gain; what does not fit saturates. */
void frame_conditioning_apply(frame_conditioning_t *c, int16_t *pcm, size_t n);

#endif
