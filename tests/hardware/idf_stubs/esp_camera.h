/* A stand-in: see README.md. */
#pragma once
#include <stddef.h>
#include "driver/ledc.h"
#include "esp_err.h"
typedef enum pixformat_t { PIXFORMAT_JPEG = 4 } pixformat_t;
typedef enum framesize_t { FRAMESIZE_VGA, FRAMESIZE_SVGA, FRAMESIZE_XGA, FRAMESIZE_UXGA } framesize_t;
typedef enum camera_fb_location_t { CAMERA_FB_IN_PSRAM } camera_fb_location_t;
typedef enum camera_grab_mode_t { CAMERA_GRAB_WHEN_EMPTY } camera_grab_mode_t;
typedef struct camera_config_t {
    int pin_pwdn, pin_reset, pin_xclk, pin_sccb_sda, pin_sccb_scl;
    int pin_d7, pin_d6, pin_d5, pin_d4, pin_d3, pin_d2, pin_d1, pin_d0;
    int pin_vsync, pin_href, pin_pclk;
    int xclk_freq_hz;
    ledc_timer_t ledc_timer;
    ledc_channel_t ledc_channel;
    pixformat_t pixel_format;
    framesize_t frame_size;
    int jpeg_quality;
    size_t fb_count;
    camera_fb_location_t fb_location;
    camera_grab_mode_t grab_mode;
} camera_config_t;
typedef struct camera_fb_t {
    uint8_t *buf;
    size_t len;
    size_t width;
    size_t height;
    pixformat_t format;
} camera_fb_t;
esp_err_t esp_camera_init(const camera_config_t *config);
esp_err_t esp_camera_deinit(void);
camera_fb_t *esp_camera_fb_get(void);
void esp_camera_fb_return(camera_fb_t *frame);
