/* SPDX-License-Identifier: Apache-2.0 */
/* The app task: it owns frame_app and carries everything between it and the drivers. See tasks.h for the others. */
#include <stdatomic.h>

#include "board.h"
#include "button.h"
#include "camera.h"
#include "esp_err.h"
#include "esp_random.h"
#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "frame_app.h"
#include "freertos/FreeRTOS.h"
#include "freertos/stream_buffer.h"
#include "identity.h"
#include "microphone.h"
#include "panic_note.h"
#include "port.h"
#include "privacy_led.h"
#include "settings.h"
#include "speaker.h"
#include "tasks.h"

#define LONGEST_SLEEP_MS 1000u /* well within the watchdog's five seconds */
#define BLOCKED_SLEEP_MS 2u    /* until the port is asked again whether it has room */
#define SEND_BYTES 256u        /* encoded ahead of the port: short, so that what is urgent need not wait */
#define RECEIVE_BYTES 512u
#define RECEIVE_BUFFER_BYTES 2048u
#define NOTE_BYTES GLINK_LOG_MAX_BYTES

TaskHandle_t app_task;

static frame_app_t app;
static StreamBufferHandle_t received;
static uint8_t sending[SEND_BYTES];
static size_t sending_at;
static size_t sending_n;
static _Atomic bool drivers_started;
static bool microphone_on;
static bool speaker_on;

/* ---- what frame_app asks of the board ---- */

static void hal_led(void *ctx, uint8_t level)
{
    (void)ctx;
    privacy_led_set(level);
}

static void hal_mic_enable(void *ctx, uint8_t on)
{
    (void)ctx;
    microphone_enable(on);
    microphone_on = on != 0u;
}

static void hal_speaker_enable(void *ctx, uint8_t on)
{
    (void)ctx;
    speaker_enable(on);
    speaker_on = on != 0u;
}

static int32_t hal_camera_start(void *ctx)
{
    (void)ctx;
    return camera_take();
}

static int32_t hal_camera_stop(void *ctx)
{
    (void)ctx;
    return camera_cancel() ? 1 : 0;
}

static int32_t hal_battery_percent(void *ctx)
{
    (void)ctx;
    return -1; /* no board of boards/ has a gauge */
}

static void hal_set_rate(void *ctx, uint32_t baud)
{
    (void)ctx;
    port_set_rate(baud);
}

/* ---- the pumps: each moves what is there, and never waits ---- */

static void pump_received(void)
{
    uint8_t octets[RECEIVE_BYTES];
    size_t n = 0;
    while ((n = xStreamBufferReceive(received, octets, sizeof octets, 0)) > 0u) frame_app_receive(&app, octets, n);
}

/* While the microphone is on its blocks are the sample clock, else those of the speaker are. */
static void pump_microphone(void)
{
    static block_t block;
    while (microphone_on && microphone_take(&block)) {
        frame_app_on_mic(&app, block.pcm, BLOCK_SAMPLES);
        frame_app_samples_passed(&app, BLOCK_SAMPLES);
    }
}

static void pump_speaker(void)
{
    static block_t block;
    for (uint32_t n = speaker_blocks_passed(); n > 0u; n--) {
        if (!microphone_on) frame_app_samples_passed(&app, BLOCK_SAMPLES);
        if (!speaker_on) continue;
        frame_app_speaker_pull(&app, block.pcm, BLOCK_SAMPLES);
        (void)speaker_put(&block); /* two wait already: the amplifier's clock stands, and so may we */
    }
}

static void pump_camera(void)
{
    picture_t picture;
    if (camera_ready(&picture)) frame_app_on_photo(&app, picture.jpeg, picture.n, picture.status);
}

/* Returns false when the port has no room and something waits. */
static bool pump_sending(void)
{
    for (;;) {
        if (sending_at == sending_n) {
            sending_at = 0;
            sending_n = frame_app_transmit(&app, sending, sizeof sending);
            if (sending_n == 0u) return true;
        }
        const size_t taken = port_write(sending + sending_at, sending_n - sending_at);
        if (taken == 0u) return false;
        sending_at += taken;
    }
}

/* Writing the flash may stall both cores: only while nobody hears, speaks or waits. */
static void keep_settings(void)
{
    if (app.link.state == GLINK_CLOSED) settings_keep_volume(app.speaker.percent);
}

static TickType_t sleep_ticks(bool sent_all)
{
    if (!sent_all) return pdMS_TO_TICKS(BLOCKED_SLEEP_MS);
    const uint64_t now_us = (uint64_t)esp_timer_get_time();
    const uint64_t next_us = frame_app_next_us(&app);
    if (next_us <= now_us) return 0u;
    const uint64_t ms = (next_us - now_us + 999u) / 1000u;
    return pdMS_TO_TICKS(ms < LONGEST_SLEEP_MS ? (uint32_t)ms : LONGEST_SLEEP_MS);
}

static void run_app(void *arg)
{
    (void)arg;
    while (!atomic_load(&drivers_started)) (void)ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    ESP_ERROR_CHECK(esp_task_wdt_add(NULL));
    for (bool sent_all = true;; sent_all = pump_sending()) {
        uint32_t why = 0;
        (void)xTaskNotifyWait(0u, UINT32_MAX, &why, sleep_ticks(sent_all));
        (void)esp_task_wdt_reset();
        frame_app_tick(&app, (uint64_t)esp_timer_get_time());
        if ((why & WAKE_OVERRUN) != 0u) frame_app_rx_overrun(&app);
        frame_app_on_button_level(&app, button_down());
        pump_camera();
        pump_microphone();
        pump_speaker();
        pump_received();
        keep_settings();
    }
}

/* ---- the port's task ---- */

static void run_receive(void *arg)
{
    (void)arg;
    static uint8_t octets[RECEIVE_BYTES];
    for (;;) {
        const size_t n = port_read(octets, sizeof octets);
        if (n == 0u) continue;
        (void)xStreamBufferSend(received, octets, n, portMAX_DELAY); /* meanwhile the driver's ring holds the rest */
        wake_app(WAKE_RECEIVED);
    }
}

/* ---- boot ---- */

static void init_app(void)
{
    const frame_hal_t board = {.ctx = NULL,
                               .led = hal_led,
                               .mic_enable = hal_mic_enable,
                               .speaker_enable = hal_speaker_enable,
                               .camera_start = hal_camera_start,
                               .camera_stop = hal_camera_stop,
                               .battery_percent = hal_battery_percent,
                               .max_baud = PORT_MAX_BAUD,
                               .set_rate = hal_set_rate};
    const glink_hello_ack_t identity = identity_of_this_frame();
    frame_app_init(&app, &board, &identity, (uint16_t)esp_random());
    frame_app_restore_volume(&app, settings_volume(FRAME_APP_VOLUME_PERCENT));

    char line[NOTE_BYTES];
    const size_t n = panic_note_take(line, sizeof line);
    if (n > 0u) glink_log(&app.link, line, n);
}

void app_main(void)
{
    privacy_led_start(); /* first, so that it is dark while the sensors are off */
    settings_start();
    init_app();
    received = xStreamBufferCreate(RECEIVE_BUFFER_BYTES, 1u);
    configASSERT(received != NULL);
    BaseType_t made = xTaskCreatePinnedToCore(run_app, "app", TASK_APP_STACK_BYTES, NULL, TASK_APP_PRIORITY, &app_task,
                                              TASK_APP_CORE);
    configASSERT(made == pdPASS);
    microphone_start();
    speaker_start();
    camera_start();
    button_start();
    port_start();
    made = xTaskCreatePinnedToCore(run_receive, "rx", TASK_DRIVER_STACK_BYTES, NULL, TASK_RECEIVE_PRIORITY, NULL,
                                   TASK_DRIVER_CORE);
    configASSERT(made == pdPASS);
    atomic_store(&drivers_started, true); /* until here nothing may be asked of them */
    (void)xTaskNotifyGive(app_task);
}
