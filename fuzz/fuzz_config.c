// SPDX-License-Identifier: Apache-2.0
//
// Files of training options: what was read is what config.json says and reads back as the same.
#include "base/alloc.h"
#include "train/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(fn_train_options *options, char **texts, const void *bytes, size_t n) {
    char *copy = fn_alloc(n + 1);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, bytes, n);
    copy[n] = 0;
    int rc = fn_config_parse(options, texts, copy, n, "input");
    fn_free(copy);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fn_train_options options = FN_TRAIN_OPTIONS_INIT, again = FN_TRAIN_OPTIONS_INIT;
    char *texts, *more;
    if (parse(&options, &texts, data, size) < 0)
        return 0;
    char *json = fn_config_json(&options);
    // Texts that are not UTF-8 have no JSON.
    if (json && (parse(&again, &more, json, strlen(json)) < 0 || fn_config_same(&again, json) < 0))
        abort();
    if (json)
        fn_free(more);
    fn_free(json);
    fn_free(texts);
    return 0;
}
