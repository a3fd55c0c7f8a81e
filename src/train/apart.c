// SPDX-License-Identifier: Apache-2.0
//
// Folders that may not lie in each other.
#include "train/apart.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "train/file_moves.h"

#include <sys/stat.h>

/// `made` has no links; both names are for the message.
static int check(const char *read, const char *folder, const char *made) {
    char *real = fn_path_real(read);
    if (!real)
        return FN_ENOMEM;
    int in = fn_path_reaches(real, made), around = fn_path_reaches(made, real), rc = FN_OK;
    if ((in && around) || fn_same_folder(read, folder))
        rc = fn_fail(FN_EINVAL, "%s: this folder is read, what is made needs a folder of its own", folder);
    else if (in)
        rc = fn_fail(FN_EINVAL, "%s lies in %s and would be read with it: take a folder outside of it",
                     folder, read);
    else if (around)
        rc = fn_fail(FN_EINVAL, "%s holds %s, which is read: take a folder that does not", folder, read);
    fn_free(real);
    return rc;
}

/// The folder of one person, when it lies elsewhere.
static int check_person(const fn_dataset *dataset, int person, const char *folder, const char *made) {
    struct stat st;
    char *path = fn_path_join(fn_dataset_root(dataset), fn_dataset_person_name(dataset, person));
    if (!path)
        return FN_ENOMEM;
    int rc = lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ? check(path, folder, made) : FN_OK;
    fn_free(path);
    return rc;
}

int fn_dataset_is_apart(const fn_dataset *dataset, const char *folder) {
    char *made = fn_path_real(folder);
    int rc = made ? check(fn_dataset_root(dataset), folder, made) : FN_ENOMEM;
    for (int p = 0; p < fn_dataset_n_people(dataset) && rc == FN_OK; p++)
        rc = check_person(dataset, p, folder, made);
    fn_free(made);
    return rc;
}
