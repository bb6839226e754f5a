/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_app.h"

#include <string.h>

#define NO_GAUGE 255u

static bool has(const frame_app_t *app, uint32_t capability)
{
    return (app->link.identity.capabilities & capability) != 0u;
}

/* ---- calls ----
 * Each gets the arguments and fills the result (room for GLINK_RPC_MAX_RESULT_BYTES); each returns an rpc_status. */

#define RESULT_CAP GLINK_RPC_MAX_RESULT_BYTES

static uint8_t battery_percent(const frame_app_t *app)
{
    const int32_t percent = has(app, GLINK_CAP_BATTERY) ? app->hal.battery_percent(app->hal.ctx) : -1;
    return percent < 0 || percent > 100 ? (uint8_t)NO_GAUGE : (uint8_t)percent;
}

static uint8_t get_state(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    (void)call;
    const glink_get_state_result_t state = {
        .mic_sample = (uint32_t)app->clock.sample,
        .volume_percent = app->speaker.percent,
        .muted = app->speaker.muted ? 1u : 0u,
        .capturing = app->capture.on ? 1u : 0u,
        .led = app->led.level,
        .battery_percent = battery_percent(app),
        .speaker_queued_samples = frame_speaker_queued(&app->speaker),
        .mic_dropped_frames = app->capture.dropped,
        .rx_frames = app->link.stats.rx_frames,
        .rx_bad_frames = app->link.stats.rx_bad,
        .tx_frames = app->link.stats.tx_frames,
        .tx_dropped_frames = app->link.stats.tx_dropped,
        .uptime_ms = (uint32_t)(app->clock.sample >> 4), /* 16 samples a millisecond */
        .photos_taken = app->photo.taken,
    };
    *n = glink_get_state_result_pack(&state, result, RESULT_CAP);
    return GLINK_RPC_STATUS_OK;
}
_Static_assert(GLINK_SAMPLE_RATE_HZ == 16000u, "uptime counts 16 samples a millisecond");

static uint8_t get_stats(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    (void)call;
    const glink_stats_t *link = &app->link.stats;
    const glink_get_stats_result_t stats = {
        .rx_frames = link->rx_frames,
        .rx_bad_frames = link->rx_bad,
        .rx_foreign_frames = link->rx_foreign,
        .rx_duplicate_frames = link->rx_duplicates,
        .rx_refused_frames = link->rx_refused,
        .rx_lost_frames = link->rx_lost,
        .rx_overruns = app->rx_overruns,
        .tx_frames = link->tx_frames,
        .tx_dropped_frames = link->tx_dropped,
        .event_retries = link->event_retries,
        .mic_dropped_frames = app->mic_dropped + app->capture.dropped,
        .underruns = app->speaker.underruns,
        .underrun_samples = app->speaker.underrun_samples,
        .sessions = link->sessions,
        .baud = app->link.rate.baud,
        .loop_worst_us = app->loop_worst_us,
        .uptime_ms = (uint32_t)(app->clock.sample >> 4),
    };
    *n = glink_get_stats_result_pack(&stats, result, RESULT_CAP);
    return GLINK_RPC_STATUS_OK;
}

static uint8_t capture_start(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    if (!has(app, GLINK_CAP_MICROPHONE)) return GLINK_RPC_STATUS_UNSUPPORTED;
    glink_capture_start_args_t args;
    glink_capture_start_args_unpack(&args, call->args, call->args_len);
    if (args.codec > GLINK_CODEC_IMA_ADPCM) return GLINK_RPC_STATUS_BAD_ARGUMENT;

    frame_capture_start(&app->capture, args.codec);
    const glink_capture_start_result_t started = {.mic_sample = (uint32_t)app->clock.sample};
    *n = glink_capture_start_result_pack(&started, result, RESULT_CAP);
    return GLINK_RPC_STATUS_OK;
}

static uint8_t capture_stop(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    (void)call;
    if (!has(app, GLINK_CAP_MICROPHONE)) return GLINK_RPC_STATUS_UNSUPPORTED;
    frame_capture_stop(&app->capture, GLINK_CAPTURE_STOP_ASKED);
    const glink_capture_stop_result_t stopped = {.mic_sample = (uint32_t)app->clock.sample};
    *n = glink_capture_stop_result_pack(&stopped, result, RESULT_CAP);
    return GLINK_RPC_STATUS_OK;
}

static uint8_t set_volume(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    if (!has(app, GLINK_CAP_SPEAKER)) return GLINK_RPC_STATUS_UNSUPPORTED;
    glink_set_volume_args_t args;
    glink_set_volume_args_unpack(&args, call->args, call->args_len);
    if (args.percent > 100u) return GLINK_RPC_STATUS_BAD_ARGUMENT;

    app->speaker.percent = args.percent;
    const glink_set_volume_result_t now = {.percent = app->speaker.percent, .muted = app->speaker.muted ? 1u : 0u};
    *n = glink_set_volume_result_pack(&now, result, RESULT_CAP);
    return GLINK_RPC_STATUS_OK;
}

static uint8_t set_mute(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    if (!has(app, GLINK_CAP_SPEAKER)) return GLINK_RPC_STATUS_UNSUPPORTED;
    glink_set_mute_args_t args;
    glink_set_mute_args_unpack(&args, call->args, call->args_len);

    app->speaker.muted = args.muted != 0u;
    const glink_set_mute_result_t now = {.percent = app->speaker.percent, .muted = app->speaker.muted ? 1u : 0u};
    *n = glink_set_mute_result_pack(&now, result, RESULT_CAP);
    return GLINK_RPC_STATUS_OK;
}

static uint8_t flush_speaker(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    if (!has(app, GLINK_CAP_SPEAKER)) return GLINK_RPC_STATUS_UNSUPPORTED;
    glink_flush_speaker_args_t args;
    glink_flush_speaker_args_unpack(&args, call->args, call->args_len);
    const glink_flush_speaker_result_t flushed = {.played_samples = frame_speaker_flush(&app->speaker, args.stream)};
    *n = glink_flush_speaker_result_pack(&flushed, result, RESULT_CAP);
    return GLINK_RPC_STATUS_OK;
}

static uint8_t take_photo(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    (void)call;
    if (!has(app, GLINK_CAP_CAMERA)) return GLINK_RPC_STATUS_UNSUPPORTED;
    glink_take_photo_result_t photo = {.object = 0u};
    const uint8_t status = frame_photo_take(&app->photo, &photo.object);
    if (status == GLINK_RPC_STATUS_ACCEPTED) *n = glink_take_photo_result_pack(&photo, result, RESULT_CAP);
    return status;
}

static uint8_t read_object(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    glink_read_object_args_t args;
    glink_read_object_args_unpack(&args, call->args, call->args_len);
    if (!frame_photo_announced(&app->photo)) return GLINK_RPC_STATUS_BUSY;
    const uint8_t status = frame_object_read(&app->object, args.object, args.offset);
    if (status != GLINK_RPC_STATUS_OK) return status;
    const glink_read_object_result_t object = {.size_bytes = app->object.size, .crc32 = app->object.crc};
    *n = glink_read_object_result_pack(&object, result, RESULT_CAP);
    return GLINK_RPC_STATUS_OK;
}

static uint8_t drop_object(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    (void)result;
    (void)n;
    glink_drop_object_args_t args;
    glink_drop_object_args_unpack(&args, call->args, call->args_len);
    return frame_object_drop(&app->object, args.object);
}

static uint8_t write_object(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    glink_write_object_args_t args;
    glink_write_object_args_unpack(&args, call->args, call->args_len);
    glink_write_object_result_t there = {.offset = 0u};
    const uint8_t status = frame_intake_begin(&app->intake, &args, &there.offset);
    if (status == GLINK_RPC_STATUS_OK) *n = glink_write_object_result_pack(&there, result, RESULT_CAP);
    return status;
}

static uint8_t make_test_object(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n)
{
    glink_make_test_object_args_t args;
    glink_make_test_object_args_unpack(&args, call->args, call->args_len);
    return frame_object_make(&app->object, call->call_id, args.size_bytes, result, n);
}

typedef uint8_t (*method_t)(frame_app_t *app, const glink_call_t *call, uint8_t *result, size_t *n);

static const method_t methods[] = {
    [GLINK_METHOD_GET_STATE] = get_state,         [GLINK_METHOD_CAPTURE_START] = capture_start,
    [GLINK_METHOD_CAPTURE_STOP] = capture_stop,   [GLINK_METHOD_SET_VOLUME] = set_volume,
    [GLINK_METHOD_SET_MUTE] = set_mute,           [GLINK_METHOD_FLUSH_SPEAKER] = flush_speaker,
    [GLINK_METHOD_TAKE_PHOTO] = take_photo,       [GLINK_METHOD_READ_OBJECT] = read_object,
    [GLINK_METHOD_DROP_OBJECT] = drop_object,     [GLINK_METHOD_WRITE_OBJECT] = write_object,
    [GLINK_METHOD_MAKE_TEST_OBJECT] = make_test_object, [GLINK_METHOD_GET_STATS] = get_stats,
};

/* ---- what glink asks ---- */

static uint8_t on_call(void *ctx, const glink_call_t *call, uint8_t *result, size_t *result_n)
{
    const size_t known = sizeof methods / sizeof methods[0];
    if (call->method >= known || methods[call->method] == NULL) return GLINK_RPC_STATUS_UNKNOWN_METHOD;
    return methods[call->method](ctx, call, result, result_n);
}

static bool on_speaker(void *ctx, uint8_t flags, const glink_speaker_audio_t *audio)
{
    frame_app_t *app = ctx;
    return has(app, GLINK_CAP_SPEAKER) && frame_speaker_push(&app->speaker, flags, audio);
}

static uint16_t on_speaker_free(void *ctx)
{
    const frame_app_t *app = ctx;
    return has(app, GLINK_CAP_SPEAKER) ? frame_speaker_free(&app->speaker) : (uint16_t)0u;
}

static bool on_bulk_write(void *ctx, const glink_bulk_write_t *write)
{
    frame_app_t *app = ctx;
    return frame_intake_take(&app->intake, write);
}

static size_t on_mic_pull(void *ctx, uint8_t *flags, uint8_t *payload, size_t cap)
{
    frame_app_t *app = ctx;
    return frame_capture_pull(&app->capture, flags, payload, cap);
}

static uint32_t on_mic_sample(void *ctx)
{
    const frame_app_t *app = ctx;
    return (uint32_t)app->clock.sample;
}

static void on_set_rate(void *ctx, uint32_t baud)
{
    const frame_app_t *app = ctx;
    app->hal.set_rate(app->hal.ctx, baud);
}

static void log_line(frame_app_t *app, const char *text)
{
    size_t n = 0;
    while (text[n] != '\0') n++;
    glink_log(&app->link, text, n);
}

static void on_ended(void *ctx, uint8_t reason)
{
    frame_app_t *app = ctx;
    if (reason == GLINK_CAPTURE_STOP_HOST_GONE) log_line(app, "host silent for 3 s: sensors off");
    frame_capture_stop(&app->capture, reason);
    app->mic_dropped += app->capture.dropped;
    frame_capture_reset_count(&app->capture);
    frame_photo_stop(&app->photo);
    frame_object_clear(&app->object);
    frame_speaker_stop(&app->speaker);
}

/* ---- the frame ---- */

void frame_app_init(frame_app_t *app, const frame_hal_t *hal, const glink_hello_ack_t *identity,
                    uint16_t first_session)
{
    const glink_app_t upcalls = {.ctx = app,
                                 .call = on_call,
                                 .speaker = on_speaker,
                                 .speaker_free = on_speaker_free,
                                 .bulk_write = on_bulk_write,
                                 .mic = on_mic_pull,
                                 .mic_sample = on_mic_sample,
                                 .set_rate = on_set_rate,
                                 .ended = on_ended};
    glink_hello_ack_t whole = *identity;
    whole.capabilities |= GLINK_CAP_ADPCM; /* of this code, on any board */
    whole.max_baud = hal->max_baud;
    memset(app, 0, sizeof *app);
    app->hal = *hal;
    glink_init(&app->link, &whole, &upcalls, first_session);
    frame_led_init(&app->led, &app->hal, &app->clock, &app->link);
    frame_capture_init(&app->capture, &app->hal, &app->clock, &app->link, &app->led);
    frame_speaker_init(&app->speaker, &app->hal, &app->clock, &app->link, FRAME_APP_VOLUME_PERCENT);
    frame_object_init(&app->object, &app->clock, &app->link);
    frame_photo_init(&app->photo, &app->hal, &app->clock, &app->link, &app->led, &app->object);
    frame_intake_init(&app->intake, &app->link);
    frame_button_init(&app->button);
}

void frame_app_restore_volume(frame_app_t *app, uint8_t percent)
{
    if (percent <= 100u) app->speaker.percent = percent;
}

static void report_gestures(frame_app_t *app)
{
    while (app->clock.now_us >= frame_button_next_us(&app->button)) {
        glink_button_event_t event = {.kind = 0u};
        event.kind = frame_button_tick(&app->button, app->clock.now_us, &event.mic_sample);
        if (event.kind == 0u) continue;
        uint8_t out[GLINK_BUTTON_EVENT_BYTES];
        (void)glink_report(&app->link, out, glink_button_event_pack(&event, out, sizeof out));
    }
}

/* Of deadlines that lay ahead: nobody is late for one that says "at once". */
static void measure_lateness(frame_app_t *app, uint64_t now_us)
{
    const uint64_t due_us = frame_app_next_us(app);
    if (due_us <= app->clock.now_us || now_us <= due_us) return;
    const uint64_t late_us = now_us - due_us;
    const uint32_t shown_us = late_us < UINT32_MAX ? (uint32_t)late_us : UINT32_MAX;
    if (shown_us > app->loop_worst_us) app->loop_worst_us = shown_us;
}

void frame_app_tick(frame_app_t *app, uint64_t now_us)
{
    measure_lateness(app, now_us);
    app->clock.now_us = now_us;
    glink_tick(&app->link, now_us);
    frame_speaker_tick(&app->speaker);
    frame_photo_tick(&app->photo);
    frame_object_tick(&app->object);
    report_gestures(app);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t frame_app_next_us(const frame_app_t *app)
{
    uint64_t next = glink_next_us(&app->link);
    next = earlier(next, frame_speaker_next_us(&app->speaker));
    next = earlier(next, frame_photo_next_us(&app->photo));
    next = earlier(next, frame_object_next_us(&app->object));
    return earlier(next, frame_button_next_us(&app->button));
}

void frame_app_on_mic(frame_app_t *app, const int16_t *pcm, size_t n)
{
    frame_capture_push(&app->capture, pcm, n);
}

void frame_app_speaker_pull(frame_app_t *app, int16_t *pcm, size_t n)
{
    frame_speaker_pull(&app->speaker, pcm, n);
}

void frame_app_samples_passed(frame_app_t *app, size_t n)
{
    app->clock.sample += n;
}

void frame_app_on_photo(frame_app_t *app, const uint8_t *jpeg, uint32_t n, uint8_t status)
{
    frame_photo_done(&app->photo, jpeg, n, status);
}

void frame_app_on_button_level(frame_app_t *app, bool down)
{
    frame_button_level(&app->button, down, &app->clock);
}

void frame_app_rx_overrun(frame_app_t *app)
{
    app->rx_overruns++;
}

void frame_app_receive(frame_app_t *app, const uint8_t *bytes, size_t n)
{
    glink_receive(&app->link, bytes, n);
}

size_t frame_app_transmit(frame_app_t *app, uint8_t *out, size_t cap)
{
    return glink_transmit(&app->link, out, cap);
}
