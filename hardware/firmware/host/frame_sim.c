/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_sim.h"

#include <string.h>

#include "frame_app.h"

#ifndef FRAME_SIM_BUILD_HASH
#define FRAME_SIM_BUILD_HASH 0u /* a checksum of these sources, where the build computes one */
#endif

#define BLOCK_SAMPLES GLINK_FRAME_SAMPLES
#define BLOCK_US 20000u
_Static_assert(BLOCK_SAMPLES * 1000000ull == (unsigned long long)BLOCK_US * GLINK_SAMPLE_RATE_HZ, "one clock");

struct frame_sim {
    frame_app_t app;
    frame_sim_hal_t hal;
    uint8_t *jpeg;
    uint32_t jpeg_cap;
    bool booted;
    bool mic_on;
    bool speaker_on;
    bool more; /* the last step's buffer was full */
    uint32_t baud;      /* the rate that the frame has set */
    uint32_t told_baud; /* the one that was told: another one waits until the step is over that spoke before it */
    size_t made;        /* octets of this step */
    uint64_t now_us;
    uint64_t block_us; /* when the next block of samples is complete */
    uint64_t photo_us; /* when the camera has its picture */
};

static uint32_t sample_now(const frame_sim_t *sim)
{
    return (uint32_t)sim->app.clock.sample;
}

/* ---- the board that frame_app sees ---- */

static void led(void *ctx, uint8_t level)
{
    frame_sim_t *sim = ctx;
    sim->hal.led(sim->hal.ctx, sample_now(sim), level);
}

static void mic_enable(void *ctx, uint8_t on)
{
    frame_sim_t *sim = ctx;
    sim->mic_on = on != 0u;
    sim->hal.mic_enable(sim->hal.ctx, sample_now(sim), on);
}

static void speaker_enable(void *ctx, uint8_t on)
{
    frame_sim_t *sim = ctx;
    sim->speaker_on = on != 0u;
    sim->hal.speaker_enable(sim->hal.ctx, sample_now(sim), on);
}

static int32_t camera_start(void *ctx)
{
    frame_sim_t *sim = ctx;
    const int32_t ms = sim->hal.camera_start(sim->hal.ctx, sample_now(sim));
    if (ms < 0) return ms;
    sim->photo_us = sim->now_us + (uint64_t)((uint32_t)ms * 1000u); /* 32 bits of microseconds are an hour */
    return 0;
}

static int32_t camera_stop(void *ctx)
{
    frame_sim_t *sim = ctx;
    const int32_t running = sim->hal.camera_stop(sim->hal.ctx, sample_now(sim));
    if (running == 0) sim->photo_us = GLINK_NEVER;
    return running;
}

static int32_t battery_percent(void *ctx)
{
    frame_sim_t *sim = ctx;
    return sim->hal.battery_percent(sim->hal.ctx);
}

static void tell_rate(frame_sim_t *sim)
{
    if (sim->baud == sim->told_baud || sim->made > 0u) return;
    sim->told_baud = sim->baud;
    sim->hal.set_rate(sim->hal.ctx, sample_now(sim), sim->baud);
}

static void set_rate(void *ctx, uint32_t baud)
{
    frame_sim_t *sim = ctx;
    sim->baud = baud;
    tell_rate(sim);
}

/* ---- time ---- */

static void set_time(frame_sim_t *sim, uint64_t now_us)
{
    sim->now_us = now_us;
    frame_app_tick(&sim->app, now_us);
    if (now_us < sim->photo_us) return;
    sim->photo_us = GLINK_NEVER;
    const int32_t n = sim->hal.camera_read(sim->hal.ctx, sample_now(sim), sim->jpeg, sim->jpeg_cap);
    if (n >= 0) frame_app_on_photo(&sim->app, sim->jpeg, (uint32_t)n, GLINK_PHOTO_STATUS_OK);
    else frame_app_on_photo(&sim->app, NULL, 0u, (uint8_t)-n);
}

/* At the end of a block: what was heard in it, and what is played in the next one. */
static void pass_block(frame_sim_t *sim)
{
    int16_t pcm[BLOCK_SAMPLES];
    if (sim->mic_on) {
        sim->hal.mic_read(sim->hal.ctx, sample_now(sim), pcm, BLOCK_SAMPLES);
        frame_app_on_mic(&sim->app, pcm, BLOCK_SAMPLES);
    }
    frame_app_samples_passed(&sim->app, BLOCK_SAMPLES);
    set_time(sim, sim->block_us);
    if (sim->speaker_on) {
        frame_app_speaker_pull(&sim->app, pcm, BLOCK_SAMPLES);
        sim->hal.speaker_write(sim->hal.ctx, sample_now(sim), pcm, BLOCK_SAMPLES);
    }
    sim->block_us += BLOCK_US;
}

/* While nothing is heard, played or due, only the sample clock moves: hours pass in no time. */
static void pass_quietly(frame_sim_t *sim, uint64_t now_us)
{
    const uint64_t due_us = frame_sim_next_us(sim);
    if (sim->mic_on || sim->speaker_on) return;
    for (; sim->block_us <= now_us && sim->block_us < due_us; sim->block_us += BLOCK_US) {
        frame_app_samples_passed(&sim->app, BLOCK_SAMPLES);
    }
}

static void speak(frame_sim_t *sim, uint8_t *out, uint32_t cap)
{
    if (sim->baud != sim->told_baud) return;
    sim->made += frame_app_transmit(&sim->app, out + sim->made, cap - sim->made);
}

/* ---- the simulated frame ---- */

uint32_t frame_sim_bytes(void)
{
    return (uint32_t)sizeof(frame_sim_t);
}

/* Spreads a small seed over 32 bits (the finaliser of MurmurHash3). */
static uint32_t spread(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ (x >> 16);
}

void frame_sim_init(frame_sim_t *sim, const frame_sim_hal_t *hal, uint8_t *jpeg, uint32_t jpeg_cap,
                    const frame_sim_boot_t *boot)
{
    const frame_hal_t board = {.ctx = sim,
                               .led = led,
                               .mic_enable = mic_enable,
                               .speaker_enable = speaker_enable,
                               .camera_start = camera_start,
                               .camera_stop = camera_stop,
                               .battery_percent = battery_percent,
                               .max_baud = boot->max_baud,
                               .set_rate = set_rate};
    glink_hello_ack_t identity = {.boot_id = spread(boot->seed + boot->number),
                                  .reset_reason = (uint8_t)boot->reset_reason,
                                  .led_kind = GLINK_LED_KIND_SOFTWARE,
                                  .capabilities = boot->capabilities,
                                  .build_hash = FRAME_SIM_BUILD_HASH,
                                  .device_id = {'s', 'i', 'm', '-'},
                                  .firmware_version = FRAME_APP_VERSION,
                                  .name = "simulated frame"};
    const uint32_t id = spread(boot->seed);
    for (unsigned i = 0; i < 4u; i++) identity.device_id[4u + i] = (uint8_t)(id >> (8u * i));

    sim->hal = *hal;
    sim->jpeg = jpeg;
    sim->jpeg_cap = jpeg_cap;
    sim->photo_us = GLINK_NEVER;
    frame_app_init(&sim->app, &board, &identity, (uint16_t)identity.boot_id);
    if (boot->note_n > 0u) glink_log(&sim->app.link, boot->note, boot->note_n);
}

uint32_t frame_sim_step(frame_sim_t *sim, uint64_t now_us, uint8_t button, const uint8_t *rx, uint32_t n,
                        uint8_t *out, uint32_t cap)
{
    sim->made = 0;
    tell_rate(sim);
    if (!sim->booted) {
        sim->booted = true;
        sim->block_us = now_us + BLOCK_US;
    }
    /* What the frame would have said meanwhile lies in `out`, as it would in the buffers of a serial port. */
    for (pass_quietly(sim, now_us); sim->block_us <= now_us; pass_quietly(sim, now_us)) {
        pass_block(sim);
        speak(sim, out, cap);
    }
    set_time(sim, now_us);
    frame_app_on_button_level(&sim->app, button != 0u);
    frame_app_receive(&sim->app, rx, n);
    speak(sim, out, cap);
    sim->more = sim->made == cap || sim->baud != sim->told_baud;
    return (uint32_t)sim->made;
}

uint64_t frame_sim_next_us(const frame_sim_t *sim)
{
    if (sim->more) return sim->now_us;
    uint64_t next = frame_app_next_us(&sim->app);
    if (sim->photo_us < next) next = sim->photo_us;
    if ((sim->mic_on || sim->speaker_on) && sim->block_us < next) next = sim->block_us;
    return next;
}
