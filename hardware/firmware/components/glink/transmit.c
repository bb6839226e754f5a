/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves, and in which order. A frame is chosen and encoded only when the transport asks for octets, so nothing
 * urgent ever queues behind something that could have waited. */
#include <string.h>

#include "glink_session.h"

#define IDLE_US 20000u /* after this pause a frame begins with a zero: noise may have come in between */

/* A source writes its next payload and sets channel and flags. Returns the length, 0 when it has nothing. */
typedef size_t (*source_t)(glink_t *g, glink_header_t *header, uint8_t *payload);

/* ---- link channel ---- */

static bool take_due(glink_t *g, uint8_t bit)
{
    const bool due = (g->link_due & bit) != 0u;
    g->link_due &= (uint8_t)~bit;
    return due;
}

static uint16_t free_slots(const glink_t *g, uint8_t chan)
{
    switch (chan) {
    case GLINK_CHAN_RPC:
        return (uint16_t)glink_rpc_free(&g->rpc);
    case GLINK_CHAN_SPEAKER:
        return g->app.speaker_free(g->app.ctx);
    case GLINK_CHAN_BULK_DOWN:
        return g->identity.bulk_window; /* what comes is taken at once */
    case GLINK_CHAN_TEST:
        return glink_test_channel_free(&g->test);
    default:
        return 0u;
    }
}

static size_t pack_credit(glink_t *g, uint8_t chan, uint8_t *payload)
{
    if (glink_session_window(g, chan) == 0u) return 0u;
    const uint16_t highest = g->rx_highest[chan];
    const uint16_t allowed = (uint16_t)(highest + free_slots(g, chan));
    if (!glink_grant_due(&g->grants[chan], highest, allowed)) return 0u;
    glink_grant_told(&g->grants[chan], allowed, g->now_us);
    const glink_credit_t credit = {.channel = chan, .allowed = allowed};
    return glink_credit_pack(&credit, payload, GLINK_MAX_PAYLOAD_BYTES);
}

static size_t pack_highest_sent(glink_t *g, uint8_t *payload)
{
    if (!g->bulk_spend.tell) return 0u;
    g->bulk_spend.tell = false;
    const glink_highest_sent_t highest = {.channel = GLINK_CHAN_BULK_UP, .seq = g->tx_seq[GLINK_CHAN_BULK_UP]};
    return glink_highest_sent_pack(&highest, payload, GLINK_MAX_PAYLOAD_BYTES);
}

static size_t from_link(glink_t *g, glink_header_t *header, uint8_t *payload)
{
    header->chan = GLINK_CHAN_LINK;
    if (take_due(g, GLINK_DUE_REFUSE)) {
        const glink_refuse_t refuse = {.nonce = g->refuse_nonce,
                                       .reason = GLINK_CLOSE_REASON_VERSION,
                                       .major = GLINK_MAJOR,
                                       .minor = GLINK_MINOR};
        header->session = 0u; /* it belongs to none, and leaves ours alone */
        return glink_refuse_pack(&refuse, payload, GLINK_MAX_PAYLOAD_BYTES);
    }
    if (take_due(g, GLINK_DUE_NO_SESSION)) {
        const glink_close_t close = {.reason = GLINK_CLOSE_REASON_NO_SESSION};
        header->session = g->foreign_session;
        return glink_close_pack(&close, payload, GLINK_MAX_PAYLOAD_BYTES);
    }
    if (take_due(g, GLINK_DUE_HELLO_ACK)) {
        glink_hello_ack_t ack = g->identity;
        ack.nonce = g->nonce;
        ack.session = g->session;
        return glink_hello_ack_pack(&ack, payload, GLINK_MAX_PAYLOAD_BYTES);
    }
    if (take_due(g, GLINK_DUE_PONG)) {
        const glink_pong_t pong = {.token = g->pong_token, .mic_sample = g->app.mic_sample(g->app.ctx)};
        return glink_pong_pack(&pong, payload, GLINK_MAX_PAYLOAD_BYTES);
    }
    if (take_due(g, GLINK_DUE_PING)) {
        const glink_ping_t ping = {.token = g->ping_token};
        return glink_ping_pack(&ping, payload, GLINK_MAX_PAYLOAD_BYTES);
    }
    if (take_due(g, GLINK_DUE_RATE_SET)) {
        const glink_rate_set_t set = {.baud = glink_rate_promise(&g->rate)};
        return glink_rate_set_pack(&set, payload, GLINK_MAX_PAYLOAD_BYTES);
    }
    if (g->state != GLINK_OPEN) return 0u;

    size_t n = 0;
    for (uint8_t chan = 0; chan < GLINK_CHANNELS && n == 0u; chan++) n = pack_credit(g, chan, payload);
    if (n == 0u) n = pack_highest_sent(g, payload);
    return n;
}

/* ---- the other channels ---- */

static size_t from_mic(glink_t *g, glink_header_t *header, uint8_t *payload)
{
    header->chan = GLINK_CHAN_MIC;
    return g->app.mic(g->app.ctx, &header->flags, payload, GLINK_MAX_PAYLOAD_BYTES);
}

static size_t pack_reply(glink_rpc_entry_t *entry, uint8_t *payload)
{
    const glink_reply_t reply = {.call_id = entry->call_id,
                                 .method = entry->method,
                                 .status = entry->status,
                                 .result = entry->result,
                                 .result_len = entry->result_n};
    entry->queued = false;
    return glink_reply_pack(&reply, payload, GLINK_MAX_PAYLOAD_BYTES);
}

static size_t pack_event(glink_t *g, const glink_event_slot_t *event, glink_header_t *header, uint8_t *payload)
{
    const size_t n = event->n;
    memcpy(payload, event->payload, n);
    header->seq = (uint16_t)(g->tx_seq[GLINK_CHAN_EVENT] + 1u);
    if (g->events.sent > 0u) {
        header->flags = GLINK_FLAG_RETRY;
        header->seq = g->events.seq;
        g->stats.event_retries++;
    }
    if (g->events_acked) {
        header->flags |= GLINK_FLAG_ACK_REQ;
        glink_events_sent(&g->events, header->seq, g->now_us);
    } else {
        glink_events_pop(&g->events);
    }
    return n;
}

/* Replies and events leave in the order in which they arose; but no reply waits for an event that waits for the host. */
static size_t from_rpc_and_events(glink_t *g, glink_header_t *header, uint8_t *payload)
{
    glink_rpc_entry_t *reply = glink_rpc_first(&g->rpc);
    const glink_event_slot_t *event = glink_events_due(&g->events);
    if (reply != NULL && (event == NULL || glink_seq_after(event->order, reply->order))) {
        header->chan = GLINK_CHAN_RPC;
        return pack_reply(reply, payload);
    }
    if (event == NULL) return 0u;
    header->chan = GLINK_CHAN_EVENT;
    return pack_event(g, event, header, payload);
}

static size_t from_test(glink_t *g, glink_header_t *header, uint8_t *payload)
{
    header->chan = GLINK_CHAN_TEST;
    return glink_test_channel_give(&g->test, payload);
}

static size_t from_bulk(glink_t *g, glink_header_t *header, uint8_t *payload)
{
    if (!glink_spend_may_send(&g->bulk_spend, g->tx_seq[GLINK_CHAN_BULK_UP])) return 0u;
    header->chan = GLINK_CHAN_BULK_UP;
    bool last = false;
    const size_t n = glink_bulk_pull(&g->bulk, payload, g->rate.chunk, &last);
    if (last) header->flags = GLINK_FLAG_LAST;
    return n;
}

static size_t from_log(glink_t *g, glink_header_t *header, uint8_t *payload)
{
    header->chan = GLINK_CHAN_LOG;
    return glink_log_pull(&g->log, payload, GLINK_MAX_PAYLOAD_BYTES);
}

static size_t from_close(glink_t *g, glink_header_t *header, uint8_t *payload)
{
    if (!take_due(g, GLINK_DUE_CLOSE)) return 0u;
    header->chan = GLINK_CHAN_LINK;
    const glink_close_t close = {.reason = GLINK_CLOSE_REASON_INTERRUPTED};
    return glink_close_pack(&close, payload, GLINK_MAX_PAYLOAD_BYTES);
}

/* Most urgent first. */
static const source_t open_order[] = {from_link, from_mic, from_rpc_and_events, from_test, from_bulk, from_log};
static const source_t greeted_order[] = {from_link};
static const source_t leaving_order[] = {from_rpc_and_events, from_log, from_close};
static const source_t closed_order[] = {from_link}; /* to refuse a HELLO */

static const struct {
    const source_t *sources;
    size_t n;
} orders[] = {
    [GLINK_CLOSED] = {closed_order, sizeof closed_order / sizeof closed_order[0]},
    [GLINK_GREETED] = {greeted_order, sizeof greeted_order / sizeof greeted_order[0]},
    [GLINK_OPEN] = {open_order, sizeof open_order / sizeof open_order[0]},
    [GLINK_LEAVING] = {leaving_order, sizeof leaving_order / sizeof leaving_order[0]},
};

/* ---- the wire ---- */

/* Encodes the next frame into g->tx. Returns false when nothing waits. */
static bool load_frame(glink_t *g)
{
    glink_header_t header = {.session = g->session};
    uint8_t *payload = g->tx + GLINK_PAYLOAD_AT;
    size_t n = 0;
    for (size_t i = 0; i < orders[g->state].n && n == 0u; i++) n = orders[g->state].sources[i](g, &header, payload);
    if (n == 0u) return false;

    const bool numbered = g->session != 0u && header.session == g->session;
    if (numbered && (header.flags & GLINK_FLAG_RETRY) == 0u) header.seq = ++g->tx_seq[header.chan];
    g->tx_end = (uint16_t)glink_frame_seal(g->tx, &header, n);
    const bool lead = g->lead || g->now_us - g->wire_us >= IDLE_US;
    g->tx_at = (uint16_t)(lead ? 0u : 1u);
    g->lead = false;
    g->spoken_us = g->now_us;
    g->stats.tx_frames++;
    if (g->state == GLINK_LEAVING && header.chan == GLINK_CHAN_LINK) glink_session_close(g);
    return true;
}

/* Nothing is under way any more, so it can be done. No octet of the new rate may share a buffer with one of the old. */
static void change_rate(glink_t *g)
{
    glink_rate_changed(&g->rate, g->now_us);
    g->lead = true; /* whoever listened at another rate has heard noise */
    g->rate_is_new = true;
    g->app.set_rate(g->app.ctx, g->rate.baud);
}

size_t glink_transmit(glink_t *g, uint8_t *out, size_t cap)
{
    if (g->tx_at == g->tx_end && glink_rate_pending(&g->rate)) {
        change_rate(g);
        return 0u;
    }
    size_t done = 0;
    while (done < cap) {
        if (g->tx_at == g->tx_end && (glink_rate_pending(&g->rate) || !load_frame(g))) break;
        const size_t left = (size_t)(g->tx_end - g->tx_at);
        const size_t n = left < cap - done ? left : cap - done;
        memcpy(out + done, g->tx + g->tx_at, n);
        g->tx_at = (uint16_t)(g->tx_at + n);
        done += n;
    }
    if (done > 0u) g->wire_us = g->now_us;
    return done;
}

void glink_transmit_aborted(glink_t *g)
{
    g->tx_at = g->tx_end;
    g->lead = true;
}
