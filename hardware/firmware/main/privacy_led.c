/* SPDX-License-Identifier: Apache-2.0 */
#include "privacy_led.h"

#include "board.h"
#include "glink_schema.h"

#if BOARD_HAS_LED

#include "driver/ledc.h"
#include "esp_err.h"

/* Timer 0 and channel 0 make the camera's clock. */
#define TIMER LEDC_TIMER_1
#define CHANNEL LEDC_CHANNEL_1
#define MODE LEDC_LOW_SPEED_MODE
#define FREQUENCY_HZ 5000u
#define DUTY_BITS LEDC_TIMER_8_BIT
#define DUTY_DIM 16u    /* of 256: to be seen indoors, and not to blind the wearer */
#define DUTY_SOLID 256u /* always on */

void privacy_led_start(void)
{
    const ledc_timer_config_t timer = {.speed_mode = MODE,
                                       .duty_resolution = DUTY_BITS,
                                       .timer_num = TIMER,
                                       .freq_hz = FREQUENCY_HZ,
                                       .clk_cfg = LEDC_AUTO_CLK};
    ledc_channel_config_t channel = {
        .gpio_num = BOARD_LED_PIN, .speed_mode = MODE, .channel = CHANNEL, .timer_sel = TIMER, .duty = 0u};
    channel.flags.output_invert = BOARD_LED_ACTIVE_LOW;
    ESP_ERROR_CHECK(ledc_timer_config(&timer));
    ESP_ERROR_CHECK(ledc_channel_config(&channel));
}

void privacy_led_set(uint8_t level)
{
    uint32_t duty = 0u;
    if (level == GLINK_LED_DIM) duty = DUTY_DIM;
    if (level == GLINK_LED_SOLID) duty = DUTY_SOLID;
    (void)ledc_set_duty(MODE, CHANNEL, duty);
    (void)ledc_update_duty(MODE, CHANNEL);
}

#else

void privacy_led_start(void)
{
}

void privacy_led_set(uint8_t level)
{
    (void)level;
}

#endif
