// SPDX-License-Identifier: Apache-2.0
//
// Pictures that change their place: whole files, never written over another.
#ifndef FN_TRAIN_FILE_MOVES_H
#define FN_TRAIN_FILE_MOVES_H

#include <facenet/dataset.h>

/// Makes dst a further name of src, of what it leads to when it is a link, or a copy (mode 0600) where the
/// file system cannot; folders above dst are created. FN_EIO; FN_ECONFLICT: dst is there.
int fn_file_link(const char *dst, const char *src);

/// Gives src the name dst, across file systems too. A link stays a link to the same picture, by its path from
/// the root of all. When dst holds the same already, src is only taken away. FN_EIO; FN_ECONFLICT: dst is
/// something else, or src itself.
int fn_file_move(const char *dst, const char *src);

/// 1 when both paths are there and name one folder.
int fn_same_folder(const char *a, const char *b);

/// Moves the images with chosen[i] = 1 to `removed`/person/name (NULL: root/hidden) and takes away the
/// folders that are empty then. *n_moved counts what was done, also when it fails in the middle.
int fn_dataset_move(const fn_dataset *dataset, const unsigned char *chosen, const char *removed,
                    const char *hidden, int *n_moved);

#endif
