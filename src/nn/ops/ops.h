// SPDX-License-Identifier: Apache-2.0
//
// Every operator, once. The table, the float and the double definitions all come from this list.
#ifndef FN_NN_OPS_H
#define FN_NN_OPS_H

#define FN_OP_LIST(X)                                                                                        \
    X(conv)                                                                                                  \
    X(gemm)                                                                                                  \
    X(matmul)                                                                                                \
    X(max_pool)                                                                                              \
    X(average_pool)                                                                                          \
    X(global_average_pool)                                                                                   \
    X(batch_norm)                                                                                            \
    X(relu)                                                                                                  \
    X(leaky_relu)                                                                                            \
    X(prelu)                                                                                                 \
    X(clip)                                                                                                  \
    X(sigmoid)                                                                                               \
    X(softmax)                                                                                               \
    X(exp)                                                                                                   \
    X(abs)                                                                                                   \
    X(neg)                                                                                                   \
    X(add)                                                                                                   \
    X(sub)                                                                                                   \
    X(mul)                                                                                                   \
    X(div)                                                                                                   \
    X(pad)                                                                                                   \
    X(concat)                                                                                                \
    X(slice)                                                                                                 \
    X(transpose)                                                                                             \
    X(resize)                                                                                                \
    X(identity)                                                                                              \
    X(reshape)                                                                                               \
    X(flatten)                                                                                               \
    X(squeeze)                                                                                               \
    X(unsqueeze)                                                                                             \
    X(shape)                                                                                                 \
    X(gather)                                                                                                \
    X(cast)                                                                                                  \
    X(lrn)                                                                                                   \
    X(lp_pool)                                                                                               \
    X(lp_normalization)                                                                                      \
    X(dropout)                                                                                               \
    X(reduce_max)

#define FN_OP_DECLARE(op) extern const struct fn_op_def fn_op_##op##_f32, fn_op_##op##_f64;
FN_OP_LIST(FN_OP_DECLARE)
#undef FN_OP_DECLARE

#endif
