/* SPDX-License-Identifier: Apache-2.0 */
/* The camera. Its sensor has a clock only while a picture is being taken: it is started for each one and stopped after.
 * Threads: app task. The camera task behind it takes its time. */
#ifndef CAMERA_H
#define CAMERA_H

#include <stdbool.h>
#include <stdint.h>

typedef struct picture {
    const uint8_t *jpeg; /* stays until the next camera_take() */
    uint32_t n;
    uint8_t status; /* photo_status */
} picture_t;

/* Sets the picture's buffer aside; the sensor stays off. */
void camera_start(void);

/* Begins to take a picture. Returns 0, or -1 while one is being taken or where there is no camera. */
int32_t camera_take(void);

/* The picture is not wanted any more: the sensor goes off with the frame that it is at. Returns whether it may still
 * be on; camera_ready() then tells when it is off. */
bool camera_cancel(void);

/* Takes the picture that is ready, and whose sensor is off again. Returns false when there is none. */
bool camera_ready(picture_t *picture);

#endif
