// SPDX-License-Identifier: Apache-2.0
//
// Metadata of a model file that is there: the network and its fingerprint stay as they are.
#ifndef FN_MODEL_REWRITE_H
#define FN_MODEL_REWRITE_H

typedef struct fn_model_entry_change {
    const char *key, *value; // value NULL: the key goes
} fn_model_entry_change;

/// Writes the file and its checksum anew where an entry is another; *changed says whether. FN_EIO,
/// FN_EFORMAT, FN_ENOMEM: the file stays as it was.
int fn_model_rewrite(const char *path, const fn_model_entry_change *changes, int n, int *changed);

#endif
