/* SPDX-License-Identifier: Apache-2.0 */
/* The cache that makes a call run at most once: the last replies under their call id, for one session.
 * Knows no method. Threads: belongs to one task. */
#ifndef GLINK_RPC_H
#define GLINK_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glink_schema.h"

typedef enum glink_rpc_state {
    GLINK_RPC_UNUSED,
    GLINK_RPC_RUNNING, /* no result yet: a repeated call is answered PENDING */
    GLINK_RPC_DONE,
} glink_rpc_state_t;

typedef struct glink_rpc_entry {
    uint16_t call_id;
    uint16_t order; /* stamp of the moment it was queued */
    uint8_t state;  /* glink_rpc_state_t */
    uint8_t method;
    uint8_t status;
    uint8_t result_n;
    bool queued; /* a reply waits to be sent */
    uint8_t result[GLINK_RPC_MAX_RESULT_BYTES];
} glink_rpc_entry_t;

typedef struct glink_rpc {
    glink_rpc_entry_t entries[GLINK_RPC_REPLIES_KEPT];
    uint8_t oldest; /* the entry that is given up next */
} glink_rpc_t;

_Static_assert(GLINK_RPC_MAX_RESULT_BYTES <= UINT8_MAX, "result_n is one octet");
_Static_assert(GLINK_WINDOW_RPC < GLINK_RPC_REPLIES_KEPT, "calls under way never fill the cache");

/* Forgets every call: a new session begins. */
void glink_rpc_reset(glink_rpc_t *rpc);

/* Returns how many more calls may come: the window, less the calls that run or whose reply waits. */
unsigned glink_rpc_free(const glink_rpc_t *rpc);

/* Returns the call if it is known, else NULL. */
glink_rpc_entry_t *glink_rpc_find(glink_rpc_t *rpc, uint16_t call_id);

/* Enters a call that glink_rpc_find() does not know, as running, in place of the oldest finished one.
 * Returns NULL when the window is full. */
glink_rpc_entry_t *glink_rpc_begin(glink_rpc_t *rpc, uint16_t call_id, uint8_t method);

/* Queues the entry's reply for sending, unless it is queued; `order` says when. A finished call takes a slot of the
 * window for it. Returns false when there is none: the caller of a full window repeats itself. */
bool glink_rpc_queue(glink_rpc_t *rpc, glink_rpc_entry_t *entry, uint16_t order);

/* Returns the reply that was queued first, or NULL. Clear its `queued` once it is sent. */
glink_rpc_entry_t *glink_rpc_first(glink_rpc_t *rpc);

#endif
