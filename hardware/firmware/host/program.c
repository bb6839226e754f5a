/* SPDX-License-Identifier: Apache-2.0 */
/* FRAME_QEMU builds for Linux on Xtensa or RISC-V without a C library: qemu-user runs the bare system calls. */
#include "program.h"

#ifdef FRAME_QEMU

#if defined(__xtensa__)

enum { CALL_READ = 12, CALL_WRITE = 13, CALL_EXIT = 118 };

/* Number and result in a2, arguments in a6, a3, a4. */
static long system_call(long number, long a, long b, long c)
{
    register long a2 __asm__("a2") = number;
    register long a6 __asm__("a6") = a;
    register long a3 __asm__("a3") = b;
    register long a4 __asm__("a4") = c;
    __asm__ volatile("syscall" : "+r"(a2) : "r"(a6), "r"(a3), "r"(a4) : "memory");
    return a2;
}

#elif defined(__riscv)

enum { CALL_READ = 63, CALL_WRITE = 64, CALL_EXIT = 93 };

/* Number in a7, arguments from a0 on, result in a0. */
static long system_call(long number, long a, long b, long c)
{
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}

#else
#error "FRAME_QEMU knows the system calls of Xtensa and RISC-V"
#endif

long program_read(uint8_t *to, size_t n)
{
    return system_call(CALL_READ, 0, (long)to, (long)n);
}

long program_write(const uint8_t *from, size_t n)
{
    return system_call(CALL_WRITE, 1, (long)from, (long)n);
}

_Noreturn void program_exit(int status)
{
    for (;;) (void)system_call(CALL_EXIT, status, 0, 0);
}

/* The portable components call the first two, and a compiler may call any of them on its own. */
void *memcpy(void *to, const void *from, size_t n)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    for (size_t i = 0; i < n; i++) t[i] = f[i];
    return to;
}

void *memset(void *to, int value, size_t n)
{
    uint8_t *t = to;
    for (size_t i = 0; i < n; i++) t[i] = (uint8_t)value;
    return to;
}

int memcmp(const void *left, const void *right, size_t n)
{
    const uint8_t *l = left;
    const uint8_t *r = right;
    for (size_t i = 0; i < n; i++) {
        if (l[i] != r[i]) return l[i] < r[i] ? -1 : 1;
    }
    return 0;
}

#if defined(__xtensa__)
/* Division, for the programs of this folder: the LX106 has no instruction for it, and Debian's libgcc for it is empty.
 * The portable components do not divide. */
static unsigned divide(unsigned a, unsigned b, unsigned *rest)
{
    unsigned quotient = 0;
    *rest = 0;
    for (unsigned bit = 32; bit-- > 0u;) {
        *rest = *rest << 1 | (a >> bit & 1u);
        if (*rest < b) continue;
        *rest -= b;
        quotient |= 1u << bit;
    }
    return quotient;
}

unsigned __udivsi3(unsigned a, unsigned b);
unsigned __udivsi3(unsigned a, unsigned b)
{
    unsigned rest;
    return divide(a, b, &rest);
}

unsigned __umodsi3(unsigned a, unsigned b);
unsigned __umodsi3(unsigned a, unsigned b)
{
    unsigned rest;
    (void)divide(a, b, &rest);
    return rest;
}
#endif

void _start(void);
void _start(void)
{
    program_exit(program_main());
}

#else

#include <stdlib.h>
#include <unistd.h>

long program_read(uint8_t *to, size_t n)
{
    return (long)read(0, to, n);
}

long program_write(const uint8_t *from, size_t n)
{
    return (long)write(1, from, n);
}

_Noreturn void program_exit(int status)
{
    exit(status);
}

int main(void)
{
    return program_main();
}

#endif
