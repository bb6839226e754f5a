/* A stand-in: see README.md. */
#pragma once
#include "esp_err.h"
typedef enum esp_mac_type_t { ESP_MAC_BASE = 5 } esp_mac_type_t;
esp_err_t esp_read_mac(uint8_t *mac, esp_mac_type_t type);
