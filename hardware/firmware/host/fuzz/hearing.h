/* SPDX-License-Identifier: Apache-2.0 */
/* A host that only listens: takes what the frame says octet by octet and checks that it may say so. */
#ifndef FUZZ_HEARING_H
#define FUZZ_HEARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "glink.h"

#define HEARING_MAX_ACKS 64u
#define HEARING_PICTURE_BYTES 12000u /* more frames than the usual window */

typedef struct hearing {
    const glink_t *link; /* whose state says what it may speak of */
    uint64_t now_us;
    uint64_t last_us; /* of the last octet */
    uint32_t baud;    /* of the line, 0 where it has none */
    uint32_t promised_baud; /* by the last frame */
    bool led;         /* the next frame's first zero has come */
    glink_deframer_t deframer;
    bool torn;     /* the frame has given one up in this session, */
    bool half;     /* whose beginning may have come, */
    uint16_t gaps; /* and whose number is missing on one of these channels, a bit each */

    uint16_t session;
    uint16_t seq[GLINK_CHANNELS];     /* the last one heard */
    uint16_t allowed[GLINK_CHANNELS]; /* the last grant heard */
    uint32_t calls;                   /* that the frame may have got in all sessions, ... */
    uint32_t replies;                 /* ... and what it answered */
    uint16_t bulk_allowed;            /* highest BulkData that the host permits */
    bool unlimited;                   /* the host's grants are not known */
    bool leapt;                       /* the host's numbers jumped so that they may have come round */
    bool capturing;                   /* as the events said */
    uint16_t object;                  /* that may be read */
    bool pattern;                     /* the camera's last picture has the octets of hearing_picture() */
    uint16_t pattern_object;          /* that picture */
    uint32_t write_size;              /* of the object that the host sends */
    uint64_t refusal_us;              /* when the host may be told next that its session is unknown */

    uint8_t event[GLINK_EVENT_MAX_BYTES]; /* the last one */
    size_t event_n;
    uint16_t event_seq;
    unsigned event_tries;
    bool event_acked;
    bool overlap; /* when that came, a frame was under way, and may be this event again */
    bool event_wants_ack;
    uint32_t events_lost; /* glink's count, when that event came */

    uint16_t acks[HEARING_MAX_ACKS]; /* of events, that the host owes */
    size_t acks_n;
} hearing_t;

void hearing_init(hearing_t *h, const glink_t *link, uint32_t baud);

/* Takes what came from the frame at `now_us`. */
void hearing_take(hearing_t *h, const uint8_t *bytes, size_t n, uint64_t now_us);

/* The host acknowledges an event, and the frame knows it. */
void hearing_acknowledged(hearing_t *h, uint16_t seq);

/* The frame lost what it had not sent yet of the frame under way. */
void hearing_torn(hearing_t *h);

/* The sample that the microphone gives at this point of the sample clock. */
int16_t hearing_sample(uint32_t at);

/* An octet of the picture that the camera takes: a JPEG of HEARING_PICTURE_BYTES. */
uint8_t hearing_picture(uint32_t at);

#endif
