/* A stand-in: see ../README.md. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "driver/gpio.h"
#include "esp_err.h"
#define I2S_NUM_0 0
#define I2S_NUM_1 1
#define I2S_GPIO_UNUSED GPIO_NUM_NC
typedef enum i2s_role_t { I2S_ROLE_MASTER } i2s_role_t;
typedef enum i2s_slot_mode_t { I2S_SLOT_MODE_MONO = 1 } i2s_slot_mode_t;
typedef enum i2s_data_bit_width_t { I2S_DATA_BIT_WIDTH_16BIT = 16 } i2s_data_bit_width_t;
typedef struct i2s_channel_obj_t *i2s_chan_handle_t;
typedef struct i2s_chan_config_t {
    int id;
    i2s_role_t role;
    uint32_t dma_desc_num;
    uint32_t dma_frame_num;
    bool auto_clear_after_cb;
} i2s_chan_config_t;
#define I2S_CHANNEL_DEFAULT_CONFIG(num, r) {.id = num, .role = r, .dma_desc_num = 6, .dma_frame_num = 240}
esp_err_t i2s_new_channel(const i2s_chan_config_t *config, i2s_chan_handle_t *tx, i2s_chan_handle_t *rx);
esp_err_t i2s_channel_enable(i2s_chan_handle_t channel);
esp_err_t i2s_channel_disable(i2s_chan_handle_t channel);
esp_err_t i2s_channel_read(i2s_chan_handle_t channel, void *to, size_t n, size_t *got, uint32_t timeout_ms);
esp_err_t i2s_channel_write(i2s_chan_handle_t channel, const void *from, size_t n, size_t *written, uint32_t timeout_ms);
