/* A stand-in: see ../README.md. */
#pragma once
#include <stddef.h>
#include <stdint.h>
typedef int BaseType_t;
typedef unsigned int UBaseType_t;
typedef uint32_t TickType_t;
#define pdTRUE ((BaseType_t)1)
#define pdFALSE ((BaseType_t)0)
#define pdPASS pdTRUE
#define portMAX_DELAY ((TickType_t)0xffffffffUL)
#define configTICK_RATE_HZ 1000
#define pdMS_TO_TICKS(ms) ((TickType_t)(((uint64_t)(ms)*configTICK_RATE_HZ) / 1000U))
void stub_assert(const char *what);
#define configASSERT(x)              \
    do {                             \
        if (!(x)) stub_assert(#x);   \
    } while (0)
#define portYIELD_FROM_ISR(woken) (void)(woken)
