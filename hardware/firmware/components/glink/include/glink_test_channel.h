/* SPDX-License-Identifier: Apache-2.0 */
/* The test channel: one frame's payload, sent back as it came. Only where GLINK_TEST_CHANNEL is defined; a release is
 * built without it, and then nothing is left here but the answer no.
 * Threads: same task as the glink_t that it belongs to. */
#ifndef GLINK_TEST_CHANNEL_H
#define GLINK_TEST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glink_schema.h"

#ifdef GLINK_TEST_CHANNEL

#define GLINK_TEST_CHANNEL_BIT GLINK_CAP_TEST_CHANNEL
#define GLINK_TEST_CHANNEL_SLOTS GLINK_WINDOW_TEST
_Static_assert(GLINK_TEST_CHANNEL_SLOTS == 1u, "one payload is all the room there is");

typedef struct glink_test_channel {
    uint16_t n; /* octets that wait; 0: none */
    uint8_t payload[GLINK_MAX_PAYLOAD_BYTES];
} glink_test_channel_t;

/* Takes `n` <= GLINK_MAX_PAYLOAD_BYTES octets. Returns false when it is no Echo, or there is no room. */
bool glink_test_channel_take(glink_test_channel_t *test, const uint8_t *payload, size_t n);

/* Moves what waits to `payload`. Returns its length, 0 when there is nothing. */
size_t glink_test_channel_give(glink_test_channel_t *test, uint8_t *payload);

/* Forgets what waits. */
void glink_test_channel_reset(glink_test_channel_t *test);

/* Returns how many more may be taken. */
uint16_t glink_test_channel_free(const glink_test_channel_t *test);

#else

#define GLINK_TEST_CHANNEL_BIT 0u
#define GLINK_TEST_CHANNEL_SLOTS 0u

typedef struct glink_test_channel {
    uint8_t none;
} glink_test_channel_t;

static inline bool glink_test_channel_take(glink_test_channel_t *test, const uint8_t *payload, size_t n)
{
    (void)test;
    (void)payload;
    (void)n;
    return false;
}

static inline size_t glink_test_channel_give(glink_test_channel_t *test, uint8_t *payload)
{
    (void)test;
    (void)payload;
    return 0u;
}

static inline void glink_test_channel_reset(glink_test_channel_t *test)
{
    (void)test;
}

static inline uint16_t glink_test_channel_free(const glink_test_channel_t *test)
{
    (void)test;
    return 0u;
}

#endif
#endif
