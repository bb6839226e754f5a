/* SPDX-License-Identifier: Apache-2.0 */
/* What the host may read, one object at a time: a photo, or octets that only test the line. Numbers the objects and
 * answers for them; where their octets lie is their owner's business.
 * Threads: same task as the frame_app_t it belongs to. */
#ifndef FRAME_OBJECT_H
#define FRAME_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "frame_hal.h"
#include "glink.h"

/* The octets of an object. */
typedef struct frame_object_source {
    void *ctx;
    glink_read_t read;
    void (*release)(void *ctx); /* they are read no more; NULL where nobody wants to know */
} frame_object_source_t;

typedef enum frame_object_state {
    FRAME_OBJECT_NONE,
    FRAME_OBJECT_COMING, /* it has a number, and no octets yet */
    FRAME_OBJECT_READY,
} frame_object_state_t;

typedef struct frame_object {
    const frame_clock_t *clock;
    glink_t *link;
    frame_object_source_t source;
    uint8_t state;    /* frame_object_state_t */
    uint16_t number;  /* of this object, or of the last one */
    uint16_t call_id; /* a test object that is coming: of the call that waits for it */
    uint32_t size;
    uint32_t crc;
    uint32_t checked; /* a test object that is coming: `crc` is that of so many octets */
    uint64_t due_us;  /* a test object that is coming: when it is looked at next */
} frame_object_t;

void frame_object_init(frame_object_t *o, const frame_clock_t *clock, glink_t *link);

/* Drops what is there and gives a number to what comes; frame_object_offer() or frame_object_clear() must follow.
 * Returns an rpc_status: OK with `*number`, or BUSY while something else is coming. */
uint8_t frame_object_expect(frame_object_t *o, uint16_t *number);

/* What was expected is there. */
void frame_object_offer(frame_object_t *o, frame_object_source_t source, uint32_t size, uint32_t crc);

/* Nothing is there, and nothing comes: the session is over, or what was expected did not come. */
void frame_object_clear(frame_object_t *o);

/* Begins to send object `number` from `offset` on. Returns an rpc_status. */
uint8_t frame_object_read(frame_object_t *o, uint16_t number, uint32_t offset);

/* Forgets object `number`. Returns an rpc_status. */
uint8_t frame_object_drop(frame_object_t *o, uint16_t number);

/* Makes `size` octets that only look random, in place of what is there, and fills the result of MakeTestObject.
 * Their checksum takes a while: a large object is PENDING, and frame_object_tick() ends the call.
 * Returns an rpc_status. */
uint8_t frame_object_make(frame_object_t *o, uint16_t call_id, uint32_t size, uint8_t *result, size_t *result_n);

void frame_object_tick(frame_object_t *o);
uint64_t frame_object_next_us(const frame_object_t *o);

#endif
