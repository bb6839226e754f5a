/* SPDX-License-Identifier: Apache-2.0 */
/* A frame without a board: frame_app with an audio clock made from the time it is given. Host only.
 *
 * Whoever holds it supplies the peripherals as functions; they are called from inside frame_sim_step(), on the
 * caller's thread. Time starts at the first step ("boot"): the sample clock is 0 then.
 *
 * Between the two marks stand plain declarations: the Python extension reads them as they are. */
#ifndef FRAME_SIM_H
#define FRAME_SIM_H

#include <stdint.h>

/* begin cdef */
typedef struct frame_sim frame_sim_t;

/* The peripherals. Audio comes and goes in blocks of 320 samples, only while the frame has the part switched on. */
typedef struct frame_sim_hal {
    void *ctx;
    void (*led)(void *ctx, uint32_t sample, uint8_t level);
    void (*mic_enable)(void *ctx, uint32_t sample, uint8_t on);
    void (*mic_read)(void *ctx, uint32_t sample, int16_t *pcm, uint32_t n);
    void (*speaker_enable)(void *ctx, uint32_t sample, uint8_t on);
    void (*speaker_write)(void *ctx, uint32_t sample, const int16_t *pcm, uint32_t n);
    /* Returns the milliseconds until there is a picture, or a negative number: it cannot begin. */
    int32_t (*camera_start)(void *ctx, uint32_t sample);
    /* The picture into `jpeg` when that time has passed; with it the sensor is off. Returns its length, or minus a
     * photo_status. */
    int32_t (*camera_read)(void *ctx, uint32_t sample, uint8_t *jpeg, uint32_t cap);
    /* The picture is not wanted any more. Returns 0 when the sensor is off, 1 when camera_read() follows all the same. */
    int32_t (*camera_stop)(void *ctx, uint32_t sample);
    int32_t (*battery_percent)(void *ctx); /* 0 to 100, or -1 */
    void (*set_rate)(void *ctx, uint32_t sample, uint32_t baud); /* the frame's side of the line has this rate now */
} frame_sim_hal_t;

/* What a boot begins with. */
typedef struct frame_sim_boot {
    uint32_t seed;         /* makes the device id; with `number`, the boot id and the session numbers */
    uint32_t number;       /* counts the boots from 1 */
    uint32_t capabilities; /* bits of HELLO_ACK */
    uint32_t max_baud;     /* the line's highest rate, 0 where it has none */
    uint32_t reset_reason; /* of HELLO_ACK */
    const char *note;      /* `note_n` characters that the boot before this one left for the log */
    uint32_t note_n;
} frame_sim_boot_t;

/* Octets that a frame_sim_t needs, aligned for a uint64_t; they must be zero. */
uint32_t frame_sim_bytes(void);

/* `jpeg` is the camera's buffer, which stays; what `hal` and `boot` point to need not. */
void frame_sim_init(frame_sim_t *sim, const frame_sim_hal_t *hal, uint8_t *jpeg, uint32_t jpeg_cap,
                    const frame_sim_boot_t *boot);

/* Lives until `now_us`, hears `n` octets, speaks up to `cap`, which is the room of the line. `button` is the button's
 * level since the last step. What the room was too short for waits; frame_sim_next_us() is not later than `now_us` then.
 * Returns the octets written to `out`: all of them at one rate, the one that set_rate() said last. */
uint32_t frame_sim_step(frame_sim_t *sim, uint64_t now_us, uint8_t button, const uint8_t *rx, uint32_t n,
                        uint8_t *out, uint32_t cap);

/* Returns when the next step is due, UINT64_MAX for "not before something arrives". */
uint64_t frame_sim_next_us(const frame_sim_t *sim);
/* end cdef */

#endif
