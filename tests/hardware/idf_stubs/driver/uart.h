/* A stand-in: see ../README.md. */
#pragma once
#include <stddef.h>
#include "esp_err.h"
#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
typedef int uart_port_t;
#define UART_PIN_NO_CHANGE (-1)
typedef enum uart_word_length_t { UART_DATA_8_BITS = 3 } uart_word_length_t;
typedef enum uart_parity_t { UART_PARITY_DISABLE } uart_parity_t;
typedef enum uart_stop_bits_t { UART_STOP_BITS_1 = 1 } uart_stop_bits_t;
typedef enum uart_hw_flowcontrol_t { UART_HW_FLOWCTRL_DISABLE } uart_hw_flowcontrol_t;
typedef enum uart_sclk_t { UART_SCLK_DEFAULT } uart_sclk_t;
typedef enum uart_event_type_t { UART_DATA, UART_BREAK, UART_BUFFER_FULL, UART_FIFO_OVF } uart_event_type_t;
typedef struct uart_event_t {
    uart_event_type_t type;
    size_t size;
} uart_event_t;
typedef struct uart_config_t {
    int baud_rate;
    uart_word_length_t data_bits;
    uart_parity_t parity;
    uart_stop_bits_t stop_bits;
    uart_hw_flowcontrol_t flow_ctrl;
    uint8_t rx_flow_ctrl_thresh;
    uart_sclk_t source_clk;
} uart_config_t;
esp_err_t uart_driver_install(uart_port_t port, int rx_bytes, int tx_bytes, int queue_length, QueueHandle_t *queue,
                              int interrupt_flags);
esp_err_t uart_param_config(uart_port_t port, const uart_config_t *config);
esp_err_t uart_set_pin(uart_port_t port, int tx, int rx, int rts, int cts);
esp_err_t uart_set_rx_full_threshold(uart_port_t port, int threshold);
esp_err_t uart_set_rx_timeout(uart_port_t port, const uint8_t symbols);
esp_err_t uart_set_baudrate(uart_port_t port, uint32_t baud);
esp_err_t uart_wait_tx_done(uart_port_t port, TickType_t wait);
esp_err_t uart_get_tx_buffer_free_size(uart_port_t port, size_t *size);
int uart_read_bytes(uart_port_t port, void *to, uint32_t n, TickType_t wait);
int uart_write_bytes(uart_port_t port, const void *from, size_t n);
