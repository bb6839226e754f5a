/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"

#if BOARD_LINK_IS_UART

#include "driver/uart.h"
#include "esp_err.h"
#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
#include "glink.h"
#include "tasks.h"

_Static_assert(BOARD_LINK_RX_RING_BYTES >= GLINK_RX_RING_BYTES, "every window at once fits the driver's ring");

#define PORT ((uart_port_t)BOARD_LINK_PORT)
#define EVENTS 16
#define READ_WAIT_MS 500u
#define RX_IDLE_SYMBOLS 2u /* what is left in the FIFO comes after this many symbols of silence */
#define DRAIN_MS 400u      /* a full ring of 4 KB at 115,200 baud */

static QueueHandle_t events;

void port_start(void)
{
    const uart_config_t config = {.baud_rate = GLINK_START_BAUD,
                                  .data_bits = UART_DATA_8_BITS,
                                  .parity = UART_PARITY_DISABLE,
                                  .stop_bits = UART_STOP_BITS_1,
                                  .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
                                  .source_clk = UART_SCLK_DEFAULT};
    ESP_ERROR_CHECK(uart_driver_install(PORT, BOARD_LINK_RX_RING_BYTES, BOARD_LINK_TX_RING_BYTES, EVENTS, &events, 0));
    ESP_ERROR_CHECK(uart_param_config(PORT, &config));
    ESP_ERROR_CHECK(uart_set_pin(PORT, BOARD_LINK_TX, BOARD_LINK_RX, UART_PIN_NO_CHANGE, UART_PIN_NO_CHANGE));
    /* The default of 120 of 128 leaves 87 us at 921,600 baud until octets are lost. */
    ESP_ERROR_CHECK(uart_set_rx_full_threshold(PORT, BOARD_LINK_RX_FIFO_THRESHOLD));
    ESP_ERROR_CHECK(uart_set_rx_timeout(PORT, RX_IDLE_SYMBOLS));
}

/* What the driver noticed since the last look. Frame errors are not counted: another rate makes nothing else. */
static void look_at_events(void)
{
    uart_event_t event;
    while (xQueueReceive(events, &event, 0) == pdTRUE) {
        if (event.type == UART_FIFO_OVF || event.type == UART_BUFFER_FULL) wake_app(WAKE_OVERRUN);
    }
}

size_t port_read(uint8_t *to, size_t cap)
{
    look_at_events();
    /* One octet is waited for, the others are taken as far as they are there: a short frame must not wait for more. */
    if (uart_read_bytes(PORT, to, 1u, pdMS_TO_TICKS(READ_WAIT_MS)) != 1) return 0u;
    const int more = uart_read_bytes(PORT, to + 1, (uint32_t)(cap - 1u), 0);
    return more > 0 ? 1u + (size_t)more : 1u;
}

size_t port_write(const uint8_t *from, size_t n)
{
    size_t room = 0;
    if (uart_get_tx_buffer_free_size(PORT, &room) != ESP_OK || room == 0u) return 0u;
    const int taken = uart_write_bytes(PORT, from, n < room ? n : room);
    return taken > 0 ? (size_t)taken : 0u;
}

void port_set_rate(uint32_t baud)
{
    (void)uart_wait_tx_done(PORT, pdMS_TO_TICKS(DRAIN_MS));
    (void)uart_set_baudrate(PORT, baud);
}

#endif
