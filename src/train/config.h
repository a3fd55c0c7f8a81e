// SPDX-License-Identifier: Apache-2.0
//
// The options of a run as texts: checked, written to config.json, and compared when a run is resumed.
#ifndef FN_TRAIN_CONFIG_H
#define FN_TRAIN_CONFIG_H

#include <facenet/train.h>

/// fn_train_options_read for n bytes in memory, followed by a 0 byte; they are changed. path is what error
/// lines call them.
int fn_config_parse(fn_train_options *options, char **texts, char *bytes, size_t n, const char *path);

/// FN_OK, or FN_EINVAL naming the option and what was expected.
int fn_config_check(const fn_train_options *options);

/// All options as a JSON object in new memory (fn_free), a line each; NULL when out of memory.
char *fn_config_json(const fn_train_options *options);

/// FN_ECONFLICT when the configuration `json` of an earlier part of the run differs in what may not change.
int fn_config_same(const fn_train_options *options, const char *json);

/// The value of an option as text, in `dst` or where it lies; "" for a text that is NULL.
const char *fn_config_value(char *dst, size_t size, const fn_train_options *options,
                            const fn_train_option *option);

#endif
