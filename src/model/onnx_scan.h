// SPDX-License-Identifier: Apache-2.0
//
// A look over the wire format before protobuf-c unpacks it: protobuf-c recurses as deep as the bytes
// ask for and allocates as much.
#ifndef FN_MODEL_ONNX_SCAN_H
#define FN_MODEL_ONNX_SCAN_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#define FN_ONNX_MAX_BYTES ((size_t)1 << 30)
#define FN_ONNX_MAX_DEPTH 64
#define FN_ONNX_MAX_FIELDS (1 << 22)

/// Checks a message of this type: lengths inside their message, nesting and number of fields bounded,
/// varints at most ten bytes, no groups, texts valid UTF-8, no single sub-message given twice.
/// FN_OK, or FN_EFORMAT or FN_ELIMIT with the offset of the offending byte.
int fn_onnx_scan(const ProtobufCMessageDescriptor *type, const void *bytes, size_t n);

#endif
