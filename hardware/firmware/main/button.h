/* SPDX-License-Identifier: Apache-2.0 */
/* The button's level. What its edges mean (bounce, tap, double tap, long press) is frame_app's.
 * Threads: app task; the interrupt only wakes it. */
#ifndef BUTTON_H
#define BUTTON_H

#include <stdbool.h>

void button_start(void);

/* Whether it is down now, bouncing as it may. Always false on a board without one. */
bool button_down(void);

#endif
