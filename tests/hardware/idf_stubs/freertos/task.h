/* A stand-in: see ../README.md. */
#pragma once
#include "freertos/FreeRTOS.h"
typedef struct tskTaskControlBlock *TaskHandle_t;
typedef void (*TaskFunction_t)(void *arg);
typedef enum eNotifyAction { eNoAction, eSetBits } eNotifyAction;
BaseType_t xTaskCreatePinnedToCore(TaskFunction_t code, const char *name, const uint32_t stack_bytes, void *const arg,
                                   UBaseType_t priority, TaskHandle_t *const created, const BaseType_t core);
BaseType_t xTaskNotify(TaskHandle_t task, uint32_t value, eNotifyAction action);
BaseType_t xTaskNotifyFromISR(TaskHandle_t task, uint32_t value, eNotifyAction action, BaseType_t *woken);
BaseType_t xTaskNotifyGive(TaskHandle_t task);
BaseType_t xTaskNotifyWait(uint32_t clear_on_entry, uint32_t clear_on_exit, uint32_t *value, TickType_t wait);
void vTaskDelay(const TickType_t ticks);
uint32_t ulTaskNotifyTake(BaseType_t clear_on_exit, TickType_t wait);
