// SPDX-License-Identifier: Apache-2.0
//
// Processor flags through the compiler's own detection, which also asks whether the operating system
// saves the wide registers. Other architectures have no flags and run the plain C kernels.
#include "base/cpu.h"

#include <stdatomic.h>

static _Atomic unsigned allowed = ~0u;

void fn_cpu_mask(unsigned mask) {
    atomic_store(&allowed, mask);
}

unsigned fn_cpu_flags(void) {
    unsigned flags = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        flags |= FN_CPU_AVX2;
    if (__builtin_cpu_supports("avx512f"))
        flags |= FN_CPU_AVX512;
#endif
    return flags & atomic_load(&allowed);
}
