/* A stand-in: see ../README.md. */
#pragma once
#include "freertos/FreeRTOS.h"
typedef struct QueueDefinition *QueueHandle_t;
QueueHandle_t xQueueCreate(UBaseType_t length, UBaseType_t item_size);
BaseType_t xQueueSend(QueueHandle_t queue, const void *item, TickType_t wait);
BaseType_t xQueueReceive(QueueHandle_t queue, void *const item, TickType_t wait);
BaseType_t xQueueReset(QueueHandle_t queue);
BaseType_t xQueueOverwrite(QueueHandle_t queue, const void *item);
