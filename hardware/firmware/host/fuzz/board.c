/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

#define SAMPLES_PER_MS (GLINK_SAMPLE_RATE_HZ / 1000u)
#define MAX_BLOCK_SAMPLES (64u * SAMPLES_PER_MS)
#define EXPOSURE_US 100000u
#define DEAD_US (GLINK_DEAD_AFTER_MS * UINT64_C(1000))
#define HEARTBEAT_US (GLINK_HEARTBEAT_MS * UINT64_C(1000))
#define LIVELY_US (GLINK_LIVELY_MS * UINT64_C(1000))
#define BAUD_TRIAL_US (GLINK_BAUD_TRIAL_MS * UINT64_C(1000))
#define BAUD_SILENCE_US (GLINK_BAUD_SILENCE_MS * UINT64_C(1000))
#define MAX_WAITING_BYTES 1000000u /* far more than all queues and windows together */
#define MAX_LEAP 1000u             /* of sequence numbers: no line loses so many frames */
#define LINE_US 1000u              /* until a full line takes more */
#define MAX_STANDING 20u           /* visits without time passing */

/* ---- drivers ---- */

static void led(void *ctx, uint8_t level)
{
    board_t *b = ctx;
    b->led = level;
}

static void mic_enable(void *ctx, uint8_t on)
{
    board_t *b = ctx;
    CHECK(on == 0u || b->led != GLINK_LED_OFF); /* the light comes first */
    CHECK(b->mic != (on != 0u));
    b->mic = on != 0u;
}

static void speaker_enable(void *ctx, uint8_t on)
{
    board_t *b = ctx;
    CHECK(b->amplifier != (on != 0u));
    b->amplifier = on != 0u;
}

static int32_t camera_start(void *ctx)
{
    board_t *b = ctx;
    CHECK(b->led == GLINK_LED_SOLID);
    CHECK(!b->exposing);
    if (b->camera == BOARD_CAMERA_REFUSES) return -1;
    b->exposing = true;
    b->photo_us = b->camera == BOARD_CAMERA_SILENT ? GLINK_NEVER : b->now_us + EXPOSURE_US;
    return 0;
}

static int32_t camera_stop(void *ctx)
{
    board_t *b = ctx;
    free(b->jpeg);
    b->jpeg = NULL;
    CHECK(!b->stopping);
    b->stopping = b->exposing && b->camera_runs_on;
    b->exposing = b->stopping;
    b->photo_us = b->stopping ? b->now_us + EXPOSURE_US : GLINK_NEVER;
    return b->stopping ? 1 : 0;
}

/* Up only behind a whole frame that told the host so; down also within one, which nobody hears any more. */
static void set_rate(void *ctx, uint32_t baud)
{
    board_t *b = ctx;
    hearing_t *h = &b->hearing;
    CHECK(b->app.hal.max_baud > 0u && baud != h->baud);
    if (baud != GLINK_START_BAUD) CHECK(baud == h->promised_baud && (h->deframer.n == 0u || h->half));
    else hearing_torn(h);
    h->baud = baud;
    b->baud_us = b->now_us;
    b->heard_at_baud = false;
}

static int32_t battery_percent(void *ctx)
{
    const board_t *b = ctx;
    return (int32_t)(b->now_us / 1000u % 103u) - 1; /* none, 0 to 100, and a gauge that lies */
}

/* ---- what must hold, whenever nothing is under way ---- */

static void check(const board_t *b)
{
    uint8_t level = b->mic ? GLINK_LED_DIM : GLINK_LED_OFF;
    if (b->exposing) level = GLINK_LED_SOLID;
    CHECK(b->led == level);

    const bool sensing = b->mic || (b->exposing && !b->stopping);
    const glink_t *link = &b->app.link;
    if (link->state != GLINK_OPEN) CHECK(!sensing && !b->amplifier);
    CHECK(glink_rpc_free(&link->rpc) <= GLINK_WINDOW_RPC);
    CHECK(frame_speaker_free(&b->app.speaker) <= GLINK_WINDOW_SPEAKER);
}

/* The same, once the frame has seen what time it is. */
static void check_time(const board_t *b)
{
    check(b);
    if (b->now_us - b->heard_us >= DEAD_US) CHECK(!b->mic && (!b->exposing || b->stopping));
}

/* The same, once it has said what it had to say. */
static void check_line(const board_t *b)
{
    const hearing_t *h = &b->hearing;
    const bool open = b->app.link.state == GLINK_OPEN;
    const bool raised = h->baud > GLINK_START_BAUD;
    if (open) CHECK(b->now_us - h->last_us <= (raised ? LIVELY_US : HEARTBEAT_US));
    if (!raised) return;
    CHECK(open);
    if (b->heard_at_baud) CHECK(b->now_us - b->heard_us < BAUD_SILENCE_US);
    else CHECK(b->now_us - b->baud_us < BAUD_TRIAL_US);
}

/* ---- the wire ---- */

static bool due(const board_t *b)
{
    return frame_app_next_us(&b->app) <= b->now_us;
}

bool board_transmit(board_t *b, size_t room)
{
    uint8_t out[4096];
    size_t total = 0;
    while (total < room) {
        const size_t cap = room - total < sizeof out ? room - total : sizeof out;
        const size_t n = frame_app_transmit(&b->app, out, cap);
        CHECK(n <= cap);
        hearing_take(&b->hearing, out, n, b->now_us);
        total += n;
        CHECK(total < MAX_WAITING_BYTES);
        if (n < cap) break;
    }
    /* Or the line's rate changes first, and the frame wants to be visited at once. */
    if (total < room && !due(b)) CHECK(frame_app_transmit(&b->app, out, sizeof out) == 0u);
    check(b);
    return total < room;
}

void board_tear(board_t *b)
{
    hearing_torn(&b->hearing);
    glink_transmit_aborted(&b->app.link);
}

void board_receive(board_t *b, const uint8_t *bytes, size_t n)
{
    b->heard_us = b->now_us;
    b->heard_at_baud = true;
    b->hearing.unlimited = true;
    b->hearing.leapt = true;
    b->hearing.calls += (uint32_t)n;
    /* As long as it is, so that the first octet read too many is seen. */
    uint8_t *exact = malloc(n);
    CHECK(exact != NULL || n == 0u);
    if (n > 0u) memcpy(exact, bytes, n);
    frame_app_receive(&b->app, exact, n);
    free(exact);
    check(b);
}

/* What the frame must make of a frame of its session. */
static void note(board_t *b, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    const glink_t *link = &b->app.link;
    if (b->session != link->session) {
        b->session = link->session;
        memset(b->highest, 0, sizeof b->highest);
    }
    const bool listening = link->state == GLINK_GREETED || link->state == GLINK_OPEN;
    if (!listening || header->session != link->session || header->chan >= GLINK_CHANNELS) return;
    if (!glink_seq_after(header->seq, b->highest[header->chan])) return;
    if ((uint16_t)(header->seq - b->highest[header->chan]) > MAX_LEAP) b->hearing.leapt = true;
    b->highest[header->chan] = header->seq;
    b->heard_us = b->now_us;
    b->heard_at_baud = true;

    if (header->chan == GLINK_CHAN_RPC) b->hearing.calls++;
    if (header->chan != GLINK_CHAN_LINK || n == 0u) return;
    const uint8_t *body = payload + 1;
    if (payload[0] == GLINK_TYPE_CONFIRM && link->state == GLINK_GREETED) {
        glink_confirm_t confirm;
        glink_confirm_unpack(&confirm, body, n - 1u);
        b->hearing.bulk_allowed = confirm.bulk_window > 0u ? confirm.bulk_window : GLINK_WINDOW_BULK_UP;
    } else if (payload[0] == GLINK_TYPE_CREDIT) {
        glink_credit_t credit;
        glink_credit_unpack(&credit, body, n - 1u);
        const bool plausible = (uint16_t)(credit.allowed - link->tx_seq[GLINK_CHAN_BULK_UP]) <= UINT8_MAX;
        if (credit.channel == GLINK_CHAN_BULK_UP && plausible &&
            glink_seq_after(credit.allowed, b->hearing.bulk_allowed)) {
            b->hearing.bulk_allowed = credit.allowed;
        }
    } else if (payload[0] == GLINK_TYPE_HIGHEST_SENT) {
        b->hearing.leapt = true; /* to wherever it says */
    } else if (payload[0] == GLINK_TYPE_EVENT_ACK) {
        glink_event_ack_t ack;
        glink_event_ack_unpack(&ack, body, n - 1u);
        hearing_acknowledged(&b->hearing, ack.seq);
    }
}

void board_receive_frame(board_t *b, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    uint8_t wire[GLINK_MAX_WIRE_BYTES];
    if (n > 0u) memcpy(wire + GLINK_PAYLOAD_AT, payload, n);
    const size_t end = glink_frame_seal(wire, header, n);
    note(b, header, payload, n);
    frame_app_receive(&b->app, wire, end);
    check(b);
}

/* ---- time ---- */

static void photo(board_t *b)
{
    b->photo_us = GLINK_NEVER;
    b->exposing = false;
    if (b->stopping) { /* nobody wants the picture, and nobody may look at it */
        b->stopping = false;
        frame_app_on_photo(&b->app, NULL, HEARING_PICTURE_BYTES, GLINK_PHOTO_STATUS_OK);
        return;
    }
    b->hearing.pattern = b->camera == BOARD_CAMERA_PICTURE;
    if (b->camera != BOARD_CAMERA_PICTURE && b->camera != BOARD_CAMERA_GIVEN) {
        frame_app_on_photo(&b->app, NULL, 0u, GLINK_PHOTO_STATUS_CAPTURE_FAILED);
        return;
    }
    const uint32_t n = b->hearing.pattern ? HEARING_PICTURE_BYTES : b->given_n;
    CHECK(b->jpeg == NULL);
    b->jpeg = malloc(n > 0u ? n : 1u);
    CHECK(b->jpeg != NULL);
    for (uint32_t i = 0; i < n; i++) b->jpeg[i] = b->hearing.pattern ? hearing_picture(i) : b->given[i];
    frame_app_on_photo(&b->app, b->jpeg, n, GLINK_PHOTO_STATUS_OK);
}

static void block(board_t *b)
{
    int16_t pcm[MAX_BLOCK_SAMPLES];
    const uint32_t n = b->block_samples;
    b->block_us += (uint64_t)n * 1000u / SAMPLES_PER_MS;
    if (b->mic) {
        for (uint32_t i = 0; i < n; i++) pcm[i] = hearing_sample((uint32_t)b->sample + i);
        frame_app_on_mic(&b->app, pcm, n);
    }
    frame_app_samples_passed(&b->app, n);
    b->sample += n;
    CHECK(b->app.clock.sample == b->sample);

    const bool amplified = b->amplifier;
    frame_app_speaker_pull(&b->app, pcm, n);
    if (amplified || b->amplifier) return;
    for (uint32_t i = 0; i < n; i++) CHECK(pcm[i] == 0); /* nobody would hear it */
}

static void visit(board_t *b)
{
    frame_app_tick(&b->app, b->now_us);
    if (b->now_us >= b->photo_us) photo(b);
    if (b->now_us >= b->block_us) block(b);
    check_time(b);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void board_advance(board_t *b, uint64_t us, size_t room)
{
    const uint64_t end = b->now_us + us;
    unsigned standing = 0;
    bool full = false;
    while (b->now_us < end) {
        uint64_t next_us = earlier(frame_app_next_us(&b->app), earlier(b->photo_us, b->block_us));
        if (full && next_us < b->now_us + LINE_US) next_us = b->now_us + LINE_US; /* in vain before the line takes more */
        next_us = earlier(next_us, end);
        standing = next_us > b->now_us ? 0u : standing + 1u;
        CHECK(standing < MAX_STANDING);
        if (next_us > b->now_us) b->now_us = next_us;
        visit(b);
        full = !board_transmit(b, room);
        if (!full && !due(b)) check_line(b);
    }
}

void board_stall(board_t *b, uint64_t us)
{
    b->now_us += us;
    uint64_t lost = 0;
    while (b->block_us + (uint64_t)b->block_samples * 1000u / SAMPLES_PER_MS <= b->now_us) {
        b->block_us += (uint64_t)b->block_samples * 1000u / SAMPLES_PER_MS;
        lost += b->block_samples;
    }
    b->sample += lost;
    frame_app_samples_passed(&b->app, (size_t)lost);
    visit(b);
}

/* ---- boot ---- */

void board_init(board_t *b, uint32_t capabilities, uint32_t max_baud, uint32_t block_ms)
{
    memset(b, 0, sizeof *b);
    memset(&b->app, 0xA5, sizeof b->app); /* what init forgets is not zero by luck */
    b->block_samples = block_ms * SAMPLES_PER_MS;
    CHECK(b->block_samples > 0u && b->block_samples <= MAX_BLOCK_SAMPLES);
    b->block_us = (uint64_t)block_ms * 1000u;
    b->photo_us = GLINK_NEVER;

    const frame_hal_t hal = {.ctx = b,
                             .led = led,
                             .mic_enable = mic_enable,
                             .speaker_enable = speaker_enable,
                             .camera_start = camera_start,
                             .camera_stop = camera_stop,
                             .battery_percent = battery_percent,
                             .max_baud = max_baud,
                             .set_rate = set_rate};
    /* The sessions of the vectors have number 0x102. */
    const glink_hello_ack_t identity = {.boot_id = 1u, .capabilities = capabilities, .name = "fuzzed"};
    frame_app_init(&b->app, &hal, &identity, 0x101u);
    hearing_init(&b->hearing, &b->app.link, max_baud > 0u ? GLINK_START_BAUD : 0u);
    (void)camera_stop(b);
    check(b);
}

void board_free(board_t *b)
{
    free(b->jpeg);
}
