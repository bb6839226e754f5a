/* SPDX-License-Identifier: Apache-2.0 */
/* From the level of one contact to tap, double tap and long press. Knows neither pin nor link.
 * Threads: same task as the frame_app_t it belongs to. */
#ifndef FRAME_BUTTON_H
#define FRAME_BUTTON_H

#include <stdbool.h>
#include <stdint.h>

#include "frame_hal.h"

#define FRAME_BUTTON_DEBOUNCE_US 20000u   /* contacts bounce for 1 to 10 ms */
#define FRAME_BUTTON_LONG_US 600000u      /* held this long it is a long press */
#define FRAME_BUTTON_DOUBLE_US 300000u    /* a second press within this time makes the tap a double one */

typedef enum frame_button_state {
    FRAME_BUTTON_IDLE,
    FRAME_BUTTON_DOWN,    /* pressed, not yet long */
    FRAME_BUTTON_TAPPED,  /* released: one tap or the first of two */
    FRAME_BUTTON_SETTLED, /* reported while still pressed: wait for the release */
} frame_button_state_t;

typedef struct frame_button {
    uint8_t state; /* frame_button_state_t */
    bool level;    /* as it is */
    bool stable;   /* as it has been for the debounce time */
    uint64_t changed_us;
    uint64_t since_us;       /* when `state` began */
    uint32_t changed_sample; /* sample clock at the last change of level */
    uint32_t pressed_sample; /* sample clock at the press that is being judged */
} frame_button_t;

void frame_button_init(frame_button_t *b);

/* The level now; may be told as often as one likes. */
void frame_button_level(frame_button_t *b, bool down, const frame_clock_t *clock);

/* Returns a GLINK_BUTTON_* once per gesture, with the sample clock of its press in `*sample`, or 0. */
uint8_t frame_button_tick(frame_button_t *b, uint64_t now_us, uint32_t *sample);

/* Returns when frame_button_tick() has something to do. */
uint64_t frame_button_next_us(const frame_button_t *b);

#endif
