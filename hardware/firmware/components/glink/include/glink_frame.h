/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: COBS(header, payload, CRC-32) and a zero. This layer knows the header's layout and nothing of its meaning.
 * Threads: each deframer and each wire buffer belongs to one task. */
#ifndef GLINK_FRAME_H
#define GLINK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glink_cobs.h"
#include "glink_schema.h"

#define GLINK_HEADER_BYTES 6u
#define GLINK_CRC_BYTES 4u
#define GLINK_MAX_RAW_BYTES (GLINK_HEADER_BYTES + GLINK_MAX_PAYLOAD_BYTES + GLINK_CRC_BYTES)

/* Octets on the wire of a frame with `payload` octets; a leading zero is one more. */
#define GLINK_WIRE_BYTES(payload) (GLINK_COBS_MAX_BYTES(GLINK_HEADER_BYTES + (payload) + GLINK_CRC_BYTES) + 1u)

/* A frame is put together where it is encoded: one leading zero, room for COBS to grow into, header, payload, CRC. */
#define GLINK_HEADER_AT (1u + (GLINK_COBS_MAX_BYTES(GLINK_MAX_RAW_BYTES) - GLINK_MAX_RAW_BYTES))
#define GLINK_PAYLOAD_AT (GLINK_HEADER_AT + GLINK_HEADER_BYTES)

_Static_assert(1u + GLINK_WIRE_BYTES(GLINK_MAX_PAYLOAD_BYTES) == GLINK_MAX_WIRE_BYTES, "the wire limit of the schema");
_Static_assert(GLINK_HEADER_AT + GLINK_MAX_RAW_BYTES < GLINK_MAX_WIRE_BYTES, "the longest frame is encoded in place");

typedef struct glink_header {
    uint8_t chan;
    uint8_t flags;
    uint16_t seq;
    uint16_t session;
} glink_header_t;

/* Finishes the frame whose `n` <= GLINK_MAX_PAYLOAD_BYTES octets of payload stand at `wire + GLINK_PAYLOAD_AT`:
 * adds header and CRC and encodes it in place.
 * Returns the end of the frame in `wire`. wire[0] is a leading zero; the frame proper begins at wire[1]. */
size_t glink_frame_seal(uint8_t wire[GLINK_MAX_WIRE_BYTES], const glink_header_t *header, size_t n);

/* Decodes `n` octets (without delimiters) in place and checks them.
 * Returns the payload's length, `*payload` inside `raw`, or GLINK_ERR_FORMAT or GLINK_ERR_CRC. */
int32_t glink_frame_open(uint8_t *raw, size_t n, glink_header_t *header, const uint8_t **payload);

/* Cuts a stream of octets at its zeros. 1,046 octets. */
typedef struct glink_deframer {
    uint8_t buf[GLINK_MAX_WIRE_BYTES];
    uint16_t n;
    bool overflow; /* longer than any frame: skipped up to the next zero */
} glink_deframer_t;

typedef enum glink_cut {
    GLINK_CUT_MORE,     /* every octet is taken and no frame is complete */
    GLINK_CUT_FRAME,    /* `buf` holds `n` octets between two zeros; the next push starts over */
    GLINK_CUT_OVERFLOW, /* too many octets without a zero were thrown away */
} glink_cut_t;

/* Takes octets up to and including the next zero; `*used` tells how many of the `n` offered. */
glink_cut_t glink_deframer_push(glink_deframer_t *d, const uint8_t *bytes, size_t n, size_t *used);

/* Forgets the octets of the last frame. Call it after GLINK_CUT_FRAME, when `buf` has been read. */
void glink_deframer_next(glink_deframer_t *d);

#endif
