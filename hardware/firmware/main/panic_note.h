/* SPDX-License-Identifier: Apache-2.0 */
/* What the frame was doing when it crashed, kept in RTC memory over the reset: the data port prints no panic text.
 * Threads: panic_note_take() belongs to whoever boots; the note itself is written by the panic handler. */
#ifndef PANIC_NOTE_H
#define PANIC_NOTE_H

#include <stddef.h>

/* Writes one line about the crash before this boot, and forgets it. Returns its length, 0 when there was none. */
size_t panic_note_take(char *line, size_t cap);

#endif
