/* SPDX-License-Identifier: Apache-2.0 */
/* The privacy LED: it follows the sensors, in the frame's own code path. No message sets it.
 * Threads: same task as the frame_app_t it belongs to. */
#ifndef FRAME_LED_H
#define FRAME_LED_H

#include <stdbool.h>

#include "frame_hal.h"
#include "glink.h"

typedef struct frame_led {
    const frame_hal_t *hal;
    const frame_clock_t *clock;
    glink_t *link;
    bool mic;
    bool camera;
    uint8_t level;  /* GLINK_LED_*, what the HAL was told last */
    uint16_t stamp; /* of the event by which the host was told last */
} frame_led_t;

void frame_led_init(frame_led_t *led, const frame_hal_t *hal, const frame_clock_t *clock, glink_t *link);

/* Call these before a sensor goes on, and after it went off. The LED itself changes first, then the host hears of it;
 * it also hears of a sensor that goes on while the LED shows another one. */
void frame_led_mic(frame_led_t *led, bool on);
void frame_led_camera(frame_led_t *led, bool on);

/* Tells the host of the LED as it is. */
void frame_led_tell(frame_led_t *led);

#endif
