/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "esp_app_desc.h"
#include "esp_mac.h"
#include "esp_random.h"
#include "esp_system.h"
#include "frame_app.h"

#define BUILD_HASH_DIGITS 8u /* of the firmware's SHA-256 */
#define HEX 16

static uint8_t reset_reason(void)
{
    switch (esp_reset_reason()) {
    case ESP_RST_POWERON:
        return GLINK_RESET_REASON_POWER_ON;
    case ESP_RST_SW:
        return GLINK_RESET_REASON_SOFTWARE;
    case ESP_RST_PANIC:
        return GLINK_RESET_REASON_PANIC;
    case ESP_RST_BROWNOUT:
        return GLINK_RESET_REASON_BROWN_OUT;
    case ESP_RST_INT_WDT:
    case ESP_RST_TASK_WDT:
    case ESP_RST_WDT:
        return GLINK_RESET_REASON_WATCHDOG;
    case ESP_RST_USB:
        return GLINK_RESET_REASON_USB;
    default:
        return GLINK_RESET_REASON_UNKNOWN;
    }
}

static uint32_t capabilities(void)
{
    uint32_t parts = GLINK_CAP_ADPCM;
    if (BOARD_HAS_MICROPHONE) parts |= GLINK_CAP_MICROPHONE;
    if (BOARD_HAS_SPEAKER) parts |= GLINK_CAP_SPEAKER;
    if (BOARD_HAS_CAMERA) parts |= GLINK_CAP_CAMERA;
    if (BOARD_HAS_BUTTON) parts |= GLINK_CAP_BUTTON;
    return parts;
}

static uint32_t build_hash(void)
{
    char digits[BUILD_HASH_DIGITS + 1u] = {0};
    (void)esp_app_get_elf_sha256(digits, sizeof digits);
    return (uint32_t)strtoul(digits, NULL, HEX);
}

glink_hello_ack_t identity_of_this_frame(void)
{
    glink_hello_ack_t identity = {.boot_id = esp_random(),
                                  .reset_reason = reset_reason(),
                                  .led_kind = BOARD_LED_KIND,
                                  .capabilities = capabilities(),
                                  .build_hash = build_hash()};
    (void)esp_read_mac(identity.device_id, ESP_MAC_BASE); /* 6 octets; the other 2 stay 0 */
    strncpy(identity.firmware_version, FRAME_APP_VERSION, sizeof identity.firmware_version - 1u);
    memcpy(identity.name, BOARD_NAME, sizeof BOARD_NAME - 1u);
    return identity;
}
