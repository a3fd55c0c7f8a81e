// SPDX-License-Identifier: Apache-2.0
//
// Philox4x32-10 and what is drawn from it.
#include "base/random.h"

#include <math.h>
#include <string.h>

void fn_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    uint32_t c[4], k[2] = {key[0], key[1]};
    memcpy(c, counter, sizeof c);
    for (int round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)0xD2511F53U * c[0], q = (uint64_t)0xCD9E8D57U * c[2];
        uint32_t next[4] = {(uint32_t)(q >> 32) ^ c[1] ^ k[0], (uint32_t)q, (uint32_t)(p >> 32) ^ c[3] ^ k[1],
                            (uint32_t)p};
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9U; // the golden ratio
        k[1] += 0xBB67AE85U; // sqrt(3) - 1
    }
    memcpy(out, c, sizeof c);
}

fn_rng fn_rng_at(uint64_t seed, uint32_t stream, uint32_t index) {
    return (fn_rng){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .counter = {0, 0, index, stream}};
}

uint32_t fn_rng_bits(fn_rng *r) {
    if (r->left == 0) {
        fn_philox(r->block, r->counter, r->key);
        r->counter[0]++;
        r->left = 4;
    }
    return r->block[4 - r->left--];
}

float fn_rng_unit(fn_rng *r) {
    return (float)(fn_rng_bits(r) >> 8) * 0x1p-24F;
}

float fn_rng_range(fn_rng *r, float low, float high) {
    return low + (high - low) * fn_rng_unit(r);
}

uint32_t fn_rng_below(fn_rng *r, uint32_t n) {
    uint32_t reject = -n % n; // numbers below it would make the first ones more likely
    uint32_t bits;
    do
        bits = fn_rng_bits(r);
    while (bits < reject);
    return bits % n;
}

float fn_rng_normal(fn_rng *r) {
    double u = ((double)fn_rng_bits(r) + 1) * 0x1p-32; // (0, 1]
    double v = (double)fn_rng_bits(r) * 0x1p-32;
    return (float)(sqrt(-2 * log(u)) * sin(6.283185307179586 * v));
}

void fn_rng_shuffle(fn_rng *r, int *values, int n) {
    for (int i = n - 1; i > 0; i--) {
        int k = (int)fn_rng_below(r, (uint32_t)i + 1);
        int t = values[i];
        values[i] = values[k];
        values[k] = t;
    }
}
