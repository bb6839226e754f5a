/* SPDX-License-Identifier: Apache-2.0 */
/* A whole link with an application that does as it is told, on a clock of its own. */
#include <string.h>

#include "check.h"
#include "glink.h"

#define WIRE_ROOM 32768u

static glink_t g;
static uint64_t now_us;
static uint16_t host_seq[GLINK_CHANNELS];

/* ---- the application ---- */

static unsigned calls;
static uint8_t next_status;
static unsigned mic_frames;
static uint16_t speaker_room;
static unsigned ended;

static uint8_t app_call(void *ctx, const glink_call_t *call, uint8_t *result, size_t *result_n)
{
    (void)ctx;
    calls++;
    result[0] = (uint8_t)calls;
    result[1] = call->method;
    *result_n = 2u;
    return next_status;
}

static bool app_speaker(void *ctx, uint8_t flags, const glink_speaker_audio_t *audio)
{
    (void)ctx;
    (void)flags;
    (void)audio;
    if (speaker_room == 0u) return false;
    speaker_room--;
    return true;
}

static uint16_t app_speaker_free(void *ctx)
{
    (void)ctx;
    return speaker_room;
}

static bool app_bulk_write(void *ctx, const glink_bulk_write_t *write)
{
    (void)ctx;
    return write->data_len > 0u;
}

static size_t app_mic(void *ctx, uint8_t *flags, uint8_t *payload, size_t cap)
{
    (void)ctx;
    (void)flags;
    if (mic_frames == 0u) return 0u;
    mic_frames--;
    const glink_mic_audio_t audio = {.sample = mic_frames, .pcm = (const uint8_t *)"pcm.", .pcm_len = 4};
    return glink_mic_audio_pack(&audio, payload, cap);
}

static uint32_t app_mic_sample(void *ctx)
{
    (void)ctx;
    return 12345u;
}

static void read_octets(void *ctx, uint32_t offset, uint8_t *out, size_t n)
{
    memcpy(out, (const uint8_t *)ctx + offset, n);
}

static uint32_t line_baud;
static unsigned rate_changes;

static void app_set_rate(void *ctx, uint32_t baud)
{
    (void)ctx;
    line_baud = baud;
    rate_changes++;
}

static void app_ended(void *ctx, uint8_t reason)
{
    (void)ctx;
    (void)reason;
    ended++;
}

/* ---- the host ---- */

static void hear(uint8_t chan, uint16_t session, uint16_t seq, const void *payload, size_t n)
{
    static uint8_t wire[GLINK_MAX_WIRE_BYTES];
    const glink_header_t header = {.chan = chan, .flags = 0, .seq = seq, .session = session};
    memcpy(wire + GLINK_PAYLOAD_AT, payload, n);
    glink_receive(&g, wire, glink_frame_seal(wire, &header, n));
}

static void hear_next(uint8_t chan, const void *payload, size_t n)
{
    hear(chan, g.session, ++host_seq[chan], payload, n);
}

static void hear_call(uint16_t call_id)
{
    const uint8_t call[] = {GLINK_TYPE_CALL, (uint8_t)call_id, (uint8_t)(call_id >> 8), 77};
    hear_next(GLINK_CHAN_RPC, call, sizeof call);
}

static void hear_event_ack(uint16_t seq)
{
    const uint8_t ack[] = {GLINK_TYPE_EVENT_ACK, (uint8_t)seq, (uint8_t)(seq >> 8)};
    hear_next(GLINK_CHAN_LINK, ack, sizeof ack);
}

typedef struct spoken {
    glink_header_t header;
    uint8_t payload[GLINK_MAX_PAYLOAD_BYTES];
    size_t n;
} spoken_t;

static spoken_t spoken[64];

/* Takes what the frame says, cut at the zeros. Returns how many frames. */
static size_t listen(void)
{
    static uint8_t out[WIRE_ROOM];
    static glink_deframer_t d;
    const size_t n = glink_transmit(&g, out, sizeof out);
    size_t count = 0;
    size_t used = 0;
    for (size_t at = 0; at < n; at += used) {
        if (glink_deframer_push(&d, out + at, n - at, &used) != GLINK_CUT_FRAME) break;
        const uint8_t *payload = NULL;
        const int32_t length = glink_frame_open(d.buf, d.n, &spoken[count].header, &payload);
        CHECK(length >= 0);
        if (length > 0) memcpy(spoken[count].payload, payload, (size_t)length);
        spoken[count].n = (size_t)length;
        count++;
        glink_deframer_next(&d);
    }
    return count;
}

static void boot(void)
{
    const glink_hello_ack_t identity = {.capabilities = GLINK_CAP_SPEAKER, .name = "unit"};
    const glink_app_t app = {.ctx = NULL,
                             .call = app_call,
                             .speaker = app_speaker,
                             .speaker_free = app_speaker_free,
                             .bulk_write = app_bulk_write,
                             .mic = app_mic,
                             .mic_sample = app_mic_sample,
                             .set_rate = app_set_rate,
                             .ended = app_ended};
    glink_init(&g, &identity, &app, 0xFFFFu);
    memset(host_seq, 0, sizeof host_seq);
    now_us = 1000000;
    calls = 0;
    ended = 0;
    mic_frames = 0;
    next_status = GLINK_RPC_STATUS_OK;
    speaker_room = GLINK_WINDOW_SPEAKER;
    glink_tick(&g, now_us);
}

static void open_session(uint8_t minor)
{
    const uint8_t hello[] = {GLINK_TYPE_HELLO, GLINK_MAJOR, minor, 9, 0, 0, 0};
    static const uint8_t confirm[] = {GLINK_TYPE_CONFIRM, 9, 0, 0, 0};
    boot();
    hear(GLINK_CHAN_LINK, 0, 1, hello, sizeof hello);
    CHECK(listen() == 1u && g.state == GLINK_GREETED);
    hear_next(GLINK_CHAN_LINK, confirm, sizeof confirm);
    CHECK(listen() == 3u && g.state == GLINK_OPEN); /* the first grants */
}

/* ---- tests ---- */

static void session_numbers_leave_out_zero(void)
{
    open_session(GLINK_MINOR);
    CHECK(g.session == 1u); /* 0xFFFF + 1 would be 0, which means none */
}

static void a_call_that_runs_is_pending_and_runs_once(void)
{
    open_session(GLINK_MINOR);
    next_status = GLINK_RPC_STATUS_PENDING;
    hear_call(5);
    CHECK(calls == 1u && listen() == 0u);

    hear_call(5); /* the host asks again */
    CHECK(calls == 1u && listen() == 1u);
    CHECK(spoken[0].header.chan == GLINK_CHAN_RPC && spoken[0].payload[4] == GLINK_RPC_STATUS_PENDING);

    CHECK(glink_finish(&g, 6, GLINK_RPC_STATUS_OK, NULL, 0) == GLINK_ERR_STATE);
    CHECK(glink_finish(&g, 5, GLINK_RPC_STATUS_OK, g.tx, GLINK_RPC_MAX_RESULT_BYTES + 1u) == GLINK_ERR_SPACE);
    CHECK(glink_finish(&g, 5, GLINK_RPC_STATUS_OK, (const uint8_t *)"done", 4) == GLINK_OK);
    CHECK(glink_finish(&g, 5, GLINK_RPC_STATUS_OK, (const uint8_t *)"twice", 5) == GLINK_ERR_STATE);
    CHECK(listen() == 1u);
    CHECK(spoken[0].n == GLINK_REPLY_BYTES + 4u && memcmp(spoken[0].payload + GLINK_REPLY_BYTES, "done", 4) == 0);

    hear_call(5);
    CHECK(calls == 1u && listen() == 1u && memcmp(spoken[0].payload + GLINK_REPLY_BYTES, "done", 4) == 0);
}

static void the_ninth_call_under_way_is_not_run(void)
{
    open_session(GLINK_MINOR);
    next_status = GLINK_RPC_STATUS_PENDING;
    for (uint16_t id = 1; id <= 9; id++) hear_call(id);
    CHECK(calls == GLINK_WINDOW_RPC);
    CHECK(g.stats.rx_refused == 1u);
}

static void the_most_urgent_goes_first(void)
{
    static uint8_t object[100] = {1};
    static const uint8_t event[] = {GLINK_TYPE_LED_EVENT, 0};
    static const uint8_t ping[] = {GLINK_TYPE_PING, 1, 0, 0, 0};
    static const uint8_t want[] = {GLINK_CHAN_LINK,  GLINK_CHAN_MIC,     GLINK_CHAN_MIC, GLINK_CHAN_EVENT,
                                   GLINK_CHAN_RPC,   GLINK_CHAN_EVENT,   GLINK_CHAN_BULK_UP,
                                   GLINK_CHAN_LOG};
    open_session(0);
    glink_log(&g, "line", 4); /* asked for in the order least urgent first */
    glink_send_object(&g, 1, read_octets, object, sizeof object, 0);
    (void)glink_report(&g, event, sizeof event);
    hear_call(1);
    (void)glink_report(&g, event, sizeof event); /* replies and events keep their order */
    mic_frames = 2;
    hear_next(GLINK_CHAN_LINK, ping, sizeof ping);

    CHECK(listen() == sizeof want);
    for (size_t i = 0; i < sizeof want; i++) CHECK(spoken[i].header.chan == want[i]);
    CHECK((spoken[6].header.flags & GLINK_FLAG_LAST) != 0u);
    CHECK(spoken[3].header.flags == 0u && spoken[5].header.flags == 0u); /* this host acknowledges no events */
}

/* What arose in which order, and what leaves in which: E is an event, R a reply, A an acknowledgement that comes in. */
static void no_reply_waits_for_an_event_that_waits_for_the_host(void)
{
    static const uint8_t event[] = {GLINK_TYPE_LED_EVENT, 0};
    static const struct {
        const char *arises;
        const char *leaves;
    } table[] = {
        {"ER", "ER"}, {"RE", "RE"}, {"EER", "ER"}, {"REE", "RE"}, {"ERAER", "ERER"}, {"EERA", "ERE"}, {"EERAA", "ERE"},
    };
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        open_session(1);
        char left[16] = {0};
        size_t n = 0;
        uint16_t call_id = 0;
        for (const char *what = table[row].arises; *what != '\0'; what++) {
            const bool ack = *what == 'A';
            if (*what == 'E') (void)glink_report(&g, event, sizeof event);
            if (*what == 'R') hear_call(++call_id);
            if (!ack && what[1] != 'A' && what[1] != '\0') continue; /* what arises together leaves together */
            if (ack) hear_event_ack(g.events.seq);
            const size_t frames = listen();
            for (size_t i = 0; i < frames; i++) left[n++] = spoken[i].header.chan == GLINK_CHAN_EVENT ? 'E' : 'R';
        }
        size_t same = 0;
        while (left[same] != '\0' && left[same] == table[row].leaves[same]) same++;
        CHECK(left[same] == '\0' && table[row].leaves[same] == '\0');
    }
}

static void an_event_keeps_its_number_until_it_is_acknowledged(void)
{
    static const uint8_t event[] = {GLINK_TYPE_LED_EVENT, 0};
    open_session(1);
    g.tx_seq[GLINK_CHAN_EVENT] = 0xFFFFu;
    for (unsigned i = 0; i < 2u; i++) (void)glink_report(&g, event, sizeof event);
    CHECK(listen() == 1u && spoken[0].header.seq == 0u && spoken[0].header.flags == GLINK_FLAG_ACK_REQ);
    glink_tick(&g, now_us += GLINK_EVENT_RETRY_MS * 1000u);
    CHECK(listen() == 1u && spoken[0].header.seq == 0u);
    CHECK(spoken[0].header.flags == (GLINK_FLAG_ACK_REQ | GLINK_FLAG_RETRY) && g.stats.event_retries == 1u);
    hear_event_ack(0xFFFFu);
    CHECK(listen() == 0u);
    hear_event_ack(0);
    CHECK(listen() == 1u && spoken[0].header.seq == 1u && spoken[0].header.flags == GLINK_FLAG_ACK_REQ);
    CHECK(g.stats.tx_dropped == 0u);
}

static void the_rate_changes_between_two_calls(void)
{
    static const uint8_t set_rate[] = {GLINK_TYPE_SET_RATE, 0x00, 0x10, 0x0E, 0x00}; /* 921600 */
    uint8_t out[64];
    open_session(GLINK_MINOR);
    glink_rate_init(&g.rate, 2000000u);
    line_baud = 0;
    rate_changes = 0;
    hear_next(GLINK_CHAN_LINK, set_rate, sizeof set_rate);
    mic_frames = 1;
    CHECK(listen() == 1u && spoken[0].payload[0] == GLINK_TYPE_RATE_SET); /* the audio waits for the new rate */
    CHECK(rate_changes == 0u && glink_next_us(&g) == now_us);
    CHECK(glink_transmit(&g, out, sizeof out) == 0u && rate_changes == 1u && line_baud == 921600u);
    CHECK(glink_next_us(&g) == now_us); /* it does not wait any longer */
    glink_tick(&g, now_us);
    CHECK(glink_next_us(&g) == now_us + GLINK_LIVELY_MS * 1000u);
    CHECK(glink_transmit(&g, out, sizeof out) > 0u && out[0] == 0u); /* whoever was at another rate has heard noise */

    mic_frames = 1;
    CHECK(glink_transmit(&g, out, 5) == 5u);
    now_us += GLINK_BAUD_TRIAL_MS * 1000u; /* nobody was heard, and the line takes nothing */
    glink_tick(&g, now_us);
    CHECK(glink_next_us(&g) == now_us && rate_changes == 1u);
    CHECK(glink_transmit(&g, out, sizeof out) == 0u && rate_changes == 2u && line_baud == GLINK_START_BAUD);
    CHECK(g.state == GLINK_OPEN);
}

static void a_chunk_is_8_ms_of_the_line(void)
{
    static glink_rate_t rate;
    glink_rate_init(&rate, UINT32_MAX);
    for (uint32_t baud = GLINK_START_BAUD; baud < 2500000u; baud += 97u) {
        glink_rate_ask(&rate, baud);
        (void)glink_rate_promise(&rate);
        glink_rate_changed(&rate, 0);
        uint32_t chunk = baud / 10u * GLINK_CHUNK_MS / 1000u;
        if (chunk < GLINK_MIN_CHUNK_BYTES) chunk = GLINK_MIN_CHUNK_BYTES;
        if (chunk > GLINK_MAX_CHUNK_BYTES) chunk = GLINK_MAX_CHUNK_BYTES;
        if (rate.chunk != chunk) CHECK(rate.chunk == chunk);
    }
    glink_rate_init(&rate, 0);
    CHECK(rate.chunk == GLINK_MAX_CHUNK_BYTES && !glink_rate_pending(&rate));
    glink_rate_go_back(&rate);
    CHECK(!glink_rate_pending(&rate) && glink_rate_give_up_us(&rate, 0) == GLINK_NEVER);
}

static void a_stalled_object_asks_for_credit(void)
{
    static uint8_t object[20u * GLINK_MAX_CHUNK_BYTES];
    open_session(GLINK_MINOR);
    glink_send_object(&g, 1, read_octets, object, sizeof object, 0);
    CHECK(listen() == GLINK_WINDOW_BULK_UP);
    glink_tick(&g, now_us += 1000);
    CHECK(listen() == 0u);
    glink_tick(&g, now_us += 50000);
    CHECK(listen() == 1u && spoken[0].payload[0] == GLINK_TYPE_HIGHEST_SENT);
    CHECK(spoken[0].payload[1] == GLINK_CHAN_BULK_UP && spoken[0].payload[2] == GLINK_WINDOW_BULK_UP);

    const uint8_t credit[] = {GLINK_TYPE_CREDIT, GLINK_CHAN_BULK_UP, GLINK_WINDOW_BULK_UP + 3u, 0};
    hear_next(GLINK_CHAN_LINK, credit, sizeof credit);
    CHECK(listen() == 3u);
    glink_unsend(&g);
    glink_tick(&g, now_us += 100000);
    CHECK(listen() == 0u); /* nothing to send, nothing to ask for */
}

static void octet_by_octet_is_the_same(void)
{
    static uint8_t whole[WIRE_ROOM];
    static uint8_t pieces[WIRE_ROOM];
    size_t n[2];
    for (int round = 0; round < 2; round++) {
        uint8_t *out = round == 0 ? whole : pieces;
        const size_t cap = round == 0 ? WIRE_ROOM : 1u;
        open_session(GLINK_MINOR);
        mic_frames = 3;
        for (uint16_t id = 1; id <= 5; id++) hear_call(id);
        size_t at = 0;
        size_t got;
        do {
            got = glink_transmit(&g, out + at, cap);
            at += got;
        } while (got == cap);
        n[round] = at;
    }
    CHECK(n[0] == n[1] && memcmp(whole, pieces, n[0]) == 0);
}

static void a_zero_leads_after_a_pause_or_an_abort(void)
{
    uint8_t out[64];
    open_session(GLINK_MINOR);
    mic_frames = 1;
    glink_tick(&g, now_us += 19999);
    CHECK(glink_transmit(&g, out, sizeof out) > 0u && out[0] != 0u);
    mic_frames = 1;
    glink_tick(&g, now_us += 20000);
    CHECK(glink_transmit(&g, out, sizeof out) > 0u && out[0] == 0u);

    mic_frames = 1;
    CHECK(glink_transmit(&g, out, 5) == 5u); /* the port was closed on the rest of it */
    glink_transmit_aborted(&g);
    mic_frames = 1;
    CHECK(glink_transmit(&g, out, sizeof out) > 0u && out[0] == 0u);
    CHECK(glink_transmit(&g, out, sizeof out) == 0u);
}

static void sequence_numbers_wrap(void)
{
    static const uint8_t ping[] = {GLINK_TYPE_PING, 1, 0, 0, 0};
    open_session(GLINK_MINOR);
    for (uint32_t i = 0; i < 70000u; i++) {
        hear_next(GLINK_CHAN_LINK, ping, sizeof ping);
        const size_t n = listen();
        if (n != 1u || spoken[0].payload[0] != GLINK_TYPE_PONG) {
            CHECK(n == 1u && spoken[0].payload[0] == GLINK_TYPE_PONG);
            return;
        }
    }
    CHECK(g.stats.rx_duplicates == 0u);
    hear(GLINK_CHAN_LINK, g.session, host_seq[GLINK_CHAN_LINK], ping, sizeof ping);
    hear(GLINK_CHAN_LINK, g.session, (uint16_t)(host_seq[GLINK_CHAN_LINK] - 100u), ping, sizeof ping);
    CHECK(g.stats.rx_duplicates == 2u && listen() == 0u);
}

static void everything_wrong_is_counted(void)
{
    static const uint8_t ping[] = {GLINK_TYPE_PING, 1, 0, 0, 0};
    static const uint8_t unknown[] = {200, 0};
    static uint8_t long_call[GLINK_RPC_MAX_PAYLOAD_BYTES + 1u] = {GLINK_TYPE_CALL};
    open_session(GLINK_MINOR);
    hear(GLINK_CHAN_LINK, (uint16_t)(g.session + 1u), 50, ping, sizeof ping);
    CHECK(g.stats.rx_foreign == 1u);
    hear_next(GLINK_CHAN_LINK, unknown, sizeof unknown);
    hear_next(GLINK_CHAN_LINK, unknown, 0);
    hear_next(GLINK_CHAN_RPC, long_call, sizeof long_call);
    hear_next(GLINK_CHAN_RPC, long_call, 3);
    hear_next(GLINK_CHAN_SPEAKER, unknown, 1);
    hear_next(GLINK_CHAN_TEST, unknown, 1);
    hear(77, g.session, 1, unknown, 1);
    CHECK(g.stats.rx_refused == 7u && calls == 0u);
    CHECK(g.stats.rx_lost == 0u);
    hear(GLINK_CHAN_LINK, g.session, (uint16_t)(host_seq[GLINK_CHAN_LINK] + 10u), ping, sizeof ping);
    CHECK(g.stats.rx_lost == 9u);
    glink_receive(&g, (const uint8_t *)"\0junk\0", 6);
    CHECK(g.stats.rx_bad == 1u);
    CHECK(g.state == GLINK_OPEN && ended == 0u);
}

static void silence_ends_the_session(void)
{
    open_session(GLINK_MINOR);
    const uint64_t dead_us = now_us + GLINK_DEAD_AFTER_MS * 1000u;
    while (g.state == GLINK_OPEN && now_us < dead_us + 1000000u) {
        const uint64_t next = glink_next_us(&g);
        CHECK(next > now_us && next <= dead_us);
        now_us = next;
        glink_tick(&g, now_us);
        (void)listen();
    }
    CHECK(now_us == dead_us && ended == 1u);
    CHECK(g.state == GLINK_CLOSED); /* said CLOSE */
    CHECK(glink_next_us(&g) == GLINK_NEVER);
}

void test_link(void)
{
    session_numbers_leave_out_zero();
    a_call_that_runs_is_pending_and_runs_once();
    the_ninth_call_under_way_is_not_run();
    the_most_urgent_goes_first();
    no_reply_waits_for_an_event_that_waits_for_the_host();
    an_event_keeps_its_number_until_it_is_acknowledged();
    the_rate_changes_between_two_calls();
    a_chunk_is_8_ms_of_the_line();
    a_stalled_object_asks_for_credit();
    octet_by_octet_is_the_same();
    a_zero_leads_after_a_pause_or_an_abort();
    sequence_numbers_wrap();
    everything_wrong_is_counted();
    silence_ends_the_session();
}
