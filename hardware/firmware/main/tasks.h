/* SPDX-License-Identifier: Apache-2.0 */
/* Every task of the frame, in one table.
 *
 * | task    | priority | core | stack | waits for                         | owns
 * |---------|----------|------|-------|-----------------------------------|------------------------------------------
 * | app     |       18 |    1 |  6144 | a notification, or its deadline   | frame_app, the LED, the transmit side
 * | mic     |       20 |    0 |  3072 | DMA of I2S0, 5 ms at a time       | the microphone's filter
 * | speaker |       20 |    0 |  3072 | DMA of I2S1, 20 ms at a time      | nothing: blocks come ready by a queue
 * | rx      |       19 |    0 |  3072 | the port's driver                 | nothing: octets go on by a stream buffer
 * | camera  |        5 |    0 |  6144 | a request                         | the camera's driver and the picture's buffer
 *
 * Between them: queues of whole blocks (mic: 4 x 20 ms, speaker: 2 x 20 ms), a stream buffer (rx: 2 KB behind the
 * driver's own ring), a queue of one picture. Nobody shares memory, and only `app` calls glink and frame_app.
 * The wireless parts of the chip are not used. */
#ifndef TASKS_H
#define TASKS_H

#include <stdint.h>

#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

#define TASK_APP_PRIORITY 18u
#define TASK_APP_CORE 1
#define TASK_APP_STACK_BYTES 6144u

#define TASK_MICROPHONE_PRIORITY 20u
#define TASK_SPEAKER_PRIORITY 20u
#define TASK_RECEIVE_PRIORITY 19u
#define TASK_DRIVER_CORE 0
#define TASK_DRIVER_STACK_BYTES 3072u

#define TASK_CAMERA_PRIORITY 5u
#define TASK_CAMERA_CORE 0
#define TASK_CAMERA_STACK_BYTES 6144u

/* What wakes the app task: bits of its notification. */
#define WAKE_RECEIVED (UINT32_C(1) << 0)
#define WAKE_MICROPHONE (UINT32_C(1) << 1)
#define WAKE_BLOCK_PASSED (UINT32_C(1) << 2)
#define WAKE_CAMERA (UINT32_C(1) << 3)
#define WAKE_BUTTON (UINT32_C(1) << 4)
#define WAKE_OVERRUN (UINT32_C(1) << 5)

/* The app task; set before any driver starts. */
extern TaskHandle_t app_task;

/* Wakes the app task from another task. */
static inline void wake_app(uint32_t why)
{
    (void)xTaskNotify(app_task, why, eSetBits);
}

#endif
