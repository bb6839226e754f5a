/* SPDX-License-Identifier: Apache-2.0 */
#include "glink_credit.h"

#include "glink_schema.h"

#define GRANT_REPEAT_US (GLINK_CREDIT_INTERVAL_MS * UINT64_C(1000))
#define GRANT_QUIET_US (GLINK_HEARTBEAT_MS * UINT64_C(1000))
#define MAX_AHEAD 255u /* no receiver has more slots: a grant beyond that is damaged or hostile */
#define SPEND_REPEAT_US (GLINK_HIGHEST_SENT_INTERVAL_MS * UINT64_C(1000))

void glink_grant_open(glink_grant_t *grant, uint16_t window, uint64_t now_us)
{
    grant->told = window;
    grant->half = (uint16_t)(window - window / 2u);
    grant->tell = true;
    grant->repeat_us = now_us + GRANT_REPEAT_US;
    grant->quiet_us = now_us;
}

void glink_grant_used(glink_grant_t *grant, uint64_t now_us)
{
    if (now_us >= grant->quiet_us) grant->repeat_us = now_us + GRANT_REPEAT_US;
    grant->quiet_us = now_us + GRANT_QUIET_US;
}

void glink_grant_tick(glink_grant_t *grant, uint64_t now_us)
{
    if (now_us < glink_grant_next_us(grant)) return;
    grant->tell = true;
    grant->repeat_us = now_us + GRANT_REPEAT_US;
}

bool glink_grant_due(const glink_grant_t *grant, uint16_t highest, uint16_t allowed)
{
    if (grant->tell) return true;
    if (!glink_seq_after(allowed, grant->told)) return false;
    const bool was_empty = !glink_seq_after(grant->told, highest);
    return was_empty || (uint16_t)(allowed - grant->told) >= grant->half;
}

void glink_grant_told(glink_grant_t *grant, uint16_t allowed, uint64_t now_us)
{
    grant->told = allowed;
    grant->tell = false;
    grant->repeat_us = now_us + GRANT_REPEAT_US;
}

uint64_t glink_grant_next_us(const glink_grant_t *grant)
{
    return grant->repeat_us < grant->quiet_us ? grant->repeat_us : GLINK_NEVER;
}

void glink_spend_open(glink_spend_t *spend, uint16_t window)
{
    spend->allowed = window;
    spend->stuck = false;
    spend->tell = false;
}

void glink_spend_granted(glink_spend_t *spend, uint16_t allowed, uint16_t last_seq)
{
    const bool plausible = (uint16_t)(allowed - last_seq) <= MAX_AHEAD;
    if (plausible && glink_seq_after(allowed, spend->allowed)) spend->allowed = allowed;
}

bool glink_spend_may_send(const glink_spend_t *spend, uint16_t last_seq)
{
    return glink_seq_after(spend->allowed, last_seq);
}

void glink_spend_tick(glink_spend_t *spend, bool waiting, uint16_t last_seq, uint64_t now_us)
{
    if (!waiting || glink_spend_may_send(spend, last_seq)) {
        spend->stuck = false;
        spend->tell = false;
    } else if (!spend->stuck) {
        spend->stuck = true;
        spend->repeat_us = now_us + SPEND_REPEAT_US;
    } else if (now_us >= spend->repeat_us) {
        spend->tell = true;
        spend->repeat_us = now_us + SPEND_REPEAT_US;
    }
}

uint64_t glink_spend_next_us(const glink_spend_t *spend)
{
    return spend->stuck ? spend->repeat_us : GLINK_NEVER;
}
