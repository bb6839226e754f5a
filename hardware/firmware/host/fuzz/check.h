/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold in a fuzz target: a broken promise stops it as a crash would. */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define FAIL(what)                                                         \
    do {                                                                   \
        (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, (what)); \
        abort();                                                           \
    } while (0)

#define CHECK(condition)                                      \
    do {                                                      \
        if (!(condition)) FAIL("does not hold: " #condition); \
    } while (0)

#endif
