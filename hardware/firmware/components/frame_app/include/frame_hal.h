/* SPDX-License-Identifier: Apache-2.0 */
/* What frame_app asks of the board, and the clock that it is given.
 * Threads: every function is called from the task that owns the frame_app_t, from inside its functions; none of them
 * may call back into frame_app, and none may block except where it says so. */
#ifndef FRAME_HAL_H
#define FRAME_HAL_H

#include <stdint.h>

typedef struct frame_hal {
    void *ctx;

    /* Sets the privacy LED; `level` is a GLINK_LED_*. */
    void (*led)(void *ctx, uint8_t level);

    /* Powers the microphone (1) or cuts its clock (0). Off, nothing may reach frame_app_on_mic(). */
    void (*mic_enable)(void *ctx, uint8_t on);

    /* Wakes (1) or silences (0) the amplifier. */
    void (*speaker_enable)(void *ctx, uint8_t on);

    /* Begins to take a picture; frame_app_on_photo() ends it. Returns 0, or a negative error if it cannot begin.
     * The sensor MUST be off before frame_app_on_photo() is called, because the LED goes dark in it. The picture's
     * buffer stays frame_app's until camera_stop(), unless that was called before. */
    int32_t (*camera_start)(void *ctx);

    /* The picture is no longer wanted, and its buffer may be used again. Returns 0 when the sensor is off, 1 when it
     * still runs: then frame_app_on_photo() follows as soon as it is off, within seconds, and the LED stays lit until
     * then. */
    int32_t (*camera_stop)(void *ctx);

    /* Returns the charge, 0 to 100, or -1 where the frame has no gauge. */
    int32_t (*battery_percent)(void *ctx);

    /* The highest rate of the line to the host; 0 where it has none, and then set_rate() is never called. Such a line
     * boots at GLINK_START_BAUD. */
    uint32_t max_baud;

    /* Sets the line's rate. Called from inside frame_app_transmit(), so what that returned before has been handed to the
     * driver: those octets leave at the old rate. The one function here that may wait, until they have left. */
    void (*set_rate)(void *ctx, uint32_t baud);
} frame_hal_t;

/* Now, in the two times of the frame. */
typedef struct frame_clock {
    uint64_t now_us;
    uint64_t sample; /* the sample clock: 16 kHz, from boot on, also while nothing is captured; low 32 bits on the wire */
} frame_clock_t;

#endif
