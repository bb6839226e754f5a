/* SPDX-License-Identifier: Apache-2.0 */
/* Between receive.c (what arrives), session.c (what it changes) and transmit.c (what leaves). Not for applications.
 * Same task as glink.h. */
#ifndef GLINK_SESSION_H
#define GLINK_SESSION_H

#include "glink.h"

/* Bits of glink_t.link_due: one of each kind is enough, so the link channel needs no queue. */
#define GLINK_DUE_HELLO_ACK 0x01u
#define GLINK_DUE_REFUSE 0x02u
#define GLINK_DUE_PONG 0x04u
#define GLINK_DUE_PING 0x08u
#define GLINK_DUE_CLOSE 0x10u
#define GLINK_DUE_NO_SESSION 0x20u
#define GLINK_DUE_RATE_SET 0x40u

/* Returns the slots of a channel whose receiver is the frame; 0: it takes nothing there, or without credit. */
uint16_t glink_session_window(const glink_t *g, uint8_t chan);

/* HELLO: a new nonce ends the session that there is and begins another; the same one is answered again. */
void glink_session_hello(glink_t *g, const uint8_t *body, size_t n);

/* CONFIRM: opens the session. Returns false when it belongs to another HELLO. */
bool glink_session_confirm(glink_t *g, const uint8_t *body, size_t n);

/* Ends a session, if there is one, at once: what it still wanted to say is dropped. */
void glink_session_end(glink_t *g);

/* The host has been silent for too long. It may only have lost its voice, so it is told what happened. */
void glink_session_leave(glink_t *g);

/* Forgets the session and whatever waits in it. */
void glink_session_close(glink_t *g);

#endif
