/* SPDX-License-Identifier: Apache-2.0 */
/* The port to the host: USB-Serial-JTAG (port_usb.c) or a UART (port_uart.c), as the board has it.
 * Threads: port_read() belongs to the rx task, everything else to the app task. */
#ifndef PORT_H
#define PORT_H

#include <stddef.h>
#include <stdint.h>

#include "board.h"

/* The highest rate that the host may ask for; 0 where the port has none. */
#if BOARD_LINK_IS_UART
#define PORT_MAX_BAUD BOARD_LINK_MAX_BAUD
#else
#define PORT_MAX_BAUD 0u
#endif

/* Installs the driver. Aborts when it cannot: without a port there is no frame. */
void port_start(void);

/* Waits for octets. Returns how many it wrote to `to`, at most `cap`; 0 after half a second without any. */
size_t port_read(uint8_t *to, size_t cap);

/* Hands over octets without waiting. Returns how many were taken. */
size_t port_write(const uint8_t *from, size_t n);

/* Lets what was written leave, and changes the rate. Only where PORT_MAX_BAUD is not 0. */
void port_set_rate(uint32_t baud);

#endif
