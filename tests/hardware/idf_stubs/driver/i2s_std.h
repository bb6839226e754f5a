/* A stand-in: see ../README.md. */
#pragma once
#include "driver/i2s_common.h"
typedef struct i2s_std_clk_config_t {
    uint32_t sample_rate_hz;
} i2s_std_clk_config_t;
typedef struct i2s_std_slot_config_t {
    i2s_data_bit_width_t data_bit_width;
    i2s_slot_mode_t slot_mode;
} i2s_std_slot_config_t;
typedef struct i2s_std_gpio_config_t {
    gpio_num_t mclk;
    gpio_num_t bclk;
    gpio_num_t ws;
    gpio_num_t dout;
    gpio_num_t din;
} i2s_std_gpio_config_t;
typedef struct i2s_std_config_t {
    i2s_std_clk_config_t clk_cfg;
    i2s_std_slot_config_t slot_cfg;
    i2s_std_gpio_config_t gpio_cfg;
} i2s_std_config_t;
#define I2S_STD_CLK_DEFAULT_CONFIG(rate) {.sample_rate_hz = rate}
#define I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(bits, mode) {.data_bit_width = bits, .slot_mode = mode}
esp_err_t i2s_channel_init_std_mode(i2s_chan_handle_t channel, const i2s_std_config_t *config);
