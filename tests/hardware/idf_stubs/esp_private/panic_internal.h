/* A stand-in: see ../README.md. */
#pragma once
#include <stdbool.h>
extern bool g_panic_abort;
extern char *g_panic_abort_details;
typedef enum panic_exception_t { PANIC_EXCEPTION_FAULT } panic_exception_t;
typedef void (*panic_info_dump_fn_t)(const void *frame);
typedef struct panic_info_t {
    int core;
    panic_exception_t exception;
    const char *reason;
    const char *description;
    panic_info_dump_fn_t details;
    panic_info_dump_fn_t state;
    const void *addr;
    const void *frame;
    bool pseudo_excause;
} panic_info_t;
