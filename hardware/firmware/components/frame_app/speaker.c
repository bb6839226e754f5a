/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_speaker.h"

#include <string.h>

#include "glink_adpcm.h"

#define STARVE_US (GLINK_DEAD_AFTER_MS * UINT64_C(1000))
#define UNITY_Q15 32768

/* ---- reports ---- */

static void report_started(frame_speaker_t *s, size_t into_block)
{
    const glink_playback_started_t event = {
        .stream = s->stream, .mic_sample = (uint32_t)(s->clock->sample + into_block), .speaker_sample = s->position};
    uint8_t out[GLINK_PLAYBACK_STARTED_BYTES];
    (void)glink_report(s->link, out, glink_playback_started_pack(&event, out, sizeof out));
}

static void report_underrun(frame_speaker_t *s, size_t into_block)
{
    const glink_underrun_t event = {.stream = s->stream,
                                    .mic_sample = (uint32_t)(s->clock->sample + into_block),
                                    .speaker_sample = s->position,
                                    .missing_samples = (uint16_t)s->hole};
    s->underruns++;
    s->underrun_samples += event.missing_samples;
    uint8_t out[GLINK_UNDERRUN_BYTES];
    (void)glink_report(s->link, out, glink_underrun_pack(&event, out, sizeof out));
}

static void report_ended(frame_speaker_t *s, uint16_t stream, uint8_t reason, uint32_t played, size_t into_block)
{
    const glink_playback_ended_t event = {.stream = stream,
                                          .reason = reason,
                                          .mic_sample = (uint32_t)(s->clock->sample + into_block),
                                          .played_samples = played};
    uint8_t out[GLINK_PLAYBACK_ENDED_BYTES];
    (void)glink_report(s->link, out, glink_playback_ended_pack(&event, out, sizeof out));
}

/* ---- queue ---- */

static size_t wrapped(size_t at)
{
    return at < FRAME_SPEAKER_SLOTS ? at : at - FRAME_SPEAKER_SLOTS;
}

static frame_speaker_slot_t *slot_at(frame_speaker_t *s, size_t behind_head)
{
    return &s->slots[wrapped(s->head + behind_head)];
}

static void pop(frame_speaker_t *s)
{
    s->head = (uint8_t)wrapped(s->head + 1u);
    s->count--;
}

/* ---- streams ---- */

static void follow_amplifier(frame_speaker_t *s)
{
    if (s->playing == s->amplifier) return;
    s->amplifier = s->playing;
    s->hal->speaker_enable(s->hal->ctx, s->playing ? 1u : 0u);
}

/* Starts playback when enough is in hand: a few slots, or all there is of this stream. */
static void start_if_ready(frame_speaker_t *s)
{
    if (!s->active || s->playing) return;
    bool ready = s->count >= FRAME_SPEAKER_START_SLOTS;
    for (size_t i = 0; i < s->count; i++) {
        const frame_speaker_slot_t *slot = slot_at(s, i);
        if (slot->last || slot->stream != s->stream) ready = true; /* a newer stream: the LAST of this one was lost */
    }
    s->playing = ready;
}

/* Makes the oldest queued stream the current one. */
static void begin_next(frame_speaker_t *s)
{
    s->active = s->count > 0u;
    s->playing = false;
    if (!s->active) return;
    s->stream = slot_at(s, 0u)->stream;
    s->started = false;
    s->position = 0u;
    s->played = 0u;
    s->hole = 0u;
    s->starve_us = s->clock->now_us + STARVE_US;
    start_if_ready(s);
}

static void mark_done(frame_speaker_t *s, uint16_t stream)
{
    if (s->has_done && !glink_seq_after(stream, s->done)) return;
    s->has_done = true;
    s->done = stream;
}

static void end_stream(frame_speaker_t *s, uint8_t reason, size_t into_block)
{
    report_ended(s, s->stream, reason, s->played, into_block);
    mark_done(s, s->stream);
    while (s->count > 0u && slot_at(s, 0u)->stream == s->stream) pop(s);
    begin_next(s);
}

/* ---- samples ---- */

/* Perceived loudness goes roughly with the square of the knob. Returns (percent / 100)^2 in Q15 without a division:
 * 32768 / 100^2 is 3.2768 = 3 + 290246 / 2^20, rounded right for every percent. At 100 it is exactly 1, so that no
 * product leaves the range of a sample. */
static int32_t gain_q15(const frame_speaker_t *s)
{
    if (s->muted) return 0;
    const uint32_t square = (uint32_t)s->percent * s->percent;
    return (int32_t)(3u * square + ((square * 290246u + (1u << 19)) >> 20));
}

static void copy_with_gain(const frame_speaker_t *s, int16_t *out, const int16_t *pcm, size_t n)
{
    const int32_t gain = gain_q15(s);
    for (size_t i = 0; i < n; i++) out[i] = (int16_t)((pcm[i] * gain + UNITY_Q15 / 2) >> 15);
}

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

/* Silence instead of samples, until the hole is too long. Returns how many. */
static size_t play_hole(frame_speaker_t *s, int16_t *out, size_t n, size_t into_block)
{
    n = at_most(n, FRAME_SPEAKER_MAX_HOLE_SAMPLES - s->hole);
    memset(out, 0, n * sizeof out[0]);
    s->hole += (uint32_t)n;
    if (s->hole == FRAME_SPEAKER_MAX_HOLE_SAMPLES) end_stream(s, GLINK_PLAYBACK_END_STARVED, into_block + n);
    return n;
}

/* Samples of the oldest slot, which belongs to the current stream. Returns how many, perhaps 0. */
static size_t play_slot(frame_speaker_t *s, frame_speaker_slot_t *slot, int16_t *out, size_t n, size_t into_block)
{
    const uint32_t ahead = slot->sample + slot->at - s->position; /* samples that never came, if not "negative" */
    size_t done = 0;

    if (ahead > INT32_MAX) { /* played already: the host sent it twice */
        slot->at = (uint16_t)(slot->at + at_most(0u - ahead, (size_t)(slot->n - slot->at)));
    } else if (ahead > FRAME_SPEAKER_MAX_HOLE_SAMPLES) { /* no host jumps that far */
        pop(s);
        return 0u;
    } else if (ahead > s->hole) {
        return play_hole(s, out, at_most(n, ahead - s->hole), into_block);
    } else {
        s->position += ahead;
        done = at_most(n, (size_t)(slot->n - slot->at));
        if (done > 0u && !s->started) {
            s->started = true;
            report_started(s, into_block);
        }
        /* Silence while only the end mark was late is no loss. */
        if (s->hole > 0u && (done > 0u || ahead > 0u)) report_underrun(s, into_block);
        s->hole = 0u;
        copy_with_gain(s, out, slot->pcm + slot->at, done);
        slot->at = (uint16_t)(slot->at + done);
        s->position += (uint32_t)done;
        s->played += (uint32_t)done;
    }
    if (slot->at == slot->n) {
        const bool last = slot->last;
        pop(s);
        if (last) end_stream(s, GLINK_PLAYBACK_END_PLAYED, into_block + done);
    }
    return done;
}

void frame_speaker_pull(frame_speaker_t *s, int16_t *pcm, size_t n)
{
    size_t done = 0;
    while (done < n && s->playing) {
        frame_speaker_slot_t *slot = slot_at(s, 0u);
        if (s->count == 0u) done += play_hole(s, pcm + done, n - done, done);
        else if (slot->stream != s->stream) end_stream(s, GLINK_PLAYBACK_END_PLAYED, done);
        else done += play_slot(s, slot, pcm + done, n - done, done);
    }
    memset(pcm + done, 0, (n - done) * sizeof pcm[0]);
    follow_amplifier(s);
}

/* ---- from the wire ---- */

void frame_speaker_init(frame_speaker_t *s, const frame_hal_t *hal, const frame_clock_t *clock, glink_t *link,
                        uint8_t percent)
{
    memset(s, 0, sizeof *s);
    s->hal = hal;
    s->clock = clock;
    s->link = link;
    s->percent = percent;
}

/* Returns the samples that became of the octets, negative when they are malformed. */
static int32_t unpack_samples(int16_t pcm[GLINK_FRAME_SAMPLES], uint8_t flags, const glink_speaker_audio_t *audio)
{
    if ((flags & GLINK_FLAG_ADPCM) != 0u) return glink_adpcm_decode(audio->pcm, audio->pcm_len, pcm);
    const size_t n = audio->pcm_len / 2u;
    if (audio->pcm_len % 2u != 0u || n > GLINK_FRAME_SAMPLES) return GLINK_ERR_FORMAT;
    for (size_t i = 0; i < n; i++) pcm[i] = (int16_t)(audio->pcm[2u * i] | (uint16_t)(audio->pcm[2u * i + 1u] << 8));
    return (int32_t)n;
}

bool frame_speaker_push(frame_speaker_t *s, uint8_t flags, const glink_speaker_audio_t *audio)
{
    if (s->count == FRAME_SPEAKER_SLOTS) return false;
    if (s->has_done && !glink_seq_after(audio->stream, s->done)) return false;
    const uint16_t newest = s->count > 0u ? slot_at(s, s->count - 1u)->stream : s->stream;
    if (s->active && glink_seq_after(newest, audio->stream)) return false;

    frame_speaker_slot_t *slot = slot_at(s, s->count);
    const int32_t n = unpack_samples(slot->pcm, flags, audio);
    if (n < 0) return false;
    slot->sample = audio->sample;
    slot->stream = audio->stream;
    slot->n = (uint16_t)n;
    slot->at = 0u;
    slot->last = (flags & GLINK_FLAG_LAST) != 0u;
    s->count++;

    if (!s->active) begin_next(s);
    s->starve_us = s->clock->now_us + STARVE_US;
    start_if_ready(s);
    follow_amplifier(s);
    return true;
}

uint16_t frame_speaker_free(const frame_speaker_t *s)
{
    return (uint16_t)(FRAME_SPEAKER_SLOTS - s->count);
}

uint32_t frame_speaker_flush(frame_speaker_t *s, uint16_t stream)
{
    const bool current = s->active && !glink_seq_after(s->stream, stream);
    const uint32_t played = s->active ? s->played : 0u;
    uint16_t reported = s->stream;

    mark_done(s, stream);
    if (current) report_ended(s, s->stream, GLINK_PLAYBACK_END_FLUSHED, s->played, 0u);
    while (s->count > 0u && !glink_seq_after(slot_at(s, 0u)->stream, stream)) {
        const uint16_t queued = slot_at(s, 0u)->stream;
        if (queued != reported) report_ended(s, queued, GLINK_PLAYBACK_END_FLUSHED, 0u, 0u);
        reported = queued;
        pop(s);
    }
    if (current) begin_next(s);
    follow_amplifier(s);
    return played;
}

void frame_speaker_stop(frame_speaker_t *s)
{
    if (s->active) report_ended(s, s->stream, GLINK_PLAYBACK_END_SESSION, s->played, 0u);
    s->count = 0u;
    s->active = false;
    s->playing = false;
    s->has_done = false;
    follow_amplifier(s);
}

void frame_speaker_tick(frame_speaker_t *s)
{
    if (s->clock->now_us < frame_speaker_next_us(s)) return;
    end_stream(s, GLINK_PLAYBACK_END_STARVED, 0u);
}

uint64_t frame_speaker_next_us(const frame_speaker_t *s)
{
    return s->active && !s->playing ? s->starve_us : GLINK_NEVER;
}

uint16_t frame_speaker_queued(const frame_speaker_t *s)
{
    unsigned samples = 0;
    for (size_t i = 0; i < s->count; i++) {
        const frame_speaker_slot_t *slot = &s->slots[wrapped(s->head + i)];
        samples += (unsigned)(slot->n - slot->at);
    }
    return (uint16_t)samples;
}
