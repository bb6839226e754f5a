/* SPDX-License-Identifier: Apache-2.0 */
/* The unit that audio moves in between tasks: one AudioFrame, 20 ms. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdint.h>

#include "glink_schema.h"

#define BLOCK_SAMPLES GLINK_FRAME_SAMPLES

typedef struct block {
    int16_t pcm[BLOCK_SAMPLES];
} block_t;

#endif
