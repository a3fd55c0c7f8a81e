// SPDX-License-Identifier: Apache-2.0
//
// What the room's files know of an embedder beyond its header.
#ifndef FN_EMBED_EMBEDDER_H
#define FN_EMBED_EMBEDDER_H

#include "embed/compatible.h"

/// Older models that its file says it embeds beside.
const fn_compatibles *fn_embedder_compatibles(const fn_embedder *embedder);
/// The model's fingerprint, of faces as they are or (mirror 1) with their mirror images, however it is open.
const char *fn_embedder_fingerprint_of(const fn_embedder *embedder, int mirror);

#endif
