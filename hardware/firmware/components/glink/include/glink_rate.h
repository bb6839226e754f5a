/* SPDX-License-Identifier: Apache-2.0 */
/* The rate of a line that has one: what was asked, what was promised, whether it stays. Knows no driver and no session.
 *
 * Both sides begin at GLINK_START_BAUD. At another rate each goes back by itself: when it does not hear the other soon
 * after the change, and when it does not hear it later on. So they always meet again.
 * Threads: same task as the glink_t that it belongs to. */
#ifndef GLINK_RATE_H
#define GLINK_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "glink_schema.h"

typedef struct glink_rate {
    uint32_t max_baud;   /* 0: the line has no rate, and everything else here is 0 too */
    uint32_t baud;       /* now */
    uint32_t next_baud;  /* once what is under way has left */
    uint32_t asked_baud; /* what the host wants */
    uint32_t chunk;      /* octets of a bulk frame's data, at this rate */
    uint64_t trial_us;   /* on trial: when it is given up */
    bool on_trial;       /* nothing was heard at this rate yet */
} glink_rate_t;

/* Starts at GLINK_START_BAUD, which the driver has set; without a rate where `max_baud` is 0. */
void glink_rate_init(glink_rate_t *rate, uint32_t max_baud);

/* The host asks for `baud`. */
void glink_rate_ask(glink_rate_t *rate, uint32_t baud);

/* The answer goes out. Returns the rate that the line has behind it: the one asked for, or the present one where that
 * cannot be had. */
uint32_t glink_rate_promise(glink_rate_t *rate);

/* Back to the start, at the next chance. */
void glink_rate_go_back(glink_rate_t *rate);

/* Whether the rate is to change as soon as nothing is under way. */
bool glink_rate_pending(const glink_rate_t *rate);

/* The rate that was pending is the line's now. */
void glink_rate_changed(glink_rate_t *rate, uint64_t now_us);

/* The host was heard. */
void glink_rate_heard(glink_rate_t *rate);

/* Whether the line has another rate than that at the start. */
bool glink_rate_is_raised(const glink_rate_t *rate);

/* Returns when the rate is to be given up, if nothing was heard after `heard_us`; GLINK_NEVER at the start's. */
uint64_t glink_rate_give_up_us(const glink_rate_t *rate, uint64_t heard_us);

#endif
