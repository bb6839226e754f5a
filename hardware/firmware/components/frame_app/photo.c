/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_photo.h"

#include <string.h>

#include "frame_jpeg.h"
#include "glink_crc32.h"

static void report(frame_photo_t *p, uint8_t status, uint32_t size, uint32_t crc)
{
    const glink_photo_event_t event = {
        .object = p->object->number, .status = status, .size_bytes = size, .crc32 = crc};
    uint8_t out[GLINK_PHOTO_EVENT_BYTES];
    (void)glink_report(p->link, out, glink_photo_event_pack(&event, out, sizeof out));
}

void frame_photo_init(frame_photo_t *p, const frame_hal_t *hal, const frame_clock_t *clock, glink_t *link,
                      frame_led_t *led, frame_object_t *object)
{
    memset(p, 0, sizeof *p);
    p->hal = hal;
    p->clock = clock;
    p->link = link;
    p->led = led;
    p->object = object;
    p->announced = true;
}

/* Gives the camera its buffer back. The LED goes dark only when the sensor is off. */
static void stop_camera(frame_photo_t *p)
{
    const bool off = p->hal->camera_stop(p->hal->ctx) == 0;
    p->state = off ? FRAME_PHOTO_IDLE : FRAME_PHOTO_STOPPING;
    if (off) frame_led_camera(p->led, false);
}

uint8_t frame_photo_take(frame_photo_t *p, uint16_t *object)
{
    if (p->state == FRAME_PHOTO_STOPPING) return GLINK_RPC_STATUS_BUSY;
    const uint8_t status = frame_object_expect(p->object, object);
    if (status != GLINK_RPC_STATUS_OK) return status;

    frame_led_camera(p->led, true);
    if (p->hal->camera_start(p->hal->ctx) < 0) {
        frame_led_camera(p->led, false);
        frame_object_clear(p->object);
        return GLINK_RPC_STATUS_FAILED;
    }
    p->state = FRAME_PHOTO_TAKING;
    p->announced = false;
    p->led_event = p->led->stamp;
    p->timeout_us = p->clock->now_us + FRAME_PHOTO_TIMEOUT_US;
    return GLINK_RPC_STATUS_ACCEPTED;
}

static void read_jpeg(void *ctx, uint32_t offset, uint8_t *out, size_t n)
{
    const frame_photo_t *p = ctx;
    memcpy(out, p->jpeg + offset, n);
}

/* The picture is read no more. Its sensor has been off since it was taken. */
static void release_jpeg(void *ctx)
{
    frame_photo_t *p = ctx;
    p->jpeg = NULL;
    (void)p->hal->camera_stop(p->hal->ctx);
}

static void fail(frame_photo_t *p, uint8_t status)
{
    frame_object_clear(p->object);
    report(p, status, 0u, 0u);
    stop_camera(p);
}

/* A picture was taken, or not, and the sensor is off. */
static void finish(frame_photo_t *p, const uint8_t *jpeg, uint32_t n, uint8_t status)
{
    int32_t length = 0;
    if (status == GLINK_PHOTO_STATUS_OK && n > GLINK_MAX_OBJECT_BYTES) status = GLINK_PHOTO_STATUS_TOO_LARGE;
    if (status == GLINK_PHOTO_STATUS_OK) {
        length = frame_jpeg_length(jpeg, n);
        if (length < 0) status = GLINK_PHOTO_STATUS_NOT_JPEG;
    }
    if (status == GLINK_PHOTO_STATUS_OK) {
        const uint32_t size = (uint32_t)length;
        const uint32_t crc = glink_crc32(0u, jpeg, size);
        const frame_object_source_t source = {.ctx = p, .read = read_jpeg, .release = release_jpeg};
        p->jpeg = jpeg;
        p->taken++;
        frame_object_offer(p->object, source, size, crc);
        report(p, status, size, crc);
        p->state = FRAME_PHOTO_IDLE;
        frame_led_camera(p->led, false);
    } else {
        fail(p, status);
    }
}

void frame_photo_done(frame_photo_t *p, const uint8_t *jpeg, uint32_t n, uint8_t status)
{
    if (p->state == FRAME_PHOTO_STOPPING) {
        p->state = FRAME_PHOTO_IDLE;
        frame_led_camera(p->led, false);
    } else if (p->state == FRAME_PHOTO_TAKING) {
        finish(p, jpeg, n, status);
    }
}

bool frame_photo_announced(frame_photo_t *p)
{
    if (p->announced) return true;
    if (glink_lost(p->link, p->led_event)) {
        p->announced = true;
        if (p->state == FRAME_PHOTO_TAKING) fail(p, GLINK_PHOTO_STATUS_CAPTURE_FAILED);
        else if (p->jpeg != NULL) frame_object_clear(p->object);
    } else {
        p->announced = glink_reported(p->link, p->led_event);
    }
    return p->announced;
}

void frame_photo_stop(frame_photo_t *p)
{
    if (p->state == FRAME_PHOTO_TAKING) stop_camera(p);
}

void frame_photo_tick(frame_photo_t *p)
{
    (void)frame_photo_announced(p);
    if (p->clock->now_us >= frame_photo_next_us(p)) fail(p, GLINK_PHOTO_STATUS_CAPTURE_FAILED);
}

uint64_t frame_photo_next_us(const frame_photo_t *p)
{
    return p->state == FRAME_PHOTO_TAKING ? p->timeout_us : GLINK_NEVER;
}
