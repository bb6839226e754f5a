/* SPDX-License-Identifier: Apache-2.0 */
#include "glink_queues.h"

#include <string.h>

#include "glink_credit.h"

#define EVENT_RETRY_US (GLINK_EVENT_RETRY_MS * UINT64_C(1000))

bool glink_events_push(glink_events_t *events, uint16_t order, const uint8_t *payload, size_t n)
{
    const bool room = events->count < GLINK_EVENT_SLOTS;
    if (!room) {
        if (events->sent == 0u) events->lost_order = events->slots[events->head].order;
        events->lost = events->lost || events->sent == 0u;
        glink_events_pop(events);
    }
    /* Stamps repeat: what was lost long ago must not look like what is to come. */
    if ((uint16_t)(order - events->lost_order) > INT16_MAX / 2) events->lost = false;

    glink_event_slot_t *slot = &events->slots[(events->head + events->count) & (GLINK_EVENT_SLOTS - 1u)];
    slot->order = order;
    slot->n = (uint8_t)n;
    memcpy(slot->payload, payload, n);
    events->count++;
    return room;
}

const glink_event_slot_t *glink_events_due(const glink_events_t *events)
{
    const bool due = events->count > 0u && (events->sent == 0u || events->again);
    return due ? &events->slots[events->head] : NULL;
}

void glink_events_sent(glink_events_t *events, uint16_t seq, uint64_t now_us)
{
    events->sent++;
    events->again = false;
    events->seq = seq;
    events->again_us = now_us + EVENT_RETRY_US;
}

void glink_events_pop(glink_events_t *events)
{
    events->head = (uint8_t)((events->head + 1u) & (GLINK_EVENT_SLOTS - 1u));
    events->count--;
    events->sent = 0u;
    events->again = false;
}

void glink_events_acknowledged(glink_events_t *events, uint16_t seq)
{
    if (events->sent > 0u && seq == events->seq) glink_events_pop(events);
}

bool glink_events_tick(glink_events_t *events, uint64_t now_us)
{
    if (now_us < glink_events_next_us(events)) return true;
    if (events->sent == GLINK_EVENT_TRIES) {
        glink_events_pop(events);
        return false;
    }
    events->again = true;
    return true;
}

uint64_t glink_events_next_us(const glink_events_t *events)
{
    return events->sent > 0u && !events->again ? events->again_us : GLINK_NEVER;
}

bool glink_events_gone(const glink_events_t *events, uint16_t order)
{
    if (events->count == 0u) return true;
    const uint16_t oldest = events->slots[events->head].order;
    return glink_seq_after(oldest, order) || (oldest == order && events->sent > 0u);
}

bool glink_events_lost(const glink_events_t *events, uint16_t order)
{
    return events->lost && !glink_seq_after(order, events->lost_order);
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

void glink_bulk_start(glink_bulk_t *bulk, uint16_t object, glink_read_t read, void *ctx, uint32_t size,
                      uint32_t offset)
{
    bulk->object = object;
    bulk->read = read;
    bulk->ctx = ctx;
    bulk->size = size;
    bulk->offset = offset;
    bulk->active = true;
}

void glink_bulk_stop(glink_bulk_t *bulk)
{
    bulk->active = false;
}

size_t glink_bulk_pull(glink_bulk_t *bulk, uint8_t *payload, uint32_t chunk, bool *last)
{
    if (!bulk->active) return 0u;
    const uint32_t left = bulk->size - bulk->offset;
    const uint32_t n = left < chunk ? left : chunk;
    const glink_bulk_data_t frame = {.object = bulk->object, .offset = bulk->offset};
    const size_t head = glink_bulk_data_pack(&frame, payload, GLINK_BULK_DATA_BYTES);
    bulk->read(bulk->ctx, bulk->offset, payload + head, n);
    bulk->offset += n;
    *last = bulk->offset == bulk->size;
    if (*last) glink_bulk_stop(bulk);
    return head + n;
}
