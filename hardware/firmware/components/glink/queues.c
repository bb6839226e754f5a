/* SPDX-License-Identifier: Apache-2.0 */
#include "glink_queues.h"

#include <string.h>

#include "glink_credit.h"

bool glink_events_push(glink_events_t *events, uint16_t order, const uint8_t *payload, size_t n)
{
    const bool room = events->count < GLINK_EVENT_SLOTS;
    if (!room) glink_events_pop(events);

    glink_event_slot_t *slot = &events->slots[(events->head + events->count) & (GLINK_EVENT_SLOTS - 1u)];
    slot->order = order;
    slot->n = (uint8_t)n;
    memcpy(slot->payload, payload, n);
    events->count++;
    return room;
}

const glink_event_slot_t *glink_events_first(const glink_events_t *events)
{
    return events->count > 0u ? &events->slots[events->head] : NULL;
}

void glink_events_pop(glink_events_t *events)
{
    events->head = (uint8_t)((events->head + 1u) & (GLINK_EVENT_SLOTS - 1u));
    events->count--;
}

bool glink_events_gone(const glink_events_t *events, uint16_t order)
{
    const glink_event_slot_t *first = glink_events_first(events);
    return first == NULL || glink_seq_after(first->order, order);
}

void glink_log_push(glink_log_t *log, const char *text, size_t n)
{
    if (log->count == GLINK_LOG_SLOTS) {
        log->head = (uint8_t)((log->head + 1u) & (GLINK_LOG_SLOTS - 1u));
        log->count--;
        log->dropped++;
    }
    const size_t at = (log->head + log->count) & (GLINK_LOG_SLOTS - 1u);
    const size_t kept = n < GLINK_LOG_MAX_BYTES ? n : GLINK_LOG_MAX_BYTES;
    log->n[at] = (uint8_t)kept;
    memcpy(log->text[at], text, kept);
    log->count++;
}

size_t glink_log_pull(glink_log_t *log, uint8_t *payload, size_t cap)
{
    if (log->count == 0u) return 0u;
    const glink_log_text_t line = {
        .dropped_frames = log->dropped, .text = log->text[log->head], .text_len = log->n[log->head]};
    log->head = (uint8_t)((log->head + 1u) & (GLINK_LOG_SLOTS - 1u));
    log->count--;
    return glink_log_text_pack(&line, payload, cap);
}

void glink_bulk_start(glink_bulk_t *bulk, uint16_t object, const uint8_t *data, uint32_t size, uint32_t offset)
{
    bulk->object = object;
    bulk->data = data;
    bulk->size = size;
    bulk->offset = offset;
    bulk->active = true;
}

void glink_bulk_stop(glink_bulk_t *bulk)
{
    bulk->active = false;
    bulk->data = NULL;
}

size_t glink_bulk_pull(glink_bulk_t *bulk, uint8_t *payload, size_t cap, bool *last)
{
    if (!bulk->active) return 0u;
    const uint32_t left = bulk->size - bulk->offset;
    const uint32_t n = left < GLINK_BULK_CHUNK_BYTES ? left : GLINK_BULK_CHUNK_BYTES;
    const glink_bulk_data_t frame = {
        .object = bulk->object, .offset = bulk->offset, .data = bulk->data + bulk->offset, .data_len = n};
    const size_t written = glink_bulk_data_pack(&frame, payload, cap);
    bulk->offset += n;
    *last = bulk->offset == bulk->size;
    if (*last) glink_bulk_stop(bulk);
    return written;
}
