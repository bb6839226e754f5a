/* SPDX-License-Identifier: Apache-2.0 */
#include "button.h"

#include "board.h"

#if BOARD_HAS_BUTTON

#include "driver/gpio.h"
#include "esp_attr.h"
#include "esp_err.h"
#include "tasks.h"

#define PIN ((gpio_num_t)BOARD_BUTTON_PIN)

static void IRAM_ATTR on_edge(void *arg)
{
    (void)arg;
    BaseType_t woken = pdFALSE;
    (void)xTaskNotifyFromISR(app_task, WAKE_BUTTON, eSetBits, &woken);
    portYIELD_FROM_ISR(woken);
}

void button_start(void)
{
    const gpio_config_t config = {.pin_bit_mask = UINT64_C(1) << BOARD_BUTTON_PIN,
                                  .mode = GPIO_MODE_INPUT,
                                  .pull_up_en = BOARD_BUTTON_ACTIVE_LOW ? GPIO_PULLUP_ENABLE : GPIO_PULLUP_DISABLE,
                                  .pull_down_en = BOARD_BUTTON_ACTIVE_LOW ? GPIO_PULLDOWN_DISABLE : GPIO_PULLDOWN_ENABLE,
                                  .intr_type = GPIO_INTR_ANYEDGE};
    ESP_ERROR_CHECK(gpio_config(&config));
    ESP_ERROR_CHECK(gpio_install_isr_service(0));
    ESP_ERROR_CHECK(gpio_isr_handler_add(PIN, on_edge, NULL));
}

bool button_down(void)
{
    return (gpio_get_level(PIN) == 0) == (BOARD_BUTTON_ACTIVE_LOW != 0);
}

#else

void button_start(void)
{
}

bool button_down(void)
{
    return false;
}

#endif
