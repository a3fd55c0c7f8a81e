// SPDX-License-Identifier: Apache-2.0
//
// The distance of two vectors, summed in double one after the other: the same on every machine, and
// exact to the last float digit even for nearly equal vectors, where 2 - 2 a.b would cancel.
#include "match/distance.h"

#include <facenet/match.h>
#include <math.h>

float fn_distance(const float *a, const float *b, int dimension) {
    double sum = 0;
    for (int i = 0; i < dimension; i++) {
        double d = (double)a[i] - b[i];
        sum += d * d;
    }
    return (float)sqrt(sum);
}

int fn_vector_is_unit(const float *vector, int dimension) {
    double sum = 0;
    for (int i = 0; i < dimension; i++)
        sum += (double)vector[i] * vector[i];
    return fabs(sqrt(sum) - 1) <= 1e-3; // false for NaN and infinity
}
