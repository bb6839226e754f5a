/* SPDX-License-Identifier: Apache-2.0 */
/* frame_app: what the frame does with its microphone, speaker, camera, button and LED, on top of glink.
 *
 * It owns capture, volume, mute and LED; the host asks and reads back. When the host falls silent for three seconds
 * every sensor stops. No heap, no operating system: drivers push and pull, time comes as an argument.
 *
 * Threads: every function of one frame_app_t must be called from one task. Drivers that live in interrupts or in
 * tasks of their own hand their data over to it first. HAL functions are called from inside these functions.
 *
 * The rhythm of that task:
 *   frame_app_tick(now)                     at frame_app_next_us() at the latest, and before the calls below
 *   frame_app_on_mic                        with each block of samples, when it is complete
 *   frame_app_samples_passed                then, or when a block's time has passed without a microphone
 *   frame_app_speaker_pull                  then, for the block that is played next
 *   frame_app_receive                       whenever octets came
 *   frame_app_transmit                      after any of these, until it returns less than it had room for */
#ifndef FRAME_APP_H
#define FRAME_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame_button.h"
#include "frame_capture.h"
#include "frame_hal.h"
#include "frame_intake.h"
#include "frame_led.h"
#include "frame_object.h"
#include "frame_photo.h"
#include "frame_speaker.h"
#include "glink.h"

#define FRAME_APP_VERSION "0.1.0"
#define FRAME_APP_VOLUME_PERCENT 70u /* until the host sets another */

typedef struct frame_app {
    frame_hal_t hal;
    frame_clock_t clock;
    glink_t link;
    frame_led_t led;
    frame_capture_t capture;
    frame_speaker_t speaker;
    frame_object_t object;
    frame_photo_t photo;
    frame_intake_t intake;
    frame_button_t button;
    uint32_t rx_overruns;      /* since boot, like the two below */
    uint32_t loop_worst_us;    /* how late frame_app_tick() came to its own deadline, at worst */
    uint32_t mic_dropped;      /* AudioFrames of the sessions before this one */
} frame_app_t;

/* All RAM that the portable part of the frame needs, beside the camera's buffer. */
_Static_assert(sizeof(frame_app_t) <= 24576u, "static RAM of the frame");

/* Prepares the frame: sensors off, LED off, no session. `identity` says what this frame is and has (glink_init());
 * a part without its capability bit answers "unsupported" and its HAL functions are never called. Copies both. */
void frame_app_init(frame_app_t *app, const frame_hal_t *hal, const glink_hello_ack_t *identity,
                    uint16_t first_session);

/* The volume that the frame remembers of before it booted, 0 to 100; another one is ignored. */
void frame_app_restore_volume(frame_app_t *app, uint8_t percent);

/* Moves the clock; it never goes back. */
void frame_app_tick(frame_app_t *app, uint64_t now_us);

/* Returns when frame_app_tick() has something to do, GLINK_NEVER if nothing. */
uint64_t frame_app_next_us(const frame_app_t *app);

/* ---- audio ---- */

/* Takes `n` samples of the microphone, of which the first belongs to the sample clock as it stands. */
void frame_app_on_mic(frame_app_t *app, const int16_t *pcm, size_t n);

/* Writes the `n` samples that the speaker plays from the sample clock as it stands. */
void frame_app_speaker_pull(frame_app_t *app, int16_t *pcm, size_t n);

/* Moves the sample clock over a block, also while nothing is captured or played. */
void frame_app_samples_passed(frame_app_t *app, size_t n);

/* ---- other drivers ---- */

/* The camera's sensor is off, and it is done: `n` octets at `jpeg` that stay until camera_stop(), or a photo_status other
 * than ok. What was taken after camera_stop() is ignored. */
void frame_app_on_photo(frame_app_t *app, const uint8_t *jpeg, uint32_t n, uint8_t status);

/* The button's level now, bouncing as it may. */
void frame_app_on_button_level(frame_app_t *app, bool down);

/* ---- wire ---- */

/* The driver has lost octets that came in: its ring was full, or the UART's. Counted, nothing else. */
void frame_app_rx_overrun(frame_app_t *app);

/* Takes octets as they come. */
void frame_app_receive(frame_app_t *app, const uint8_t *bytes, size_t n);

/* Moves up to `cap` octets for the host into `out`. Call it only when the octets that it returned last were handed to the
 * driver: the line's rate may change in it. Returns how many; fewer than `cap`: nothing waits, or the rate has just
 * changed or is to change first, and frame_app_next_us() is now. */
size_t frame_app_transmit(frame_app_t *app, uint8_t *out, size_t cap);

#endif
