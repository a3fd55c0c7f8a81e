// SPDX-License-Identifier: Apache-2.0
//
// Plots and the page of a run: well-formed, self-contained, complete.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "base/random.h"
#include "train/metrics.h"
#include "train/plot.h"
#include "train/plot_scale.h"
#include "train/report.h"
#include "train/text.h"

#include <ctype.h>
#include <facenet/base.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static int new_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "report.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static const char *at(const char *leaf) {
    static char path[4][128];
    static int next;
    char *dst = path[next++ % 4];
    snprintf(dst, sizeof path[0], "%s/%s", folder, leaf);
    return dst;
}

static char *text_of(const char *path) {
    unsigned char *text;
    size_t n;
    if (fn_read_file(&text, &n, path, 64 << 20) != FN_OK)
        fail_msg("%s", fn_last_error());
    return (char *)text;
}

// ---- a checker of XML, as strict as these pages need -----------------------------------------------

static void bad_xml(const char *why, const char *where) {
    fail_msg("%s at: %.60s", why, where);
}

static size_t name_length(const char *p) {
    size_t n = 0;
    while (isalnum((unsigned char)p[n]) || strchr("-_:", p[n]) != NULL)
        n += p[n] ? 1 : 0;
    return n;
}

// From behind "&"; the reference must be one of XML's own, as HTML's others are unknown to it.
static const char *check_reference(const char *p) {
    static const char *const known[] = {"amp;", "lt;", "gt;", "quot;"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(p, known[i], strlen(known[i])) == 0)
            return p + strlen(known[i]);
    if (*p != '#' || !isdigit((unsigned char)p[1]))
        bad_xml("a bare &", p);
    return p + strcspn(p, ";") + 1;
}

// From behind the name of a tag to behind its ">"; *is_empty: it ended with "/>".
static const char *check_attributes(const char *p, int *is_empty) {
    *is_empty = 0;
    for (;;) {
        p += strspn(p, " \n");
        if (*p == '>')
            return p + 1;
        if (p[0] == '/' && p[1] == '>') {
            *is_empty = 1;
            return p + 2;
        }
        size_t n = name_length(p);
        if (!n || p[n] != '=' || p[n + 1] != '"')
            bad_xml("an attribute without quotes", p);
        for (p += n + 2; *p != '"'; p++) {
            if (*p == 0 || *p == '<')
                bad_xml("an attribute without end", p);
            if (*p == '&')
                p = check_reference(p + 1) - 1;
        }
        p++;
    }
}

static void check_xml(const char *text) {
    struct {
        const char *name;
        size_t n;
    } open[64];
    int depth = 0, n_roots = 0;
    const char *p = text;
    if (strncmp(p, "<!DOCTYPE html>", 15) == 0)
        p += 15;
    while (*p) {
        if (*p == '&') {
            p = check_reference(p + 1);
        } else if (*p != '<') {
            if (depth == 0 && !isspace((unsigned char)*p))
                bad_xml("text outside", p);
            p++;
        } else if (p[1] == '/') {
            size_t n = name_length(p + 2);
            if (!depth || n != open[depth - 1].n || strncmp(p + 2, open[depth - 1].name, n) != 0)
                bad_xml("another tag is open", p);
            depth--;
            p += 2 + n;
            if (*p++ != '>')
                bad_xml("no end of a tag", p);
        } else {
            size_t n = name_length(p + 1);
            if (!n)
                bad_xml("a bare <", p);
            assert_true(depth < 64);
            n_roots += depth == 0;
            open[depth].name = p + 1;
            open[depth].n = n;
            int is_empty;
            p = check_attributes(p + 1 + n, &is_empty);
            depth += !is_empty;
        }
    }
    assert_int_equal(depth, 0);
    assert_int_equal(n_roots, 1);
}

static int count_of(const char *text, const char *part) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
        n++;
    return n;
}

static void has(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("\"%s\" is missing", part);
}

// ---- numbers and scales ----------------------------------------------------------------------

static void numbers_have_a_point_in_every_locale(void **state) {
    (void)state;
    char text[FN_NUMBER_SIZE];
    const char *was = setlocale(LC_NUMERIC, NULL);
    char *saved = fn_strdup(was);
    static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};
    for (int i = 0; i < 3; i++) {
        if (!setlocale(LC_NUMERIC, locales[i]))
            continue;
        assert_string_equal(fn_number_text(text, 1234.5678, 9), "1234.5678");
        assert_string_equal(fn_number_text(text, -1.5e-7, 9), "-1.5e-07");
        assert_string_equal(fn_number_text(text, 0.1F, 9), "0.100000001");
    }
    setlocale(LC_NUMERIC, saved);
    fn_free(saved);
}

static void words_are_escaped(void **state) {
    (void)state;
    fn_buf out;
    fn_buf_init(&out, 1000);
    fn_buf_xml(&out, "a<b>&\"c'\xC3\xA9\x01\xFF");
    assert_string_equal(out.data, "a&lt;b&gt;&amp;&quot;c&#39;\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD");
    out.len = 0;
    fn_buf_json(&out, "\"\\\n\xC3\xA9");
    assert_string_equal(out.data, "\"\\\"\\\\\\n\xC3\xA9\"");
    fn_buf_free(&out);
}

static void ticks(double low, double high, int log, int exact, const double *wanted, int n) {
    fn_scale s;
    fn_scale_init(&s, low, high, log, exact, 5);
    assert_int_equal(s.n_ticks, n);
    for (int i = 0; i < n; i++)
        if (fabs(s.ticks[i] - wanted[i]) > 1e-9 * fabs(wanted[i]) + 1e-12)
            fail_msg("%g .. %g: tick %d is %g, expected %g", low, high, i, s.ticks[i], wanted[i]);
    assert_float_equal(fn_scale_at(&s, s.low), 0, 1e-12);
    assert_float_equal(fn_scale_at(&s, s.high), 1, 1e-12);
}
#define TICKS(low, high, log, exact, ...)                                                                    \
    ticks(low, high, log, exact, (const double[]){__VA_ARGS__},                                              \
          sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static void ticks_are_round(void **state) {
    (void)state;
    TICKS(0, 1, 0, 1, 0, 0.2, 0.4, 0.6, 0.8, 1);
    TICKS(0.62, 0.81, 0, 0, 0.65, 0.7, 0.75, 0.8);
    TICKS(3, 1000, 0, 1, 200, 400, 600, 800, 1000);
    TICKS(1e-4, 1, 1, 1, 1e-4, 1e-3, 1e-2, 1e-1, 1);
    TICKS(0.3, 4, 1, 1, 0.5, 1, 2);
    TICKS(-0.02, 0.02, 0, 1, -0.02, -0.01, 0, 0.01, 0.02);
    TICKS(5, 5, 0, 0, 4.6, 4.8, 5, 5.2, 5.4);
}

// ---- plots -----------------------------------------------------------------------------------

static void a_small_plot_is_what_it_should_be(void **state) {
    (void)state;
    static const double x[] = {0, 1, 2}, y[] = {0, 1, 0.5}, mark[] = {1.5};
    static const char *const name[] = {"here"};
    const fn_curve curve = {"a<b", x, y, 3, FN_CURVE_POINTS};
    const fn_plot plot = {.title = "T",
                          .x_label = "step",
                          .curves = &curve,
                          .n_curves = 1,
                          .x_low = 0,
                          .x_high = 2,
                          .y_low = 0,
                          .y_high = 1,
                          .marks = mark,
                          .mark_names = name,
                          .n_marks = 1,
                          .width = 274,
                          .height = 190};
    fn_buf out;
    fn_buf_init(&out, 1 << 20);
    fn_plot_svg(&out, &plot); // the drawing area is 200 x 100
    assert_int_equal(out.failed, FN_OK);
    check_xml(out.data);
    has(out.data, "viewBox=\"0 0 274 190\"");
    has(out.data, "<path class=\"line s0\" d=\"M0 100L100 0L200 50\"/>");
    has(out.data, "<circle class=\"f0\" r=\"2.6\" cx=\"100\" cy=\"0\"><title>a&lt;b 1 at 1</title></circle>");
    has(out.data, "<path class=\"mark\" d=\"M208 48L208 148\"/>");
    has(out.data, ">here</text>");
    has(out.data, "<text x=\"258\" y=\"164\" text-anchor=\"middle\">2</text>");
    has(out.data, "<text x=\"51\" y=\"132\" text-anchor=\"end\">0.2</text>");
    assert_int_equal(count_of(out.data, "<circle"), 3);
    fn_buf_free(&out);
}

static void gaps_interrupt_a_line_and_logs_leave_out_zero(void **state) {
    (void)state;
    static const double x[] = {0, 1, 2, 3, 4}, y[] = {10, NAN, 100, 0, 1000};
    const fn_curve curve = {NULL, x, y, 5, FN_CURVE_LINE};
    const fn_plot plot = {
        .title = "T", .curves = &curve, .n_curves = 1, .log_y = 1, .width = 274, .height = 190};
    fn_buf out;
    fn_buf_init(&out, 1 << 20);
    fn_plot_svg(&out, &plot);
    has(out.data, "d=\"M0 100M100 50M200 0\"");
    fn_buf_free(&out);
}

static void many_points_become_few(void **state) {
    (void)state;
    enum { N = 100000 };
    double *x = calloc(N, sizeof *x), *y = calloc(N, sizeof *y);
    assert_non_null(x);
    assert_non_null(y);
    for (int i = 0; i < N; i++) {
        x[i] = i;
        y[i] = i % 2 ? 1 : 3; // mean 2
    }
    const fn_curve curve = {"loss", x, y, N, FN_CURVE_LINE};
    const fn_plot plot = {
        .title = "T", .curves = &curve, .n_curves = 1, .y_low = 0, .y_high = 4, .width = 274, .height = 190};
    fn_buf out;
    fn_buf_init(&out, 1 << 20);
    fn_plot_svg(&out, &plot);
    check_xml(out.data);
    assert_true(out.len < 30000);
    const char *line = strstr(out.data, "class=\"line s0\" d=\"M");
    assert_non_null(line);
    assert_float_equal(strtod(strchr(line + 20, ' ') + 1, NULL), 50, 0.2); // half of the height
    has(out.data, "class=\"band f0\"");
    free(x);
    free(y);
    fn_buf_free(&out);
}

static void a_plot_can_be_a_file_of_its_own(void **state) {
    (void)state;
    static const double x[] = {0, 1, 2}, y[] = {3, 2, 1};
    const fn_curve curve = {"loss", x, y, 3, FN_CURVE_DASHED};
    fn_plot plot = {.title = "T", .curves = &curve, .n_curves = 1};
    assert_int_equal(fn_curves_svg(at("a.svg"), &plot), FN_OK);
    char *text = text_of(at("a.svg"));
    check_xml(text);
    has(text, "<style>");
    has(text, "prefers-color-scheme:dark");
    assert_int_equal(count_of(text, "http"), 1); // the name space
    fn_free(text);
    plot.n_curves = 0;
    assert_int_equal(fn_curves_svg(at("b.svg"), &plot), FN_EINVAL);
}

// ---- the page --------------------------------------------------------------------------------

enum { STEPS = 3000, EPOCHS = 20, PAIRS = 4000 };

static void write_metrics(const char *path) {
    fn_metrics *m;
    fn_rng r = fn_rng_at(1, FN_STREAM_WEIGHTS, 0);
    assert_int_equal(fn_metrics_open(&m, path, 0), FN_OK);
    for (int s = 1; s <= STEPS; s++) {
        double t = (double)s / STEPS;
        fn_metrics_begin(m, "step", (uint64_t)s);
        fn_metrics_real(m, "loss", 0.04 + 0.16 * exp(-3 * t) + 0.01 * fn_rng_normal(&r));
        fn_metrics_integer(m, "triplets", (int64_t)(400 + 100 * fn_rng_unit(&r)));
        fn_metrics_integer(m, "active", (int64_t)(380 - 200 * t + 80 * fn_rng_unit(&r)));
        fn_metrics_real(m, "d_ap", 0.9 - 0.4 * t + 0.03 * fn_rng_normal(&r));
        fn_metrics_real(m, "d_an", 1.1 + 0.5 * t + 0.03 * fn_rng_normal(&r));
        fn_metrics_real(m, "lr", 0.025 * (1 + cos(3.14159265 * t)));
        fn_metrics_real(m, "norm", exp(0.5 * fn_rng_normal(&r)));
        assert_int_equal(fn_metrics_end(m), FN_OK);
        if (s % (STEPS / EPOCHS))
            continue;
        fn_metrics_begin(m, "epoch", (uint64_t)s);
        fn_metrics_integer(m, "epoch", s * EPOCHS / STEPS);
        fn_metrics_real(m, "loss", 0.04 + 0.16 * exp(-3 * t));
        fn_metrics_real(m, "accuracy", 0.86 - 0.3 * exp(-3 * t) + 0.004 * fn_rng_normal(&r));
        fn_metrics_real(m, "accuracy_se", 0.0123456);
        fn_metrics_real(m, "val", s == STEPS ? NAN : 0.6 - 0.5 * exp(-2 * t) + 0.01 * fn_rng_normal(&r));
        fn_metrics_real(m, "auc", 0.93);
        fn_metrics_real(m, "eer", 0.14 + 0.2 * exp(-3 * t));
        assert_int_equal(fn_metrics_end(m), FN_OK);
    }
    fn_metrics_free(m);
}

static const unsigned char jpeg[] = {0xFF, 0xD8, 0xFF, 0xE0, 'J', 'F', 'I', 'F'}; // base64 /9j/4EpGSUY=

static int write_report(const char *path, const char *metrics) {
    static const fn_report_fact facts[] = {{"Accuracy", "0.8612", "\xC2\xB1 0.0071, epoch 18"},
                                           {"VAL at FAR 1e-3", "0.412", NULL},
                                           {"Images per second", "83.4", NULL},
                                           {"Time", "1 h 12 min", NULL}};
    static const fn_report_fact options[] = {{"arch", "nn4.small2", NULL},
                                             {"loss", "triplet", "margin 0.2"},
                                             {"data", "/faces/<train> & more", NULL},
                                             {"seed", "666", NULL}};
    static const fn_report_triplet triplets[] = {
        {{jpeg, sizeof jpeg, "Ada 1.jpg"},
         {jpeg, sizeof jpeg, "Ada 7.jpg"},
         {jpeg, sizeof jpeg, "Grace 2.jpg"},
         1.62511,
         0.11733},
        {{NULL, 0, "B\"ob"}, {NULL, 0, NULL}, {NULL, 0, "<Eve>"}, 1.4, 0.25}};
    static float same[PAIRS], different[PAIRS];
    fn_rng r = fn_rng_at(2, FN_STREAM_WEIGHTS, 0);
    for (int i = 0; i < PAIRS; i++) {
        same[i] = fmaxf(0, 0.75F + 0.3F * fn_rng_normal(&r));
        different[i] = fmaxf(0, 1.5F + 0.3F * fn_rng_normal(&r));
    }
    const fn_run_report report = {.title = "nn4.small2 & triplets",
                                  .state = "finished after 20 epochs",
                                  .metrics = metrics,
                                  .facts = facts,
                                  .n_facts = 4,
                                  .options = options,
                                  .n_options = 4,
                                  .same = same,
                                  .n_same = PAIRS,
                                  .different = different,
                                  .n_different = PAIRS,
                                  .threshold = 1.0987,
                                  .triplets = triplets,
                                  .n_triplets = 2};
    return fn_report_write(path, &report);
}

static void the_page_is_well_formed_and_whole(void **state) {
    (void)state;
    write_metrics(at("metrics.jsonl"));
    if (write_report(at("report.html"), at("metrics.jsonl")) != FN_OK)
        fail_msg("%s", fn_last_error());
    char *text = text_of(at("report.html"));
    check_xml(text);
    static const char *const parts[] = {"0.8612",
                                        "\xC2\xB1 0.0071, epoch 18",
                                        "0.412",
                                        "83.4",
                                        "1 h 12 min",
                                        "nn4.small2",
                                        "margin 0.2",
                                        "/faces/&lt;train&gt; &amp; more",
                                        "666",
                                        "1.6251",
                                        "0.11733",
                                        "0.25",
                                        "B&quot;ob",
                                        "&lt;Eve&gt;",
                                        "base64,/9j/4EpGSUY=\"",
                                        "Grace 2.jpg",
                                        ">0.0123456<",
                                        ">threshold<",
                                        "finished after 20 epochs",
                                        "Table of 20 epochs",
                                        "VAL at FAR 1e-3",
                                        "pairs of one person</th><td>4000<"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        has(text, parts[i]);
    // 5 of steps, 3 of epochs, 2 of the validation, each with a drawing area
    assert_int_equal(count_of(text, "<svg"), 20);
    assert_int_equal(count_of(text, "nothing measured yet"), 0);
    assert_int_equal(count_of(text, "<img"), 3);
    struct stat st;
    assert_int_equal(stat(at("report.html"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    // Every number of the lines of epochs stands in the table.
    static const char *const keys[] = {"accuracy", "val", "eer", "loss"};
    fn_series series[4];
    assert_int_equal(fn_metrics_read(series, at("metrics.jsonl"), "epoch", keys, 4), FN_OK);
    for (int k = 0; k < 4; k++)
        for (size_t i = 0; i < series[k].n; i++) {
            char number[FN_NUMBER_SIZE], cell[FN_NUMBER_SIZE + 16];
            snprintf(cell, sizeof cell, "<td>%s</td>", fn_number_text(number, series[k].y[i], 6));
            has(text, cell);
        }
    fn_series_free(series, 4);
    fn_free(text);
}

static void the_page_needs_nothing_from_outside(void **state) {
    (void)state;
    write_metrics(at("metrics.jsonl"));
    assert_int_equal(write_report(at("report.html"), at("metrics.jsonl")), FN_OK);
    char *text = text_of(at("report.html"));
    assert_int_equal(count_of(text, "http://"), count_of(text, "xmlns=\"http://www.w3.org/2000/svg\""));
    assert_int_equal(count_of(text, "https:"), 0);
    assert_int_equal(count_of(text, "src=\""), count_of(text, "src=\"data:image/jpeg;base64,"));
    static const char *const never[] = {"<script", "<link", "href=", "url(", "@import", "<iframe"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_int_equal(count_of(text, never[i]), 0);
    fn_free(text);
    const char *keep = getenv("REPORT_TO"); // to look at
    if (keep)
        assert_int_equal(write_report(keep, at("metrics.jsonl")), FN_OK);
}

static void empty_parts_are_left_out(void **state) {
    (void)state;
    const fn_run_report report = {.title = "T", .metrics = at("missing.jsonl")};
    assert_int_equal(fn_report_write(at("report.html"), &report), FN_OK);
    char *text = text_of(at("report.html"));
    check_xml(text);
    assert_int_equal(count_of(text, "<section"), 0);
    assert_int_equal(count_of(text, "<svg"), 0);
    fn_free(text);
    assert_int_equal(fn_report_write(at("no/such/folder"), &report), FN_EIO);
}

static void out_of_memory_writes_no_page(void **state) {
    (void)state;
    fn_metrics *m;
    assert_int_equal(fn_metrics_open(&m, at("metrics.jsonl"), 0), FN_OK);
    for (int s = 1; s <= 3; s++) {
        fn_metrics_begin(m, s < 3 ? "step" : "epoch", (uint64_t)s);
        fn_metrics_real(m, "loss", s);
        fn_metrics_real(m, "epoch", s);
        assert_int_equal(fn_metrics_end(m), FN_OK);
    }
    fn_metrics_free(m);
    int failures = 0;
    for (int nth = 1;; nth++) {
        char metrics[128], path[128];
        snprintf(metrics, sizeof metrics, "%s", at("metrics.jsonl"));
        snprintf(path, sizeof path, "%s", at("report.html"));
        fn_alloc_fail_nth(nth);
        int rc = write_report(path, metrics);
        int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        if (count < nth) {
            assert_int_equal(rc, FN_OK);
            break;
        }
        assert_int_equal(rc, FN_ENOMEM);
        assert_int_not_equal(access(path, F_OK), 0);
        failures++;
    }
    assert_true(failures > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_folder, remove_folder)
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_a_point_in_every_locale),
        cmocka_unit_test(words_are_escaped),
        cmocka_unit_test(ticks_are_round),
        cmocka_unit_test(a_small_plot_is_what_it_should_be),
        cmocka_unit_test(gaps_interrupt_a_line_and_logs_leave_out_zero),
        cmocka_unit_test(many_points_become_few),
        TEST(a_plot_can_be_a_file_of_its_own),
        TEST(the_page_is_well_formed_and_whole),
        TEST(the_page_needs_nothing_from_outside),
        TEST(empty_parts_are_left_out),
        TEST(out_of_memory_writes_no_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
