// SPDX-License-Identifier: Apache-2.0
//
// Which triplets of a batch are worth learning from. Pairs of two images of one person are all taken, anchor
// before positive in the order of the rows; the rules differ in the negative each pair is given. d2 is the
// squared Euclidean distance.
#ifndef FN_TRAIN_MINE_H
#define FN_TRAIN_MINE_H

#include "base/random.h"

typedef enum fn_mining {
    FN_MINE_SEMI_HARD, // d2(a,p) < d2(a,n) < d2(a,p) + margin (Schroff et al. 2015, section 3.2), the nearest
    FN_MINE_SEMI_HARD_RANDOM, // of those one at random, instead of the nearest
    FN_MINE_ANY_VIOLATOR,     // d2(a,n) < d2(a,p) + margin, one of them at random (OpenFace)
    FN_MINE_BATCH_HARD,       // per anchor its farthest positive and nearest negative (Hermans et al. 2017)
    FN_MINE_RANDOM            // any image of somebody else
} fn_mining;

typedef struct fn_mine_options {
    fn_mining kind;
    float margin;
    const unsigned char *fixed; // (n) or NULL: rows that cannot move (1); a triplet has at least one that can
} fn_mine_options;

typedef struct fn_triplet {
    int anchor, positive, negative; // rows
} fn_triplet;

typedef struct fn_mined {
    fn_triplet *triplets; // in the order of anchor, positive
    int n;                // found
    int n_pairs;          // pairs looked at (batch-hard: anchors with a positive); pairs without a negative
                          // that fits the rule are dropped
    double mean_ap, mean_an; // mean d2 of all pairs of one person, and of two; 0 without such pairs
} fn_mined;

/// embeddings: (n, d), label: (n), any numbers. n is at most 16,384. Only the random choices draw from rng,
/// in a fixed order. Errors: FN_EINVAL, FN_ENOMEM. The caller frees out with fn_mined_free.
int fn_mine(fn_mined *out, const float *embeddings, const int *label, int n, int d,
            const fn_mine_options *options, fn_rng *rng);
void fn_mined_free(fn_mined *mined);

/// mean_ap and mean_an alone.
int fn_mine_means(double *mean_ap, double *mean_an, const float *embeddings, const int *label, int n, int d);

#endif
