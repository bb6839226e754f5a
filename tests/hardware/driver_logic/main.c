/* Runs the parts of the driver layer that are logic and no driver, and prints what they answer: one fact a line.
 * The functions of ESP-IDF that they call are here, as small as they can be. */
#include <stdio.h>
#include <string.h>

#include "esp_app_desc.h"
#include "esp_mac.h"
#include "esp_private/panic_internal.h"
#include "esp_random.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "identity.h"
#include "nvs.h"
#include "nvs_flash.h"
#include "panic_note.h"
#include "settings.h"

/* ---- the chip ---- */

static esp_reset_reason_t reason;
static unsigned panics;

esp_reset_reason_t esp_reset_reason(void)
{
    return reason;
}

int64_t esp_timer_get_time(void)
{
    return INT64_C(7654321000);
}

uint32_t esp_random(void)
{
    return 0x01020304u;
}

esp_err_t esp_read_mac(uint8_t *mac, esp_mac_type_t type)
{
    (void)type;
    memcpy(mac, "\x10\x20\x30\x40\x50\x60", 6);
    return ESP_OK;
}

int esp_app_get_elf_sha256(char *dst, size_t size)
{
    return snprintf(dst, size, "%s", "deadbeef0123456789");
}

bool g_panic_abort;
char *g_panic_abort_details;

void __real_esp_panic_handler(panic_info_t *info);
void __wrap_esp_panic_handler(panic_info_t *info);

void __real_esp_panic_handler(panic_info_t *info)
{
    (void)info;
    panics++;
}

/* ---- the store ---- */

static esp_err_t first_init;
static unsigned inits, erases, opens, writes, commits, open_handles;
static int held = -1; /* the stored octet, if there is one */
static bool broken;

esp_err_t nvs_flash_init(void)
{
    inits++;
    return inits == 1u ? first_init : ESP_OK;
}

esp_err_t nvs_flash_erase(void)
{
    erases++;
    held = -1;
    return ESP_OK;
}

esp_err_t nvs_open(const char *space, nvs_open_mode_t mode, nvs_handle_t *out)
{
    opens++;
    if (broken || strcmp(space, "lorgnette") != 0 || (mode == NVS_READONLY && held < 0)) return ESP_FAIL;
    *out = 1u;
    open_handles++;
    return ESP_OK;
}

void nvs_close(nvs_handle_t handle)
{
    open_handles -= handle;
}

esp_err_t nvs_get_u8(nvs_handle_t handle, const char *key, uint8_t *out)
{
    (void)handle;
    (void)key;
    *out = (uint8_t)held;
    return ESP_OK;
}

esp_err_t nvs_set_u8(nvs_handle_t handle, const char *key, uint8_t value)
{
    (void)handle;
    (void)key;
    writes++;
    held = value;
    return ESP_OK;
}

esp_err_t nvs_commit(nvs_handle_t handle)
{
    (void)handle;
    commits++;
    return ESP_OK;
}

/* ---- what is printed ---- */

static void take_note(const char *name, size_t cap)
{
    char line[96] = {0};
    const size_t n = panic_note_take(line, cap);
    printf("%s %u|%s\n", name, (unsigned)n, line);
}

static void notes(void)
{
    take_note("none", 96);
    panic_info_t info = {.core = 1, .reason = "LoadProhibited", .addr = (const void *)(uintptr_t)0x4037a6f1u};
    __wrap_esp_panic_handler(&info);
    take_note("panic", 96);
    take_note("again", 96);
    info = (panic_info_t){.description = "a description because there is no reason, and a very long one"};
    __wrap_esp_panic_handler(&info);
    take_note("long", 96);
    info = (panic_info_t){.core = 0};
    __wrap_esp_panic_handler(&info);
    take_note("silent", 96);
    __wrap_esp_panic_handler(&info);
    take_note("short", 10);
    static char details[] = "assert failed: run_app main.c:166";
    g_panic_abort = true;
    g_panic_abort_details = details;
    info.reason = "StoreProhibited";
    __wrap_esp_panic_handler(&info);
    take_note("abort", 96);
    g_panic_abort = false;
    printf("panics %u\n", panics);
}

static void identity(void)
{
    for (int i = ESP_RST_UNKNOWN; i <= ESP_RST_USB; i++) {
        reason = (esp_reset_reason_t)i;
        printf("reset%d %u\n", i, identity_of_this_frame().reset_reason);
    }
    const glink_hello_ack_t me = identity_of_this_frame();
    printf("name %s\n", (const char *)me.name);
    printf("device %02x%02x%02x%02x%02x%02x%02x%02x\n", me.device_id[0], me.device_id[1], me.device_id[2],
           me.device_id[3], me.device_id[4], me.device_id[5], me.device_id[6], me.device_id[7]);
    printf("build %08lx\n", (unsigned long)me.build_hash);
    printf("parts %lu\n", (unsigned long)me.capabilities);
}

static void settings(void)
{
    settings_start();
    printf("fresh %u\n", settings_volume(70));
    settings_keep_volume(70);
    settings_keep_volume(70);
    printf("kept %d writes %u commits %u\n", held, writes, commits);
    settings_keep_volume(0);
    printf("zero %u writes %u\n", settings_volume(70), writes);
    held = 101;
    printf("odd %u\n", settings_volume(70));
    broken = true;
    opens = 0;
    settings_keep_volume(33);
    settings_keep_volume(33);
    printf("broken opens %u\n", opens);
    printf("forgotten %u\n", settings_volume(70));
    printf("handles %u inits %u erases %u\n", open_handles, inits, erases);
}

int main(int n, char **words)
{
    first_init = n > 1 && strcmp(words[1], "damaged") == 0 ? ESP_ERR_NVS_NO_FREE_PAGES : ESP_OK;
    notes();
    identity();
    settings();
    return 0;
}
