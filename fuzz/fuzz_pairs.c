// SPDX-License-Identifier: Apache-2.0
//
// Lists of pairs: what is read has as many pairs as its header promises, and every name is fit to be
// part of a path.
#include "eval/pairs_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fn_pairs_file file;
    if (fn_pairs_parse(&file, (const char *)data, size, "input") < 0)
        return 0;
    if (file.n != 2 * (size_t)file.n_folds * (size_t)file.n_per_kind)
        abort();
    for (size_t i = 0; i < file.n; i++)
        for (int k = 0; k < 2; k++) {
            const fn_listed_photo *photo = &file.pairs[i].photo[k];
            if (photo->number < 1 || !*photo->person || *photo->person == '.' || strchr(photo->person, '/'))
                abort();
        }
    fn_pairs_free(&file);
    return 0;
}
