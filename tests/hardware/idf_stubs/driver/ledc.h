/* A stand-in: see ../README.md. */
#pragma once
#include <stdbool.h>
#include "esp_err.h"
typedef enum ledc_mode_t { LEDC_LOW_SPEED_MODE } ledc_mode_t;
typedef enum ledc_timer_t { LEDC_TIMER_0, LEDC_TIMER_1 } ledc_timer_t;
typedef enum ledc_channel_t { LEDC_CHANNEL_0, LEDC_CHANNEL_1 } ledc_channel_t;
typedef enum ledc_timer_bit_t { LEDC_TIMER_8_BIT = 8 } ledc_timer_bit_t;
typedef enum ledc_clk_cfg_t { LEDC_AUTO_CLK } ledc_clk_cfg_t;
typedef struct ledc_timer_config_t {
    ledc_mode_t speed_mode;
    ledc_timer_bit_t duty_resolution;
    ledc_timer_t timer_num;
    uint32_t freq_hz;
    ledc_clk_cfg_t clk_cfg;
    bool deconfigure;
} ledc_timer_config_t;
typedef struct ledc_channel_config_t {
    int gpio_num;
    ledc_mode_t speed_mode;
    ledc_channel_t channel;
    ledc_timer_t timer_sel;
    uint32_t duty;
    int hpoint;
    struct {
        unsigned int output_invert : 1;
    } flags;
} ledc_channel_config_t;
esp_err_t ledc_timer_config(const ledc_timer_config_t *config);
esp_err_t ledc_channel_config(const ledc_channel_config_t *config);
esp_err_t ledc_set_duty(ledc_mode_t mode, ledc_channel_t channel, uint32_t duty);
esp_err_t ledc_update_duty(ledc_mode_t mode, ledc_channel_t channel);
