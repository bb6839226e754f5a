/* SPDX-License-Identifier: Apache-2.0 */
/* From the wire to the speaker: a jitter buffer of six AudioFrames, holes, flush, volume and mute.
 *
 * A stream is one thing that is being said. Streams carry growing numbers (modulo 2^16) and play one after the other;
 * its samples are counted from 0. What is late or lost becomes silence, and the host is told how much.
 * Threads: same task as the frame_app_t it belongs to. */
#ifndef FRAME_SPEAKER_H
#define FRAME_SPEAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame_hal.h"
#include "glink.h"

#define FRAME_SPEAKER_SLOTS GLINK_WINDOW_SPEAKER
#define FRAME_SPEAKER_START_SLOTS 4u /* 80 ms in hand before playback starts */
#define FRAME_SPEAKER_MAX_HOLE_SAMPLES (GLINK_DEAD_AFTER_MS * (GLINK_SAMPLE_RATE_HZ / 1000u))
_Static_assert(FRAME_SPEAKER_MAX_HOLE_SAMPLES <= UINT16_MAX, "Underrun.missing_samples holds the longest hole");
_Static_assert(FRAME_SPEAKER_START_SLOTS <= FRAME_SPEAKER_SLOTS, "playback can start");

typedef struct frame_speaker_slot {
    uint32_t sample; /* of the first sample, within its stream */
    uint16_t stream;
    uint16_t n;  /* samples */
    uint16_t at; /* samples of it that are done with */
    bool last;
    int16_t pcm[GLINK_FRAME_SAMPLES];
} frame_speaker_slot_t;

typedef struct frame_speaker {
    const frame_hal_t *hal;
    const frame_clock_t *clock;
    glink_t *link;

    frame_speaker_slot_t slots[FRAME_SPEAKER_SLOTS];
    uint8_t head;
    uint8_t count;
    uint8_t percent; /* volume */
    bool muted;
    bool amplifier; /* what the HAL was told last */

    bool active;  /* `stream` has begun to arrive and is not over */
    bool playing; /* its samples, or the silence in their place, go to the speaker */
    bool started; /* the host was told so */
    bool has_done;
    uint16_t stream;
    uint16_t done;      /* this stream and older ones are over: their frames are not taken */
    uint32_t position;  /* of the next sample within the stream */
    uint32_t played;    /* samples of it that reached the speaker */
    uint32_t hole;      /* samples of silence in their place, since the hole began */
    uint64_t starve_us; /* while it is buffering: when it is given up */
    uint32_t underruns; /* holes that were reported since boot, and how long they were */
    uint32_t underrun_samples;
} frame_speaker_t;

void frame_speaker_init(frame_speaker_t *s, const frame_hal_t *hal, const frame_clock_t *clock, glink_t *link,
                        uint8_t percent);

/* Queues one AudioFrame of the wire. Returns false when it is malformed, late, or more than the queue holds. */
bool frame_speaker_push(frame_speaker_t *s, uint8_t flags, const glink_speaker_audio_t *audio);

/* Returns how many more AudioFrames may be pushed. */
uint16_t frame_speaker_free(const frame_speaker_t *s);

/* Writes the `n` samples that the speaker plays from clock->sample on; silence where there is nothing to play. */
void frame_speaker_pull(frame_speaker_t *s, int16_t *pcm, size_t n);

/* Drops `stream` and older ones, and what may still come of them. Returns the samples of the current one played. */
uint32_t frame_speaker_flush(frame_speaker_t *s, uint16_t stream);

/* Ends playback and forgets every stream: the session is over. */
void frame_speaker_stop(frame_speaker_t *s);

/* Gives up a stream that stays too short to start. */
void frame_speaker_tick(frame_speaker_t *s);
uint64_t frame_speaker_next_us(const frame_speaker_t *s);

/* Returns the samples that wait. */
uint16_t frame_speaker_queued(const frame_speaker_t *s);

#endif
