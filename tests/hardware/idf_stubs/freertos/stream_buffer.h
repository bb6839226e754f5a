/* A stand-in: see ../README.md. */
#pragma once
#include "freertos/FreeRTOS.h"
typedef struct StreamBufferDef_t *StreamBufferHandle_t;
StreamBufferHandle_t xStreamBufferCreate(size_t size, size_t trigger);
size_t xStreamBufferSend(StreamBufferHandle_t buffer, const void *data, size_t n, TickType_t wait);
size_t xStreamBufferReceive(StreamBufferHandle_t buffer, void *data, size_t n, TickType_t wait);
