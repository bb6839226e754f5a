/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated frame as a program of its own, in lock-step with its parent over standard input and output: for
 * sanitizers, and for the same sources compiled for another instruction set and run in an emulator.
 *
 * All integers are little-endian. First the child writes "HAL3"; the parent answers u32 seed, u32 boot,
 * u32 capabilities, u32 max_baud, u32 reset_reason, u32 n, n characters of the boot before: see frame_sim_boot_t.
 * Then, for each step, the parent writes u64 now_us, u8 button, u32 room, u32 n, n octets for the frame; the child writes
 * any number of the messages below and then 'D' u64 next_us, u32 m, m <= room octets of the frame. End of input ends the
 * child.
 *
 *   'L' u32 sample, u8 level            LED
 *   'm' u32 sample, u8 on               microphone switched
 *   'M' u32 sample, u32 n               microphone read      -> parent: n samples (i16)
 *   's' u32 sample, u8 on               speaker switched
 *   'S' u32 sample, u32 n, n samples    speaker
 *   'C' u32 sample                      camera start         -> parent: i32 milliseconds, or negative
 *   'J' u32 sample, u32 cap             camera read          -> parent: i32 length, then as many octets if not negative
 *   'c' u32 sample                      camera stop          -> parent: i32
 *   'B'                                 battery              -> parent: i32
 *   'R' u32 sample, u32 baud            the line's rate */
#include <stddef.h>
#include <stdint.h>

#include "frame_sim.h"
#include "glink_schema.h"
#include "program.h"

enum { EXIT_DONE = 0, EXIT_PARENT_GONE = 3, EXIT_TOO_LONG = 4 };

#define RX_MAX 65536u
#define TX_MAX 65536u

/* ---- octets ---- */

static uint8_t pending[TX_MAX + 4096u]; /* written to the parent before we wait for it */
static size_t pending_n;

static void flush(void)
{
    for (size_t at = 0; at < pending_n;) {
        const long n = program_write(pending + at, pending_n - at);
        if (n <= 0) program_exit(EXIT_PARENT_GONE);
        at += (size_t)n;
    }
    pending_n = 0;
}

static void put(const void *from, size_t n)
{
    const uint8_t *octets = from;
    for (size_t i = 0; i < n; i++) {
        if (pending_n == sizeof pending) flush();
        pending[pending_n++] = octets[i];
    }
}

static void put_uint(uint64_t value, unsigned octets)
{
    for (unsigned i = 0; i < octets; i++) {
        const uint8_t octet = (uint8_t)(value >> (8u * i));
        put(&octet, 1u);
    }
}

static void put_op(char op)
{
    put(&op, 1u);
}

/* The parent may close its end between two steps, not within one. */
static void get(void *to, size_t n, int at_end)
{
    uint8_t *octets = to;
    flush();
    for (size_t at = 0; at < n;) {
        const long got = program_read(octets + at, n - at);
        if (got <= 0) program_exit(at == 0u ? at_end : EXIT_PARENT_GONE);
        at += (size_t)got;
    }
}

static uint64_t get_uint(unsigned octets, int at_end)
{
    uint8_t raw[8] = {0};
    uint64_t value = 0;
    get(raw, octets, at_end);
    for (unsigned i = 0; i < octets; i++) value |= (uint64_t)raw[i] << (8u * i);
    return value;
}

static int32_t get_i32(void)
{
    return (int32_t)(uint32_t)get_uint(4u, EXIT_PARENT_GONE);
}

/* ---- peripherals: each is a message ---- */

static void led(void *ctx, uint32_t sample, uint8_t level)
{
    (void)ctx;
    put_op('L');
    put_uint(sample, 4u);
    put_uint(level, 1u);
}

static void mic_enable(void *ctx, uint32_t sample, uint8_t on)
{
    (void)ctx;
    put_op('m');
    put_uint(sample, 4u);
    put_uint(on, 1u);
}

static void mic_read(void *ctx, uint32_t sample, int16_t *pcm, uint32_t n)
{
    (void)ctx;
    put_op('M');
    put_uint(sample, 4u);
    put_uint(n, 4u);
    get(pcm, n * sizeof pcm[0], EXIT_PARENT_GONE); /* every build is little-endian */
}

static void speaker_enable(void *ctx, uint32_t sample, uint8_t on)
{
    (void)ctx;
    put_op('s');
    put_uint(sample, 4u);
    put_uint(on, 1u);
}

static void speaker_write(void *ctx, uint32_t sample, const int16_t *pcm, uint32_t n)
{
    (void)ctx;
    put_op('S');
    put_uint(sample, 4u);
    put_uint(n, 4u);
    put(pcm, n * sizeof pcm[0]);
}

static int32_t camera_start(void *ctx, uint32_t sample)
{
    (void)ctx;
    put_op('C');
    put_uint(sample, 4u);
    return get_i32();
}

static int32_t camera_read(void *ctx, uint32_t sample, uint8_t *jpeg, uint32_t cap)
{
    (void)ctx;
    put_op('J');
    put_uint(sample, 4u);
    put_uint(cap, 4u);
    const int32_t n = get_i32();
    if (n > 0 && (uint32_t)n > cap) program_exit(EXIT_TOO_LONG);
    if (n > 0) get(jpeg, (size_t)n, EXIT_PARENT_GONE);
    return n;
}

static int32_t camera_stop(void *ctx, uint32_t sample)
{
    (void)ctx;
    put_op('c');
    put_uint(sample, 4u);
    return get_i32();
}

static int32_t battery_percent(void *ctx)
{
    (void)ctx;
    put_op('B');
    return get_i32();
}

static void set_rate(void *ctx, uint32_t sample, uint32_t baud)
{
    (void)ctx;
    put_op('R');
    put_uint(sample, 4u);
    put_uint(baud, 4u);
}

/* ---- steps ---- */

static uint64_t frame[8192]; /* a frame_sim_t, whose size is nobody else's business */
static uint8_t jpeg_buffer[GLINK_MAX_OBJECT_BYTES];
static uint8_t rx[RX_MAX];
static uint8_t tx[TX_MAX];

int program_main(void)
{
    const frame_sim_hal_t hal = {.led = led,
                                 .mic_enable = mic_enable,
                                 .mic_read = mic_read,
                                 .speaker_enable = speaker_enable,
                                 .speaker_write = speaker_write,
                                 .camera_start = camera_start,
                                 .camera_read = camera_read,
                                 .camera_stop = camera_stop,
                                 .battery_percent = battery_percent,
                                 .set_rate = set_rate};
    frame_sim_t *sim = (frame_sim_t *)(void *)frame;
    if (frame_sim_bytes() > sizeof frame) program_exit(EXIT_TOO_LONG);

    put("HAL3", 4u);
    char note[GLINK_MAX_LOG_BYTES];
    frame_sim_boot_t boot = {.note = note};
    boot.seed = (uint32_t)get_uint(4u, EXIT_DONE);
    boot.number = (uint32_t)get_uint(4u, EXIT_PARENT_GONE);
    boot.capabilities = (uint32_t)get_uint(4u, EXIT_PARENT_GONE);
    boot.max_baud = (uint32_t)get_uint(4u, EXIT_PARENT_GONE);
    boot.reset_reason = (uint32_t)get_uint(4u, EXIT_PARENT_GONE);
    boot.note_n = (uint32_t)get_uint(4u, EXIT_PARENT_GONE);
    if (boot.note_n > sizeof note) program_exit(EXIT_TOO_LONG);
    get(note, boot.note_n, EXIT_PARENT_GONE);
    frame_sim_init(sim, &hal, jpeg_buffer, sizeof jpeg_buffer, &boot);

    for (;;) {
        const uint64_t now_us = get_uint(8u, EXIT_DONE);
        const uint8_t button = (uint8_t)get_uint(1u, EXIT_PARENT_GONE);
        const uint32_t room = (uint32_t)get_uint(4u, EXIT_PARENT_GONE);
        const uint32_t n = (uint32_t)get_uint(4u, EXIT_PARENT_GONE);
        if (room > sizeof tx || n > sizeof rx) program_exit(EXIT_TOO_LONG);
        uint8_t *heard = rx + sizeof rx - n; /* at the end, so that a sanitizer sees the first octet read too many */
        get(heard, n, EXIT_PARENT_GONE);
        const uint32_t made = frame_sim_step(sim, now_us, button, heard, n, tx, room);
        put_op('D');
        put_uint(frame_sim_next_us(sim), 8u);
        put_uint(made, 4u);
        put(tx, made);
    }
}
