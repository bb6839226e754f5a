/* SPDX-License-Identifier: Apache-2.0 */
/* The LED that tells bystanders: off, dim (microphone), solid (camera). Set by frame_app and by nobody else.
 * Threads: app task. */
#ifndef PRIVACY_LED_H
#define PRIVACY_LED_H

#include <stdint.h>

/* Prepares the LED, dark. Does nothing on a board without one. */
void privacy_led_start(void);

/* `level` is a GLINK_LED_*. Never waits. */
void privacy_led_set(uint8_t level);

#endif
