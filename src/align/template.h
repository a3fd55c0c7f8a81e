// SPDX-License-Identifier: Apache-2.0
//
// Templates as text, the form in which a model carries its own (metadata key facenet.template):
// "NAME WIDTHxHEIGHT FIRST-LAST:X,Y ..." with numbers as %.9g, so that writing and reading agree.
#ifndef FN_ALIGN_TEMPLATE_H
#define FN_ALIGN_TEMPLATE_H

#include <facenet/align.h>

/// New memory (fn_free), or NULL when out of memory.
char *fn_template_text(const fn_template *tmpl);
/// FN_EFORMAT with the reason. The template owns its name; free with fn_template_free.
int fn_template_parse(fn_template **out, const char *text);
void fn_template_free(fn_template *tmpl);

#endif
