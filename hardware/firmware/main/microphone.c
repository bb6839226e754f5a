/* SPDX-License-Identifier: Apache-2.0 */
#include "microphone.h"

#include "board.h"

#if BOARD_HAS_MICROPHONE

#include "driver/i2s_pdm.h"
#include "esp_err.h"
#include "frame_conditioning.h"
#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
#include "tasks.h"

#define QUEUED_BLOCKS 4u
#define DMA_BUFFERS 6u
#define DMA_SAMPLES 80u /* 5 ms: switching off waits for no more than one of them */
#define READ_WAIT_MS 100u
#define SETTLING_BLOCKS 2u /* the filters of microphone and receiver swing in: 40 ms that are no sound */

_Static_assert(BLOCK_SAMPLES % DMA_SAMPLES == 0u, "a block is made of whole buffers");

static i2s_chan_handle_t channel;
static TaskHandle_t task;
static QueueHandle_t blocks;
static bool enabled; /* app task only */

/* Fills a block. Returns false when the channel was switched off meanwhile. */
static bool read_block(block_t *block)
{
    for (size_t at = 0; at < BLOCK_SAMPLES; at += DMA_SAMPLES) {
        const size_t want = DMA_SAMPLES * sizeof block->pcm[0];
        size_t got = 0;
        if (i2s_channel_read(channel, block->pcm + at, want, &got, READ_WAIT_MS) != ESP_OK || got != want) return false;
    }
    return true;
}

static void run(void *arg)
{
    (void)arg;
    static block_t block;
    frame_conditioning_t conditioning;
    for (;;) {
        (void)ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
        frame_conditioning_init(&conditioning, BOARD_MICROPHONE_GAIN);
        for (unsigned n = 0; read_block(&block); n++) {
            frame_conditioning_apply(&conditioning, block.pcm, BLOCK_SAMPLES);
            if (n < SETTLING_BLOCKS) continue;
            /* A full queue means that the app task stands still; the newest goes, and the sample clock shows the hole. */
            if (xQueueSend(blocks, &block, 0) == pdTRUE) wake_app(WAKE_MICROPHONE);
        }
    }
}

void microphone_start(void)
{
    i2s_chan_config_t config = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_0, I2S_ROLE_MASTER);
    config.dma_desc_num = DMA_BUFFERS;
    config.dma_frame_num = DMA_SAMPLES;
    ESP_ERROR_CHECK(i2s_new_channel(&config, NULL, &channel));
    const i2s_pdm_rx_config_t pdm = {
        .clk_cfg = I2S_PDM_RX_CLK_DEFAULT_CONFIG(GLINK_SAMPLE_RATE_HZ),
        .slot_cfg = I2S_PDM_RX_SLOT_PCM_FMT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_16BIT, I2S_SLOT_MODE_MONO),
        .gpio_cfg = {.clk = (gpio_num_t)BOARD_MICROPHONE_CLK, .din = (gpio_num_t)BOARD_MICROPHONE_DATA},
    };
    ESP_ERROR_CHECK(i2s_channel_init_pdm_rx_mode(channel, &pdm));
    blocks = xQueueCreate(QUEUED_BLOCKS, sizeof(block_t));
    configASSERT(blocks != NULL);
    const BaseType_t made = xTaskCreatePinnedToCore(run, "mic", TASK_DRIVER_STACK_BYTES, NULL, TASK_MICROPHONE_PRIORITY,
                                                    &task, TASK_DRIVER_CORE);
    configASSERT(made == pdPASS);
}

void microphone_enable(uint8_t on)
{
    if ((on != 0u) == enabled) return;
    if (on != 0u) {
        (void)xQueueReset(blocks);
        ESP_ERROR_CHECK(i2s_channel_enable(channel)); /* a LED that is lit for a microphone that is not: boot again */
        enabled = true;
        (void)xTaskNotifyGive(task);
    } else {
        ESP_ERROR_CHECK(i2s_channel_disable(channel)); /* a microphone that cannot be switched off: rather boot again */
        enabled = false;
    }
}

bool microphone_take(block_t *block)
{
    return enabled && xQueueReceive(blocks, block, 0) == pdTRUE;
}

#else

void microphone_start(void)
{
}

void microphone_enable(uint8_t on)
{
    (void)on;
}

bool microphone_take(block_t *block)
{
    (void)block;
    return false;
}

#endif
