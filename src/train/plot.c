// SPDX-License-Identifier: Apache-2.0
//
// Plots as SVG. The drawing area is an <svg> of its own inside, which cuts off what lies outside it.
#include "train/plot.h"

#include "base/error.h"
#include "base/path.h"
#include "train/plot_scale.h"
#include "train/text.h"

#include <math.h>
#include <string.h>

enum {
    LEFT = 58,
    RIGHT = 16,
    TOP = 48,
    BOTTOM = 42,
    COLUMNS = 240,
    MANY = 480,
    COLORS = 6,
    ROW = 18, // of a legend below the plot
    MAX_TEXT = 16 << 20
};

// Colours by the names the rules use; on a light ground and on a dark one. They are written out, because not
// every program that shows SVG knows variables.
static const struct {
    const char *name, *light, *dark;
} palette[] = {
    {"ink", "#1f2430", "#e6e9ef"}, {"soft", "#5b6472", "#98a2b3"}, {"faint", "#e3e7ee", "#2a313d"},
    {"paper", "#fff", "#151a22"},  {"c0", "#2a62d8", "#7aa7ff"},   {"c1", "#d9541e", "#ff9a6b"},
    {"c2", "#12855a", "#53d3a2"},  {"c3", "#8a3ffc", "#c29bff"},   {"c4", "#b4318a", "#f48fd0"},
    {"c5", "#7a6a00", "#e0cd5a"},
};

static const char shapes[] =
    ".plot{font:12px system-ui,-apple-system,'Segoe UI',sans-serif}\n"
    ".plot .title{font-weight:600;font-size:14px}.plot .grid,.plot .axis{fill:none}\n"
    ".plot .line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}\n"
    ".plot .dashed{stroke-dasharray:6 4}.plot .mark{stroke-dasharray:3 3;fill:none}\n"
    ".plot .band{stroke:none;fill-opacity:.16}.plot .area{fill-opacity:.22;stroke-width:1.5}\n";

static const char colours[] =
    ".plot .paper{fill:$paper}.plot text{fill:$soft}.plot .title{fill:$ink}.plot .grid{stroke:$faint}\n"
    ".plot .axis{stroke:$soft}.plot .mark{stroke:$ink}\n"
    ".plot .s0{stroke:$c0}.plot .s1{stroke:$c1}.plot .s2{stroke:$c2}.plot .s3{stroke:$c3}.plot "
    ".s4{stroke:$c4}"
    ".plot .s5{stroke:$c5}\n"
    ".plot .f0{fill:$c0}.plot .f1{fill:$c1}.plot .f2{fill:$c2}.plot .f3{fill:$c3}.plot .f4{fill:$c4}"
    ".plot .f5{fill:$c5}\n";

static void write_colours(fn_buf *out, int is_dark) {
    for (const char *at = colours; *at;) {
        const size_t plain = strcspn(at, "$");
        fn_buf_append(out, at, plain);
        at += plain;
        for (size_t i = 0; *at == '$' && i < sizeof palette / sizeof *palette; i++) {
            const size_t n = strlen(palette[i].name);
            if (strncmp(at + 1, palette[i].name, n) == 0) {
                fn_buf_printf(out, "%s", is_dark ? palette[i].dark : palette[i].light);
                at += 1 + n;
            }
        }
    }
}

void fn_plot_style(fn_buf *out) {
    fn_buf_printf(out, "%s", shapes);
    write_colours(out, 0);
    fn_buf_printf(out, "@media (prefers-color-scheme:dark){\n");
    write_colours(out, 1);
    fn_buf_printf(out, "}\n");
}

typedef struct drawing {
    fn_buf *out;
    const fn_plot *plot;
    fn_scale x, y;
    double width, height; // of the drawing area
} drawing;

static void number(fn_buf *out, double value) {
    char text[FN_NUMBER_SIZE];
    fn_buf_printf(out, "%s", fn_number_text(text, fabs(value) < 5e-3 ? 0 : round(value * 100) / 100, 7));
}

// ` name="value"`
static void attribute(fn_buf *out, const char *name, double value) {
    fn_buf_printf(out, " %s=\"", name);
    number(out, value);
    fn_buf_append(out, "\"", 1);
}

static void point(const drawing *d, char letter, double px, double py) {
    fn_buf_append(d->out, &letter, 1);
    number(d->out, px);
    fn_buf_append(d->out, " ", 1);
    number(d->out, py);
}

static void text_at(fn_buf *out, double x, double y, const char *attributes, const char *text) {
    fn_buf_printf(out, "<text");
    attribute(out, "x", x);
    attribute(out, "y", y);
    fn_buf_printf(out, " %s>", attributes);
    fn_buf_xml(out, text ? text : "");
    fn_buf_printf(out, "</text>\n");
}

static int shown(const fn_plot *plot, double x, double y) {
    return isfinite(x) && isfinite(y) && (!plot->log_x || x > 0) && (!plot->log_y || y > 0);
}

static double px(const drawing *d, double x) {
    return d->width * fn_scale_at(&d->x, x);
}

// Far outside is as good as outside, and keeps coordinates short.
static double py(const drawing *d, double y) {
    double at = 1 - fn_scale_at(&d->y, y);
    return d->height * (at < -1 ? -1 : at > 2 ? 2 : at);
}

// The ranges that all curves together need; 0 when there is not a single point.
static int measure(drawing *d) {
    const fn_plot *p = d->plot;
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int c = 0; c < p->n_curves; c++)
        for (size_t i = 0; i < p->curves[c].n; i++) {
            double x = p->curves[c].x[i], y = p->curves[c].y[i];
            if (!shown(p, x, y))
                continue;
            low[0] = fmin(low[0], x), high[0] = fmax(high[0], x);
            low[1] = fmin(low[1], y), high[1] = fmax(high[1], y);
        }
    if (low[0] > high[0])
        return 0;
    // Marks stand clear of the edge.
    double margin = p->curves[0].style == FN_CURVE_POINTS && !p->log_x ? 0.015 * (high[0] - low[0]) : 0;
    low[0] -= margin, high[0] += margin;
    int fixed_x = p->x_low != 0 || p->x_high != 0, fixed_y = p->y_low != 0 || p->y_high != 0;
    fn_scale_init(&d->x, fixed_x ? p->x_low : low[0], fixed_x ? p->x_high : high[0], p->log_x, 1, 7);
    fn_scale_init(&d->y, fixed_y ? p->y_low : low[1], fixed_y ? p->y_high : high[1], p->log_y, fixed_y, 5);
    return 1;
}

static void draw_axes(const drawing *d) {
    fn_buf *out = d->out;
    char text[FN_NUMBER_SIZE];
    fn_buf_printf(out, "<path class=\"grid\" d=\"");
    for (int i = 0; i < d->y.n_ticks; i++) {
        double at = TOP + py(d, d->y.ticks[i]);
        point(d, 'M', LEFT, at);
        point(d, 'L', LEFT + d->width, at);
    }
    for (int i = 0; i < d->x.n_ticks; i++) {
        double at = LEFT + px(d, d->x.ticks[i]);
        point(d, 'M', at, TOP);
        point(d, 'L', at, TOP + d->height);
    }
    fn_buf_printf(out, "\"/>\n<path class=\"axis\" d=\"");
    point(d, 'M', LEFT, TOP + d->height);
    point(d, 'L', LEFT + d->width, TOP + d->height);
    fn_buf_printf(out, "\"/>\n");
    for (int i = 0; i < d->y.n_ticks; i++)
        text_at(out, LEFT - 7, TOP + 4 + py(d, d->y.ticks[i]), "text-anchor=\"end\"",
                fn_number_text(text, d->y.ticks[i], 5));
    for (int i = 0; i < d->x.n_ticks; i++)
        text_at(out, LEFT + px(d, d->x.ticks[i]), TOP + d->height + 16, "text-anchor=\"middle\"",
                fn_number_text(text, d->x.ticks[i], 6));
    if (d->plot->x_label)
        text_at(out, LEFT + d->width, TOP + d->height + 34, "text-anchor=\"end\"", d->plot->x_label);
}

// ---- curves ----------------------------------------------------------------------------------

// Line and colour of curve k; where the colours begin anew, the lines are dashed.
static void begin_line(const drawing *d, int k) {
    int dashed = d->plot->curves[k].style == FN_CURVE_DASHED || k >= COLORS;
    fn_buf_printf(d->out, "<path class=\"line s%d%s\" d=\"", k % COLORS, dashed ? " dashed" : "");
}

static void draw_line(const drawing *d, const fn_curve *c, int k) {
    int down = 0;
    begin_line(d, k);
    for (size_t i = 0; i < c->n; i++) {
        int visible = shown(d->plot, c->x[i], c->y[i]);
        if (visible)
            point(d, down ? 'L' : 'M', px(d, c->x[i]), py(d, c->y[i]));
        down = visible;
    }
    fn_buf_printf(d->out, "\"/>\n");
}

typedef struct column {
    double sum_x, sum, low, high; // of pixels
    size_t n;
} column;

// A curve of many points: per column the mean, and behind it the range.
static void draw_many(const drawing *d, const fn_curve *c, int k) {
    column columns[COLUMNS] = {{0}};
    for (size_t i = 0; i < c->n; i++) {
        double share = shown(d->plot, c->x[i], c->y[i]) ? fn_scale_at(&d->x, c->x[i]) : -1;
        if (share < 0 || share > 1)
            continue;
        column *to = &columns[share < 1 ? (int)(share * COLUMNS) : COLUMNS - 1];
        double y = py(d, c->y[i]);
        to->low = to->n ? fmin(to->low, y) : y;
        to->high = to->n ? fmax(to->high, y) : y;
        to->sum_x += d->width * share;
        to->sum += y;
        to->n++;
    }
    int used[COLUMNS], n = 0;
    for (int i = 0; i < COLUMNS; i++)
        if (columns[i].n)
            used[n++] = i;
    fn_buf_printf(d->out, "<path class=\"band f%d\" d=\"", k % COLORS);
    for (int i = 0; i < n; i++)
        point(d, i ? 'L' : 'M', columns[used[i]].sum_x / (double)columns[used[i]].n, columns[used[i]].low);
    for (int i = n; i-- > 0;)
        point(d, 'L', columns[used[i]].sum_x / (double)columns[used[i]].n, columns[used[i]].high);
    fn_buf_printf(d->out, "Z\"/>\n");
    begin_line(d, k);
    for (int i = 0; i < n; i++) {
        const column *at = &columns[used[i]];
        point(d, i ? 'L' : 'M', at->sum_x / (double)at->n, at->sum / (double)at->n);
    }
    fn_buf_printf(d->out, "\"/>\n");
}

static void draw_points(const drawing *d, const fn_curve *c, int color) {
    char x[FN_NUMBER_SIZE], y[FN_NUMBER_SIZE];
    for (size_t i = 0; i < c->n; i++) {
        if (!shown(d->plot, c->x[i], c->y[i]))
            continue;
        fn_buf_printf(d->out, "<circle class=\"f%d\" r=\"2.6\"", color);
        attribute(d->out, "cx", px(d, c->x[i]));
        attribute(d->out, "cy", py(d, c->y[i]));
        fn_buf_printf(d->out, "><title>");
        fn_buf_xml(d->out, c->name ? c->name : "");
        fn_buf_printf(d->out, " %s at %s</title></circle>\n", fn_number_text(y, c->y[i], 6),
                      fn_number_text(x, c->x[i], 6));
    }
}

static void draw_steps(const drawing *d, const fn_curve *c, int color) {
    if (c->n < 2)
        return;
    double base = py(d, d->y.low);
    fn_buf_printf(d->out, "<path class=\"area f%d s%d\" d=\"", color, color);
    point(d, 'M', px(d, c->x[0]), base);
    for (size_t i = 0; i + 1 < c->n; i++) {
        double top = shown(d->plot, c->x[i], c->y[i]) ? py(d, c->y[i]) : base;
        point(d, 'L', px(d, c->x[i]), top);
        point(d, 'L', px(d, c->x[i + 1]), top);
    }
    point(d, 'L', px(d, c->x[c->n - 1]), base);
    fn_buf_printf(d->out, "Z\"/>\n");
}

static void draw_curves(const drawing *d) {
    fn_buf_printf(d->out, "<svg x=\"%d\" y=\"%d\"", LEFT, TOP);
    attribute(d->out, "width", d->width);
    attribute(d->out, "height", d->height);
    fn_buf_printf(d->out, ">\n");
    for (int k = 0; k < d->plot->n_curves; k++) {
        const fn_curve *c = &d->plot->curves[k];
        int color = k % COLORS;
        if (c->style == FN_CURVE_STEPS)
            draw_steps(d, c, color);
        else if (c->n > MANY)
            draw_many(d, c, k);
        else
            draw_line(d, c, k);
        if (c->style == FN_CURVE_POINTS && c->n <= MANY)
            draw_points(d, c, color);
    }
    fn_buf_printf(d->out, "</svg>\n");
}

static void draw_marks(const drawing *d) {
    for (int i = 0; i < d->plot->n_marks; i++) {
        double share = fn_scale_at(&d->x, d->plot->marks[i]);
        if (!(share >= 0 && share <= 1))
            continue;
        double at = LEFT + d->width * share;
        fn_buf_printf(d->out, "<path class=\"mark\" d=\"");
        point(d, 'M', at, TOP);
        point(d, 'L', at, TOP + d->height);
        fn_buf_printf(d->out, "\"/>\n");
        text_at(d->out, at + (share < 0.7 ? 5 : -5), TOP + 13,
                share < 0.7 ? "text-anchor=\"start\"" : "text-anchor=\"end\"", d->plot->mark_names[i]);
    }
}

// Widths of letters are guessed.
static double legend_width(const fn_curve *c) {
    return c->name ? 6.9 * (double)strlen(c->name) + 52 : 0;
}

// Rows that the names of the curves need below the plot: none when there is room right of its title.
static int legend_rows(const fn_plot *plot, double width) {
    double all = plot->title ? 7.5 * (double)strlen(plot->title) : 0, at = 0;
    int rows = 1;
    for (int k = 0; k < plot->n_curves; k++) {
        double own = legend_width(&plot->curves[k]);
        all += own;
        if (at > 0 && at + own > width)
            at = 0, rows++;
        at += own;
    }
    return all <= width + 30 ? 0 : rows;
}

// A bit of the curve's line and its name.
static void draw_name(const drawing *d, int k, double x, double y) {
    if (!d->plot->curves[k].name)
        return;
    begin_line(d, k);
    point(d, 'M', x, y - 4);
    point(d, 'L', x + 16, y - 4);
    fn_buf_printf(d->out, "\"/>\n");
    text_at(d->out, x + 22, y, "text-anchor=\"start\"", d->plot->curves[k].name);
}

static void draw_legend(const drawing *d, int rows) {
    const fn_plot *p = d->plot;
    double at = 0, y = rows ? TOP + d->height + BOTTOM + 6 : 20;
    if (!rows) { // up to the right edge
        at = d->width + 30;
        for (int k = 0; k < p->n_curves; k++)
            at -= legend_width(&p->curves[k]);
    }
    for (int k = 0; k < p->n_curves; k++) {
        double own = legend_width(&p->curves[k]);
        if (rows && at > 0 && at + own > d->width)
            at = 0, y += ROW;
        draw_name(d, k, LEFT + at, y);
        at += own;
    }
}

static void svg(fn_buf *out, const fn_plot *plot, int alone) {
    drawing d = {.out = out, .plot = plot};
    int width = plot->width > 0 ? plot->width : 640, height = plot->height > 0 ? plot->height : 320;
    d.width = width - LEFT - RIGHT;
    d.height = height - TOP - BOTTOM;
    int rows = legend_rows(plot, d.width);
    height += rows * ROW;
    fn_buf_printf(
        out, "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\"",
        width, height);
    if (alone)
        fn_buf_printf(out, " width=\"%d\" height=\"%d\"", width, height);
    fn_buf_printf(out, ">\n");
    if (alone) {
        fn_buf_printf(out, "<style>\n");
        fn_plot_style(out);
        fn_buf_printf(out, "</style>\n<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", width, height);
    }
    text_at(out, LEFT, 20, "class=\"title\"", plot->title);
    if (plot->y_label)
        text_at(out, LEFT, TOP - 10, "text-anchor=\"start\"", plot->y_label);
    if (measure(&d)) {
        draw_axes(&d);
        draw_curves(&d);
        draw_marks(&d);
        draw_legend(&d, rows);
    } else {
        text_at(out, LEFT + d.width / 2, TOP + d.height / 2, "text-anchor=\"middle\"",
                "nothing measured yet");
    }
    fn_buf_printf(out, "</svg>\n");
}

void fn_plot_svg(fn_buf *out, const fn_plot *plot) {
    svg(out, plot, 0);
}

int fn_curves_svg(const char *path, const fn_plot *plot) {
    drawing d = {.plot = plot};
    if (!measure(&d))
        return fn_fail(FN_EINVAL, "%s: the plot \"%s\" has no points", path, plot->title ? plot->title : "");
    fn_buf out;
    fn_buf_init(&out, MAX_TEXT);
    svg(&out, plot, 1);
    int rc = out.failed ? out.failed : fn_write_file(path, out.data, out.len, 0644);
    fn_buf_free(&out);
    return rc;
}
