/* SPDX-License-Identifier: Apache-2.0 */
#include "speaker.h"

#include <stdatomic.h>

#include "board.h"
#include "tasks.h"

static _Atomic uint32_t passed; /* written by one task, counts up for ever */
static uint32_t seen;           /* app task only */

static void block_passed(void)
{
    atomic_fetch_add(&passed, 1u);
    wake_app(WAKE_BLOCK_PASSED);
}

uint32_t speaker_blocks_passed(void)
{
    const uint32_t now = atomic_load(&passed);
    const uint32_t fresh = now - seen;
    seen = now;
    return fresh;
}

#if BOARD_HAS_SPEAKER

#include <string.h>

#include "driver/gpio.h"
#include "driver/i2s_std.h"
#include "esp_err.h"
#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"

#define QUEUED_BLOCKS 2u
#define DMA_BUFFERS 4u
#define DMA_SAMPLES 160u /* 10 ms */
#define BLOCK_MS (BLOCK_SAMPLES * 1000u / GLINK_SAMPLE_RATE_HZ)

static i2s_chan_handle_t channel;
static QueueHandle_t blocks;

static void run(void *arg)
{
    (void)arg;
    static block_t block;
    for (;;) {
        if (xQueueReceive(blocks, &block, 0) != pdTRUE) memset(&block, 0, sizeof block);
        size_t written = 0;
        if (i2s_channel_write(channel, block.pcm, sizeof block.pcm, &written, portMAX_DELAY) != ESP_OK) {
            vTaskDelay(pdMS_TO_TICKS(BLOCK_MS)); /* the pace of the frame, also of one whose amplifier has no clock */
        }
        block_passed();
    }
}

void speaker_start(void)
{
#if BOARD_SPEAKER_ENABLE >= 0
    const gpio_config_t enable = {.pin_bit_mask = UINT64_C(1) << BOARD_SPEAKER_ENABLE, .mode = GPIO_MODE_OUTPUT};
    ESP_ERROR_CHECK(gpio_config(&enable));
#endif
    speaker_enable(0u);
    i2s_chan_config_t config = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_1, I2S_ROLE_MASTER);
    config.dma_desc_num = DMA_BUFFERS;
    config.dma_frame_num = DMA_SAMPLES;
    config.auto_clear_after_cb = true; /* silence, not the last buffer again and again */
    ESP_ERROR_CHECK(i2s_new_channel(&config, &channel, NULL));
    const i2s_std_config_t std = {
        .clk_cfg = I2S_STD_CLK_DEFAULT_CONFIG(GLINK_SAMPLE_RATE_HZ),
        .slot_cfg = I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_16BIT, I2S_SLOT_MODE_MONO),
        .gpio_cfg = {.mclk = I2S_GPIO_UNUSED, /* the MAX98357A needs none */
                     .bclk = (gpio_num_t)BOARD_SPEAKER_BCLK,
                     .ws = (gpio_num_t)BOARD_SPEAKER_WS,
                     .dout = (gpio_num_t)BOARD_SPEAKER_DIN,
                     .din = I2S_GPIO_UNUSED},
    };
    ESP_ERROR_CHECK(i2s_channel_init_std_mode(channel, &std));
    ESP_ERROR_CHECK(i2s_channel_enable(channel));
    blocks = xQueueCreate(QUEUED_BLOCKS, sizeof(block_t));
    configASSERT(blocks != NULL);
    const BaseType_t made = xTaskCreatePinnedToCore(run, "speaker", TASK_DRIVER_STACK_BYTES, NULL, TASK_SPEAKER_PRIORITY,
                                                    NULL, TASK_DRIVER_CORE);
    configASSERT(made == pdPASS);
}

void speaker_enable(uint8_t on)
{
#if BOARD_SPEAKER_ENABLE >= 0
    (void)gpio_set_level((gpio_num_t)BOARD_SPEAKER_ENABLE, on);
#else
    (void)on; /* the amplifier's enable is tied high: it plays silence */
#endif
}

bool speaker_put(const block_t *block)
{
    return xQueueSend(blocks, block, 0) == pdTRUE;
}

#else

#include "esp_err.h"
#include "esp_timer.h"

#define BLOCK_US (BLOCK_SAMPLES * UINT64_C(1000000) / GLINK_SAMPLE_RATE_HZ)

static void on_timer(void *arg)
{
    (void)arg;
    block_passed();
}

void speaker_start(void)
{
    const esp_timer_create_args_t args = {.callback = on_timer, .name = "pace"};
    esp_timer_handle_t timer;
    ESP_ERROR_CHECK(esp_timer_create(&args, &timer));
    ESP_ERROR_CHECK(esp_timer_start_periodic(timer, BLOCK_US));
}

void speaker_enable(uint8_t on)
{
    (void)on;
}

bool speaker_put(const block_t *block)
{
    (void)block;
    return true;
}

#endif
