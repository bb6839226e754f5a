/* SPDX-License-Identifier: Apache-2.0 */
/* What the frame remembers over a reset: its volume.
 * Threads: app task. Writing may stall both cores while the flash erases, so it is done while nothing sounds. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdint.h>

/* Opens the store; one that is damaged or of another version is emptied. */
void settings_start(void);

/* Returns the stored volume in percent, or `otherwise`. */
uint8_t settings_volume(uint8_t otherwise);

/* Stores the volume if it is another one. */
void settings_keep_volume(uint8_t percent);

#endif
