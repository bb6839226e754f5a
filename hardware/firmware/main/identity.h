/* SPDX-License-Identifier: Apache-2.0 */
/* What HELLO_ACK tells of this frame. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include "glink_schema.h"

/* Asks the chip, the board's header and the build. Sessions, nonces and windows are glink's. */
glink_hello_ack_t identity_of_this_frame(void);

#endif
