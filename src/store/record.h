// SPDX-License-Identifier: Apache-2.0
//
// What may enter a gallery.
#ifndef FN_STORE_RECORD_H
#define FN_STORE_RECORD_H

#include <facenet/store.h>

/// FN_OK, or FN_EINVAL with the reason.
int fn_record_check_name(const char *name);
int fn_record_check(const fn_face_record *record);
/// 64 lowercase hex digits.
int fn_record_is_hash(const char *text);

/// Intersection over union of two boxes, 0..1. Boxes without area: 1 when equal.
double fn_record_overlap(const fn_box *a, const fn_box *b);

/// The source path for a message: printable, cut to fit; "this picture" without one.
void fn_record_label(char *dst, size_t size, const fn_face_record *record);

#endif
