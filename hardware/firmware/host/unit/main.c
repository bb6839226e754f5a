/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "program.h"

static unsigned checks;
static unsigned failures;

static void say(const char *text)
{
    size_t n = 0;
    while (text[n] != '\0') n++;
    (void)program_write((const uint8_t *)text, n);
}

static void say_number(unsigned value)
{
    char digits[11];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value > 0u);
    say(digits + at);
}

void check(bool holds, const char *file, int line, const char *condition)
{
    checks++;
    if (holds) return;
    failures++;
    say(file);
    say(":");
    say_number((unsigned)line);
    say(": does not hold: ");
    say(condition);
    say("\n");
}

int program_main(void)
{
    test_codec();
    test_credit();
    test_rpc_and_queues();
    test_link();
    test_parts();
    test_drivers();
    say_number(checks);
    say(" checks, ");
    say_number(failures);
    say(" failures\n");
    return failures == 0u ? 0 : 1;
}
