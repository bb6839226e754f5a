/* SPDX-License-Identifier: Apache-2.0 */
/* Credit: the receiver says up to which sequence number the sender may go. Knows no channel and no queue.
 *
 * Sequence numbers and grants count modulo 2^16 and compare by their difference, so windows stay below 2^15.
 * A grant is absolute: losing one costs time, never a slot. A gap in the sequence counts as received.
 * Threads: each object belongs to one task. */
#ifndef GLINK_CREDIT_H
#define GLINK_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#define GLINK_NEVER UINT64_MAX /* a deadline that does not come */

/* Whether `a` comes after `b`, modulo 2^16. */
static inline bool glink_seq_after(uint16_t a, uint16_t b)
{
    return (uint16_t)(a - b - 1u) < 0x7FFFu;
}

/* The receiver's side of one channel. */
typedef struct glink_grant {
    uint64_t repeat_us; /* when the grant is repeated next */
    uint64_t quiet_us;  /* from here on it is not repeated: the channel is out of use */
    uint16_t told;      /* the last grant that was sent */
    uint16_t half;      /* of the window: so much more is worth a grant before the sender has used up what it has */
    bool tell;          /* send one at the next chance */
} glink_grant_t;

/* Starts a session in which the sender assumes `window`; asks for a first grant, which also confirms the session. */
void glink_grant_open(glink_grant_t *grant, uint16_t window, uint64_t now_us);

/* Something of this channel arrived: repeat the grant for the next second. */
void glink_grant_used(glink_grant_t *grant, uint64_t now_us);

void glink_grant_tick(glink_grant_t *grant, uint64_t now_us);

/* Whether to send `allowed` now: it is due, or half a window is free again, or the sender, last seen at `highest`, had
 * nothing left to spend. */
bool glink_grant_due(const glink_grant_t *grant, uint16_t highest, uint16_t allowed);

/* `allowed` is on its way to the sender. */
void glink_grant_told(glink_grant_t *grant, uint16_t allowed, uint64_t now_us);

/* Returns when glink_grant_tick() has something to do. */
uint64_t glink_grant_next_us(const glink_grant_t *grant);

/* The sender's side of one channel. */
typedef struct glink_spend {
    uint64_t repeat_us; /* when the receiver is told of the limit next */
    uint16_t allowed;   /* highest sequence number that may be sent */
    bool stuck;         /* at the limit with something to send */
    bool tell;          /* send HighestSent at the next chance */
} glink_spend_t;

void glink_spend_open(glink_spend_t *spend, uint16_t window);

/* A grant arrived; one that is older than ours, or further ahead than any queue is long, changes nothing. */
void glink_spend_granted(glink_spend_t *spend, uint16_t allowed, uint16_t last_seq);

/* Whether the frame after `last_seq` may be sent. */
bool glink_spend_may_send(const glink_spend_t *spend, uint16_t last_seq);

/* `waiting`: there is something to send. Sets `tell` at the pace of the schema while stuck. */
void glink_spend_tick(glink_spend_t *spend, bool waiting, uint16_t last_seq, uint64_t now_us);

/* Returns when glink_spend_tick() has something to do. */
uint64_t glink_spend_next_us(const glink_spend_t *spend);

#endif
