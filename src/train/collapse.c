// SPDX-License-Identifier: Apache-2.0
//
// Two signs, each over many steps in a row, because a network that has just been drawn also maps all faces
// near to one point and leaves it within a few steps.
#include "train/collapse.h"

#include "base/error.h"

#include <math.h>

#define POINT 1e-4     // squared distances below this: one point, whatever the loss says
#define NEARLY 5e-3    // the same for losses of which it is not known what a point costs
#define CLOSE 0.02     // below this they are close together;
#define AT_MARGIN 0.02 // then a loss that differs from the margin by less than this share of it is stuck

double fn_spread(const float *unit, int n, int d) {
    if (n < 2)
        return 0;
    // The mean of |x - y|^2 over pairs of unit vectors is 2 (1 - |mean|^2) n / (n - 1).
    double squares = 0;
    for (int k = 0; k < d; k++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += (double)unit[(long)i * d + k];
        squares += sum / n * (sum / n);
    }
    double spread = 2 * (1 - squares) * n / (n - 1);
    return spread > 0 ? spread : 0;
}

int fn_collapse_step(fn_collapse *collapse, double spread, double triplet_loss, double margin, int patience) {
    int is_stuck =
        margin > 0 ? spread < CLOSE && fabs(triplet_loss - margin) < AT_MARGIN * margin : spread < NEARLY;
    collapse->n_together = spread < POINT ? collapse->n_together + 1 : 0;
    collapse->n_stuck = is_stuck ? collapse->n_stuck + 1 : 0;
    return patience > 0 && (collapse->n_together >= patience || collapse->n_stuck >= patience);
}

int fn_collapse_fail(double spread, double triplet_loss, double margin, int patience) {
    return fn_fail(
        FN_ETRAIN,
        "the embeddings have collapsed onto one point: for %d steps their mean squared distance is "
        "near 0 (now %.2g, loss %.3g, margin %.3g); try a lower lr, semi-hard mining, a longer warm-up of "
        "the "
        "schedule, or clip",
        patience, spread, triplet_loss, margin);
}
