/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_photo.h"

#include <string.h>

#include "frame_jpeg.h"
#include "glink_crc32.h"

static void report(frame_photo_t *p, uint8_t status)
{
    const glink_photo_event_t event = {
        .object = p->object, .status = status, .size_bytes = p->size, .crc32 = p->crc};
    uint8_t out[GLINK_PHOTO_EVENT_BYTES];
    (void)glink_report(p->link, out, glink_photo_event_pack(&event, out, sizeof out));
}

/* Gives the buffer back to the camera. */
static void forget(frame_photo_t *p)
{
    glink_unsend(p->link);
    p->state = FRAME_PHOTO_NONE;
    p->jpeg = NULL;
    p->size = 0u;
    p->crc = 0u;
    p->hal->camera_stop(p->hal->ctx);
}

void frame_photo_init(frame_photo_t *p, const frame_hal_t *hal, const frame_clock_t *clock, glink_t *link,
                      frame_led_t *led)
{
    memset(p, 0, sizeof *p);
    p->hal = hal;
    p->clock = clock;
    p->link = link;
    p->led = led;
}

uint8_t frame_photo_take(frame_photo_t *p, uint16_t *object)
{
    if (p->state == FRAME_PHOTO_TAKING) return GLINK_RPC_STATUS_BUSY;
    if (p->state == FRAME_PHOTO_READY) forget(p);

    frame_led_camera(p->led, true);
    if (p->hal->camera_start(p->hal->ctx) < 0) {
        frame_led_camera(p->led, false);
        return GLINK_RPC_STATUS_FAILED;
    }
    p->object++;
    if (p->object == 0u) p->object = 1u; /* 0 is no object */
    p->state = FRAME_PHOTO_TAKING;
    p->timeout_us = p->clock->now_us + FRAME_PHOTO_TIMEOUT_US;
    *object = p->object;
    return GLINK_RPC_STATUS_ACCEPTED;
}

void frame_photo_done(frame_photo_t *p, const uint8_t *jpeg, uint32_t n, uint8_t status)
{
    if (p->state != FRAME_PHOTO_TAKING) return;

    int32_t length = 0;
    if (status == GLINK_PHOTO_STATUS_OK && n > GLINK_MAX_OBJECT_BYTES) status = GLINK_PHOTO_STATUS_TOO_LARGE;
    if (status == GLINK_PHOTO_STATUS_OK) {
        length = frame_jpeg_length(jpeg, n);
        if (length < 0) status = GLINK_PHOTO_STATUS_NOT_JPEG;
    }
    if (status == GLINK_PHOTO_STATUS_OK) {
        p->state = FRAME_PHOTO_READY;
        p->jpeg = jpeg;
        p->size = (uint32_t)length;
        p->crc = glink_crc32(0u, jpeg, p->size);
        p->taken++;
    } else {
        forget(p);
    }
    report(p, status);
    frame_led_camera(p->led, false);
}

static void read_jpeg(void *ctx, uint32_t offset, uint8_t *out, size_t n)
{
    const frame_photo_t *p = ctx;
    memcpy(out, p->jpeg + offset, n);
}

uint8_t frame_photo_read(frame_photo_t *p, uint16_t object, uint32_t offset)
{
    if (p->state == FRAME_PHOTO_TAKING && object == p->object) return GLINK_RPC_STATUS_BUSY;
    if (p->state != FRAME_PHOTO_READY || object != p->object) return GLINK_RPC_STATUS_NOT_FOUND;
    if (offset > p->size) return GLINK_RPC_STATUS_BAD_ARGUMENT;
    glink_send_object(p->link, p->object, read_jpeg, p, p->size, offset);
    return GLINK_RPC_STATUS_OK;
}

uint8_t frame_photo_drop(frame_photo_t *p, uint16_t object)
{
    if (p->state != FRAME_PHOTO_READY || object != p->object) return GLINK_RPC_STATUS_NOT_FOUND;
    forget(p);
    return GLINK_RPC_STATUS_OK;
}

void frame_photo_stop(frame_photo_t *p)
{
    if (p->state == FRAME_PHOTO_NONE) return;
    forget(p);
    frame_led_camera(p->led, false);
}

void frame_photo_tick(frame_photo_t *p)
{
    if (p->clock->now_us < frame_photo_next_us(p)) return;
    frame_photo_done(p, NULL, 0u, GLINK_PHOTO_STATUS_CAPTURE_FAILED);
}

uint64_t frame_photo_next_us(const frame_photo_t *p)
{
    return p->state == FRAME_PHOTO_TAKING ? p->timeout_us : GLINK_NEVER;
}
