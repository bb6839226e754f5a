/* SPDX-License-Identifier: Apache-2.0 */
#include "hearing.h"

#include <string.h>

#include "check.h"

#define IDLE_US 20000u
#define REFUSAL_US 100000u /* between two answers to a host without a session */
#define MAX_ADPCM_INDEX 88u

void hearing_init(hearing_t *h, const glink_t *link, uint32_t baud)
{
    memset(h, 0, sizeof *h);
    h->link = link;
    h->baud = baud;
}

int16_t hearing_sample(uint32_t at)
{
    return (int16_t)(uint16_t)((at * 2654435761u) >> 16);
}

uint8_t hearing_picture(uint32_t at)
{
    static const uint8_t head[] = {0xFF, 0xD8, 0xFF, 0xDA, 0x00, 0x02}; /* SOI, and a scan without a header */
    if (at < sizeof head) return head[at];
    if (at == HEARING_PICTURE_BYTES - 2u) return 0xFF;
    if (at == HEARING_PICTURE_BYTES - 1u) return 0xD9; /* EOI */
    return (uint8_t)(at % 251u);
}

static void new_session(hearing_t *h, uint16_t session)
{
    h->session = session;
    h->torn = h->half;
    memset(h->seq, 0, sizeof h->seq);
    memset(h->allowed, 0, sizeof h->allowed);
    h->capturing = false;
    h->event_tries = 0u;
    h->event_wants_ack = false;
    h->acks_n = 0u;
}

/* ---- link channel ---- */

static void on_credit(hearing_t *h, const uint8_t *body, size_t n)
{
    glink_credit_t credit;
    glink_credit_unpack(&credit, body, n);
    unsigned window = 0;
    switch (credit.channel) {
    case GLINK_CHAN_RPC:
        window = GLINK_WINDOW_RPC;
        break;
    case GLINK_CHAN_SPEAKER:
        window = GLINK_WINDOW_SPEAKER;
        break;
    case GLINK_CHAN_BULK_DOWN:
        window = GLINK_WINDOW_BULK_DOWN;
        break;
    case GLINK_CHAN_TEST:
        window = GLINK_WINDOW_TEST;
        break;
    default:
        FAIL("a grant for a channel on which the frame takes nothing");
    }
    uint16_t *last = &h->allowed[credit.channel];
    if (h->leapt || h->session != h->link->session) return;
    CHECK(!glink_seq_after(*last, credit.allowed)); /* what was given is never taken back */
    *last = credit.allowed;
    CHECK((int16_t)(uint16_t)(credit.allowed - h->link->rx_highest[credit.channel]) <= (int)window);
}

static void on_link(hearing_t *h, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    const uint8_t *body = payload + 1;
    switch (payload[0]) {
    case GLINK_TYPE_HELLO_ACK: {
        glink_hello_ack_t ack;
        CHECK(n == GLINK_HELLO_ACK_BYTES);
        glink_hello_ack_unpack(&ack, body, n - 1u);
        CHECK(ack.session == header->session && ack.session != 0u);
        break;
    }
    case GLINK_TYPE_PING:
        CHECK(n == GLINK_PING_BYTES);
        break;
    case GLINK_TYPE_PONG:
        CHECK(n == GLINK_PONG_BYTES);
        break;
    case GLINK_TYPE_CREDIT:
        CHECK(n == GLINK_CREDIT_BYTES);
        on_credit(h, body, n - 1u);
        break;
    case GLINK_TYPE_HIGHEST_SENT:
        CHECK(n == GLINK_HIGHEST_SENT_BYTES && body[0] == GLINK_CHAN_BULK_UP);
        break;
    case GLINK_TYPE_CLOSE:
        CHECK(n == GLINK_CLOSE_BYTES);
        h->capturing = false;
        break;
    case GLINK_TYPE_RATE_SET: {
        glink_rate_set_t set;
        CHECK(n == GLINK_RATE_SET_BYTES);
        glink_rate_set_unpack(&set, body, n - 1u);
        h->promised_baud = set.baud;
        break;
    }
    default:
        FAIL("a message of the link channel that no frame sends");
    }
}

/* ---- replies and events ---- */

static void on_reply(hearing_t *h, const uint8_t *payload, size_t n)
{
    CHECK(payload[0] == GLINK_TYPE_REPLY && n >= GLINK_REPLY_BYTES);
    CHECK(n <= GLINK_REPLY_BYTES + GLINK_RPC_MAX_RESULT_BYTES);
    CHECK(++h->replies <= h->calls);
    glink_reply_t reply;
    glink_reply_unpack(&reply, payload + 1, n - 1u);
    if (reply.method == GLINK_METHOD_MAKE_TEST_OBJECT && reply.status == GLINK_RPC_STATUS_OK) {
        glink_make_test_object_result_t made;
        glink_make_test_object_result_unpack(&made, reply.result, reply.result_len);
        CHECK(made.object != 0u);
        h->object = made.object;
    }
}

static size_t event_bytes(uint8_t type)
{
    static const uint8_t bytes[] = {
        [GLINK_TYPE_BUTTON_EVENT] = GLINK_BUTTON_EVENT_BYTES,
        [GLINK_TYPE_LED_EVENT] = GLINK_LED_EVENT_BYTES,
        [GLINK_TYPE_CAPTURE_EVENT] = GLINK_CAPTURE_EVENT_BYTES,
        [GLINK_TYPE_PLAYBACK_STARTED] = GLINK_PLAYBACK_STARTED_BYTES,
        [GLINK_TYPE_PLAYBACK_ENDED] = GLINK_PLAYBACK_ENDED_BYTES,
        [GLINK_TYPE_UNDERRUN] = GLINK_UNDERRUN_BYTES,
        [GLINK_TYPE_PHOTO_EVENT] = GLINK_PHOTO_EVENT_BYTES,
        [GLINK_TYPE_OBJECT_EVENT] = GLINK_OBJECT_EVENT_BYTES,
    };
    return type < sizeof bytes ? bytes[type] : 0u;
}

static void on_fresh_event(hearing_t *h, const uint8_t *payload, size_t n)
{
    if (payload[0] == GLINK_TYPE_CAPTURE_EVENT) {
        glink_capture_event_t event;
        glink_capture_event_unpack(&event, payload + 1, n - 1u);
        h->capturing = event.on != 0u;
    }
    if (payload[0] == GLINK_TYPE_PHOTO_EVENT) {
        glink_photo_event_t event;
        glink_photo_event_unpack(&event, payload + 1, n - 1u);
        CHECK(event.object != 0u);
        h->object = event.object;
        if (event.status == GLINK_PHOTO_STATUS_OK) h->pattern_object = h->pattern ? event.object : 0u;
    }
    if (payload[0] == GLINK_TYPE_OBJECT_EVENT) {
        glink_object_event_t event;
        glink_object_event_unpack(&event, payload + 1, n - 1u);
        if (!h->unlimited) CHECK(event.received_bytes <= h->write_size);
    }
}

static void on_event(hearing_t *h, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    CHECK(n == event_bytes(payload[0]) && n <= sizeof h->event);
    const bool wants_ack = (header->flags & GLINK_FLAG_ACK_REQ) != 0u;
    if (wants_ack && h->acks_n < HEARING_MAX_ACKS) h->acks[h->acks_n++] = header->seq;

    const bool again = (header->flags & GLINK_FLAG_RETRY) != 0u;
    if (again && h->event_tries > 0u && header->seq == h->event_seq) {
        const bool leaving = h->link->state != GLINK_OPEN; /* then it goes a last time, and nobody is asked */
        CHECK(wants_ack || leaving);
        CHECK(!h->event_acked || h->overlap);
        CHECK(n == h->event_n && memcmp(payload, h->event, n) == 0);
        CHECK(++h->event_tries <= GLINK_EVENT_TRIES + (leaving ? 1u : 0u));
        return;
    }
    CHECK(!again || h->torn);
    /* One at a time: the one before was acknowledged, given up, or lost with the oldest of a full queue. */
    const bool over = h->event_acked || h->event_tries == GLINK_EVENT_TRIES;
    const bool lost = h->torn || h->events_lost != h->link->stats.tx_dropped;
    if (h->event_wants_ack && h->link->state == GLINK_OPEN) CHECK(over || lost);
    memcpy(h->event, payload, n);
    h->event_n = n;
    h->event_seq = header->seq;
    h->event_tries = 1u;
    h->event_acked = false;
    h->event_wants_ack = wants_ack;
    h->events_lost = h->link->stats.tx_dropped;
    on_fresh_event(h, payload, n);
}

/* ---- audio and objects ---- */

static void on_mic(hearing_t *h, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    glink_mic_audio_t audio;
    CHECK(n >= GLINK_MIC_AUDIO_BYTES);
    glink_mic_audio_unpack(&audio, payload, n);
    CHECK(h->capturing || h->torn || h->link->stats.tx_dropped > 0u); /* or the event that says so had to go */
    if ((header->flags & GLINK_FLAG_ADPCM) != 0u) {
        CHECK(audio.pcm_len == GLINK_ADPCM_BLOCK_BYTES);
        CHECK(audio.pcm[2] <= MAX_ADPCM_INDEX && audio.pcm[3] == 0u);
        return;
    }
    CHECK(audio.pcm_len == sizeof(int16_t) * GLINK_FRAME_SAMPLES);
    for (uint32_t i = 0; i < GLINK_FRAME_SAMPLES; i++) {
        const uint8_t *sample = audio.pcm + sizeof(int16_t) * i;
        const uint16_t got = (uint16_t)(sample[0] | (uint16_t)(sample[1] << 8));
        CHECK((int16_t)got == hearing_sample(audio.sample + i));
    }
}

/* What a bulk frame may hold at this rate. */
static uint32_t chunk_bytes(uint32_t baud)
{
    const uint32_t n = baud / 10u * GLINK_CHUNK_MS / 1000u;
    if (baud == 0u || n > GLINK_MAX_CHUNK_BYTES) return GLINK_MAX_CHUNK_BYTES;
    return n < GLINK_MIN_CHUNK_BYTES ? GLINK_MIN_CHUNK_BYTES : n;
}

static void on_bulk(const hearing_t *h, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    glink_bulk_data_t data;
    CHECK(n >= GLINK_BULK_DATA_BYTES);
    glink_bulk_data_unpack(&data, payload, n);
    CHECK(data.object != 0u && data.data_len <= chunk_bytes(h->baud));
    if (!h->unlimited) CHECK(!glink_seq_after(header->seq, h->bulk_allowed));
    if (data.object != h->pattern_object) return;
    CHECK(data.offset <= HEARING_PICTURE_BYTES && data.data_len <= HEARING_PICTURE_BYTES - data.offset);
    for (uint32_t i = 0; i < data.data_len; i++) CHECK(data.data[i] == hearing_picture(data.offset + i));
}

/* ---- frames ---- */

/* Refuse, and Close to a host whose session is none: numbered 0, of no session of ours. */
static bool to_a_stranger(hearing_t *h, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    if (header->chan != GLINK_CHAN_LINK || header->seq != 0u) return false;
    if (payload[0] == GLINK_TYPE_REFUSE) return n == GLINK_REFUSE_BYTES && header->session == 0u;
    if (payload[0] != GLINK_TYPE_CLOSE || n != GLINK_CLOSE_BYTES) return false;
    CHECK(payload[1] == GLINK_CLOSE_REASON_NO_SESSION && header->session != 0u);
    h->refusal_us = (h->refusal_us > h->now_us ? h->refusal_us : h->now_us) + REFUSAL_US;
    CHECK(h->refusal_us <= h->now_us + 2u * (uint64_t)REFUSAL_US); /* one may have waited for the line */
    return true;
}

static void on_frame(hearing_t *h, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    CHECK(header->chan < GLINK_CHANNELS && n > 0u);
    h->promised_baud = 0u;
    if (to_a_stranger(h, header, payload, n)) return;
    if (header->session != h->session) {
        const bool greets = header->chan == GLINK_CHAN_LINK && payload[0] == GLINK_TYPE_HELLO_ACK;
        const bool open = h->link->state == GLINK_GREETED || h->link->state == GLINK_OPEN;
        const bool lost = (h->gaps & (1u << GLINK_CHAN_LINK)) != 0u;
        CHECK(greets || lost || !open); /* or the session was over before its greeting could leave */
        new_session(h, header->session);
    }

    uint16_t *last = &h->seq[header->chan];
    const bool again = header->chan == GLINK_CHAN_EVENT && (header->flags & GLINK_FLAG_RETRY) != 0u;
    const uint16_t next = (uint16_t)(*last + (again ? 0u : 1u));
    const uint16_t bit = (uint16_t)(1u << header->chan);
    CHECK(header->seq == next || ((h->gaps & bit) != 0u && glink_seq_after(header->seq, next)));
    h->gaps &= (uint16_t)~bit;
    *last = header->seq;

    switch (header->chan) {
    case GLINK_CHAN_LINK:
        on_link(h, header, payload, n);
        break;
    case GLINK_CHAN_RPC:
        on_reply(h, payload, n);
        break;
    case GLINK_CHAN_EVENT:
        on_event(h, header, payload, n);
        break;
    case GLINK_CHAN_MIC:
        on_mic(h, header, payload, n);
        break;
    case GLINK_CHAN_BULK_UP:
        on_bulk(h, header, payload, n);
        break;
    case GLINK_CHAN_LOG:
        CHECK(n >= GLINK_LOG_TEXT_BYTES && n <= GLINK_LOG_TEXT_BYTES + GLINK_MAX_LOG_BYTES);
        break;
    case GLINK_CHAN_TEST:
        CHECK(n >= GLINK_ECHO_BYTES);
        break;
    default:
        FAIL("a channel on which no frame speaks");
    }
}

void hearing_take(hearing_t *h, const uint8_t *bytes, size_t n, uint64_t now_us)
{
    h->now_us = now_us;
    if (n == 0u) return;
    /* Noise on an idle line must not eat the next frame, which so begins with a zero. */
    const bool begins = h->deframer.n == 0u && !h->led;
    if (begins && now_us - h->last_us >= IDLE_US) CHECK(bytes[0] == 0u);
    h->last_us = now_us;

    size_t used = 0;
    h->led = bytes[n - 1u] == 0u;
    for (size_t at = 0; at < n; at += used) {
        const glink_cut_t cut = glink_deframer_push(&h->deframer, bytes + at, n - at, &used);
        if (cut == GLINK_CUT_MORE) return;
        CHECK(cut == GLINK_CUT_FRAME);
        glink_header_t header;
        const uint8_t *payload = NULL;
        const int32_t length = glink_frame_open(h->deframer.buf, h->deframer.n, &header, &payload);
        glink_deframer_next(&h->deframer);
        if (length < 0) CHECK(h->half);
        else if (at + used == n) h->led = false; /* the last octet ends this one */
        if (length >= 0) on_frame(h, &header, payload, (size_t)length);
        h->half = false;
        h->overlap = false;
    }
}

void hearing_acknowledged(hearing_t *h, uint16_t seq)
{
    if (h->event_tries == 0u || seq != h->event_seq) return;
    h->event_acked = true;
    h->overlap = h->led || h->deframer.n > 0u;
}

void hearing_torn(hearing_t *h)
{
    h->torn = true;
    h->half = h->deframer.n > 0u;
    h->gaps = UINT16_MAX;
}
