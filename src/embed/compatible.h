// SPDX-License-Identifier: Apache-2.0
//
// Older models whose embeddings may be compared with those of a model, because its network was trained to
// embed beside theirs. The metadata says it as JSON, the facenet.compatible_with of a model:
//
//   [{"name": "mobilefacenet", "fingerprint": 64 hex digits, "mirror": 64 hex digits}, ...]
//
// "mirror" is the fingerprint under which the older model embeds faces and their mirror images. It is
// compared with the newer model's mirrored embeddings, the other with its plain ones.
#ifndef FN_EMBED_COMPATIBLE_H
#define FN_EMBED_COMPATIBLE_H

#include <facenet/embed.h>

/// The model itself comes first, so there is room for one less.
#define FN_COMPATIBLE_MAX (FN_INDEX_MAX_MAKERS - 1)

typedef struct fn_compatible {
    char *name;
    char plain[65], mirror[65]; // fingerprints
} fn_compatible;

typedef struct fn_compatibles {
    fn_compatible data[FN_COMPATIBLE_MAX];
    int n;
} fn_compatibles;

/// The metadata key under which a model keeps its calibration against one of them: key is
/// "facenet.calibration.against." and the fingerprint.
#define FN_AGAINST_KEY_SIZE 96
void fn_compatible_key(char key[FN_AGAINST_KEY_SIZE], const char *fingerprint);

/// Reads the metadata's value; NULL: nobody. FN_EFORMAT, FN_ENOMEM.
int fn_compatibles_parse(fn_compatibles *out, const char *json);
void fn_compatibles_free(fn_compatibles *compatibles);

/// The value for a network that was trained to embed beside this embedder: it and, behind it, those that it
/// embeds beside. New memory (fn_free), or NULL with the error noted.
char *fn_compatibles_after(const fn_embedder *older);

#endif
