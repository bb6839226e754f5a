/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of what only C can see: buffers' ends, calls that stay open, counters that wrap. They need no C library,
 * so that the same program also runs on the emulated target. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reports the place of a condition that does not hold, and goes on. */
#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)

void check(bool holds, const char *file, int line, const char *condition);

/* One per file. */
void test_codec(void);
void test_credit(void);
void test_rpc_and_queues(void);
void test_link(void);
void test_parts(void);
void test_drivers(void);

#endif
