// SPDX-License-Identifier: Apache-2.0
//
// What the processor can do, as far as our own kernels ask.
#ifndef FN_BASE_CPU_H
#define FN_BASE_CPU_H

enum {
    FN_CPU_AVX2 = 1,   // AVX2 and FMA together
    FN_CPU_AVX512 = 2, // AVX-512 F
};

/// The flags of this processor, less what the mask takes away.
unsigned fn_cpu_flags(void);
/// Only flags within the mask count from now on (tests compare kernels); ~0u gives all back.
void fn_cpu_mask(unsigned mask);

#endif
