/* SPDX-License-Identifier: Apache-2.0 */
#include "panic_note.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "esp_private/panic_internal.h" /* private to ESP-IDF; the same in 5.5 and 6.0 */
#include "esp_timer.h"

#define MAGIC UINT32_C(0x6c6f7267)
#define REASON_BYTES 40u

typedef struct note {
    uint32_t magic;
    uint32_t uptime_s;
    uint32_t address;
    int32_t core;
    char reason[REASON_BYTES];
} note_t;

/* Neither cleared nor loaded at boot: what RTC_NOINIT_ATTR means on every chip that has such memory. After power-on it
 * holds anything but MAGIC. */
static note_t note __attribute__((section(".rtc_noinit")));

void __real_esp_panic_handler(panic_info_t *info);
void __wrap_esp_panic_handler(panic_info_t *info);

/* Called in place of ESP-IDF's by the linker's --wrap. Nothing works any more here but memory. */
void __wrap_esp_panic_handler(panic_info_t *info)
{
    note.uptime_s = (uint32_t)(esp_timer_get_time() / 1000000);
    note.address = (uint32_t)(uintptr_t)info->addr;
    note.core = info->core;
    /* An abort or a failed assertion traps itself on purpose: what it was about stands beside the trap. */
    const char *reason = g_panic_abort ? g_panic_abort_details : NULL;
    if (reason == NULL) reason = info->reason != NULL ? info->reason : info->description;
    if (reason == NULL) reason = "unknown";
    size_t n = 0;
    for (; reason[n] != '\0' && n + 1u < REASON_BYTES; n++) note.reason[n] = reason[n];
    note.reason[n] = '\0';
    note.magic = MAGIC;
    __real_esp_panic_handler(info);
}

size_t panic_note_take(char *line, size_t cap)
{
    if (note.magic != MAGIC) return 0u;
    note.magic = 0u;
    note.reason[REASON_BYTES - 1u] = '\0';
    const int n = snprintf(line, cap, "crashed: %s at 0x%08lx, core %ld, %lu s after boot", note.reason,
                           (unsigned long)note.address, (long)note.core, (unsigned long)note.uptime_s);
    if (n < 0) return 0u;
    return (size_t)n < cap ? (size_t)n : cap - 1u;
}
