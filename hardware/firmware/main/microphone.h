/* SPDX-License-Identifier: Apache-2.0 */
/* The PDM microphone on I2S0, the only port with a PDM receiver.
 * Threads: app task. The mic task behind it reads, filters and queues. */
#ifndef MICROPHONE_H
#define MICROPHONE_H

#include <stdbool.h>
#include <stdint.h>

#include "blocks.h"

/* Prepares the channel; the microphone has no clock yet. */
void microphone_start(void);

/* Gives the microphone its clock (1) or takes it away (0). Without a clock it hears nothing: when this returns after 0,
 * it is off. Waits for the DMA buffer that is being read, at most 5 ms. */
void microphone_enable(uint8_t on);

/* Takes the oldest block. Returns false when there is none. */
bool microphone_take(block_t *block);

#endif
