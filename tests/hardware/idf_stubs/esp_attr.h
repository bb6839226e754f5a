/* A stand-in: see README.md. */
#pragma once
#define IRAM_ATTR __attribute__((section(".iram1")))
