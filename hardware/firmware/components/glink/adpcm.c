/* SPDX-License-Identifier: Apache-2.0 */
#include "glink_adpcm.h"

#include "glink_err.h"

#define LAST_INDEX 88
#define SIGN 8u

/* The standard's: each step is 1.1 times the one before it. */
static const uint16_t steps[LAST_INDEX + 1] = {
    7,    8,    9,    10,   11,   12,   13,   14,   16,   17,   19,    21,    23,    25,    28,    31,    34,    37,
    41,   45,   50,   55,   60,   66,   73,   80,   88,   97,   107,   118,   130,   143,   157,   173,   190,   209,
    230,  253,  279,  307,  337,  371,  408,  449,  494,  544,  598,   658,   724,   796,   876,   963,   1060,  1166,
    1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327,  3660,  4026,  4428,  4871,  5358,  5894,  6484,
    7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
};

static const int8_t index_changes[8] = {-1, -1, -1, -1, 2, 4, 6, 8}; /* by the nibble without its sign */

static int32_t clamped(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Moves the state over one sample; its predictor is that sample. */
static void decode_nibble(glink_adpcm_t *state, uint8_t nibble)
{
    const int32_t step = steps[state->index];
    int32_t change = step >> 3; /* half of the smallest difference: the middle of what this nibble stands for */
    if ((nibble & 4u) != 0u) change += step;
    if ((nibble & 2u) != 0u) change += step >> 1;
    if ((nibble & 1u) != 0u) change += step >> 2;
    if ((nibble & SIGN) != 0u) change = -change;
    state->predictor = (int16_t)clamped(state->predictor + change, INT16_MIN, INT16_MAX);
    state->index = (uint8_t)clamped(state->index + index_changes[nibble & 7u], 0, LAST_INDEX);
}

static uint8_t encode_sample(glink_adpcm_t *state, int32_t sample)
{
    int32_t step = steps[state->index];
    int32_t difference = sample - state->predictor;
    uint8_t nibble = 0;
    if (difference < 0) {
        nibble = SIGN;
        difference = -difference;
    }
    for (uint8_t bit = 4; bit > 0u; bit >>= 1) {
        if (difference >= step) {
            nibble |= bit;
            difference -= step;
        }
        step >>= 1;
    }
    decode_nibble(state, nibble);
    return nibble;
}

size_t glink_adpcm_encode(glink_adpcm_t *state, const int16_t *pcm, size_t n, uint8_t block[GLINK_ADPCM_BLOCK_BYTES])
{
    const uint16_t predictor = (uint16_t)state->predictor;
    block[0] = (uint8_t)predictor;
    block[1] = (uint8_t)(predictor >> 8);
    block[2] = state->index;
    block[3] = 0u;
    size_t at = GLINK_ADPCM_HEAD_BYTES;
    for (size_t i = 0; i < n; i += 2u) {
        const uint8_t low = encode_sample(state, pcm[i]);
        const uint8_t high = encode_sample(state, i + 1u < n ? pcm[i + 1u] : 0);
        block[at++] = (uint8_t)(low | high << 4);
    }
    return at;
}

int32_t glink_adpcm_decode(const uint8_t *block, size_t n, int16_t pcm[GLINK_FRAME_SAMPLES])
{
    if (n == 0u) return 0;
    if (n < GLINK_ADPCM_HEAD_BYTES || n > GLINK_ADPCM_BLOCK_BYTES || block[2] > LAST_INDEX) return GLINK_ERR_FORMAT;

    glink_adpcm_t state = {.predictor = (int16_t)(block[0] | (uint16_t)(block[1] << 8)), .index = block[2]};
    int32_t done = 0;
    for (size_t at = GLINK_ADPCM_HEAD_BYTES; at < n; at++) {
        decode_nibble(&state, block[at] & 15u);
        pcm[done++] = state.predictor;
        decode_nibble(&state, block[at] >> 4);
        pcm[done++] = state.predictor;
    }
    return done;
}
