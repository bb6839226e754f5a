/* SPDX-License-Identifier: Apache-2.0 */
#include "glink_test_channel.h"

#ifdef GLINK_TEST_CHANNEL

#include <string.h>

bool glink_test_channel_take(glink_test_channel_t *test, const uint8_t *payload, size_t n)
{
    if (n < GLINK_ECHO_BYTES || n > sizeof test->payload || test->n > 0u) return false;
    memcpy(test->payload, payload, n);
    test->n = (uint16_t)n;
    return true;
}

size_t glink_test_channel_give(glink_test_channel_t *test, uint8_t *payload)
{
    const size_t n = test->n;
    memcpy(payload, test->payload, n);
    test->n = 0u;
    return n;
}

void glink_test_channel_reset(glink_test_channel_t *test)
{
    test->n = 0u;
}

uint16_t glink_test_channel_free(const glink_test_channel_t *test)
{
    return test->n == 0u ? GLINK_TEST_CHANNEL_SLOTS : (uint16_t)0u;
}

#endif
