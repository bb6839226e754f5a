/* SPDX-License-Identifier: Apache-2.0 */
/* The object that the host sends: in order, without a hole, checked at its end. Octets are taken at once, so every slot
 * of the channel is always free. How far it has come outlives a session; a boot forgets it.
 * Threads: same task as the frame_app_t it belongs to. */
#ifndef FRAME_INTAKE_H
#define FRAME_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "glink.h"

typedef struct frame_intake {
    glink_t *link;
    glink_write_object_args_t wanted; /* what the host said it would send */
    bool known;                       /* `wanted` holds */
    bool hole_told;
    uint32_t received;
    uint32_t crc; /* of these octets */
} frame_intake_t;

void frame_intake_init(frame_intake_t *t, glink_t *link);

/* Goes on with exactly this object, or begins it in place of another. One that is complete is reported (again).
 * Returns an rpc_status: OK with how much of it is there, or why it is not taken; then all stays as it was. */
uint8_t frame_intake_begin(frame_intake_t *t, const glink_write_object_args_t *wanted, uint32_t *offset);

/* Takes what is new and follows what is there; reports a hole once, and the end.
 * Returns false when nothing in it was of use. */
bool frame_intake_take(frame_intake_t *t, const glink_bulk_write_t *write);

#endif
