// SPDX-License-Identifier: Apache-2.0
//
// Ranges and round ticks.
#include "train/plot_scale.h"

#include <math.h>

// 1, 2 or 5 times a power of ten that is not below `step`.
static double round_up(double step) {
    double power = pow(10, floor(log10(step)));
    double lead = step / power;
    return (lead <= 1.0000001 ? 1 : lead <= 2.0000001 ? 2 : lead <= 5.0000001 ? 5 : 10) * power;
}

static void add_tick(fn_scale *scale, double value) {
    double slack = 1e-9 * (scale->high - scale->low);
    if (scale->n_ticks < FN_MAX_TICKS && value >= scale->low - slack && value <= scale->high + slack)
        scale->ticks[scale->n_ticks++] = value;
}

static void linear_ticks(fn_scale *scale, int wanted) {
    double step = round_up((scale->high - scale->low) / wanted);
    for (double k = ceil(scale->low / step - 1e-9); scale->n_ticks < FN_MAX_TICKS; k++) {
        if (k * step > scale->high + 1e-9 * step)
            break;
        add_tick(scale, k * step + 0.0); // -0 becomes 0
    }
}

static void log_ticks(fn_scale *scale, int wanted) {
    double first = floor(log10(scale->low)), last = ceil(log10(scale->high));
    double stride = ceil((last - first) / wanted);
    if (!(stride > 1))
        stride = 1;
    for (double power = first; power <= last; power += stride) {
        double decade = pow(10, power);
        add_tick(scale, decade);
        if (last - first <= 2) {
            add_tick(scale, 2 * decade);
            add_tick(scale, 5 * decade);
        }
    }
}

void fn_scale_init(fn_scale *scale, double low, double high, int log, int exact, int wanted) {
    *scale = (fn_scale){.low = low, .high = high, .log = log};
    if (log) {
        if (!(high > low))
            scale->low = low / 2, scale->high = low * 2;
        log_ticks(scale, wanted);
        return;
    }
    if (!(high > low)) {
        double half = low != 0 ? 0.1 * fabs(low) : 1;
        scale->low = low - half, scale->high = low + half;
    } else if (!exact) {
        double margin = 0.05 * (high - low);
        scale->high = high + margin;
        // Close to zero an axis begins there.
        scale->low = low >= 0 && low < 0.4 * high ? 0 : low - margin;
    }
    linear_ticks(scale, wanted);
}

double fn_scale_at(const fn_scale *scale, double value) {
    if (scale->log)
        return log10(value / scale->low) / log10(scale->high / scale->low);
    return (value - scale->low) / (scale->high - scale->low);
}
