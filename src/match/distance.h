// SPDX-License-Identifier: Apache-2.0
//
// What the room's files share about vectors.
#ifndef FN_MATCH_DISTANCE_H
#define FN_MATCH_DISTANCE_H

/// 1 when every float is finite and the length is within a thousandth of 1.
int fn_vector_is_unit(const float *vector, int dimension);

/// Dimensions that can be stored and searched.
#define FN_DIMENSION_MAX 16384

#endif
