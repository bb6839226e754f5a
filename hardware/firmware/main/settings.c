/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include "esp_err.h"
#include "nvs.h"
#include "nvs_flash.h"

#define SPACE "lorgnette"
#define VOLUME "volume"
#define MOST_PERCENT 100u
#define NOT_STORED 255u

static uint8_t stored = NOT_STORED; /* what the store holds: asked for at every turn of the app's loop */

void settings_start(void)
{
    const esp_err_t opened = nvs_flash_init();
    if (opened == ESP_OK) return;
    if (opened == ESP_ERR_NVS_NO_FREE_PAGES || opened == ESP_ERR_NVS_NEW_VERSION_FOUND) {
        (void)nvs_flash_erase();
        (void)nvs_flash_init();
    } /* anything else: without a store the frame works, and forgets */
}

uint8_t settings_volume(uint8_t otherwise)
{
    nvs_handle_t store;
    if (nvs_open(SPACE, NVS_READONLY, &store) != ESP_OK) return otherwise;
    uint8_t percent = NOT_STORED;
    const esp_err_t read = nvs_get_u8(store, VOLUME, &percent);
    nvs_close(store);
    if (read != ESP_OK || percent > MOST_PERCENT) return otherwise;
    stored = percent;
    return percent;
}

void settings_keep_volume(uint8_t percent)
{
    nvs_handle_t store;
    if (percent == stored) return;
    stored = percent; /* also when it fails: a store that does not work is not asked again and again */
    if (nvs_open(SPACE, NVS_READWRITE, &store) != ESP_OK) return;
    if (nvs_set_u8(store, VOLUME, percent) == ESP_OK) (void)nvs_commit(store);
    nvs_close(store);
}
