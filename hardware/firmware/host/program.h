/* SPDX-License-Identifier: Apache-2.0 */
/* The few things that a program of this folder wants of an operating system, with a C library or without one.
 * Such a program defines program_main(); program.c calls it. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Reads from standard input or writes to standard output. Returns how many octets, 0 at the end, negative on error. */
long program_read(uint8_t *to, size_t n);
long program_write(const uint8_t *from, size_t n);

_Noreturn void program_exit(int status);

/* Returns the exit status. */
int program_main(void);

#endif
