/* SPDX-License-Identifier: Apache-2.0 */
#include "glink_rpc.h"

#include <string.h>

#include "glink_credit.h"

static bool under_way(const glink_rpc_entry_t *entry)
{
    return entry->state == GLINK_RPC_RUNNING || entry->queued;
}

void glink_rpc_reset(glink_rpc_t *rpc)
{
    memset(rpc, 0, sizeof *rpc);
}

unsigned glink_rpc_free(const glink_rpc_t *rpc)
{
    unsigned taken = 0;
    for (size_t i = 0; i < GLINK_RPC_REPLIES_KEPT; i++) taken += under_way(&rpc->entries[i]) ? 1u : 0u;
    return GLINK_WINDOW_RPC - taken;
}

glink_rpc_entry_t *glink_rpc_find(glink_rpc_t *rpc, uint16_t call_id)
{
    for (size_t i = 0; i < GLINK_RPC_REPLIES_KEPT; i++) {
        glink_rpc_entry_t *entry = &rpc->entries[i];
        if (entry->state != GLINK_RPC_UNUSED && entry->call_id == call_id) return entry;
    }
    return NULL;
}

glink_rpc_entry_t *glink_rpc_begin(glink_rpc_t *rpc, uint16_t call_id, uint8_t method)
{
    if (glink_rpc_free(rpc) == 0u) return NULL;

    /* Ends: fewer calls are under way than there are entries. */
    glink_rpc_entry_t *entry;
    do {
        entry = &rpc->entries[rpc->oldest];
        rpc->oldest = (uint8_t)((rpc->oldest + 1u) % GLINK_RPC_REPLIES_KEPT);
    } while (under_way(entry));

    entry->call_id = call_id;
    entry->method = method;
    entry->state = GLINK_RPC_RUNNING;
    entry->status = GLINK_RPC_STATUS_PENDING;
    entry->result_n = 0u;
    return entry;
}

bool glink_rpc_queue(glink_rpc_t *rpc, glink_rpc_entry_t *entry, uint16_t order)
{
    if (entry->queued) return true;
    if (!under_way(entry) && glink_rpc_free(rpc) == 0u) return false;
    entry->queued = true;
    entry->order = order;
    return true;
}

glink_rpc_entry_t *glink_rpc_first(glink_rpc_t *rpc)
{
    glink_rpc_entry_t *first = NULL;
    for (size_t i = 0; i < GLINK_RPC_REPLIES_KEPT; i++) {
        glink_rpc_entry_t *entry = &rpc->entries[i];
        if (!entry->queued) continue;
        if (first == NULL || glink_seq_after(first->order, entry->order)) first = entry;
    }
    return first;
}
