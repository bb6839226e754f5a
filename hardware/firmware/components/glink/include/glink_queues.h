/* SPDX-License-Identifier: Apache-2.0 */
/* What waits to be sent beside replies and audio: events, log lines, and the object that is being read.
 * Nobody who reports an event or writes a line waits for the host: when a queue is full its oldest entry goes.
 * The oldest event stays queued until the host has acknowledged it, and is sent again meanwhile; so they keep their order.
 * Threads: each queue belongs to one task. */
#ifndef GLINK_QUEUES_H
#define GLINK_QUEUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glink_schema.h"

#define GLINK_EVENT_SLOTS 16u
#define GLINK_EVENT_MAX_BYTES 16u
#define GLINK_LOG_SLOTS 4u
#define GLINK_LOG_MAX_BYTES GLINK_MAX_LOG_BYTES

_Static_assert(GLINK_UNDERRUN_BYTES <= GLINK_EVENT_MAX_BYTES, "the longest event fits");
_Static_assert((GLINK_EVENT_SLOTS & (GLINK_EVENT_SLOTS - 1u)) == 0u, "slots are found by masking");
_Static_assert((GLINK_LOG_SLOTS & (GLINK_LOG_SLOTS - 1u)) == 0u, "slots are found by masking");

typedef struct glink_event_slot {
    uint16_t order; /* stamp of the moment it was queued */
    uint8_t n;
    uint8_t payload[GLINK_EVENT_MAX_BYTES]; /* type octet first */
} glink_event_slot_t;

typedef struct glink_events {
    glink_event_slot_t slots[GLINK_EVENT_SLOTS];
    uint8_t head;
    uint8_t count;
    uint8_t sent;      /* how often the oldest one went out; the others never did */
    bool again;        /* it is to go out once more */
    uint16_t seq;      /* the number that it went out under */
    uint64_t again_us; /* when it goes out once more, or is given up */
    bool lost;         /* some had to go before they ever went out; the newest of them was stamped so: */
    uint16_t lost_order;
} glink_events_t;

/* Queues an event of `n` <= GLINK_EVENT_MAX_BYTES octets. Returns false when the oldest one was lost for it. */
bool glink_events_push(glink_events_t *events, uint16_t order, const uint8_t *payload, size_t n);

/* Returns the event that is to go out now, or NULL: none waits, or the oldest one waits for its acknowledgement. */
const glink_event_slot_t *glink_events_due(const glink_events_t *events);

/* The event that is due goes out under `seq` and stays until it is acknowledged. */
void glink_events_sent(glink_events_t *events, uint16_t seq, uint64_t now_us);

/* Removes the oldest event. Precondition: there is one. */
void glink_events_pop(glink_events_t *events);

/* The host has got the event that went out under `seq`; without effect unless that is the one that waits. */
void glink_events_acknowledged(glink_events_t *events, uint16_t seq);

/* Makes the event that waits due again. Returns false when it was given up instead, after GLINK_EVENT_TRIES. */
bool glink_events_tick(glink_events_t *events, uint64_t now_us);

/* Returns when glink_events_tick() has something to do, GLINK_NEVER if nothing. */
uint64_t glink_events_next_us(const glink_events_t *events);

/* Whether the event with this stamp went out at least once, or is lost. */
bool glink_events_gone(const glink_events_t *events, uint16_t order);

/* Whether an event that is no older than the one with this stamp was lost before it ever went out. */
bool glink_events_lost(const glink_events_t *events, uint16_t order);

typedef struct glink_log {
    uint16_t dropped; /* cumulative: the host sees what it missed */
    uint8_t head;
    uint8_t count;
    uint8_t n[GLINK_LOG_SLOTS];
    uint8_t text[GLINK_LOG_SLOTS][GLINK_LOG_MAX_BYTES];
} glink_log_t;

/* Queues a line; what is longer than GLINK_LOG_MAX_BYTES is cut. */
void glink_log_push(glink_log_t *log, const char *text, size_t n);

/* Moves the oldest line into `payload` as a LogText. Returns its length, 0 when there is none. */
size_t glink_log_pull(glink_log_t *log, uint8_t *payload, size_t cap);

/* Writes the octets `offset` to `offset + n` of an object, which are within it, to `out`. The same ones each time. */
typedef void (*glink_read_t)(void *ctx, uint32_t offset, uint8_t *out, size_t n);

typedef struct glink_bulk {
    glink_read_t read; /* the owner keeps what it reads until glink_bulk_stop() */
    void *ctx;
    uint32_t size;
    uint32_t offset; /* of the next octet to send */
    uint16_t object;
    bool active;
} glink_bulk_t;

_Static_assert(GLINK_BULK_DATA_BYTES + GLINK_MAX_CHUNK_BYTES <= GLINK_MAX_PAYLOAD_BYTES, "a chunk fits a frame");

/* Begins to send `object` from `offset` <= `size` on, in place of whatever was being sent. */
void glink_bulk_start(glink_bulk_t *bulk, uint16_t object, glink_read_t read, void *ctx, uint32_t size,
                      uint32_t offset);

void glink_bulk_stop(glink_bulk_t *bulk);

/* Writes the next BulkData, with `chunk` <= GLINK_MAX_CHUNK_BYTES octets of data while there are as many, to `payload`,
 * which has room for it; `*last` tells that none follows.
 * Returns its length, 0 when there is nothing to send. */
size_t glink_bulk_pull(glink_bulk_t *bulk, uint8_t *payload, uint32_t chunk, bool *last);

#endif
