// SPDX-License-Identifier: Apache-2.0
//
// The loops of a batch-norm: every variant against the plain one, which is against arithmetic written out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "base/random.h"
#include "kernels/norm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 37, MOST = ROWS * FN_NORM_LANES };

/// Numbers of one type, one of them off its alignment.
typedef struct rows {
    float f32[MOST + 1];
    uint16_t bf16[MOST + 1];
} rows;

static float from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// The float keeps the bits that the bfloat16 has.
static void draw(rows *r, fn_rng *rng, float offset) {
    for (int i = 0; i <= MOST; i++) {
        float value = offset + fn_rng_normal(rng);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        r->bf16[i] = (uint16_t)(bits >> 16);
        r->f32[i] = from_bf16(r->bf16[i]);
    }
}

static const void *at(const rows *r, int is_bf16) {
    return is_bf16 ? (const void *)(r->bf16 + 1) : (const void *)(r->f32 + 1);
}

static rows x, dy;
static float factors[FN_NORM_FACTORS * FN_NORM_LANES];

static void draw_all(void) {
    fn_rng rng = fn_rng_at(7, 1, 0);
    draw(&x, &rng, 3);
    draw(&dy, &rng, 0);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
        factors[i] = fn_rng_normal(&rng);
}

/// n numbers of a result, and some more that nobody may touch.
typedef struct result {
    float f32[MOST + 2];
    uint16_t bf16[MOST + 2];
} result;

enum { APPLY, GRADIENT, N_RESULTS };

static result result_of(const fn_norm_kernels *k, int what, int lanes, int is_bf16, int relu, int n) {
    result r;
    memset(&r, 0x5A, sizeof r);
    void *dst = is_bf16 ? (void *)(r.bf16 + 1) : (void *)(r.f32 + 1);
    if (what == APPLY)
        k->apply(dst, at(&x, is_bf16), factors, relu, (size_t)n);
    else
        k->gradient(dst, at(&x, is_bf16), at(&dy, is_bf16), factors, relu, (size_t)n);
    for (int i = 0; i < MOST + 2; i++) {
        int inside = i >= 1 && i <= n * lanes;
        if (!inside || !is_bf16)
            assert_int_equal(r.bf16[i], 0x5A5A);
        if (!inside || is_bf16)
            assert_memory_equal(&r.f32[i], "ZZZZ", 4);
        if (inside && is_bf16)
            r.f32[i] = from_bf16(r.bf16[i]);
    }
    return r;
}

static void plain_loops_do_what_is_written(void **state) {
    (void)state;
    draw_all();
    for (int i = 0; i < 8; i++) {
        const int lanes = i & 1 ? 16 : 8, is_bf16 = i >> 1 & 1, relu = i >> 2;
        const fn_norm_kernels *k = &fn_norm_c[lanes == 16][is_bf16];
        double sums[2 * FN_NORM_LANES] = {0}, of_dy[2 * FN_NORM_LANES] = {0};
        k->sums(sums, at(&x, is_bf16), ROWS);
        k->gradient_sums(of_dy, at(&x, is_bf16), at(&dy, is_bf16), factors, relu, ROWS);
        result y = result_of(k, APPLY, lanes, is_bf16, relu, ROWS),
               dx = result_of(k, GRADIENT, lanes, is_bf16, relu, ROWS);
        for (int c = 0; c < lanes; c++) {
            double want[4] = {0}, f[FN_NORM_FACTORS];
            for (int j = 0; j < FN_NORM_FACTORS; j++)
                f[j] = (double)factors[j * lanes + c];
            for (int r = 0; r < ROWS; r++) {
                const int j = 1 + r * lanes + c;
                const double v = (double)x.f32[j], off = v - f[FN_NORM_MEAN];
                const double normal = f[FN_NORM_WEIGHT] * off + f[FN_NORM_SHIFT];
                const double d = !relu || normal > 0 ? (double)dy.f32[j] : 0;
                const double y_ = relu ? fmax(normal, 0) : normal,
                             gradient = f[FN_NORM_WEIGHT] * d - f[FN_NORM_A] - f[FN_NORM_B] * off;
                const double rounding = is_bf16 ? 0x1p-8 : 0x1p-20;
                want[0] += v;
                want[1] += v * v;
                want[2] += d;
                want[3] += d * v;
                assert_true(fabs((double)y.f32[j] - y_) <= rounding * (1 + fabs(y_)));
                assert_true(fabs((double)dx.f32[j] - gradient) <= rounding * (1 + fabs(gradient)));
            }
            assert_true(fabs(sums[c] - want[0]) <= 1e-10);
            assert_true(fabs(sums[lanes + c] - want[1]) <= 1e-10);
            assert_true(fabs(of_dy[c] - want[2]) <= 1e-10);
            assert_true(fabs(of_dy[lanes + c] - want[3]) <= 1e-10);
        }
    }
}

/// Sums to the last bit; a fused multiplication rounds once where the plain loop rounds twice.
static void every_variant_gives_the_sums_of_the_plain_one(void **state) {
    (void)state;
    int n_variants = 0;
    draw_all();
    for (int i = 0; i < 8; i++) {
        const int lanes = i & 1 ? 16 : 8, is_bf16 = i >> 1 & 1, relu = i >> 2;
        const fn_norm_kernels *plain = fn_norm_choose(0, lanes, is_bf16),
                              *quick = fn_norm_choose(fn_cpu_flags(), lanes, is_bf16);
        assert_ptr_equal(plain, &fn_norm_c[lanes == 16][is_bf16]);
        n_variants += quick != plain;
        for (int n = 0; n <= ROWS; n += n < 5 ? 1 : 16) {
            double a[4 * FN_NORM_LANES], b[4 * FN_NORM_LANES];
            for (int k = 0; k < 4 * FN_NORM_LANES; k++)
                a[k] = b[k] = k * 0.1; // sums go on
            plain->sums(a, at(&x, is_bf16), (size_t)n);
            quick->sums(b, at(&x, is_bf16), (size_t)n);
            plain->gradient_sums(a + 2 * lanes, at(&x, is_bf16), at(&dy, is_bf16), factors, relu, (size_t)n);
            quick->gradient_sums(b + 2 * lanes, at(&x, is_bf16), at(&dy, is_bf16), factors, relu, (size_t)n);
            assert_memory_equal(a, b, sizeof a);
            for (int what = 0; what < N_RESULTS; what++) {
                result f = result_of(plain, what, lanes, is_bf16, relu, n),
                       g = result_of(quick, what, lanes, is_bf16, relu, n);
                for (int k = 1; k <= n * lanes; k++)
                    assert_true(fabsf(f.f32[k] - g.f32[k]) <=
                                (is_bf16 ? 0x1p-7F : 0x1p-20F) * (1 + fabsf(f.f32[k])));
            }
        }
    }
    if (!n_variants)
        print_message("skipped: this processor has no variant\n");
}

/// A gradient passes exactly where the result is above zero: on the edge itself, none; and a number that is
/// none stays one, so that it is found.
static void gradients_pass_where_results_are_above_zero(void **state) {
    (void)state;
    static const float edges[] = {0.0F, -0.0F, 1e-30F, -1e-30F, 1.0F, -1.0F, 0x1p-149F, INFINITY};
    for (int i = 0; i < 4; i++)
        for (int e = 0; e < (int)(sizeof edges / sizeof *edges); e++) {
            const int lanes = i & 1 ? 16 : 8;
            const fn_norm_kernels *k = fn_norm_choose(i >> 1 ? fn_cpu_flags() : 0, lanes, 0);
            float f[FN_NORM_FACTORS * FN_NORM_LANES] = {0}, row[FN_NORM_LANES], d[FN_NORM_LANES],
                                      y_[FN_NORM_LANES], dx[FN_NORM_LANES];
            for (int c = 0; c < lanes; c++) {
                f[FN_NORM_WEIGHT * lanes + c] = 1;
                row[c] = edges[e];
                d[c] = 2;
            }
            row[1] = NAN;
            k->apply(y_, row, f, 1, 1);
            k->gradient(dx, row, d, f, 1, 1);
            for (int c = 0; c < lanes; c++) {
                if (c == 1) {
                    assert_true(isnan(y_[c]));
                    continue;
                }
                assert_true(y_[c] == (edges[e] > 0 ? edges[e] : 0));
                if (isfinite(edges[e]))
                    assert_true(dx[c] == (y_[c] > 0 ? 2.0F : 0.0F));
            }
        }
}

/// bfloat16 keeps what is no number, and rounds to the nearest, to even when two are.
static void results_are_rounded_to_the_nearest_bfloat16(void **state) {
    (void)state;
    static const struct {
        float value;
        uint16_t want;
    } cases[] = {{1.0F, 0x3F80},       {0x1.01p0F, 0x3F80},    {0x1.03p0F, 0x3F82}, {0x1.010002p0F, 0x3F81},
                 {-0x1.03p0F, 0xBF82}, {0x1.fffp127F, 0x7F80}, {INFINITY, 0x7F80},  {-INFINITY, 0xFF80}};
    for (int lanes = 8; lanes <= 16; lanes += 8)
        for (int quick = 0; quick < 2; quick++) {
            const fn_norm_kernels *k = fn_norm_choose(quick ? fn_cpu_flags() : 0, lanes, 1);
            const uint16_t one[FN_NORM_LANES] = {0}; // dx = -a, of b = 0
            uint16_t dx[FN_NORM_LANES];
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                float f[FN_NORM_FACTORS * FN_NORM_LANES] = {0};
                for (int c = 0; c < lanes; c++)
                    f[FN_NORM_A * lanes + c] = -cases[i].value;
                k->gradient(dx, one, one, f, 0, 1);
                for (int c = 0; c < lanes; c++)
                    assert_int_equal(dx[c], cases[i].want);
            }
            float f[FN_NORM_FACTORS * FN_NORM_LANES];
            for (int c = 0; c < FN_NORM_FACTORS * lanes; c++)
                f[c] = NAN;
            k->gradient(dx, one, one, f, 0, 1);
            for (int c = 0; c < lanes; c++)
                assert_true(isnan(from_bf16(dx[c])));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_loops_do_what_is_written),
        cmocka_unit_test(every_variant_gives_the_sums_of_the_plain_one),
        cmocka_unit_test(gradients_pass_where_results_are_above_zero),
        cmocka_unit_test(results_are_rounded_to_the_nearest_bfloat16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
