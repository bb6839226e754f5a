/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_button.h"

#include <string.h>

#include "glink_credit.h"
#include "glink_schema.h"

void frame_button_init(frame_button_t *b)
{
    memset(b, 0, sizeof *b);
}

void frame_button_level(frame_button_t *b, bool down, const frame_clock_t *clock)
{
    if (down == b->level) return;
    b->level = down;
    b->changed_us = clock->now_us;
    b->changed_sample = (uint32_t)clock->sample;
}

static void enter(frame_button_t *b, frame_button_state_t state, uint64_t now_us)
{
    b->state = (uint8_t)state;
    b->since_us = now_us;
}

/* The contact has settled on a new level, at changed_us. */
static uint8_t edge(frame_button_t *b)
{
    b->stable = b->level;
    if (!b->stable) {
        enter(b, b->state == FRAME_BUTTON_DOWN ? FRAME_BUTTON_TAPPED : FRAME_BUTTON_IDLE, b->changed_us);
        return 0u;
    }
    if (b->state == FRAME_BUTTON_TAPPED) {
        enter(b, FRAME_BUTTON_SETTLED, b->changed_us);
        return GLINK_BUTTON_DOUBLE_TAP;
    }
    b->pressed_sample = b->changed_sample;
    enter(b, FRAME_BUTTON_DOWN, b->changed_us);
    return 0u;
}

/* A second press has begun in time; whether it is one shows when the contact has settled. */
static bool pressed_again(const frame_button_t *b)
{
    return b->level && !b->stable && b->changed_us - b->since_us <= FRAME_BUTTON_DOUBLE_US;
}

uint64_t frame_button_next_us(const frame_button_t *b)
{
    uint64_t next = GLINK_NEVER;
    if (b->state == FRAME_BUTTON_DOWN && b->level) next = b->since_us + FRAME_BUTTON_LONG_US;
    if (b->state == FRAME_BUTTON_TAPPED && !pressed_again(b)) next = b->since_us + FRAME_BUTTON_DOUBLE_US;
    if (b->level != b->stable) {
        const uint64_t settled = b->changed_us + FRAME_BUTTON_DEBOUNCE_US;
        if (settled < next) next = settled;
    }
    return next;
}

uint8_t frame_button_tick(frame_button_t *b, uint64_t now_us, uint32_t *sample)
{
    if (now_us < frame_button_next_us(b)) return 0u;
    *sample = b->pressed_sample;
    if (b->state == FRAME_BUTTON_TAPPED && !pressed_again(b) && now_us - b->since_us >= FRAME_BUTTON_DOUBLE_US) {
        enter(b, FRAME_BUTTON_IDLE, now_us);
        return GLINK_BUTTON_TAP;
    }
    if (b->level != b->stable && now_us - b->changed_us >= FRAME_BUTTON_DEBOUNCE_US) return edge(b);
    enter(b, FRAME_BUTTON_SETTLED, now_us);
    return GLINK_BUTTON_LONG_PRESS;
}
