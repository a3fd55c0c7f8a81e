// SPDX-License-Identifier: Apache-2.0
//
// Shapes, windows and layouts in oneDNN's terms.
#include "base/error.h"
#include "nn/onednn/onednn.h"

#include <string.h>

int fn_dnnl_fail(dnnl_status_t status, const char *what) {
    if (status == dnnl_out_of_memory)
        return fn_fail_memory();
    return fn_fail(FN_EINTERNAL, "oneDNN: %s failed (status %d)", what, (int)status);
}

dnnl_memory_desc_t fn_dnnl_plain(const fn_shape *shape) {
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {1}, strides = {1};
    int64_t stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        dims[i] = shape->dim[i];
        strides[i] = stride;
        stride *= shape->dim[i];
    }
    dnnl_memory_desc_init_by_strides(&md, shape->rank ? shape->rank : 1, dims, dnnl_f32, strides);
    return md;
}

dnnl_memory_desc_t fn_dnnl_any(const fn_shape *shape, dnnl_data_type_t type) {
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {1};
    for (int i = 0; i < shape->rank; i++)
        dims[i] = shape->dim[i];
    dnnl_memory_desc_init_by_tag(&md, shape->rank ? shape->rank : 1, dims, type, dnnl_format_tag_any);
    return md;
}

dnnl_memory_desc_t fn_dnnl_blocked(const fn_shape *shape, dnnl_data_type_t type) {
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {shape->dim[0], shape->dim[1], shape->dim[2], shape->dim[3]};
    int wide = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
    dnnl_memory_desc_init_by_tag(&md, 4, dims, type, wide ? dnnl_nChw16c : dnnl_nChw8c);
    return md;
}

int fn_dnnl_is_blocked(const dnnl_memory_desc_t *md) {
    return md->format_kind == dnnl_blocked && md->format_desc.blocking.inner_nblks > 0;
}

fn_dnnl_geometry fn_dnnl_geometry_of(const fn_window *w) {
    fn_dnnl_geometry g = {0};
    for (int i = 0; i < 2; i++) {
        g.kernel[i] = w->kernel[i];
        g.stride[i] = w->stride[i];
        g.dilation[i] = w->dilation[i] - 1; // oneDNN counts the gap
        g.before[i] = w->pad[i];
        g.after[i] = w->pad[i + 2];
    }
    return g;
}

int fn_dnnl_pool_window(fn_dnnl_geometry *out, dnnl_alg_kind_t *alg, const fn_node *node, const fn_shape *x,
                        const fn_shape *y) {
    int is_max = strcmp(node->op->name, "MaxPool") == 0;
    fn_window w = {.kernel = {x->dim[2], x->dim[3]}, .stride = {1, 1}};
    const fn_attr *kernel = fn_node_attr(node, "kernel_shape");
    if (kernel) {
        int rc = fn_window_of(&w, node, kernel->ints, x->dim[2], x->dim[3]);
        if (rc < 0)
            return rc;
    }
    for (int i = 0; i < 2; i++)
        w.pad[i + 2] = (y->dim[i + 2] - 1) * w.stride[i] + w.kernel[i] - x->dim[i + 2] - w.pad[i];
    *alg = is_max                                      ? dnnl_pooling_max
           : fn_node_int(node, "count_include_pad", 0) ? dnnl_pooling_avg_include_padding
                                                       : dnnl_pooling_avg_exclude_padding;
    *out = fn_dnnl_geometry_of(&w);
    return FN_OK;
}

fn_shape fn_dnnl_kernel_shape(const fn_shape *w, int64_t group) {
    return group > 1 ? (fn_shape){5, {group, w->dim[0] / group, w->dim[1], w->dim[2], w->dim[3]}} : *w;
}

int fn_dnnl_may_use_winograd(const fn_window *w, const fn_shape *kernel, int64_t group) {
    return group == 1 && w->kernel[0] == 3 && w->kernel[1] == 3 && w->stride[0] == 1 && w->stride[1] == 1 &&
           w->dilation[0] == 1 && w->dilation[1] == 1 && kernel->dim[0] >= 32 && kernel->dim[1] >= 32;
}

int fn_dnnl_part(fn_dnnl_operand *out, const fn_dnnl_operand *whole, const int64_t *dims,
                 const int64_t *offsets) {
    dnnl_dims_t size = {0}, first = {0};
    memcpy(size, dims, (size_t)whole->md.ndims * sizeof *size);
    memcpy(first, offsets, (size_t)whole->md.ndims * sizeof *first);
    *out = *whole;
    dnnl_status_t status = dnnl_memory_desc_init_submemory(&out->md, &whole->md, size, first);
    return status == dnnl_success ? FN_OK : fn_dnnl_fail(status, "describing a part");
}
