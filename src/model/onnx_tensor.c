// SPDX-License-Identifier: Apache-2.0
//
// ONNX tensors as constants of a graph. The file may hold the numbers as raw little-endian bytes or in
// the typed list that belongs to the element type; the graph knows float and int64_t only.
#include "model/onnx_reader.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw tensors are read as little-endian bytes");

/// Integer constants are shapes and indices; a long list of them is not a face network.
#define MAX_INTEGERS ((int64_t)1 << 24)

static float of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// IEEE 754 binary16 to binary32; exact.
static float of_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31)
        return of_bits(sign | 0x7F800000U | fraction << 13);
    if (exponent == 0) { // zero and subnormals: fraction * 2^-24
        float value = (float)fraction * 0x1p-24F;
        return sign ? -value : value;
    }
    return of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static float of_bfloat(uint16_t bits) {
    return of_bits((uint32_t)bits << 16);
}

/// Where the elements of a tensor lie: raw bytes, or a typed list of `n` elements.
struct elements {
    const void *data;
    size_t n;
    size_t size; // bytes of one element there
};

static struct elements typed(const void *data, size_t n, size_t size) {
    return (struct elements){data, n, size};
}

static struct elements elements_of(const Onnx__TensorProto *t) {
    switch (t->data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
        return typed(t->float_data, t->n_float_data, sizeof(float));
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
        return typed(t->double_data, t->n_double_data, sizeof(double));
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        return typed(t->int64_data, t->n_int64_data, sizeof(int64_t));
    default:
        return typed(t->int32_data, t->n_int32_data, sizeof(int32_t));
    }
}

/// Bytes of one raw element, or 0 for a type that the graph has no use for.
static size_t raw_size(int32_t type) {
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL:
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
        return 1;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
        return 2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
        return 4;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
        return 8;
    default:
        return 0;
    }
}

static int is_floating(int32_t type) {
    return type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT || type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ||
           type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 || type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
}

static uint16_t half_at(const struct elements *e, size_t i) {
    uint16_t half = 0;
    memcpy(&half, (const char *)e->data + i * e->size, sizeof half); // the low half of a typed int32
    return half;
}

static void to_floats(float *dst, const struct elements *e, int32_t type) {
    for (size_t i = 0; i < e->n; i++) {
        if (type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE) {
            double value;
            memcpy(&value, (const char *)e->data + i * e->size, sizeof value);
            dst[i] = (float)value;
        } else if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16) {
            dst[i] = of_half(half_at(e, i));
        } else {
            dst[i] = of_bfloat(half_at(e, i));
        }
    }
}

static void to_integers(int64_t *dst, const struct elements *e) {
    for (size_t i = 0; i < e->n; i++) {
        const unsigned char *at = (const unsigned char *)e->data + i * e->size;
        int32_t value = *at;
        if (e->size == sizeof value)
            memcpy(&value, at, sizeof value);
        dst[i] = value;
    }
}

static int shape_of(fn_shape *out, const Onnx__TensorProto *t) {
    if (t->n_dims > FN_MAX_RANK)
        return fn_fail(FN_EUNSUPPORTED, "tensor '%.80s' has %zu dimensions, more than %d",
                       fn_onnx_text(t->name), t->n_dims, FN_MAX_RANK);
    out->rank = (int)t->n_dims;
    for (size_t i = 0; i < t->n_dims; i++)
        out->dim[i] = t->dims[i];
    return fn_shape_count(out) >= 0
               ? FN_OK
               : fn_fail(FN_EFORMAT, "tensor '%.80s' has an impossible shape", fn_onnx_text(t->name));
}

static int check_elements(struct elements *e, const Onnx__TensorProto *t, int64_t count) {
    const char *name = fn_onnx_text(t->name);
    *e = elements_of(t);
    if (t->raw_data.len) {
        if (t->n_float_data || t->n_double_data || t->n_int32_data || t->n_int64_data)
            return fn_fail(FN_EFORMAT, "tensor '%.80s' holds its numbers twice", name);
        size_t size = raw_size(t->data_type);
        if (t->raw_data.len % size)
            return fn_fail(FN_EFORMAT, "tensor '%.80s': %zu bytes are no whole number of elements", name,
                           t->raw_data.len);
        *e = (struct elements){t->raw_data.data, t->raw_data.len / size, size};
    }
    if ((int64_t)e->n != count)
        return fn_fail(FN_EFORMAT, "tensor '%.80s' holds %zu numbers, its shape says %lld", name, e->n,
                       (long long)count);
    if (!is_floating(t->data_type) && count > MAX_INTEGERS)
        return fn_fail(FN_ELIMIT, "tensor '%.80s' has %lld integers", name, (long long)count);
    return FN_OK;
}

int fn_onnx_tensor(fn_onnx_data *out, const Onnx__TensorProto *t) {
    struct elements e;
    const char *name = fn_onnx_text(t->name);
    memset(out, 0, sizeof *out);
    if (t->n_external_data || t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return fn_fail(FN_EUNSUPPORTED, "tensor '%.80s' lies in another file; save the model as one file",
                       name);
    if (t->segment || t->n_string_data || !raw_size(t->data_type))
        return fn_fail(FN_EUNSUPPORTED, "tensor '%.80s' has element type %d, which is not supported", name,
                       (int)t->data_type);
    int rc = shape_of(&out->shape, t);
    if (rc < 0 || (rc = check_elements(&e, t, fn_shape_count(&out->shape))) < 0)
        return rc;
    out->dtype = is_floating(t->data_type) ? FN_F32 : FN_I64;
    if (t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ||
        t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64) {
        out->data = e.data;
        return FN_OK;
    }
    out->owned = fn_calloc(e.n, out->dtype == FN_F32 ? sizeof(float) : sizeof(int64_t));
    if (!out->owned)
        return fn_fail_memory();
    if (out->dtype == FN_F32)
        to_floats(out->owned, &e, t->data_type);
    else
        to_integers(out->owned, &e);
    out->data = out->owned;
    return FN_OK;
}
