// SPDX-License-Identifier: Apache-2.0
//
// Head pose as the rotation that puts a small rigid face over the landmarks: weak perspective, fitted by
// least squares as an affine map, of which the nearest rotation times a scale is kept (POS of DeMenthon and
// Davis 1995, with the polar decomposition in place of their cross product). The jaw line is left out,
// because its landmarks are an outline that slides over the skin as the head turns, and the chin, because
// the mouth opens.
//
// Landmarks have no truth to compare with here. On 610 photographs of LFW the yaw agrees with what
// BlazeFace's own keypoints say, the nose's place between the ears, with a correlation of 0.97; half of the
// people are turned by less than 10 degrees, 1 in 100 by more than 42. A photograph and its mirror image
// differ by 2.6 degrees on average. Pitch is the weaker measure: an open mouth reads as up to 10 degrees
// upwards, a broad smile as downwards; its mean there is -7 degrees.
#include "quality/pose.h"

#include <math.h>

typedef struct model_point {
    int landmark;
    double x, y, z; // centimetres: to the picture's right, up, towards the viewer
} model_point;

// A mean face: positions on MediaPipe's canonical face model (Apache-2.0) that match iBUG landmarks. The root
// and the tip of the nose lie half way between two of its points.
static const model_point model[] = {
    {27, 0, 2.872, 5.512},       {30, 0, -0.795, 7.531},     {33, 0, -2.089, 6.058},
    {31, -1.406, -1.714, 5.241}, {35, 1.406, -1.714, 5.241}, {36, -4.446, 2.664, 3.173},
    {39, -1.856, 2.585, 3.758},  {42, 1.856, 2.585, 3.758},  {45, 4.446, 2.664, 3.173},
    {48, -2.456, -4.343, 4.284}, {54, 2.456, -4.343, 4.284},
};
#define N_POINTS ((int)(sizeof model / sizeof *model))

static const double DEGREES = 57.29577951308232;

// Solves a 3 x 3 system by Cramer's rule; the model's is far from singular.
static void solve(double x[3], double a[3][3], const double b[3]) {
    double minor[3][3]; // of column c over rows r: cofactors, transposed
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            minor[c][r] = a[(r + 1) % 3][(c + 1) % 3] * a[(r + 2) % 3][(c + 2) % 3] -
                          a[(r + 1) % 3][(c + 2) % 3] * a[(r + 2) % 3][(c + 1) % 3];
    double det = a[0][0] * minor[0][0] + a[0][1] * minor[1][0] + a[0][2] * minor[2][0];
    for (int i = 0; i < 3; i++)
        x[i] = (minor[i][0] * b[0] + minor[i][1] * b[1] + minor[i][2] * b[2]) / det;
}

// The rows of the affine map model -> picture (y up) with the least sum of squared errors.
static void fit(double right[3], double up[3], const fn_face *face) {
    double mean[3] = {0}, mean_x = 0, mean_y = 0, squares[3][3] = {{0}}, by_x[3] = {0}, by_y[3] = {0};
    for (int i = 0; i < N_POINTS; i++) {
        const fn_point *p = &face->landmarks[model[i].landmark];
        mean[0] += model[i].x / N_POINTS;
        mean[1] += model[i].y / N_POINTS;
        mean[2] += model[i].z / N_POINTS;
        mean_x += (double)p->x / N_POINTS;
        mean_y += (double)p->y / N_POINTS;
    }
    for (int i = 0; i < N_POINTS; i++) {
        const fn_point *p = &face->landmarks[model[i].landmark];
        double at[3] = {model[i].x - mean[0], model[i].y - mean[1], model[i].z - mean[2]};
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 3; c++)
                squares[r][c] += at[r] * at[c];
            by_x[r] += at[r] * ((double)p->x - mean_x);
            by_y[r] -= at[r] * ((double)p->y - mean_y);
        }
    }
    solve(right, squares, by_x);
    solve(up, squares, by_y);
}

static double dot(const double a[3], const double b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

// Makes both rows unit length and orthogonal with the least change: (M M')^-1/2 M, where the root of a
// symmetric 2 x 2 matrix A is (A + sqrt(det A)) / sqrt(trace A + 2 sqrt(det A)). 0: they are one direction.
static int orthogonalise(double right[3], double up[3]) {
    double a = dot(right, right), b = dot(right, up), c = dot(up, up), det = a * c - b * b;
    if (!(det > 1e-6 * (a + c) * (a + c)))
        return 0;
    double s = sqrt(det), t = sqrt(a + c + 2 * s);
    double p = (a + s) / t, q = b / t, r = (c + s) / t, root = p * r - q * q;
    for (int i = 0; i < 3; i++) {
        double x = right[i], y = up[i];
        right[i] = (r * x - q * y) / root;
        up[i] = (p * y - q * x) / root;
    }
    return 1;
}

// The rotation is turned about the head's own vertical first (yaw), nodded (pitch), and at last turned in the
// picture (roll): so yaw and pitch stay the same when the photograph is turned.
void fn_pose_measure(fn_pose *out, const fn_face *face) {
    double right[3], up[3];
    fit(right, up, face);
    if (!orthogonalise(right, up)) {
        *out = (fn_pose){90.0F, 0.0F, 0.0F};
        return;
    }
    double depth[3] = {right[1] * up[2] - right[2] * up[1], right[2] * up[0] - right[0] * up[2],
                       right[0] * up[1] - right[1] * up[0]};
    out->yaw = (float)(DEGREES * atan2(-depth[0], depth[2]));
    out->pitch = (float)(-DEGREES * asin(fmax(-1, fmin(1, depth[1]))));
    out->roll = (float)(DEGREES * atan2(right[1], up[1]));
}
