/* SPDX-License-Identifier: Apache-2.0 */
/* One picture at a time: take it, check it, offer it to the host where the camera left it.
 * Threads: same task as the frame_app_t it belongs to. */
#ifndef FRAME_PHOTO_H
#define FRAME_PHOTO_H

#include <stdbool.h>
#include <stdint.h>

#include "frame_led.h"
#include "frame_object.h"

#define FRAME_PHOTO_TIMEOUT_US 5000000u /* a camera that gives nothing by then gives nothing at all */

typedef enum frame_photo_state {
    FRAME_PHOTO_IDLE,
    FRAME_PHOTO_TAKING,
    FRAME_PHOTO_STOPPING, /* nobody wants the picture any more, but the sensor may still be on */
} frame_photo_state_t;

typedef struct frame_photo {
    const frame_hal_t *hal;
    const frame_clock_t *clock;
    glink_t *link;
    frame_led_t *led;
    frame_object_t *object;
    uint8_t state;       /* frame_photo_state_t */
    uint16_t taken;      /* pictures that were good, since boot */
    const uint8_t *jpeg; /* the driver's buffer */
    bool announced;      /* the host has been told of the LED that was lit for the newest one */
    uint16_t led_event;  /* stamp of that event */
    uint64_t timeout_us;
} frame_photo_t;

void frame_photo_init(frame_photo_t *p, const frame_hal_t *hal, const frame_clock_t *clock, glink_t *link,
                      frame_led_t *led, frame_object_t *object);

/* LED, then the camera. The object before it is dropped. Returns an rpc_status: ACCEPTED with `*object`, or why not;
 * BUSY until the sensor of the picture before it is off. */
uint8_t frame_photo_take(frame_photo_t *p, uint16_t *object);

/* The camera is done: `n` octets at `jpeg`, which stay until camera_stop(), or a photo_status other than ok.
 * Reports the outcome, unless nobody wants it any more. Ignored unless the camera was started. */
void frame_photo_done(frame_photo_t *p, const uint8_t *jpeg, uint32_t n, uint8_t status);

/* Whether the LED's event went out that belongs to the newest picture: until then nothing of it may be read. Had it to go
 * for newer ones, the picture goes too. */
bool frame_photo_announced(frame_photo_t *p);

/* Stops the camera: the session is over. The LED stays lit until the sensor is off. */
void frame_photo_stop(frame_photo_t *p);

void frame_photo_tick(frame_photo_t *p);
uint64_t frame_photo_next_us(const frame_photo_t *p);

#endif
