/* A stand-in: see ../README.md. */
#pragma once
#include <stddef.h>
#include "esp_err.h"
#include "freertos/FreeRTOS.h"
typedef struct usb_serial_jtag_driver_config_t {
    uint32_t tx_buffer_size;
    uint32_t rx_buffer_size;
} usb_serial_jtag_driver_config_t;
esp_err_t usb_serial_jtag_driver_install(usb_serial_jtag_driver_config_t *config);
int usb_serial_jtag_read_bytes(void *to, uint32_t n, TickType_t wait);
int usb_serial_jtag_write_bytes(const void *from, size_t n, TickType_t wait);
