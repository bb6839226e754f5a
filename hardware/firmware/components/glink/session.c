/* SPDX-License-Identifier: Apache-2.0 */
/* How a session begins, stays alive and ends, and what the application asks for. */
#include <string.h>

#include "glink_session.h"

#define HEARTBEAT_US (GLINK_HEARTBEAT_MS * UINT64_C(1000))
#define LIVELY_US (GLINK_LIVELY_MS * UINT64_C(1000))
#define DEAD_AFTER_US (GLINK_DEAD_AFTER_MS * UINT64_C(1000))

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

void glink_session_end(glink_t *g)
{
    if (g->state == GLINK_OPEN) g->app.ended(g->app.ctx, GLINK_CAPTURE_STOP_SESSION);
    glink_session_close(g);
}

void glink_session_leave(glink_t *g)
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

void glink_session_hello(glink_t *g, const uint8_t *body, size_t n)
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
        glink_session_end(g);
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

bool glink_session_confirm(glink_t *g, const uint8_t *body, size_t n)
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
        glink_session_leave(g);
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

bool glink_lost(const glink_t *g, uint16_t stamp)
{
    return glink_events_lost(&g->events, stamp);
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
