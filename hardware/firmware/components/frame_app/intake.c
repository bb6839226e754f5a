/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_intake.h"

#include <string.h>

#include "glink_crc32.h"

static void report(frame_intake_t *t, uint8_t status)
{
    const glink_object_event_t event = {.object = t->wanted.object, .status = status, .received_bytes = t->received};
    uint8_t out[GLINK_OBJECT_EVENT_BYTES];
    (void)glink_report(t->link, out, glink_object_event_pack(&event, out, sizeof out));
}

/* The verdict, if all of it is there. What is damaged is forgotten: asked again, it begins anew. */
static void judge(frame_intake_t *t)
{
    if (t->received < t->wanted.size_bytes) return;
    t->known = t->crc == t->wanted.crc32;
    report(t, t->known ? GLINK_OBJECT_STATUS_OK : GLINK_OBJECT_STATUS_BAD_CRC);
}

void frame_intake_init(frame_intake_t *t, glink_t *link)
{
    memset(t, 0, sizeof *t);
    t->link = link;
}

uint8_t frame_intake_begin(frame_intake_t *t, const glink_write_object_args_t *wanted, uint32_t *offset)
{
    if (wanted->kind != GLINK_OBJECT_KIND_TEST) return GLINK_RPC_STATUS_UNSUPPORTED;
    if (wanted->size_bytes > GLINK_MAX_TEST_OBJECT_BYTES) return GLINK_RPC_STATUS_BAD_ARGUMENT;

    const bool same = t->known && wanted->object == t->wanted.object && wanted->kind == t->wanted.kind &&
                      wanted->size_bytes == t->wanted.size_bytes && wanted->crc32 == t->wanted.crc32;
    if (!same) {
        t->wanted = *wanted;
        t->known = true;
        t->received = 0u;
        t->crc = 0u;
    }
    t->hole_told = false;
    *offset = t->received;
    judge(t);
    return GLINK_RPC_STATUS_OK;
}

bool frame_intake_take(frame_intake_t *t, const glink_bulk_write_t *write)
{
    if (!t->known || write->object != t->wanted.object) return false;
    if (write->offset > t->wanted.size_bytes || write->data_len > t->wanted.size_bytes - write->offset) return false;
    if (write->offset > t->received) {
        if (!t->hole_told) report(t, GLINK_OBJECT_STATUS_MISSING);
        t->hole_told = true;
        return false;
    }
    const uint32_t again = t->received - write->offset; /* octets that are there already */
    if (write->data_len <= again) return false;

    const uint32_t fresh = (uint32_t)write->data_len - again;
    t->crc = glink_crc32(t->crc, write->data + again, fresh);
    t->received += fresh;
    t->hole_told = false;
    judge(t);
    return true;
}
