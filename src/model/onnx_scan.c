// SPDX-License-Identifier: Apache-2.0
//
// The wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding/): a message is
// a run of fields, each a tag (number * 8 + wire type) and its value. Which length-delimited values are
// messages themselves only the schema says, so the scan walks along protobuf-c's own descriptors and
// goes exactly where unpacking would go.
#include "model/onnx_scan.h"

#include "base/error.h"
#include "base/path.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, GROUP_START = 3, GROUP_END = 4, FIXED32 = 5 };

struct scan {
    const unsigned char *bytes;
    size_t at; // next byte to read
    int n_fields;
};

static int malformed(size_t offset, const char *what) {
    return fn_fail(FN_EFORMAT, "not an ONNX model: %s at byte %zu", what, offset);
}

static int read_varint(struct scan *scan, size_t end, uint64_t *out) {
    size_t start = scan->at;
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (scan->at >= end)
            return malformed(start, "a number that is cut off");
        unsigned char byte = scan->bytes[scan->at++];
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *out = value;
            return FN_OK;
        }
    }
    return malformed(start, "a number of more than ten bytes");
}

static int skip(struct scan *scan, size_t end, uint64_t n, size_t field_start) {
    if (n > end - scan->at)
        return malformed(field_start, "a field that reaches past its message");
    scan->at += (size_t)n;
    return FN_OK;
}

static int scan_message(struct scan *scan, const ProtobufCMessageDescriptor *type, size_t end, int depth);

/// A length-delimited field whose contents start at scan->at: looks inside messages and texts.
static int scan_contents(struct scan *scan, const ProtobufCFieldDescriptor *field, size_t n, int depth) {
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
        return scan_message(scan, field->descriptor, scan->at + n, depth + 1);
    if (field && field->type == PROTOBUF_C_TYPE_STRING &&
        !fn_utf8_valid((const char *)scan->bytes + scan->at, n))
        return malformed(scan->at, "a text that is not UTF-8");
    scan->at += n;
    return FN_OK;
}

static int scan_field(struct scan *scan, const ProtobufCMessageDescriptor *type, size_t end, int depth,
                      uint64_t *seen) {
    size_t start = scan->at;
    uint64_t tag, value;
    if (++scan->n_fields > FN_ONNX_MAX_FIELDS)
        return fn_fail(FN_ELIMIT, "more than %d fields at byte %zu", FN_ONNX_MAX_FIELDS, start);
    int rc = read_varint(scan, end, &tag);
    if (rc < 0)
        return rc;
    if (tag >> 3 == 0 || tag >> 32)
        return malformed(start, "a field with an impossible number");
    switch (tag & 7) {
    case VARINT:
        return read_varint(scan, end, &value);
    case FIXED64:
        return skip(scan, end, 8, start);
    case FIXED32:
        return skip(scan, end, 4, start);
    case LENGTH:
        break;
    default:
        return malformed(start, "a group or an unknown kind of field");
    }
    if ((rc = read_varint(scan, end, &value)) < 0)
        return rc;
    size_t contents = scan->at;
    if ((rc = skip(scan, end, value, start)) < 0)
        return rc;
    scan->at = contents;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
    // Unpacking merges such a message with the earlier one, at a cost that grows with their square.
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && field->label != PROTOBUF_C_LABEL_REPEATED) {
        uint64_t bit = (uint64_t)1 << ((field - type->fields) & 63);
        if (*seen & bit)
            return malformed(start, "a single message given twice");
        *seen |= bit;
    }
    return scan_contents(scan, field, (size_t)value, depth);
}

static int scan_message(struct scan *scan, const ProtobufCMessageDescriptor *type, size_t end, int depth) {
    if (depth > FN_ONNX_MAX_DEPTH)
        return fn_fail(FN_ELIMIT, "messages nested deeper than %d at byte %zu", FN_ONNX_MAX_DEPTH, scan->at);
    uint64_t seen = 0;
    while (scan->at < end) {
        int rc = scan_field(scan, type, end, depth, &seen);
        if (rc < 0)
            return rc;
    }
    return FN_OK;
}

int fn_onnx_scan(const ProtobufCMessageDescriptor *type, const void *bytes, size_t n) {
    if (n == 0)
        return malformed(0, "no bytes");
    if (n > FN_ONNX_MAX_BYTES)
        return fn_fail(FN_ELIMIT, "a model of %zu bytes is over the limit of %zu", n, FN_ONNX_MAX_BYTES);
    struct scan scan = {.bytes = bytes};
    return scan_message(&scan, type, n, 1);
}
