/* SPDX-License-Identifier: Apache-2.0 */
/* The microphone's way to the wire: blocks from the driver, cut into AudioFrames, a short ring in front of the link.
 * They wait as samples and are encoded when they leave, so that what is dropped leaves no trace in the encoder.
 * The ring never waits for the host: its oldest frame goes, and the next one on the wire carries the count.
 * Threads: same task as the frame_app_t it belongs to. */
#ifndef FRAME_CAPTURE_H
#define FRAME_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame_led.h"
#include "glink_adpcm.h"

#define FRAME_CAPTURE_SLOTS 8u /* 160 ms: more would only be stale */

typedef struct frame_capture_slot {
    uint32_t sample; /* of the first sample, on the sample clock */
    int16_t pcm[GLINK_FRAME_SAMPLES];
} frame_capture_slot_t;

typedef struct frame_capture {
    const frame_hal_t *hal;
    const frame_clock_t *clock;
    glink_t *link;
    frame_led_t *led;
    bool on;
    uint8_t codec; /* GLINK_CODEC_* of the next frame that leaves */
    glink_adpcm_t adpcm;
    bool announced;        /* the host has been told that the microphone is on, and before that of the LED */
    uint16_t led_event;    /* stamps of these events */
    uint16_t announcement;
    uint16_t filled;      /* samples in the slot behind the ring's newest frame */
    uint8_t head;
    uint8_t count;   /* whole frames */
    uint32_t dropped; /* whole frames, since the session began */
    frame_capture_slot_t slots[FRAME_CAPTURE_SLOTS + 1u]; /* one of them is being filled */
} frame_capture_t;

void frame_capture_init(frame_capture_t *c, const frame_hal_t *hal, const frame_clock_t *clock, glink_t *link,
                        frame_led_t *led);

/* LED, microphone, then the host hears that it is on; no AudioFrame goes out before that. On already: only the codec
 * changes, a GLINK_CODEC_*, with the next AudioFrame that leaves. */
void frame_capture_start(frame_capture_t *c, uint8_t codec);

/* Microphone, LED, then the host hears the reason, a GLINK_CAPTURE_STOP_*. What was not sent yet is thrown away. */
void frame_capture_stop(frame_capture_t *c, uint8_t reason);

/* A new session counts its losses from zero. */
void frame_capture_reset_count(frame_capture_t *c);

/* Takes `n` samples that begin at clock->sample; ignored while capture is off. */
void frame_capture_push(frame_capture_t *c, const int16_t *pcm, size_t n);

/* Writes the oldest frame as a MicAudio, and its flags. Returns its length, 0 when none may go. */
size_t frame_capture_pull(frame_capture_t *c, uint8_t *flags, uint8_t *payload, size_t cap);

#endif
