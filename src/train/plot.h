// SPDX-License-Identifier: Apache-2.0
//
// Plots as SVG text: a frame with round ticks, a grid, curves, a legend. Colours come from CSS variables with
// a light and a dark set, so that a plot suits the page that shows it.
#ifndef FN_TRAIN_PLOT_H
#define FN_TRAIN_PLOT_H

#include "base/buf.h"

typedef enum fn_curve_style {
    FN_CURVE_LINE,   // more than a few hundred points become means, with the range as a band behind
    FN_CURVE_POINTS, // a line with a mark at each point, which tells its numbers when pointed at
    FN_CURVE_DASHED,
    FN_CURVE_STEPS // a filled outline, y[i] from x[i] to x[i + 1], the last y unused: a histogram
} fn_curve_style;

typedef struct fn_curve {
    const char *name;
    const double *x, *y; // n each; pairs with a number that is not finite interrupt the line
    size_t n;
    fn_curve_style style;
} fn_curve;

typedef struct fn_plot {
    const char *title, *x_label, *y_label;
    const fn_curve *curves;
    int n_curves;
    int log_x, log_y;     // numbers <= 0 are left out
    double x_low, x_high; // both 0: what the curves need
    double y_low, y_high; // likewise
    const double *marks;  // vertical lines, such as a threshold
    const char *const *mark_names;
    int n_marks;
    int width, height; // 0: 640 x 320; a legend too long for the first line adds to the height
} fn_plot;

/// Appends one <svg> element. Errors stick in the buffer.
void fn_plot_svg(fn_buf *out, const fn_plot *plot);

/// The same as a file of its own with its style inside, for documents. FN_EIO, FN_ENOMEM, FN_EINVAL for a
/// plot without a single point.
int fn_curves_svg(const char *path, const fn_plot *plot);

/// The CSS of plots: variables for light and dark, and classes.
void fn_plot_style(fn_buf *out);

#endif
