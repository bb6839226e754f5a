/* SPDX-License-Identifier: Apache-2.0 */
/* What drivers may do to the frame that the simulated one never does: blocks of any size, lost samples, a camera that
 * cannot start, never ends, or ends twice. The host is only as much of one as that needs: of version 1.0, which
 * acknowledges nothing. */
#include <string.h>

#include "check.h"
#include "frame_app.h"

static frame_app_t app;
static uint64_t now_us;
static unsigned camera_starts;
static unsigned camera_stops;
static int32_t camera_answer;
static int32_t camera_runs_on; /* what camera_stop() answers */
static uint8_t led_level;

static void hal_led(void *ctx, uint8_t level)
{
    (void)ctx;
    led_level = level;
}

static void hal_switch(void *ctx, uint8_t on)
{
    (void)ctx;
    (void)on;
}

static int32_t hal_camera_start(void *ctx)
{
    (void)ctx;
    camera_starts++;
    return camera_answer;
}

static int32_t hal_camera_stop(void *ctx)
{
    (void)ctx;
    camera_stops++;
    return camera_runs_on;
}

static int32_t hal_battery(void *ctx)
{
    (void)ctx;
    return 101; /* a gauge that lies */
}

/* ---- a host that asks one thing at a time ---- */

static uint16_t seq[GLINK_CHANNELS];

static void hear(uint8_t chan, uint16_t session, uint8_t flags, const void *payload, size_t n)
{
    static uint8_t wire[GLINK_MAX_WIRE_BYTES];
    const glink_header_t header = {.chan = chan, .flags = flags, .seq = ++seq[chan], .session = session};
    memcpy(wire + GLINK_PAYLOAD_AT, payload, n);
    frame_app_receive(&app, wire, glink_frame_seal(wire, &header, n));
}

static uint8_t out[65536];
static size_t out_n;
static size_t out_at;

static void fetch(void)
{
    out_n = frame_app_transmit(&app, out, sizeof out);
    out_at = 0;
}

/* Returns the next payload on a channel of what was fetched last, its length in `*n`; NULL when there is none. */
static const uint8_t *next_on(uint8_t chan, size_t *n)
{
    static glink_deframer_t d;
    size_t used = 0;
    for (; out_at < out_n; out_at += used) {
        glink_deframer_next(&d);
        if (glink_deframer_push(&d, out + out_at, out_n - out_at, &used) != GLINK_CUT_FRAME) return NULL;
        glink_header_t header;
        const uint8_t *payload = NULL;
        const int32_t length = glink_frame_open(d.buf, d.n, &header, &payload);
        if (length < 0 || header.chan != chan) continue;
        out_at += used;
        *n = (size_t)length;
        return payload;
    }
    return NULL;
}

/* Returns the status of the reply. */
static uint8_t ask(uint8_t method)
{
    static uint16_t call_id;
    call_id++;
    const uint8_t call[] = {GLINK_TYPE_CALL, (uint8_t)call_id, (uint8_t)(call_id >> 8), method};
    hear(GLINK_CHAN_RPC, app.link.session, 0, call, sizeof call);
    fetch();
    size_t n = 0;
    const uint8_t *reply = next_on(GLINK_CHAN_RPC, &n);
    out_at = 0;
    CHECK(reply != NULL);
    return reply != NULL ? reply[4] : (uint8_t)GLINK_RPC_STATUS_FAILED;
}

static void boot(void)
{
    static const uint8_t hello[] = {GLINK_TYPE_HELLO, GLINK_MAJOR, 0, 1, 0, 0, 0};
    static const uint8_t confirm[] = {GLINK_TYPE_CONFIRM, 1, 0, 0, 0};
    const frame_hal_t hal = {.led = hal_led,
                             .mic_enable = hal_switch,
                             .speaker_enable = hal_switch,
                             .camera_start = hal_camera_start,
                             .camera_stop = hal_camera_stop,
                             .battery_percent = hal_battery};
    const glink_hello_ack_t identity = {.capabilities = GLINK_CAP_MICROPHONE | GLINK_CAP_SPEAKER | GLINK_CAP_CAMERA |
                                                        GLINK_CAP_BATTERY};
    led_level = 99;
    camera_starts = 0;
    camera_stops = 0;
    camera_answer = 0;
    camera_runs_on = 0;
    now_us = 0;
    memset(seq, 0, sizeof seq);
    frame_app_init(&app, &hal, &identity, 4);
    CHECK(led_level == GLINK_LED_OFF);
    frame_app_tick(&app, now_us);
    hear(GLINK_CHAN_LINK, 0, 0, hello, sizeof hello);
    hear(GLINK_CHAN_LINK, app.link.session, 0, confirm, sizeof confirm);
    fetch();
}

/* Lets time pass and keeps the session alive. */
static void wait(uint64_t us)
{
    static const uint8_t ping[] = {GLINK_TYPE_PING};
    for (const uint64_t end = now_us + us; now_us < end;) {
        now_us = end - now_us > 500000u ? now_us + 500000u : end;
        frame_app_tick(&app, now_us);
        hear(GLINK_CHAN_LINK, app.link.session, 0, ping, sizeof ping);
        fetch();
    }
}

/* Returns the status of the PhotoEvent in what was fetched last, 255 when there is none. */
static uint8_t photo_status(void)
{
    uint8_t status = 255u;
    size_t n = 0;
    const uint8_t *event;
    while ((event = next_on(GLINK_CHAN_EVENT, &n)) != NULL) {
        if (event[0] == GLINK_TYPE_PHOTO_EVENT) status = event[3];
    }
    return status;
}

/* ---- camera ---- */

static const uint8_t picture[] = {0xFF, 0xD8, 0xFF, 0xDA, 0, 2, 1, 2, 3, 0xFF, 0xD9};

static void a_camera_that_cannot_start(void)
{
    boot();
    camera_answer = -1;
    CHECK(ask(GLINK_METHOD_TAKE_PHOTO) == GLINK_RPC_STATUS_FAILED);
    CHECK(camera_starts == 1u && led_level == GLINK_LED_OFF);
    camera_answer = 0;
    CHECK(ask(GLINK_METHOD_TAKE_PHOTO) == GLINK_RPC_STATUS_ACCEPTED);
    CHECK(led_level == GLINK_LED_SOLID);
}

static void a_camera_that_never_ends(void)
{
    boot();
    CHECK(ask(GLINK_METHOD_TAKE_PHOTO) == GLINK_RPC_STATUS_ACCEPTED);
    wait(FRAME_PHOTO_TIMEOUT_US - 1u);
    CHECK(photo_status() == 255u && led_level == GLINK_LED_SOLID && camera_stops == 0u);
    wait(1);
    CHECK(photo_status() == GLINK_PHOTO_STATUS_CAPTURE_FAILED && led_level == GLINK_LED_OFF && camera_stops == 1u);

    frame_app_on_photo(&app, picture, sizeof picture, GLINK_PHOTO_STATUS_OK); /* too late */
    fetch();
    CHECK(photo_status() == 255u && app.object.state == FRAME_OBJECT_NONE);
}

static void a_camera_that_is_slow_to_stop(void)
{
    boot();
    camera_runs_on = 1;
    CHECK(ask(GLINK_METHOD_TAKE_PHOTO) == GLINK_RPC_STATUS_ACCEPTED);
    wait(FRAME_PHOTO_TIMEOUT_US);
    CHECK(photo_status() == GLINK_PHOTO_STATUS_CAPTURE_FAILED && led_level == GLINK_LED_SOLID && camera_stops == 1u);
    CHECK(ask(GLINK_METHOD_TAKE_PHOTO) == GLINK_RPC_STATUS_BUSY);
    wait(2u * FRAME_PHOTO_TIMEOUT_US); /* for as long as it takes */
    CHECK(photo_status() == 255u && led_level == GLINK_LED_SOLID && camera_stops == 1u && camera_starts == 1u);

    frame_app_on_photo(&app, picture, sizeof picture, GLINK_PHOTO_STATUS_OK);
    fetch();
    CHECK(photo_status() == 255u && led_level == GLINK_LED_OFF && app.object.state == FRAME_OBJECT_NONE);
    camera_runs_on = 0;
    CHECK(ask(GLINK_METHOD_TAKE_PHOTO) == GLINK_RPC_STATUS_ACCEPTED);
}

static void a_camera_that_ends_twice(void)
{
    boot();
    CHECK(ask(GLINK_METHOD_TAKE_PHOTO) == GLINK_RPC_STATUS_ACCEPTED);
    frame_app_on_photo(&app, picture, sizeof picture, GLINK_PHOTO_STATUS_OK);
    frame_app_on_photo(&app, NULL, 0, GLINK_PHOTO_STATUS_CAPTURE_FAILED);
    fetch();
    CHECK(photo_status() == GLINK_PHOTO_STATUS_OK && app.object.state == FRAME_OBJECT_READY);
    CHECK(camera_stops == 0u); /* the buffer is still ours */
    CHECK(ask(GLINK_METHOD_TAKE_PHOTO) == GLINK_RPC_STATUS_ACCEPTED);
    CHECK(camera_stops == 1u && camera_starts == 2u);
}

static void a_picture_beyond_every_cap(void)
{
    boot();
    CHECK(ask(GLINK_METHOD_TAKE_PHOTO) == GLINK_RPC_STATUS_ACCEPTED);
    frame_app_on_photo(&app, picture, GLINK_MAX_OBJECT_BYTES + 1u, GLINK_PHOTO_STATUS_OK); /* and not read */
    fetch();
    CHECK(photo_status() == GLINK_PHOTO_STATUS_TOO_LARGE);
}

/* ---- audio ---- */

static int16_t pcm[4000];

static void push(size_t n)
{
    for (size_t i = 0; i < n; i++) pcm[i] = (int16_t)(app.clock.sample + i);
    frame_app_on_mic(&app, pcm, n);
    frame_app_samples_passed(&app, n);
}

/* Each sample is its own number: reads the frames that were fetched. Returns how many; `*sample` is where they end. */
static unsigned frames_are_whole(uint32_t *sample)
{
    unsigned frames = 0;
    size_t n = 0;
    const uint8_t *payload;
    while ((payload = next_on(GLINK_CHAN_MIC, &n)) != NULL) {
        glink_mic_audio_t audio;
        glink_mic_audio_unpack(&audio, payload, n);
        CHECK(audio.pcm_len == 2u * GLINK_FRAME_SAMPLES);
        for (size_t i = 0; i < GLINK_FRAME_SAMPLES; i++) {
            const uint16_t value = (uint16_t)(audio.pcm[2u * i] | audio.pcm[2u * i + 1u] << 8);
            if (value != (uint16_t)(audio.sample + i)) CHECK(false);
        }
        *sample = audio.sample + GLINK_FRAME_SAMPLES;
        frames++;
    }
    return frames;
}

static void blocks_of_any_size_make_whole_frames(void)
{
    static const size_t sizes[] = {1, 7, 64, 240, 256, 319, 320, 321, 512, 1000, 2559};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint32_t end = 0;
        unsigned frames = 0;
        boot();
        CHECK(ask(GLINK_METHOD_CAPTURE_START) == GLINK_RPC_STATUS_OK);
        for (size_t at = 0; at < 8000u; at += sizes[s]) {
            push(sizes[s]);
            fetch();
            frames += frames_are_whole(&end);
        }
        CHECK(frames == (uint32_t)app.clock.sample / GLINK_FRAME_SAMPLES && end == frames * GLINK_FRAME_SAMPLES);
        CHECK(app.capture.dropped == 0u);
    }
}

static void a_frame_never_hides_lost_samples(void)
{
    uint32_t end = 0;
    boot();
    CHECK(ask(GLINK_METHOD_CAPTURE_START) == GLINK_RPC_STATUS_OK);
    push(500);
    frame_app_samples_passed(&app, 100); /* the driver's ring ran over */
    push(400);
    fetch();
    CHECK(frames_are_whole(&end) == 2u && end == 920u); /* 0 to 319, 600 to 919 */
}

static void a_stalled_link_keeps_the_newest(void)
{
    uint32_t end = 0;
    boot();
    CHECK(ask(GLINK_METHOD_CAPTURE_START) == GLINK_RPC_STATUS_OK);
    for (unsigned i = 0; i < 30u; i++) push(GLINK_FRAME_SAMPLES);
    CHECK(app.capture.dropped == 30u - FRAME_CAPTURE_SLOTS);
    fetch();
    CHECK(frames_are_whole(&end) == FRAME_CAPTURE_SLOTS && end == 30u * GLINK_FRAME_SAMPLES);
}

static void what_is_dropped_leaves_no_trace_in_the_encoder(void)
{
    glink_adpcm_t state = {0};
    uint8_t block[GLINK_ADPCM_BLOCK_BYTES];
    boot();
    CHECK(ask(GLINK_METHOD_CAPTURE_START) == GLINK_RPC_STATUS_OK);
    frame_capture_start(&app.capture, GLINK_CODEC_IMA_ADPCM);
    for (unsigned i = 0; i < 30u; i++) push(GLINK_FRAME_SAMPLES);
    fetch();
    unsigned frames = 0;
    size_t n = 0;
    const uint8_t *payload;
    while ((payload = next_on(GLINK_CHAN_MIC, &n)) != NULL) {
        glink_mic_audio_t audio;
        glink_mic_audio_unpack(&audio, payload, n);
        for (size_t i = 0; i < GLINK_FRAME_SAMPLES; i++) pcm[i] = (int16_t)(audio.sample + i);
        CHECK(audio.pcm_len == glink_adpcm_encode(&state, pcm, GLINK_FRAME_SAMPLES, block));
        CHECK(audio.pcm_len == sizeof block && memcmp(audio.pcm, block, sizeof block) == 0);
        frames++;
    }
    CHECK(frames == FRAME_CAPTURE_SLOTS && app.capture.dropped == 30u - FRAME_CAPTURE_SLOTS);
}

static void the_speaker_is_pulled_in_any_size(void)
{
    static const size_t sizes[] = {1, 7, 64, 240, 320, 321, 1000};
    static uint8_t frame[GLINK_SPEAKER_AUDIO_BYTES + 2u * GLINK_FRAME_SAMPLES];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        boot();
        app.speaker.percent = 100;
        for (uint32_t i = 0; i < 5u; i++) {
            for (size_t k = 0; k < GLINK_FRAME_SAMPLES; k++) {
                const uint32_t value = i * GLINK_FRAME_SAMPLES + (uint32_t)k + 1u;
                frame[GLINK_SPEAKER_AUDIO_BYTES + 2u * k] = (uint8_t)value;
                frame[GLINK_SPEAKER_AUDIO_BYTES + 2u * k + 1u] = (uint8_t)(value >> 8);
            }
            frame[0] = (uint8_t)(i * GLINK_FRAME_SAMPLES);
            frame[1] = (uint8_t)((i * GLINK_FRAME_SAMPLES) >> 8);
            hear(GLINK_CHAN_SPEAKER, app.link.session, i == 4u ? GLINK_FLAG_LAST : 0u, frame, sizeof frame);
        }
        int32_t want = 1;
        bool same = true;
        for (size_t at = 0; at < 2000u; at += sizes[s]) {
            frame_app_speaker_pull(&app, pcm, sizes[s]);
            frame_app_samples_passed(&app, sizes[s]);
            for (size_t i = 0; i < sizes[s]; i++) {
                if (pcm[i] != (want <= 1600 ? want : 0)) same = false;
                want++;
            }
        }
        CHECK(same && !app.speaker.active && !app.speaker.amplifier);
    }
}

static void a_volume_that_was_kept_is_restored(void)
{
    boot();
    CHECK(app.speaker.percent == FRAME_APP_VOLUME_PERCENT);
    frame_app_restore_volume(&app, 101u);
    CHECK(app.speaker.percent == FRAME_APP_VOLUME_PERCENT);
    frame_app_restore_volume(&app, 100u);
    CHECK(app.speaker.percent == 100u);
    frame_app_restore_volume(&app, 0u);
    CHECK(app.speaker.percent == 0u);
}

static void a_gauge_that_lies_is_none(void)
{
    boot();
    CHECK(ask(GLINK_METHOD_GET_STATE) == GLINK_RPC_STATUS_OK);
    size_t n = 0;
    glink_get_state_result_t state;
    const uint8_t *reply = next_on(GLINK_CHAN_RPC, &n);
    CHECK(reply != NULL && n == GLINK_REPLY_BYTES + GLINK_GET_STATE_RESULT_BYTES);
    if (reply == NULL) return;
    glink_get_state_result_unpack(&state, reply + GLINK_REPLY_BYTES, n - GLINK_REPLY_BYTES);
    CHECK(state.battery_percent == 255u);
}

static void what_the_driver_tells_is_counted(void)
{
    boot();
    now_us = frame_app_next_us(&app);
    CHECK(now_us != GLINK_NEVER);
    frame_app_tick(&app, now_us);
    wait(1000);
    CHECK(app.loop_worst_us == 0u);
    now_us = frame_app_next_us(&app) + 700u;
    frame_app_tick(&app, now_us);
    CHECK(app.loop_worst_us == 700u);
    fetch();
    now_us = frame_app_next_us(&app) + 600u;
    frame_app_tick(&app, now_us);
    CHECK(app.loop_worst_us == 700u); /* the worst, not the last */
    for (unsigned i = 0; i < 3u; i++) frame_app_rx_overrun(&app);

    CHECK(ask(GLINK_METHOD_GET_STATS) == GLINK_RPC_STATUS_OK);
    size_t n = 0;
    glink_get_stats_result_t stats;
    const uint8_t *reply = next_on(GLINK_CHAN_RPC, &n);
    CHECK(reply != NULL && n == GLINK_REPLY_BYTES + GLINK_GET_STATS_RESULT_BYTES);
    if (reply == NULL) return;
    glink_get_stats_result_unpack(&stats, reply + GLINK_REPLY_BYTES, n - GLINK_REPLY_BYTES);
    CHECK(stats.loop_worst_us == 700u && stats.rx_overruns == 3u && stats.sessions == 1u && stats.baud == 0u);
}

void test_drivers(void)
{
    a_camera_that_cannot_start();
    a_camera_that_never_ends();
    a_camera_that_is_slow_to_stop();
    a_camera_that_ends_twice();
    a_picture_beyond_every_cap();
    blocks_of_any_size_make_whole_frames();
    a_frame_never_hides_lost_samples();
    a_stalled_link_keeps_the_newest();
    what_is_dropped_leaves_no_trace_in_the_encoder();
    the_speaker_is_pulled_in_any_size();
    a_volume_that_was_kept_is_restored();
    a_gauge_that_lies_is_none();
    what_the_driver_tells_is_counted();
}
