/* SPDX-License-Identifier: Apache-2.0 */
/* A frame on a board that watches it: drivers that note what they are told, time, and a host's ear on the wire.
 * Whatever is sent to the frame, what it does with its sensors must be explained by it. */
#ifndef FUZZ_BOARD_H
#define FUZZ_BOARD_H

#include "frame_app.h"
#include "hearing.h"

typedef enum board_camera {
    BOARD_CAMERA_PICTURE, /* hearing_picture() */
    BOARD_CAMERA_GIVEN,   /* board_t.given */
    BOARD_CAMERA_REFUSES,
    BOARD_CAMERA_FAILS,
    BOARD_CAMERA_SILENT,
} board_camera_t;

typedef struct board {
    frame_app_t app;
    hearing_t hearing;
    uint64_t now_us;

    /* ---- audio ---- */
    uint32_t block_samples; /* that a driver moves at once */
    uint64_t block_us;      /* when the next block is complete */
    uint64_t sample;

    /* ---- what the drivers were told ---- */
    uint8_t led;
    bool mic;
    bool amplifier;
    bool exposing; /* the camera's sensor is on */
    bool stopping; /* ... and its picture is not wanted */
    uint64_t photo_us;
    uint32_t baud;
    uint64_t baud_us; /* when it changed */

    /* ---- what the camera does ---- */
    uint8_t camera; /* board_camera_t */
    bool camera_runs_on; /* to the end of its exposure, stopped or not */
    const uint8_t *given;
    uint32_t given_n;
    uint8_t *jpeg; /* as long as it is, and only until it may no longer be read */

    /* ---- what the frame must have heard ---- */
    uint16_t session;
    uint16_t highest[GLINK_CHANNELS];
    uint64_t heard_us; /* last new frame of its session, or octets that nobody knows */
    bool heard_at_baud; /* since the rate changed */
} board_t;

/* A frame at boot. `block_ms` of audio at a time. */
void board_init(board_t *b, uint32_t capabilities, uint32_t max_baud, uint32_t block_ms);
void board_free(board_t *b);

/* The host sends octets that mean who knows what. */
void board_receive(board_t *b, const uint8_t *bytes, size_t n);

/* The host sends a valid frame with `n` <= GLINK_MAX_PAYLOAD_BYTES octets of payload. */
void board_receive_frame(board_t *b, const glink_header_t *header, const uint8_t *payload, size_t n);

/* The line takes up to `room` octets. Returns whether that was all. */
bool board_transmit(board_t *b, size_t room);

/* Time passes. The frame is visited when it wants to be, and for each block of audio; the line takes `room` at a time. */
void board_advance(board_t *b, uint64_t us, size_t room);

/* Time passes in which the frame is not visited; audio is lost. */
void board_stall(board_t *b, uint64_t us);

/* The line loses what it has not taken yet of the frame under way. */
void board_tear(board_t *b);

#endif
