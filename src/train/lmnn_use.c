// SPDX-License-Identifier: Apache-2.0
//
// What a learnt map does to vectors, and how often nearest neighbours err under it.
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "kernels/sqdist.h"

#include <facenet/metric.h>
#include <math.h>
#include <string.h>

enum { MAX_NEIGHBOURS = 64 };

void fn_lmnn_apply(float *dst, const float *L, int rank, const float *embeddings, size_t n, int d) {
    size_t height = (size_t)rank, width = (size_t)d;
    for (size_t i = 0; i < n; i++) {
        float *y = dst + i * height;
        double square = 0;
        for (size_t r = 0; r < height; r++) {
            double sum = 0;
            for (size_t k = 0; k < width; k++)
                sum += (double)L[r * width + k] * (double)embeddings[i * width + k];
            y[r] = (float)sum;
            square += sum * sum;
        }
        double scale = square > 0 ? 1 / sqrt(square) : 0;
        for (size_t r = 0; r < height; r++)
            y[r] = (float)((double)y[r] * scale);
    }
}

/// The k nearest rows to row i, nearest first, the earlier one first among equals. Returns how many.
static int nearest_to(int *nearest, const float *distance, size_t n, size_t i, int k) {
    int found = 0;
    for (size_t l = 0; l < n; l++) {
        if (l == i)
            continue;
        int at = found < k ? found++ : distance[l] < distance[nearest[k - 1]] ? k - 1 : k;
        for (; at < k && at > 0 && distance[nearest[at - 1]] > distance[l]; at--)
            nearest[at] = nearest[at - 1];
        if (at < k)
            nearest[at] = (int)l;
    }
    return found;
}

/// The label most of them have; of several, the one that comes first.
static int vote(const int *nearest, int n, const int *label) {
    int best = 0, best_count = 0;
    for (int i = 0; i < n; i++) {
        int count = 0;
        for (int e = 0; e < n; e++)
            count += label[nearest[e]] == label[nearest[i]];
        if (count > best_count) {
            best_count = count;
            best = label[nearest[i]];
        }
    }
    return best;
}

double fn_knn_error(const float *embeddings, const int *label, size_t n, int d, int k, size_t *n_asked) {
    if (n < 2 || n > INT32_MAX / 2 || d < 1 || k < 1 || k > MAX_NEIGHBOURS)
        return fn_fail(FN_EINVAL, "nearest neighbours: %zu vectors of %d numbers, 1 to %d neighbours, not %d",
                       n, d, MAX_NEIGHBOURS, k);
    size_t width = (size_t)d, stride = (width + FN_SQDIST_LANES - 1) / FN_SQDIST_LANES * FN_SQDIST_LANES;
    fn_sqdist_fn *sqdist = fn_sqdist_choose(fn_cpu_flags());
    float *rows = fn_alloc_aligned(n * stride * sizeof *rows), *distance = fn_calloc(n, sizeof *distance);
    size_t asked = 0, wrong = 0;
    double error = rows && distance ? 0 : fn_fail_memory();
    for (size_t i = 0; error >= 0 && i < n; i++) {
        memcpy(rows + i * stride, embeddings + i * width, width * sizeof *rows);
        memset(rows + i * stride + width, 0, (stride - width) * sizeof *rows);
    }
    for (size_t i = 0; error >= 0 && i < n; i++) {
        int nearest[MAX_NEIGHBOURS], has_other = 0;
        for (size_t l = 0; l < n && !has_other; l++)
            has_other = l != i && label[l] == label[i];
        if (!has_other)
            continue;
        sqdist(distance, rows + i * stride, rows, n, stride);
        int found = nearest_to(nearest, distance, n, i, k);
        wrong += vote(nearest, found, label) != label[i];
        asked++;
    }
    fn_free(rows);
    fn_free(distance);
    if (n_asked)
        *n_asked = asked;
    return error < 0 ? error : asked ? (double)wrong / (double)asked : 0;
}
