/* SPDX-License-Identifier: Apache-2.0 */
/* Any octets, cut anywhere, at any time: what the line may carry. The input is a list of pieces, each with an octet
 * for its length (and whether the line is slow) and one for the time that passes behind it. */
#include "board.h"

#define MAX_TIME_US 20000000u /* of one input */

static const uint32_t times_us[] = {0, 0, 1000, 20000, 100000, 500000, 1500000, 3000000};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static board_t board;
    board_init(&board, UINT32_MAX, 0u, 20u);
    for (size_t at = 0; size - at >= 2u && board.now_us < MAX_TIME_US;) {
        const size_t left = size - at - 2u;
        const size_t wish = data[at] & 0x7Fu;
        const size_t n = wish < left ? wish : left;
        const size_t room = (data[at] & 0x80u) != 0u ? 16u : SIZE_MAX;
        const uint32_t us = times_us[data[at + 1u] % (sizeof times_us / sizeof times_us[0])];
        board_receive(&board, data + at + 2u, n);
        (void)board_transmit(&board, room);
        board_advance(&board, us, room);
        at += 2u + n;
    }
    board_free(&board);
    return 0;
}
