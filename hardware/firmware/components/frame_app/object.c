/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_object.h"

#include <string.h>

#include "glink_crc32.h"

/* A checksum in small steps: samples and octets from the host wait for none of them for long. */
#define STEP_BYTES 4096u
#define STEP_US 1000u
#define PIECE_BYTES 256u

void frame_object_init(frame_object_t *o, const frame_clock_t *clock, glink_t *link)
{
    memset(o, 0, sizeof *o);
    o->clock = clock;
    o->link = link;
    o->due_us = GLINK_NEVER;
}

void frame_object_clear(frame_object_t *o)
{
    glink_unsend(o->link);
    if (o->state == FRAME_OBJECT_READY && o->source.release != NULL) o->source.release(o->source.ctx);
    o->state = FRAME_OBJECT_NONE;
    o->due_us = GLINK_NEVER;
}

uint8_t frame_object_expect(frame_object_t *o, uint16_t *number)
{
    if (o->state == FRAME_OBJECT_COMING) return GLINK_RPC_STATUS_BUSY;
    frame_object_clear(o);
    o->number++;
    if (o->number == 0u) o->number = 1u; /* 0 is no object */
    o->state = FRAME_OBJECT_COMING;
    *number = o->number;
    return GLINK_RPC_STATUS_OK;
}

void frame_object_offer(frame_object_t *o, frame_object_source_t source, uint32_t size, uint32_t crc)
{
    o->source = source;
    o->size = size;
    o->crc = crc;
    o->state = FRAME_OBJECT_READY;
}

uint8_t frame_object_read(frame_object_t *o, uint16_t number, uint32_t offset)
{
    if (o->state == FRAME_OBJECT_NONE || number != o->number) return GLINK_RPC_STATUS_NOT_FOUND;
    if (o->state == FRAME_OBJECT_COMING) return GLINK_RPC_STATUS_BUSY;
    if (offset > o->size) return GLINK_RPC_STATUS_BAD_ARGUMENT;
    glink_send_object(o->link, o->number, o->source.read, o->source.ctx, o->size, offset);
    return GLINK_RPC_STATUS_OK;
}

uint8_t frame_object_drop(frame_object_t *o, uint16_t number)
{
    if (o->state != FRAME_OBJECT_READY || number != o->number) return GLINK_RPC_STATUS_NOT_FOUND;
    frame_object_clear(o);
    return GLINK_RPC_STATUS_OK;
}

/* ---- test objects ---- */

/* Four octets of test object `number` (the finaliser of MurmurHash3): any part of it can be made, in any order. */
static uint32_t test_word(uint16_t number, uint32_t at)
{
    uint32_t x = at + ((uint32_t)number << 20) + 1u;
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ (x >> 16);
}

static void read_test(void *ctx, uint32_t offset, uint8_t *out, size_t n)
{
    const frame_object_t *o = ctx;
    uint32_t word = test_word(o->number, offset >> 2);
    for (size_t i = 0; i < n; i++, offset++) {
        if ((offset & 3u) == 0u) word = test_word(o->number, offset >> 2);
        out[i] = (uint8_t)(word >> (8u * (offset & 3u)));
    }
}

static void check_more(frame_object_t *o)
{
    uint8_t piece[PIECE_BYTES];
    for (uint32_t step = 0; step < STEP_BYTES && o->checked < o->size; step += PIECE_BYTES) {
        const uint32_t left = o->size - o->checked;
        const uint32_t n = left < PIECE_BYTES ? left : PIECE_BYTES;
        read_test(o, o->checked, piece, n);
        o->crc = glink_crc32(o->crc, piece, n);
        o->checked += n;
    }
}

/* Returns OK with the result of MakeTestObject, or PENDING. */
static uint8_t go_on(frame_object_t *o, uint8_t *result, size_t *result_n)
{
    check_more(o);
    if (o->checked < o->size) {
        o->due_us = o->clock->now_us + STEP_US;
        return GLINK_RPC_STATUS_PENDING;
    }
    o->due_us = GLINK_NEVER;
    frame_object_offer(o, (frame_object_source_t){.ctx = o, .read = read_test}, o->size, o->crc);
    const glink_make_test_object_result_t made = {.object = o->number, .crc32 = o->crc};
    *result_n = glink_make_test_object_result_pack(&made, result, GLINK_MAKE_TEST_OBJECT_RESULT_BYTES);
    return GLINK_RPC_STATUS_OK;
}

uint8_t frame_object_make(frame_object_t *o, uint16_t call_id, uint32_t size, uint8_t *result, size_t *result_n)
{
    if (size > GLINK_MAX_TEST_OBJECT_BYTES) return GLINK_RPC_STATUS_BAD_ARGUMENT;
    uint16_t number = 0;
    const uint8_t status = frame_object_expect(o, &number);
    if (status != GLINK_RPC_STATUS_OK) return status;
    o->call_id = call_id;
    o->size = size;
    o->crc = 0u;
    o->checked = 0u;
    return go_on(o, result, result_n);
}

void frame_object_tick(frame_object_t *o)
{
    if (o->clock->now_us < o->due_us) return;
    uint8_t result[GLINK_MAKE_TEST_OBJECT_RESULT_BYTES];
    size_t n = 0;
    if (go_on(o, result, &n) == GLINK_RPC_STATUS_PENDING) return;
    (void)glink_finish(o->link, o->call_id, GLINK_RPC_STATUS_OK, result, n);
}

uint64_t frame_object_next_us(const frame_object_t *o)
{
    return o->due_us;
}
