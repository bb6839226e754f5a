/* SPDX-License-Identifier: Apache-2.0 */
/* The amplifier on I2S1, and the frame's pace: while the microphone is off, what the DMA has sent is the sample clock.
 * Its channel therefore runs from boot on; the amplifier is silent until speaker_enable().
 * Threads: app task. The speaker task behind it writes. */
#ifndef SPEAKER_H
#define SPEAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "blocks.h"

/* Starts the clock; the amplifier sleeps. On a board without an amplifier a timer keeps the pace. */
void speaker_start(void);

/* Wakes (1) or silences (0) the amplifier. */
void speaker_enable(uint8_t on);

/* Returns how many blocks of time have passed since the last call. */
uint32_t speaker_blocks_passed(void);

/* Queues the next block. Returns false, and drops it, when two wait already. */
bool speaker_put(const block_t *block);

#endif
