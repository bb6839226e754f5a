/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of frame_app that need no link: where a JPEG ends, and what a button meant. */
#include <string.h>

#include "check.h"
#include "frame_button.h"
#include "frame_jpeg.h"
#include "glink_err.h"
#include "glink_schema.h"

/* A picture with a thumbnail inside a segment, fill before a marker, stuffed and restart octets, and two scans. */
static const uint8_t picture[] = {
    0xFF, 0xD8,                                                        /* SOI */
    0xFF, 0xE1, 0x00, 0x08, 0xFF, 0xD8, 0x01, 0x02, 0xFF, 0xD9,        /* APP1 with a whole JPEG in it */
    0xFF, 0xFF, 0xFF, 0xC0, 0x00, 0x04, 0x08, 0x00,                    /* fill, SOF0 */
    0xFF, 0x01,                                                        /* TEM stands alone */
    0xFF, 0xDA, 0x00, 0x03, 0x01,                                      /* SOS */
    0x12, 0xFF, 0x00, 0x34, 0xFF, 0xD0, 0x56, 0xFF, 0xD7, 0xFF, 0x00,  /* coded data */
    0xFF, 0xC4, 0x00, 0x02,                                            /* a table between the scans */
    0xFF, 0xDA, 0x00, 0x03, 0x01, 0x78,                                /* SOS */
    0xFF, 0xFF, 0xD9,                                                  /* fill, EOI */
};

static void every_cut_of_a_picture_is_refused(void)
{
    for (size_t n = 0; n < sizeof picture; n++) CHECK(frame_jpeg_length(picture, n) == GLINK_ERR_FORMAT);
    CHECK(frame_jpeg_length(picture, sizeof picture) == (int32_t)sizeof picture);
}

static void what_follows_the_first_picture_is_cut(void)
{
    static uint8_t buffer[3u * sizeof picture];
    for (size_t i = 0; i < 3u; i++) memcpy(buffer + i * sizeof picture, picture, sizeof picture);
    for (size_t n = sizeof picture; n <= sizeof buffer; n++) {
        CHECK(frame_jpeg_length(buffer, n) == (int32_t)sizeof picture);
    }
}

static void what_is_no_picture_is_refused(void)
{
    static const uint8_t no_scan[] = {0xFF, 0xD8, 0xFF, 0xE0, 0, 2, 0xFF, 0xD9};
    static const uint8_t no_marker[] = {0xFF, 0xD8, 'x', 'y', 'z'};
    static const uint8_t soi_twice[] = {0xFF, 0xD8, 0xFF, 0xD8, 0xFF, 0xD9};
    static const uint8_t short_segment[] = {0xFF, 0xD8, 0xFF, 0xE0, 0, 1, 0xFF, 0xD9};
    static const uint8_t long_segment[] = {0xFF, 0xD8, 0xFF, 0xE0, 0xFF, 0xFF, 0xFF, 0xD9};
    static const uint8_t stray_zero[] = {0xFF, 0xD8, 0xFF, 0x00, 0xFF, 0xD9};
    CHECK(frame_jpeg_length(no_scan, sizeof no_scan) == GLINK_ERR_FORMAT);
    CHECK(frame_jpeg_length(no_marker, sizeof no_marker) == GLINK_ERR_FORMAT);
    CHECK(frame_jpeg_length(soi_twice, sizeof soi_twice) == GLINK_ERR_FORMAT);
    CHECK(frame_jpeg_length(short_segment, sizeof short_segment) == GLINK_ERR_FORMAT);
    CHECK(frame_jpeg_length(long_segment, sizeof long_segment) == GLINK_ERR_FORMAT);
    CHECK(frame_jpeg_length(stray_zero, sizeof stray_zero) == GLINK_ERR_FORMAT);
}

/* ---- button: a script of levels, one character a millisecond, '#' pressed ---- */

static char gestures[16];

static void press(const char *script)
{
    static const char names[] = {'?', 't', 'd', 'l'};
    frame_button_t button;
    frame_clock_t clock = {.now_us = 5000000, .sample = 80000};
    size_t n = 0;
    frame_button_init(&button);
    memset(gestures, 0, sizeof gestures);

    for (size_t ms = 0; ms < 4000u; ms++) {
        if (*script != '\0') frame_button_level(&button, *script++ == '#', &clock);
        uint32_t sample = 0;
        const uint8_t kind = frame_button_tick(&button, clock.now_us, &sample);
        if (kind != 0u && n + 1u < sizeof gestures) gestures[n++] = names[kind & 3u];
        clock.now_us += 1000;
        clock.sample += 16;
    }
    CHECK(frame_button_next_us(&button) == UINT64_MAX);
}

static bool came(const char *want)
{
    size_t i = 0;
    while (want[i] != '\0' && want[i] == gestures[i]) i++;
    return want[i] == gestures[i];
}

/* Runs of one level, as "ms pressed, ms released, ..." */
static void press_times(const unsigned *ms, size_t n)
{
    static char script[4000];
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        for (unsigned k = 0; k < ms[i]; k++) script[at++] = i % 2u == 0u ? '#' : '.';
    }
    script[at++] = '.';
    script[at] = '\0';
    press(script);
}

#define PRESS(...) press_times((const unsigned[]){__VA_ARGS__}, sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static void gestures_are_told_apart(void)
{
    press("#.#.##..#.");
    CHECK(came("")); /* bounces without a press: the level must stay for 20 ms */
    PRESS(19, 100);
    CHECK(came(""));
    PRESS(21, 100);
    CHECK(came("t"));
    PRESS(80, 500, 80);
    CHECK(came("tt")); /* too far apart for a double tap */
    PRESS(80, 150, 80);
    CHECK(came("d"));
    PRESS(3, 2, 1, 4, 80, 2, 3, 150, 2, 1, 80);
    CHECK(came("d")); /* bouncing */
    PRESS(80, 100, 80, 100, 80);
    CHECK(came("dt"));
    PRESS(599, 100);
    CHECK(came("t"));
    PRESS(700);
    CHECK(came("l"));
    PRESS(2000);
    CHECK(came("l")); /* once, however long */
    PRESS(80, 100, 900);
    CHECK(came("d")); /* the second press may take its time */
    PRESS(700, 100, 80);
    CHECK(came("lt"));
}

void test_parts(void)
{
    every_cut_of_a_picture_is_refused();
    what_follows_the_first_picture_is_cut();
    what_is_no_picture_is_refused();
    gestures_are_told_apart();
}
