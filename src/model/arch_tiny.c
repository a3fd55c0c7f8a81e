// SPDX-License-Identifier: Apache-2.0
//
// A network that learns in seconds: for tests, examples and for trying options out. 32 x 32 pixels, 40,144
// parameters, 0.7 M multiply-adds.
#include "model/fresh.h"

#include <stdio.h>

void fn_arch_tiny(fn_fresh *f) {
    static const int filters[] = {16, 32, 64};
    fn_map x = fn_fresh_input(f, 3, f->height, f->width); // 32 x 32 x 3
    f->bias = 0;
    for (int i = 0; i < 3; i++) { // 16 x 16 x 16, 8 x 8 x 32, 4 x 4 x 64
        char name[3][16];
        snprintf(name[0], sizeof name[0], "conv%d", i + 1);
        snprintf(name[1], sizeof name[1], "bn%d", i + 1);
        snprintf(name[2], sizeof name[2], "relu%d", i + 1);
        x = fn_fresh_square(f, name[0], x, filters[i], 3, 2, 1);
        x = fn_fresh_relu(f, name[2], fn_fresh_norm(f, name[1], x));
    }
    x = fn_fresh_flatten(f, "flat", fn_fresh_average_pool(f, "pool", x, 2, 2, 0)); // 2 x 2 x 64
    fn_fresh_embedding(f, fn_fresh_last(f, x, 1));
}
