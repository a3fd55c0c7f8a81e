// SPDX-License-Identifier: Apache-2.0
//
// Numbers and words on their way into text that programs read: no locale, nothing unescaped.
#ifndef FN_TRAIN_TEXT_H
#define FN_TRAIN_TEXT_H

#include "base/buf.h"

enum { FN_NUMBER_SIZE = 40 };

/// As %.<digits>g with a point, whatever the locale; "nan" and "inf" as they are. Returns dst.
const char *fn_number_text(char dst[FN_NUMBER_SIZE], double value, int digits);

/// Appends text for use in XML and HTML, between tags and in quoted attributes. Bytes that are not UTF-8 and
/// control characters become U+FFFD.
void fn_buf_xml(fn_buf *out, const char *text);

/// Appends a JSON string with its quotes.
void fn_buf_json(fn_buf *out, const char *text);

#endif
