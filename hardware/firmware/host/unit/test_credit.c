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
    CHECK(glink_grant_due(&grant, 3, 9)); /* half a window: the sender need not come to a stop */
    CHECK(!glink_grant_due(&grant, 3, 8));
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

/* ---- a line that loses ---- */

#define WINDOW 6u
#define LOSSES 1000000u
#define STEP_US 7000u
#define RESUMES_US 150000u

static glink_spend_t sender;
static glink_grant_t receiver;
static uint16_t last;    /* number of the frame that was sent last */
static uint16_t highest; /* and that arrived last */
static uint16_t queued;  /* slots that are taken */
static uint16_t earlier_grant;
static uint64_t line_us;
static bool overrun;

static uint32_t noise(void)
{
    static uint32_t x = 1u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

/* Returns 1 when something gets lost. */
static unsigned lost(bool lossy)
{
    return lossy && (noise() & 1u) != 0u ? 1u : 0u;
}

static unsigned send_one(bool lossy)
{
    if (!glink_spend_may_send(&sender, last)) return 0u;
    last++;
    if (lost(lossy) != 0u) return 1u;
    highest = last;
    queued++;
    if (queued > WINDOW) overrun = true;
    glink_grant_used(&receiver, line_us);
    return 0u;
}

/* The time between two visits: what is due is said, and gets lost or not. Returns how much got lost. */
static unsigned pass(bool lossy)
{
    unsigned losses = 0;
    line_us += STEP_US;
    glink_spend_tick(&sender, true, last, line_us);
    if (sender.tell) {
        sender.tell = false;
        if (lost(lossy) != 0u) {
            losses++;
        } else {
            if (glink_seq_after(last, highest)) highest = last;
            receiver.tell = true;
        }
    }
    glink_grant_tick(&receiver, line_us);
    const uint16_t allowed = (uint16_t)(highest + WINDOW - queued);
    if (!glink_grant_due(&receiver, highest, allowed)) return losses;
    glink_grant_told(&receiver, allowed, line_us);
    if (lost(lossy) != 0u) return losses + 1u;
    glink_spend_granted(&sender, allowed, last);
    if ((noise() & 3u) == 0u) glink_spend_granted(&sender, earlier_grant, last); /* an old one comes again */
    earlier_grant = allowed;
    return losses;
}

/* The line is good again and the sender has something to say: it gets to, soon, and then has its whole window. */
static void flow_resumes(void)
{
    const uint16_t before = last;
    for (uint64_t end = line_us + RESUMES_US; line_us < end;) {
        queued = 0u;
        (void)send_one(false);
        (void)pass(false);
    }
    CHECK(last != before);
    queued = 0u;
    for (uint64_t end = line_us + RESUMES_US; line_us < end;) (void)pass(false);
    CHECK((uint16_t)(sender.allowed - last) == WINDOW);
}

static void no_credit_leaks(void)
{
    glink_spend_open(&sender, WINDOW);
    glink_grant_open(&receiver, WINDOW, line_us);
    earlier_grant = WINDOW;
    unsigned losses = 0;
    for (unsigned visits = 1; losses < LOSSES && visits < 8u * LOSSES; visits++) {
        for (uint32_t burst = noise() & 7u; burst > 0u; burst--) losses += send_one(true);
        if (queued > 0u && (noise() & 1u) != 0u) queued--;
        losses += pass(true);
        if ((uint16_t)(sender.allowed - last) > WINDOW) overrun = true;
        if (visits % 1000u == 0u) flow_resumes();
    }
    CHECK(losses >= LOSSES && !overrun);
    flow_resumes();
}

void test_credit(void)
{
    sequences_compare_modulo();
    a_grant_is_repeated_while_in_use();
    an_empty_window_is_granted_at_once();
    a_stuck_sender_says_so();
    no_credit_leaks();
}
