/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "check.h"
#include "glink_credit.h"
#include "glink_queues.h"
#include "glink_rpc.h"

static glink_rpc_t rpc;

static void run_one(uint16_t call_id)
{
    glink_rpc_entry_t *entry = glink_rpc_begin(&rpc, call_id, 1);
    CHECK(entry != NULL);
    if (entry == NULL) return;
    entry->state = GLINK_RPC_DONE;
    CHECK(glink_rpc_queue(&rpc, entry, call_id));
    glink_rpc_first(&rpc)->queued = false;
}

static void the_last_32_replies_are_kept(void)
{
    glink_rpc_reset(&rpc);
    for (uint16_t id = 100; id < 100 + 40; id++) run_one(id);
    for (uint16_t id = 100; id < 108; id++) CHECK(glink_rpc_find(&rpc, id) == NULL);
    for (uint16_t id = 108; id < 140; id++) CHECK(glink_rpc_find(&rpc, id) != NULL);
}

static void the_window_counts_what_is_under_way(void)
{
    glink_rpc_reset(&rpc);
    for (uint16_t id = 1; id <= GLINK_WINDOW_RPC; id++) {
        CHECK(glink_rpc_free(&rpc) == GLINK_WINDOW_RPC + 1u - id);
        CHECK(glink_rpc_begin(&rpc, id, 1) != NULL);
    }
    CHECK(glink_rpc_free(&rpc) == 0u);
    CHECK(glink_rpc_begin(&rpc, 99, 1) == NULL);

    glink_rpc_entry_t *third = glink_rpc_find(&rpc, 3);
    third->state = GLINK_RPC_DONE; /* answered and sent */
    CHECK(glink_rpc_free(&rpc) == 1u);
    CHECK(glink_rpc_begin(&rpc, 99, 1) != NULL);
    CHECK(!glink_rpc_queue(&rpc, third, 1)); /* its repeated reply needs a slot, and there is none */
    CHECK(glink_rpc_queue(&rpc, glink_rpc_find(&rpc, 4), 2)); /* a running call has one */
}

static void running_calls_are_never_given_up(void)
{
    glink_rpc_reset(&rpc);
    CHECK(glink_rpc_begin(&rpc, 7, 1) != NULL);
    for (uint16_t id = 100; id < 300; id++) run_one(id);
    CHECK(glink_rpc_find(&rpc, 7) != NULL);
}

static void replies_leave_in_order(void)
{
    glink_rpc_reset(&rpc);
    static const uint16_t order[] = {0xFFFE, 0xFFFF, 0, 1}; /* stamps wrap */
    for (uint16_t i = 0; i < 4; i++) {
        glink_rpc_entry_t *entry = glink_rpc_begin(&rpc, (uint16_t)(10 + i), 1);
        entry->state = GLINK_RPC_DONE;
        CHECK(glink_rpc_queue(&rpc, entry, order[3 - i]));
    }
    for (uint16_t i = 0; i < 4; i++) {
        glink_rpc_entry_t *first = glink_rpc_first(&rpc);
        CHECK(first != NULL && first->call_id == 13 - i);
        first->queued = false;
    }
    CHECK(glink_rpc_first(&rpc) == NULL);
}

static void the_oldest_event_goes(void)
{
    static glink_events_t events;
    memset(&events, 0, sizeof events);
    for (uint8_t i = 0; i < GLINK_EVENT_SLOTS; i++) CHECK(glink_events_push(&events, i, &i, 1));
    CHECK(!glink_events_gone(&events, 0));
    const uint8_t one_more = GLINK_EVENT_SLOTS;
    CHECK(!glink_events_push(&events, GLINK_EVENT_SLOTS, &one_more, 1));
    CHECK(glink_events_gone(&events, 0));
    CHECK(!glink_events_gone(&events, 1));
    for (uint8_t i = 1; i <= GLINK_EVENT_SLOTS; i++) {
        const glink_event_slot_t *first = glink_events_due(&events);
        CHECK(first != NULL && first->n == 1u && first->payload[0] == i);
        glink_events_pop(&events);
    }
    CHECK(glink_events_due(&events) == NULL);
    CHECK(glink_events_gone(&events, GLINK_EVENT_SLOTS));
}

static void an_event_waits_for_its_acknowledgement(void)
{
    static glink_events_t events;
    const uint64_t retry_us = GLINK_EVENT_RETRY_MS * UINT64_C(1000);
    uint64_t now_us = 5000000u;
    memset(&events, 0, sizeof events);
    for (uint8_t i = 0; i < 3u; i++) CHECK(glink_events_push(&events, i, &i, 1));
    CHECK(glink_events_next_us(&events) == GLINK_NEVER);
    glink_events_acknowledged(&events, 0); /* nothing has gone out: nothing can be acknowledged */
    CHECK(glink_events_due(&events)->payload[0] == 0u && !glink_events_gone(&events, 0));

    glink_events_sent(&events, 0xFFFFu, now_us);
    CHECK(glink_events_due(&events) == NULL); /* the next ones wait behind it */
    CHECK(glink_events_gone(&events, 0) && !glink_events_gone(&events, 1));
    CHECK(glink_events_next_us(&events) == now_us + retry_us);
    CHECK(glink_events_tick(&events, now_us + retry_us - 1u) && glink_events_due(&events) == NULL);
    CHECK(glink_events_tick(&events, now_us += retry_us) && glink_events_due(&events)->payload[0] == 0u);
    CHECK(glink_events_next_us(&events) == GLINK_NEVER); /* it is due, whenever the line has room for it */
    CHECK(glink_events_tick(&events, now_us + 10u * retry_us) && glink_events_due(&events)->payload[0] == 0u);
    glink_events_acknowledged(&events, 0xFFFEu);
    CHECK(glink_events_due(&events)->payload[0] == 0u);
    glink_events_acknowledged(&events, 0xFFFFu);
    CHECK(glink_events_due(&events)->payload[0] == 1u && !glink_events_gone(&events, 1));

    for (unsigned tries = 1; tries < GLINK_EVENT_TRIES; tries++) {
        glink_events_sent(&events, 0, now_us);
        CHECK(glink_events_tick(&events, now_us += retry_us) && glink_events_due(&events)->payload[0] == 1u);
    }
    glink_events_sent(&events, 0, now_us);
    CHECK(glink_events_tick(&events, now_us + retry_us - 1u) && glink_events_due(&events) == NULL);
    CHECK(!glink_events_tick(&events, now_us += retry_us)); /* given up */
    CHECK(glink_events_due(&events)->payload[0] == 2u);
    glink_events_acknowledged(&events, 0); /* too late: the next one has not gone out */
    CHECK(glink_events_due(&events)->payload[0] == 2u);

    glink_events_sent(&events, 1, now_us);
    for (uint8_t i = 3; i < 2u + GLINK_EVENT_SLOTS; i++) CHECK(glink_events_push(&events, i, &i, 1));
    CHECK(!glink_events_push(&events, 99, &(uint8_t){99}, 1)); /* the oldest one goes, also while it waits */
    CHECK(glink_events_due(&events)->payload[0] == 3u);
    glink_events_acknowledged(&events, 1);
    CHECK(glink_events_due(&events)->payload[0] == 3u);
}

static void the_log_counts_what_it_drops(void)
{
    static glink_log_t lines;
    static char line[GLINK_LOG_MAX_BYTES + 10u];
    uint8_t payload[GLINK_LOG_TEXT_BYTES + GLINK_LOG_MAX_BYTES];
    memset(&lines, 0, sizeof lines);
    memset(line, 'x', sizeof line);
    for (unsigned i = 0; i < GLINK_LOG_SLOTS + 3u; i++) {
        line[0] = (char)('a' + i);
        glink_log_push(&lines, line, sizeof line);
    }
    for (unsigned i = 3; i < GLINK_LOG_SLOTS + 3u; i++) {
        CHECK(glink_log_pull(&lines, payload, sizeof payload) == sizeof payload); /* cut to what fits */
        glink_log_text_t text;
        glink_log_text_unpack(&text, payload, sizeof payload);
        CHECK(text.dropped_frames == 3u && text.text[0] == 'a' + i);
    }
    CHECK(glink_log_pull(&lines, payload, sizeof payload) == 0u);
}

static void read_octets(void *ctx, uint32_t offset, uint8_t *out, size_t n)
{
    memcpy(out, (const uint8_t *)ctx + offset, n);
}

static void an_object_is_sent_from_any_offset(void)
{
    static uint8_t object[2500];
    static uint8_t payload[GLINK_MAX_PAYLOAD_BYTES];
    static glink_bulk_t bulk;
    for (size_t i = 0; i < sizeof object; i++) object[i] = (uint8_t)(i * 31u);

    for (uint32_t from = 0; from <= sizeof object; from++) {
        uint32_t chunk = from % 2u == 0u ? GLINK_MAX_CHUNK_BYTES : GLINK_MIN_CHUNK_BYTES;
        uint32_t at = from;
        bool last = false;
        glink_bulk_start(&bulk, 4, read_octets, object, sizeof object, from);
        while (!last) {
            const size_t n = glink_bulk_pull(&bulk, payload, chunk, &last);
            chunk = 92u; /* the line's rate may change on the way */
            glink_bulk_data_t data;
            glink_bulk_data_unpack(&data, payload, n);
            CHECK(n > 0u && data.object == 4u && data.offset == at);
            CHECK(data.data_len <= sizeof object - at && memcmp(data.data, object + at, data.data_len) == 0);
            at += (uint32_t)data.data_len;
            if (n == 0u) break;
        }
        CHECK(at == sizeof object);
        CHECK(glink_bulk_pull(&bulk, payload, chunk, &last) == 0u);
    }
}

void test_rpc_and_queues(void)
{
    the_last_32_replies_are_kept();
    the_window_counts_what_is_under_way();
    running_calls_are_never_given_up();
    replies_leave_in_order();
    the_oldest_event_goes();
    an_event_waits_for_its_acknowledgement();
    the_log_counts_what_it_drops();
    an_object_is_sent_from_any_offset();
}
