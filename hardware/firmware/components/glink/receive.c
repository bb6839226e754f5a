/* SPDX-License-Identifier: Apache-2.0 */
/* What to do with a frame that arrived: whose it is, whether it is new, and what it asks for. */
#include "glink_session.h"

#define NO_SESSION_PAUSE_US 100000u

/* ---- channels ---- */

static void on_credit(glink_t *g, const uint8_t *body, size_t n)
{
    glink_credit_t credit;
    glink_credit_unpack(&credit, body, n);
    if (credit.channel != GLINK_CHAN_BULK_UP) return;
    glink_spend_granted(&g->bulk_spend, credit.allowed, g->tx_seq[GLINK_CHAN_BULK_UP]);
}

static void on_highest_sent(glink_t *g, const uint8_t *body, size_t n)
{
    glink_highest_sent_t highest;
    glink_highest_sent_unpack(&highest, body, n);
    if (glink_session_window(g, highest.channel) == 0u) return;

    uint16_t *seen = &g->rx_highest[highest.channel];
    if (glink_seq_after(highest.seq, *seen)) {
        g->stats.rx_lost += (uint16_t)(highest.seq - *seen);
        *seen = highest.seq;
    }
    g->grants[highest.channel].tell = true;
}

/* Returns whether the message was of use. */
static bool on_link(glink_t *g, const uint8_t *payload, size_t n)
{
    if (n == 0u) return false;
    const uint8_t *body = payload + 1;
    const size_t body_n = n - 1u;

    switch (payload[0]) {
    case GLINK_TYPE_CONFIRM:
        return glink_session_confirm(g, body, body_n);
    case GLINK_TYPE_PING: {
        glink_ping_t ping;
        glink_ping_unpack(&ping, body, body_n);
        g->pong_token = ping.token;
        g->link_due |= GLINK_DUE_PONG;
        return true;
    }
    case GLINK_TYPE_PONG: /* to have heard it is enough */
        return true;
    case GLINK_TYPE_CREDIT:
        on_credit(g, body, body_n);
        return true;
    case GLINK_TYPE_HIGHEST_SENT:
        on_highest_sent(g, body, body_n);
        return true;
    case GLINK_TYPE_CLOSE:
        glink_session_end(g);
        return true;
    case GLINK_TYPE_SET_RATE: {
        glink_set_rate_t set;
        glink_set_rate_unpack(&set, body, body_n);
        glink_rate_ask(&g->rate, set.baud);
        g->link_due |= GLINK_DUE_RATE_SET;
        return true;
    }
    case GLINK_TYPE_EVENT_ACK: {
        glink_event_ack_t ack;
        glink_event_ack_unpack(&ack, body, body_n);
        glink_events_acknowledged(&g->events, ack.seq);
        return true;
    }
    default:
        return false;
    }
}

static bool on_rpc(glink_t *g, const uint8_t *payload, size_t n)
{
    if (n < GLINK_CALL_BYTES || n > GLINK_RPC_MAX_PAYLOAD_BYTES || payload[0] != GLINK_TYPE_CALL) return false;

    glink_call_t call;
    glink_call_unpack(&call, payload + 1, n - 1u);
    glink_rpc_entry_t *entry = glink_rpc_find(&g->rpc, call.call_id);
    if (entry == NULL) {
        entry = glink_rpc_begin(&g->rpc, call.call_id, call.method);
        if (entry == NULL) return false;
        size_t result_n = 0;
        const uint8_t status = g->app.call(g->app.ctx, &call, entry->result, &result_n);
        if (status == GLINK_RPC_STATUS_PENDING) return true;
        entry->state = GLINK_RPC_DONE;
        entry->status = status;
        entry->result_n = (uint8_t)result_n;
    }
    return glink_rpc_queue(&g->rpc, entry, g->order++);
}

static bool on_speaker(glink_t *g, uint8_t flags, const uint8_t *payload, size_t n)
{
    if (n < GLINK_SPEAKER_AUDIO_BYTES) return false;
    glink_speaker_audio_t audio;
    glink_speaker_audio_unpack(&audio, payload, n);
    return g->app.speaker(g->app.ctx, flags, &audio);
}

static bool on_bulk_write(glink_t *g, const uint8_t *payload, size_t n)
{
    if (n < GLINK_BULK_WRITE_BYTES) return false;
    glink_bulk_write_t write;
    glink_bulk_write_unpack(&write, payload, n);
    return g->app.bulk_write(g->app.ctx, &write);
}

/* Returns whether a fresh frame of the open session was of use. */
static bool dispatch(glink_t *g, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    if (glink_session_window(g, header->chan) > 0u) glink_grant_used(&g->grants[header->chan], g->now_us);
    switch (header->chan) {
    case GLINK_CHAN_LINK:
        return on_link(g, payload, n);
    case GLINK_CHAN_RPC:
        return on_rpc(g, payload, n);
    case GLINK_CHAN_SPEAKER:
        return on_speaker(g, header->flags, payload, n);
    case GLINK_CHAN_BULK_DOWN:
        return on_bulk_write(g, payload, n);
    case GLINK_CHAN_TEST:
        return glink_test_channel_take(&g->test, payload, n);
    default:
        return false;
    }
}

/* Only a frame says such things: it is our own voice, from a line that runs back, or there is no host at all. */
static bool from_a_frame(const glink_header_t *header, const uint8_t *payload, size_t n)
{
    const uint8_t type = n > 0u ? payload[0] : 0u;
    switch (header->chan) {
    case GLINK_CHAN_LINK:
        return type == GLINK_TYPE_HELLO_ACK || type == GLINK_TYPE_REFUSE || type == GLINK_TYPE_RATE_SET;
    case GLINK_CHAN_RPC:
        return type == GLINK_TYPE_REPLY;
    case GLINK_CHAN_EVENT:
    case GLINK_CHAN_MIC:
    case GLINK_CHAN_BULK_UP:
    case GLINK_CHAN_LOG:
        return true;
    default:
        return false;
    }
}

/* A host still speaks in a session that we know no more, because we have booted since. It need not wait until we have
 * been silent for long enough. What a frame says is not answered, nor is a Close: no two ends keep each other talking. */
static void on_unknown_session(glink_t *g, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    const bool close = header->chan == GLINK_CHAN_LINK && n > 0u && payload[0] == GLINK_TYPE_CLOSE;
    if (header->session == 0u || close || from_a_frame(header, payload, n)) return;
    if (g->now_us < g->no_session_us) return;
    g->no_session_us = g->now_us + NO_SESSION_PAUSE_US;
    g->foreign_session = header->session;
    g->link_due |= GLINK_DUE_NO_SESSION;
}

static void on_frame(glink_t *g, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    const bool link = header->chan == GLINK_CHAN_LINK && n > 0u;
    if (link && header->session == 0u && payload[0] == GLINK_TYPE_HELLO) {
        glink_session_hello(g, payload + 1, n - 1u);
        return;
    }
    const bool listening = g->state == GLINK_GREETED || g->state == GLINK_OPEN;
    if (!listening || header->session != g->session) {
        g->stats.rx_foreign++;
        if (g->state == GLINK_CLOSED) on_unknown_session(g, header, payload, n);
        return;
    }
    if (from_a_frame(header, payload, n)) {
        g->stats.rx_refused++;
        glink_session_leave(g);
        return;
    }
    if (header->chan >= GLINK_CHANNELS) {
        g->stats.rx_refused++;
        return;
    }
    uint16_t *highest = &g->rx_highest[header->chan];
    if (!glink_seq_after(header->seq, *highest)) {
        g->stats.rx_duplicates++;
        return;
    }
    g->stats.rx_lost += (uint16_t)(header->seq - *highest - 1u);
    *highest = header->seq;
    g->heard_us = g->now_us; /* only now: a host that is gone is heard no more, whatever the line repeats */
    glink_rate_heard(&g->rate);

    const bool early = g->state == GLINK_GREETED;
    if (early && !(link && (payload[0] == GLINK_TYPE_CONFIRM || payload[0] == GLINK_TYPE_CLOSE))) {
        g->link_due |= GLINK_DUE_HELLO_ACK; /* the CONFIRM was lost: ask for it */
        g->stats.rx_refused++;
    } else if (!dispatch(g, header, payload, n)) {
        g->stats.rx_refused++;
    }
}

void glink_receive(glink_t *g, const uint8_t *bytes, size_t n)
{
    size_t used = 0;
    for (size_t at = 0; at < n; at += used) {
        const glink_cut_t cut = glink_deframer_push(&g->deframer, bytes + at, n - at, &used);
        if (cut == GLINK_CUT_MORE) return;
        if (cut == GLINK_CUT_OVERFLOW) {
            g->stats.rx_bad++;
            continue;
        }
        glink_header_t header;
        const uint8_t *payload = NULL;
        const int32_t length = glink_frame_open(g->deframer.buf, g->deframer.n, &header, &payload);
        if (length < 0) {
            g->stats.rx_bad++;
        } else {
            g->stats.rx_frames++;
            on_frame(g, &header, payload, (size_t)length);
        }
        glink_deframer_next(&g->deframer);
    }
}
