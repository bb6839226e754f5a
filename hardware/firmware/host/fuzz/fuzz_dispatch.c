/* SPDX-License-Identifier: Apache-2.0 */
/* A host that speaks the protocol well and talks nonsense: every frame is whole, its CRC right and its session the
 * frame's own, so that everything behind the framing is reached.
 *
 * The input: an octet each for the board (traits) and the capabilities; then records of five octets and a payload:
 *
 *     what     low half: a channel, or a verb (below); high half: how often again
 *     how      flags of the header and FORGE, or the verb's argument
 *     when     low half: how long the frame lives then; high half: what its line takes at a time
 *     where    low half: the number on its channel; high half: how far the payload is filled up
 *     length   of the payload that follows
 *
 * Without FORGE the payload is completed to something that makes sense: running positions, call ids, an object that
 * exists, a checksum that is right. */
#include <string.h>

#include "board.h"
#include "check.h"
#include "glink_crc32.h"

enum {
    VERB_GREET = 9,   /* Hello and Confirm; argument: see greet() */
    VERB_BUTTON = 10, /* argument: its level */
    VERB_ACKS = 11,   /* argument: how events are acknowledged from now on */
    VERB_NOISE = 12,  /* octets that are no frame */
    VERB_CAMERA = 13, /* argument: what it does from now on; the payload is what it gives */
    VERB_TEAR = 14,   /* the line loses octets that it had taken */
    VERB_STALL = 15,  /* the frame is not visited for this time */
};

#define FORGE 0x40u        /* the payload as it is, type octet and all */
#define SAME_CALL 0x20u    /* on rpc: the last call again */
#define SKIP 0x20u         /* on bulk_down: a piece was lost before this one */
#define OTHER_CHANNEL 8u   /* of a frame with FORGE on channel test: the first octet of its payload */
#define MAX_TIME_US 25000000u
#define MAX_FRAMES 400u
#define MAX_GIVEN_BYTES 4096u

static const uint32_t times_us[16] = {0,      0,      1000,   5000,    20000,   20000,   50000,   80000,
                                      100000, 200000, 300000, 500000, 1000000, 1600000, 2900000, 3200000};
static const uint32_t rooms[16] = {[1] = 1, [2] = 7, [3] = 16, [4] = 64, [5] = 200, [6] = 700, [7] = 1041};
static const uint16_t fills[16] = {[1] = 8,   [2] = 40,  [3] = 160,  [4] = 164,  [5] = 170,  [6] = 240, [7] = 256,
                                   [8] = 320, [9] = 640, [10] = 646, [11] = 648, [12] = 1016, [13] = 1022, [14] = 1024};

typedef struct talk {
    board_t board;
    size_t room;
    unsigned frames;
    uint8_t minor;
    uint32_t nonce;
    uint16_t seq[GLINK_CHANNELS + 1u]; /* the last one sent; all unknown channels share one */
    uint16_t call_id;
    uint32_t spoken; /* samples of the stream */
    uint16_t stream;
    uint32_t written; /* octets of the object */
    uint16_t object;
    uint8_t acks;
    uint8_t given[MAX_GIVEN_BYTES];
} talk_t;

/* What the host's object consists of. */
static uint8_t object_octet(uint32_t at)
{
    return (uint8_t)(at * 7u);
}

static void say(talk_t *t, const glink_header_t *header, const uint8_t *payload, size_t n)
{
    t->frames++;
    board_receive_frame(&t->board, header, payload, n);
}

static void say_link(talk_t *t, const uint8_t *payload, size_t n)
{
    const glink_header_t header = {.chan = GLINK_CHAN_LINK,
                                   .seq = ++t->seq[GLINK_CHAN_LINK],
                                   .session = t->board.app.link.session};
    say(t, &header, payload, n);
}

/* ---- events are acknowledged ---- */

typedef enum acks {
    ACKS_ALL,
    ACKS_NONE,
    ACKS_TWICE,
    ACKS_WRONG,
    ACKS_SOME, /* every other one */
} acks_t;

static void acknowledge(talk_t *t)
{
    hearing_t *h = &t->board.hearing;
    while (h->acks_n > 0u) {
        const uint16_t seq = h->acks[0];
        h->acks_n--;
        memmove(h->acks, h->acks + 1, h->acks_n * sizeof h->acks[0]);
        unsigned times = 1;
        glink_event_ack_t ack = {.seq = seq};
        if (t->acks == ACKS_NONE) times = 0;
        if (t->acks == ACKS_TWICE) times = 2;
        if (t->acks == ACKS_SOME) times = seq & 1u;
        if (t->acks == ACKS_WRONG) ack.seq = (uint16_t)(seq + 1u);
        uint8_t out[GLINK_EVENT_ACK_BYTES];
        const size_t n = glink_event_ack_pack(&ack, out, sizeof out);
        for (unsigned i = 0; i < times; i++) say_link(t, out, n);
        (void)board_transmit(&t->board, t->room);
    }
}

/* ---- time ---- */

/* In small steps, so that acknowledgements come in time. */
static void pass(talk_t *t, uint64_t us)
{
    const uint64_t step = 20000u;
    (void)board_transmit(&t->board, t->room);
    acknowledge(t);
    while (us > 0u) {
        const uint64_t part = us < step || t->acks == ACKS_NONE ? us : step;
        board_advance(&t->board, part, t->room);
        acknowledge(t);
        us -= part;
    }
}

/* ---- verbs ---- */

/* Bits of `how`: 0 minor, 1 no Hello, 2 no Confirm, 3 the nonce of before, 4 to 7 the bulk window. */
static void greet(talk_t *t, uint8_t how)
{
    uint8_t out[GLINK_HELLO_BYTES];
    if ((how & 8u) == 0u) t->nonce++;
    t->minor = how & 1u;
    if ((how & 2u) == 0u) {
        const glink_hello_t hello = {.major = GLINK_MAJOR, .minor = t->minor, .nonce = t->nonce};
        const glink_header_t header = {.chan = GLINK_CHAN_LINK, .seq = 1u};
        say(t, &header, out, glink_hello_pack(&hello, out, sizeof out));
        (void)board_transmit(&t->board, t->room);
        if ((how & 8u) == 0u) {
            memset(t->seq, 0, sizeof t->seq);
            t->call_id = 0u;
        }
    }
    if ((how & 4u) != 0u) return;
    const glink_confirm_t confirm = {.nonce = t->nonce, .bulk_window = (uint8_t)(how >> 4)};
    say_link(t, out, glink_confirm_pack(&confirm, out, sizeof out));
}

static void set_camera(talk_t *t, uint8_t how, const uint8_t *payload, size_t n)
{
    memcpy(t->given, payload, n);
    t->board.given = t->given;
    t->board.given_n = (uint32_t)n;
    t->board.camera = how % (BOARD_CAMERA_SILENT + 1u);
    t->board.camera_runs_on = (how & 0x80u) != 0u;
}

/* ---- frames ---- */

/* Returns the number of the next frame of a channel. */
static uint16_t number(talk_t *t, uint8_t chan, uint8_t where)
{
    uint16_t *last = &t->seq[chan < GLINK_CHANNELS ? chan : GLINK_CHANNELS];
    const uint16_t next = (uint16_t)(*last + 1u);
    switch (where) {
    case 8: /* again */
        return *last;
    case 9: /* an old one */
        return (uint16_t)(*last - 5u);
    case 10: /* lost ones before it */
        return *last = (uint16_t)(next + 3u);
    case 11: /* beyond every window */
        return *last = (uint16_t)(next + 300u);
    case 12: /* as far as can be */
        return *last = (uint16_t)(*last + 0x7FFFu);
    case 13: /* too far: behind */
        return (uint16_t)(*last + 0x8000u);
    default:
        return *last = next;
    }
}

/* Adds what a sensible host would: `payload` holds `n` octets and has room for all that a frame takes.
 * Returns the length. */
static size_t complete_call(talk_t *t, uint8_t how, uint8_t *payload, size_t n)
{
    uint8_t given[GLINK_MAX_PAYLOAD_BYTES];
    const size_t args_n = n > 1u ? n - 1u : 0u;
    memcpy(given, payload, n);
    if ((how & SAME_CALL) == 0u) t->call_id++;
    glink_call_t call = {.call_id = t->call_id, .method = n > 0u ? given[0] : 0u, .args = given + 1, .args_len = args_n};

    uint8_t args[GLINK_WRITE_OBJECT_ARGS_BYTES];
    if (call.method == GLINK_METHOD_WRITE_OBJECT && args_n < GLINK_WRITE_OBJECT_ARGS_BYTES) {
        uint32_t size = args_n > 1u ? given[2] : 0u;
        if (args_n > 2u) size |= (uint32_t)given[3] << 8;
        uint32_t crc = 0;
        for (uint32_t i = 0; i < size; i++) {
            const uint8_t octet = object_octet(i);
            crc = glink_crc32(crc, &octet, 1u);
        }
        t->object = args_n > 0u ? given[1] : 1u;
        t->written = 0u;
        const glink_write_object_args_t object = {.object = t->object, .size_bytes = size, .crc32 = crc};
        call.args_len = glink_write_object_args_pack(&object, args, sizeof args);
        call.args = args;
    } else if (call.method == GLINK_METHOD_READ_OBJECT && args_n <= 4u) {
        glink_read_object_args_t object = {.object = t->board.hearing.object};
        for (size_t i = 0; i < args_n; i++) object.offset |= (uint32_t)given[1u + i] << (8u * i);
        call.args_len = glink_read_object_args_pack(&object, args, sizeof args);
        call.args = args;
    } else if (call.method == GLINK_METHOD_DROP_OBJECT && args_n == 0u) {
        const glink_drop_object_args_t object = {.object = t->board.hearing.object};
        call.args_len = glink_drop_object_args_pack(&object, args, sizeof args);
        call.args = args;
    }
    if (call.method == GLINK_METHOD_WRITE_OBJECT && call.args_len >= GLINK_WRITE_OBJECT_ARGS_BYTES) {
        glink_write_object_args_t object;
        glink_write_object_args_unpack(&object, call.args, call.args_len);
        if (object.size_bytes > t->board.hearing.write_size) t->board.hearing.write_size = object.size_bytes;
    }
    return glink_call_pack(&call, payload, GLINK_MAX_PAYLOAD_BYTES);
}

static size_t complete_speaker(talk_t *t, uint8_t how, uint8_t *payload, size_t n)
{
    uint8_t pcm[GLINK_MAX_PAYLOAD_BYTES];
    if ((how & GLINK_FLAG_FIRST) != 0u) {
        t->stream++;
        t->spoken = 0u;
    }
    const size_t most = (size_t)2u * GLINK_FRAME_SAMPLES;
    n = n < most ? n : most;
    memcpy(pcm, payload, n);
    const glink_speaker_audio_t audio = {.sample = t->spoken, .stream = t->stream, .pcm = pcm, .pcm_len = n};
    const bool adpcm = (how & GLINK_FLAG_ADPCM) != 0u && n > 4u;
    t->spoken += (uint32_t)(adpcm ? 2u * (n - 4u) : n / 2u);
    return glink_speaker_audio_pack(&audio, payload, GLINK_MAX_PAYLOAD_BYTES);
}

static size_t complete_bulk(talk_t *t, uint8_t how, uint8_t *payload, size_t n)
{
    uint8_t data[GLINK_MAX_CHUNK_BYTES];
    n = n < sizeof data ? n : sizeof data;
    if ((how & SKIP) != 0u) t->written += (uint32_t)n;
    for (size_t i = 0; i < n; i++) data[i] = object_octet(t->written + (uint32_t)i);
    const glink_bulk_write_t write = {.object = t->object, .offset = t->written, .data = data, .data_len = n};
    t->written += (uint32_t)n;
    return glink_bulk_write_pack(&write, payload, GLINK_MAX_PAYLOAD_BYTES);
}

static void send(talk_t *t, uint8_t chan, uint8_t how, uint8_t where, const uint8_t *given, size_t given_n)
{
    uint8_t payload[GLINK_MAX_PAYLOAD_BYTES];
    size_t n = given_n;
    memcpy(payload, given, n);
    for (; n < fills[where >> 4]; n++) payload[n] = (uint8_t)(n * 37u);

    if ((how & FORGE) != 0u) {
        /* An event's acknowledgement by luck must be known to the ear as well: all is, in board_receive_frame(). */
        t->board.hearing.write_size = UINT32_MAX;
        if (chan == OTHER_CHANNEL && n > 0u) chan = payload[0];
    } else if (chan == GLINK_CHAN_RPC) {
        n = complete_call(t, how, payload, n);
    } else if (chan == GLINK_CHAN_SPEAKER) {
        n = complete_speaker(t, how, payload, n);
    } else if (chan == GLINK_CHAN_BULK_DOWN) {
        n = complete_bulk(t, how, payload, n);
    }
    glink_header_t header = {.chan = chan,
                             .flags = (uint8_t)(how & ~(FORGE | SAME_CALL)),
                             .seq = number(t, chan, where & 0x0Fu),
                             .session = t->board.app.link.session};
    if ((where & 0x0Fu) == 14u) header.session = 0u;
    if ((where & 0x0Fu) == 15u) header.session--;
    say(t, &header, payload, n);
}

/* ---- records ---- */

static void act(talk_t *t, uint8_t what, uint8_t how, uint8_t where, const uint8_t *payload, size_t n)
{
    switch (what) {
    case VERB_GREET:
        greet(t, how);
        break;
    case VERB_BUTTON:
        frame_app_on_button_level(&t->board.app, (how & 1u) != 0u);
        break;
    case VERB_ACKS:
        t->acks = how % (ACKS_SOME + 1u);
        break;
    case VERB_NOISE:
        board_receive(&t->board, payload, n);
        break;
    case VERB_CAMERA:
        set_camera(t, how, payload, n);
        break;
    case VERB_TEAR:
        board_tear(&t->board);
        break;
    case VERB_STALL:
        break;
    default:
        send(t, what, how, where, payload, n);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t blocks_ms[4] = {20, 10, 32, 7};
    static talk_t talk;
    if (size < 2u) return 0;
    const uint8_t traits = data[0];
    memset(&talk, 0, sizeof talk);
    talk.room = SIZE_MAX;
    board_init(&talk.board, (uint32_t)data[1], (traits & 4u) != 0u ? 2000000u : 0u, blocks_ms[traits & 3u]);
    greet(&talk, (uint8_t)((traits & 8u) != 0u ? 0u : 1u));
    pass(&talk, 0u);

    for (size_t at = 2; size - at >= 5u && talk.board.now_us < MAX_TIME_US && talk.frames < MAX_FRAMES;) {
        const uint8_t *record = data + at;
        const size_t left = size - at - 5u;
        const size_t n = record[4] < left ? record[4] : left;
        const uint64_t us = times_us[record[2] & 0x0Fu];
        const uint32_t room = rooms[record[2] >> 4];
        talk.room = room > 0u ? room : SIZE_MAX;
        for (unsigned i = 0; i <= (unsigned)(record[0] >> 4); i++) {
            act(&talk, record[0] & 0x0Fu, record[1], record[3], record + 5, n);
        }
        if ((record[0] & 0x0Fu) == VERB_STALL) board_stall(&talk.board, us);
        else pass(&talk, us);
        at += 5u + n;
    }
    board_free(&talk.board);
    return 0;
}
