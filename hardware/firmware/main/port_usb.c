/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"

#if !BOARD_LINK_IS_UART

#include <stdbool.h> /* usb_serial_jtag.h of ESP-IDF 6.0 uses bool and does not include it */

#include "driver/usb_serial_jtag.h"
#include "esp_err.h"
#include "freertos/FreeRTOS.h"
#include "glink.h"

/* The receive interrupt drops what the ring cannot take and tells nobody: the host's credit fits it instead. */
_Static_assert(BOARD_LINK_RX_RING_BYTES >= GLINK_RX_RING_BYTES, "every window at once fits the driver's ring");

#define PIECE_BYTES 64u /* a write is all or nothing, so it is made of what a USB packet holds */
#define READ_WAIT_MS 500u

void port_start(void)
{
    usb_serial_jtag_driver_config_t config = {.tx_buffer_size = BOARD_LINK_TX_RING_BYTES,
                                              .rx_buffer_size = BOARD_LINK_RX_RING_BYTES};
    ESP_ERROR_CHECK(usb_serial_jtag_driver_install(&config));
}

size_t port_read(uint8_t *to, size_t cap)
{
    const int n = usb_serial_jtag_read_bytes(to, (uint32_t)cap, pdMS_TO_TICKS(READ_WAIT_MS));
    return n > 0 ? (size_t)n : 0u;
}

size_t port_write(const uint8_t *from, size_t n)
{
    size_t done = 0;
    while (done < n) {
        const size_t piece = n - done < PIECE_BYTES ? n - done : PIECE_BYTES;
        if (usb_serial_jtag_write_bytes(from + done, piece, 0) <= 0) break;
        done += piece;
    }
    return done;
}

void port_set_rate(uint32_t baud)
{
    (void)baud; /* USB has none */
}

#endif
