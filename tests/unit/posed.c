// SPDX-License-Identifier: Apache-2.0
#include "unit/posed.h"

#include <math.h>

typedef struct solid {
    int landmark;
    double x, y, z; // right, up, towards the viewer
} solid;

// Where the landmarks of a head lie that count for its pose, and eyes around their corners.
static const solid head[] = {
    {27, 0, 2.872, 5.512},       {30, 0, -0.795, 7.531},     {33, 0, -2.089, 6.058},
    {31, -1.406, -1.714, 5.241}, {35, 1.406, -1.714, 5.241}, {36, -4.446, 2.664, 3.173},
    {39, -1.856, 2.585, 3.758},  {42, 1.856, 2.585, 3.758},  {45, 4.446, 2.664, 3.173},
    {48, -2.456, -4.343, 4.284}, {54, 2.456, -4.343, 4.284}, {37, -3.6, 3.05, 3.4},
    {38, -2.7, 3.05, 3.6},       {40, -2.7, 2.2, 3.6},       {41, -3.6, 2.2, 3.4},
    {43, 2.7, 3.05, 3.6},        {44, 3.6, 3.05, 3.4},       {46, 3.6, 2.2, 3.4},
    {47, 2.7, 2.2, 3.6},
};

static void turn(double *a, double *b, double degrees) {
    double c = cos(degrees * 3.14159265358979 / 180), s = sin(degrees * 3.14159265358979 / 180), x = *a;
    *a = c * x - s * *b;
    *b = s * x + c * *b;
}

fn_face posed(double yaw, double pitch, double roll, double x, double y, double scale) {
    fn_face face = {
        .box = {(float)(x - 8 * scale), (float)(y - 8 * scale), (float)(16 * scale), (float)(16 * scale)},
        .score = 1,
        .n_landmarks = FN_N_LANDMARKS};
    for (int i = 0; i < FN_N_LANDMARKS; i++)
        face.landmarks[i] = (fn_point){(float)x, (float)y};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
        double px = head[i].x, py = head[i].y, pz = head[i].z;
        turn(&pz, &px, yaw);   // z towards x
        turn(&pz, &py, pitch); // z towards y, which is up
        turn(&px, &py, -roll);
        face.landmarks[head[i].landmark] = (fn_point){(float)(x + scale * px), (float)(y - scale * py)};
    }
    return face;
}
