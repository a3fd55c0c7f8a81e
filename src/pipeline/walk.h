// SPDX-License-Identifier: Apache-2.0
//
// What the walker knows besides its public face.
#ifndef FN_PIPELINE_WALK_H
#define FN_PIPELINE_WALK_H

#include <facenet/pipeline.h>

/// A walk over a folder per person: a link to a folder directly below the root stands for a person and is
/// followed, unless it leads into the tree or around it. Such links, and links to folders deeper down, are
/// failures of fn_walker_next as a link that leads nowhere is.
int fn_walker_open_people(fn_walker **out, const char *root);

/// The path of what fn_walker_next failed at last; NULL before. Valid until its next failure.
const char *fn_walker_failed(const fn_walker *walker);

#endif
