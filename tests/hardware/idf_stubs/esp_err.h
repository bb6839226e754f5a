/* A stand-in: see README.md. */
#pragma once
#include <stdint.h>
typedef int esp_err_t;
#define ESP_OK 0
#define ESP_FAIL (-1)
void stub_abort(esp_err_t error);
#define ESP_ERROR_CHECK(x)              \
    do {                                \
        const esp_err_t error_ = (x);   \
        if (error_ != ESP_OK) stub_abort(error_); \
    } while (0)
