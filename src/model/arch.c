// SPDX-License-Identifier: Apache-2.0
//
// The architectures by name.
#include "model/arch.h"

#include <string.h>

fn_arch *fn_arch_find(const char *name) {
    static const struct {
        const char *name;
        fn_arch *build;
    } table[] = {
        {"dlib-resnet", fn_arch_dlib_resnet},
        {"landmarks-68", fn_arch_landmarks68},
        {"ssd-mobilenetv1", fn_arch_ssd_mobilenetv1},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].build;
    return NULL;
}
