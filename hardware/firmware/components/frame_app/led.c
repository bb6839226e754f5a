/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_led.h"

/* A sensor that goes on is always told of: whoever listens may have come while another one had lit the LED already. */
static void follow(frame_led_t *led, bool on)
{
    uint8_t level = GLINK_LED_OFF;
    if (led->mic) level = GLINK_LED_DIM;
    if (led->camera) level = GLINK_LED_SOLID;
    if (level == led->level && !on) return;

    if (level != led->level) led->hal->led(led->hal->ctx, level);
    led->level = level;
    frame_led_tell(led);
}

void frame_led_tell(frame_led_t *led)
{
    const glink_led_event_t event = {.level = led->level, .mic_sample = (uint32_t)led->clock->sample};
    uint8_t out[GLINK_LED_EVENT_BYTES];
    led->stamp = glink_report(led->link, out, glink_led_event_pack(&event, out, sizeof out));
}

void frame_led_init(frame_led_t *led, const frame_hal_t *hal, const frame_clock_t *clock, glink_t *link)
{
    led->hal = hal;
    led->clock = clock;
    led->link = link;
    led->mic = false;
    led->camera = false;
    led->level = GLINK_LED_OFF;
    hal->led(hal->ctx, GLINK_LED_OFF);
}

void frame_led_mic(frame_led_t *led, bool on)
{
    led->mic = on;
    follow(led, on);
}

void frame_led_camera(frame_led_t *led, bool on)
{
    led->camera = on;
    follow(led, on);
}
