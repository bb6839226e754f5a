/* SPDX-License-Identifier: Apache-2.0 */
/* Handshake, liveness, rate, and what to do with a frame that arrived. */
#include <string.h>

#include "glink_session.h"

#define HEARTBEAT_US (GLINK_HEARTBEAT_MS * UINT64_C(1000))
#define LIVELY_US (GLINK_LIVELY_MS * UINT64_C(1000))
#define DEAD_AFTER_US (GLINK_DEAD_AFTER_MS * UINT64_C(1000))
#define NO_SESSION_PAUSE_US 100000u

void glink_init(glink_t *g, const glink_hello_ack_t *identity, const glink_app_t *app, uint16_t first_session)
{
    memset(g, 0, sizeof *g);
    g->app = *app;
    g->identity = *identity;
    g->identity.major = GLINK_MAJOR;
    g->identity.minor = GLINK_MINOR;
    g->identity.schema_hash = GLINK_SCHEMA_HASH;
    g->identity.rpc_window = GLINK_WINDOW_RPC;
    g->identity.speaker_window = (identity->capabilities & GLINK_CAP_SPEAKER) != 0u ? GLINK_WINDOW_SPEAKER : 0u;
    g->identity.bulk_window = GLINK_WINDOW_BULK_DOWN;
    g->last_session = first_session;
    g->identity.test_window = GLINK_TEST_CHANNEL_SLOTS;
    g->identity.capabilities &= ~GLINK_CAP_TEST_CHANNEL;
    g->identity.capabilities |= GLINK_TEST_CHANNEL_BIT;
    glink_rate_init(&g->rate, identity->max_baud);
    g->lead = true;
}

/* ---- sessions ---- */

uint16_t glink_session_window(const glink_t *g, uint8_t chan)
{
    switch (chan) {
    case GLINK_CHAN_RPC:
        return g->identity.rpc_window;
    case GLINK_CHAN_SPEAKER:
        return g->identity.speaker_window;
    case GLINK_CHAN_BULK_DOWN:
        return g->identity.bulk_window;
    case GLINK_CHAN_TEST:
        return g->identity.test_window;
    default:
        return 0u;
    }
}

/* The log stays: what happened before the host came is worth reading. */
void glink_session_close(glink_t *g)
{
    g->state = GLINK_CLOSED;
    g->link_due = 0u;
    g->session = 0u;
    memset(g->rx_highest, 0, sizeof g->rx_highest);
    memset(g->tx_seq, 0, sizeof g->tx_seq);
    memset(&g->events, 0, sizeof g->events);
    glink_rpc_reset(&g->rpc);
    glink_bulk_stop(&g->bulk);
    glink_test_channel_reset(&g->test);
    glink_rate_go_back(&g->rate);
}

/* Ends a session, if there is one, at once: what it still wanted to say is dropped. */
static void end_session(glink_t *g)
{
    if (g->state == GLINK_OPEN) g->app.ended(g->app.ctx, GLINK_CAPTURE_STOP_SESSION);
    glink_session_close(g);
}

/* The host has been silent for too long. It may only have lost its voice, so it is told what happened. */
static void leave_session(glink_t *g)
{
    if (g->state != GLINK_OPEN) {
        glink_session_close(g);
        return;
    }
    g->app.ended(g->app.ctx, GLINK_CAPTURE_STOP_HOST_GONE);
    glink_rpc_reset(&g->rpc);
    glink_bulk_stop(&g->bulk);
    g->state = GLINK_LEAVING;
    g->link_due = GLINK_DUE_CLOSE;
    g->events_acked = false; /* nobody answers any more; what waits for an answer goes out a last time */
    g->events.again = true;
}

static void on_hello(glink_t *g, const uint8_t *body, size_t n)
{
    glink_hello_t hello;
    glink_hello_unpack(&hello, body, n);
    if (hello.major != GLINK_MAJOR) {
        g->refuse_nonce = hello.nonce;
        g->link_due |= GLINK_DUE_REFUSE;
        return;
    }
    const bool same = (g->state == GLINK_GREETED || g->state == GLINK_OPEN) && g->nonce == hello.nonce;
    if (!same) {
        end_session(g);
        g->last_session++;
        if (g->last_session == 0u) g->last_session = 1u; /* session 0 means none */
        g->session = g->last_session;
        g->nonce = hello.nonce;
        g->events_acked = hello.minor >= 1u;
        g->state = GLINK_GREETED;
    }
    /* An open session's host says Hello no more: an old one that is replayed must not keep the microphone on. */
    if (g->state == GLINK_GREETED) g->heard_us = g->now_us;
    g->link_due |= GLINK_DUE_HELLO_ACK;
}

static bool on_confirm(glink_t *g, const uint8_t *body, size_t n)
{
    glink_confirm_t confirm;
    glink_confirm_unpack(&confirm, body, n);
    if (confirm.nonce != g->nonce) return false;
    if (g->state == GLINK_GREETED) {
        g->state = GLINK_OPEN;
        g->spoken_us = g->now_us;
        g->stats.sessions++;
        for (uint8_t chan = 0; chan < GLINK_CHANNELS; chan++) {
            glink_grant_open(&g->grants[chan], glink_session_window(g, chan), g->now_us);
        }
        glink_spend_open(&g->bulk_spend, confirm.bulk_window > 0u ? confirm.bulk_window : GLINK_WINDOW_BULK_UP);
    }
    /* The first grants tell the host that its CONFIRM arrived. */
    for (uint8_t chan = 0; chan < GLINK_CHANNELS; chan++) g->grants[chan].tell = true;
    return true;
}

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
        return on_confirm(g, body, body_n);
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
        end_session(g);
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
        on_hello(g, payload + 1, n - 1u);
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
        leave_session(g);
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

/* ---- time ---- */

static uint64_t ping_us(const glink_t *g)
{
    return g->spoken_us + (glink_rate_is_raised(&g->rate) ? LIVELY_US : HEARTBEAT_US);
}

void glink_tick(glink_t *g, uint64_t now_us)
{
    g->now_us = now_us;
    g->rate_is_new = false;
    if (now_us >= glink_rate_give_up_us(&g->rate, g->heard_us)) {
        glink_transmit_aborted(g); /* nobody hears the rest of it */
        glink_rate_go_back(&g->rate);
    }
    if (g->state != GLINK_GREETED && g->state != GLINK_OPEN) return;
    if (now_us - g->heard_us >= DEAD_AFTER_US) {
        leave_session(g);
        return;
    }
    if (g->state != GLINK_OPEN) return;
    if (now_us >= ping_us(g) && (g->link_due & GLINK_DUE_PING) == 0u) {
        g->ping_token++;
        g->link_due |= GLINK_DUE_PING;
    }
    for (size_t chan = 0; chan < GLINK_CHANNELS; chan++) glink_grant_tick(&g->grants[chan], now_us);
    if (!glink_events_tick(&g->events, now_us)) g->stats.tx_dropped++;
    glink_spend_tick(&g->bulk_spend, g->bulk.active, g->tx_seq[GLINK_CHAN_BULK_UP], now_us);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t glink_next_us(const glink_t *g)
{
    const bool idle = g->tx_at == g->tx_end;
    if (g->rate_is_new || (idle && glink_rate_pending(&g->rate))) return g->now_us;
    if (g->state != GLINK_GREETED && g->state != GLINK_OPEN) return GLINK_NEVER;
    uint64_t next = earlier(g->heard_us + DEAD_AFTER_US, glink_rate_give_up_us(&g->rate, g->heard_us));
    if (g->state != GLINK_OPEN) return next;
    if ((g->link_due & GLINK_DUE_PING) == 0u) next = earlier(next, ping_us(g));
    for (size_t chan = 0; chan < GLINK_CHANNELS; chan++) next = earlier(next, glink_grant_next_us(&g->grants[chan]));
    next = earlier(next, glink_events_next_us(&g->events));
    return earlier(next, glink_spend_next_us(&g->bulk_spend));
}

/* ---- from the application ---- */

uint16_t glink_report(glink_t *g, const uint8_t *event, size_t n)
{
    const uint16_t stamp = g->order++;
    if (g->state != GLINK_OPEN) return stamp;
    if (!glink_events_push(&g->events, stamp, event, n)) g->stats.tx_dropped++;
    return stamp;
}

bool glink_reported(const glink_t *g, uint16_t stamp)
{
    return glink_events_gone(&g->events, stamp);
}

glink_err_t glink_finish(glink_t *g, uint16_t call_id, uint8_t status, const uint8_t *result, size_t n)
{
    glink_rpc_entry_t *entry = glink_rpc_find(&g->rpc, call_id);
    if (entry == NULL || entry->state != GLINK_RPC_RUNNING) return GLINK_ERR_STATE;
    if (n > sizeof entry->result) return GLINK_ERR_SPACE;
    if (n > 0u) memcpy(entry->result, result, n);
    entry->result_n = (uint8_t)n;
    entry->status = status;
    (void)glink_rpc_queue(&g->rpc, entry, g->order++); /* a running call has its slot */
    entry->state = GLINK_RPC_DONE;
    return GLINK_OK;
}

void glink_send_object(glink_t *g, uint16_t object, glink_read_t read, void *ctx, uint32_t size, uint32_t offset)
{
    glink_bulk_start(&g->bulk, object, read, ctx, size, offset);
}

void glink_unsend(glink_t *g)
{
    glink_bulk_stop(&g->bulk);
}

void glink_log(glink_t *g, const char *text, size_t n)
{
    glink_log_push(&g->log, text, n);
}
