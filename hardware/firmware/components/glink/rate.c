/* SPDX-License-Identifier: Apache-2.0 */
#include "glink_rate.h"

#include <string.h>

#include "glink_credit.h"

#define TRIAL_US (GLINK_BAUD_TRIAL_MS * UINT64_C(1000))
#define SILENCE_US (GLINK_BAUD_SILENCE_MS * UINT64_C(1000))

#define BITS_PER_OCTET 10u /* with start and stop */
#define BAUD_PER_CHUNK_BYTE (1000u / GLINK_CHUNK_MS * BITS_PER_OCTET)
_Static_assert(BAUD_PER_CHUNK_BYTE * GLINK_CHUNK_MS == 1000u * BITS_PER_OCTET, "no rounding");

/* Counts instead of dividing: not every core has an instruction for it. */
static uint32_t chunk_bytes(uint32_t baud)
{
    uint32_t n = GLINK_MIN_CHUNK_BYTES;
    while (n < GLINK_MAX_CHUNK_BYTES && (n + 1u) * BAUD_PER_CHUNK_BYTE <= baud) n++;
    return n;
}

void glink_rate_init(glink_rate_t *rate, uint32_t max_baud)
{
    memset(rate, 0, sizeof *rate);
    rate->chunk = GLINK_MAX_CHUNK_BYTES;
    if (max_baud == 0u) return;
    rate->max_baud = max_baud;
    rate->baud = GLINK_START_BAUD;
    rate->next_baud = GLINK_START_BAUD;
    rate->chunk = chunk_bytes(GLINK_START_BAUD);
}

void glink_rate_ask(glink_rate_t *rate, uint32_t baud)
{
    rate->asked_baud = baud;
}

uint32_t glink_rate_promise(glink_rate_t *rate)
{
    const bool possible = rate->asked_baud >= GLINK_START_BAUD && rate->asked_baud <= rate->max_baud;
    rate->next_baud = possible ? rate->asked_baud : rate->baud;
    return rate->next_baud;
}

void glink_rate_go_back(glink_rate_t *rate)
{
    if (rate->max_baud > 0u) rate->next_baud = GLINK_START_BAUD;
}

bool glink_rate_pending(const glink_rate_t *rate)
{
    return rate->next_baud != rate->baud;
}

void glink_rate_changed(glink_rate_t *rate, uint64_t now_us)
{
    rate->baud = rate->next_baud;
    rate->chunk = chunk_bytes(rate->baud);
    rate->on_trial = glink_rate_is_raised(rate);
    rate->trial_us = now_us + TRIAL_US;
}

void glink_rate_heard(glink_rate_t *rate)
{
    rate->on_trial = false;
}

bool glink_rate_is_raised(const glink_rate_t *rate)
{
    return rate->max_baud > 0u && rate->baud != GLINK_START_BAUD;
}

uint64_t glink_rate_give_up_us(const glink_rate_t *rate, uint64_t heard_us)
{
    if (!glink_rate_is_raised(rate)) return GLINK_NEVER;
    return rate->on_trial ? rate->trial_us : heard_us + SILENCE_US;
}
