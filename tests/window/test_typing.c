// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "typing.h"

#include <string.h>

static void backspace_takes_whole_characters(void **state) {
    (void)state;
    static const char *const characters[] = {
        "a",
        "é",
        "e\u0301",
        "山",
        "👍",
        "👍🏽",
        "❤\uFE0F",
        "👩\u200D🔬",
        "👨\u200D👩\u200D👧",
        "ש\u05C1",
        "q\u0307\u0323",
    };
    enum { N = sizeof characters / sizeof *characters };
    cli_typing typing;
    size_t ends[N + 1] = {0};
    cli_typing_start(&typing, NULL);
    assert_int_equal(cli_typing_back(&typing), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(cli_typing_add(&typing, characters[i]), 1);
        ends[i + 1] = typing.n;
    }
    for (int i = N; i-- > 0;) {
        assert_int_equal(cli_typing_back(&typing), 1);
        assert_int_equal(typing.n, ends[i]);
        assert_int_equal(strlen(typing.text), ends[i]);
    }
    assert_int_equal(cli_typing_back(&typing), 0);
    cli_typing_start(&typing, "\u0301\u0301"); // accents on nothing
    assert_int_equal(cli_typing_back(&typing), 1);
    assert_string_equal(typing.text, "");
}

static void only_characters_are_added(void **state) {
    (void)state;
    cli_typing typing;
    cli_typing_start(&typing, "Zo\xC3\xAB\n\t\x1B[1m \x7F\xC2\x85\xFF\xC3(\xED");
    assert_string_equal(typing.text, "Zoë[1m (");
    assert_int_equal(cli_typing_add(&typing, "\n"), 0);
    assert_int_equal(cli_typing_add(&typing, ""), 0);
}

static void a_full_line_stays_valid(void **state) {
    (void)state;
    cli_typing typing;
    cli_typing_start(&typing, "a");
    while (cli_typing_add(&typing, "山"))
        ;
    assert_int_equal(typing.n, 1 + 66 * 3);
    assert_int_equal(typing.text[typing.n], 0);
    assert_int_equal(cli_typing_add(&typing, "b"), 0);
    assert_int_equal(cli_typing_back(&typing), 1);
    assert_int_equal(typing.n, 1 + 65 * 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backspace_takes_whole_characters),
        cmocka_unit_test(only_characters_are_added),
        cmocka_unit_test(a_full_line_stays_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
