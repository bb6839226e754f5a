/* SPDX-License-Identifier: Apache-2.0 */
/* COBS, CRC-32, frames and ADPCM: the vectors of tests/vectors, every buffer length, every damaged bit. */
#include <string.h>

#include "check.h"
#include "glink_adpcm.h"
#include "glink_cobs.h"
#include "glink_crc32.h"
#include "glink_err.h"
#include "glink_frame.h"

#define CANARY 0xC5u
#define ROOM 2304u

static uint8_t area[ROOM];

static void paint(void)
{
    memset(area, (int)CANARY, sizeof area);
}

static bool untouched_from(size_t at)
{
    for (; at < sizeof area; at++) {
        if (area[at] != CANARY) return false;
    }
    return true;
}

/* With each capacity from nothing to plenty: the right result or the right error, and nothing behind the end. */
static void cobs_vector(const uint8_t *raw, size_t n, const uint8_t *encoded, size_t m)
{
    for (size_t cap = 0; cap <= m + 2u; cap++) {
        paint();
        const int32_t got = glink_cobs_encode(raw, n, area, cap);
        CHECK(got == (cap < m ? (int32_t)GLINK_ERR_SPACE : (int32_t)m));
        if (cap >= m) CHECK(memcmp(area, encoded, m) == 0);
        CHECK(untouched_from(cap));
    }
    for (size_t cap = 0; cap <= n + 2u; cap++) {
        paint();
        const int32_t got = glink_cobs_decode(encoded, m, area, cap);
        CHECK(got == (cap < n ? (int32_t)GLINK_ERR_SPACE : (int32_t)n));
        if (cap >= n) CHECK(memcmp(area, raw, n) == 0);
        CHECK(untouched_from(cap));
    }
    CHECK(m <= GLINK_COBS_MAX_BYTES(n));

    paint(); /* in place, as far behind as the header promises */
    memcpy(area + n / 254u + 1u, raw, n);
    CHECK(glink_cobs_encode(area + n / 254u + 1u, n, area, ROOM) == (int32_t)m);
    CHECK(memcmp(area, encoded, m) == 0);
    CHECK(glink_cobs_decode(area, m, area, m) == (int32_t)n);
    CHECK(memcmp(area, raw, n) == 0);
}

static void cobs_refuses(void)
{
    static const uint8_t zero_inside[] = {3, 1, 0, 1};
    static const uint8_t zero_code[] = {2, 1, 0};
    static const uint8_t beyond_the_end[] = {5, 1, 2, 3};
    CHECK(glink_cobs_decode(zero_inside, sizeof zero_inside, area, ROOM) == GLINK_ERR_FORMAT);
    CHECK(glink_cobs_decode(zero_code, sizeof zero_code, area, ROOM) == GLINK_ERR_FORMAT);
    CHECK(glink_cobs_decode(beyond_the_end, sizeof beyond_the_end, area, ROOM) == GLINK_ERR_FORMAT);
}

static void crc_vector(const uint8_t *data, size_t n, uint32_t crc)
{
    CHECK(glink_crc32(0u, data, n) == crc);
    for (size_t cut = 0; cut <= n; cut++) CHECK(glink_crc32(glink_crc32(0u, data, cut), data + cut, n - cut) == crc);
}

/* What stood between two zeros: the frame that it is, or none. */
static void segment_vector(const uint8_t *segment, size_t n, bool valid, glink_header_t want, const uint8_t *payload,
                           size_t payload_n)
{
    if (n > sizeof area) return;
    memcpy(area, segment, n);
    glink_header_t header;
    const uint8_t *got = NULL;
    const int32_t length = glink_frame_open(area, n, &header, &got);
    CHECK(valid == (length >= 0));
    if (!valid || length < 0) return;
    CHECK((size_t)length == payload_n);
    CHECK(memcmp(got, payload, payload_n) == 0);
    CHECK(header.chan == want.chan && header.flags == want.flags);
    CHECK(header.seq == want.seq && header.session == want.session);
}

static int16_t sample_at(const uint8_t *pcm, size_t i)
{
    return (int16_t)(pcm[2u * i] | (uint16_t)(pcm[2u * i + 1u] << 8));
}

/* Encoded as in the table; the block, and each piece of it from its start on, decoded as in the table. */
static void adpcm_vector(const uint8_t *pcm, size_t pcm_n, const uint8_t *block, size_t block_n, const uint8_t *decoded,
                         size_t decoded_n, glink_adpcm_t before, glink_adpcm_t after)
{
    static int16_t samples[GLINK_FRAME_SAMPLES + 1u];
    const size_t n = pcm_n / 2u;
    CHECK(n <= GLINK_FRAME_SAMPLES && decoded_n == 4u * (block_n - GLINK_ADPCM_HEAD_BYTES));
    if (n > GLINK_FRAME_SAMPLES) return;
    paint();
    for (size_t i = 0; i < n; i++) samples[i] = sample_at(pcm, i);
    CHECK(glink_adpcm_encode(&before, samples, n, area) == block_n);
    CHECK(memcmp(area, block, block_n) == 0 && untouched_from(block_n));
    CHECK(before.predictor == after.predictor && before.index == after.index);

    for (size_t cut = GLINK_ADPCM_HEAD_BYTES; cut <= block_n; cut++) {
        const size_t want = 2u * (cut - GLINK_ADPCM_HEAD_BYTES);
        for (size_t i = 0; i <= GLINK_FRAME_SAMPLES; i++) samples[i] = 1111;
        CHECK(glink_adpcm_decode(block, cut, samples) == (int32_t)want);
        size_t same = 0;
        while (same < want && samples[same] == sample_at(decoded, same)) same++;
        CHECK(same == want && samples[want] == 1111);
    }
}

static void adpcm_refused(const uint8_t *block, size_t n)
{
    static int16_t samples[GLINK_FRAME_SAMPLES];
    CHECK(glink_adpcm_decode(block, n, samples) == GLINK_ERR_FORMAT);
}

static void vectors(void)
{
#define OCTETS(text) (const uint8_t *)(text)
#define COBS_VECTOR(raw, n, encoded, m) cobs_vector(OCTETS(raw), n, OCTETS(encoded), m);
#define CRC_VECTOR(data, n, crc) crc_vector(OCTETS(data), n, crc);
#define SEGMENT_VECTOR(segment, n, valid, chan, flags, seq, session, payload, m) \
    segment_vector(OCTETS(segment), n, valid, (glink_header_t){chan, flags, seq, session}, OCTETS(payload), m);
#define ADPCM_VECTOR(pcm, n, block, m, decoded, k, predictor, index, predictor_after, index_after) \
    adpcm_vector(OCTETS(pcm), n, OCTETS(block), m, OCTETS(decoded), k, (glink_adpcm_t){predictor, index}, \
                 (glink_adpcm_t){predictor_after, index_after});
#define ADPCM_REFUSED(block, n) adpcm_refused(OCTETS(block), n);
#include "vectors.inc" /* written from tests/vectors/ (json) before the build */
}

static uint8_t pattern(unsigned kind, size_t i)
{
    if (kind == 0u) return 0u;
    if (kind == 1u) return 0xFFu;
    return (uint8_t)(i * 7u);
}

static size_t zeros(const uint8_t *octets, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) found += octets[i] == 0u ? 1u : 0u;
    return found;
}

static void frames_of_every_length(void)
{
    static uint8_t wire[GLINK_MAX_WIRE_BYTES];
    for (size_t n = 0; n <= GLINK_MAX_PAYLOAD_BYTES; n++) {
        for (unsigned kind = 0; kind < 3u; kind++) {
            const glink_header_t sent = {.chan = 3, .flags = 0x84, .seq = (uint16_t)n, .session = 0xBEEF};
            for (size_t i = 0; i < n; i++) wire[GLINK_PAYLOAD_AT + i] = pattern(kind, i);
            const size_t end = glink_frame_seal(wire, &sent, n);
            CHECK(end <= 1u + GLINK_WIRE_BYTES(n) && wire[0] == 0u && wire[end - 1u] == 0u);
            CHECK(zeros(wire + 1, end - 2u) == 0u);

            glink_header_t got;
            const uint8_t *payload = NULL;
            CHECK(glink_frame_open(wire + 1, end - 2u, &got, &payload) == (int32_t)n);
            CHECK(got.chan == 3u && got.flags == 0x84u && got.seq == n && got.session == 0xBEEFu);
            size_t same = 0;
            while (same < n && payload[same] == pattern(kind, same)) same++;
            CHECK(same == n);
        }
    }
}

static void a_damaged_bit_is_noticed(void)
{
    static uint8_t wire[GLINK_MAX_WIRE_BYTES];
    static uint8_t copy[GLINK_MAX_WIRE_BYTES];
    const glink_header_t sent = {.chan = 1, .flags = 0, .seq = 5, .session = 9};
    for (size_t i = 0; i < 40u; i++) wire[GLINK_PAYLOAD_AT + i] = pattern(2u, i);
    const size_t end = glink_frame_seal(wire, &sent, 40u);
    for (size_t bit = 0; bit < 8u * (end - 2u); bit++) {
        glink_header_t got;
        const uint8_t *payload = NULL;
        memcpy(copy, wire + 1, end - 2u);
        copy[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
        CHECK(glink_frame_open(copy, end - 2u, &got, &payload) < 0);
    }
}

static void the_deframer_drops_what_is_too_long(void)
{
    static glink_deframer_t d;
    static uint8_t noise[GLINK_MAX_WIRE_BYTES + 1u];
    size_t used = 0;
    memset(noise, 'x', sizeof noise);

    CHECK(glink_deframer_push(&d, noise, GLINK_MAX_WIRE_BYTES, &used) == GLINK_CUT_MORE);
    CHECK(used == GLINK_MAX_WIRE_BYTES);
    CHECK(glink_deframer_push(&d, (const uint8_t *)"\0", 1u, &used) == GLINK_CUT_FRAME); /* all that fits */
    CHECK(d.n == GLINK_MAX_WIRE_BYTES);
    glink_deframer_next(&d);

    CHECK(glink_deframer_push(&d, noise, sizeof noise, &used) == GLINK_CUT_MORE);
    CHECK(glink_deframer_push(&d, (const uint8_t *)"y\0ab\0", 5u, &used) == GLINK_CUT_OVERFLOW);
    CHECK(used == 2u);
    CHECK(glink_deframer_push(&d, (const uint8_t *)"ab\0", 3u, &used) == GLINK_CUT_FRAME);
    CHECK(used == 3u && d.n == 2u && memcmp(d.buf, "ab", 2u) == 0);
    glink_deframer_next(&d);

    CHECK(glink_deframer_push(&d, (const uint8_t *)"\0\0\0c\0", 5u, &used) == GLINK_CUT_FRAME);
    CHECK(used == 5u && d.n == 1u && d.buf[0] == 'c');
    glink_deframer_next(&d);
}

void test_codec(void)
{
    vectors();
    cobs_refuses();
    frames_of_every_length();
    a_damaged_bit_is_noticed();
    the_deframer_drops_what_is_too_long();
}
