/* SPDX-License-Identifier: Apache-2.0 */
/* Credit on both sides, on a clock of its own. */
#include <string.h>

#include "check.h"
#include "glink_credit.h"

static void sequences_compare_modulo(void)
{
    CHECK(glink_seq_after(1, 0));
    CHECK(!glink_seq_after(0, 0));
    CHECK(!glink_seq_after(0, 1));
    CHECK(glink_seq_after(0, 0xFFFF));
    CHECK(!glink_seq_after(0xFFFF, 0));
    CHECK(glink_seq_after(0x7FFF, 0));
    CHECK(!glink_seq_after(0x8000, 0)); /* as far ahead as behind: behind */
    CHECK(glink_seq_after(0x7FFE, 0xFFFF));
    CHECK(!glink_seq_after(0x7FFF, 0xFFFF));
}

static void a_grant_is_repeated_while_in_use(void)
{
    glink_grant_t grant;
    memset(&grant, 0, sizeof grant);
    glink_grant_open(&grant, 6, 0);
    CHECK(glink_grant_due(&grant, 0, 6)); /* the first one confirms the session */
    glink_grant_told(&grant, 6, 0);
    CHECK(!glink_grant_due(&grant, 0, 6));
    CHECK(glink_grant_next_us(&grant) == GLINK_NEVER); /* nothing arrived: nothing to repeat */

    glink_grant_used(&grant, 1000000);
    CHECK(glink_grant_next_us(&grant) == 1100000);
    unsigned told = 0;
    for (uint64_t now = 1000000; now < 4000000; now += 10000) {
        glink_grant_tick(&grant, now);
        if (!glink_grant_due(&grant, 1, 7)) continue;
        glink_grant_told(&grant, 7, now);
        told++;
    }
    CHECK(told == 9u); /* 1.1 s to 1.9 s; out of use at 2 s */
}

static void an_empty_window_is_granted_at_once(void)
{
    glink_grant_t grant;
    memset(&grant, 0, sizeof grant);
    glink_grant_open(&grant, 6, 0);
    glink_grant_told(&grant, 6, 0);
    CHECK(!glink_grant_due(&grant, 5, 7)); /* one left: it can wait */
    CHECK(!glink_grant_due(&grant, 6, 6)); /* none left, none to give */
    CHECK(glink_grant_due(&grant, 6, 7));
    glink_grant_told(&grant, 0xFFFE, 0);
    CHECK(glink_grant_due(&grant, 0xFFFE, 3)); /* across the wrap */
}

static void a_stuck_sender_says_so(void)
{
    glink_spend_t spend;
    memset(&spend, 0, sizeof spend);
    glink_spend_open(&spend, 8);
    CHECK(glink_spend_may_send(&spend, 7));
    CHECK(!glink_spend_may_send(&spend, 8));

    glink_spend_tick(&spend, true, 8, 1000);
    CHECK(spend.stuck && !spend.tell && glink_spend_next_us(&spend) == 51000);
    glink_spend_tick(&spend, true, 8, 50999);
    CHECK(!spend.tell);
    glink_spend_tick(&spend, true, 8, 51000);
    CHECK(spend.tell && glink_spend_next_us(&spend) == 101000);
    glink_spend_granted(&spend, 7, 8); /* older than what we have */
    glink_spend_granted(&spend, 8 + 256, 8); /* more than any queue holds */
    CHECK(!glink_spend_may_send(&spend, 8));
    glink_spend_granted(&spend, 9, 8);
    CHECK(glink_spend_may_send(&spend, 8));
    glink_spend_tick(&spend, true, 8, 52000);
    CHECK(!spend.stuck && !spend.tell && glink_spend_next_us(&spend) == GLINK_NEVER);
    glink_spend_tick(&spend, false, 9, 53000); /* at the limit with nothing to send */
    CHECK(!spend.stuck);
}

void test_credit(void)
{
    sequences_compare_modulo();
    a_grant_is_repeated_while_in_use();
    an_empty_window_is_granted_at_once();
    a_stuck_sender_says_so();
}
