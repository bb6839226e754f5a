/* SPDX-License-Identifier: Apache-2.0 */
#include "camera.h"

#include "board.h"

#if BOARD_HAS_CAMERA

#include <stdatomic.h>
#include <string.h>

#include "esp_camera.h"
#include "esp_heap_caps.h"
#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
#include "glink_schema.h"
#include "tasks.h"

/* The first frames after power-on are dark and green: exposure and white balance have not settled. */
#define SETTLING_FRAMES 4u

static const int data_pins[] = BOARD_CAMERA_DATA;
static TaskHandle_t task;
static QueueHandle_t ready;
static uint8_t *buffer;
static bool busy; /* app task only */
static _Atomic bool cancelled;

static camera_config_t configuration(void)
{
    camera_config_t config = {
        .pin_pwdn = BOARD_CAMERA_PWDN,
        .pin_reset = BOARD_CAMERA_RESET,
        .pin_xclk = BOARD_CAMERA_XCLK,
        .pin_sccb_sda = BOARD_CAMERA_SDA,
        .pin_sccb_scl = BOARD_CAMERA_SCL,
        .pin_vsync = BOARD_CAMERA_VSYNC,
        .pin_href = BOARD_CAMERA_HREF,
        .pin_pclk = BOARD_CAMERA_PCLK,
        .xclk_freq_hz = BOARD_CAMERA_XCLK_HZ,
        .ledc_timer = LEDC_TIMER_0,
        .ledc_channel = LEDC_CHANNEL_0,
        .pixel_format = PIXFORMAT_JPEG,
        .frame_size = BOARD_CAMERA_FRAME_SIZE,
        .jpeg_quality = BOARD_CAMERA_JPEG_QUALITY,
        .fb_count = 1,
        .fb_location = CAMERA_FB_IN_PSRAM,
        .grab_mode = CAMERA_GRAB_WHEN_EMPTY,
    };
    config.pin_d0 = data_pins[0];
    config.pin_d1 = data_pins[1];
    config.pin_d2 = data_pins[2];
    config.pin_d3 = data_pins[3];
    config.pin_d4 = data_pins[4];
    config.pin_d5 = data_pins[5];
    config.pin_d6 = data_pins[6];
    config.pin_d7 = data_pins[7];
    return config;
}

/* Copies the picture that the driver has, if it has one. */
static picture_t grab(void)
{
    picture_t picture = {.status = GLINK_PHOTO_STATUS_CAPTURE_FAILED};
    for (unsigned i = 0; i < SETTLING_FRAMES; i++) {
        camera_fb_t *early = esp_camera_fb_get();
        if (early == NULL || atomic_load(&cancelled)) { /* each wait for a mute sensor takes four seconds */
            if (early != NULL) esp_camera_fb_return(early);
            return picture;
        }
        esp_camera_fb_return(early);
    }
    camera_fb_t *frame = esp_camera_fb_get();
    if (frame == NULL) return picture;
    if (frame->len <= BOARD_CAMERA_JPEG_BYTES) {
        memcpy(buffer, frame->buf, frame->len);
        picture = (picture_t){.jpeg = buffer, .n = (uint32_t)frame->len, .status = GLINK_PHOTO_STATUS_OK};
    } else {
        picture.status = GLINK_PHOTO_STATUS_TOO_LARGE;
    }
    esp_camera_fb_return(frame);
    return picture;
}

static void run(void *arg)
{
    (void)arg;
    const camera_config_t config = configuration();
    for (;;) {
        (void)ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
        picture_t picture = {.status = GLINK_PHOTO_STATUS_NO_CAMERA};
        if (esp_camera_init(&config) == ESP_OK) {
            picture = grab();
            (void)esp_camera_deinit(); /* no clock, no picture: the LED may go dark behind this line */
        }
        (void)xQueueOverwrite(ready, &picture);
        wake_app(WAKE_CAMERA);
    }
}

void camera_start(void)
{
    buffer = heap_caps_malloc(BOARD_CAMERA_JPEG_BYTES, MALLOC_CAP_SPIRAM | MALLOC_CAP_8BIT);
    configASSERT(buffer != NULL);
    ready = xQueueCreate(1u, sizeof(picture_t));
    configASSERT(ready != NULL);
    const BaseType_t made = xTaskCreatePinnedToCore(run, "camera", TASK_CAMERA_STACK_BYTES, NULL, TASK_CAMERA_PRIORITY,
                                                    &task, TASK_CAMERA_CORE);
    configASSERT(made == pdPASS);
}

int32_t camera_take(void)
{
    if (busy) return -1;
    busy = true;
    atomic_store(&cancelled, false);
    (void)xTaskNotifyGive(task);
    return 0;
}

bool camera_cancel(void)
{
    atomic_store(&cancelled, true);
    return busy;
}

bool camera_ready(picture_t *picture)
{
    if (!busy || xQueueReceive(ready, picture, 0) != pdTRUE) return false;
    busy = false;
    return true;
}

#else

void camera_start(void)
{
}

int32_t camera_take(void)
{
    return -1;
}

bool camera_cancel(void)
{
    return false;
}

bool camera_ready(picture_t *picture)
{
    (void)picture;
    return false;
}

#endif
