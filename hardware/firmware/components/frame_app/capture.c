/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_capture.h"

#include <string.h>

#define SLOTS (FRAME_CAPTURE_SLOTS + 1u) /* the frames that wait, and the one that is being filled */

static frame_capture_slot_t *slot_at(frame_capture_t *c, unsigned behind_head)
{
    const unsigned at = c->head + behind_head;
    return &c->slots[at < SLOTS ? at : at - SLOTS];
}

static void drop_oldest(frame_capture_t *c)
{
    c->head = (uint8_t)(c->head + 1u < SLOTS ? c->head + 1u : 0u);
    c->count--;
}

static uint16_t report(frame_capture_t *c, uint8_t reason)
{
    const glink_capture_event_t event = {
        .on = c->on ? 1u : 0u, .reason = reason, .mic_sample = (uint32_t)c->clock->sample};
    uint8_t out[GLINK_CAPTURE_EVENT_BYTES];
    return glink_report(c->link, out, glink_capture_event_pack(&event, out, sizeof out));
}

void frame_capture_init(frame_capture_t *c, const frame_hal_t *hal, const frame_clock_t *clock, glink_t *link,
                        frame_led_t *led)
{
    memset(c, 0, sizeof *c);
    c->hal = hal;
    c->clock = clock;
    c->link = link;
    c->led = led;
}

/* The LED's event comes before this one. */
static void announce(frame_capture_t *c)
{
    c->announced = false;
    c->led_event = c->led->stamp;
    c->announcement = report(c, GLINK_CAPTURE_STOP_ASKED);
}

/* Whether the host was told. Had the LED's event to go for newer ones, it is told again. */
static bool announced(frame_capture_t *c)
{
    if (c->announced) return true;
    if (glink_lost(c->link, c->led_event)) {
        frame_led_tell(c->led);
        announce(c);
    }
    c->announced = glink_reported(c->link, c->announcement);
    return c->announced;
}

void frame_capture_start(frame_capture_t *c, uint8_t codec)
{
    c->codec = codec;
    if (c->on) return;
    c->count = 0u;
    c->filled = 0u;
    c->adpcm = (glink_adpcm_t){0};
    frame_led_mic(c->led, true);
    c->on = true;
    c->hal->mic_enable(c->hal->ctx, 1u);
    announce(c);
}

void frame_capture_stop(frame_capture_t *c, uint8_t reason)
{
    if (!c->on) return;
    c->hal->mic_enable(c->hal->ctx, 0u);
    c->on = false;
    c->count = 0u;
    frame_led_mic(c->led, false);
    (void)report(c, reason);
}

void frame_capture_reset_count(frame_capture_t *c)
{
    c->dropped = 0u;
}

void frame_capture_push(frame_capture_t *c, const int16_t *pcm, size_t n)
{
    if (!c->on) return;
    uint32_t sample = (uint32_t)c->clock->sample;
    for (size_t done = 0; done < n;) {
        frame_capture_slot_t *slot = slot_at(c, c->count);
        /* The driver lost samples: a frame never hides a hole, so what was begun before it goes. */
        if (c->filled > 0u && slot->sample + c->filled != sample) c->filled = 0u;
        if (c->filled == 0u) slot->sample = sample;

        const size_t room = GLINK_FRAME_SAMPLES - c->filled;
        const size_t take = n - done < room ? n - done : room;
        memcpy(slot->pcm + c->filled, pcm + done, take * sizeof pcm[0]);
        c->filled = (uint16_t)(c->filled + take);
        done += take;
        sample += (uint32_t)take;

        if (c->filled < GLINK_FRAME_SAMPLES) continue;
        c->filled = 0u;
        c->count++;
        if (c->count > FRAME_CAPTURE_SLOTS) {
            drop_oldest(c);
            c->dropped++;
        }
    }
}

static void pack_pcm(const int16_t *samples, uint8_t *pcm)
{
    for (size_t i = 0; i < GLINK_FRAME_SAMPLES; i++) {
        const uint16_t value = (uint16_t)samples[i];
        pcm[2u * i] = (uint8_t)value;
        pcm[2u * i + 1u] = (uint8_t)(value >> 8);
    }
}

size_t frame_capture_pull(frame_capture_t *c, uint8_t *flags, uint8_t *payload, size_t cap)
{
    if (!c->on || !announced(c) || c->count == 0u) return 0u;

    const frame_capture_slot_t *slot = slot_at(c, 0u);
    const bool adpcm = c->codec == GLINK_CODEC_IMA_ADPCM;
    uint8_t pcm[2u * GLINK_FRAME_SAMPLES]; /* as octets of the wire, whichever codec */
    size_t n = sizeof pcm;
    if (adpcm) n = glink_adpcm_encode(&c->adpcm, slot->pcm, GLINK_FRAME_SAMPLES, pcm);
    else pack_pcm(slot->pcm, pcm);
    const glink_mic_audio_t audio = {
        .sample = slot->sample, .dropped_frames = (uint16_t)c->dropped, .pcm = pcm, .pcm_len = n};
    *flags = adpcm ? GLINK_FLAG_ADPCM : 0u;
    drop_oldest(c);
    return glink_mic_audio_pack(&audio, payload, cap);
}
