/* A stand-in: see README.md. */
#pragma once
#include <stddef.h>
int esp_app_get_elf_sha256(char *dst, size_t size);
