/* A stand-in: see README.md. */
#pragma once
#include "esp_err.h"
typedef struct esp_timer *esp_timer_handle_t;
typedef struct esp_timer_create_args_t {
    void (*callback)(void *arg);
    void *arg;
    const char *name;
} esp_timer_create_args_t;
esp_err_t esp_timer_create(const esp_timer_create_args_t *args, esp_timer_handle_t *out);
esp_err_t esp_timer_start_periodic(esp_timer_handle_t timer, uint64_t period_us);
int64_t esp_timer_get_time(void);
